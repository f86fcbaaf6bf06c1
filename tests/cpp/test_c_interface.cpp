// The C interface against the C++ one it stands on, and its answers to bad arguments.
#include <crossnest/crossnest.h>

#include <algorithm>
#include <cmath>
#include <crossnest/fit.hpp>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "c_fitted.hpp"
#include "check.hpp"
#include "designs.hpp"
#include "problem.hpp"

namespace {

using designs::Data;
using namespace fitted;

}  // namespace

TEST(fits_are_those_of_the_library) {
  Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_weights();
  const Fitted c(data);
  designs::Problem problem(data.design());
  const crossnest::Fit fit = problem.fit(true);
  const crossnest::Estimates& at = fit.estimates;
  CHECK(c.number("objective") == at.objective && c.number("sigma") == at.sigma);
  CHECK(c.number("pwrss") == at.pwrss && c.number("nu") == at.nu);
  CHECK(c.array("theta") == at.theta && c.array("beta") == at.beta);
  CHECK(c.array("fitted") == at.fitted && c.array("leverages") == problem.leverages(at));
  CHECK(c.integer("converged") == 1 && c.integer("singular") == 0 && c.integer("reml") == 1);
  CHECK(std::string(cn_fit_message(c.fit)) == fit.message);
  const auto variances = problem.conditional_variances(at);
  for (std::size_t t = 0; t < at.b.size(); ++t) {
    int64_t k = 0, J = 0;
    CHECK(cn_model_term(c.model, static_cast<int64_t>(t), &k, &J) == CN_OK);
    std::vector<double> b(static_cast<std::size_t>(k * J)), v(static_cast<std::size_t>(k * k * J));
    CHECK(cn_fit_modes(c.fit, static_cast<int64_t>(t), b.data(), k * J) == CN_OK);
    CHECK(b == at.b[t]);
    CHECK(cn_fit_mode_variances(c.fit, static_cast<int64_t>(t), v.data(), k * k * J) == CN_OK);
    CHECK(v == variances[t]);
  }
}

// As many students, lecturers and departments as in a well-known set of evaluations.
TEST(bits_are_those_of_the_library_for_any_number_of_threads) {
  Data data(73421, 2);
  for (const int levels : {2972, 1128, 14}) data.add_term(data.add_random_factor(levels), 1);
  data.simulate(0.4);
  crossnest::ModelOptions one_thread;
  one_thread.threads = 1;
  designs::Problem problem(data.design(), one_thread);
  const crossnest::Estimates at = problem.fit(true).estimates;
  std::vector<double> expected;
  const double value = problem.gradient(at.theta, true, expected);
  for (const int threads : {1, 2, 8, 64}) {
    Options options;
    CHECK(cn_options_new(options.place()) == CN_OK);
    CHECK(cn_options_set_int(options, "threads", threads) == CN_OK);
    const CDesign design = c_design(data.design());
    CModel model;
    CResponse response;
    CEvaluator evaluator;
    CHECK(cn_model_new(design, options, model.place()) == CN_OK);
    CHECK(cn_response_new(model, data.y.data(), nullptr, response.place()) == CN_OK);
    CHECK(cn_evaluator_new(model, options, evaluator.place()) == CN_OK);
    double found = 0.0;
    std::vector<double> gradient(3);
    CHECK(cn_evaluator_objective(evaluator, response, at.theta.data(), 3, &found,
                                 gradient.data()) == CN_OK);
    CHECK(found == value && gradient == expected);
    if (threads != 2) continue;
    const Fitted c(data, options);
    CHECK(c.number("objective") == at.objective && c.number("sigma") == at.sigma);
    CHECK(c.array("theta") == at.theta && c.array("beta") == at.beta);
  }
}

