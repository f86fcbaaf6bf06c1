// What is estimated at one theta, and fits.
#include <Eigen/Eigenvalues>
#include <thread>

#include "check.hpp"
#include "dense.hpp"
#include "problem.hpp"

namespace {

using crossnest::Estimates;
using crossnest::Fit;
using crossnest::Index;
using crossnest::ModelOptions;
using crossnest::TailKind;
using dense::difference;
using dense::MatrixXd;
using dense::VectorXd;
using designs::Problem;

VectorXd vector(const std::vector<double>& values) {
  return Eigen::Map<const VectorXd>(values.data(), static_cast<Index>(values.size()));
}

// One after the other: by term, level, effect.
VectorXd joined(const std::vector<std::vector<double>>& terms) {
  std::vector<double> all;
  for (const auto& values : terms) all.insert(all.end(), values.begin(), values.end());
  return vector(all);
}

ModelOptions with_tail(TailKind tail, int threads = 1) {
  ModelOptions options;
  options.tail = tail;
  options.threads = threads;
  return options;
}

void check_fixed(const Estimates& at, const dense::Model& model) {
  const MatrixXd C = model.X.transpose() * model.V_inverse * model.X;
  const Eigen::Map<const MatrixXd> RX(at.RX.data(), C.rows(), C.cols());
  CHECK_NEAR(difference(vector(at.beta), model.beta), 0.0, 1e-10);
  CHECK_NEAR(difference(RX.transpose() * RX, C), 0.0, 1e-10);
  CHECK(MatrixXd(RX.triangularView<Eigen::StrictlyLower>()).norm() == 0.0);
  CHECK_NEAR(at.log_det_C, dense::log_det(C), 1e-10);
}

// Var(b | y) = sigma^2 (Lambda Lambda' - Lambda Lambda'Z'V^-1 Z Lambda Lambda'), diagonal blocks.
void check_variances(Problem& problem, const Estimates& at, const dense::Model& model) {
  const MatrixXd G = model.Lambda * model.Lambda.transpose();
  const MatrixXd whole =
      at.sigma * at.sigma * (G - G * model.Z.transpose() * model.V_inverse * model.Z * G);
  const auto variances = problem.conditional_variances(at);
  double worst = 0.0;
  Index start = 0;
  for (std::size_t t = 0; t < variances.size(); ++t) {
    const Index k = at.effects[t];
    for (std::size_t l = 0; l * static_cast<std::size_t>(k * k) < variances[t].size();
         ++l, start += k)
      worst = std::fmax(
          worst, difference(Eigen::Map<const MatrixXd>(
                                variances[t].data() + l * static_cast<std::size_t>(k * k), k, k),
                            whole.block(start, start, k, k)));
  }
  CHECK_NEAR(worst, 0.0, 1e-10);
}

void check_leverages(Problem& problem, const Estimates& at, const dense::Model& model) {
  // Fitted values are y - W^-1 P y.
  const VectorXd expected = (1.0 - model.P.diagonal().array() / model.w.array()).matrix();
  CHECK_NEAR(difference(vector(problem.leverages(at)), expected), 0.0, 1e-10);
}

void check_estimates(Problem& problem, const std::vector<double>& theta, bool reml) {
  const dense::Model model(problem.design(), theta, reml);
  const Estimates at = problem.estimates(theta, reml);
  CHECK_NEAR(at.objective, model.objective, 1e-11);
  CHECK_NEAR(problem.objective(theta, reml), model.objective, 1e-11);
  CHECK_NEAR(at.pwrss, model.r2, 1e-11);
  CHECK_NEAR(at.sigma, std::sqrt(model.r2 / model.nu), 1e-11);
  CHECK(at.nu == model.nu);
  CHECK_NEAR(at.log_det_omega, dense::log_det(model.V) + model.w.array().log().sum(), 1e-10);
  CHECK_NEAR(difference(joined(at.u), model.u), 0.0, 1e-10);
  CHECK_NEAR(difference(joined(at.b), model.b), 0.0, 1e-10);
  CHECK_NEAR(difference(vector(at.fitted), model.fitted), 0.0, 1e-10);
  check_fixed(at, model);
  check_variances(problem, at, model);
  check_leverages(problem, at, model);
}

std::vector<double> some_theta(const Problem& problem) {
  std::vector<double> theta;
  for (const double bound : problem.criterion().covariance().lower_bounds())
    theta.push_back(bound == 0.0 ? 0.9 - 0.1 * static_cast<double>(theta.size() % 4) : -0.2);
  return theta;
}

void check_problem(const designs::Data& data, const ModelOptions& options) {
  Problem problem(data.design(), options);
  std::vector<double> theta = some_theta(problem);
  for (const bool reml : {true, false}) check_estimates(problem, theta, reml);
  std::fill(theta.begin(), theta.end(), 0.0);
  check_estimates(problem, theta, true);
}

// The gradient at a fit, by parameter; at a zero bound only its sign counts.
void check_optimum(Problem& problem, const Fit& fit) {
  CHECK(fit.converged);
  CHECK(fit.predicted_decrease < 1e-8);
  std::vector<double> gradient;
  const double value = problem.gradient(fit.estimates.theta, fit.estimates.reml, gradient);
  CHECK_NEAR(value, fit.estimates.objective, 1e-10);
  for (const double slope : gradient) CHECK_NEAR(slope, 0.0, 1e-3);
}

bool never() { return false; }
bool always() { return true; }

}  // namespace

