#include "crossnest/blocks.hpp"

#include <algorithm>

namespace crossnest {

std::vector<Block> make_blocks(const Design& design) {
  std::vector<Block> blocks;
  for (int t = 0; t < static_cast<int>(design.terms.size()); ++t) {
    const Term& term = design.terms[static_cast<std::size_t>(t)];
    auto block = std::find_if(blocks.begin(), blocks.end(),
                              [&](const Block& other) { return other.factor == term.factor; });
    if (block == blocks.end()) {
      const Index levels = design.factors[static_cast<std::size_t>(term.factor)].levels;
      block = blocks.insert(blocks.end(), Block{term.factor, levels, 0, {}, {}, 0});
    }
    block->terms.push_back(t);
    block->offsets.push_back(block->k);
    block->k += static_cast<int>(term.columns.size());
  }
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.size() > b.size(); });
  int column = 0;
  for (Block& block : blocks) {
    block.first_column = column;
    column += block.k;
  }
  return blocks;
}

}  // namespace crossnest
