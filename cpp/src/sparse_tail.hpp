// The tail as a sparse matrix.
#pragma once

#include <vector>

#include "sparse_cholesky.hpp"
#include "tail.hpp"

namespace crossnest {

/// S and its factor L by columns, and the entries of S^-1 on the pattern of L + L'.
class SparseTail final : public Tail {
 public:
  SparseTail(const TailPattern& pattern, int threads, InterruptCheck& interrupt);

  bool factorize(SchurComplement& S) override;
  double log_det() const override { return cholesky_.log_det(); }
  void solve_lower(double* B, int columns) const override { cholesky_.solve_lower(B, columns); }
  void solve_lower_transposed(double* B, int columns) const override {
    cholesky_.solve_lower_transposed(B, columns);
  }
  void invert(bool whole) override;
  InverseColumn inverse_column(Index column, int worker) override;
  void inverse_block(Index row, int rows, Index column, int columns, double* out) const override;
  void multiply_inverse(double* P, int rows, double alpha, double* out) override;

 private:
  double* scratch(int worker) { return scratch_.data() + worker * size(); }
  void store_column(Index column, double* s);

  SparseCholesky cholesky_;
  InterruptCheck& interrupt_;
  std::vector<double> scratch_;  // for each thread, q2 numbers: zeros but for its column
  std::vector<Index> loaded_;    // for each thread: the column of S^-1 in its scratch, or -1
  bool inverted_ = false;
  bool whole_ = false;  // whether columns have both sides of the diagonal
};

}  // namespace crossnest
