#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "crossnest/covariance.hpp"
#include "crossnest/crossnest.h"
#include "crossnest/fit.hpp"
#include "crossnest/sums.hpp"
#include "crossnest/version.hpp"
#include "profile_parameters.hpp"
#include "satterthwaite.hpp"

using crossnest::Design;
using crossnest::Estimates;
using crossnest::Evaluator;
using crossnest::Fit;
using crossnest::Index;
using crossnest::InterruptCheck;
using crossnest::Model;
using crossnest::Response;
using crossnest::Sums;

struct cn_options {
  crossnest::ModelOptions model;
  crossnest::OptimizerOptions optimizer;
  bool reml = true;
  const volatile int* cancel = nullptr;
};

struct cn_design {
  Design design;
};

struct cn_sums {
  Sums sums;
};

struct cn_model {
  std::shared_ptr<const Model> model;
};

/// A response, the numbers it looks at where they are not the caller's, and its model.
struct cn_response {
  std::shared_ptr<const Model> model;
  std::shared_ptr<const std::vector<double>> numbers;
  std::shared_ptr<const Response> response;
};

/// A fit and what is needed to compute what follows from it.
struct cn_fit {
  cn_response of;
  std::unique_ptr<Evaluator> evaluator;
  Fit fit;

  const Estimates& estimates() const { return fit.estimates; }
  const Response& response() const { return *of.response; }
};

namespace {

thread_local std::string last_error;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

int32_t failed(int32_t code, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();
  }
  return code;
}

