// Models made from sums of batches against those of all rows.
#include <algorithm>
#include <crossnest/fit.hpp>
#include <crossnest/sums.hpp>
#include <limits>
#include <vector>

#include "check.hpp"
#include "designs.hpp"

namespace {

using crossnest::Design;
using crossnest::Estimates;
using crossnest::Evaluator;
using crossnest::Index;
using crossnest::Model;
using crossnest::Response;
using crossnest::Sums;
using designs::Data;

void check_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  CHECK(a.size() == b.size());
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) CHECK_NEAR(a[i], b[i], tolerance);
}

// Sums of batches that end at the cuts, every other one by another, which are then merged. What is
// known of the columns comes from a third of the rows.
Sums sums_of(const Data& data, Index intercept, const std::vector<Index>& cuts) {
  const Data sample = designs::batch(data, 0, data.n / 3);
  const Sums none(sample.design(), sample.y.data(), intercept);
  Sums here = none, there = none;
  Index begin = 0;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const Data rows = designs::batch(data, begin, cuts[i]);
    (i % 2 == 0 ? here : there).add(rows.design(), rows.y.data());
    begin = cuts[i];
  }
  there.merge(here);
  return there;
}

Sums sums_of(const Data& data, Index intercept) {
  return sums_of(data, intercept, {data.n / 9, data.n / 2, data.n - 3, data.n});
}

void check_same_model(const Data& data, const Sums& sums) {
  const designs::View design = data.design();
  const Model whole(design), summed(sums);
  CHECK(summed.design().n == data.n && summed.parameters() == whole.parameters());
  CHECK(summed.pivot() == whole.pivot());
  const Response response = whole.read(design.y), from_sums = summed.read(sums);
  Evaluator one(whole), two(summed);
  for (const bool reml : {true, false}) {
    std::vector<double> theta(static_cast<std::size_t>(whole.parameters()));
    for (std::size_t a = 0; a < theta.size(); ++a)
      theta[a] = whole.lower_bounds()[a] == 0.0 ? 0.7 : 0.1;
    std::vector<double> expected, gradient;
    const double value = one.gradient(response, theta, reml, expected);
    CHECK_NEAR(two.gradient(from_sums, theta, reml, gradient), value, 1e-11);
    check_near(gradient, expected, 1e-9);
    const Estimates at = two.estimates(from_sums, theta, reml);
    const Estimates all = one.estimates(response, theta, reml);
    CHECK(at.fitted.empty());
    CHECK_NEAR(at.objective, all.objective, 1e-11);
    CHECK_NEAR(at.sigma, all.sigma, 1e-10);
    check_near(at.beta, all.beta, 1e-9);
    check_near(at.RX, all.RX, 1e-9);
    for (std::size_t t = 0; t < all.b.size(); ++t) check_near(at.b[t], all.b[t], 1e-9);
    const crossnest::Fit fit = crossnest::fit(two, from_sums, reml);
    CHECK_NEAR(fit.estimates.objective, crossnest::fit(one, response, reml).estimates.objective,
               1e-9);
  }
}

void check_same_model(const Data& data, Index intercept = 0) {
  check_same_model(data, sums_of(data, intercept));
}

}  // namespace

TEST(one_factor) { check_same_model(designs::single(12, 9, 2)); }

TEST(nested_factors) { check_same_model(designs::nested(24, 8, 3, 240, 1, 2, 1)); }

TEST(crossed_factors) { check_same_model(designs::crossed(20, 9, 240, 2, 1)); }

TEST(terms_on_one_factor_and_a_diagonal_one) {
  Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_term(0, 1, "unstructured", false);
  data.add_term(1, 2, "diagonal");
  check_same_model(data.simulate());
}

TEST(weights) {
  Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_weights();
  check_same_model(data);
}

TEST(columns_far_from_zero) {
  Data data = designs::single(15, 10, 2);
  for (Index i = 0; i < data.n; ++i) {
    data.X[static_cast<std::size_t>(data.n + i)] += 300.0;
    data.columns[0][static_cast<std::size_t>(i)] += 50.0;
    data.y[static_cast<std::size_t>(i)] -= 400.0;
  }
  check_same_model(data);
}

TEST(without_an_intercept) {
  Data data(120, 2);
  for (Index i = 0; i < data.n; ++i) data.X[static_cast<std::size_t>(i)] = data.random.normal();
  data.add_term(data.add_random_factor(12), 1);
  check_same_model(data.simulate(), -1);
}

TEST(aliased_columns_are_left_out) {
  Data data(120, 4);
  for (std::size_t i = 0; i < 120; ++i) data.X[2 * 120 + i] = 3.0 - 2.0 * data.X[120 + i];
  data.add_term(data.add_random_factor(12), 1);
  check_same_model(data.simulate());
}

TEST(effects_that_cannot_be_told_are_held) {
  // The groups are fixed effects too, so the data say nothing about their variance.
  Data data(60, 3);
  std::vector<crossnest::Level> codes;
  for (std::size_t i = 0; i < 60; ++i) {
    codes.push_back(static_cast<crossnest::Level>(i % 3));
    data.X[60 + i] = i % 3 == 1 ? 1.0 : 0.0;
    data.X[120 + i] = i % 3 == 2 ? 1.0 : 0.0;
  }
  data.add_term(data.add_factor(codes, 3), 1);
  data.add_term(data.add_random_factor(10), 1);
  data.simulate();
  check_same_model(data);
  CHECK(Model(sums_of(data, 0)).confounded().size() == 1);
}

