// What the factor of a model is made of.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crossnest/types.hpp"

namespace crossnest {

/// One part of the factor of a model: how it is held, and what it takes.
struct BlockReport {
  std::vector<int> factors;  ///< indices into Design::factors
  std::string kind;          ///< "block-diagonal", "dense" or "sparse"
  Index size;                ///< rows
  int k;                     ///< size of the diagonal blocks ("block-diagonal"), else 1
  Index nonzeros;            ///< numbers in this part of the factor
  std::size_t bytes;         ///< memory of this part of the factor and its inverse
};

}  // namespace crossnest
