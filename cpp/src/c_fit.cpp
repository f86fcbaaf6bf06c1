#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_handles.hpp"
#include "covariance_parameters.hpp"
#include "eigen_products.hpp"
#include "linear_predictor.hpp"
#include "satterthwaite.hpp"
#include "simulation.hpp"

using namespace crossnest::c;
using crossnest::Design;
using crossnest::Estimates;
using crossnest::Model;
using Eigen::Map, Eigen::MatrixXd, Eigen::VectorXd;

namespace {

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
  const Estimates& estimates = fit.estimates();
  std::vector<double> out(at(rows.n), 0.0);
  crossnest::add_fixed(rows, fit.of.model->pivot(), estimates.beta, out.data());
  for (std::size_t t = 0; t < rows.terms.size(); ++t)
    if (included[t]) crossnest::add_random(rows, rows.terms[t], estimates.b[t], out.data());
  return out;
}

// A linear combination of beta: its value, and the weights of RX beta, whose variance is sigma^2 I.
struct Contrast {
  double value;
  VectorXd c;

  Contrast(const Estimates& estimates, const double* weights, int64_t length) {
    check_length("weights", length, estimates.beta.size());
    const Map<const VectorXd> l(&given(weights, "weights"), length),
        beta(estimates.beta.data(), length);
    value = l.dot(beta);
    c = root_of_vcov(estimates).transpose() * l;
    if (!(c.squaredNorm() > 0.0)) refuse("the weights are all zero");
  }
};

const crossnest::Curvature& curvature_of(cn_fit& fit) {
  const Estimates& at = fit.estimates();
  if (!fit.curvature) fit.curvature = fit.evaluator->curvature(fit.response(), at.theta, at.reml);
  return *fit.curvature;
}

// With the observed information where Var(y) is not linear in the variance parameters.
const KenwardRogerPieces& kenward_roger_of(cn_fit& fit) {
  const Estimates& at = fit.estimates();
  if (!at.reml)
    refuse("Kenward and Roger's method needs a fit by REML: this one is by maximum likelihood");
  if (!fit.kenward_roger) {
    KenwardRogerPieces pieces{fit.evaluator->information(fit.response(), at.theta, at.reml), {}};
    pieces.matrices =
        crossnest::kenward_roger(pieces.information, !fit.of.model->covariance().is_linear());
    fit.kenward_roger = std::move(pieces);
  }
  return *fit.kenward_roger;
}

std::unique_ptr<cn_fit> fit_of(const cn_response& response, const cn_options* options) {
  auto fit = std::make_unique<cn_fit>();
  fit->of = response;
  fit->evaluator = evaluator_of(*response.model, options);
  return fit;
}

}  // namespace

int32_t cn_fit_new(const cn_response* response, const cn_options* options, const double* start,
                   int64_t length, cn_fit** fit) {
  return guarded([&] {
    const cn_options& with = or_defaults(options);
    auto made = fit_of(given(response, "response"), options);
    crossnest::OptimizerOptions optimizer = with.optimizer;
    if (with.progress.function != nullptr)
      optimizer.progress = [&](int evaluations) { with.progress(evaluations, 0); };
    made->fit = crossnest::fit(*made->evaluator, made->response(), with.reml, copied(start, length),
                               optimizer);
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
    const Contrast contrast(of.estimates(), weights, length);
    const double degrees =
        df == nullptr ? 0.0 : crossnest::satterthwaite_df(curvature_of(of), contrast.c);
    if (value != nullptr) *value = contrast.value;
    if (error != nullptr) *error = of.estimates().sigma * contrast.c.norm();
    if (df != nullptr) *df = degrees;
  });
}

int32_t cn_fit_kenward_roger(cn_fit* fit, const double* weights, int64_t length, double* value,
                             double* error, double* df) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    const Contrast contrast(of.estimates(), weights, length);
    const KenwardRogerPieces& pieces = kenward_roger_of(of);
    const crossnest::KenwardRogerContrast found = crossnest::contrast(
        pieces.information, pieces.matrices, {contrast.c.data(), contrast.c.data() + length});
    if (value != nullptr) *value = contrast.value;
    if (error != nullptr) *error = of.estimates().sigma * found.error;
    if (df != nullptr) *df = found.df;
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

int32_t cn_fit_simulate(cn_fit* fit, int32_t new_effects, uint64_t seed, int64_t first,
                        int64_t count, double* Y, int64_t length) {
  return guarded([&] {
    cn_fit& of = given(fit, "fit");
    const Model& model = *of.of.model;
    if (first < 0 || count < 0) refuse("first and count must not be negative");
    if (first > std::numeric_limits<int64_t>::max() - count) refuse("first is too large");
    if (count > std::numeric_limits<int64_t>::max() / model.design().n)
      refuse("count is too large");
    check_length("Y", length, at(model.design().n * count));
    if (length > 0) given(Y, "Y");
    crossnest::simulate(model, of.estimates(),
                        new_effects != 0 ? crossnest::SimulatedEffects::drawn
                                         : crossnest::SimulatedEffects::conditional_modes,
                        seed, first, count, Y, of.evaluator->interrupt());
  });
}
