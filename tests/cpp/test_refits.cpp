// Fits to many responses.
#include <crossnest/fit.hpp>
#include <limits>

#include "check.hpp"
#include "problem.hpp"

namespace {

using crossnest::Fit;
using crossnest::Index;
using crossnest::ModelOptions;
using crossnest::RefitOptions;
using crossnest::Refits;
using crossnest::RefitStatus;
using designs::Problem;

constexpr Index kCount = 40;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

ModelOptions options(crossnest::TailKind tail = crossnest::TailKind::automatic) {
  ModelOptions made;
  made.threads = 1;
  made.tail = tail;
  return made;
}

std::vector<double> responses(designs::Data data, double scale) {
  std::vector<double> Y;
  for (Index r = 0; r < kCount; ++r) {
    data.simulate(scale);
    Y.insert(Y.end(), data.y.begin(), data.y.end());
  }
  return Y;
}

Refits refit(Problem& problem, const std::vector<double>& Y, bool reml, int threads,
             const std::vector<double>& start = {}) {
  RefitOptions asked;
  asked.reml = reml;
  asked.threads = threads;
  asked.start = start;
  return problem.refit_many(Y.data(), static_cast<Index>(Y.size()) / problem.design().n, asked);
}

// Objectives, sigma and, at optima inside, theta and beta are those of single fits.
void check_single_fits(const designs::Data& data, bool reml, double scale = 1.0,
                       crossnest::TailKind tail = crossnest::TailKind::automatic) {
  const std::vector<double> Y = responses(data, scale);
  Problem problem(data.design(), options(tail)), single(data.design(), options(tail));
  const Refits many = refit(problem, Y, reml, 2);
  const Refits warm = refit(problem, Y, reml, 1, problem.fit(reml).estimates.theta);
  const Index m = problem.model().parameters();
  const auto rank = static_cast<Index>(problem.pivot().size());
  for (Index r = 0; r < kCount; ++r) {
    single.read(Y.data() + r * data.n);
    const Fit fit = single.fit(reml);
    CHECK_NEAR(many.objective[at(r)], fit.estimates.objective, 1e-10);
    CHECK_NEAR(warm.objective[at(r)], fit.estimates.objective, 1e-10);
    CHECK_NEAR(many.sigma[at(r)], fit.estimates.sigma, 1e-5);
    if (many.status[at(r)] != RefitStatus::ok) continue;
    for (Index a = 0; a < m; ++a)
      CHECK_NEAR(many.theta[at(r * m + a)], fit.estimates.theta[at(a)], 1e-3);
    for (Index j = 0; j < rank; ++j)
      CHECK_NEAR(many.beta[at(r * rank + j)], fit.estimates.beta[at(j)], 1e-5);
  }
}

}  // namespace

TEST(equal_single_fits) {
  for (const bool reml : {true, false}) {
    check_single_fits(designs::single(20, 6, 2), reml);
    check_single_fits(designs::nested(40, 12, 5, 300, 1, 2, 1), reml);
    check_single_fits(designs::crossed(15, 12, 300, 2, 1), reml);
    check_single_fits(designs::nested_crossed(30, 8, 12, 300, 1, 1, 1), reml);
  }
}

TEST(equal_single_fits_of_odd_designs) {
  check_single_fits(designs::without_fixed(15, 8, 2), true);
  check_single_fits(designs::single(25, 12, 4), true);
  check_single_fits(designs::several_terms(), true);
  check_single_fits(designs::with_empty_levels(designs::crossed(15, 12, 300, 2, 1)), true);
}

TEST(as_many_random_effects_as_observations) {
  const designs::Data data = designs::single(12, 2, 2);
  Problem problem(data.design(), options());
  const Refits many = refit(problem, responses(data, 1.0), true, 2);
  for (const RefitStatus status : many.status) CHECK(status != RefitStatus::not_computable);
}

TEST(equal_single_fits_on_the_boundary) {
  check_single_fits(designs::single(12, 8, 1), true, 0.1);
  check_single_fits(designs::single(12, 8, 2), true, 0.1);
}