TEST(random_designs_cut_anywhere) {
  designs::Random random(7);
  for (int i = 0; i < 25; ++i) {
    Data data(120 + random.below(120), 1 + random.below(4), static_cast<std::uint64_t>(i + 1));
    const int factors = 1 + static_cast<int>(random.below(3));
    for (int f = 0; f < factors; ++f) {
      const int factor = data.add_random_factor(5 + random.below(10));
      data.add_term(factor, 1 + static_cast<int>(random.below(2)),
                    random.below(3) == 0 ? "diagonal" : "unstructured");
    }
    if (random.below(2) == 0) data.add_weights();
    for (double& x : data.X) x *= 1.0 + static_cast<double>(i);
    data.simulate();
    std::vector<Index> cuts;
    for (Index cut = 1 + random.below(60); cut < data.n; cut += 1 + random.below(60))
      cuts.push_back(cut);
    cuts.push_back(data.n);
    check_same_model(data, sums_of(data, 0, cuts));
  }
}

TEST(order_of_batches) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Data first = designs::batch(data, 0, 100), second = designs::batch(data, 100, 240);
  const Sums none(first.design(), first.y.data(), 0);
  Sums a = none, b = none;
  a.add(first.design(), first.y.data());
  a.add(second.design(), second.y.data());
  b.add(second.design(), second.y.data());
  b.add(first.design(), first.y.data());
  const Model one(a), two(b);
  Evaluator of_one(one), of_two(two);
  const std::vector<double> theta = {0.7, 0.1, 0.7, 0.7};
  CHECK_NEAR(of_one.objective(one.read(a), theta, true), of_two.objective(two.read(b), theta, true),
             1e-12);
}

TEST(what_needs_rows_is_refused) {
  const Data data = designs::single(12, 9, 2);
  const Sums sums = sums_of(data, 0);
  const Model model(sums);
  CHECK(!model.has_rows());
  CHECK_THROWS(model.read(data.y.data()), std::invalid_argument);
  Evaluator evaluator(model);
  const Response response = model.read(sums);
  const crossnest::Fit fit = crossnest::fit(evaluator, response, true);
  CHECK_THROWS(evaluator.leverages(response, fit.estimates), std::invalid_argument);
  CHECK_THROWS(crossnest::refit_many(evaluator, data.y.data(), 1, {}), std::invalid_argument);
}

TEST(what_needs_no_rows_is_the_same) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const designs::View design = data.design();
  const Sums sums = sums_of(data, 0);
  const Model whole(design), summed(sums);
  const Response response = whole.read(design.y), from_sums = summed.read(sums);
  Evaluator one(whole), two(summed);
  const Estimates at = crossnest::fit(one, response, false).estimates;
  const Data some = designs::batch(data, 5, 9);
  const Design rows = some.design();
  check_near(two.prediction_variances(from_sums, at, rows, {true, true}),
             one.prediction_variances(response, at, rows, {true, true}), 1e-9);
  check_near(two.information(from_sums, at.theta, true).traces,
             one.information(response, at.theta, true).traces, 1e-8);
  const auto expected = crossnest::Profiler(one, response).interval(0, 1.96);
  const auto interval = crossnest::Profiler(two, from_sums).interval(0, 1.96);
  CHECK_NEAR(interval.lower, expected.lower, 1e-5);
  CHECK_NEAR(interval.upper, expected.upper, 1e-5);
}

TEST(rows_that_do_not_fit_are_refused) {
  const Data data = designs::single(12, 9, 2), other = designs::single(13, 9, 2);
  Sums sums(data.design(), data.y.data(), 0);
  CHECK_THROWS(Model(sums), std::invalid_argument);  // no rows yet
  CHECK_THROWS(sums.add(other.design(), other.y.data()), std::invalid_argument);
  Data odd = data;
  odd.X[3] = 2.0;  // the intercept
  CHECK_THROWS(sums.add(odd.design(), odd.y.data()), std::invalid_argument);
  odd = data;
  odd.y[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(sums.add(odd.design(), odd.y.data()), std::invalid_argument);
  CHECK(sums.n() == 0);
  const Data scaled = designs::batch(data, 0, 50);
  Sums elsewhere(scaled.design(), scaled.y.data(), 0);
  elsewhere.add(scaled.design(), scaled.y.data());
  CHECK_THROWS(sums.merge(elsewhere), std::invalid_argument);
  CHECK_THROWS(Sums(data.design(), data.y.data(), 2), std::invalid_argument);  // no column of X
  CHECK_THROWS(Sums(data.design(), data.y.data(), 1), std::invalid_argument);  // not constant
  odd = data;
  std::fill_n(odd.X.begin(), odd.n, 0.0);
  CHECK_THROWS(Sums(odd.design(), odd.y.data(), 0), std::invalid_argument);
  designs::View astray = data.design();
  astray.terms[0].factor = 5;
  CHECK_THROWS(Sums(astray, data.y.data(), 0), std::invalid_argument);
}

TEST(a_response_fitted_by_the_fixed_effects_is_refused) {
  Data data = designs::single(12, 9, 2);
  for (std::size_t i = 0; i < data.y.size(); ++i) data.y[i] = 2.0 + 3.0 * data.X[data.y.size() + i];
  const Sums sums = sums_of(data, 0);
  CHECK_THROWS(Model(sums).read(sums), crossnest::FitError);
}