TEST(maximum_likelihood_from_a_start) {
  const Data data = designs::single(12, 9, 2);
  Options options;
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_int(options, "reml", 0) == CN_OK);
  CHECK(cn_options_set_int(options, "threads", 2) == CN_OK);
  CHECK(cn_options_set_double(options, "tolerance", 1e-10) == CN_OK);
  const Fitted c(data, options);
  CHECK(c.integer("reml") == 0);
  const std::vector<double> start = {1.0, 0.0, 1.0};
  CFit again, there;
  CHECK(cn_fit_new(c.response, options, start.data(), 3, again.place()) == CN_OK);
  double value = 0.0;
  CHECK(cn_fit_get_double(again, "objective", &value) == CN_OK);
  CHECK_NEAR(value, c.number("objective"), 1e-9);
  CHECK(cn_fit_at(c.response, options, start.data(), 3, there.place()) == CN_OK);
  designs::Problem problem(data.design());
  CHECK(cn_fit_get_double(there, "objective", &value) == CN_OK);
  CHECK_NEAR(value, problem.estimates(start, false).objective, 1e-13);
}

TEST(evaluators_serve_many_thetas_and_responses) {
  const Data data = designs::crossed(20, 9, 240, 2, 1), other = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data), second(other);
  Options options;
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_int(options, "reml", 0) == CN_OK);
  CEvaluator evaluator;
  CHECK(cn_evaluator_new(c.model, options, evaluator.place()) == CN_OK);
  std::vector<double> squares;
  for (const double y : data.y) squares.push_back(y * y);
  CResponse response;
  CHECK(cn_response_new(c.model, squares.data(), nullptr, response.place()) == CN_OK);
  designs::Problem problem(data.design());
  double value = 0.0;
  for (const double scale : {0.3, 1.0, 0.7}) {
    const std::vector<double> theta = {scale, 0.1, scale, scale};
    std::vector<double> gradient(4), expected;
    CHECK(cn_evaluator_objective(evaluator, c.response, theta.data(), 4, &value, gradient.data()) ==
          CN_OK);
    CHECK(value == problem.gradient(theta, false, expected) && gradient == expected);
    double again = 0.0;
    CHECK(cn_evaluator_objective(evaluator, response, theta.data(), 4, &again, nullptr) == CN_OK);
    CHECK(again != value);
    CHECK(cn_evaluator_objective(evaluator, c.response, theta.data(), 4, &again, nullptr) == CN_OK);
    CHECK(again == value);
  }
  const std::vector<double> theta(4, 1.0), outside = {-1.0, 0.0, 1.0, 1.0};
  const auto at = [&](cn_evaluator* with, cn_response* of, const double* there, int64_t length,
                      double* to) {
    return cn_evaluator_objective(with, of, there, length, to, nullptr);
  };
  CHECK(at(evaluator, second.response, theta.data(), 4, &value) == CN_ERROR_ARGUMENT);
  CHECK(says("another model"));
  CHECK(at(evaluator, c.response, theta.data(), 3, &value) == CN_ERROR_ARGUMENT);
  CHECK(at(evaluator, c.response, theta.data(), -1, &value) == CN_ERROR_ARGUMENT);
  CHECK(at(evaluator, c.response, outside.data(), 4, &value) == CN_ERROR_ARGUMENT);
  CHECK(at(evaluator, c.response, nullptr, 4, &value) == CN_ERROR_ARGUMENT && says("theta"));
  CHECK(at(evaluator, nullptr, theta.data(), 4, &value) == CN_ERROR_ARGUMENT);
  CHECK(at(nullptr, c.response, theta.data(), 4, &value) == CN_ERROR_ARGUMENT);
  CHECK(at(evaluator, c.response, theta.data(), 4, nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_evaluator_new(nullptr, nullptr, evaluator.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_evaluator_new(c.model, nullptr, nullptr) == CN_ERROR_ARGUMENT);
}

TEST(contrasts) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data);
  const std::vector<double> beta = c.array("beta"), errors = c.array("standard_errors"),
                            vcov = c.array("vcov");
  for (std::size_t j = 0; j < beta.size(); ++j) {
    std::vector<double> weights(beta.size(), 0.0);
    weights[j] = -2.0;
    double value = 0.0, error = 0.0, df = 0.0;
    CHECK(cn_fit_contrast(c.fit, weights.data(), static_cast<int64_t>(beta.size()), &value, &error,
                          &df) == CN_OK);
    CHECK_NEAR(value, -2.0 * beta[j], 1e-14);
    CHECK_NEAR(error, 2.0 * errors[j], 1e-12);
    CHECK_NEAR(error * error, 4.0 * vcov[j * beta.size() + j], 1e-12);
    CHECK(df > 1.0 && df < 240.0);
  }
}

