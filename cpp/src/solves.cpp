// Solves with the factor L.
#include <algorithm>

#include "factor.hpp"
#include "factor_numbers.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// b_l := L_l^-1 (b_l - sum over the levels nested in l of R'b) for one level and column.
void solve_level(const FactorNumbers& n, int h, Index level, double* column) {
  const HeadBlock& head = n.head.pattern(h);
  const int k = head.k;
  double* own = column + n.vectors.start(head.block) + level * k;
  for (const HeadBlock::Descendant& descendant : head.descendants) {
    const HeadBlock& earlier = n.head.pattern(descendant.head);
    const int offset = earlier.ancestors[at(descendant.ancestor)].offset;
    for (Index i = descendant.start[at(level)]; i < descendant.start[at(level) + 1]; ++i) {
      const Level child = descendant.child[at(i)];
      const double* R = n.head.R(descendant.head, child) + offset * earlier.k;
      const double* b = column + n.vectors.start(earlier.block) + child * earlier.k;
      for (int e = 0; e < k; ++e) own[e] -= dot<0>(R + e * earlier.k, b, earlier.k);
    }
  }
  solve_lower<0>(n.head.L(h, level), k, own, 1);
}

// One entry of the tail's right-hand side: b less R'b of the head's levels that are not full.
double tail_entry(const FactorNumbers& n, Index tail_column, double value, const double* column) {
  for (int h = 0; h < n.head.size(); ++h) {
    const HeadBlock& head = n.head.pattern(h);
    const double* start = column + n.vectors.start(head.block);
    for (Index e = head.column_start[at(tail_column)]; e < head.column_start[at(tail_column) + 1];
         ++e) {
      const Index level = head.column_level[at(e)];
      value -= dot<0>(n.head.values(h) + head.tail_value(level, head.column_entry[at(e)]),
                      start + level * head.k, head.k);
    }
  }
  return value;
}

// rest := the tail's right-hand sides, q2 x columns.
void load_tail(const FactorNumbers& n, const double* B, int columns, double* rest) {
  const TailPattern& tail = n.tail_pattern();
  const Index q = n.q();
  n.pool.for_pieces(static_cast<Index>(tail.nodes.size()), 64, [&](Index begin, Index end, int) {
    for (Index i = begin; i < end; ++i) {
      const TailPattern::Node& node = tail.nodes[at(i)];
      const int k = n.k(node.block);
      const Index start = n.vectors.start(node.block) + Index{node.level} * k;
      for (int c = 0; c < columns; ++c)
        for (int effect = 0; effect < k; ++effect)
          rest[c * tail.size + node.start + effect] =
              tail_entry(n, node.start + effect, B[c * q + start + effect], B + c * q);
    }
  });
  for (int h = 0; h < n.head.size(); ++h) {
    const HeadBlock& head = n.head.pattern(h);
    for (const Level level : head.full_levels)
      for (int c = 0; c < columns; ++c) {
        const double* b = B + c * q + n.vectors.start(head.block) + Index{level} * head.k;
        for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e)
          rest[c * tail.size + head.tail_column[at(e)]] -=
              dot<0>(n.head.values(h) + head.tail_value(level, e), b, head.k);
      }
  }
}

// The head's levels that a sparse right-hand side reaches, and the rows they take of the result:
// its own level of each block and, of a later block, those that the levels nested in them lie in.
// So of head h at most h + 1 levels count.
class Reach {
 public:
  Reach(const FactorNumbers& n, int columns, double* head)
      : n_(n), columns_(columns), head_(head), levels_(at(n.head.size())) {}

  Index rows() const { return n_.reached_start.back(); }
  const std::vector<Level>& levels(int h) const { return levels_[at(h)]; }
  // Where the first column's numbers of a level are; a level not met before is noted.
  double* place(int h, Level level) {
    std::vector<Level>& levels = levels_[at(h)];
    const auto found = std::find(levels.begin(), levels.end(), level);
    const Index slot = found - levels.begin();
    if (found == levels.end()) levels.push_back(level);
    return head_ + n_.reached_start[at(h)] + slot * n_.head.pattern(h).k;
  }
  void eliminate(int h, Level level, double* tail);

 private:
  const FactorNumbers& n_;
  int columns_;
  double* head_;
  std::vector<std::vector<Level>> levels_;  // by head block
};

// Solves for a level and passes the result on to its later columns.
void Reach::eliminate(int h, Level level, double* tail) {
  const HeadBlock& block = n_.head.pattern(h);
  const int k = block.k;
  const Index q2 = n_.tail_pattern().size;
  const double* R = n_.head.R(h, level);
  double* own = place(h, level);
  for (int c = 0; c < columns_; ++c) solve_lower<0>(n_.head.L(h, level), k, own + c * rows(), 1);
  for (const HeadBlock::Ancestor& ancestor : block.ancestors) {
    double* target = place(ancestor.head, (*ancestor.parent)[at(level)]);
    for (int c = 0; c < columns_; ++c)
      for (int e = 0; e < ancestor.k; ++e)
        target[c * rows() + e] -= dot<0>(R + (ancestor.offset + e) * k, own + c * rows(), k);
  }
  for (Index e = block.tail_start[at(level)]; e < block.tail_start[at(level) + 1]; ++e)
    for (int c = 0; c < columns_; ++c)
      tail[c * q2 + block.tail_column[at(e)]] -=
          dot<0>(n_.head.values(h) + block.tail_value(level, e), own + c * rows(), k);
}

}  // namespace

