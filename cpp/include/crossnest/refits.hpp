// Fits of one model to many responses.
#pragma once

#include <cstdint>
#include <vector>

#include "crossnest/evaluator.hpp"
#include "crossnest/optimizer_options.hpp"

namespace crossnest {

/// What became of the fit to one response.
enum class RefitStatus : std::uint8_t {
  ok,
  singular,       ///< converged to a boundary
  not_converged,  ///< the optimizer gave up; the estimates are where it stopped
  not_finite,     ///< no fit: the response has a value that is not finite
  no_variation,   ///< no fit: the response is constant or fitted exactly by the fixed effects
  not_computable  ///< no fit: the criterion could not be computed at any trial theta
};

struct RefitOptions {
  bool reml = true;
  int threads = 0;            ///< 0: those of the model
  std::vector<double> start;  ///< theta tried as a start besides that from moments; may be empty
  OptimizerOptions optimizer;
};

/// Estimates on the user's scale, one column a response; NaN where there is no fit. m covariance
/// parameters, rank fixed effects.
struct Refits {
  std::vector<double> objective;    ///< count
  std::vector<double> theta;        ///< m x count
  std::vector<double> beta;         ///< rank x count
  std::vector<double> errors;       ///< rank x count, standard errors of beta
  std::vector<double> sigma;        ///< count
  std::vector<int> evaluations;     ///< count
  std::vector<RefitStatus> status;  ///< count
};

/// Fits the model to each of the responses Y (n x count, column-major, less the offset).
///
/// Each fit is that of fit() to tolerance, and does not depend on the other responses or on
/// the number of threads, each of which has an evaluator of its own. The work for each row of the
/// data ends with the products of a response with Z and X. Only the calling thread polls the
/// interrupt check of `evaluator`; when that throws, the others stop too.
Refits refit_many(Evaluator& evaluator, const double* Y, Index count, const RefitOptions& options);

}  // namespace crossnest