TEST(estimates) {
  for (const int threads : {1, 3}) {
    check_problem(designs::single(15, 8, 3), with_tail(TailKind::automatic, threads));
    check_problem(designs::nested(24, 8, 3, 150, 2, 1, 1), with_tail(TailKind::automatic, threads));
    for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
      check_problem(designs::crossed(16, 9, 150, 2, 2), with_tail(tail, threads));
      check_problem(designs::nested_crossed(18, 4, 9, 150, 2, 1, 2), with_tail(tail, threads));
    }
  }
  check_problem(designs::crossed(50, 40, 900, 1, 1), with_tail(TailKind::dense, 2));
}

TEST(estimates_with_several_terms_on_a_factor) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  data.add_term(0, 2, "diagonal", false);
  data.add_term(1, 1, "unstructured", false);
  check_problem(data, with_tail(TailKind::automatic));
}

TEST(fits) {
  for (const bool reml : {true, false}) {
    const designs::Data data = designs::nested_crossed(60, 15, 20, 900, 2, 1, 1);
    Problem problem(data.design(), with_tail(TailKind::automatic));
    const Fit fit = problem.fit(reml);
    check_optimum(problem, fit);
    const Fit again = problem.fit(reml, some_theta(problem));
    CHECK_NEAR(again.estimates.objective, fit.estimates.objective, 1e-9);
    CHECK(again.start == some_theta(problem));
  }
}

TEST(fit_is_the_same_for_any_number_of_threads) {
  const designs::Data data = designs::crossed(3000, 120, 20000, 2, 1);
  std::vector<Fit> fits;
  for (const int threads : {1, 2, 3})
    fits.push_back(Problem(data.design(), with_tail(TailKind::automatic, threads)).fit(true));
  for (const Fit& fit : fits) {
    CHECK(fit.estimates.theta == fits[0].estimates.theta);
    CHECK(fit.estimates.objective == fits[0].estimates.objective);
    CHECK(fit.estimates.fitted == fits[0].estimates.fitted);
  }
}

TEST(another_response_of_the_same_model) {
  designs::Data data = designs::nested_crossed(18, 5, 4, 150, 2, 1, 2);
  Problem problem(data.design(), with_tail(TailKind::automatic));
  problem.fit(true);
  std::vector<double> other;
  for (const double y : data.y) other.push_back(1e3 + 50.0 * y + data.random.normal());
  problem.read(other.data());
  data.y = other;
  Problem fresh(data.design(), with_tail(TailKind::automatic));
  const std::vector<double> theta = some_theta(problem);
  CHECK_NEAR(problem.objective(theta, true), fresh.objective(theta, true), 1e-12);
  CHECK_NEAR(difference(vector(problem.estimates(theta, true).fitted),
                        vector(fresh.estimates(theta, true).fitted)),
             0.0, 1e-12);
}

