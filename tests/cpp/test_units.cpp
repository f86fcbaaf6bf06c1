// Data of extreme size: fitted in units of their own, or refused by name.
#include "check.hpp"
#include "problem.hpp"

namespace {

using crossnest::Estimates;
using crossnest::Index;
using crossnest::RangeError;
using designs::Problem;
using Part = crossnest::RangeError::Part;

// (1 + z | a) + (1 | b) with an intercept and a covariate, weighted.
designs::Data plain() {
  designs::Data data(120, 2, 11);
  data.add_term(data.add_random_factor(12), 2);
  data.add_term(data.add_random_factor(7), 1);
  data.add_weights();
  return data.simulate();
}

// The plain data with y, the columns of X, z and w multiplied by powers of two.
struct Factors {
  int y = 0, intercept = 0, x = 0, z = 0, w = 0;
};

designs::Data multiplied(const Factors& by) {
  designs::Data data = plain();
  const auto multiply = [](double* values, Index count, int exponent) {
    for (Index i = 0; i < count; ++i) values[i] = std::ldexp(values[i], exponent);
  };
  multiply(data.y.data(), data.n, by.y);
  multiply(data.X.data(), data.n, by.intercept);
  multiply(data.X.data() + data.n, data.n, by.x);
  multiply(data.columns[0].data(), data.n, by.z);
  multiply(data.weights.data(), data.n, by.w);
  return data;
}

struct Fitted {
  designs::Data data;
  Problem problem;
  Estimates estimates;

  explicit Fitted(const Factors& by, bool reml = true)
      : data(multiplied(by)),
        problem(data.design(), crossnest::ModelOptions()),
        estimates(problem.fit(reml).estimates) {}
};

double scaled(double value, int exponent) { return std::ldexp(value, exponent); }

// At equal covariances the estimates for the multiplied data are those for the plain ones in other
// units, and so is the optimum to the optimizer's tolerance. `by.w` must be even.
void check_units(const Factors& by) {
  constexpr double kTolerance = 1e-11;
  Fitted before(Factors{}), after(by);
  const Estimates& plain = before.estimates;
  const int z[] = {0, by.z, by.z, 0};  // lower triangle of the first term, then the second
  std::vector<double> theta;
  for (std::size_t a = 0; a < 4; ++a) theta.push_back(scaled(plain.theta[a], -by.w / 2 - z[a]));
  const Estimates other = after.problem.estimates(theta, true);
  const int sd = by.y + by.w / 2;  // of sigma
  CHECK_NEAR(scaled(other.sigma, -sd), plain.sigma, kTolerance);
  CHECK_NEAR(scaled(other.beta[0], by.intercept - by.y), plain.beta[0], kTolerance);
  CHECK_NEAR(scaled(other.beta[1], by.x - by.y), plain.beta[1], kTolerance);
  for (std::size_t i = 0; i < plain.fitted.size(); ++i)
    CHECK_NEAR(scaled(other.fitted[i], -by.y), plain.fitted[i], kTolerance);
  const double log2 = std::log(2.0), n = 120.0, p = 2.0;
  const double shift = 2.0 * (n - p) * sd + 2.0 * (by.intercept + by.x) + p * by.w - n * by.w;
  CHECK_NEAR(other.objective, plain.objective + shift * log2, kTolerance);
  CHECK_NEAR(after.estimates.objective, other.objective, 1e-9);
  CHECK_NEAR(scaled(after.estimates.sigma, -sd), plain.sigma, 1e-5);
}

RangeError refused(const Factors& by) {
  try {
    const Fitted fitted(by);
  } catch (const RangeError& error) {
    return error;
  }
  return {Part::response, -2, -2, "nothing", "was refused"};
}

}  // namespace

TEST(powers_of_two_change_units_alone) {
  for (const int k : {-460, -100, 100, 460}) check_units({k, 0, 0, 0, 0});
  for (const int k : {-440, -250, 250, 440}) {
    check_units({0, 0, k, 0, 0});
    check_units({0, 0, 0, k, 0});
    check_units({0, 0, 0, 0, 2 * k});
    check_units({0, k, 0, 0, 0});
  }
  check_units({300, 0, 280, -150, -400});
}

