// Optima of small simulated designs.
#include <Eigen/Eigenvalues>

#include "check.hpp"
#include "dense.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"
#include "start.hpp"

namespace {

using crossnest::Frame;
using crossnest::Optimizer;
using crossnest::OptimizerOptions;
using crossnest::Optimum;
using crossnest::ProfiledCriterion;

Optimum minimize(dense::Engine& engine, const std::vector<double>& start, bool reml = true,
                 const OptimizerOptions& options = OptimizerOptions()) {
  ProfiledCriterion objective(engine.criterion, reml, 0.0, engine.interrupt);
  return Optimizer(objective, options).minimize(start);
}

std::vector<double> moments(dense::Engine& engine) {
  return crossnest::moment_start(engine.blocks, engine.A, engine.criterion);
}

// A stationary point within the bounds, and none of the points around it is lower.
void check_minimum(dense::Engine& engine, const Optimum& optimum, bool reml = true) {
  crossnest::Criterion& criterion = engine.criterion;
  CHECK(optimum.converged());
  CHECK(optimum.verdict.predicted_decrease < 1e-8);
  CHECK(optimum.evaluations > 0 && optimum.gradients > 0);
  std::vector<double> theta = optimum.x, gradient(theta.size());
  CHECK_NEAR(criterion.objective(theta.data(), Frame::engine, reml), optimum.value, 1e-11);
  criterion.gradient(gradient.data());
  for (std::size_t a = 0; a < theta.size(); ++a) {
    CHECK(theta[a] >= criterion.covariance().lower_bounds()[a]);
    CHECK_NEAR(gradient[a], 0.0, 2e-3);
    for (const double step : {-0.05, 0.05, 0.5}) {
      std::vector<double> moved = theta;
      moved[a] += step;
      CHECK(criterion.objective(moved.data(), Frame::engine, reml) > optimum.value - 1e-8);
    }
  }
}

void check_design(const designs::Data& data) {
  dense::Engine engine(data);
  for (const bool reml : {true, false}) {
    const Optimum optimum = minimize(engine, moments(engine), reml);
    check_minimum(engine, optimum, reml);
    // From another side.
    std::vector<double> unit;
    for (const double bound : engine.criterion.covariance().lower_bounds())
      unit.push_back(bound == 0.0 ? 1.0 : 0.0);
    CHECK_NEAR(minimize(engine, unit, reml).value, optimum.value, 1e-8);
  }
}

// Balanced groups whose means are all equal: the variance between them is estimated as zero.
designs::Data no_variance() {
  designs::Data data(60, 1);
  data.add_term(data.add_random_factor(10), 1);
  for (crossnest::Index i = 0; i < 60; ++i) {
    data.codes[0][static_cast<std::size_t>(i)] = static_cast<crossnest::Level>(i / 6);
    data.y[static_cast<std::size_t>(i)] = static_cast<double>(i % 6);
  }
  return data;
}

}  // namespace

TEST(scales) {
  check_design(designs::single(30, 6, 1));
  check_design(designs::nested(60, 20, 5, 300, 1, 1, 1));
  check_design(designs::crossed(30, 20, 400, 1, 1));
  designs::Data data = designs::crossed(30, 20, 400, 3, 1);
  data.terms[0].structure = "diagonal";
  check_design(data.simulate());
}

TEST(vector_valued) {
  check_design(designs::single(40, 8, 2));
  check_design(designs::single(60, 12, 4));
  check_design(designs::nested_crossed(60, 12, 15, 900, 2, 2, 2));
}

// In a balanced one-way layout the optimum has a closed form.
TEST(balanced_one_way) {
  designs::Data data(120, 1, 9);
  std::vector<crossnest::Level> codes;
  for (int i = 0; i < 120; ++i) codes.push_back(i / 6);
  data.add_term(data.add_factor(codes, 20), 1);
  data.simulate();
  double between = 0.0, within = 0.0, grand = 0.0;
  for (const double y : data.y) grand += y / 120.0;
  for (std::size_t l = 0; l < 20; ++l) {
    double mean = 0.0;
    for (std::size_t i = 0; i < 6; ++i) mean += data.y[6 * l + i] / 6.0;
    between += 6.0 * (mean - grand) * (mean - grand) / 19.0;
    for (std::size_t i = 0; i < 6; ++i)
      within += (data.y[6 * l + i] - mean) * (data.y[6 * l + i] - mean) / 100.0;
  }
  dense::Engine engine(data);
  const Optimum optimum = minimize(engine, {1.0});
  CHECK_NEAR(engine.criterion.to_user(optimum.x.data())[0],
             std::sqrt((between - within) / 6.0 / within), 1e-6);
}