TEST(satterthwaite_in_a_balanced_layout_counts_groups) {
  // One way, balanced: the mean has as many degrees of freedom as there are groups, less one.
  Data data(120, 1);
  std::vector<crossnest::Level> codes;
  for (int i = 0; i < 120; ++i) codes.push_back(i % 12);
  data.add_term(data.add_factor(codes, 12), 1);
  const Fitted c(data.simulate(2.0));
  const double one = 1.0;
  double df = 0.0;
  CHECK(cn_fit_contrast(c.fit, &one, 1, nullptr, nullptr, &df) == CN_OK);
  CHECK_NEAR(df, 11.0, 1e-6);
  double value = 0.0, error = 0.0, plain = 0.0;
  CHECK(cn_fit_contrast(c.fit, &one, 1, nullptr, &plain, nullptr) == CN_OK);
  CHECK(cn_fit_kenward_roger(c.fit, &one, 1, &value, &error, &df) == CN_OK);
  CHECK_NEAR(df, 11.0, 1e-6);
  CHECK_NEAR(error, plain, 1e-9);  // nothing to adjust where the layout is balanced
  CHECK(value == c.array("beta")[0]);
}

// The degrees of freedom of pbkrtest's formulas, which hold for joint tests, in one dimension.
double scaled_f_df(double A) {
  const double B = (A + 6.0 * A) / 2.0, g = (2.0 * A - 5.0 * A) / (3.0 * A),
               below = 3.0 + 2.0 * (1.0 - g);
  const double V0 = 1.0 + g / below * B, V1 = 1.0 - (1.0 - g) / below * B,
               V2 = 1.0 - (3.0 - g) / below * B;
  const double ratio = (1.0 - A) / V1;
  return 4.0 + 3.0 / (ratio * ratio * V0 / V2 - 1.0);
}

TEST(kenward_roger_inflates_errors_where_the_layout_is_unbalanced) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data);
  for (const std::vector<double>& weights :
       {std::vector<double>{1.0, 0.0, 0.0}, {0.0, -3.0, 0.0}, {1.0, 0.5, 0.25}}) {
    double plain = 0.0, adjusted = 0.0, df = 0.0, value = 0.0, same = 0.0;
    CHECK(cn_fit_contrast(c.fit, weights.data(), 3, &value, &plain, nullptr) == CN_OK);
    CHECK(cn_fit_kenward_roger(c.fit, weights.data(), 3, &same, &adjusted, &df) == CN_OK);
    CHECK(value == same && adjusted > plain && adjusted < 1.1 * plain);
    CHECK_NEAR(df, scaled_f_df(2.0 / df), 1e-8);
  }
  Options ml;
  CHECK(cn_options_new(ml.place()) == CN_OK);
  CHECK(cn_options_set_int(ml, "reml", 0) == CN_OK);
  const Fitted by_ml(data, ml);
  const std::vector<double> weights = {1.0, 0.0, 0.0};
  double df = 0.0;
  const auto refused = [&](cn_fit* fit, const double* of, int64_t length) {
    return cn_fit_kenward_roger(fit, of, length, nullptr, nullptr, &df) == CN_ERROR_ARGUMENT;
  };
  CHECK(refused(by_ml.fit, weights.data(), 3) && says("REML"));
  CHECK(refused(c.fit, weights.data(), 2) && says("weights"));
  CHECK(refused(c.fit, nullptr, 3) && refused(nullptr, weights.data(), 3));
  const std::vector<double> zeros(3, 0.0);
  CHECK(refused(c.fit, zeros.data(), 3) && says("zero"));
}

