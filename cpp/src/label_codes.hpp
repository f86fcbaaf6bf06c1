// Labels as codes of sorted levels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <vector>

#include "crossnest/types.hpp"

namespace crossnest {

/// Distinct labels, sorted, and the code of each label that was read.
template <class Label>
struct LabelCodes {
  std::vector<Label> levels;
  std::vector<Level> codes;
};

/// Codes the labels label(0), ..., label(n - 1).
template <class Label, class Labels>
LabelCodes<Label> code_labels(Index n, const Labels& label) {
  LabelCodes<Label> out;
  std::unordered_map<Label, Level> seen;
  out.codes.reserve(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    const auto [place, is_new] = seen.try_emplace(label(i), static_cast<Level>(seen.size()));
    if (is_new) out.levels.push_back(place->first);
    if (seen.size() == static_cast<std::size_t>(std::numeric_limits<Level>::max()))
      throw std::invalid_argument("there are more than 2^31 - 2 different labels");
    out.codes.push_back(place->second);
  }
  std::vector<Level> order(out.levels.size()), rank(order.size());
  std::iota(order.begin(), order.end(), 0);
  const auto level = [&](Level l) -> const Label& {
    return out.levels[static_cast<std::size_t>(l)];
  };
  std::sort(order.begin(), order.end(), [&](Level a, Level b) { return level(a) < level(b); });
  std::vector<Label> sorted;
  for (const Level l : order) {
    rank[static_cast<std::size_t>(l)] = static_cast<Level>(sorted.size());
    sorted.push_back(level(l));
  }
  out.levels = std::move(sorted);
  for (Level& code : out.codes) code = rank[static_cast<std::size_t>(code)];
  return out;
}

/// The codes among given levels (sorted, or any type that compares with them): -1 for others.
template <class Label, class Stored, class Labels>
void code_among(const std::vector<Stored>& levels, Index n, const Labels& label, Level* codes) {
  std::unordered_map<Label, Level> known;
  for (const Stored& level : levels) known.emplace(level, static_cast<Level>(known.size()));
  for (Index i = 0; i < n; ++i) {
    const auto place = known.find(label(i));
    codes[i] = place == known.end() ? -1 : place->second;
  }
}

}  // namespace crossnest
