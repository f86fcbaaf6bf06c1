// Satterthwaite's degrees of freedom of one contrast.
#pragma once

#include "crossnest/estimates.hpp"
#include "eigen_products.hpp"

namespace crossnest {

/// 2 v^2 / (g'A g) of the contrast l with variance v = l'Var(beta) l, whose gradient in the
/// variance parameters is g and whose A = 2 H^-1, directions without curvature left out
/// (Satterthwaite 1946; Kuznetsova, Brockhoff and Christensen 2017). `c` (rank) is RX'^-1 l,
/// `curvature` that at the estimates. NaN where the Hessian is not finite.
double satterthwaite_df(const Curvature& curvature, const Eigen::VectorXd& c);

}  // namespace crossnest
