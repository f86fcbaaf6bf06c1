// Everything estimated at one theta.
#pragma once

#include "criterion.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/model.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// The estimates at the theta (user's scale) at which the criterion was just evaluated, with the
/// response it uses. Throws FitError where one of them is no number of double precision.
Estimates estimates_at(const Model& model, Criterion& criterion, const std::vector<double>& theta,
                       bool reml, ThreadPool& pool);

}  // namespace crossnest