// y -> a + c y, x -> shifted and scaled: theta of the intercept stays, the criterion shifts by
// nu log c^2 and, with REML, by log|T|^2.
TEST(units_and_origins_do_not_matter) {
  designs::Data data = designs::single(30, 8, 1);
  const Fit plain = Problem(data.design(), ModelOptions()).fit(true);
  for (double& y : data.y) y = 1e6 * y + 1e7;
  for (Index i = data.n; i < 2 * data.n; ++i) {
    double& x = data.X[static_cast<std::size_t>(i)];
    x = 1e-6 * x + 1.0;
  }
  const Fit scaled = Problem(data.design(), ModelOptions()).fit(true);
  CHECK_NEAR(scaled.estimates.theta[0], plain.estimates.theta[0], 1e-6);
  CHECK_NEAR(scaled.estimates.sigma / plain.estimates.sigma, 1e6, 1e-7);
  CHECK_NEAR(scaled.estimates.beta[1] / plain.estimates.beta[1], 1e12, 1e-7);
  CHECK_NEAR(scaled.estimates.objective,
             plain.estimates.objective + plain.estimates.nu * std::log(1e12) + std::log(1e-12),
             1e-8);
}

TEST(aliased_columns_are_dropped) {
  designs::Data data = designs::single(20, 8, 1);
  const std::vector<double> first = data.X;
  data.X.insert(data.X.end(), first.begin(), first.end());  // 1 x 1 x
  data.p = 4;
  Problem problem(data.design(), ModelOptions());
  CHECK(problem.pivot() == std::vector<Index>({0, 1}));
  const designs::Data plain = designs::single(20, 8, 1);
  const Fit expected = Problem(plain.design(), ModelOptions()).fit(true);
  CHECK_NEAR(problem.fit(true).estimates.objective, expected.estimates.objective, 1e-10);
}

TEST(singular_is_said_by_term) {
  const designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  Problem problem(data.design(), ModelOptions());
  CHECK(problem.estimates({1.0, 0.5, 0.0, 1.0}, true).singular == std::vector<bool>({true, false}));
  CHECK(problem.estimates({1.0, 0.5, 0.5, 0.0}, true).singular == std::vector<bool>({false, true}));
  CHECK(problem.estimates({1.0, 0.5, 0.5, 1.0}, true).singular ==
        std::vector<bool>({false, false}));
}

TEST(refuses_bad_theta) {
  const designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  Problem problem(data.design(), ModelOptions());
  CHECK_THROWS(problem.objective({1.0}, true), std::invalid_argument);
  CHECK_THROWS(problem.objective({1.0, 0.0, -1.0, 1.0}, true), std::invalid_argument);
  CHECK_THROWS(problem.objective({1.0, NAN, 1.0, 1.0}, true), std::invalid_argument);
  CHECK_THROWS(problem.objective({INFINITY, 0.0, 1.0, 1.0}, true), std::invalid_argument);
  CHECK_THROWS(problem.fit(true, {1.0}), std::invalid_argument);
  CHECK_THROWS(problem.estimates({1e200, 0.0, 1e200, 1.0}, true), crossnest::FitError);
  std::vector<double> gradient{7.0};
  CHECK(problem.gradient({1e200, 0.0, 1e200, 1.0}, true, gradient) == INFINITY);
}

