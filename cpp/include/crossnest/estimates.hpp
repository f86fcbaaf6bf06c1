// What is estimated, at the optimum or at any theta, and what follows from it.
#pragma once

#include <string>
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
  std::vector<double> fitted;  ///< n, without offset; empty where the model has no rows
  std::vector<bool> singular;  ///< by term: lambda singular (a scale below 1e-4 of unit scale)
};

/// Random effects of one term whose variances the data do not determine.
struct Confounding {
  enum class Kind {
    fixed,      ///< their columns of Z lie within the span of X
    dependent,  ///< their columns of Z are linearly dependent within the term
    repeated,   ///< another term on the same groups has all of them
    shared,    ///< a variance may pass to another term that has some of the effects, but not all of
               ///< this one; or, where effects share parameters, to another term or the residual
    residual,  ///< they are one for each observation, of equal size: the residual's are like them
    exact      ///< they fit the response exactly: sigma goes to zero
  };
  Kind kind;
  int term;                  ///< index into Design::terms
  std::vector<int> effects;  ///< among the term's k, increasing
  bool combination = false;  ///< whether it is about linear combinations of these effects only
  int other = -1;            ///< the other term (repeated, shared); -1: none, or the residual
};

/// The estimates and how they were found.
struct Fit {
  Estimates estimates;
  std::vector<double> start;  ///< theta the search started from, user's scale
  double predicted_decrease = 0.0;
  int evaluations = 0, gradients = 0;
  bool converged = false;
  std::string message;
  double seconds = 0.0;
  std::vector<Confounding> confounded;  ///< what the data do not determine
};

/// The pieces of the expected and the observed information on the variance parameters of
/// Var(y) = sum_r gamma_r G_r, at one theta.
///
/// G_r = sigma^2 Z E_r Z' for the entries of each term's covariance matrix (the terms in the user's
/// order, theta's order within a term, the engine's coordinates of the random effects), where the
/// term's structure is linear in its parameters, and where it is not the derivatives of Var(y) by
/// its theta; and
/// last G_m = Var(y) = sigma^2 V itself: it takes the place of sigma^2 W^-1, a linear combination
/// of all of them, so that nothing is lost by cancellation and no sum runs over rows. What follows
/// from the information does not depend on the choice.
///
/// The expected information is tr(P G_r P G_s) / 2, the observed one `quadratics` less that.
///
/// Entries that the data do not determine count as known: their rows and
/// columns are zero.
///
/// Fixed effects are those of RX beta, whose covariance matrix is sigma^2 I (see Estimates::RX).
/// Write Sinv for Var(y)^-1 and Xr = sigma X RX^-1, so that Xr'Sinv Xr = I.
struct Information {
  int parameters = 0;              ///< m + 1, the directions G_r
  int rank = 0;                    ///< p
  std::vector<double> first;       ///< Xr'Sinv G_r Sinv Xr: p x p for each r
  std::vector<double> second;      ///< Xr'Sinv G_r Sinv G_s Sinv Xr: p x p for each r, for each s
  std::vector<double> traces;      ///< tr(Sinv G_r Sinv G_s), (m + 1) x (m + 1)
  std::vector<double> quadratics;  ///< y'P G_r P G_s P y + (tr(P G_rs) - y'P G_rs P y) / 2,
                                   ///< (m + 1) x (m + 1), G_rs = d^2 Var(y), zero where linear;
                                   ///< P = Sinv - Sinv Xr Xr'Sinv
};

/// Second derivatives of the criterion that is not profiled,
///
///     D(theta, sigma) = log|Omega| + [REML] log|C| + nu log(2 pi sigma^2) + r2 / sigma^2,
///
/// and first derivatives of Var(beta) = sigma^2 (RX'RX)^-1. The parameters are linear in theta:
/// phi, theta itself where lambda is not linear in it, and else such that the lambda_t of the
/// engine's coordinates change along orthonormal directions; and last tau, sigma over its estimate.
/// Satterthwaite's degrees of freedom are the same in phi and tau as in theta and sigma. Directions
/// of phi that the data do not determine have no curvature and no derivative.
struct Curvature {
  int parameters = 0;            ///< m + 1
  int rank = 0;                  ///< p
  std::vector<double> hessian;   ///< (m + 1) x (m + 1)
  std::vector<double> jacobian;  ///< RX (d Var(beta)) RX' / sigma^2: p x p for each parameter
  bool exact = true;             ///< whether in closed form, and not by differences of gradients
};

}  // namespace crossnest