// Of a term that is not linear in its parameters.
TEST(kenward_roger_by_the_observed_information) {
  Data data(160, 2);
  data.add_term(data.add_random_factor(16), 3, "ar1", false);
  const Fitted c(data.simulate());
  const std::vector<double> weights = {0.0, 1.0};
  double error = 0.0, df = 0.0;
  CHECK(cn_fit_kenward_roger(c.fit, weights.data(), 2, nullptr, &error, &df) == CN_OK);
  CHECK(error > 0.0 && df > 1.0);
}

TEST(predictions_at_rows_of_the_data_are_fitted_values) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data);
  std::vector<double> values(240), variances(240);
  CHECK(cn_fit_predict(c.fit, c.design, nullptr, values.data(), variances.data(), 240) == CN_OK);
  const std::vector<double> fitted = c.array("fitted");
  for (std::size_t i = 0; i < 240; ++i) {
    CHECK_NEAR(values[i], fitted[i], 1e-11);
    CHECK(variances[i] > 0.0);
  }
  const std::vector<int32_t> none = {0, 0};
  CHECK(cn_fit_predict(c.fit, c.design, none.data(), values.data(), nullptr, 240) == CN_OK);
  const std::vector<double> beta = c.array("beta");
  CHECK_NEAR(values[7],
             beta[0] + beta[1] * data.X[247] + (beta.size() > 2 ? beta[2] * data.X[487] : 0.0),
             1e-11);
}

TEST(offsets_are_taken_from_the_response) {
  Data data = designs::single(12, 9, 2);
  std::vector<double> offset;
  for (std::size_t i = 0; i < data.y.size(); ++i)
    offset.push_back(std::sin(static_cast<double>(i)));
  const Fitted plain(data);
  for (std::size_t i = 0; i < data.y.size(); ++i) data.y[i] += offset[i];
  CResponse response;
  CHECK(cn_response_new(plain.model, data.y.data(), offset.data(), response.place()) == CN_OK);
  CFit fit;
  CHECK(cn_fit_new(response, nullptr, nullptr, 0, fit.place()) == CN_OK);
  double value = 0.0;
  CHECK(cn_fit_get_double(fit, "objective", &value) == CN_OK);
  CHECK_NEAR(value, plain.number("objective"), 1e-10);
}

TEST(refits_and_profiles_are_those_of_the_library) {
  const Data data = designs::single(12, 9, 2);
  const Fitted c(data);
  designs::Problem problem(data.design());
  std::vector<double> Y = data.y;
  for (const double y : data.y) Y.push_back(y * y);
  const crossnest::Refits expected = problem.refit_many(Y.data(), 2);
  std::vector<double> objective(2), sigma(2), theta(6), beta(4), errors(4);
  std::vector<int32_t> status(2);
  CHECK(cn_refit_many(c.model, nullptr, Y.data(), 2, objective.data(), sigma.data(), theta.data(),
                      beta.data(), errors.data(), status.data()) == CN_OK);
  CHECK(objective == expected.objective && theta == expected.theta && beta == expected.beta);
  CHECK(sigma == expected.sigma && errors == expected.errors);
  CHECK(status[0] == static_cast<int32_t>(expected.status[0]));
  int64_t count = 0;
  CHECK(cn_profile_length(c.response, &count) == CN_OK);
  CHECK(count == 3 + 1 + 2);
  std::vector<double> lower(6), upper(6);
  CHECK(cn_profile_intervals(c.response, nullptr, 1.96, lower.data(), upper.data(), 6) == CN_OK);
  const auto ends = problem.profiler().interval(3, 1.96);
  CHECK(lower[3] == ends.lower && upper[3] == ends.upper);
}

