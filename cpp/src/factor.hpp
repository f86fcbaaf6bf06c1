// The blocked Cholesky factor L of Omega = Lambda'Z'WZ Lambda + I, bordered by [X y].
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/response.hpp"
#include "effect_vectors.hpp"
#include "structure.hpp"
#include "thread_pool.hpp"

namespace crossnest {

struct FactorNumbers;
class Border;
class Inverse;
class InverseDiagonal;

/// What the elimination of the random effects leaves, at one Lambda.
///
/// The matrix factored is the symmetric bordered one,
///
///     [ Lambda'Z'WZ Lambda + I    Lambda'Z'W[X y] ]   [ L        ] [ L'  R_Z ]
///     [                            [X y]'W[X y]   ] = [ R_Z'  F' ] [      F  ]
///
/// whose last block F = [R_X c_beta; 0 sqrt(r2)] (upper triangular) holds log|C| = 2 sum log diag
/// R_X, the right-hand side of R_X beta = c_beta, and r2, the penalized weighted residual sum of
/// squares.
///
/// It is a Factor, until that is turned into an Inverse. Both stand for numbers in a
/// FactorWorkspace, up to its next factorize(); they can be moved, not copied.
class Elimination {
 public:
  Elimination(Elimination&& other) noexcept : numbers_(std::exchange(other.numbers_, nullptr)) {}
  Elimination& operator=(Elimination&& other) noexcept {
    numbers_ = std::exchange(other.numbers_, nullptr);
    return *this;
  }
  Elimination(const Elimination&) = delete;
  Elimination& operator=(const Elimination&) = delete;

  /// log|Omega|.
  double log_det() const;
  /// F, border x border, column-major, upper triangular.
  const std::vector<double>& border() const;
  /// U_F = L'^-1 R_Z F^-1, q x border: its first columns are U_X R_X^-1, its last u / sqrt(r2).
  /// Computed when first asked for.
  const std::vector<double>& border_solution() const;

 protected:
  explicit Elimination(FactorNumbers& numbers) : numbers_(&numbers) {}
  ~Elimination() = default;

  FactorNumbers* numbers_;
};

/// L, for solves.
class Factor : public Elimination {
 public:
  /// B := L^-1 B for `columns` columns of length q.
  void solve_lower(double* B, int columns) const;
  /// product (border x columns) := R_Z'E.
  void multiply_border_transposed(const double* E, int columns, double* product) const;

  /// Numbers of L^-1 v, for a v that is zero but at one level of each block, before the tail's:
  /// see solve_head_at().
  Index head_rows() const;
  /// q2, the rows of the tail.
  Index tail_rows() const;
  /// The head's part of L^-1 V for sparse columns V that share their levels. `level[t]` is the one
  /// level of block t where V is not zero, -1 if there is none. V stacks the k values of every
  /// block (sum of k x columns); those of a block without a level are not read. All of L^-1 V that
  /// is not zero goes to `head` (head_rows() x columns, padded with zeros); `tail` (tail_rows() x
  /// columns) becomes the right-hand side of solve_tail(). May be called from several threads.
  void solve_head_at(const Level* level, const double* V, int columns, double* head,
                     double* tail) const;
  /// tail := the tail's part of L^-1 V, after solve_head_at().
  void solve_tail(double* tail, Index columns) const;

  /// The k x k diagonal blocks of Omega^-1. The inverse takes the place of the factor.
  InverseDiagonal invert_diagonal() &&;
  /// Omega^-1 at every entry of the pattern of L.
  Inverse invert() &&;

 private:
  friend class FactorWorkspace;
  friend class InverseDiagonal;
  explicit Factor(FactorNumbers& numbers) : Elimination(numbers) {}
};

/// The diagonal blocks of Omega^-1.
class InverseDiagonal : public Elimination {
 public:
  /// (Omega^-1)_ll of a level of a block, k x k, column-major.
  const double* diagonal(int block, Index level) const;
  /// The factor again, where the inverse did not take its place: see
  /// FactorWorkspace::keeps_factor().
  std::optional<Factor> factor() &&;

 protected:
  friend class Factor;
  explicit InverseDiagonal(FactorNumbers& numbers) : Elimination(numbers) {}
};

/// Omega^-1 on the pattern of L.
class Inverse : public InverseDiagonal {
 public:
  /// Omega^-1 between two levels of different blocks that occur together in some row, k_s x k_t,
  /// column-major.
  void block(int s, Level level_s, int t, Level level_t, double* out) const;

 private:
  friend class Factor;
  explicit Inverse(FactorNumbers& numbers) : InverseDiagonal(numbers) {}
};

/// Factors at one Lambda after another, in space that is allocated once.
class FactorWorkspace {
 public:
  FactorWorkspace(const std::vector<Block>& blocks, const CrossProducts& A,
                  const Structure& structure, const DenseKernels& kernels, ThreadPool& pool,
                  InterruptCheck& interrupt);
  ~FactorWorkspace();

  /// Factors at Lambda: `lambda[t]` is block t's k x k factor, column-major. Nothing when a pivot
  /// is not positive (rounding at an extreme Lambda). What it returned before is void.
  std::optional<Factor> factorize(const std::vector<std::vector<double>>& lambda,
                                  const Response& response);
  /// Whether L outlives its inversion: there is no tail.
  bool keeps_factor() const;
  /// The vectors that factors and inverses take.
  const EffectVectors& vectors() const;
  /// The products with [X y] that were factored last.
  const Border& beside() const;

 private:
  std::unique_ptr<FactorNumbers> numbers_;
};

}  // namespace crossnest
