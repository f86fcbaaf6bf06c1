// What stands beside Z'WZ in the matrix that is factored: the products with [X y].
#pragma once

#include <algorithm>
#include <vector>

#include "cross_products.hpp"
#include "crossnest/response.hpp"

namespace crossnest {

/// [Z X y]'W[X y], X's part from the cross-products of the model and y's from a response.
class Border {
 public:
  explicit Border(const CrossProducts& A) : A_(A), start_{0} {
    for (int t = 0; t < A.blocks(); ++t) start_.push_back(start_.back() + A.levels(t) * A.k(t));
  }

  /// Takes the response that all that follows is about; it must outlive that.
  void set(const Response& response) { response_ = &response; }

  int rank() const { return A_.rank(); }
  /// Columns of [X y].
  int columns() const { return A_.rank() + 1; }
  /// Z_l'WX of a level of a block, k x rank, column-major.
  const double* fixed(int block, Index level) const {
    return A_.z_fixed(block).data() + level * A_.k(block) * A_.rank();
  }
  /// Z_l'Wy, k numbers.
  const double* response(int block, Index level) const {
    return response_->Zy.data() + start_[static_cast<std::size_t>(block)] + level * A_.k(block);
  }
  /// Both side by side, k x columns().
  void copy(int block, Index level, double* out) const {
    const Index k = A_.k(block);
    std::copy_n(fixed(block, level), k * rank(), out);
    std::copy_n(response(block, level), k, out + k * rank());
  }
  /// [X y]'W[X y], columns() x columns(), symmetric.
  void copy_inner(double* out) const {
    const int r = rank();
    for (int j = 0; j < r; ++j) {
      std::copy_n(A_.fixed_fixed().data() + j * r, r, out + j * (r + 1));
      out[j * (r + 1) + r] = out[r * (r + 1) + j] = response_->Xy[static_cast<std::size_t>(j)];
    }
    out[(r + 1) * (r + 1) - 1] = response_->yy;
  }

 private:
  const CrossProducts& A_;
  std::vector<Index> start_;  // blocks + 1: where a block begins in a vector of random effects
  const Response* response_ = nullptr;
};

}  // namespace crossnest
