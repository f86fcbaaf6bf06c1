// What is estimated at one theta.
#pragma once

#include <vector>

namespace crossnest {

/// Everything estimated at one theta, on the user's scale.
struct Estimates {
  std::vector<double> theta;  ///< covariance parameters, the terms in the user's order
  bool reml = true;
  double objective = 0.0;      ///< REML criterion or deviance
  double sigma = 0.0;          ///< residual standard deviation
  double pwrss = 0.0;          ///< penalized weighted residual sum of squares
  double log_det_omega = 0.0;  ///< log|Lambda'Z'WZ Lambda + I|
  double log_det_C = 0.0;      ///< log|X'WX - R_ZX'R_ZX| = 2 sum log diag RX
  double nu = 0.0;             ///< n - p (REML) or n (ML)
  std::vector<double> beta;    ///< rank, the kept columns of X
  std::vector<double> RX;      ///< rank x rank, column-major, upper: vcov = sigma^2 (RX'RX)^-1
  std::vector<int> effects;    ///< by term: k
  std::vector<std::vector<double>> u,
      b;                       ///< by term: k x J column-major, a level's effects together
  std::vector<double> fitted;  ///< n, without offset
  std::vector<bool> singular;  ///< by term: lambda singular (a scale below 1e-4 of unit scale)
};

}  // namespace crossnest