TEST(refuses_bad_designs) {
  const designs::Data good = designs::crossed(16, 9, 150, 2, 1);
  const auto refused = [&](auto&& spoil) {
    designs::Data data = good;
    data.weights.assign(150, 1.0);
    spoil(data);
    CHECK_THROWS(Problem(data.design(), ModelOptions()), std::invalid_argument);
  };
  refused([](auto& data) { data.y[3] = NAN; });
  refused([](auto& data) { data.X[3] = INFINITY; });
  refused([](auto& data) { data.columns[0][3] = NAN; });
  refused([](auto& data) { data.weights[3] = 0.0; });
  refused([](auto& data) { data.weights[3] = -1.0; });
  refused([](auto& data) { data.weights[3] = INFINITY; });
  refused([](auto& data) { data.codes[0][3] = 16; });
  refused([](auto& data) { data.codes[0][3] = -1; });
  refused([](auto& data) { data.terms[0].factor = 2; });
  refused([](auto& data) { data.terms[0].factor = -1; });
  refused([](auto& data) { data.terms[0].columns.clear(); });
  refused([](auto& data) { data.terms[0].structure = "toeplitz"; });
  refused([](auto& data) { data.terms.clear(); });
  refused([](auto& data) { data.n = 0; });
  ModelOptions options;
  options.threads = -1;
  CHECK_THROWS(Problem(good.design(), options), std::invalid_argument);
}

TEST(refuses_what_cannot_be_fitted) {
  designs::Data data = designs::single(20, 8, 1);
  std::fill(data.y.begin(), data.y.end(), 3.0);
  CHECK_THROWS(Problem(data.design(), ModelOptions()), crossnest::FitError);
  for (std::size_t i = 0; i < data.y.size(); ++i) data.y[i] = 1.0 + 2.0 * data.X[160 + i];
  CHECK_THROWS(Problem(data.design(), ModelOptions()), crossnest::FitError);
  designs::Data square(6, 6);
  square.add_term(square.add_random_factor(2), 1);
  square.simulate();
  CHECK_THROWS(Problem(square.design(), ModelOptions()), crossnest::FitError);
}

TEST(refuses_a_bad_response) {
  const designs::Data data = designs::single(20, 8, 1);
  Problem problem(data.design(), ModelOptions());
  std::vector<double> other = data.y;
  other[3] = NAN;
  CHECK_THROWS(problem.read(other.data()), std::invalid_argument);
  CHECK(problem.response().y == problem.design().y);
}

TEST(an_interrupted_reading_leaves_the_model_as_it_was) {
  const designs::Data data = designs::nested_crossed(18, 5, 4, 150, 2, 1, 2);
  bool stop = false;
  Problem problem(data.design(), ModelOptions(), crossnest::InterruptCheck([&] { return stop; }));
  const std::vector<double> theta = some_theta(problem);
  const double before = problem.objective(theta, true);
  stop = true;
  CHECK_THROWS(problem.model().read(data.y.data(), crossnest::InterruptCheck([&] { return stop; })),
               crossnest::Interrupted);
  stop = false;
  CHECK(problem.objective(theta, true) == before);
}

TEST(memory_limit) {
  const designs::Data data = designs::crossed(60, 50, 900, 1, 1);
  ModelOptions options;
  options.memory_limit = 10000;
  CHECK_THROWS(Problem(data.design(), options), crossnest::MemoryLimitError);
  options.memory_limit = 1000000;
  CHECK(std::isfinite(Problem(data.design(), options).objective({1.0, 1.0}, true)));
}

TEST(can_be_interrupted) {
  const designs::Data data = designs::crossed(60, 50, 900, 1, 1);
  CHECK_THROWS(Problem(data.design(), ModelOptions(), crossnest::InterruptCheck(always)),
               crossnest::Interrupted);
  // Let the problem be made, then stop the fit; afterwards the problem is as good as before.
  bool stop = false;
  Problem problem(data.design(), ModelOptions(), crossnest::InterruptCheck([&] { return stop; }));
  const double before = problem.objective({1.0, 1.0}, true);
  stop = true;
  const auto pause = std::chrono::milliseconds(25);  // polls come at most every 20 ms
  std::this_thread::sleep_for(pause);
  CHECK_THROWS(problem.fit(true), crossnest::Interrupted);
  stop = false;
  CHECK(problem.objective({1.0, 1.0}, true) == before);
  CHECK(problem.fit(true).converged);
  Problem patient(data.design(), ModelOptions(), crossnest::InterruptCheck(never));
  CHECK(patient.fit(true).converged);
}
