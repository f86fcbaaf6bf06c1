#include "crossnest/problem.hpp"

#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "crossnest/prediction.hpp"
#include "crossnest/row_sums.hpp"
#include "crossnest/small_dense.hpp"
#include "crossnest/start.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

int thread_count(int asked) {
  if (asked < 0) throw std::invalid_argument("threads must not be negative");
  // Asked once: the system opens a file to answer, which takes longer than a small fit's moments.
  static const int here = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return asked > 0 ? asked : here;
}

std::size_t available_memory(std::size_t asked) {
  if (asked > 0) return asked;
#if defined(_SC_PHYS_PAGES)
  const double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  return static_cast<std::size_t>(0.9 * bytes);
#else
  return 0;
#endif
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::isfinite(value); });
}

bool all_finite(const Estimates& estimates) {
  const auto finite = [](const std::vector<double>& values) { return all_finite(values); };
  return std::isfinite(estimates.objective) && std::isfinite(estimates.sigma) &&
         all_finite(estimates.beta) && all_finite(estimates.RX) && all_finite(estimates.fitted) &&
         std::all_of(estimates.u.begin(), estimates.u.end(), finite) &&
         std::all_of(estimates.b.begin(), estimates.b.end(), finite);
}

}  // namespace

Problem::Problem(Design design, const ProblemOptions& options, InterruptCheck interrupt)
    : design_(std::move(design)),
      interrupt_(std::move(interrupt)),
      kernels_(options.kernels != nullptr ? *options.kernels : eigen_kernels()),
      memory_limit_(available_memory(options.memory_limit)),
      pool_(thread_count(options.threads), &interrupt_) {
  design_.validate(&interrupt_);
  weight_spread_ = WeightSpread(design_, interrupt_);
  blocks_ = make_blocks(design_);
  coordinates_ = std::make_unique<Coordinates>(design_, blocks_, pool_);
  if (coordinates_->rank() >= design_.n)
    throw FitError(
        "as many fixed effects as observations: there are no residual degrees of freedom");
  check_memory(0.0, 0.0);
  A_ = std::make_unique<CrossProducts>(design_, blocks_, *coordinates_, pool_, interrupt_);
  coordinates_->set_scale(A_->border_border().back(), design_.n);
  A_->scale_response(coordinates_->mapped_scale());
  coordinates_->check_range();
  find_confounded();
  structure_ = std::make_unique<Structure>(blocks_, *A_, options.tail, memory_limit_, &interrupt_);
  check_memory(A_->bytes(), structure_->bytes());
  workspace_ =
      std::make_unique<FactorWorkspace>(blocks_, *A_, *structure_, kernels_, pool_, interrupt_);
  criterion_ = std::make_unique<Criterion>(design_, blocks_, *coordinates_, *A_, *workspace_);
  hold();
}

void Problem::hold() {
  criterion_->hold(held_parameters(identifiability_, design_, blocks_, *coordinates_, *A_));
}

// Effects that are not seen come first in their term's coordinates, so that they can be held.
void Problem::find_confounded() {
  identifiability_ = identify(design_, blocks_, *coordinates_, *A_, interrupt_);
  bool changed = false;
  for (std::size_t t = 0; t < design_.terms.size(); ++t) {
    if (identifiability_.axes[t].size() == 0) continue;
    coordinates_->use(static_cast<int>(t), identifiability_.axes[t]);
    changed = true;
  }
  if (!changed) return;
  A_ = std::make_unique<CrossProducts>(design_, blocks_, *coordinates_, pool_, interrupt_);
  A_->scale_response(coordinates_->mapped_scale());
}

