// The parameters of a model that its deviance is profiled in.
#pragma once

#include <vector>

#include "criterion.hpp"
#include "crossnest/fit.hpp"

namespace crossnest {

/// All parameters of a model: term by term the components of its covariance structure, then sigma,
/// then the fixed effects.
std::vector<ProfileParameter> profile_parameters(const Criterion& criterion);

}  // namespace crossnest
