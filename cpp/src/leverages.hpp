// How much each response weighs in its own fitted value.
#pragma once

#include <vector>

#include "criterion.hpp"
#include "crossnest/model.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// Diagonal (n) of the matrix that maps y to the fitted values, given theta, at the theta at which
/// the criterion was just evaluated:
///
///     h_i = w_i (z Lambda Omega^-1 Lambda'z' + |(x - z Lambda U_X) R_X^-1|^2).
std::vector<double> leverages_at(const Model& model, Criterion& criterion, ThreadPool& pool);

}  // namespace crossnest
