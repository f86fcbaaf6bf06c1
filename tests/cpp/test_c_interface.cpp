// The C interface against the C++ one it stands on, and its answers to bad arguments.
#include <crossnest/crossnest.h>

#include <cmath>
#include <crossnest/fit.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "designs.hpp"
#include "problem.hpp"

namespace {

using designs::Data;

// Handles that free themselves.
template <class T, void (*free)(T*)>
struct Handle {
  T* pointer = nullptr;
  Handle() = default;
  Handle(Handle&& other) noexcept : pointer(std::exchange(other.pointer, nullptr)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { free(pointer); }
  operator T*() const { return pointer; }
  T** place() { return &pointer; }
};
using Options = Handle<cn_options, cn_options_free>;
using CDesign = Handle<cn_design, cn_design_free>;
using CModel = Handle<cn_model, cn_model_free>;
using CResponse = Handle<cn_response, cn_response_free>;
using CFit = Handle<cn_fit, cn_fit_free>;
using CSums = Handle<cn_sums, cn_sums_free>;

CDesign c_design(const designs::View& view) {
  CDesign design;
  CHECK(cn_design_new(view.n, view.p, view.X, design.place()) == CN_OK);
  if (view.weights != nullptr) CHECK(cn_design_set_weights(design, view.weights) == CN_OK);
  for (const auto& factor : view.factors)
    CHECK(cn_design_add_factor(design, factor.codes, factor.levels) == CN_OK);
  for (const auto& term : view.terms)
    CHECK(cn_design_add_term(design, term.factor, static_cast<int64_t>(term.columns.size()),
                             term.columns.data(), term.covariance.c_str()) == CN_OK);
  return design;
}

// A model, a response and a fit in C.
struct Fitted {
  CDesign design;
  CModel model;
  CResponse response;
  CFit fit;

  explicit Fitted(const Data& data, const cn_options* options = nullptr)
      : design(c_design(data.design())) {
    CHECK(cn_model_new(design, options, model.place()) == CN_OK);
    CHECK(cn_response_new(model, data.y.data(), nullptr, response.place()) == CN_OK);
    CHECK(cn_fit_new(response, options, nullptr, 0, fit.place()) == CN_OK);
  }

  std::vector<double> array(const char* name) const {
    int64_t length = -1;
    CHECK(cn_fit_length(fit, name, &length) == CN_OK);
    std::vector<double> out(static_cast<std::size_t>(length));
    CHECK(cn_fit_get_array(fit, name, out.data(), length) == CN_OK);
    return out;
  }
  double number(const char* name) const {
    double value = 0.0;
    CHECK(cn_fit_get_double(fit, name, &value) == CN_OK);
    return value;
  }
  int64_t integer(const char* name) const {
    int64_t value = 0;
    CHECK(cn_fit_get_int(fit, name, &value) == CN_OK);
    return value;
  }
};

bool says(const char* part) { return std::string(cn_last_error()).find(part) != std::string::npos; }

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
  std::vector<double> gradient(3), expected;
  CHECK(cn_objective(c.response, options, start.data(), 3, &value, gradient.data()) == CN_OK);
  CHECK(value == problem.gradient(start, false, expected) && gradient == expected);
  CHECK(cn_objective(c.response, options, start.data(), 3, &value, nullptr) == CN_OK);
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
