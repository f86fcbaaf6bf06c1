#include "crossnest/optimizer.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>

#include "newton_step.hpp"

namespace crossnest {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// A scale this small relative to the residual's changes the criterion by rounding errors only,
// unless there are some 1e8 observations to a level.
constexpr double kFloor = 1e-4;
// A parameter this small at the optimum may be zero.
constexpr double kNegligible = 1e-5;
// A diagonal of lambda this small may be on its way to zero, which a smooth method reaches slowly.
constexpr double kNearZero = 1e-3;
// A predicted decrease this small is rounding error: the step that brings it changes nothing.
constexpr double kExact = 1e-18;
// No curvature of the criterion that matters is as small.
constexpr double kFlat = 1e-9;
constexpr double kSufficient = 1e-4;  // Armijo's constant
// A difference of the criterion that matters between two searches.
constexpr double kLower = 1e-9;
// Within this of a minimum, relative to theta, Newton's method leads there.
constexpr double kNear = 1e-3;
// The average information is no good Hessian when this many steps running gain little.
constexpr int kSlowSteps = 10;
constexpr int kHalvings = 40;
constexpr const char* kNoStart = "the criterion cannot be computed at the start";
constexpr const char* kConverged = "predicted decrease below tolerance";
constexpr const char* kStuck = "no further decrease found";
constexpr const char* kArrived = "arrived where another search has ended";

}  // namespace

Optimizer::Optimizer(Criterion& criterion, const std::vector<Block>& blocks,
                     const OptimizerOptions& options, InterruptCheck& interrupt)
    : criterion_(criterion), blocks_(blocks), options_(options), interrupt_(interrupt) {
  for (const Block& block : blocks) positive_.resize(positive_.size() + block.terms.size());
}