TEST(zero_variance_is_exactly_zero) {
  for (const double start : {1e-3, 1.0, 30.0}) {
    dense::Engine engine(no_variance());
    const Optimum optimum = minimize(engine, {start});
    CHECK(optimum.converged());
    CHECK(optimum.x[0] == 0.0);
  }
  // A second factor whose levels have all but equal means.
  designs::Data data = no_variance();
  data.add_term(data.add_random_factor(6), 1);
  for (int i = 0; i < 60; ++i) data.codes[1][static_cast<std::size_t>(i)] = (i + i / 6) % 6;
  dense::Engine engine(data);
  CHECK(minimize(engine, {1.0, 1.0}).x == std::vector<double>({0.0, 0.0}));
}

// Only the intercept varies between groups, so that lambda is all but singular at the optimum.
TEST(singular) {
  for (std::uint64_t seed = 80; seed < 90; ++seed) {
    designs::Data data(80, 2, seed);
    data.add_term(data.add_random_factor(8), 3);
    const designs::Data::Term term = data.terms[0];
    data.terms[0].columns = {-1};
    data.simulate();
    data.terms[0] = term;
    dense::Engine engine(data);
    const Optimum optimum = minimize(engine, moments(engine));
    check_minimum(engine, optimum);
  }
}

// The gradient vanishes at zero by symmetry, though it is a maximum there.
TEST(leaves_a_saddle_point) {
  dense::Engine engine(designs::crossed(30, 20, 400, 1, 1));
  const double best = minimize(engine, {1.0, 1.0}).value;
  CHECK_NEAR(minimize(engine, {0.0, 0.0}).value, best, 1e-8);
  CHECK_NEAR(minimize(engine, {1.0, 0.0}).value, best, 1e-8);
  dense::Engine vector_valued(designs::single(40, 8, 2));
  const double lowest = minimize(vector_valued, {1.0, 0.0, 1.0}).value;
  CHECK_NEAR(minimize(vector_valued, {0.0, 0.0, 0.0}).value, lowest, 1e-8);
  CHECK_NEAR(minimize(vector_valued, {1.0, 0.0, 0.0}).value, lowest, 1e-8);
}

TEST(starts_far_away) {
  dense::Engine engine(designs::crossed(30, 20, 400, 2, 1));
  const double best = minimize(engine, moments(engine)).value;
  for (const double scale : {1e-6, 1e-3, 1e3, 1e6})
    CHECK_NEAR(minimize(engine, {scale, 0.0, scale, scale}).value, best, 1e-8);
  // Here the criterion is infinite.
  CHECK_NEAR(minimize(engine, {1e200, 0.0, 1e200, 1e200}).value, best, 1e-8);
}

TEST(says_when_evaluations_run_out) {
  dense::Engine engine(designs::crossed(30, 20, 400, 2, 1));
  OptimizerOptions options;
  options.max_evaluations = 2;
  const Optimum optimum = minimize(engine, {100.0, 0.0, 100.0, 100.0}, true, options);
  CHECK(!optimum.converged());
  CHECK(std::string(optimum.verdict.message()) == "too many evaluations");
}

TEST(moment_start_is_near) {
  dense::Engine engine(designs::crossed(200, 100, 4000, 1, 1));
  const std::vector<double> start = moments(engine);
  const Optimum optimum = minimize(engine, start);
  for (std::size_t a = 0; a < start.size(); ++a)
    CHECK(std::abs(std::log(start[a] / optimum.x[a])) < 0.2);
}

TEST(other_starts_are_looked_at_where_they_cost_little) {
  dense::Engine engine(no_variance());
  for (const double work : {0.0, 1e9}) {
    ProfiledCriterion objective(engine.criterion, true, work, engine.interrupt);
    Optimizer optimizer(objective, OptimizerOptions());
    const int one = optimizer.find_minimum({1.0}, crossnest::Breadth::one_start).evaluations;
    const int doubt = optimizer.find_minimum({1.0}, crossnest::Breadth::in_doubt).evaluations;
    const int all = optimizer.find_minimum({1.0}, crossnest::Breadth::all_starts).evaluations;
    CHECK(doubt == all);  // zero is a boundary
    CHECK(work == 0.0 ? all > one : all == one);
  }
}