// Throws when what is known so far of the memory needed passes the limit: all that depends on the
// numbers of levels, effects and parameters alone, and what the two arguments say.
void Problem::check_memory(double cross_products, double factor) const {
  if (memory_limit_ == 0) return;
  const int border = static_cast<int>(coordinates_->rank()) + 1;
  double parameters = 0.0, diagonal = 0.0;
  Index q = 0;
  for (const Term& term : design_.terms)
    parameters +=
        make_structure(term.structure, static_cast<int>(term.columns.size()))->parameters();
  for (const Block& block : blocks_) {
    q += block.size();
    diagonal += 8.0 * static_cast<double>(block.size()) * (block.k + border);
  }
  const double workspace = Criterion::workspace_bytes(q, border, parameters);
  // The cross-products hold the blocks on the diagonal, the factor them and their inverse.
  const double known = std::max(cross_products, diagonal) + std::max(factor, 2.0 * diagonal);
  if (known + workspace > static_cast<double>(memory_limit_))
    throw MemoryLimitError("this model needs about " + readable_bytes(known + workspace) +
                           ", of which " + readable_bytes(workspace) + " for the derivatives of " +
                           std::to_string(q) + " random effects in " +
                           std::to_string(static_cast<Index>(parameters)) +
                           " covariance parameters, more than the limit of " +
                           readable_bytes(static_cast<double>(memory_limit_)));
}

void Problem::set_response(const double* y) {
  for (Index i = 0; i < design_.n; ++i)
    if (!std::isfinite(y[i]))
      throw std::invalid_argument("the response has a value that is not finite");
  const double* before = design_.y;
  try {
    read_response(y, interrupt_);
  } catch (...) {
    InterruptCheck never;
    const ThreadPool::Uninterrupted finish(pool_);
    read_response(before, never);
    throw;
  }
}

void Problem::read_response(const double* y, InterruptCheck& interrupt) {
  design_.y = y;
  coordinates_->set_response(design_, pool_);
  A_->set_response(design_, blocks_, *coordinates_, pool_, interrupt);
  coordinates_->set_scale(A_->border_border().back(), design_.n);
  A_->scale_response(coordinates_->mapped_scale());
  coordinates_->check_range();
  hold();
}

void Problem::check(const std::vector<double>& theta) const {
  const std::vector<double>& bounds = criterion_->lower_bounds();
  if (theta.size() != bounds.size())
    throw std::invalid_argument("theta has " + std::to_string(theta.size()) +
                                " values where the model has " + std::to_string(bounds.size()) +
                                " covariance parameters");
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (!std::isfinite(theta[i]) || theta[i] < bounds[i])
      throw std::invalid_argument("theta[" + std::to_string(i) +
                                  "] is not finite or below its lower bound");
}

double Problem::objective(const std::vector<double>& theta, bool reml) {
  check(theta);
  const OneThreadEach kernels(kernels_);
  return criterion_->objective(theta.data(), Scale::user, reml);
}

double Problem::gradient(const std::vector<double>& theta, bool reml,
                         std::vector<double>& gradient) {
  const OneThreadEach kernels(kernels_);
  const double value = objective(theta, reml);
  gradient.resize(theta.size());
  if (std::isfinite(value)) criterion_->gradient(gradient.data());
  return value;
}

void Problem::require_finite(const std::vector<double>& theta, bool reml) {
  if (!std::isfinite(objective(theta, reml)))
    throw FitError(
        "the criterion cannot be computed at this theta: it is too large for double precision");
}

Estimates Problem::estimates(const std::vector<double>& theta, bool reml) {
  const OneThreadEach kernels(kernels_);
  require_finite(theta, reml);
  Estimates out;
  out.theta = theta;
  out.reml = reml;
  out.nu = criterion_->nu(reml);
  out.log_det_omega = criterion_->elimination().log_det();
  fixed_estimates(out);
  random_estimates(out);
  residuals(out);
  // The criterion again, with r2 summed from residuals instead of differenced.
  out.objective = out.log_det_omega - A_->log_weights() + (reml ? out.log_det_C : 0.0) +
                  out.nu * (1.0 + std::log(2.0 * 3.14159265358979323846 * out.pwrss / out.nu));
  out.sigma = std::sqrt(out.pwrss / out.nu);
  if (!(out.pwrss > 0.0))
    throw FitError(
        "the residual variance is zero: fixed and random effects fit the response exactly");
  if (!all_finite(out))
    throw FitError("an estimate is too large for double precision: give the columns other units");
  const std::vector<double> internal = criterion_->to_internal(theta.data());
  for (std::size_t t = 0; t < design_.terms.size(); ++t)
    out.singular.push_back(criterion_->is_singular(static_cast<int>(t), internal.data()));
  return out;
}

