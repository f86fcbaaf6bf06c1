// The cross-products A = [Z X]'W[Z X], by blocks: all the criterion needs of the design.
#pragma once

#include <vector>

#include "blocks.hpp"
#include "coordinates.hpp"
#include "crossnest/interrupt.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// A_st = Z_s'W Z_t of two blocks, compressed by rows: for each level of s the levels of t that
/// occur together with it.
struct CrossBlocks {
  std::vector<Index> row_start;  ///< J_s + 1
  std::vector<Level> column;     ///< levels of t, increasing within a row
  std::vector<double> values;    ///< k_s x k_t each, column-major

  Index count() const { return static_cast<Index>(column.size()); }
  /// Whether a level of s occurs with one of t.
  bool contains(Index of_s, Level of_t) const;
  /// Whether every level of s occurs with exactly one level of t: s is nested in t.
  bool nested() const;
  /// Whether this is a pattern of so many levels, with values of so many numbers each.
  bool is_valid(Index levels_s, Index levels_t, Index size) const;
  /// See ByteWriter.
  template <class Self, class Bytes>
  static void exchange(Self& self, Bytes& bytes) {
    bytes(self.row_start);
    bytes(self.column);
    bytes(self.values);
  }
};

/// The cross-products of a design, in the coordinates of `Coordinates`.
///
/// Cross-products of two batches of rows (same levels, same coordinates) merge into those of the
/// rows together, so they can be formed in parts. What a response adds is a Response.
class CrossProducts {
 public:
  /// One pass over the rows. The numbers do not depend on the number of threads.
  CrossProducts(const Design& design, const std::vector<Block>& blocks,
                const Coordinates& coordinates, ThreadPool& pool, InterruptCheck& interrupt);

  /// None yet, to be read from bytes.
  CrossProducts() = default;

  /// Of sums over [X y], in the coordinates of the rows that were added to them.
  CrossProducts(const Sums& sums, const std::vector<Block>& blocks, const Coordinates& coordinates);

  /// Adds the cross-products of further rows.
  void merge(const CrossProducts& other);

  /// Whether they are the finite cross-products of such blocks and so many columns of X, as far as
  /// their sizes and patterns say: what was read from bytes may be anything.
  bool is_valid(const std::vector<Block>& blocks, Index columns) const;

  int blocks() const { return static_cast<int>(levels_.size()); }
  Index levels(int t) const { return levels_[static_cast<std::size_t>(t)]; }
  int k(int t) const { return k_[static_cast<std::size_t>(t)]; }
  /// Columns of X~.
  int rank() const { return rank_; }
  /// Rows, and the sum of log w over them.
  Index n() const { return n_; }
  double log_weights() const { return log_weights_; }

  /// Z_t'W Z_t: one k x k matrix (column-major, full) for each level.
  const std::vector<double>& diagonal(int t) const {
    return diagonal_[static_cast<std::size_t>(t)];
  }
  /// Z_t'WX: one k x rank() matrix (column-major) for each level.
  const std::vector<double>& z_fixed(int t) const { return z_fixed_[static_cast<std::size_t>(t)]; }
  /// Z_s'W Z_t, s < t.
  const CrossBlocks& cross(int s, int t) const { return cross_[pair(s, t)]; }
  /// X'WX, rank() x rank(), column-major, full.
  const std::vector<double>& fixed_fixed() const { return fixed_fixed_; }
  /// See ByteWriter.
  template <class Self, class Bytes>
  static void exchange(Self& self, Bytes& bytes) {
    bytes(self.n_);
    bytes(self.log_weights_);
    bytes(self.rank_);
    bytes(self.levels_);
    bytes(self.k_);
    bytes(self.diagonal_);
    bytes(self.z_fixed_);
    bytes(self.cross_);
    bytes(self.fixed_fixed_);
  }
  /// Memory all of it takes.
  double bytes() const;
  /// Numbers in Z'WZ: multiply-adds of a product with it.
  std::size_t numbers() const;

 private:
  bool is_consistent() const;
  std::size_t pair(int s, int t) const { return static_cast<std::size_t>(t * (t - 1) / 2 + s); }
  void accumulate(const Design& design, const std::vector<Block>& blocks,
                  const Coordinates& coordinates, const std::vector<std::vector<Level>>& positions,
                  ThreadPool& pool, InterruptCheck& interrupt);

  Index n_ = 0;
  double log_weights_ = 0.0;
  int rank_ = 0;
  std::vector<Index> levels_;
  std::vector<int> k_;
  std::vector<std::vector<double>> diagonal_, z_fixed_;
  std::vector<CrossBlocks> cross_;  // pair (s, t), s < t, at t (t - 1) / 2 + s
  std::vector<double> fixed_fixed_;
};

}  // namespace crossnest
