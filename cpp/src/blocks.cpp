#include "blocks.hpp"

#include <algorithm>
#include <numeric>

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

std::vector<Level> cuts_by_rows(const Level* codes, Index n, Index levels, int parts) {
  if (parts == 1) return {0, static_cast<Level>(levels)};
  std::vector<Index> rows(static_cast<std::size_t>(levels) + 1, 0);
  for (Index i = 0; i < n; ++i) ++rows[static_cast<std::size_t>(codes[i]) + 1];
  std::partial_sum(rows.begin(), rows.end(), rows.begin());
  std::vector<Level> cuts{0};
  for (int part = 1; part < parts; ++part) {
    const auto cut = std::lower_bound(rows.begin(), rows.end(), n * part / parts);
    cuts.push_back(std::max(cuts.back(), static_cast<Level>(cut - rows.begin())));
  }
  cuts.push_back(static_cast<Level>(levels));
  return cuts;
}

}  // namespace crossnest