// beta = T^-1 (beta0 + s R_X^-1 c_beta), and RX'RX = T'C~T.
void Problem::fixed_estimates(Estimates& out) const {
  const Index r = coordinates_->rank();
  const Eigen::Map<const MatrixXd> F(criterion_->elimination().border().data(), r + 1, r + 1);
  const auto R = F.topLeftCorner(r, r).triangularView<Eigen::Upper>();
  const VectorXd residual = R.solve(F.col(r).head(r));
  const VectorXd internal = coordinates_->beta0() + coordinates_->scale() * residual;
  const MatrixXd& T = coordinates_->fixed();
  const VectorXd beta = T.partialPivLu().solve(internal);
  out.beta.assign(beta.data(), beta.data() + r);
  MatrixXd RX = MatrixXd::Zero(r, r);
  if (r > 0) {
    const MatrixXd product = R * T;
    RX = Eigen::HouseholderQR<MatrixXd>(product).matrixQR().triangularView<Eigen::Upper>();
    for (Eigen::Index i = 0; i < r; ++i)
      if (RX(i, i) < 0.0) RX.row(i) = -RX.row(i);
  }
  out.log_det_C = r > 0 ? 2.0 * RX.diagonal().array().log().sum() : 0.0;
  out.RX.assign(RX.data(), RX.data() + r * r);
}

void Problem::random_estimates(Estimates& out) const {
  const Index q = criterion_->vectors().q(), r = coordinates_->rank();
  const double* W = criterion_->elimination().border_solution().data() + r * q;
  const double root = criterion_->elimination().border().back() * coordinates_->scale();
  out.u.resize(design_.terms.size());
  out.b.resize(design_.terms.size());
  for (const Term& term : design_.terms)
    out.effects.push_back(static_cast<int>(term.columns.size()));
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j];
      const CovarianceStructure& structure = criterion_->structure(term);
      const int k = structure.size();
      MatrixXd lambda(k, k);
      structure.lambda(out.theta.data() + criterion_->first_parameter(term), lambda.data());
      MatrixXd u(k, block.levels);
      for (Index l = 0; l < block.levels; ++l)
        for (int i = 0; i < k; ++i)
          u(i, l) = root * W[criterion_->vectors().start(static_cast<int>(t)) + l * block.k +
                             block.offsets[j] + i];
      const MatrixXd b = lambda * u;
      out.u[at(term)].assign(u.data(), u.data() + u.size());
      out.b[at(term)].assign(b.data(), b.data() + b.size());
    }
  }
}

// Fitted values and pwrss, row by row.
void Problem::residuals(Estimates& out) {
  const Index r = coordinates_->rank(), q = criterion_->vectors().q(),
              width = coordinates_->row_width();
  const double mapped_s = coordinates_->mapped_scale(), s = coordinates_->scale();
  const double unit = coordinates_->response_unit();
  const VectorXd& beta0 = coordinates_->mapped_beta0();
  const Eigen::Map<const MatrixXd> F(criterion_->elimination().border().data(), r + 1, r + 1);
  const VectorXd beta =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(F.col(r).head(r));
  const double* W = criterion_->elimination().border_solution().data() + r * q;
  const double root = criterion_->elimination().border().back();
  std::vector<double> b(at(q));
  criterion_->multiply_lambda(W, 1, b.data());
  out.fitted.resize(at(design_.n));
  double sum = 0.0;
  sum_over_rows(pool_, design_.n, 1, &sum, [&](Index begin, Index end, double* partial) {
    constexpr Index kRows = 256;
    std::vector<double> mapped(at(kRows * width));
    for (Index first = begin; first < end; first += kRows) {
      const Index last = std::min(first + kRows, end);
      coordinates_->map_rows(design_, first, last, mapped.data());
      for (Index i = first; i < last; ++i) {
        const double* row = mapped.data() + (i - first) * width;
        const double* x = row + width - r - 2;
        double mean = 0.0, ordinary = 0.0;  // X~beta~ + Z~b~, and X~beta0
        for (Index j = 0; j < r; ++j) {
          mean += x[j] * beta(j);
          ordinary += x[j] * beta0(j);
        }
        for (std::size_t t = 0; t < blocks_.size(); ++t) {
          const Block& block = blocks_[t];
          const Level level = design_.factors[at(block.factor)].codes[i];
          mean += root * dot<0>(row + block.first_column,
                                b.data() + criterion_->vectors().start(static_cast<int>(t)) +
                                    Index{level} * block.k,
                                block.k);
        }
        const double residual = x[r] / mapped_s - mean;
        *partial += x[r + 1] * residual * residual;
        out.fitted[at(i)] = (ordinary + mapped_s * mean) * unit;
      }
    }
  });
  double penalty = 0.0;
  for (Index i = 0; i < q; ++i) penalty += W[i] * W[i];
  out.pwrss = s * s * (sum + root * root * penalty);
}