double Optimizer::evaluate(const VectorXd& theta) {
  interrupt_.poll();
  ++evaluations_;
  const double value = criterion_.objective(theta.data(), Scale::internal, reml_);
  return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

Optimum Optimizer::finish(const State& state, double predicted, bool converged,
                          const char* message) const {
  std::vector<double> theta(state.x.data(), state.x.data() + state.x.size());
  criterion_.normalize(theta.data());
  return {std::move(theta), state.value, predicted, evaluations_, gradients_, converged, message};
}

void Optimizer::improve(Optimum& best, const std::vector<double>& start, bool reml) {
  known_ = &best;
  Optimum other = search(start, reml);
  const double lower = best.objective - other.objective;
  bool better = lower > kLower;
  if (better) {  // what is lower far away may be rounding errors alone
    evaluate(Eigen::Map<const VectorXd>(other.theta.data(), criterion_.parameters()));
    better = lower > criterion_.rounding_error();
  }
  const bool surer = other.converged && !best.converged && lower > -kLower;
  const int evaluations = best.evaluations + evaluations_;
  const int gradients = best.gradients + gradients_;
  if (better || surer) best = std::move(other);
  best.evaluations = evaluations;
  best.gradients = gradients;
}

// Whether a search is at the minimum that is known, and not below it.
bool Optimizer::arrives(const VectorXd& theta, double value) {
  if (known_ == nullptr || value < known_->objective - kLower) return false;
  const Eigen::Map<const VectorXd> known(known_->theta.data(), theta.size());
  arrived_ = known_->converged &&
             ((theta - known).array().abs() <= kNear * known.array().abs().max(0.1)).all();
  return arrived_;
}

// The step that need not be taken costs one evaluation, and leaves theta as close to the minimum as
// its square.
void Optimizer::last_step(State& state, const VectorXd& x, bool logarithmic) {
  const double value = evaluate(logarithmic ? VectorXd(x.array().exp()) : x);
  if (!(value <= state.value)) return;
  state.x = x;
  state.value = value;
}

Optimum Optimizer::minimize(const std::vector<double>& start, bool reml) {
  known_ = nullptr;
  return search(start, reml);
}

Optimum Optimizer::search(const std::vector<double>& start, bool reml) {
  reml_ = reml;
  evaluations_ = gradients_ = 0;
  arrived_ = false;
  VectorXd x = Eigen::Map<const VectorXd>(start.data(), static_cast<Index>(start.size()));
  criterion_.impose(x.data(), reml);
  Optimum best = criterion_.scales_only() ? newton(x) : quasi_newton(x);
  if (arrived_) return best;
  if (!best.converged && evaluations_ < options_.max_evaluations) {
    const Optimum next = quasi_newton(Eigen::Map<const VectorXd>(best.theta.data(), x.size()));
    evaluate(Eigen::Map<const VectorXd>(best.theta.data(), x.size()));
    if (next.objective <= best.objective + threshold()) best = next;
  }
  for (int restarts = 0; restarts < 5 && escape(best); ++restarts) {
    const Optimum next = quasi_newton(Eigen::Map<const VectorXd>(best.theta.data(), x.size()));
    if (!(next.objective < best.objective)) break;
    best = next;
  }
  if (!criterion_.scales_only()) settle(best);
  snap_zeros(best);
  best.evaluations = evaluations_;
  best.gradients = gradients_;
  return best;
}

// Where diagonals of lambda are nearly zero, the search goes on from where they are zero: they stay
// so, as the gradient in them vanishes there.
void Optimizer::settle(Optimum& optimum) {
  const std::vector<double>& bounds = criterion_.lower_bounds();
  VectorXd theta = Eigen::Map<const VectorXd>(optimum.theta.data(), criterion_.parameters());
  bool near = false;
  for (Index a = 0; a < theta.size(); ++a) {
    if (!std::isfinite(bounds[static_cast<std::size_t>(a)])) continue;
    if (theta(a) == 0.0 || theta(a) > kNearZero) continue;
    if (criterion_.is_held(static_cast<int>(a), reml_)) continue;
    theta(a) = 0.0;
    near = true;
  }
  if (!near) return;
  const Optimum settled = quasi_newton(theta);
  if (settled.converged && settled.objective < optimum.objective) optimum = settled;
}

// A column of lambda that vanishes is found only to rounding by a smooth method: say zero where
// zero is as good.
void Optimizer::snap_zeros(Optimum& optimum) {
  VectorXd theta = Eigen::Map<const VectorXd>(optimum.theta.data(), criterion_.parameters());
  VectorXd snapped = (theta.array().abs() < kNegligible).select(0.0, theta);
  criterion_.impose(snapped.data(), reml_);
  if ((snapped.array() == theta.array()).all()) return;
  const double value = evaluate(snapped);
  if (!(value <= optimum.objective + options_.tolerance)) return;
  optimum.theta.assign(snapped.data(), snapped.data() + snapped.size());
  optimum.objective = value;
}

void Optimizer::gradient_in_log(State& state) {
  const Index m = state.x.size();
  const VectorXd theta = state.x.array().exp();
  state.gradient.resize(m);
  state.hessian.resize(m, m);
  criterion_.gradient(state.gradient.data(), state.hessian.data());
  ++gradients_;
  state.gradient.array() *= theta.array();
  state.hessian = theta.asDiagonal() * state.hessian * theta.asDiagonal();
}

Optimum Optimizer::newton(const VectorXd& start) {
  const double floor = std::log(kFloor);
  State state;
  state.x = start.array().max(kFloor).log();
  state.value = evaluate(state.x.array().exp());
  if (!std::isfinite(state.value)) {
    state.x.setZero();
    state.value = evaluate(state.x.array().exp());
    if (!std::isfinite(state.value))
      return finish(state, std::numeric_limits<double>::infinity(), false, kNoStart);
  }
  double predicted = std::numeric_limits<double>::infinity(), before = predicted;
  int slow = 0;
  bool converged = false;
  const char* message = "too many evaluations";
  std::vector<Index> free;
  while (evaluations_ < options_.max_evaluations) {
    if (arrives(state.x.array().exp(), state.value))
      return finish(state, predicted, false, kArrived);
    gradient_in_log(state);
    free.clear();
    for (Index i = 0; i < state.x.size(); ++i)
      if ((state.x(i) > floor || state.gradient(i) < 0.0) &&
          !criterion_.is_held(static_cast<int>(i), reml_))
        free.push_back(i);
    VectorXd step = newton_step(state.hessian, state.gradient, free);
    predicted = -0.5 * state.gradient.dot(step);
    if (predicted < options_.tolerance) {
      converged = true;
      message = kConverged;
      last_step(state, (state.x + step).cwiseMax(floor), true);
      break;
    }
    slow = predicted > 0.3 * before ? slow + 1 : 0;
    before = predicted;
    if (slow == kSlowSteps) {
      message = "slow convergence";
      break;
    }
    step *= std::min(1.0, 2.0 / step.cwiseAbs().maxCoeff());
    const double slope = state.gradient.dot(step);
    State trial;
    double length = 1.0;
    for (int halving = 0; halving < kHalvings; ++halving, length *= 0.5) {
      trial.x = (state.x + length * step).cwiseMax(floor);
      trial.value = evaluate(trial.x.array().exp());
      if (trial.value <= state.value + kSufficient * length * slope) break;
    }
    if (!(trial.value < state.value)) {
      // Rounding hides any further decrease.
      criterion_.objective(VectorXd(state.x.array().exp()).data(), Scale::internal, reml_);
      converged = predicted < threshold();
      message = kStuck;
      break;
    }
    state = std::move(trial);
  }
  // At the floor, where the criterion falls towards still smaller scales: the variance is zero.
  VectorXd theta = state.x.array().exp();
  bool zeroed = false;
  for (Index i = 0; i < theta.size(); ++i)
    if (state.x(i) <= floor && state.gradient.size() > 0 && state.gradient(i) >= 0.0) {
      theta(i) = 0.0;
      zeroed = true;
    }
  criterion_.impose(theta.data(), reml_);
  state.x = theta;
  if (zeroed) state.value = evaluate(theta);
  return finish(state, predicted, converged, message);
}

// The gradient in theta and an approximate Hessian. With d a function of Sigma = lambda lambda',
//   d2d = d2/dSigma2 [dSigma, dSigma] + 2 tr(N dlambda dlambda'),   N = dd/dSigma:
// average information stands for the first part; of the second the positive part is kept.
void Optimizer::gradient_and_hessian(State& state) {
  const Index m = state.x.size();
  state.gradient.resize(m);
  state.hessian.resize(m, m);
  criterion_.gradient(state.gradient.data(), state.hessian.data());
  ++gradients_;
  for (const Block& block : blocks_)
    for (const int term : block.terms) {
      const CovarianceStructure& structure = criterion_.structure(term);
      const int k = structure.size(), first = criterion_.first_parameter(term);
      MatrixXd lambda(k, k), a(k, k), b(k, k);
      structure.lambda(state.x.data() + first, lambda.data());
      // Near a singular lambda the division by it leaves only rounding errors; N changes little, so
      // the last good one serves.
      if (lambda.diagonal().cwiseAbs().minCoeff() > 1e-3) {
        const Eigen::SelfAdjointEigenSolver<MatrixXd> N(covariance_gradient(term, lambda));
        positive_[static_cast<std::size_t>(term)] = N.eigenvectors() *
                                                    N.eigenvalues().cwiseMax(0.0).asDiagonal() *
                                                    N.eigenvectors().transpose();
      }
      const MatrixXd& positive = positive_[static_cast<std::size_t>(term)];
      if (positive.size() == 0) continue;
      for (int i = 0; i < structure.parameters(); ++i) {
        interrupt_.poll(static_cast<double>(k) * k * (k + structure.parameters()));
        structure.derivative(state.x.data() + first, i, a.data());
        const MatrixXd Na = 2.0 * positive * a;
        for (int j = 0; j < structure.parameters(); ++j) {
          structure.derivative(state.x.data() + first, j, b.data());
          state.hessian(first + i, first + j) += (Na.array() * b.array()).sum();
        }
      }
    }
}

// The Hessian in the free parameters by differences of the gradient, where it can be computed. The
// criterion is at x again afterwards.
void Optimizer::difference_hessian(State& state, const std::vector<Index>& free) {
  const Index m = state.x.size();
  MatrixXd H = MatrixXd::Zero(m, m);
  VectorXd gradient(m);
  bool finite = true;
  for (const Index i : free) {
    VectorXd moved = state.x;
    const double h = 1e-4 * std::max(std::abs(moved(i)), 0.01);
    moved(i) += h;
    finite = finite && std::isfinite(evaluate(moved));
    if (!finite) break;
    criterion_.gradient(gradient.data());
    ++gradients_;
    H.col(i) = (gradient - state.gradient) / h;
  }
  if (finite) state.hessian = 0.5 * (H + H.transpose());
  evaluate(state.x);
}

// What a step may leave to gain of a minimum, at the last evaluation.
double Optimizer::threshold() { return std::max(options_.tolerance, criterion_.rounding_error()); }

// N = dd/d(lambda lambda') of a term, from dd/dlambda = 2 N lambda at the last gradient.
MatrixXd Optimizer::covariance_gradient(int term, const MatrixXd& lambda) const {
  const Index k = lambda.rows();
  const MatrixXd M = Eigen::Map<const MatrixXd>(criterion_.lambda_gradient(term).data(), k, k);
  const MatrixXd N = 0.5 * M * lambda.inverse();
  return 0.5 * (N + N.transpose());
}

// Shortens the step until the value falls enough (Armijo), by the minimum of the parabola through
// what is known, within limits. Returns the part of the step taken.
double Optimizer::search_along(const State& state, const VectorXd& step, State& trial) {
  const double slope = state.gradient.dot(step);
  double length = 1.0;
  for (int tries = 0; tries < kHalvings; ++tries) {
    trial.x = state.x + length * step;
    trial.value = evaluate(trial.x);
    const double rise = trial.value - state.value;
    if (rise <= kSufficient * length * slope) return length;
    const double parabola = -0.5 * slope * length * length / (rise - length * slope);
    length =
        std::isfinite(parabola) ? std::clamp(parabola, 0.1 * length, 0.5 * length) : 0.1 * length;
  }
  trial.value = std::numeric_limits<double>::infinity();
  return 0.0;
}

// Whether the gradient at the start is rounding error, as it is where moments give the minimum
// (balanced designs): no Hessian is needed to say so. Looked at only where the factor outlives the
// gradient, so that nothing is lost.
bool Optimizer::is_minimum(State& state) {
  if (!criterion_.keeps_factor()) return false;
  state.gradient.resize(state.x.size());
  criterion_.gradient(state.gradient.data());
  ++gradients_;
  return largest_decrease(state) < options_.tolerance;
}

double Optimizer::largest_decrease(const State& state) {
  return 0.5 * state.gradient.squaredNorm() / kFlat;
}

Optimum Optimizer::quasi_newton(const VectorXd& start) {
  const Index m = start.size();
  for (MatrixXd& N : positive_) N.resize(0, 0);
  State state;
  state.x = start;
  state.value = evaluate(state.x);
  if (!std::isfinite(state.value)) {
    state.x = Eigen::Map<const VectorXd>(criterion_.other_starts().front().data(), m);
    criterion_.impose(state.x.data(), reml_);
    state.value = evaluate(state.x);
    if (!std::isfinite(state.value))
      return finish(state, std::numeric_limits<double>::infinity(), false, kNoStart);
  }
  if (is_minimum(state)) return finish(state, largest_decrease(state), true, kConverged);
  gradient_and_hessian(state);
  double predicted = std::numeric_limits<double>::infinity(), before = predicted;
  bool fresh = true;   // the Hessian is computed at x, not updated
  bool newton = true;  // compute it again after each step, as long as its steps are good
  bool exact = false;  // it is the exact one
  int poor = 0, resets = 0;
  const std::vector<Index> free = criterion_.free_parameters(reml_);
  while (evaluations_ < options_.max_evaluations) {
    VectorXd step = newton_step(state.hessian, state.gradient, free);
    predicted = -0.5 * state.gradient.dot(step);
    if (predicted < options_.tolerance) {
      if (predicted > kExact) last_step(state, state.x + step, false);
      return finish(state, predicted, true, kConverged);
    }
    const double cap = std::max(1.0, state.x.cwiseAbs().maxCoeff());
    step *= std::min(1.0, cap / step.cwiseAbs().maxCoeff());
    State trial;
    const double length = search_along(state, step, trial);
    if (arrives(trial.x, trial.value)) return finish(trial, predicted, false, kArrived);
    if (!(trial.value < state.value)) {
      criterion_.objective(state.x.data(), Scale::internal, reml_);
      const bool converged = predicted < threshold();
      if (converged || exact) return finish(state, predicted, converged, kStuck);
      // First the computed Hessian instead of the updated one, then none at all, and last the exact
      // one: where its steps fail too, it says how much is left to gain.
      ++resets;
      if (!fresh) {
        gradient_and_hessian(state);
      } else if (resets < 3) {
        state.hessian = MatrixXd::Identity(m, m) * state.gradient.cwiseAbs().maxCoeff();
      } else {
        difference_hessian(state, free);
        exact = true;
      }
      fresh = true;
      newton = false;
      continue;
    }
    // A computed Hessian that twice running predicts the decrease badly, or converges slowly, is
    // worse than an updated one.
    const double expected = -length * state.gradient.dot(step) * (1.0 - 0.5 * length);
    const double ratio = (state.value - trial.value) / expected;
    poor = ratio < 0.5 || ratio > 2.0 || predicted > 0.3 * before ? poor + 1 : 0;
    before = predicted;
    newton = newton && poor < 2;
    if (newton) {
      gradient_and_hessian(trial);
    } else {
      trial.gradient.resize(m);
      criterion_.gradient(trial.gradient.data());
      ++gradients_;
      trial.hessian = std::move(state.hessian);
      update_bfgs(trial.hessian, trial.x - state.x, trial.gradient - state.gradient);
    }
    fresh = newton;
    exact = false;
    resets = 0;
    state = std::move(trial);
  }
  return finish(state, predicted, false, "too many evaluations");
}

// Let N = d d / d(lambda lambda'), from the gradient M = 2 N lambda at a slightly enlarged lambda.
// Where N has a negative eigenvalue, adding variance along its eigenvector lowers d.
bool Optimizer::escape(Optimum& optimum) {
  constexpr double kEnlarge = 1e-2, kSingular = 1e-3;
  bool singular = false;
  VectorXd enlarged = Eigen::Map<const VectorXd>(optimum.theta.data(), criterion_.parameters());
  std::vector<MatrixXd> lambdas;
  std::vector<int> terms;
  for (const Block& block : blocks_)
    for (const int term : block.terms) {
      const CovarianceStructure& structure = criterion_.structure(term);
      const int k = structure.size(), first = criterion_.first_parameter(term);
      bool held = true;
      for (int a = first; a < first + structure.parameters(); ++a)
        held = held && criterion_.is_held(a, reml_);
      if (held) continue;
      MatrixXd lambda(k, k), factor(k, k);
      structure.lambda(optimum.theta.data() + first, lambda.data());
      const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(lambda * lambda.transpose());
      if (!(eigen.eigenvalues().minCoeff() < kSingular * kSingular)) continue;
      singular = true;
      factor = eigen.eigenvectors() *
               eigen.eigenvalues().array().max(kEnlarge * kEnlarge).sqrt().matrix().asDiagonal();
      structure.from_factor(factor.data(), enlarged.data() + first);
      lambdas.push_back(lambda);
      terms.push_back(term);
    }
  if (!singular || !std::isfinite(evaluate(enlarged))) return false;
  VectorXd gradient(enlarged.size());
  criterion_.gradient(gradient.data());
  ++gradients_;
  const VectorXd at_optimum = Eigen::Map<const VectorXd>(optimum.theta.data(), enlarged.size());
  struct Direction {
    double curvature;
    std::size_t place;
    VectorXd vector;
  };
  std::vector<Direction> directions;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const CovarianceStructure& structure = criterion_.structure(terms[i]);
    const int k = structure.size();
    MatrixXd lambda(k, k);
    structure.lambda(enlarged.data() + criterion_.first_parameter(terms[i]), lambda.data());
    MatrixXd N = covariance_gradient(terms[i], lambda);
    if (structure.scales_only()) N = MatrixXd(N.diagonal().asDiagonal());
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(N);
    directions.push_back({eigen.eigenvalues()(0), i, eigen.eigenvectors().col(0)});
  }
  const auto steepest = std::min_element(
      directions.begin(), directions.end(),
      [](const Direction& a, const Direction& b) { return a.curvature < b.curvature; });
  const double needed = optimum.objective - 1e-7;
  if (!(steepest->curvature < 0.0)) return false;
  const MatrixXd& lambda = lambdas[steepest->place];
  const CovarianceStructure& structure = criterion_.structure(terms[steepest->place]);
  for (const double length : {0.3, 0.1, 0.03, 0.01}) {
    MatrixXd covariance = lambda * lambda.transpose() +
                          length * length * steepest->vector * steepest->vector.transpose();
    semidefinite_cholesky(covariance.data(), structure.size());
    VectorXd trial = at_optimum;
    structure.from_factor(covariance.data(),
                          trial.data() + criterion_.first_parameter(terms[steepest->place]));
    criterion_.impose(trial.data(), reml_);
    if (!(evaluate(trial) < needed)) continue;
    optimum.theta.assign(trial.data(), trial.data() + trial.size());
    return true;
  }
  return false;
}

}  // namespace crossnest
