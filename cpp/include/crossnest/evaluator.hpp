// Everything that is computed of a model and a response at one theta.
#pragma once

#include <memory>
#include <vector>

#include "crossnest/conditional_covariance.hpp"
#include "crossnest/design.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/model.hpp"
#include "crossnest/options.hpp"
#include "crossnest/response.hpp"

namespace crossnest {

class Criterion;

/// Factor and workspace for one thread at a time; the model is shared, the response an argument.
///
/// The model, and each response while it is in use, must outlive the evaluator. Long calls poll the
/// interrupt check and throw Interrupted; the evaluator is as good as new then.
class Evaluator {
 public:
  /// `threads`: 0 for as many as the model's.
  explicit Evaluator(const Model& model, InterruptCheck interrupt = InterruptCheck(),
                     int threads = 0);
  ~Evaluator();

  const Model& model() const;

  /// d(theta); infinity where it cannot be computed. theta is on the user's scale throughout.
  double objective(const Response& response, const std::vector<double>& theta, bool reml);
  /// d(theta), and its gradient in `gradient` (left alone when d is infinite).
  double gradient(const Response& response, const std::vector<double>& theta, bool reml,
                  std::vector<double>& gradient);
  /// Everything at a given theta. Throws FitError when the criterion is infinite there.
  Estimates estimates(const Response& response, const std::vector<double>& theta, bool reml);

  /// Var(b | y) = sigma^2 Lambda Omega^-1 Lambda' of every level, given theta, sigma and beta; by
  /// term, k x k x J.
  std::vector<std::vector<double>> conditional_variances(const Response& response,
                                                         const Estimates& at);
  /// The same between any levels, and with the fixed effects. Good until the evaluator is used
  /// again.
  ConditionalCovariance conditional_covariance(const Response& response, const Estimates& at);
  /// Diagonal of the matrix that maps y to the fitted values (n).
  std::vector<double> leverages(const Response& response, const Estimates& at);
  /// Variance of x beta^ + z b^ about x beta + z b for other rows (rows.n), z without the effects
  /// of terms that are not `included`. A code below 0 is a level that was not fitted.
  std::vector<double> prediction_variances(const Response& response, const Estimates& at,
                                           const Design& rows, const std::vector<bool>& included);

  /// The pieces of the information on the variance parameters: what Kenward and Roger's method
  /// needs. Throws MemoryLimitError, before it starts, when crossed factors have too many levels.
  Information information(const Response& response, const std::vector<double>& theta, bool reml);
  /// The Hessian in (theta, sigma) and the derivatives of Var(beta): what Satterthwaite's method
  /// needs.
  Curvature curvature(const Response& response, const std::vector<double>& theta, bool reml,
                      HessianKind kind = HessianKind::automatic);

  // The parts, for the library itself.
  /// The criterion of a response; without one, what does not depend on the response.
  Criterion& criterion(const Response& response);
  const Criterion& criterion() const;
  InterruptCheck& interrupt();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossnest
