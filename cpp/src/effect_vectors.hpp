// Vectors over all random effects, and what is multiplied with them.
#pragma once

#include <vector>

#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// Vectors of length q, stored by block in the order of the blocks, by level, by effect; several of
/// them as the columns of a column-major matrix.
class EffectVectors {
 public:
  EffectVectors(const std::vector<Block>& blocks, const CrossProducts& A,
                const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt);

  /// q, all random effects.
  Index q() const { return start_.back(); }
  /// Where a block's random effects begin.
  Index start(int block) const { return start_[static_cast<std::size_t>(block)]; }

  /// product (q x columns) := Z'WZ V.
  void multiply(const double* V, int columns, double* product) const;
  /// product (columns x columns, column-major; the upper triangle of it) += alpha A'B for A and B
  /// with `columns` columns of length q.
  void add_gram(double alpha, const double* A, const double* B, int columns, double* product) const;
  /// Polls the interrupt check, before some multiply-adds of work.
  void poll(double work) const { interrupt_.poll(work); }

 private:
  void multiply_column(const double* v, double* out) const;

  const CrossProducts& A_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  std::vector<Index> start_;  // blocks + 1
};

}  // namespace crossnest
