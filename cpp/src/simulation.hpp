// Responses drawn from a model at its estimates.
#pragma once

#include <cstdint>

#include "crossnest/estimates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/model.hpp"

namespace crossnest {

/// Whose random effects a simulated response has.
enum class SimulatedEffects { drawn, conditional_modes };

/// Fills Y (n x count) with the replicates first, ..., first + count - 1 of a seed,
///
///     y = X beta + Z b + e,   b = sigma Lambda u or the conditional modes,   e_i = sigma v_i /
///     sqrt(w_i),
///
/// u by term, level and effect, then v, from the replicate's NormalStream. The model must have
/// rows.
void simulate(const Model& model, const Estimates& at, SimulatedEffects effects, std::uint64_t seed,
              Index first, Index count, double* Y, InterruptCheck& interrupt);

}  // namespace crossnest