TEST(equal_single_fits_with_a_sparse_tail) {
  check_single_fits(designs::workers(200, 40, 2, 1, 1), true, 1.0, crossnest::TailKind::sparse);
}

TEST(rows_in_several_chunks) { check_single_fits(designs::crossed(30, 20, 5000, 1, 1), true); }

TEST(balanced_designs_start_at_the_optimum) {
  // MINQUE(0) is REML there: no step from the start from moments lowers the criterion.
  const Index levels = 20, each = 6;
  designs::Data data(levels * each, 1);
  std::vector<crossnest::Level> codes;
  for (Index i = 0; i < data.n; ++i) codes.push_back(static_cast<crossnest::Level>(i / each));
  data.add_term(data.add_factor(codes, levels), 1);
  const std::vector<double> Y = responses(data, 1.0);
  data.simulate(1.0);
  Problem problem(data.design(), options());
  const Refits many = refit(problem, Y, true, 1);
  for (Index r = 0; r < kCount; ++r)
    if (many.status[at(r)] == RefitStatus::ok) CHECK(many.evaluations[at(r)] == 1);
}

TEST(do_not_depend_on_the_threads) {
  const designs::Data data = designs::nested_crossed(30, 8, 12, 300, 1, 1, 1);
  const std::vector<double> Y = responses(data, 0.3);
  Problem problem(data.design(), options());
  const Refits one = refit(problem, Y, true, 1), three = refit(problem, Y, true, 3);
  CHECK(one.objective == three.objective);
  CHECK(one.theta == three.theta);
  CHECK(one.beta == three.beta);
  CHECK(one.errors == three.errors);
  CHECK(one.evaluations == three.evaluations);
  CHECK(one.status == three.status);
}

TEST(report_responses_that_cannot_be_fitted) {
  const designs::Data data = designs::single(20, 6, 1);
  std::vector<double> Y = responses(data, 1.0);
  const std::size_t n = at(data.n);
  Y[3] = std::numeric_limits<double>::quiet_NaN();
  Y[n + 5] = std::numeric_limits<double>::infinity();
  std::fill_n(Y.begin() + static_cast<std::ptrdiff_t>(2 * n), n, 7.3);
  for (std::size_t i = 0; i < n; ++i) Y[3 * n + i] = 1.0 + 0.1 * data.X[n + i];
  Problem problem(data.design(), options());
  const Refits many = refit(problem, Y, true, 2);
  CHECK(many.status[0] == RefitStatus::not_finite);
  CHECK(many.status[1] == RefitStatus::not_finite);
  CHECK(many.status[2] == RefitStatus::no_variation);
  CHECK(many.status[3] == RefitStatus::no_variation);
  CHECK(many.status[4] == RefitStatus::ok);
  CHECK(std::isnan(many.objective[2]));
  CHECK(std::isnan(many.beta[4]));
  CHECK(std::isfinite(many.objective[4]));
}

TEST(stop_when_interrupted) {
  const designs::Data data = designs::single(200, 20, 3);
  std::vector<double> Y;
  const std::vector<double> some = responses(data, 1.0);
  for (int i = 0; i < 50; ++i) Y.insert(Y.end(), some.begin(), some.end());
  Problem problem(data.design(), options());
  RefitOptions asked;
  asked.threads = 2;
  crossnest::Evaluator interrupted(problem.model(), crossnest::InterruptCheck([] { return true; }));
  CHECK_THROWS(crossnest::refit_many(interrupted, Y.data(), 50 * kCount, asked),
               crossnest::Interrupted);
}

TEST(refuse_bad_starts) {
  const designs::Data data = designs::single(20, 6, 1);
  Problem problem(data.design(), options());
  CHECK_THROWS(refit(problem, data.y, true, 1, {-1.0}), std::invalid_argument);
  CHECK_THROWS(refit(problem, data.y, true, 1, {1.0, 1.0}), std::invalid_argument);
  CHECK(refit(problem, {}, true, 2).objective.empty());
}
