// The head of the blocked factor: what is eliminated level by level.
#pragma once

#include <vector>

#include "border.hpp"
#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "lambda.hpp"
#include "structure.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// The rows of L' that belong to the head: for each level l of a head block the k x k Cholesky
/// factor L_l of its diagonal block and the k x width matrix R_l of its later columns (see
/// HeadBlock), those of the border [X y] among them.
class Head {
 public:
  Head(const std::vector<Block>& blocks, const CrossProducts& A, const Structure& structure,
       const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt);

  /// Forms the head's rows at Lambda and eliminates them. Adds their part of log|Omega| to
  /// `log_det` and subtracts R_border'R_border from F (border x border, upper triangle). False when
  /// a pivot is not positive.
  bool factorize(const Lambda& lambda, const Border& border, double& log_det,
                 std::vector<double>& F);

  /// Number of head blocks.
  int size() const { return static_cast<int>(numbers_.size()); }
  const HeadBlock& pattern(int h) const { return patterns_[static_cast<std::size_t>(h)]; }
  /// L_l, lower triangle; column-major, as all here.
  const double* L(int h, Index level) const {
    const int k = pattern(h).k;
    return numbers_[static_cast<std::size_t>(h)].L.data() + level * k * k;
  }
  /// R_l.
  const double* R(int h, Index level) const { return values(h) + pattern(h).row(level); }
  /// All R_l of a block; HeadBlock says where each is.
  const double* values(int h) const { return numbers_[static_cast<std::size_t>(h)].R.data(); }

  /// Columns of R_l on average.
  static double average_width(const HeadBlock& head);
  /// Levels or columns for one piece of a parallel loop, each of some multiply-adds.
  static Index grain(double work) { return static_cast<Index>(40000.0 / (work + 1.0)) + 1; }
  /// From this number of effects a level on, its k x k blocks are worth a dense kernel.
  static constexpr int kLargeLevel = 128;

 private:
  struct Numbers {
    std::vector<double> L;        // levels x (k x k): the diagonal block, then its factor
    std::vector<double> R;        // see HeadBlock
    std::vector<double> partial;  // by piece: log-determinant and border'border
  };

  void load(int h, const Lambda& lambda, const Border& border);
  template <int K>
  void load_level(int h, Index level, const Lambda& lambda, const Border& border, double* column);
  bool eliminate(int h, double& log_det, std::vector<double>& F);
  template <int K>
  bool eliminate_level(const HeadBlock& head, double* D, double* R, int width, double& log_det,
                       double* border_sum) const;
  bool eliminate_large_level(double* D, int k, double* R, int width, double& log_det) const;
  void update_ancestors(int h);
  void update_from_descendant(int a, const HeadBlock::Descendant& descendant, Index level);

  const CrossProducts& A_;
  const std::vector<HeadBlock>& patterns_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  int border_;
  std::vector<Numbers> numbers_;  // by head block
  Index widest_ = 1;              // effects of a level
  std::vector<double> scratch_;   // widest_ numbers for each thread
};

}  // namespace crossnest
