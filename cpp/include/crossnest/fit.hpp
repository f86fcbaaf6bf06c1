// The search for the minimum of the criterion: one fit, many, and profiles about one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crossnest/design.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/evaluator.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/model.hpp"
#include "crossnest/options.hpp"
#include "crossnest/response.hpp"

namespace crossnest {

/// The optimum, from `start` (user's scale) or, where that is empty, from moments. Throws FitError
/// when the criterion cannot be computed.
Fit fit(Evaluator& evaluator, const Response& response, bool reml,
        const std::vector<double>& start = {},
        const OptimizerOptions& options = OptimizerOptions());

/// What became of the fit to one response.
enum class RefitStatus : std::uint8_t {
  ok,
  singular,       ///< converged to a boundary
  not_converged,  ///< the optimizer gave up; the estimates are where it stopped
  not_finite,     ///< no fit: the response has a value that is not finite
  no_variation,   ///< no fit: the response is constant or fitted exactly by the fixed effects
  not_computable  ///< no fit: the criterion could not be computed at any trial theta
};

/// Estimates on the user's scale, one column per response; NaN where there is no fit. m covariance
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

/// One parameter of the model on the scale it is reported on.
struct ProfileParameter {
  enum class Kind {
    sd,           ///< standard deviation of an effect of a term, or of all its effects
    correlation,  ///< correlation of two effects of a term, or that its correlations depend on
    sigma,        ///< residual standard deviation
    fixed         ///< fixed effect
  };
  Kind kind;
  int term = 0;   ///< index into Design::terms (sd, correlation)
  int index = 0;  ///< among the term's components; fixed: among the kept columns of X
};

/// One constrained optimum.
struct ProfilePoint {
  double zeta;                     ///< sign(value - estimate) sqrt(d - minimum of d)
  std::vector<double> parameters;  ///< of all parameters the values at this optimum
};

/// The profile of one parameter, by increasing value; the estimate, where zeta = 0, is among them.
struct ProfileTrace {
  std::vector<ProfilePoint> points;
  /// Why the profile ends before the cutoff on either side, or that a refit on the way did not
  /// converge; else empty.
  std::string lower_note, upper_note;
};

/// Where the profile of one parameter reaches a zeta.
struct ProfileInterval {
  double lower, upper;  ///< a bound of the parameter where zeta is not reached before it; NaN
                        ///< where nothing can be said
  std::string lower_note,
      upper_note;  ///< why an end is a bound or NaN, or that its refit did not converge; else empty
};

/// Profiles the ML deviance of a model in standard deviations, correlations, sigma and fixed
/// effects (Bates, Maechler, Bolker and Walker 2015, section 5.1; Bates and Watts 1988, section
/// 6.1): every point is an exact constrained refit, by BFGS from the neighbouring one, computed
/// from cross-products alone.
///
/// Should a constrained refit find a deviance below the minimum known, the model is refitted from
/// there, the profile in hand begun again, and deviance() is the new minimum from then on.
///
/// `parameter` is an index into parameters() (else std::out_of_range is thrown), `cutoff` positive
/// (else std::invalid_argument).
class Profiler {
 public:
  /// Finds the minimum of the deviance first. Evaluator and response must outlive the profiler, and
  /// serve nothing else meanwhile.
  Profiler(Evaluator& evaluator, const Response& response,
           const OptimizerOptions& options = OptimizerOptions());

  const std::vector<ProfileParameter>& parameters() const { return parameters_; }
  /// The ML estimates, in the order of parameters().
  const std::vector<double>& estimates() const { return estimates_; }
  /// The minimum of the deviance.
  double deviance() const { return deviance_; }

  /// Marches from the estimate to either side in steps of about 0.5 in zeta until |zeta| passes
  /// `cutoff` or a bound of the parameter is met.
  ProfileTrace trace(int parameter, double cutoff);
  /// Finds the values at which |zeta| is `cutoff`.
  ProfileInterval interval(int parameter, double cutoff);

 private:
  template <class Work>
  auto with_best_fit(int parameter, double cutoff, Work&& work);
  void set_fit(std::vector<double> theta);

  Criterion& criterion_;
  const DenseKernels& kernels_;
  InterruptCheck& interrupt_;
  std::vector<ProfileParameter> parameters_;
  std::vector<double> theta_, estimates_;
  double deviance_ = 0.0;
  bool thorough_;  // whether every point that is reported is sought from other starts too
};

}  // namespace crossnest
