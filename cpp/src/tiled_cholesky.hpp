// Factorization and inverse of the dense tail, by tiles over the kernel table.
#pragma once

#include <vector>

#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/types.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// Dense algebra of one symmetric n x n matrix S, column-major with leading dimension n, of which
/// only the upper triangle is read and written.
///
/// Work is cut into tiles that the pool's threads take in turn, so the kernels need no threads of
/// their own; the cuts depend on n alone, so the numbers do not depend on the number of threads.
/// The caller can interrupt between panels.
class TiledCholesky {
 public:
  TiledCholesky(Index n, const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt);

  /// S = U'U in place, right-looking by panels. False, with S spoilt, when S is not positive
  /// definite.
  bool factor(double* S);
  /// U := (U'U)^-1 in place. Backwards by panels, from X = the inverse of the trailing part: with
  /// Y = U_jj^-1 U_j,rest,
  ///   X_j,rest = -Y X_rest,rest,   X_jj = U_jj^-1 U_jj'^-1 - X_j,rest Y'.
  void invert(double* U);
  /// B := U'^-1 B (transposed) or U^-1 B; B is n x columns with leading dimension n.
  void solve(const double* U, bool transposed, double* B, int columns) const;
  /// S := S - P'P; P is rows x n, leading dimension rows.
  void subtract_square(double* S, double* P, int rows);
  /// out (rows x m, leading dimension ld_out) := alpha P S; S is m x m with leading dimension n, P
  /// is rows x m with leading dimension rows.
  void multiply(double* S, Index m, double* P, int rows, double alpha, double* out, int ld_out);
  /// Copies the upper triangle to the lower one.
  void mirror(double* S) const;

 private:
  Index tiles(Index columns) const { return (columns + width_ - 1) / width_; }

  Index n_;
  Index width_;  // of a tile
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  std::vector<double> panel_;  // workspace of the inverse
};

}  // namespace crossnest