TEST(sums_give_the_fit_of_all_rows) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Data first = designs::batch(data, 0, 100), second = designs::batch(data, 100, 240);
  const CDesign a = c_design(first.design()), b = c_design(second.design());
  CSums none, other;
  CHECK(cn_sums_new(a, first.y.data(), 0, none.place()) == CN_OK);
  CHECK(cn_sums_copy(none, other.place()) == CN_OK);
  CHECK(cn_sums_add(none, a, first.y.data()) == CN_OK);
  CHECK(cn_sums_add(other, b, second.y.data()) == CN_OK);
  CHECK(cn_sums_merge(none, other) == CN_OK);
  int64_t rows = 0;
  CHECK(cn_sums_rows(none, &rows) == CN_OK && rows == 240);
  CModel model;
  CResponse response;
  CFit fit;
  CHECK(cn_model_from_sums(none, nullptr, model.place()) == CN_OK);
  CHECK(cn_response_from_sums(model, none, response.place()) == CN_OK);
  CHECK(cn_fit_new(response, nullptr, nullptr, 0, fit.place()) == CN_OK);
  double value = 0.0;
  CHECK(cn_fit_get_double(fit, "objective", &value) == CN_OK);
  CHECK_NEAR(value, Fitted(data).number("objective"), 1e-9);
  CHECK(cn_response_new(model, data.y.data(), nullptr, response.place()) == CN_ERROR_ARGUMENT);
  CHECK(says("no"));
  const Fitted with_rows(data);
  CSums smaller;
  CHECK(cn_sums_new(a, first.y.data(), 0, smaller.place()) == CN_OK);
  CHECK(cn_sums_add(smaller, a, first.y.data()) == CN_OK);
  CResponse odd;
  CHECK(cn_response_from_sums(with_rows.model, none, odd.place()) == CN_ERROR_ARGUMENT);
  CHECK(says("rows"));
  CHECK(cn_response_from_sums(model, smaller, odd.place()) == CN_ERROR_ARGUMENT && says("sums"));
}

TEST(handles_may_be_freed_in_any_order) {
  const Data data = designs::single(12, 9, 2);
  Fitted c(data);
  cn_model_free(std::exchange(c.model.pointer, nullptr));
  cn_response_free(std::exchange(c.response.pointer, nullptr));
  cn_design_free(std::exchange(c.design.pointer, nullptr));
  CHECK(c.array("leverages").size() == data.y.size());
  cn_fit_free(nullptr);
  cn_model_free(nullptr);
}

TEST(threads_share_a_model) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data);
  std::vector<double> values(4, 0.0);
  std::vector<std::thread> threads;
  for (double& value : values)
    threads.emplace_back([&] {
      CFit fit;
      if (cn_fit_new(c.response, nullptr, nullptr, 0, fit.place()) == CN_OK)
        cn_fit_get_double(fit, "objective", &value);
    });
  for (std::thread& thread : threads) thread.join();
  for (const double value : values) CHECK(value == c.number("objective"));
}

TEST(calls_can_be_cancelled) {
  const Data data = designs::crossed(300, 200, 20000, 2, 1);
  volatile int cancel = 1;
  Options options;
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_cancel(options, &cancel) == CN_OK);
  const CDesign design = c_design(data.design());
  CModel model;
  CHECK(cn_model_new(design, options, model.place()) == CN_ERROR_INTERRUPTED);
  CHECK(model.pointer == nullptr);
  cancel = 0;
  CHECK(cn_model_new(design, options, model.place()) == CN_OK);
}

namespace {

// What a progress function was told.
struct Progress {
  std::thread::id thread = std::this_thread::get_id();
  int64_t calls = 0, done = 0, total = -1;
  bool grows = true, same_thread = true;

  static void tell(void* user, int64_t done, int64_t total) {
    Progress& to = *static_cast<Progress*>(user);
    ++to.calls;
    to.grows = to.grows && done > to.done;
    to.same_thread = to.same_thread && std::this_thread::get_id() == to.thread;
    to.done = done;
    to.total = total;
  }
};

}  // namespace

