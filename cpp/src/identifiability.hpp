// What the cross-products cannot tell of the variances of the random effects.
#pragma once

#include <vector>

#include "coordinates.hpp"
#include "cross_products.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/response.hpp"
#include "eigen_products.hpp"

namespace crossnest {

/// Everything of the kind in one design.
struct Identifiability {
  std::vector<Confounding> confounded;
  /// By term: a T_t for Coordinates::use() whose first unseen[t] effects are those that are not
  /// seen through the residuals of X; empty where the coordinates may stay.
  std::vector<Eigen::MatrixXd> axes;
  std::vector<int> unseen;
  std::vector<HeldParameter> held;
};

/// Finds them from sums of k x k matrices over the levels.
///
/// REML sees of a term only (I - P_X) Z_t, P_X the projection on X. With S_l = Z_l'W(I - P_X)Z_l
/// and D_l = Z_l'WZ_l of level l, effects v with v'(sum S_l)v = 0 leave the criterion constant in
/// their variances and covariances (under ML, falling as the variance falls to zero). J levels of
/// effects that are not zero have rank J, so at most p levels can be such, and the sum is broken
/// off at the level that shows it positive definite: as a rule the first. Terms on the same groups,
/// whatever their labels, are compared by the span of their effects, and effects by themselves with
/// the residual: Z_t Z_t' = c W^-1. For terms whose effects share parameters see
/// shared_variances().
///
/// Held are: under REML effects not seen, at a variance of sigma^2 over their columns' mean square
/// (theta = 1 for an intercept without weights; but see held_parameters()), uncorrelated with the
/// term's other effects; and terms whose effects another term or the residual has, at zero.
Identifiability identify(const Design& design, const std::vector<Block>& blocks,
                         const CovarianceParameters& covariance, const Coordinates& coordinates,
                         const CrossProducts& A, InterruptCheck& interrupt);

/// The held parameters for a response.
///
/// Where every term is an intercept on a factor of its own, an intercept that is not seen is held
/// at lme4's start, theta_t^2 = v_t / (v - sum of v_t), with v the variance of the response and v_t
/// that of its means by the levels of term t; all others as found from Z and X.
std::vector<HeldParameter> held_parameters(const Identifiability& found, const Design& design,
                                           const std::vector<Block>& blocks,
                                           const Coordinates& coordinates, const CrossProducts& A,
                                           const Response& response);

}  // namespace crossnest
