// Variances that a term whose effects share parameters may pass on to another, or to the residual.
#pragma once

#include <vector>

#include "blocks.hpp"
#include "covariance_parameters.hpp"
#include "cross_products.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/response.hpp"

namespace crossnest {

/// Finds them by the derivatives of Var(y) in the covariance parameters, at a theta in the
/// interior: of two terms, some combination of the derivatives is zero within the residuals of X,
/// as of (1 | g) + cs(0 + f | g), or of cs(0 + f | g) and the residual where each cell has one row.
/// Terms with more than 20 effects are left out, and held parameters count as known.
///
/// Orders of effects and terms that only three or more terms together leave open are not found.
std::vector<Confounding> shared_variances(const std::vector<Block>& blocks,
                                          const CovarianceParameters& covariance,
                                          const CrossProducts& A,
                                          const std::vector<HeldParameter>& held,
                                          InterruptCheck& interrupt);

}  // namespace crossnest
