#include "optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace crossnest {

namespace {

using Eigen::Index;
using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Ending = Verdict::Ending;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
// The least scale that is sought by its logarithm.
constexpr double kFloor = 1e-4;
// A predicted decrease this small is rounding error: the step that brings it changes nothing.
constexpr double kExact = 1e-18;
// No curvature of an objective that matters is as small.
constexpr double kFlat = 1e-9;
constexpr double kSufficient = 1e-4;  // Armijo's constant
// A difference of the value that matters between two searches.
constexpr double kLower = 1e-9;
// A round of starts that lowers the value by less is the last one.
constexpr double kWorthwhile = 1e-7;
constexpr int kRounds = 8;
// Within this of a minimum, relative to x, Newton's method leads there.
constexpr double kNear = 1e-3;
// A Hessian is no good when this many steps running are predicted badly or gain little.
constexpr int kPatience = 2, kPatienceInLogarithms = 10;
// An updated Hessian is computed again after this many updates, or four a parameter.
constexpr int kUpdates = 40;
// A step goes no further than this part of the way to a bound that is not at hand: what lies at the
// bound may look quite different.
constexpr double kPart = 0.9, kAtHand = 1e-3;
constexpr int kShortenings = 40, kEscapes = 5;

std::vector<double> numbers(const VectorXd& x) { return {x.data(), x.data() + x.size()}; }

Map<const VectorXd> vector(const std::vector<double>& x) {
  return {x.data(), static_cast<Index>(x.size())};
}

}  // namespace

const char* Verdict::message() const {
  switch (ending) {
    case Ending::tolerance:
      return "predicted decrease below tolerance";
    case Ending::rounding:
      return "predicted decrease below rounding error";
    case Ending::stuck:
      return "no further decrease found";
    case Ending::slow:
      return "slow convergence";
    case Ending::evaluations:
      return "too many evaluations";
    case Ending::arrived:
      return "arrived where another search has ended";
    case Ending::no_start:
      break;
  }
  return "the criterion cannot be computed at the start";
}

Optimizer::Optimizer(Objective& objective, const OptimizerOptions& options)
    : objective_(objective), options_(options) {}

Optimum Optimizer::find_minimum(const std::vector<double>& start, Breadth breadth) {
  const int evaluations = objective_.evaluations(), gradients = objective_.gradients();
  Optimum best = minimize(start);
  if (breadth == Breadth::one_start || !(objective_.work() < options_.cheap)) return best;
  if (breadth == Breadth::in_doubt && best.converged() && !objective_.is_wide() &&
      !objective_.is_on_boundary(vector(best.x)))
    return best;
  look_elsewhere(best);
  return counted(std::move(best), evaluations, gradients);
}

void Optimizer::look_elsewhere(Optimum& best) {
  for (const VectorXd& other : objective_.other_starts()) improve(best, numbers(other));
  if (!objective_.is_wide()) return;
  for (const VectorXd& other : objective_.scattered_starts()) improve(best, numbers(other));
  for (int round = 0; round < kRounds; ++round) {
    const double before = best.value;
    for (const VectorXd& other : objective_.starts_around(vector(best.x)))
      improve(best, numbers(other));
    if (!(best.value < before - kWorthwhile)) break;
  }
}

Optimum Optimizer::minimize(const std::vector<double>& start) {
  known_ = nullptr;
  return search(start);
}

void Optimizer::improve(Optimum& best, const std::vector<double>& start) {
  const int evaluations = objective_.evaluations() - best.evaluations;
  const int gradients = objective_.gradients() - best.gradients;
  if (!objective_.has_hessian()) kept_ = state_.hessian;
  known_ = &best;
  Optimum other = search(start);
  known_ = nullptr;
  const double lower = best.value - other.value;
  bool better = lower > kLower;
  if (better) {  // what is lower far away may be rounding errors alone
    objective_.value(vector(other.x));
    better = lower > objective_.rounding_error();
  }
  const bool surer = other.converged() && !best.converged() && lower > -kLower;
  if (better || surer)
    best = std::move(other);
  else if (!objective_.has_hessian())
    state_.hessian = kept_;
  best = counted(std::move(best), evaluations, gradients);
}

