// x beta + z b, row by row.
#pragma once

#include <vector>

#include "crossnest/design.hpp"

namespace crossnest {

/// out += X beta, beta that of the columns `pivot` of X.
void add_fixed(const Design& rows, const std::vector<Index>& pivot, const std::vector<double>& beta,
               double* out);
/// out += Z b of a term, b k x J; a code below 0 has no effects.
void add_random(const Design& rows, const Term& term, const std::vector<double>& b, double* out);

}  // namespace crossnest