// Runs the body of a function; what it throws becomes a code and a message.
template <class Body>
int32_t guarded(Body&& body) noexcept {
  try {
    body();
    return CN_OK;
  } catch (const crossnest::Interrupted& error) {
    return failed(CN_ERROR_INTERRUPTED, error.what());
  } catch (const crossnest::FitError& error) {
    return failed(CN_ERROR_FIT, error.what());
  } catch (const std::bad_alloc& error) {
    const auto* limit = dynamic_cast<const crossnest::MemoryLimitError*>(&error);
    return failed(CN_ERROR_MEMORY, limit != nullptr ? limit->what() : "out of memory");
  } catch (const std::logic_error& error) {
    return failed(CN_ERROR_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return failed(CN_ERROR_INTERNAL, error.what());
  } catch (...) {
    return failed(CN_ERROR_INTERNAL, "unknown error");
  }
}

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

// Refuses NULL for an argument.
template <class T>
T& given(T* pointer, const char* name) {
  if (pointer == nullptr) refuse(std::string(name) + " is NULL");
  return *pointer;
}

void check_length(const char* name, std::int64_t length, std::size_t right) {
  if (length < 0 || at(length) != right)
    refuse(std::string(name) + " has length " + std::to_string(length) + " where it takes " +
           std::to_string(right));
}

std::int64_t in_range(std::int64_t index, std::size_t count, const char* name) {
  if (index < 0 || at(index) >= count)
    refuse(std::string(name) + " " + std::to_string(index) + " is not there: there are " +
           std::to_string(count));
  return index;
}

int as_int(std::int64_t value, const char* name, std::int64_t least) {
  if (value < least || value > std::numeric_limits<int>::max())
    refuse(std::string(name) + " must not be " + std::to_string(value));
  return static_cast<int>(value);
}

const cn_options& or_defaults(const cn_options* options) {
  static const cn_options defaults;
  return options != nullptr ? *options : defaults;
}

InterruptCheck interrupt_of(const cn_options* options) {
  const volatile int* cancel = or_defaults(options).cancel;
  if (cancel == nullptr) return InterruptCheck();
  return InterruptCheck([cancel] { return *cancel != 0; });
}

std::vector<double> copied(const double* values, std::int64_t length) {
  if (values == nullptr) return {};
  if (length < 0) refuse("a length is negative");
  return {values, values + length};
}

void copy_out(const std::vector<double>& from, double* to, std::int64_t length, const char* name) {
  check_length(name, length, from.size());
  std::copy(from.begin(), from.end(), &given(to, name));
}

// Makes a handle and hands it out where nothing threw.
template <class Handle>
void hand_out(Handle** out, std::unique_ptr<Handle> made) {
  Handle*& place = given(out, "the place for the handle");  // before release()
  place = made.release();
}

std::size_t rank_of(const Model& model) { return model.pivot().size(); }

using Eigen::Map, Eigen::MatrixXd, Eigen::VectorXd;

// RX^-1, whose product with its transpose is vcov / sigma^2.
MatrixXd root_of_vcov(const Estimates& estimates) {
  const auto p = static_cast<Eigen::Index>(estimates.beta.size());
  return Map<const MatrixXd>(estimates.RX.data(), p, p)
      .triangularView<Eigen::Upper>()
      .solve(MatrixXd::Identity(p, p));
}

std::vector<double> vcov(const Estimates& estimates) {
  const MatrixXd root = estimates.sigma * root_of_vcov(estimates);
  const MatrixXd product = root * root.transpose();
  return {product.data(), product.data() + product.size()};
}

std::vector<double> standard_errors(const Estimates& estimates) {
  const VectorXd errors = estimates.sigma * root_of_vcov(estimates).rowwise().norm();
  return {errors.data(), errors.data() + errors.size()};
}

// The length of an array of a fit, by name.
std::size_t array_length(const cn_fit& fit, const std::string& name) {
  const Estimates& estimates = fit.estimates();
  const std::size_t p = estimates.beta.size();
  if (name == "theta") return estimates.theta.size();
  if (name == "beta" || name == "standard_errors") return p;
  if (name == "vcov") return p * p;
  if (name == "fitted") return estimates.fitted.size();
  if (name == "leverages") return estimates.fitted.size();
  refuse("a fit has no array '" + name + "'");
}

std::vector<double> array_of(cn_fit& fit, const std::string& name) {
  const Estimates& estimates = fit.estimates();
  if (name == "theta") return estimates.theta;
  if (name == "beta") return estimates.beta;
  if (name == "standard_errors") return standard_errors(estimates);
  if (name == "vcov") return vcov(estimates);
  if (name == "fitted") return estimates.fitted;
  return fit.evaluator->leverages(fit.response(), estimates);
}

// x beta + z b of other rows; a code below 0 has no effects.
std::vector<double> predicted(const cn_fit& fit, const Design& rows,
                              const std::vector<bool>& included) {
  const Model& model = *fit.of.model;
  const Estimates& estimates = fit.estimates();
  std::vector<double> out(at(rows.n), 0.0);
  for (std::size_t j = 0; j < estimates.beta.size(); ++j) {
    const double* x = rows.X + model.pivot()[j] * rows.n;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += estimates.beta[j] * x[i];
  }
  for (std::size_t t = 0; t < rows.terms.size(); ++t) {
    if (!included[t]) continue;
    const crossnest::Term& term = rows.terms[t];
    const crossnest::Level* codes = rows.factors[at(term.factor)].codes;
    const std::size_t k = term.columns.size();
    for (std::size_t i = 0; i < out.size(); ++i)
      for (std::size_t c = 0; codes[i] >= 0 && c < k; ++c)
        out[i] += estimates.b[t][at(codes[i]) * k + c] *
                  (term.columns[c] == nullptr ? 1.0 : term.columns[c][i]);
  }
  return out;
}

std::unique_ptr<cn_fit> fit_of(const cn_response& response, const cn_options* options) {
  auto fit = std::make_unique<cn_fit>();
  fit->of = response;
  fit->evaluator = std::make_unique<Evaluator>(*response.model, interrupt_of(options),
                                               or_defaults(options).model.threads);
  return fit;
}

}  // namespace

int32_t cn_abi_version(void) { return 1; }
const char* cn_version(void) { return crossnest::version(); }
const char* cn_last_error(void) { return last_error.c_str(); }

int32_t cn_options_new(cn_options** options) {
  return guarded([&] { hand_out(options, std::make_unique<cn_options>()); });
}

void cn_options_free(cn_options* options) { delete options; }

int32_t cn_options_set_int(cn_options* options, const char* name, int64_t value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name");
    if (option == "threads") {
      to.model.threads = as_int(value, name, 0);
    } else if (option == "memory_limit") {
      if (value < 0) refuse("memory_limit must not be negative");
      to.model.memory_limit = at(value);
    } else if (option == "reml") {
      to.reml = as_int(value, name, 0) != 0;
    } else if (option == "max_evaluations") {
      to.optimizer.max_evaluations = as_int(value, name, 1);
    } else {
      refuse("there is no option '" + option + "' with an integer value");
    }
  });
}