// An optimum with the work done since the objective's counts were these.
Optimum Optimizer::counted(Optimum optimum, int evaluations, int gradients) const {
  optimum.evaluations = objective_.evaluations() - evaluations;
  optimum.gradients = objective_.gradients() - gradients;
  return optimum;
}

Optimum Optimizer::search(const std::vector<double>& start) {
  const int evaluations = objective_.evaluations(), gradients = objective_.gradients();
  limit_ = evaluations + options_.max_evaluations;
  Optimum best = descend(start, objective_.scales_only() ? Chart::logarithm : Chart::identity);
  if (best.verdict.ending != Ending::arrived) {
    if (!best.converged() && objective_.evaluations() < limit_) {
      Optimum next = descend(best.x, Chart::identity);
      bool better = next.value <= best.value;
      if (!better && std::isfinite(objective_.value(vector(best.x))))
        better = next.value <= best.value + threshold();
      if (better) best = std::move(next);
    }
    escape(best);
    settle(best);
    snap(best);
  }
  return counted(std::move(best), evaluations, gradients);
}

void Optimizer::escape(Optimum& best) {
  VectorXd x;
  for (int i = 0; i < kEscapes; ++i) {
    x = vector(best.x);
    if (!objective_.escape(x, best.value)) return;
    Optimum next = descend(numbers(x), Chart::identity);
    if (!(next.value < best.value)) return;
    best = std::move(next);
  }
}

// A smooth method reaches a symmetry slowly; from there the search stays in it.
void Optimizer::settle(Optimum& best) {
  VectorXd x = vector(best.x);
  if (!objective_.settle(x)) return;
  Optimum settled = descend(numbers(x), Chart::identity);
  if (settled.converged() && settled.value < best.value) best = std::move(settled);
}

// What vanishes is found only to rounding by a smooth method: say zero where zero is as good.
void Optimizer::snap(Optimum& best) {
  VectorXd x = vector(best.x);
  if (!objective_.snap(x)) return;
  const double value = objective_.value(x);
  if (!(value <= best.value + options_.tolerance)) return;
  best.x = numbers(x);
  best.value = value;
}

// One search in one chart.
Optimum Optimizer::descend(const std::vector<double>& start, Chart chart) {
  chart_ = chart;
  predicted_ = kInfinity;
  if (!begin(start)) return finish(Ending::no_start);
  if (chart == Chart::identity && is_minimum()) return finish(Ending::tolerance);
  const bool own = objective_.has_hessian();
  if (own || state_.gradient.size() == 0) differentiate(state_, own);
  if (!own && state_.hessian.rows() != state_.x.size()) approximate();
  Model model{own, own};
  while (objective_.evaluations() < limit_) {
    list_free();
    predicted_ = find_step();
    if (predicted_ < options_.tolerance) {
      if (predicted_ > kExact) last_step();
      return finish(Ending::tolerance);
    }
    cap_step();
    const double length = search_along();
    if (arrives(trial_)) {
      std::swap(state_, trial_);
      return finish(Ending::arrived);
    }
    if (trial_.value < state_.value) {
      if (!advance(model, length)) return finish(Ending::slow);
    } else if (!recover(model)) {
      return finish(predicted_ < threshold() ? Ending::rounding : Ending::stuck);
    }
  }
  return finish(Ending::evaluations);
}

// The exact Hessian, made definite, where it can be computed.
void Optimizer::approximate() {
  const Index m = state_.x.size();
  if (objective_.exact_hessian(state_.x, state_.gradient, candidates_, state_.hessian)) {
    const MatrixXd inner = definite(state_.hessian(candidates_, candidates_));
    state_.hessian(candidates_, candidates_) = inner;
  } else if (state_.hessian.rows() != m) {
    state_.hessian.setIdentity(m, m);
  }
}