void Factor::solve_lower(double* B, int columns) const {
  const FactorNumbers& n = *numbers_;
  const Index q = n.q();
  for (int h = 0; h < n.head.size(); ++h) {
    const HeadBlock& head = n.head.pattern(h);
    n.pool.for_pieces(head.levels, Head::grain(4.0 * head.k * head.k * columns),
                      [&](Index begin, Index end, int) {
                        for (Index level = begin; level < end; ++level)
                          for (int c = 0; c < columns; ++c) solve_level(n, h, level, B + c * q);
                      });
  }
  const TailPattern& tail = n.tail_pattern();
  if (tail.size == 0) return;
  std::vector<double> rest(at(tail.size * columns));
  load_tail(n, B, columns, rest.data());
  solve_tail(rest.data(), columns);
  for (const TailPattern::Node& node : tail.nodes) {
    const int k = n.k(node.block);
    for (int c = 0; c < columns; ++c)
      std::copy_n(rest.data() + c * tail.size + node.start, k,
                  B + c * q + n.vectors.start(node.block) + Index{node.level} * k);
  }
}

void Factor::multiply_border_transposed(const double* E, int columns, double* product) const {
  const FactorNumbers& n = *numbers_;
  const TailPattern& tail = n.tail_pattern();
  std::fill_n(product, n.border * columns, 0.0);
  for (int c = 0; c < columns; ++c) {
    n.interrupt.poll(static_cast<double>(n.A.numbers()));
    const double* e = E + c * n.q();
    double* out = product + c * n.border;
    for (int h = 0; h < n.head.size(); ++h) {
      const HeadBlock& head = n.head.pattern(h);
      for (Index level = 0; level < head.levels; ++level) {
        const double* R = n.head.R(h, level) + head.border_offset * head.k;
        const double* own = e + n.vectors.start(head.block) + level * head.k;
        for (int b = 0; b < n.border; ++b) out[b] += dot<0>(R + b * head.k, own, head.k);
      }
    }
    for (const TailPattern::Node& node : tail.nodes) {
      const int k = n.k(node.block);
      const double* own = e + n.vectors.start(node.block) + Index{node.level} * k;
      for (int b = 0; b < n.border; ++b)
        out[b] += dot<0>(n.schur.border().data() + b * tail.size + node.start, own, k);
    }
  }
}

Index Factor::head_rows() const { return numbers_->reached_start.back(); }

Index Factor::tail_rows() const { return numbers_->tail_pattern().size; }

void Factor::solve_head_at(const Level* level, const double* V, int columns, double* head,
                           double* tail) const {
  const FactorNumbers& n = *numbers_;
  Reach reach(n, columns, head);
  const Index rows = reach.rows(), q2 = tail_rows();
  std::fill_n(head, rows * columns, 0.0);
  std::fill_n(tail, q2 * columns, 0.0);
  Index width = 0;
  for (const Block& block : n.blocks) width += block.k;
  for (int t = 0; t < static_cast<int>(n.blocks.size()); ++t) {
    if (level[t] < 0) continue;
    const int h = n.structure.head_of(t);
    const TailPattern& pattern = n.tail_pattern();
    double* target = h >= 0 ? reach.place(h, level[t])
                            : tail + pattern.nodes[at(pattern.node_of[at(t)][at(level[t])])].start;
    const Index stride = h >= 0 ? rows : q2;
    for (int c = 0; c < columns; ++c)
      std::copy_n(V + c * width + n.blocks[at(t)].first_column, n.k(t), target + c * stride);
  }
  for (int h = 0; h < n.head.size(); ++h)
    for (std::size_t slot = 0; slot < reach.levels(h).size(); ++slot)
      reach.eliminate(h, reach.levels(h)[slot], tail);
}

void Factor::solve_tail(double* tail, Index columns) const {
  constexpr Index kColumns = 64;  // solved together, whatever the number of threads
  constexpr double kWork = 1e8;   // multiply-adds of a thread between two polls, about
  const FactorNumbers& n = *numbers_;
  const Index q2 = tail_rows(), pieces = (columns + kColumns - 1) / kColumns;
  if (q2 == 0) return;
  const double work = static_cast<double>(kColumns * q2) * static_cast<double>(q2);
  const Index together = n.pool.size() * (1 + static_cast<Index>(kWork / work));
  for (Index next = 0; next < pieces; next += together) {
    n.interrupt.poll();
    n.pool.for_pieces(std::min(together, pieces - next), 1, [&](Index begin, Index end, int) {
      for (Index piece = next + begin; piece < next + end; ++piece)
        n.tail->solve_lower(tail + piece * kColumns * q2,
                            static_cast<int>(std::min(kColumns, columns - piece * kColumns)));
    });
  }
}

}  // namespace crossnest