int32_t cn_options_set_double(cn_options* options, const char* name, double value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name");
    if (option != "tolerance") refuse("there is no option '" + option + "' with a real value");
    if (!(value > 0.0 && std::isfinite(value))) refuse("tolerance must be positive");
    to.optimizer.tolerance = value;
  });
}

int32_t cn_options_set_string(cn_options* options, const char* name, const char* value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name"), kind = &given(value, "value");
    if (option != "tail") refuse("there is no option '" + option + "' with a string value");
    if (kind == "automatic")
      to.model.tail = crossnest::TailKind::automatic;
    else if (kind == "dense")
      to.model.tail = crossnest::TailKind::dense;
    else if (kind == "sparse")
      to.model.tail = crossnest::TailKind::sparse;
    else
      refuse("tail must be 'automatic', 'dense' or 'sparse', not '" + kind + "'");
  });
}

int32_t cn_options_set_cancel(cn_options* options, const volatile int* flag) {
  return guarded([&] { given(options, "options").cancel = flag; });
}

int32_t cn_design_new(int64_t n, int64_t p, const double* X, cn_design** design) {
  return guarded([&] {
    if (n < 1 || p < 0) refuse("a design has at least one observation and no negative columns");
    if (p > 0) given(X, "X");
    auto made = std::make_unique<cn_design>();
    made->design.n = n;
    made->design.p = p;
    made->design.X = X;
    hand_out(design, std::move(made));
  });
}

void cn_design_free(cn_design* design) { delete design; }

int32_t cn_design_set_weights(cn_design* design, const double* weights) {
  return guarded([&] { given(design, "design").design.weights = weights; });
}

int32_t cn_design_add_factor(cn_design* design, const int32_t* codes, int64_t levels) {
  return guarded([&] {
    given(codes, "codes");
    if (levels < 1 || levels > std::numeric_limits<crossnest::Level>::max())
      refuse("a grouping factor has at least one level, and fewer than 2^31");
    given(design, "design").design.factors.push_back({codes, levels});
  });
}

int32_t cn_design_add_term(cn_design* design, int64_t factor, int64_t columns,
                           const double* const* values, const char* covariance) {
  return guarded([&] {
    Design& to = given(design, "design").design;
    in_range(factor, to.factors.size(), "factor");
    given(values, "values");
    crossnest::Term term;
    term.factor = static_cast<int>(factor);
    term.columns.assign(values, values + as_int(columns, "columns", 1));
    if (covariance != nullptr) term.covariance = covariance;
    // Refuses an unknown name.
    crossnest::make_covariance_structure(term.covariance, static_cast<int>(columns));
    to.terms.push_back(std::move(term));
  });
}

const char* cn_covariance_name(int64_t index) {
  const auto& all = crossnest::covariance_structures();
  return index < 0 || at(index) >= all.size() ? nullptr : all[at(index)].name.c_str();
}

int32_t cn_sums_new(const cn_design* sample, const double* y, int64_t intercept, cn_sums** sums) {
  return guarded([&] {
    const Design& design = given(sample, "sample").design;
    hand_out(sums, std::make_unique<cn_sums>(cn_sums{Sums(design, &given(y, "y"), intercept)}));
  });
}

void cn_sums_free(cn_sums* sums) { delete sums; }

int32_t cn_sums_copy(const cn_sums* sums, cn_sums** copy) {
  return guarded([&] { hand_out(copy, std::make_unique<cn_sums>(given(sums, "sums"))); });
}

int32_t cn_sums_add(cn_sums* sums, const cn_design* rows, const double* y) {
  return guarded([&] { given(sums, "sums").sums.add(given(rows, "rows").design, &given(y, "y")); });
}

int32_t cn_sums_merge(cn_sums* sums, const cn_sums* other) {
  return guarded([&] { given(sums, "sums").sums.merge(given(other, "other").sums); });
}