TEST(progress_is_told_by_the_calling_thread) {
  const Data data = designs::single(12, 9, 2);
  Options options;
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_int(options, "threads", 3) == CN_OK);
  Progress progress;
  CHECK(cn_options_set_progress(options, Progress::tell, &progress) == CN_OK);
  const Fitted c(data, options);
  CHECK(progress.calls == c.integer("evaluations") && progress.done == progress.calls);
  CHECK(progress.total == 0 && progress.grows && progress.same_thread);
  progress = Progress();
  const int64_t count = 400;
  std::vector<double> Y(static_cast<std::size_t>(count) * data.y.size()), objective(400);
  CHECK(cn_fit_simulate(c.fit, 1, 3, 0, count, Y.data(), static_cast<int64_t>(Y.size())) == CN_OK);
  CHECK(cn_refit_many(c.model, options, Y.data(), count, objective.data(), nullptr, nullptr,
                      nullptr, nullptr, nullptr) == CN_OK);
  CHECK(progress.calls > 0 && progress.done == count && progress.total == count);
  CHECK(progress.grows && progress.same_thread);
  progress = Progress();
  std::vector<double> lower(6), upper(6);
  CHECK(cn_profile_intervals(c.response, options, 1.96, lower.data(), upper.data(), 6) == CN_OK);
  CHECK(progress.calls == 6 && progress.done == 6 && progress.total == 6 && progress.grows);
  CHECK(cn_options_set_progress(nullptr, Progress::tell, nullptr) == CN_ERROR_ARGUMENT);
  progress = Progress();
  CHECK(cn_options_set_progress(options, nullptr, nullptr) == CN_OK);
  CHECK(Fitted(data, options).integer("converged") == 1 && progress.calls == 0);
}

TEST(simulated_responses_have_the_moments_of_the_model) {
  Data data = designs::single(12, 9, 2);
  data.add_weights();
  const Fitted c(data);
  const std::size_t n = data.y.size();
  const int64_t count = 4000, numbers = count * static_cast<int64_t>(n);
  const std::vector<double> beta = c.array("beta"), theta = c.array("theta");
  const double sigma = c.number("sigma");
  for (const int32_t new_effects : {0, 1}) {
    std::vector<double> Y(static_cast<std::size_t>(numbers));
    CHECK(cn_fit_simulate(c.fit, new_effects, 7, 0, count, Y.data(), numbers) == CN_OK);
    const std::vector<double> fitted = c.array("fitted");
    double mean_chi = 0.0, variance_chi = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double z = data.columns[0][i], u0 = theta[0] + z * theta[1], u1 = z * theta[2];
      const double fixed = beta[0] + beta[1] * data.X[n + i];
      const double mean = new_effects != 0 ? fixed : fitted[i];
      const double variance =
          sigma * sigma * (1.0 / data.weights[i] + (new_effects != 0 ? u0 * u0 + u1 * u1 : 0.0));
      double sum = 0.0, squares = 0.0;
      for (std::size_t r = 0; r < 4000; ++r) {
        const double e = Y[r * n + i] - mean;
        sum += e;
        squares += e * e;
      }
      mean_chi += sum * sum / (4000.0 * variance) / static_cast<double>(n);
      variance_chi += squares / (4000.0 * variance) / static_cast<double>(n);
    }
    // Rows of one level are correlated, so the means of squares vary more than independent ones.
    CHECK_NEAR(mean_chi, 1.0, 0.5);
    CHECK_NEAR(variance_chi, 1.0, 0.02);
  }
}

