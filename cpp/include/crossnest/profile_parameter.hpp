// The parameters of a model that its deviance is profiled in.
#pragma once

#include <vector>

#include "crossnest/criterion.hpp"
#include "crossnest/design.hpp"

namespace crossnest {

/// One parameter of the model on the scale it is reported on.
struct ProfileParameter {
  enum class Kind {
    sd,           ///< standard deviation of an effect of a term
    correlation,  ///< correlation of two effects of a term
    sigma,        ///< residual standard deviation
    fixed         ///< fixed effect
  };
  Kind kind;
  int term = 0;  ///< index into Design::terms (sd, correlation)
  /// sd: the effect; correlation: the column of the pair; fixed: index among the kept columns of X.
  int first = 0;
  int second = 0;  ///< correlation: the row of the pair
};

/// All parameters of a model: term by term its standard deviations and correlations (the lower
/// triangle, column by column), then sigma, then the fixed effects.
std::vector<ProfileParameter> profile_parameters(const Criterion& criterion, const Design& design);

}  // namespace crossnest
