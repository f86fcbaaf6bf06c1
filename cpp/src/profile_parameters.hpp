// The parameters of a model that its deviance is profiled in.
#pragma once

#include <vector>

#include "covariance_parameters.hpp"
#include "crossnest/fit.hpp"

namespace crossnest {

/// All parameters of a model: term by term the components of its covariance structure, then sigma,
/// then the fixed effects, as many as the rank of X.
std::vector<ProfileParameter> profile_parameters(const CovarianceParameters& covariance,
                                                 Index rank);

}  // namespace crossnest