Fit Problem::fit(bool reml, const std::vector<double>& start, const OptimizerOptions& options) {
  const OneThreadEach kernels(kernels_);
  const auto began = std::chrono::steady_clock::now();
  std::vector<double> from;
  if (start.empty()) {
    from = moment_start(blocks_, *A_, *criterion_);
  } else {
    check(start);
    from = criterion_->to_internal(start.data());
  }
  ProfiledCriterion objective(*criterion_, reml, structure_->work(), interrupt_);
  if (weight_spread_.wide()) objective.search_widely(blocks_, *A_, weight_spread_);
  Optimizer optimizer(objective, options);
  const Optimum best =
      optimizer.find_minimum(from, start.empty() ? Breadth::all_starts : Breadth::one_start);
  if (!std::isfinite(best.value))
    throw FitError("the criterion could not be computed at any trial theta");
  Fit fit;
  criterion_->impose(from.data(), reml);
  fit.start = start.empty() ? criterion_->to_user(from.data()) : start;
  fit.estimates = estimates(criterion_->to_user(best.x.data()), reml);
  for (std::size_t t = 0; t < design_.terms.size(); ++t)
    fit.estimates.singular[t] =
        criterion_->is_estimated_singular(static_cast<int>(t), best.x.data());
  fit.predicted_decrease = best.verdict.predicted_decrease;
  fit.evaluations = best.evaluations;
  fit.gradients = best.gradients;
  fit.converged = best.converged();
  fit.message = best.verdict.message();
  fit.confounded = identifiability_.confounded;
  if (fits_exactly(best.x, fit.estimates)) fit_exact_response(best.x, optimizer, fit);
  fit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return fit;
}

// Whether r2 falls as 1 / theta^2, as it does where random and fixed effects leave no residuals.
// `theta` (engine's coordinates) is where the search ended; r2 has no digits left beyond kClear.
bool Problem::fits_exactly(std::vector<double> theta, const Estimates& found) {
  constexpr double kSmall = 1e-8, kClear = 3e5, kShrink = 1e-2;
  const double s = coordinates_->scale();
  if (!(found.pwrss < kSmall * s * s * static_cast<double>(design_.n))) return false;
  double largest = 0.0;
  for (const double value : theta) largest = std::max(largest, std::abs(value));
  const auto pwrss = [&](double shrink) {
    for (double& value : theta) value *= shrink;
    const double value = criterion_->objective(theta.data(), Scale::internal, found.reml);
    return std::isfinite(value) ? criterion_->pwrss() : 0.0;
  };
  const double near = pwrss(std::min(1.0, kClear / largest)), far = pwrss(kShrink);
  return near > 0.0 && far * kShrink * kShrink > 0.99 * near;
}

