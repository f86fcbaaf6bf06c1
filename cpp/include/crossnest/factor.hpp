// The blocked Cholesky factor L of Omega = Lambda'Z'WZ Lambda + I, bordered by [X y].
#pragma once

#include <memory>
#include <vector>

#include "crossnest/cross_products.hpp"
#include "crossnest/head.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/lambda.hpp"
#include "crossnest/schur_complement.hpp"
#include "crossnest/structure.hpp"
#include "crossnest/tail.hpp"
#include "crossnest/thread_pool.hpp"

namespace crossnest {

/// The numbers of L at one Lambda, and what is solved with them.
///
/// The matrix factored is the symmetric bordered one,
///
///     [ Lambda'Z'WZ Lambda + I    Lambda'Z'W[X y] ]   [ L        ] [ L'  R_Z ]
///     [                            [X y]'W[X y]   ] = [ R_Z'  F' ] [      F  ]
///
/// whose last block F = [R_X c_beta; 0 sqrt(r2)] (upper triangular) holds log|C| = 2 sum log diag
/// R_X, the right-hand side of R_X beta = c_beta, and r2, the penalized weighted residual sum of
/// squares. factorize(), border_solution() and invert() allocate their workspace once; later calls
/// none.
///
/// Vectors over all random effects are stored by block in the order of the blocks, by level, by
/// effect; several of them as the columns of a column-major matrix with q() rows.
class Factor {
 public:
  Factor(const std::vector<Block>& blocks, const CrossProducts& A, const Structure& structure,
         const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt);

  /// Factors at Lambda: `lambda[t]` is block t's k x k factor, column-major. False when a pivot is
  /// not positive (rounding at an extreme Lambda); nothing else may be called then.
  bool factorize(const std::vector<std::vector<double>>& lambda);
  /// log|Omega|.
  double log_det() const { return log_det_; }
  /// F, border x border, column-major, upper triangular.
  const std::vector<double>& border() const { return F_; }

  /// Polls the interrupt check of the factor.
  void poll(double work) { interrupt_.poll(work); }
  /// q, all random effects.
  Index q() const { return block_start_.back(); }
  /// Where a block's random effects begin.
  Index block_start(int block) const { return block_start_[static_cast<std::size_t>(block)]; }

  /// W = L'^-1 R_Z F^-1, q x border: its first columns are U_X R_X^-1, its last u / sqrt(r2).
  /// Computed once for each factorization.
  const std::vector<double>& border_solution();
  /// B := L^-1 B for `columns` columns of length q().
  void solve_lower(double* B, int columns);
  /// Numbers of L^-1 v, for a v that is zero but at one level of each block, before the tail's:
  /// see solve_head_at().
  Index head_rows() const { return reached_start_.back(); }
  /// q2, the rows of the tail.
  Index tail_rows() const { return structure_.tail().size; }
  /// The head's part of L^-1 V for sparse columns V that share their levels. `level[t]` is the one
  /// level of block t where V is not zero, -1 if there is none. V stacks the k values of every
  /// block (sum of k x columns); those of a block without a level are not read. All of L^-1 V that
  /// is not zero goes to `head` (head_rows() x columns, padded with zeros); `tail` (tail_rows() x
  /// columns) becomes the right-hand side of solve_tail(). May be called from several threads.
  void solve_head_at(const Level* level, const double* V, int columns, double* head,
                     double* tail) const;
  /// tail := the tail's part of L^-1 V, after solve_head_at(). Before invert() only.
  void solve_tail(double* tail, Index columns) const;
  /// product (border x columns) := R_Z'E.
  void multiply_border_transposed(const double* E, int columns, double* product) const;
  /// product (q x columns) := Z'WZ V.
  void multiply(const double* V, int columns, double* product);
  /// product (columns x columns, column-major; the upper triangle of it) += alpha A'B for A and B
  /// with `columns` columns of length q().
  void add_gram(double alpha, const double* A, const double* B, int columns, double* product);

  /// Whether invert() leaves the factor itself as it is, for more solves at the same Lambda.
  bool inverts_apart() const { return structure_.tail().size == 0; }
  /// Forms the k x k diagonal blocks of Omega^-1 for every level and, when `whole`, Omega^-1 at
  /// every entry of the pattern of L. The dense tail's factor is overwritten by its inverse: call
  /// border_solution() and solve_lower() before. Computed once for each factorization.
  void invert(bool whole);
  /// (Omega^-1)_ll of a level of a block, k x k, column-major; after invert().
  const double* inverse_diagonal(int block, Index level) const;
  /// Omega^-1 between two levels of different blocks that occur together in some row, k_s x k_t,
  /// column-major; after invert(true).
  void inverse_block(int s, Level level_s, int t, Level level_t, double* out) const;

 private:
  template <class Body>
  void for_border_columns(Body&& body);
  bool factor_tail();
  bool factor_border();
  void divide_by_F(double* columns, Index rows, Index ld) const;
  template <int K>
  void solve_border_level(int h, Index level, double* rhs);
  void gather_tail_inverse(bool whole);
  template <int K>
  void gather_column(int h, Index column, const Tail::InverseColumn& own);
  void gather_full_rows(int h, bool whole);
  void invert_head(int h, bool whole);
  void add_ancestors(int h, Index level);
  const double* ancestor_inverse(const HeadBlock& head, Index level, std::size_t i,
                                 std::size_t j) const;
  template <int K>
  void finish_inverse_level(int h, Index level, bool whole);
  int k(int block) const { return blocks_[static_cast<std::size_t>(block)].k; }

  const std::vector<Block>& blocks_;
  const CrossProducts& A_;
  const Structure& structure_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;

  int border_;
  std::vector<Index> block_start_;    // blocks + 1
  std::vector<Index> reached_start_;  // heads + 1: rows of solve_head_at()'s result
  Lambda lambda_;
  Head head_;
  SchurComplement schur_;
  std::unique_ptr<Tail> tail_;  // nullptr where the head is all
  std::vector<double> F_;       // border x border
  double log_det_ = 0.0;
  std::vector<double> W_;                          // q x border
  std::vector<double> tail_solution_;              // q2 x border, the tail's part of W in its order
  std::vector<std::vector<double>> head_inverse_;  // by head block, like R: Omega^-1 between the
                                                   // level and later columns
  std::vector<std::vector<double>> inverse_diagonal_;  // by block
  std::vector<double> full_product_;                   // rows x q2
  std::vector<double> scratch_;                        // one piece for each thread
  std::size_t scratch_size_;
  bool solved_ = false;
  enum class Inverted { no, diagonal, whole } inverted_ = Inverted::no;
};

}  // namespace crossnest
