// The tail as one dense matrix.
#pragma once

#include <memory>

#include "tail.hpp"
#include "tiled_cholesky.hpp"

namespace crossnest {

/// S, then U with S = U'U (L = U'), then S^-1, in the upper triangle of one array.
class DenseTail final : public Tail {
 public:
  DenseTail(Index size, const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt);

  bool factorize(SchurComplement& S) override;
  double log_det() const override;
  void solve_lower(double* B, int columns) const override;
  void solve_lower_transposed(double* B, int columns) const override;
  void invert(bool whole) override;
  InverseColumn inverse_column(Index column, int worker) override;
  void inverse_block(Index row, int rows, Index column, int columns, double* out) const override;
  void multiply_inverse(double* P, int rows, double alpha, double* out) override;

 private:
  double* column(Index j) const { return matrix_.get() + j * size(); }

  TiledCholesky algebra_;
  InterruptCheck& interrupt_;
  std::unique_ptr<double[]> matrix_;  // q2 x q2, column-major
  bool inverted_ = false;
  bool mirrored_ = false;  // whether the lower triangle of S^-1 is there too
};

}  // namespace crossnest
