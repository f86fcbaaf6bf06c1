// The relative covariance factor by blocks.
#pragma once

#include <algorithm>
#include <vector>

#include "blocks.hpp"

namespace crossnest {

/// Lambda: one k x k factor for all levels of a block, column-major.
///
/// A block has several terms side by side and lambda is zero between them, so each column knows
/// where its numbers are.
class Lambda {
 public:
  explicit Lambda(const std::vector<Block>& blocks) {
    for (const Block& block : blocks) {
      const std::size_t k = static_cast<std::size_t>(block.k);
      k_.push_back(block.k);
      values_.emplace_back(k * k);
      first_.emplace_back(k);
      last_.emplace_back(k);
    }
  }

  /// Takes the k x k factor of each block.
  void set(const std::vector<std::vector<double>>& lambda) {
    for (std::size_t t = 0; t < values_.size(); ++t) {
      std::copy(lambda[t].begin(), lambda[t].end(), values_[t].begin());
      find_ranges(t);
    }
  }

  const double* of(int block) const { return values_[static_cast<std::size_t>(block)].data(); }
  int k(int block) const { return k_[static_cast<std::size_t>(block)]; }
  /// By column: what is not zero lies within the rows [first, last).
  const int* first(int block) const { return first_[static_cast<std::size_t>(block)].data(); }
  const int* last(int block) const { return last_[static_cast<std::size_t>(block)].data(); }

 private:
  void find_ranges(std::size_t t) {
    const int size = k_[t];
    for (int j = 0; j < size; ++j) {
      const double* column = values_[t].data() + j * size;
      int first = 0, last = size;
      while (first < size && column[first] == 0.0) ++first;
      while (last > first && column[last - 1] == 0.0) --last;
      first_[t][static_cast<std::size_t>(j)] = first;
      last_[t][static_cast<std::size_t>(j)] = last;
    }
  }

  std::vector<int> k_;                          // by block
  std::vector<std::vector<double>> values_;     // by block: k x k
  std::vector<std::vector<int>> first_, last_;  // by block: k
};

}  // namespace crossnest
