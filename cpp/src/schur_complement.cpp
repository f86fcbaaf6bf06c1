#include "schur_complement.hpp"

#include <algorithm>

#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

SchurComplement::SchurComplement(const std::vector<Block>& blocks, const CrossProducts& A,
                                 const Structure& structure, const Lambda& lambda,
                                 const Border& border, const Head& head,
                                 const DenseKernels& kernels, ThreadPool& pool,
                                 InterruptCheck& interrupt)
    : A_(A),
      tail_(structure.tail()),
      lambda_(lambda),
      products_(border),
      head_(head),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt),
      columns_(border.columns()),
      border_(at(tail_.size * columns_)) {
  int widest = 1;
  for (const Block& block : blocks) widest = std::max(widest, block.k);
  constexpr std::size_t kLine = 8;  // numbers of a cache line, which threads should not share
  scratch_size_ = at(columns_ + widest) / kLine * kLine + 2 * kLine;
  scratch_.resize(scratch_size_ * at(pool.size()));
}

double SchurComplement::work_of_a_column() const {
  double entries = 0.0;
  for (int h = 0; h < head_.size(); ++h) {
    const HeadBlock& head = head_.pattern(h);
    entries += head.k * Head::average_width(head) * static_cast<double>(head.tail_column.size());
  }
  return entries / static_cast<double>(tail_.size);
}

// `scratch` holds the column's row of the border, then k numbers.
void SchurComplement::compute_column(const TailPattern::Node& node, int effect, double* s,
                                     double* scratch) {
  const int k = lambda_.k(node.block);
  const Index column = node.start + effect;
  double* border = scratch;
  load_column(node, effect, s, scratch + columns_);
  const double* own = lambda_.of(node.block) + effect * k;
  const double* z = products_.fixed(node.block, node.level);
  for (int b = 0; b < products_.rank(); ++b) border[b] = dot<0>(own, z + b * k, k);
  border[products_.rank()] = dot<0>(own, products_.response(node.block, node.level), k);
  for (int h = 0; h < head_.size(); ++h) {
    const HeadBlock& head = head_.pattern(h);
    with_size(head.k,
              [&](auto K) { subtract_head<K()>(head, head_.values(h), column, s, border); });
  }
  for (int b = 0; b < columns_; ++b) border_[at(b * tail_.size + column)] = border[b];
}

// The column of the upper triangle of Lambda'Z'WZ Lambda + I for one effect of a tail level.
void SchurComplement::load_column(const TailPattern::Node& node, int effect, double* s,
                                  double* scratch) const {
  const int kc = lambda_.k(node.block);
  const double* right = lambda_.of(node.block) + effect * kc;
  const auto sandwich = [&](const double* A, int kr, bool transposed, const double* left, int rows,
                            double* target) {
    // target = (left' A right) for the first `rows` effects of the row's level.
    for (int a = 0; a < kr; ++a) {
      double sum = 0.0;
      for (int b = 0; b < kc; ++b) sum += (transposed ? A[a * kc + b] : A[b * kr + a]) * right[b];
      scratch[a] = sum;
    }
    for (int i = 0; i < rows; ++i) target[i] = dot<0>(left + i * kr, scratch, kr);
  };
  const Index column = tail_.node_of[at(node.block)][at(node.level)];
  for (Index i = tail_.source_start[at(column)]; i < tail_.source_start[at(column) + 1]; ++i) {
    const TailPattern::Source& source = tail_.source[at(i)];
    const TailPattern::Node& row = tail_.nodes[at(source.row)];
    const int kr = lambda_.k(row.block);
    const CrossBlocks& cross =
        source.transposed ? A_.cross(node.block, row.block) : A_.cross(row.block, node.block);
    sandwich(cross.values.data() + source.entry * kr * kc, kr, source.transposed,
             lambda_.of(row.block), kr, s + row.start);
  }
  sandwich(A_.diagonal(node.block).data() + Index{node.level} * kc * kc, kc, false,
           lambda_.of(node.block), effect + 1, s + node.start);
  s[node.start + effect] += 1.0;
}

// Column of S and row of the border, less R'R of a head block: a column stays in cache while the
// rows that hold it pass by, and no two threads write the same one.
template <int K>
void SchurComplement::subtract_head(const HeadBlock& head, const double* R, Index column, double* s,
                                    double* border) const {
  const int k = K > 0 ? K : head.k;
  for (Index i = head.column_start[at(column)]; i < head.column_start[at(column) + 1]; ++i) {
    const Level level = head.column_level[at(i)];
    const Index first = head.tail_start[at(level)];
    const double* row = R + head.row(level);
    const double* tail = row + head.fixed * k;
    const Index count = head.column_entry[at(i)] - first + 1;
    const double* own = tail + (count - 1) * k;
    const Level* columns = head.tail_column.data() + first;
    for (Index e = 0; e < count; ++e) s[columns[e]] -= dot<K>(own, tail + e * k, k);
    row += head.border_offset * k;
    for (int b = 0; b < columns_; ++b) border[b] -= dot<K>(own, row + b * k, k);
  }
}

void SchurComplement::fill_panel(const HeadBlock& head, const double* R, Index first, Index count) {
  const Index k = head.k, rows = count * k;
  panel_.assign(at(rows * tail_.size), 0.0);
  for (Index i = 0; i < count; ++i) {
    const Level level = head.full_levels[at(first + i)];
    const Index begin = head.tail_start[at(level)], end = head.tail_start[at(level) + 1];
    const double* value = R + head.tail_value(level, begin);
    for (Index e = begin; e < end; ++e, value += k)
      std::copy_n(value, k, panel_.data() + head.tail_column[at(e)] * rows + i * k);
  }
}

// The full levels' part of R'R_border, from their rows in panel_.
void SchurComplement::subtract_full_border(const HeadBlock& head, const double* R, Index first,
                                           Index count) {
  char transposed = 'T', plain = 'N';
  double one = 1.0, minus_one = -1.0;
  int q2 = static_cast<int>(tail_.size), columns = columns_,
      rows = static_cast<int>(count * head.k);
  panel_border_.resize(at(Index{rows} * columns_));
  for (Index i = 0; i < count; ++i) {
    const double* own = R + head.row(head.full_levels[at(first + i)]) + head.border_offset * head.k;
    for (int b = 0; b < columns_; ++b)
      std::copy_n(own + b * head.k, head.k, panel_border_.data() + Index{b} * rows + i * head.k);
  }
  kernels_.dgemm(&transposed, &plain, &q2, &columns, &rows, &minus_one, panel_.data(), &rows,
                 panel_border_.data(), &rows, &one, border_.data(), &q2);
}

}  // namespace crossnest
