#include "crossnest/fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "criterion.hpp"
#include "one_thread_each.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"
#include "start.hpp"
#include "wide_search.hpp"

namespace crossnest {

namespace {

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
    objective_.after_each(options.progress);
    if (model_.may_have_several_minima())
      objective_.search_widely(model_.blocks(), model_.cross_products(), model_.weight_spread());
  }

  Fit run(const std::vector<double>& start);

 private:
  void set_estimates(const std::vector<double>& theta, Fit& fit);
  void doubt_rounded(Fit& fit);
  bool fits_exactly(std::vector<double> theta);
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
  fit.predicted_decrease = best.verdict.predicted_decrease;
  fit.evaluations = best.evaluations;
  fit.gradients = best.gradients;
  fit.converged = best.converged();
  fit.message = best.verdict.message();
  fit.confounded = model_.confounded();
  if (fits_exactly(best.x)) {
    fit_exact_response(best.x, fit);
  } else {
    set_estimates(best.x, fit);
    for (std::size_t t = 0; t < model_.design().terms.size(); ++t)
      fit.estimates.singular[t] =
          criterion_.is_estimated_singular(static_cast<int>(t), best.x.data());
    doubt_rounded(fit);
  }
  fit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return fit;
}

// No search finds a minimum that rounding errors hide. The criterion was evaluated at the
// estimates.
void Search::doubt_rounded(Fit& fit) {
  constexpr double kVisible = 1e-2;
  const double error = criterion_.rounding_error();
  if (error < kVisible) return;
  fit.predicted_decrease = std::max(fit.predicted_decrease, error);
  fit.converged = false;
  fit.message =
      "rounding errors hide the minimum: the weights, or values of a column, spread too far";
}

// Whether r2 falls as 1 / theta^2, as it does where random and fixed effects leave no residuals.
// `theta` (engine's coordinates) is where the search ended, which may be so far out that nothing
// can be computed there: r2 has no digits left beyond kClear.
bool Search::fits_exactly(std::vector<double> theta) {
  constexpr double kUsual = 10.0, kSmall = 1e-8, kClear = 3e5, kShrink = 1e-2;
  double largest = 0.0;
  for (const double value : theta) largest = std::max(largest, std::abs(value));
  if (largest < kUsual) return false;
  const auto pwrss = [&](double shrink) {
    criterion_.covariance().scale(shrink, theta.data());
    const double value = criterion_.objective(theta.data(), Frame::engine, reml_);
    return std::isfinite(value) ? criterion_.pwrss() : 0.0;
  };
  const double nearer = std::min(1.0, kClear / largest), near = pwrss(nearer);
  const double there = near * nearer * nearer;
  if (!(near > 0.0 && there < kSmall * static_cast<double>(model_.design().n))) return false;
  return pwrss(kShrink) * kShrink * kShrink > 0.99 * near;
}

// The criterion falls for ever as theta grows in proportion. Its largest parameter is held where
// rounding is harmless, the others are estimated in proportion to it; those that grow beyond it, as
// where fewer effects fit the response too, are held there as well.
void Search::fit_exact_response(std::vector<double> theta, Fit& fit) {
  constexpr double kLarge = 1e4;
  Response held = response_;
  std::vector<bool> is_large(theta.size(), false);
  double largest = 0.0;
  for (const double value : theta) largest = std::max(largest, std::abs(value));
  criterion_.covariance().scale(kLarge / largest, theta.data());
  Optimum best;
  criterion_.use(held);
  for (;;) {
    bool grown = false;
    for (std::size_t a = 0; a < theta.size(); ++a) {
      if (is_large[a] || std::abs(theta[a]) < 0.999 * kLarge) continue;
      theta[a] = std::copysign(kLarge, theta[a]);
      held.held.push_back({static_cast<int>(a), theta[a], false});
      grown = is_large[a] = true;
    }
    if (!grown) break;
    best = optimizer_.minimize(theta);
    fit.evaluations += best.evaluations;
    fit.gradients += best.gradients;
    theta = best.x;
  }
  criterion_.use(response_);
  set_estimates(best.x, fit);
  fit.converged = false;
  fit.message = "the response is fitted exactly: the criterion has no minimum";
  for (int term = 0; term < static_cast<int>(model_.design().terms.size()); ++term) {
    const int first = criterion_.covariance().first(term);
    const int last = first + criterion_.covariance().of(term).parameters();
    Confounding exact{Confounding::Kind::exact, term, {}};
    if (std::any_of(best.x.begin() + first, best.x.begin() + last,
                    [](double value) { return std::abs(value) > 1.0; }))
      for (int j = 0; j < criterion_.covariance().of(term).size(); ++j) exact.effects.push_back(j);
    if (!exact.effects.empty()) fit.confounded.push_back(std::move(exact));
  }
}

}  // namespace

Fit fit(Evaluator& evaluator, const Response& response, bool reml, const std::vector<double>& start,
        const OptimizerOptions& options) {
  const OneThreadEach kernels(evaluator.model().kernels());
  return Search(evaluator, response, reml, options).run(start);
}

}  // namespace crossnest
