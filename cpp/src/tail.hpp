// The tail of the blocked factor: the Schur complement, factored by one of several means.
#pragma once

#include <memory>

#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "schur_complement.hpp"
#include "structure.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// S = LL' for the Schur complement S of the head (q2 x q2), and then S^-1.
///
/// L is whatever a tail makes it, as long as LL' = S: a triangle, or the symmetric root where S is
/// never formed. Every call is for whole columns or the whole matrix. invert() may overwrite L;
/// Factor and Inverse see to it that nothing is solved after it.
class Tail {
 public:
  /// One column of S^-1: of the rows before and after the diagonal those that are known. What is
  /// not needed for traces over the pattern of L may be zero.
  struct InverseColumn {
    const double* value;  ///< q2 numbers
    bool above, below;    ///< which side of the diagonal is there
  };

  explicit Tail(Index size) : size_(size) {}
  virtual ~Tail() = default;
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;

  /// q2.
  Index size() const { return size_; }

  /// Reads S and factors it. False when S is not positive definite.
  virtual bool factorize(SchurComplement& S) = 0;
  /// log|S|.
  virtual double log_det() const = 0;
  /// B := L^-1 B and B := L'^-1 B for q2 x columns; from several threads at once.
  virtual void solve_lower(double* B, int columns) const = 0;
  virtual void solve_lower_transposed(double* B, int columns) const = 0;

  /// S^-1 on the pattern of L; of each column at least one side of the diagonal, both when `whole`.
  virtual void invert(bool whole) = 0;
  /// A column of S^-1, until the same worker asks for another one.
  virtual InverseColumn inverse_column(Index column, int worker) = 0;
  /// S^-1 between the rows from `row` on and the columns from `column` on, rows x columns.
  virtual void inverse_block(Index row, int rows, Index column, int columns, double* out) const = 0;
  /// out := alpha P S^-1 for rows x q2 matrices; only of tails whose heads have full levels.
  virtual void multiply_inverse(double* P, int rows, double alpha, double* out) = 0;

 private:
  Index size_;
};

/// The tail that a structure asks for; nullptr where there is none.
std::unique_ptr<Tail> make_tail(const TailPattern& pattern, const DenseKernels& kernels,
                                ThreadPool& pool, InterruptCheck& interrupt);

}  // namespace crossnest
