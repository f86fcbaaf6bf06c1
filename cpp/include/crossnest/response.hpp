// What a response contributes to a fit, given Z and X.
#pragma once

#include <vector>

namespace crossnest {

/// A covariance parameter that is not estimated, because the data do not determine it.
struct HeldParameter {
  int parameter;   ///< index into theta
  double value;    ///< in the engine's coordinates
  bool reml_only;  ///< whether maximum likelihood determines it after all
};

/// All a fit needs to know of one response: a value, which any number of fits may look at.
///
/// The engine's response is y~ = (y - X~ beta0) / s, residuals of ordinary least squares with mean
/// square one; this also keeps y'Wy small, so that r2 loses no digits by cancellation.
struct Response {
  /// Why a response cannot be fitted, if it cannot.
  enum class Fault {
    none,
    not_finite,    ///< a value is no number
    no_variation,  ///< it is constant, or fitted exactly by the fixed effects
    out_of_range   ///< its residual variance would be no number of double precision
  };

  Fault fault = Fault::none;
  const double* y = nullptr;         ///< n, the caller's: for what is computed row by row
  double unit = 1.0;                 ///< mapped responses are y / unit
  std::vector<double> mapped_beta0;  ///< rank, least squares in the coordinates of X~ and in units
  double mapped_scale = 1.0;         ///< s in units
  std::vector<double> beta0;         ///< rank, the same on the user's scale
  double scale = 1.0;
  std::vector<double> Zy;           ///< q, Z~'Wy~ by block, level and effect
  std::vector<double> Xy;           ///< rank, X~'Wy~
  double yy = 0.0;                  ///< y~'Wy~
  std::vector<HeldParameter> held;  ///< not estimated with this response
};

}  // namespace crossnest
