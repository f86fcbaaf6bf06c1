// The order of elimination and the pattern of the blocked factor: everything about L but its
// numbers.
#pragma once

#include <string>
#include <vector>

#include "cross_products.hpp"
#include "crossnest/block_report.hpp"
#include "crossnest/options.hpp"

namespace crossnest {

/// A block of the head: eliminated level by level, its own diagonal block never fills in.
///
/// The rows of L^-1 that belong to level l are one k x width(l) matrix R_l, column-major: first the
/// columns of later head blocks (exactly one level of each, since this block is nested in them),
/// then those of the border [X y], then those of the tail levels it occurs with.
struct HeadBlock {
  /// A later head block, in which this one is nested.
  struct Ancestor {
    int head;                          ///< index into Structure::heads
    int offset;                        ///< its first column within R_l
    int k;                             ///< its number of columns
    const std::vector<Level>* parent;  ///< for each level, the level of the ancestor it lies in
    std::vector<Index> tail_map;  ///< for each tail entry of this block, the same column's entry
                                  ///< in the ancestor's row
  };
  /// An earlier head block nested in this one.
  struct Descendant {
    int head;                  ///< index into Structure::heads
    int ancestor;              ///< which of its ancestors this block is
    std::vector<Index> start;  ///< levels + 1
    std::vector<Level> child;  ///< the descendant's levels lying in each level
  };

  int block;          ///< index into the blocks of the model
  Index levels;       ///< J
  int k;              ///< random effects of each level
  int border_offset;  ///< first column of the border in R_l
  int fixed;          ///< columns of R_l before the tail's
  std::vector<Ancestor> ancestors;
  std::vector<Descendant> descendants;

  std::vector<Index> tail_start;    ///< levels + 1, into tail_column
  std::vector<Level> tail_column;   ///< scalar columns of the tail, increasing within a level
  std::vector<Index> source_start;  ///< levels + 1, into source
  /// A block of cross-products to copy into R_l, in the order of its columns.
  struct Source {
    Index entry;  ///< which of the cross blocks
    int block;    ///< the tail block it couples to (an index into the blocks of the model)
  };
  std::vector<Source> source;
  /// Levels that occur with so many tail columns that R_l is taken for a full matrix; increasing.
  std::vector<Level> full_levels;
  std::vector<Index> column_start;  ///< tail size + 1: the transposed pattern, into column_level
  std::vector<Level> column_level;  ///< other levels that occur with each tail column, increasing
  std::vector<Index> column_entry;  ///< the entry of tail_column that is this column

  /// Where R_l begins.
  Index row(Index level) const {
    return k * (level * fixed + tail_start[static_cast<std::size_t>(level)]);
  }
  /// Where the column of a tail entry of R_l begins.
  Index tail_value(Index level, Index entry) const { return k * ((level + 1) * fixed + entry); }
  /// Numbers in all R_l together.
  Index numbers() const { return row(levels); }
};

/// What is left after the head: a symmetric matrix, its upper triangle stored.
struct TailPattern {
  /// One level of a tail block.
  struct Node {
    int block;  ///< index into the blocks of the model
    Level level;
    Level start;  ///< its first scalar column
  };
  /// A block of cross-products between two tail blocks, above the diagonal.
  struct Source {
    Level row;        ///< node, before the column's node
    Index entry;      ///< which of the cross blocks of the two terms
    bool transposed;  ///< whether it is stored with rows and columns exchanged
  };

  Index size = 0;  ///< q2, scalar columns
  bool sparse = false;
  std::vector<Node> nodes;                  ///< in the order of elimination
  std::vector<std::vector<Level>> node_of;  ///< by block (empty for head blocks) and level
  std::vector<Index> source_start;          ///< nodes + 1
  std::vector<Source> source;               ///< by column node
  // The pattern of the upper triangle, diagonal included, by columns; sparse tails only.
  std::vector<int> column_start;  ///< size + 1
  std::vector<int> row;           ///< increasing within a column
  double factor_numbers = 0.0;    ///< numbers in the sparse factor (predicted exactly)
};

/// A number of bytes for people: "12.5 MiB".
std::string readable_bytes(double bytes);

class Structure {
 public:
  /// Finds the order of elimination from the pattern of A. Keeps references into A: A's pattern
  /// must not change while the structure is in use. Throws MemoryLimitError when the factor would
  /// need more than `memory_limit` bytes.
  Structure(const std::vector<Block>& blocks, const CrossProducts& A, TailKind kind,
            std::size_t memory_limit, InterruptCheck* interrupt = nullptr);

  const std::vector<HeadBlock>& heads() const { return heads_; }
  const TailPattern& tail() const { return tail_; }
  /// For each block of the model, its index into heads(), or -1 if it is in the tail.
  int head_of(int block) const { return head_of_[static_cast<std::size_t>(block)]; }
  /// Multiply-adds of one evaluation, about.
  double work() const { return work_; }
  std::vector<BlockReport> report() const;
  /// Memory of the factor and its inverse, about.
  double bytes() const;

 private:
  void choose_heads(const std::vector<Block>& blocks, const CrossProducts& A);
  void link_heads(const CrossProducts& A);
  void place_tail(const std::vector<Block>& blocks, const std::vector<Level>& order);
  void find_full_levels();
  void index_columns(HeadBlock& head);
  void tail_rows(HeadBlock& head, const std::vector<Block>& blocks, const CrossProducts& A);
  void map_tail_to_ancestors();
  void tail_sources(const CrossProducts& A);
  std::vector<std::vector<Level>> node_graph(std::size_t memory_limit) const;
  bool wants_sparse(TailKind kind) const;
  double sampled_density() const;
  void sparse_pattern();
  void check_memory(std::size_t limit) const;
  void check_sparse(double numbers, std::size_t limit) const;
  void count_work();

  std::vector<Level> elimination_order(std::size_t memory_limit) const;
  std::vector<double> column_counts(std::size_t memory_limit) const;
  void poll() const {
    if (interrupt_ != nullptr) interrupt_->poll();
  }

  InterruptCheck* interrupt_;
  std::vector<HeadBlock> heads_;
  std::vector<int> head_of_;
  std::vector<int> factor_of_;  // by block
  std::vector<int> tail_blocks_;
  TailPattern tail_;
  int border_;
  double work_ = 0.0;
  double sparse_work_ = 0.0;  // sum of squares of the column counts of a sparse factor
};

}  // namespace crossnest
