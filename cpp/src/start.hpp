// Starting values of theta from moments.
#pragma once

#include <vector>

#include "criterion.hpp"
#include "cross_products.hpp"

namespace crossnest {

/// theta (engine's coordinates) from the method of moments known as MINQUE(0): each column of each
/// term is given a variance of its own, and the quadratic forms |Z_c'W r|^2 and r'Wr of the
/// least-squares residuals r are set equal to their expectations. Costs one pass over the
/// cross-products. Rao (1971), J. Multivariate Anal. 1, 257-275.
std::vector<double> moment_start(const std::vector<Block>& blocks, const CrossProducts& A,
                                 const Criterion& criterion);

/// Starts (engine's coordinates) from other sides than moments, for a criterion with several
/// minima: unit scales, scales of ten, and effects that go together.
std::vector<std::vector<double>> other_starts(const CovarianceParameters& covariance);

/// Puts the correlations of a structure that has them as parameters (theta, in place) at a part,
/// from -1 to 1, of the way from 0 to their bounds. At 0, where each row has an effect of its own,
/// effects of one variance cannot be told from residuals: searches had better start elsewhere.
void correlate(const CovarianceStructure& covariance, double part, double* theta);

}  // namespace crossnest
