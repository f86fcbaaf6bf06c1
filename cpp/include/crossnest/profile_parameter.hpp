// The parameters of a model that its deviance is profiled in.
#pragma once

#include <vector>

#include "crossnest/criterion.hpp"
#include "crossnest/design.hpp"

namespace crossnest {

/// One parameter of the model on the scale it is reported on.
struct ProfileParameter {
  enum class Kind {
    sd,           ///< standard deviation of an effect of a term, or of all its effects
    correlation,  ///< correlation of two effects of a term, or that its correlations depend on
    sigma,        ///< residual standard deviation
    fixed         ///< fixed effect
  };
  Kind kind;
  int term = 0;   ///< index into Design::terms (sd, correlation)
  int index = 0;  ///< among the term's components; fixed: among the kept columns of X
};

/// All parameters of a model: term by term the components of its covariance structure, then sigma,
/// then the fixed effects.
std::vector<ProfileParameter> profile_parameters(const Criterion& criterion);

}  // namespace crossnest
