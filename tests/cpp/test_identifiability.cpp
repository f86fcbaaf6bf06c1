// What cross-products cannot tell, and that the criterion is constant in it.

#include "check.hpp"
#include "identifiability.hpp"
#include "problem.hpp"

namespace {

using crossnest::Confounding;
using crossnest::Fit;
using crossnest::ModelOptions;
using designs::Problem;
using Kind = crossnest::Confounding::Kind;

ModelOptions one_thread() {
  ModelOptions options;
  options.threads = 1;
  return options;
}

// Twelve levels of five rows; X has the intercept and an indicator of each level but `free`.
designs::Data with_indicators(int free, int k, const std::string& structure = "unstructured") {
  constexpr int kLevels = 12, kRows = 60;
  std::vector<crossnest::Level> codes;
  for (int i = 0; i < kRows; ++i) codes.push_back(static_cast<crossnest::Level>(i % kLevels));
  designs::Data data(kRows, 1);
  for (int level = 0; level < kLevels - free; ++level) {
    for (const crossnest::Level code : codes) data.X.push_back(code == level ? 1.0 : 0.0);
    ++data.p;
  }
  data.add_term(data.add_factor(codes, kLevels), k, structure);
  data.simulate();
  return data;
}

}  // namespace

TEST(intercepts_within_the_span_of_X) {
  const designs::Data data = with_indicators(1, 1);
  Problem problem(data.design(), one_thread());
  const auto& found = problem.model().identifiability();
  CHECK(found.confounded.size() == 1);
  CHECK(found.confounded[0].kind == Kind::fixed && found.confounded[0].term == 0);
  CHECK(found.held.size() == 1 && found.held[0].reml_only);
  const double value = problem.objective({0.0}, true);
  for (const double theta : {0.1, 1.0, 30.0})
    CHECK_NEAR(problem.objective({theta}, true), value, 1e-10);
  const Fit fit = problem.fit(true);
  CHECK_NEAR(fit.estimates.objective, value, 1e-10);
  CHECK(fit.converged && fit.estimates.theta[0] > 0.01 && fit.estimates.theta[0] < 10.0);
  CHECK(problem.fit(false).estimates.theta[0] == 0.0);
}

TEST(three_levels_that_X_does_not_tell_apart) {
  const designs::Data data = with_indicators(3, 1);
  Problem problem(data.design(), one_thread());
  CHECK(problem.model().identifiability().confounded.empty());
  CHECK(problem.model().identifiability().held.empty());
}

TEST(intercepts_of_a_term_with_slopes) {
  for (const char* structure : {"unstructured", "diagonal"}) {
    const designs::Data data = with_indicators(1, 2, structure);
    Problem problem(data.design(), one_thread());
    const auto& found = problem.model().identifiability();
    CHECK(found.confounded.size() == 1);
    CHECK(found.confounded[0].effects == std::vector<int>{0});
    CHECK(!found.confounded[0].combination);
    const Fit fit = problem.fit(true);
    CHECK(fit.converged);
    std::vector<double> theta = fit.estimates.theta;
    theta[0] *= 3.0;
    CHECK_NEAR(problem.objective(theta, true), fit.estimates.objective, 1e-9);
    theta.back() *= 1.5;
    CHECK(problem.objective(theta, true) > fit.estimates.objective + 1e-4);
  }
}

TEST(effects_of_zeros_alone) {
  for (const int k : {1, 2}) {
    designs::Data data = with_indicators(6, 1);
    const std::vector<double> zeros(static_cast<std::size_t>(data.n), 0.0);
    designs::View design = data.design();
    design.terms[0].columns.assign(static_cast<std::size_t>(k), zeros.data());
    Problem problem(design, one_thread());
    const auto& found = problem.model().identifiability();
    CHECK(found.confounded.size() == 1 && found.confounded[0].kind == Kind::dependent);
    CHECK(std::isfinite(problem.fit(true).estimates.objective));
  }
}

TEST(terms_on_the_same_groups) {
  designs::Data data(200, 2);
  const int g = data.add_random_factor(20);
  std::vector<crossnest::Level> relabelled = data.codes[0];
  for (crossnest::Level& level : relabelled) level = static_cast<crossnest::Level>(19 - level);
  data.add_term(g, 2);
  data.add_term(data.add_factor(relabelled, 20), 1);
  data.simulate();
  Problem problem(data.design(), one_thread());
  const auto& found = problem.model().identifiability();
  CHECK(found.confounded.size() == 1);
  CHECK(found.confounded[0].kind == Kind::repeated);
  CHECK(found.confounded[0].term == 1 && found.confounded[0].other == 0);
  const Fit both = problem.fit(true);
  CHECK(both.estimates.theta[3] == 0.0 && !both.estimates.singular[1]);
  data.terms.pop_back();
  Problem one(data.design(), one_thread());
  CHECK(one.model().identifiability().confounded.empty());
  CHECK_NEAR(both.estimates.objective, one.fit(true).estimates.objective, 1e-8);
}

TEST(effects_of_single_observations) {
  designs::Data data(150, 2);
  const int g = data.add_random_factor(15);
  std::vector<crossnest::Level> rows(150);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<crossnest::Level>(149 - i);
  data.add_term(g, 1);
  const int own = data.add_factor(rows, 150);
  data.add_term(own, 1);
  data.simulate();
  {
    Problem problem(data.design(), one_thread());
    const auto& found = problem.model().identifiability();
    CHECK(found.confounded.size() == 1 && found.confounded[0].kind == Kind::residual);
    CHECK(found.confounded[0].term == 1 && found.confounded[0].other == -1);
    const Fit fit = problem.fit(true);
    CHECK(fit.estimates.theta[1] == 0.0);
    data.terms.pop_back();
    Problem without(data.design(), one_thread());
    CHECK_NEAR(fit.estimates.objective, without.fit(true).estimates.objective, 1e-8);
  }
  data.add_term(own, 1);
  data.add_weights();  // these tell the two apart
  CHECK(Problem(data.design(), one_thread()).model().identifiability().confounded.empty());
}

TEST(a_response_without_residuals) {
  designs::Data data(60, 1);
  const int g = data.add_random_factor(12);
  data.add_term(g, 1);
  for (std::size_t i = 0; i < data.y.size(); ++i)
    data.y[i] = std::sin(static_cast<double>(data.codes[0][i]));
  Problem problem(data.design(), one_thread());
  const Fit fit = problem.fit(true);
  CHECK(fit.confounded.size() == 1 && fit.confounded[0].kind == Kind::exact);
  CHECK(!fit.converged);
  CHECK_NEAR(fit.estimates.theta[0], 1e4, 1e-8);
}