TEST(replicates_depend_on_their_number_alone) {
  const Data data = designs::crossed(20, 9, 240, 2, 1);
  const Fitted c(data);
  std::vector<double> all(5 * 240), two(2 * 240), other(240);
  CHECK(cn_fit_simulate(c.fit, 1, 11, 0, 5, all.data(), 5 * 240) == CN_OK);
  CHECK(cn_fit_simulate(c.fit, 1, 11, 3, 2, two.data(), 2 * 240) == CN_OK);
  CHECK(std::equal(two.begin(), two.end(), all.begin() + 3 * 240));
  CHECK(cn_fit_simulate(c.fit, 1, 12, 3, 1, other.data(), 240) == CN_OK);
  CHECK(!std::equal(other.begin(), other.end(), two.begin()));
  CHECK(cn_fit_simulate(c.fit, 1, 11, 3, 0, nullptr, 0) == CN_OK);
  const auto refused = [&](cn_fit* fit, int64_t first, int64_t count, double* Y, int64_t length) {
    return cn_fit_simulate(fit, 1, 1, first, count, Y, length) == CN_ERROR_ARGUMENT;
  };
  CHECK(refused(nullptr, 0, 1, other.data(), 240) && refused(c.fit, 0, 1, nullptr, 240));
  CHECK(refused(c.fit, -1, 1, other.data(), 240) && refused(c.fit, 0, -1, other.data(), 240));
  CHECK(refused(c.fit, 0, 1, other.data(), 239) && says("Y"));
  CHECK(refused(c.fit, 0, std::numeric_limits<int64_t>::max(), other.data(), 240));
  CHECK(refused(c.fit, std::numeric_limits<int64_t>::max(), 1, other.data(), 240));
}

TEST(refits_of_simulated_responses_find_the_parameters) {
  const Data data = designs::crossed(60, 30, 1500, 1, 1);
  const Fitted c(data);
  const std::vector<double> theta = c.array("theta"), beta = c.array("beta");
  const int64_t count = 200;
  std::vector<double> Y(200 * 1500), sigma(200), thetas(400), betas(600);
  CHECK(cn_fit_simulate(c.fit, 1, 5, 0, count, Y.data(), count * 1500) == CN_OK);
  CHECK(cn_refit_many(c.model, nullptr, Y.data(), count, nullptr, sigma.data(), thetas.data(),
                      betas.data(), nullptr, nullptr) == CN_OK);
  const auto mean = [&](const std::vector<double>& values, std::size_t from, std::size_t stride) {
    double sum = 0.0;
    for (std::size_t r = 0; r < 200; ++r) sum += values[r * stride + from];
    return sum / 200.0;
  };
  CHECK_NEAR(mean(sigma, 0, 1), c.number("sigma"), 0.01);
  CHECK_NEAR(mean(thetas, 0, 2), theta[0], 0.05);
  CHECK_NEAR(mean(thetas, 1, 2), theta[1], 0.06);
  for (std::size_t j = 1; j < 3; ++j) CHECK_NEAR(mean(betas, j, 3), beta[j], 0.01);
}

