// Random-effects terms amalgamated by grouping factor.
#pragma once

#include <vector>

#include "crossnest/design.hpp"

namespace crossnest {

/// All terms on one grouping factor, taken as one term with a block-diagonal lambda:
/// (1 | g) + (0 + x | g) is one block with k = 2.
struct Block {
  int factor;                ///< index into Design::factors
  Index levels;              ///< J
  int k;                     ///< random effects of each level, over all the terms
  std::vector<int> terms;    ///< indices into Design::terms
  std::vector<int> offsets;  ///< where each term's effects begin among the k
  int first_column;          ///< where its k columns begin among the columns of all blocks

  Index size() const { return levels * k; }
};

/// The blocks of a design, by decreasing number of random effects (ties: as the terms come).
std::vector<Block> make_blocks(const Design& design);

/// `parts` + 1 levels that cut all levels in parts with about as many rows each.
std::vector<Level> cuts_by_rows(const Level* codes, Index n, Index levels, int parts);

}  // namespace crossnest