TEST(tiny_and_huge_columns_are_refused_by_name) {
  for (const int k : {-500, 500, 1000}) {
    CHECK(refused({k, 0, 0, 0, 0}).part() == Part::response);
    CHECK(refused({0, 0, k, 0, 0}).part() == Part::fixed);
    CHECK(refused({0, 0, k, 0, 0}).column() == 1);
    CHECK(refused({0, k, 0, 0, 0}).column() == 0);
    CHECK(refused({0, 0, 0, k, 0}).part() == Part::random);
    CHECK(refused({0, 0, 0, k, 0}).column() == 1 && refused({0, 0, 0, k, 0}).term() == 0);
  }
  for (const int k : {-1000, 1000}) CHECK(refused({0, 0, 0, 0, k}).part() == Part::weights);
  CHECK(std::string(refused({600, 0, 0, 0, 0}).what()).find("the response") == 0);
}

TEST(a_constant_column_that_squares_to_nothing) {
  for (const double constant : {1e-165, 1e-140, 1e140, 1e165}) {
    designs::Data data = plain();
    for (Index i = 0; i < data.n; ++i) data.X[static_cast<std::size_t>(i)] = constant;
    if (constant < 1e-150 || constant > 1e150) {
      CHECK_THROWS(Problem(data.design(), {}), RangeError);
    } else {
      Problem problem(data.design(), {});
      const Estimates estimates = problem.fit(true).estimates;
      CHECK_NEAR(estimates.beta[0] * constant, Fitted(Factors{}).estimates.beta[0], 1e-6);
    }
  }
}

TEST(equal_huge_weights) {
  designs::Data data = plain();
  data.weights.assign(data.weights.size(), 1e307);
  CHECK_THROWS(Problem(data.design(), {}), RangeError);
  data.weights.assign(data.weights.size(), 1e160);
  Problem heavy(data.design(), {});
  data.weights.clear();
  Problem plain(data.design(), {});
  const Estimates a = heavy.fit(true).estimates, b = plain.fit(true).estimates;
  CHECK_NEAR(a.sigma / 1e80, b.sigma, 1e-5);
  CHECK_NEAR(a.theta[0] * 1e80, b.theta[0], 1e-4);
  const auto variances = [](Problem& problem, const Estimates& at, const crossnest::Design& rows) {
    return problem.prediction_variances(at, rows, {true, true});
  };
  const std::vector<double> of_a = variances(heavy, a, data.design());
  const std::vector<double> of_b = variances(plain, b, data.design());
  for (std::size_t i = 0; i < of_a.size(); ++i) CHECK_NEAR(of_a[i] / of_b[i], 1.0, 1e-4);
  const auto conditional_a = heavy.conditional_variances(a);
  const auto conditional_b = plain.conditional_variances(b);
  CHECK_NEAR(conditional_a[0][0] / conditional_b[0][0], 1.0, 1e-4);
  const auto leverages_a = heavy.leverages(a), leverages_b = plain.leverages(b);
  CHECK_NEAR(leverages_a[5], leverages_b[5], 1e-4);
}

TEST(a_new_response_of_extreme_size) {
  const designs::Data data = plain(), large = multiplied({450, 0, 0, 0, 0}),
                      larger = multiplied({700, 0, 0, 0, 0});
  Problem problem(data.design(), {});
  const Estimates before = problem.fit(true).estimates;
  problem.read(large.y.data());
  const Estimates after = problem.fit(true).estimates;
  CHECK_NEAR(scaled(after.sigma, -450), before.sigma, 1e-5);
  CHECK_THROWS(problem.read(larger.y.data()), RangeError);
  CHECK_NEAR(problem.fit(true).estimates.sigma / after.sigma, 1.0, 1e-12);
}

TEST(refits_of_extreme_responses) {
  const designs::Data data = plain();
  std::vector<double> Y;
  for (const int k : {0, 450, -450, 700, -700})
    for (const double y : data.y) Y.push_back(std::ldexp(y, k));
  Problem problem(data.design(), {});
  const auto refits = problem.refit_many(Y.data(), 5, {});
  for (const std::size_t r : {std::size_t{1}, std::size_t{2}}) {
    const int k = r == 1 ? -450 : 450;
    CHECK_NEAR(scaled(refits.sigma[r], k), refits.sigma[0], 1e-5);
    CHECK_NEAR(scaled(refits.beta[2 * r + 1], k), refits.beta[1], 1e-5);
    CHECK_NEAR(scaled(refits.errors[2 * r + 1], k), refits.errors[1], 1e-5);
  }
  CHECK(refits.status[3] == crossnest::RefitStatus::not_finite);
  CHECK(refits.status[4] == crossnest::RefitStatus::not_finite);
}
