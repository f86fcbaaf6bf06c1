// Kenward and Roger's covariance matrices.
#pragma once

#include <vector>

#include "crossnest/estimates.hpp"

namespace crossnest {

/// What Kenward and Roger's (1997) tests of RX beta need, at the estimates of a fit by REML.
struct KenwardRoger {
  std::vector<double> varpar_vcov;  ///< W, (m + 1) x (m + 1): covariance matrix of the variance
                                    ///< parameters, the inverse of their information
  std::vector<double> adjusted;     ///< p x p: covariance matrix of RX beta / sigma, adjusted,
                                    ///< I + 2 sum_rs W_rs (Q_rs - P_r P_s)
};

/// P_r and Q_rs are Information::first and Information::second, W the inverse of the expected
/// information, or of the `observed` one. Directions it is zero in, those of redundant parameters,
/// are left out. Throws FitError where it is not positive definite, as the observed one may be.
KenwardRoger kenward_roger(const Information& information, bool observed);

/// A contrast l'beta by Kenward and Roger's method.
struct KenwardRogerContrast {
  double error;  ///< standard error over sigma
  double df;     ///< 2 / (a'W a), a_r = d'P_r d, d the direction of c
};

/// `c` (p) is RX'^-1 l.
KenwardRogerContrast contrast(const Information& information, const KenwardRoger& found,
                              const std::vector<double>& c);

}  // namespace crossnest