// Puts the search to its start; false where the value cannot be computed there.
bool Optimizer::begin(const std::vector<double>& start) {
  const Index m = objective_.parameters();
  objective_.begin_search(chart_ == Chart::logarithm);
  state_.gradient.resize(0);
  state_.x = vector(start);
  objective_.impose(state_.x);
  candidates_.clear();
  lower_.resize(m);
  upper_.resize(m);
  bounded_ = chart_ == Chart::logarithm;
  for (Index i = 0; i < m; ++i) {
    if (objective_.is_free(i)) candidates_.push_back(i);
    lower_(i) = bounded_ ? std::log(kFloor) : objective_.lower(i);
    upper_(i) = chart_ == Chart::logarithm ? std::log(objective_.upper(i)) : objective_.upper(i);
  }
  for (const Index i : candidates_)
    bounded_ = bounded_ || std::isfinite(lower_(i)) || std::isfinite(upper_(i));
  const auto place = [&] {
    state_.z = state_.x;
    if (chart_ == Chart::logarithm) state_.z = state_.x.array().max(kFloor).log();
    for (const Index i : candidates_) state_.z(i) = std::clamp(state_.z(i), lower_(i), upper_(i));
    trial_.x = state_.x;  // the values of what is not searched over
    evaluate(state_);
    return std::isfinite(state_.value);
  };
  if (place()) return true;
  if (!objective_.fall_back(state_.x)) return false;
  objective_.impose(state_.x);
  return place();
}

// Whether the gradient at the start is rounding error, as it is where moments give the minimum
// (balanced designs): no Hessian is needed to say so. Looked at only where nothing is lost.
bool Optimizer::is_minimum() {
  if (bounded_ || !objective_.keeps_hessian()) return false;
  differentiate(state_, false);
  // What a Newton step could bring with the least curvature that is reckoned with.
  const double most = 0.5 * state_.gradient.squaredNorm() / kFlat;
  if (!(most < options_.tolerance)) return false;
  predicted_ = most;
  return true;
}

// x of a z, and its value.
void Optimizer::evaluate(State& state) {
  for (const Index i : candidates_)
    state.x(i) = chart_ == Chart::logarithm ? std::exp(state.z(i)) : state.z(i);
  state.value = objective_.value(state.x);
}

void Optimizer::differentiate(State& state, bool with_hessian) {
  objective_.gradient(state.gradient, with_hessian ? &state.hessian : nullptr);
  if (chart_ == Chart::identity) return;
  state.gradient.array() *= state.x.array();
  if (!with_hessian) return;
  for (Index j = 0; j < state.x.size(); ++j)
    state.hessian.col(j).array() *= state.x.array() * state.x(j);
}

// All but what is held at a value, or by the gradient at a bound.
void Optimizer::list_free() {
  free_.clear();
  for (const Index i : candidates_)
    if (!(state_.z(i) <= lower_(i) && state_.gradient(i) >= 0.0) &&
        !(state_.z(i) >= upper_(i) && state_.gradient(i) <= 0.0))
      free_.push_back(i);
}

// The Newton step, and the decrease that it predicts.
double Optimizer::find_step() {
  if (!bounded_) {
    newton_.solve(state_.hessian, state_.gradient, free_, step_);
    return -0.5 * state_.gradient.dot(step_);
  }
  low_ = lower_ - state_.z;
  high_ = upper_ - state_.z;
  if (chart_ == Chart::identity) {
    low_ = (low_.array() < -kAtHand).select(kPart * low_, low_);
    high_ = (high_.array() > kAtHand).select(kPart * high_, high_);
  }
  return newton_.solve_within(state_.hessian, state_.gradient, free_, low_, high_, step_);
}

// No component by more than is reasonable, all in proportion.
void Optimizer::cap_step() {
  double cap = chart_ == Chart::logarithm ? 2.0 : 1.0, longest = 0.0;
  for (const Index i : free_) {
    if (chart_ == Chart::identity) cap = std::max(cap, std::abs(state_.z(i)));
    longest = std::max(longest, std::abs(step_(i)));
  }
  if (longest > cap) step_ *= cap / longest;
}

// Shortens the step until the value falls enough (Armijo), by the minimum of the parabola through
// what is known, within limits. Returns the part of the step taken.
double Optimizer::search_along() {
  const double slope = state_.gradient.dot(step_);
  double length = 1.0;
  for (int tries = 0; tries < kShortenings; ++tries) {
    trial_.z = state_.z + length * step_;
    evaluate(trial_);
    const double rise = trial_.value - state_.value;
    if (rise <= kSufficient * length * slope) return length;
    const double parabola = -0.5 * slope * length * length / (rise - length * slope);
    length =
        std::isfinite(parabola) ? std::clamp(parabola, 0.1 * length, 0.5 * length) : 0.1 * length;
    if (-length * slope < 0.1 * kEpsilon * std::abs(state_.value)) break;  // rounding hides it
  }
  trial_.value = kInfinity;
  return 0.0;
}