int32_t cn_sums_rows(const cn_sums* sums, int64_t* rows) {
  return guarded([&] { given(rows, "rows") = given(sums, "sums").sums.n(); });
}

int32_t cn_model_new(const cn_design* design, const cn_options* options, cn_model** model) {
  return guarded([&] {
    hand_out(
        model,
        std::make_unique<cn_model>(cn_model{std::make_shared<const Model>(
            given(design, "design").design, or_defaults(options).model, interrupt_of(options))}));
  });
}

int32_t cn_model_from_sums(const cn_sums* sums, const cn_options* options, cn_model** model) {
  return guarded([&] {
    hand_out(model,
             std::make_unique<cn_model>(cn_model{std::make_shared<const Model>(
                 given(sums, "sums").sums, or_defaults(options).model, interrupt_of(options))}));
  });
}

void cn_model_free(cn_model* model) { delete model; }

int32_t cn_model_get_int(const cn_model* model, const char* name, int64_t* value) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    const std::string what = &given(name, "name");
    int64_t& out = given(value, "value");
    if (what == "n")
      out = of.design().n;
    else if (what == "p")
      out = of.design().p;
    else if (what == "rank")
      out = static_cast<int64_t>(rank_of(of));
    else if (what == "parameters")
      out = of.parameters();
    else if (what == "terms")
      out = static_cast<int64_t>(of.design().terms.size());
    else if (what == "factors")
      out = static_cast<int64_t>(of.design().factors.size());
    else
      refuse("a model has no integer '" + what + "'");
  });
}

int32_t cn_model_term(const cn_model* model, int64_t term, int64_t* k, int64_t* J) {
  return guarded([&] {
    const Design& design = given(model, "model").model->design();
    const crossnest::Term& one = design.terms[at(in_range(term, design.terms.size(), "term"))];
    given(k, "k") = static_cast<int64_t>(one.columns.size());
    given(J, "J") = design.factors[at(one.factor)].levels;
  });
}

int32_t cn_model_pivot(const cn_model* model, int64_t* columns, int64_t length) {
  return guarded([&] {
    const std::vector<Index>& pivot = given(model, "model").model->pivot();
    check_length("columns", length, pivot.size());
    if (!pivot.empty()) std::copy(pivot.begin(), pivot.end(), &given(columns, "columns"));
  });
}

int32_t cn_model_bounds(const cn_model* model, double* lower, double* upper, int64_t length) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    check_length("lower and upper", length, of.lower_bounds().size());
    given(lower, "lower");
    given(upper, "upper");
    std::copy(of.lower_bounds().begin(), of.lower_bounds().end(), lower);
    std::copy(of.upper_bounds().begin(), of.upper_bounds().end(), upper);
  });
}

int32_t cn_response_new(const cn_model* model, const double* y, const double* offset,
                        cn_response** response) {
  return guarded([&] {
    cn_response made;
    made.model = given(model, "model").model;
    const double* values = &given(y, "y");
    if (offset != nullptr) {
      std::vector<double> numbers = copied(y, made.model->design().n);
      for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] -= offset[i];
      made.numbers = std::make_shared<const std::vector<double>>(std::move(numbers));
      values = made.numbers->data();
    }
    made.response = std::make_shared<const Response>(made.model->read(values));
    hand_out(response, std::make_unique<cn_response>(std::move(made)));
  });
}

int32_t cn_response_from_sums(const cn_model* model, const cn_sums* sums, cn_response** response) {
  return guarded([&] {
    cn_response made;
    made.model = given(model, "model").model;
    made.response = std::make_shared<const Response>(made.model->read(given(sums, "sums").sums));
    hand_out(response, std::make_unique<cn_response>(std::move(made)));
  });
}

void cn_response_free(cn_response* response) { delete response; }

int32_t cn_objective(const cn_response* response, const cn_options* options, const double* theta,
                     int64_t length, double* value, double* gradient) {
  return guarded([&] {
    const cn_response& of = given(response, "response");
    given(value, "value");
    Evaluator evaluator(*of.model, interrupt_of(options), or_defaults(options).model.threads);
    const std::vector<double> at_theta = copied(&given(theta, "theta"), length);
    const bool reml = or_defaults(options).reml;
    if (gradient == nullptr) {
      *value = evaluator.objective(*of.response, at_theta, reml);
      return;
    }
    std::vector<double> slopes;
    const double objective = evaluator.gradient(*of.response, at_theta, reml, slopes);
    if (!std::isfinite(objective))
      std::fill(slopes.begin(), slopes.end(), std::numeric_limits<double>::quiet_NaN());
    *value = objective;
    std::copy(slopes.begin(), slopes.end(), gradient);
  });
}

