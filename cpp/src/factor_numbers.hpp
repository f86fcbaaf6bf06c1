// What a factor and its inverse consist of.
#pragma once

#include <memory>
#include <vector>

#include "border.hpp"
#include "effect_vectors.hpp"
#include "head.hpp"
#include "lambda.hpp"
#include "schur_complement.hpp"
#include "tail.hpp"

namespace crossnest {

/// The numbers of L, or of Omega^-1 once the factor is inverted, with their workspace.
struct FactorNumbers {
  FactorNumbers(const std::vector<Block>& blocks, const CrossProducts& A,
                const Structure& structure, const DenseKernels& kernels, ThreadPool& pool,
                InterruptCheck& interrupt);

  Index q() const { return vectors.q(); }
  int k(int block) const { return blocks[static_cast<std::size_t>(block)].k; }
  const TailPattern& tail_pattern() const { return structure.tail(); }
  /// columns := columns F^-1, for some rows of a column-major matrix with `ld` of them.
  void divide_by_F(double* columns, Index rows, Index ld) const;
  /// Calls body(first, count) for the columns of the border in panels, on all threads.
  template <class Body>
  void for_border_columns(Body&& body) {
    pool.for_pieces(border, 64, [&](Index first, Index last, int) {
      body(static_cast<int>(first), static_cast<int>(last - first));
    });
  }

  const std::vector<Block>& blocks;
  const CrossProducts& A;
  const Structure& structure;
  const DenseKernels& kernels;
  ThreadPool& pool;
  InterruptCheck& interrupt;
  EffectVectors vectors;

  int border;                  ///< columns of [X y]
  Lambda lambda;               ///< at which L is
  Border beside;               ///< the products with [X y]
  Head head;                   ///< the rows of L' of the head
  SchurComplement schur;       ///< with the tail's rows of R_Z
  std::unique_ptr<Tail> tail;  ///< nullptr where the head is all
  std::vector<double> F;       ///< border x border
  double log_det = 0.0;        ///< log|Omega|

  /// Heads + 1: the rows of each head block in the result of solve_head_at().
  std::vector<Index> reached_start{0};
  bool solved = false;                ///< whether U_F is there
  std::vector<double> U_F;            ///< q x border
  std::vector<double> tail_solution;  ///< q2 x border, the tail's part of U_F in the tail's order
  std::vector<double> scratch;        ///< widest level x border, for each thread
  std::size_t scratch_size;

  enum class Inverted { no, diagonal, whole };
  Inverted inverted = Inverted::no;  ///< what of the inverse is there
  /// By head block, arranged like R: Omega^-1 between each level and its later columns.
  std::vector<std::vector<double>> head_inverse;
  std::vector<std::vector<double>> inverse_diagonal;  ///< by block: levels x (k x k)
  std::vector<double> full_product;                   ///< rows x q2, of some full levels
};

}  // namespace crossnest
