#include "crossnest/fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "crossnest/start.hpp"
#include "crossnest/wide_search.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// One search for one response.
class Search {
 public:
  Search(Evaluator& evaluator, const Response& response, bool reml, const OptimizerOptions& options)
      : evaluator_(evaluator),
        model_(evaluator.model()),
        response_(response),
        reml_(reml),
        criterion_(evaluator.criterion(response)),
        objective_(criterion_, reml, model_.structure().work(), evaluator.interrupt()),
        optimizer_(objective_, options) {
    const WeightSpread& weights = model_.weight_spread();
    if (weights.wide()) objective_.search_widely(model_.blocks(), model_.cross_products(), weights);
  }

  Fit run(const std::vector<double>& start);

 private:
  void set_estimates(const std::vector<double>& theta, Fit& fit);
  bool fits_exactly(std::vector<double> theta, const Estimates& found);
  void fit_exact_response(std::vector<double> theta, Fit& fit);

  Evaluator& evaluator_;
  const Model& model_;
  const Response& response_;
  bool reml_;
  Criterion& criterion_;
  ProfiledCriterion objective_;
  Optimizer optimizer_;
};

// theta in the engine's coordinates.
void Search::set_estimates(const std::vector<double>& theta, Fit& fit) {
  fit.estimates = evaluator_.estimates(response_, criterion_.to_user(theta.data()), reml_);
}

Fit Search::run(const std::vector<double>& start) {
  const auto began = std::chrono::steady_clock::now();
  std::vector<double> from;
  if (start.empty()) {
    from = moment_start(model_.blocks(), model_.cross_products(), criterion_);
  } else {
    model_.check(start);
    from = criterion_.to_internal(start.data());
  }
  const Optimum best =
      optimizer_.find_minimum(from, start.empty() ? Breadth::all_starts : Breadth::one_start);
  if (!std::isfinite(best.value))
    throw FitError("the criterion could not be computed at any trial theta");
  Fit fit;
  criterion_.impose(from.data(), reml_);
  fit.start = start.empty() ? criterion_.to_user(from.data()) : start;
  set_estimates(best.x, fit);
  for (std::size_t t = 0; t < model_.design().terms.size(); ++t)
    fit.estimates.singular[t] =
        criterion_.is_estimated_singular(static_cast<int>(t), best.x.data());
  fit.predicted_decrease = best.verdict.predicted_decrease;
  fit.evaluations = best.evaluations;
  fit.gradients = best.gradients;
  fit.converged = best.converged();
  fit.message = best.verdict.message();
  fit.confounded = model_.identifiability().confounded;
  if (fits_exactly(best.x, fit.estimates)) fit_exact_response(best.x, fit);
  fit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return fit;
}

// Whether r2 falls as 1 / theta^2, as it does where random and fixed effects leave no residuals.
// `theta` (engine's coordinates) is where the search ended; r2 has no digits left beyond kClear.
bool Search::fits_exactly(std::vector<double> theta, const Estimates& found) {
  constexpr double kSmall = 1e-8, kClear = 3e5, kShrink = 1e-2;
  const double s = response_.scale, n = static_cast<double>(model_.design().n);
  if (!(found.pwrss < kSmall * s * s * n)) return false;
  double largest = 0.0;
  for (const double value : theta) largest = std::max(largest, std::abs(value));
  const auto pwrss = [&](double shrink) {
    criterion_.scale(shrink, theta.data());
    const double value = criterion_.objective(theta.data(), Scale::internal, reml_);
    return std::isfinite(value) ? criterion_.pwrss() : 0.0;
  };
  const double near = pwrss(std::min(1.0, kClear / largest)), far = pwrss(kShrink);
  return near > 0.0 && far * kShrink * kShrink > 0.99 * near;
}

// The criterion falls for ever as theta grows in proportion. Its largest scale is held where
// rounding is harmless, the others are estimated in proportion to it.
void Search::fit_exact_response(std::vector<double> theta, Fit& fit) {
  constexpr double kLarge = 1e4;
  const std::vector<double>& bounds = criterion_.lower_bounds();
  int largest = -1;
  for (int a = 0; a < criterion_.parameters(); ++a)
    if (bounds[at(a)] == 0.0 && (largest < 0 || theta[at(a)] > theta[at(largest)])) largest = a;
  const double shrink = kLarge / theta[at(largest)];
  criterion_.scale(shrink, theta.data());
  Response held = response_;
  held.held.push_back({largest, kLarge, false});
  criterion_.use(held);
  const Optimum best = optimizer_.minimize(theta);
  criterion_.use(response_);
  set_estimates(best.x, fit);
  fit.evaluations += best.evaluations;
  fit.gradients += best.gradients;
  fit.converged = false;
  fit.message = "the response is fitted exactly: the criterion has no minimum";
  for (int term = 0; term < static_cast<int>(model_.design().terms.size()); ++term) {
    const int first = criterion_.first_parameter(term);
    const int last = first + criterion_.structure(term).parameters();
    Confounding exact{Confounding::Kind::exact, term, {}};
    if (std::any_of(best.x.begin() + first, best.x.begin() + last,
                    [](double value) { return std::abs(value) > 1.0; }))
      for (int j = 0; j < criterion_.structure(term).size(); ++j) exact.effects.push_back(j);
    if (!exact.effects.empty()) fit.confounded.push_back(std::move(exact));
  }
}

}  // namespace

Fit fit(Evaluator& evaluator, const Response& response, bool reml, const std::vector<double>& start,
        const OptimizerOptions& options) {
  const OneThreadEach kernels(evaluator.model().kernels());
  return Search(evaluator, response, reml, options).run(start);
}

Profiler profiler(Evaluator& evaluator, const Response& response, const OptimizerOptions& options) {
  const Fit best = fit(evaluator, response, false, {}, options);
  const Model& model = evaluator.model();
  Criterion& criterion = evaluator.criterion(response);
  return {criterion,
          model.design(),
          model.blocks(),
          model.kernels(),
          evaluator.interrupt(),
          criterion.to_internal(best.estimates.theta.data()),
          model.structure().work() < options.cheap};
}

}  // namespace crossnest