int32_t cn_fit_new(const cn_response* response, const cn_options* options, const double* start,
                   int64_t length, cn_fit** fit) {
  return guarded([&] {
    const cn_options& with = or_defaults(options);
    auto made = fit_of(given(response, "response"), options);
    made->fit = crossnest::fit(*made->evaluator, made->response(), with.reml, copied(start, length),
                               with.optimizer);
    hand_out(fit, std::move(made));
  });
}

int32_t cn_fit_at(const cn_response* response, const cn_options* options, const double* theta,
                  int64_t length, cn_fit** fit) {
  return guarded([&] {
    auto made = fit_of(given(response, "response"), options);
    made->fit.estimates = made->evaluator->estimates(
        made->response(), copied(&given(theta, "theta"), length), or_defaults(options).reml);
    made->fit.converged = true;
    made->fit.message = "theta as given";
    hand_out(fit, std::move(made));
  });
}

void cn_fit_free(cn_fit* fit) { delete fit; }

int32_t cn_fit_get_int(const cn_fit* fit, const char* name, int64_t* value) {
  return guarded([&] {
    const cn_fit& of = given(fit, "fit");
    const std::string what = &given(name, "name");
    int64_t& out = given(value, "value");
    const std::vector<bool>& singular = of.estimates().singular;
    if (what == "converged")
      out = of.fit.converged;
    else if (what == "singular")
      out = std::find(singular.begin(), singular.end(), true) != singular.end();
    else if (what == "reml")
      out = of.estimates().reml;
    else if (what == "evaluations")
      out = of.fit.evaluations;
    else
      refuse("a fit has no integer '" + what + "'");
  });
}

int32_t cn_fit_get_double(const cn_fit* fit, const char* name, double* value) {
  return guarded([&] {
    const cn_fit& of = given(fit, "fit");
    const std::string what = &given(name, "name");
    double& out = given(value, "value");
    if (what == "objective")
      out = of.estimates().objective;
    else if (what == "sigma")
      out = of.estimates().sigma;
    else if (what == "pwrss")
      out = of.estimates().pwrss;
    else if (what == "nu")
      out = of.estimates().nu;
    else if (what == "log_det_omega")
      out = of.estimates().log_det_omega;
    else if (what == "log_det_C")
      out = of.estimates().log_det_C;
    else if (what == "predicted_decrease")
      out = of.fit.predicted_decrease;
    else
      refuse("a fit has no number '" + what + "'");
  });
}

int32_t cn_fit_length(const cn_fit* fit, const char* name, int64_t* length) {
  return guarded([&] {
    given(length, "length") =
        static_cast<int64_t>(array_length(given(fit, "fit"), &given(name, "name")));
  });
}

int32_t cn_fit_get_array(cn_fit* fit, const char* name, double* values, int64_t length) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    check_length(&given(name, "name"), length, array_length(of, name));
    if (length > 0) copy_out(array_of(of, name), values, length, name);
  });
}

const char* cn_fit_message(const cn_fit* fit) {
  return fit == nullptr ? "" : fit->fit.message.c_str();
}

int32_t cn_fit_modes(const cn_fit* fit, int64_t term, double* modes, int64_t length) {
  return guarded([&] {
    const auto& b = given(fit, "fit").estimates().b;
    copy_out(b[at(in_range(term, b.size(), "term"))], modes, length, "modes");
  });
}

int32_t cn_fit_mode_variances(cn_fit* fit, int64_t term, double* variances, int64_t length) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    in_range(term, of.estimates().b.size(), "term");
    const auto all = of.evaluator->conditional_variances(of.response(), of.estimates());
    copy_out(all[at(term)], variances, length, "variances");
  });
}