// The criterion falls for ever as theta grows in proportion. Its largest scale is held where
// rounding is harmless, the others are estimated in proportion to it.
void Problem::fit_exact_response(std::vector<double> theta, Optimizer& optimizer, Fit& fit) {
  constexpr double kLarge = 1e4;
  const bool reml = fit.estimates.reml;
  const std::vector<double>& bounds = criterion_->lower_bounds();
  int largest = -1;
  for (int a = 0; a < criterion_->parameters(); ++a)
    if (bounds[at(a)] == 0.0 && (largest < 0 || theta[at(a)] > theta[at(largest)])) largest = a;
  const double shrink = kLarge / theta[at(largest)];
  for (double& value : theta) value *= shrink;
  std::vector<HeldParameter> held = criterion_->held();
  held.push_back({largest, kLarge, false});
  criterion_->hold(std::move(held));
  const Optimum best = optimizer.minimize(theta);
  hold();
  fit.estimates = estimates(criterion_->to_user(best.x.data()), reml);
  fit.evaluations += best.evaluations;
  fit.gradients += best.gradients;
  fit.converged = false;
  fit.message = "the response is fitted exactly: the criterion has no minimum";
  for (int term = 0; term < static_cast<int>(design_.terms.size()); ++term) {
    const int first = criterion_->first_parameter(term);
    const int last = first + criterion_->structure(term).parameters();
    Confounding exact{Confounding::Kind::exact, term, {}};
    if (std::any_of(best.x.begin() + first, best.x.begin() + last,
                    [](double value) { return std::abs(value) > 1.0; }))
      for (int j = 0; j < criterion_->structure(term).size(); ++j) exact.effects.push_back(j);
    if (!exact.effects.empty()) fit.confounded.push_back(std::move(exact));
  }
}

Profiler Problem::profiler(const OptimizerOptions& options) {
  const Fit best = fit(false, {}, options);
  return {*criterion_,
          design_,
          blocks_,
          kernels_,
          interrupt_,
          criterion_->to_internal(best.estimates.theta.data()),
          structure_->work() < options.cheap};
}

std::vector<std::vector<double>> Problem::conditional_variances(const Estimates& at_theta) {
  const OneThreadEach kernels(kernels_);
  require_finite(at_theta.theta, at_theta.reml);
  const InverseDiagonal& omega = criterion_->inverse_diagonal();
  std::vector<std::vector<double>> out(design_.terms.size());
  const double variance = at_theta.sigma * at_theta.sigma;
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], offset = block.offsets[j];
      const int k = criterion_->structure(term).size();
      MatrixXd lambda(k, k);
      criterion_->structure(term).lambda(at_theta.theta.data() + criterion_->first_parameter(term),
                                         lambda.data());
      out[at(term)].resize(at(block.levels * k * k));
      for (Index l = 0; l < block.levels; ++l) {
        const Eigen::Map<const MatrixXd> inverse(omega.diagonal(static_cast<int>(t), l), block.k,
                                                 block.k);
        Eigen::Map<MatrixXd>(out[at(term)].data() + l * k * k, k, k) =
            variance * (lambda * inverse.block(offset, offset, k, k) * lambda.transpose());
      }
    }
  }
  return out;
}

ConditionalCovariance Problem::conditional_covariance(const Estimates& at_theta) {
  require_finite(at_theta.theta, at_theta.reml);
  return {design_,  blocks_, *coordinates_, *structure_, *criterion_, at_theta.theta.data(),
          kernels_, pool_,   interrupt_};
}

// z Lambda Omega^-1 Lambda' z' of one row; `mapped` is the row in the engine's coordinates.
double Problem::leverage_of_random(const Inverse& omega, Index row, const double* mapped) const {
  double sum = 0.0;
  std::vector<double> left, right, inverse;
  const auto scaled = [&](std::size_t t, std::vector<double>& out) {
    out.resize(at(blocks_[t].k));
    multiply_transposed(criterion_->lambda(static_cast<int>(t)).data(),
                        mapped + blocks_[t].first_column, blocks_[t].k, blocks_[t].k, 1,
                        out.data());
  };
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Level level_t = design_.factors[at(blocks_[t].factor)].codes[row];
    const int k = blocks_[t].k;
    scaled(t, left);
    const double* own = omega.diagonal(static_cast<int>(t), level_t);
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < k; ++i) sum += left[at(i)] * own[j * k + i] * left[at(j)];
    for (std::size_t s = 0; s < t; ++s) {
      const Level level_s = design_.factors[at(blocks_[s].factor)].codes[row];
      scaled(s, right);
      inverse.resize(at(blocks_[s].k * k));
      omega.block(static_cast<int>(s), level_s, static_cast<int>(t), level_t, inverse.data());
      for (int j = 0; j < k; ++j)
        sum += 2.0 * left[at(j)] *
               dot<0>(right.data(), inverse.data() + j * blocks_[s].k, blocks_[s].k);
    }
  }
  return sum;
}

