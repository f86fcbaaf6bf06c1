// A model, a response and an evaluator in one, for tests about a single response.
#pragma once

#include <crossnest/fit.hpp>
#include <utility>
#include <vector>

#include "designs.hpp"

namespace designs {

class Problem {
 public:
  using Theta = std::vector<double>;
  using Estimates = crossnest::Estimates;

  explicit Problem(View design, const crossnest::ModelOptions& options = {},
                   crossnest::InterruptCheck interrupt = {})
      : design_(std::move(design)),
        model_(design_, options, interrupt),
        response_(model_.read(design_.y, interrupt)),
        evaluator_(model_, std::move(interrupt)) {}

  const View& design() const { return design_; }
  const crossnest::Model& model() const { return model_; }
  const crossnest::Response& response() const { return response_; }
  crossnest::Evaluator& evaluator() { return evaluator_; }
  const crossnest::Criterion& criterion() const { return evaluator_.criterion(); }
  const crossnest::Structure& structure() const { return model_.structure(); }
  const crossnest::Coordinates& coordinates() const { return model_.coordinates(); }
  const std::vector<Index>& pivot() const { return model_.pivot(); }

  double objective(const Theta& theta, bool reml) {
    return evaluator_.objective(response_, theta, reml);
  }
  double gradient(const Theta& theta, bool reml, std::vector<double>& out) {
    return evaluator_.gradient(response_, theta, reml, out);
  }
  Estimates estimates(const Theta& theta, bool reml) {
    return evaluator_.estimates(response_, theta, reml);
  }
  crossnest::Fit fit(bool reml, const Theta& start = {},
                     const crossnest::OptimizerOptions& options = {}) {
    return crossnest::fit(evaluator_, response_, reml, start, options);
  }
  std::vector<std::vector<double>> conditional_variances(const Estimates& at) {
    return evaluator_.conditional_variances(response_, at);
  }
  crossnest::ConditionalCovariance conditional_covariance(const Estimates& at) {
    return evaluator_.conditional_covariance(response_, at);
  }
  std::vector<double> leverages(const Estimates& at) { return evaluator_.leverages(response_, at); }
  std::vector<double> prediction_variances(const Estimates& at, const crossnest::Design& rows,
                                           const std::vector<bool>& included) {
    return evaluator_.prediction_variances(response_, at, rows, included);
  }
  crossnest::Information information(const Theta& theta, bool reml) {
    return evaluator_.information(response_, theta, reml);
  }
  crossnest::Curvature curvature(const Theta& theta, bool reml,
                                 crossnest::HessianKind kind = crossnest::HessianKind::automatic) {
    return evaluator_.curvature(response_, theta, reml, kind);
  }
  crossnest::Profiler profiler(const crossnest::OptimizerOptions& options = {}) {
    return {evaluator_, response_, options};
  }
  crossnest::Refits refit_many(const double* Y, Index count,
                               const crossnest::RefitOptions& options = {}) {
    return crossnest::refit_many(evaluator_, Y, count, options);
  }
  void read(const double* y) { response_ = model_.read(y); }

 private:
  View design_;
  crossnest::Model model_;
  crossnest::Response response_;
  crossnest::Evaluator evaluator_;
};

}  // namespace designs