// Makes the trial the state, with its derivatives. A computed Hessian that twice running predicts
// the decrease badly, or converges slowly, is worse than an updated one: in logarithms, where it
// serves longer, false says so.
bool Optimizer::advance(Model& model, double length) {
  const double expected = -length * state_.gradient.dot(step_) * (1.0 - 0.5 * length);
  const double ratio = (state_.value - trial_.value) / expected;
  model.poor = ratio < 0.5 || ratio > 2.0 || predicted_ > 0.3 * model.before ? model.poor + 1 : 0;
  model.before = predicted_;
  if (chart_ == Chart::logarithm && model.poor == kPatienceInLogarithms) return false;
  if (chart_ == Chart::identity && model.poor == kPatience) model.recompute = false;
  differentiate(trial_, model.recompute);
  if (!model.recompute) {
    step_ = trial_.z - state_.z;
    change_ = trial_.gradient - state_.gradient;
    update_bfgs(state_.hessian, step_, change_, scratch_);
    trial_.hessian.swap(state_.hessian);
  }
  std::swap(state_, trial_);
  model.fresh = model.recompute;
  model.exact = false;
  model.resets = 0;
  if (model.recompute || ++model.updates < std::max<Index>(kUpdates, 4 * state_.x.size()))
    return true;
  model.updates = 0;
  approximate();
  model.fresh = true;
  return true;
}

// Another Hessian where the steps of this one do not lower the value: first the computed instead of
// the updated one, then none at all, and last the exact one. Where its steps fail too, it says how
// much is left to gain. False where there is nothing left to try. The objective is at the state
// then.
bool Optimizer::recover(Model& model) {
  objective_.value(state_.x);
  if (chart_ == Chart::logarithm || model.exact || predicted_ < threshold()) return false;
  const bool own = objective_.has_hessian();
  ++model.resets;
  if (own && !model.fresh) {
    differentiate(state_, true);
  } else if (own && model.resets < 3) {
    state_.hessian.setIdentity();
    state_.hessian *= state_.gradient.cwiseAbs().maxCoeff();
  } else {
    approximate();
    model.exact = true;
  }
  model.fresh = true;
  model.recompute = false;
  return true;
}

// What a step may leave to gain of a minimum, at the last evaluation.
double Optimizer::threshold() { return std::max(options_.tolerance, objective_.rounding_error()); }

// The step that need not be taken costs one evaluation, and leaves x as close to the minimum as its
// square.
void Optimizer::last_step() {
  trial_.z = state_.z + step_;
  evaluate(trial_);
  if (!(trial_.value <= state_.value)) return;
  state_.z.swap(trial_.z);
  state_.x.swap(trial_.x);
  state_.value = trial_.value;
}

// Whether a search is at the minimum that is known, and not below it.
bool Optimizer::arrives(const State& state) const {
  if (known_ == nullptr || !known_->converged() || state.value < known_->value - kLower)
    return false;
  const Map<const VectorXd> known = vector(known_->x);
  return ((state.x - known).array().abs() <= kNear * known.array().abs().max(0.1)).all();
}

Optimum Optimizer::finish(Ending ending) {
  if (chart_ == Chart::logarithm && ending != Ending::arrived) vanish();
  objective_.normalize(state_.x);
  Optimum optimum;
  optimum.x = numbers(state_.x);
  optimum.value = state_.value;
  optimum.verdict = {ending, predicted_};
  return optimum;
}

// At the floor, where the value falls towards still smaller scales: the scale is zero.
void Optimizer::vanish() {
  bool any = false;
  for (const Index i : candidates_)
    if (state_.z(i) <= lower_(i) && state_.gradient.size() > 0 && state_.gradient(i) >= 0.0) {
      state_.x(i) = 0.0;
      any = true;
    }
  if (any) state_.value = objective_.value(state_.x);
}

}  // namespace crossnest