// h_i = w_i (z Lambda Omega^-1 Lambda' z' + |(x - z Lambda U_X) R_X^-1|^2).
std::vector<double> Problem::leverages(const Estimates& at_theta) {
  const OneThreadEach kernels(kernels_);
  require_finite(at_theta.theta, at_theta.reml);
  const Inverse& omega = criterion_->inverse();
  const std::vector<double>& W = omega.border_solution();
  const Index r = coordinates_->rank(), q = criterion_->vectors().q(),
              width = coordinates_->row_width();
  const Eigen::Map<const MatrixXd> F(criterion_->elimination().border().data(), r + 1, r + 1);
  const MatrixXd inverse =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(MatrixXd::Identity(r, r));
  std::vector<double> out(at(design_.n));
  pool_.for_pieces(design_.n, 4096, [&](Index begin, Index end, int) {
    std::vector<double> row(at(width)), left;
    for (Index i = begin; i < end; ++i) {
      coordinates_->map_rows(design_, i, i + 1, row.data());
      const double* x = row.data() + width - r - 2;
      Eigen::RowVectorXd fixed = Eigen::Map<const Eigen::RowVectorXd>(x, r) * inverse;
      for (std::size_t t = 0; t < blocks_.size(); ++t) {
        const Block& block = blocks_[t];
        const Index start = criterion_->vectors().start(static_cast<int>(t)) +
                            Index{design_.factors[at(block.factor)].codes[i]} * block.k;
        left.resize(at(block.k));
        multiply_transposed(criterion_->lambda(static_cast<int>(t)).data(),
                            row.data() + block.first_column, block.k, block.k, 1, left.data());
        for (Index j = 0; j < r; ++j)
          fixed(j) -= dot<0>(left.data(), W.data() + j * q + start, block.k);
      }
      out[at(i)] = x[r + 1] * (leverage_of_random(omega, i, row.data()) + fixed.squaredNorm());
    }
  });
  return out;
}

VarianceDerivatives& Problem::derivatives() {
  if (!derivatives_)
    derivatives_ = std::make_unique<VarianceDerivatives>(design_, blocks_, *coordinates_, *A_,
                                                         *structure_, *criterion_, kernels_, pool_,
                                                         interrupt_, memory_limit_);
  return *derivatives_;
}

Information Problem::information(const std::vector<double>& theta, bool reml) {
  check(theta);
  const OneThreadEach kernels(kernels_);
  return derivatives().information(theta.data(), reml);
}

Curvature Problem::curvature(const std::vector<double>& theta, bool reml, HessianKind kind) {
  check(theta);
  const OneThreadEach kernels(kernels_);
  return derivatives().curvature(theta.data(), reml, kind);
}

std::vector<double> Problem::prediction_variances(const Estimates& at_theta, const Design& rows,
                                                  const std::vector<bool>& included) {
  check_new_rows(design_, *coordinates_, rows, included);
  const OneThreadEach kernels(kernels_);
  require_finite(at_theta.theta, at_theta.reml);
  PredictionVariances variances(rows, included, blocks_, *coordinates_, *criterion_, pool_);
  std::vector<double> out = variances.compute(interrupt_);
  const double sigma = at_theta.sigma / coordinates_->root_weight_unit();
  for (double& variance : out) variance *= sigma * sigma;
  return out;
}

}  // namespace crossnest
