// The cross-products A = [Z X y]'W[Z X y], by blocks: all the criterion needs of the data.
#pragma once

#include <vector>

#include "crossnest/blocks.hpp"
#include "crossnest/coordinates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/responses.hpp"
#include "crossnest/thread_pool.hpp"

namespace crossnest {

/// A_st = Z_s'W Z_t of two blocks, compressed by rows: for each level of s the levels of t that
/// occur together with it.
struct CrossBlocks {
  std::vector<Index> row_start;  ///< J_s + 1
  std::vector<Level> column;     ///< levels of t, increasing within a row
  std::vector<double> values;    ///< k_s x k_t each, column-major

  Index count() const { return static_cast<Index>(column.size()); }
  /// Whether every level of s occurs with exactly one level of t: s is nested in t.
  bool nested() const;
};

/// The cross-products of a design, in the coordinates of `Coordinates`.
///
/// Cross-products of two batches of rows (same levels, same coordinates) merge into those of the
/// rows together, so they can be formed in parts, and a response can be replaced without touching Z
/// and X.
class CrossProducts {
 public:
  /// One pass over the rows. The numbers do not depend on the number of threads.
  CrossProducts(const Design& design, const std::vector<Block>& blocks,
                const Coordinates& coordinates, ThreadPool& pool, InterruptCheck& interrupt);

  /// Adds the cross-products of further rows.
  void merge(const CrossProducts& other);
  /// Recomputes what depends on the response: Z'Wy, X'Wy, y'Wy. Same rows, another y.
  void set_response(const Design& design, const std::vector<Block>& blocks,
                    const Coordinates& coordinates, ThreadPool& pool, InterruptCheck& interrupt);
  /// Takes the products of a response read elsewhere, already divided by s.
  void set_response(const ResponseProducts& response);
  /// Divides the response by s (see Coordinates::scale()).
  void scale_response(double s);

  int blocks() const { return static_cast<int>(levels_.size()); }
  Index levels(int t) const { return levels_[static_cast<std::size_t>(t)]; }
  int k(int t) const { return k_[static_cast<std::size_t>(t)]; }
  /// Columns of [X y].
  int border() const { return border_; }
  /// Rows, and the sum of log w over them.
  Index n() const { return n_; }
  double log_weights() const { return log_weights_; }

  /// Z_t'W Z_t: one k x k matrix (column-major, full) for each level.
  const std::vector<double>& diagonal(int t) const {
    return diagonal_[static_cast<std::size_t>(t)];
  }
  /// Z_t'W[X y]: one k x border() matrix (column-major) for each level.
  const std::vector<double>& z_border(int t) const {
    return z_border_[static_cast<std::size_t>(t)];
  }
  /// Z_s'W Z_t, s < t.
  const CrossBlocks& cross(int s, int t) const { return cross_[pair(s, t)]; }
  /// [X y]'W[X y], border() x border(), column-major, full.
  const std::vector<double>& border_border() const { return border_border_; }
  /// Memory all of it takes.
  double bytes() const;
  /// Numbers in Z'WZ: multiply-adds of a product with it.
  std::size_t numbers() const;

 private:
  std::size_t pair(int s, int t) const { return static_cast<std::size_t>(t * (t - 1) / 2 + s); }
  void accumulate(const Design& design, const std::vector<Block>& blocks,
                  const Coordinates& coordinates, const std::vector<std::vector<Level>>& positions,
                  bool response_only, ThreadPool& pool, InterruptCheck& interrupt);

  Index n_ = 0;
  double log_weights_ = 0.0;
  int border_ = 0;
  std::vector<Index> levels_;
  std::vector<int> k_;
  std::vector<std::vector<double>> diagonal_, z_border_;
  std::vector<CrossBlocks> cross_;  // pair (s, t), s < t, at t (t - 1) / 2 + s
  std::vector<double> border_border_;
};

}  // namespace crossnest