int32_t cn_fit_contrast(cn_fit* fit, const double* weights, int64_t length, double* value,
                        double* error, double* df) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    const Estimates& estimates = of.estimates();
    check_length("weights", length, estimates.beta.size());
    const Map<const VectorXd> l(&given(weights, "weights"), length),
        beta(estimates.beta.data(), length);
    const VectorXd c = root_of_vcov(estimates).transpose() * l;
    if (!(c.squaredNorm() > 0.0)) refuse("the weights are all zero");
    const double degrees =
        df == nullptr
            ? 0.0
            : crossnest::satterthwaite_df(
                  of.evaluator->curvature(of.response(), estimates.theta, estimates.reml), c);
    if (value != nullptr) *value = l.dot(beta);
    if (error != nullptr) *error = estimates.sigma * c.norm();
    if (df != nullptr) *df = degrees;
  });
}

int32_t cn_fit_predict(cn_fit* fit, const cn_design* rows, const int32_t* included, double* values,
                       double* variances, int64_t length) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    const Design& design = given(rows, "rows").design;
    check_length("values and variances", length, at(design.n));
    const std::vector<crossnest::Term>& fitted = of.of.model->design().terms;
    std::vector<bool> terms(fitted.size(), true);
    for (std::size_t t = 0; t < std::min(fitted.size(), design.terms.size()); ++t)
      if (design.terms[t].factor != fitted[t].factor)
        refuse("the rows to predict at have another grouping factor in term " + std::to_string(t));
    for (std::size_t t = 0; included != nullptr && t < terms.size(); ++t)
      terms[t] = included[t] != 0;
    // Checks the rows.
    const std::vector<double> errors =
        of.evaluator->prediction_variances(of.response(), of.estimates(), design, terms);
    const std::vector<double> means = predicted(of, design, terms);
    if (values != nullptr) std::copy(means.begin(), means.end(), values);
    if (variances != nullptr) std::copy(errors.begin(), errors.end(), variances);
  });
}

int32_t cn_profile_length(const cn_response* response, int64_t* parameters) {
  return guarded([&] {
    const Model& model = *given(response, "response").model;
    const auto rank = static_cast<Index>(rank_of(model));
    given(parameters, "parameters") =
        static_cast<int64_t>(crossnest::profile_parameters(model.covariance(), rank).size());
  });
}

int32_t cn_profile_intervals(const cn_response* response, const cn_options* options, double cutoff,
                             double* lower, double* upper, int64_t length) {
  return guarded([&] {
    const cn_response& of = given(response, "response");
    given(lower, "lower");
    given(upper, "upper");
    Evaluator evaluator(*of.model, interrupt_of(options), or_defaults(options).model.threads);
    crossnest::Profiler profiler(evaluator, *of.response, or_defaults(options).optimizer);
    check_length("lower and upper", length, profiler.parameters().size());
    std::vector<crossnest::ProfileInterval> ends;
    for (int j = 0; j < static_cast<int>(length); ++j) ends.push_back(profiler.interval(j, cutoff));
    for (std::size_t j = 0; j < ends.size(); ++j) {
      lower[j] = ends[j].lower;
      upper[j] = ends[j].upper;
    }
  });
}

int32_t cn_refit_many(const cn_model* model, const cn_options* options, const double* Y,
                      int64_t count, double* objective, double* sigma, double* theta, double* beta,
                      double* errors, int32_t* status) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    if (count < 0) refuse("count must not be negative");
    crossnest::RefitOptions refit;
    refit.reml = or_defaults(options).reml;
    refit.threads = or_defaults(options).model.threads;
    refit.optimizer = or_defaults(options).optimizer;
    Evaluator evaluator(of, interrupt_of(options), 1);
    const crossnest::Refits found = crossnest::refit_many(evaluator, &given(Y, "Y"), count, refit);
    const auto copy = [](const std::vector<double>& from, double* to) {
      if (to != nullptr) std::copy(from.begin(), from.end(), to);
    };
    copy(found.objective, objective);
    copy(found.sigma, sigma);
    copy(found.theta, theta);
    copy(found.beta, beta);
    copy(found.errors, errors);
    for (std::size_t r = 0; status != nullptr && r < found.status.size(); ++r)
      status[r] = static_cast<int32_t>(found.status[r]);
  });
}
