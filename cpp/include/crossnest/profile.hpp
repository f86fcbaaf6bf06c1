// Profiles of the deviance, and the intervals they give.
#pragma once

#include <string>
#include <vector>

#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/profile_parameter.hpp"

namespace crossnest {

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
  /// `theta` (engine's coordinates) minimizes the deviance; the other arguments must outlive this.
  /// With `thorough` every point that is reported is sought from other starts too.
  Profiler(Criterion& criterion, const Design& design, const std::vector<Block>& blocks,
           const DenseKernels& kernels, InterruptCheck& interrupt, std::vector<double> theta,
           bool thorough);

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
  const Design& design_;
  const std::vector<Block>& blocks_;
  const DenseKernels& kernels_;
  InterruptCheck& interrupt_;
  std::vector<ProfileParameter> parameters_;
  std::vector<double> theta_, estimates_;
  double deviance_ = 0.0;
  bool thorough_;
};

}  // namespace crossnest