TEST(bad_arguments_are_refused_with_a_reason) {
  const Data data = designs::single(12, 9, 2);
  const Fitted c(data);
  Options options;
  CHECK(cn_options_new(nullptr) == CN_ERROR_ARGUMENT && says("NULL"));
  CHECK(cn_options_new(options.place()) == CN_OK);
  CHECK(cn_options_set_int(options, "speed", 1) == CN_ERROR_ARGUMENT && says("speed"));
  CHECK(cn_options_set_int(options, "threads", -1) == CN_ERROR_ARGUMENT && says("threads"));
  CHECK(cn_options_set_int(options, "memory_limit", -1) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_int(nullptr, "threads", 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_int(options, nullptr, 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_double(options, "tolerance", 0.0) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_double(options, "threads", 1.0) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_string(options, "tail", "odd") == CN_ERROR_ARGUMENT && says("odd"));
  CDesign design;
  CHECK(cn_design_new(0, 1, data.X.data(), design.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_design_new(5, 1, nullptr, design.place()) == CN_ERROR_ARGUMENT && says("X"));
  CHECK(cn_design_new(data.n, data.p, data.X.data(), design.place()) == CN_OK);
  CHECK(cn_design_add_factor(design, nullptr, 3) == CN_ERROR_ARGUMENT);
  CHECK(cn_design_add_factor(design, data.codes[0].data(), 0) == CN_ERROR_ARGUMENT);
  const double* constant = nullptr;
  CHECK(cn_design_add_term(design, 0, 1, &constant, "unstructured") == CN_ERROR_ARGUMENT);
  CHECK(cn_design_add_factor(design, data.codes[0].data(), 3) == CN_OK);  // codes go to 11
  CHECK(cn_design_add_term(design, 0, 1, &constant, "odd") == CN_ERROR_ARGUMENT && says("odd"));
  CHECK(cn_design_add_term(design, 0, 0, &constant, nullptr) == CN_ERROR_ARGUMENT);
  CModel model;
  CHECK(cn_model_new(design, nullptr, model.place()) == CN_ERROR_ARGUMENT);  // no term
  CHECK(cn_design_add_term(design, 0, 1, &constant, nullptr) == CN_OK);
  CHECK(cn_model_new(design, nullptr, model.place()) == CN_ERROR_ARGUMENT && says("level"));
  CHECK(cn_model_new(nullptr, nullptr, model.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_options_set_int(options, "memory_limit", 10) == CN_OK);
  CHECK(cn_model_new(c.design, options, model.place()) == CN_ERROR_MEMORY && says("limit"));
  CHECK(model.pointer == nullptr);
  int64_t integer = 0;
  CHECK(cn_model_get_int(c.model, "odd", &integer) == CN_ERROR_ARGUMENT && says("odd"));
  CHECK(cn_model_term(c.model, 1, &integer, &integer) == CN_ERROR_ARGUMENT);
  double number = 0.0;
  CHECK(cn_model_bounds(c.model, &number, &number, 1) == CN_ERROR_ARGUMENT && says("3"));
  CHECK(cn_model_pivot(c.model, &integer, 1) == CN_ERROR_ARGUMENT);
  CResponse response;
  std::vector<double> y(data.y.size(), 1.0);
  CHECK(cn_response_new(c.model, y.data(), nullptr, response.place()) == CN_ERROR_FIT);
  y[3] = std::nan("");
  CHECK(cn_response_new(c.model, y.data(), nullptr, response.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_response_new(c.model, nullptr, nullptr, response.place()) == CN_ERROR_ARGUMENT);
  const std::vector<double> outside = {-1.0, 0.0, 1.0};
  CFit fit;
  CHECK(cn_fit_new(c.response, nullptr, outside.data(), 3, fit.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_new(c.response, nullptr, outside.data(), 2, fit.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_at(c.response, nullptr, nullptr, 3, fit.place()) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_get_array(c.fit, "beta", &number, 1) == CN_ERROR_ARGUMENT && says("beta"));
  CHECK(cn_fit_get_array(c.fit, "odd", &number, 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_get_int(c.fit, "odd", &integer) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_get_double(c.fit, "odd", &number) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_modes(c.fit, 5, &number, 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_mode_variances(c.fit, -1, &number, 1) == CN_ERROR_ARGUMENT);
  const std::vector<double> zeros(2, 0.0);
  CHECK(cn_fit_contrast(c.fit, zeros.data(), 2, &number, &number, &number) == CN_ERROR_ARGUMENT);
  CHECK(cn_profile_intervals(c.response, nullptr, -1.0, &number, &number, 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_refit_many(c.model, nullptr, nullptr, 1, &number, nullptr, nullptr, nullptr, nullptr,
                      nullptr) == CN_ERROR_ARGUMENT);
  CHECK(cn_fit_predict(c.fit, nullptr, nullptr, &number, nullptr, 1) == CN_ERROR_ARGUMENT);
  CHECK(cn_covariance_name(0) != nullptr && cn_covariance_name(1000) == nullptr);
  CHECK(cn_covariance_name(-1) == nullptr);
  CHECK(cn_abi_version() == 1 && std::string(cn_version()).size() >= 5);
  CHECK(std::string(cn_fit_message(nullptr)).empty());
}
