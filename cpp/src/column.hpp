// One column of a design.
#pragma once

#include <algorithm>

#include "crossnest/types.hpp"

namespace crossnest {

/// Whether a column of n numbers has one value throughout; nullptr is the constant 1.
inline bool is_everywhere(const double* column, Index n, double value) {
  if (column == nullptr) return value == 1.0;
  return std::all_of(column, column + n, [value](double x) { return x == value; });
}

/// Whether it may stand for the intercept: constant, and not zero.
inline bool is_constant(const double* column, Index n) {
  return column[0] != 0.0 && is_everywhere(column, n, column[0]);
}

}  // namespace crossnest
