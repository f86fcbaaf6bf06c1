#include "crossnest/factor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "crossnest/small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// From this number of effects a level on, its k x k blocks are worth a dense kernel.
constexpr int kLargeLevel = 128;

// Sums over the levels of a head block are cut in the same pieces whatever the number of threads.
Index pieces(const HeadBlock& head) { return std::clamp<Index>(head.levels / 256, 1, 64); }

double average_width(const HeadBlock& head) {
  return head.fixed +
         static_cast<double>(head.tail_column.size()) / static_cast<double>(head.levels);
}

}  // namespace

Factor::Factor(const std::vector<Block>& blocks, const CrossProducts& A, const Structure& structure,
               const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt)
    : blocks_(blocks),
      A_(A),
      structure_(structure),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt),
      dense_tail_(structure.tail().sparse ? 0 : structure.tail().size, kernels, pool, interrupt),
      border_(A.border()),
      block_start_{0},
      reached_start_{0},
      heads_(structure.heads().size()),
      F_(at(A.border()) * at(A.border())) {
  Index widest = 1;
  for (const Block& block : blocks) {
    block_start_.push_back(block_start_.back() + block.size());
    lambda_.emplace_back(at(block.k) * at(block.k));
    lambda_first_.emplace_back(at(block.k));
    lambda_last_.emplace_back(at(block.k));
    inverse_diagonal_.emplace_back();
    widest = std::max<Index>(widest, block.k);
  }
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const HeadBlock& head = structure.heads()[h];
    reached_start_.push_back(reached_start_.back() + static_cast<Index>(h + 1) * head.k);
    heads_[h].D.resize(at(head.levels * head.k * head.k));
    heads_[h].R.resize(at(head.numbers()));
    heads_[h].partial.resize(at(pieces(head) * (1 + border_ * border_)));
  }
  const Index q2 = structure.tail().size;
  tail_border_.resize(at(q2 * border_));
  tail_solution_.resize(at(q2 * border_));
  if (structure.tail().sparse)
    sparse_ = std::make_unique<SparseTail>(structure.tail(), &interrupt);
  else
    dense_.reset(new double[at(q2 * q2)]);  // not touched yet: zeroing it takes seconds
  // A column of a sparse tail, a border row, and a few k x k blocks.
  scratch_size_ = at((sparse_ ? q2 : 0) + widest * border_ + 4 * widest * widest + border_);
  scratch_.assign(scratch_size_ * at(pool.size()), 0.0);
}

bool Factor::factorize(const std::vector<std::vector<double>>& lambda) {
  for (std::size_t t = 0; t < lambda.size(); ++t)
    std::copy(lambda[t].begin(), lambda[t].end(), lambda_[t].begin());
  find_ranges();
  solved_ = false;
  inverted_ = Inverted::no;
  log_det_ = 0.0;
  F_ = A_.border_border();
  const int count = static_cast<int>(heads_.size());
  for (int h = 0; h < count; ++h) load_head(h);
  for (int h = 0; h < count; ++h) {
    interrupt_.poll(static_cast<double>(heads_[at(h)].R.size()));
    if (!eliminate_head(h)) return false;
    update_ancestors(h);
  }
  if (structure_.tail().size > 0) {
    fill_tail();
    interrupt_.poll();
    if (!factor_tail()) return false;
  }
  return factor_border();
}

// The rows of each column of lambda that are not zero lie within [first, last): those of one term.
void Factor::find_ranges() {
  for (std::size_t t = 0; t < lambda_.size(); ++t) {
    const int size = blocks_[t].k;
    for (int j = 0; j < size; ++j) {
      const double* column = lambda_[t].data() + j * size;
      int first = 0, last = size;
      while (first < size && column[first] == 0.0) ++first;
      while (last > first && column[last - 1] == 0.0) --last;
      lambda_first_[t][at(j)] = first;
      lambda_last_[t][at(j)] = last;
    }
  }
}

void Factor::load_head(int h) {
  const HeadBlock& head = structure_.heads()[at(h)];
  pool_.for_pieces(head.levels, grain(head.k * head.k * average_width(head)),
                   [&](Index begin, Index end, int worker) {
                     with_size(head.k, [&](auto K) {
                       for (Index level = begin; level < end; ++level)
                         load_level<K()>(h, level, free_scratch(worker));
                     });
                   });
}

// D_l = lambda'A_ll lambda + I and R_l = lambda'[A_l,later Lambda_later]; `work` is space for k
// numbers.
template <int K>
void Factor::load_level(int h, Index level, double* work) {
  const HeadBlock& head = structure_.heads()[at(h)];
  HeadNumbers& numbers = heads_[at(h)];
  const int k = K > 0 ? K : head.k;
  const double* own = lambda(head.block);
  const int* own_first = lambda_first_[at(head.block)].data();
  const int* own_last = lambda_last_[at(head.block)].data();
  double unrolled[K > 0 ? K : 1];
  double* const column = K > 0 ? unrolled : work;  // A right_c
  const auto sandwich = [&](auto size, const double* A, int block, double* target,
                            bool transposed) {
    // target (k x columns) = own' A right, right of `block`; A is k x columns, or columns x k when
    // transposed. Where sizes are known when this is compiled, zeros are not worth skipping.
    constexpr int Columns = size();
    const int columns = Columns > 0 ? Columns : this->k(block);
    const double* right = lambda(block);
    for (int c = 0; c < columns; ++c, right += columns) {
      const int first = Columns > 0 ? 0 : lambda_first_[at(block)][at(c)];
      const int last = Columns > 0 ? Columns : lambda_last_[at(block)][at(c)];
      std::fill_n(column, k, 0.0);
      for (int b = first; b < last; ++b)
        for (int a = 0; a < k; ++a)
          column[a] += (transposed ? A[a * columns + b] : A[b * k + a]) * right[b];
      for (int i = 0; i < k; ++i) {
        double sum = 0.0;
        for (int a = K > 0 ? 0 : own_first[i]; a < (K > 0 ? K : own_last[i]); ++a)
          sum += own[i * k + a] * column[a];
        target[c * k + i] = sum;
      }
    }
  };
  constexpr std::integral_constant<int, K> own_size{};
  constexpr std::integral_constant<int, 0> any_size{};
  double* D = numbers.D.data() + level * k * k;
  sandwich(own_size, A_.diagonal(head.block).data() + level * k * k, head.block, D, false);
  for (int i = 0; i < k; ++i) D[i * k + i] += 1.0;
  double* R = numbers.R.data() + head.row(level);
  for (const HeadBlock::Ancestor& ancestor : head.ancestors) {
    const int block = structure_.heads()[at(ancestor.head)].block;
    sandwich(any_size, A_.cross(head.block, block).values.data() + level * k * ancestor.k, block,
             R + ancestor.offset * k, false);
  }
  multiply_transposed(own, A_.z_border(head.block).data() + level * k * border_, k, k, border_,
                      R + head.border_offset * k);
  double* target = R + head.fixed * k;
  for (Index i = head.source_start[at(level)]; i < head.source_start[at(level) + 1]; ++i) {
    const HeadBlock::Source& source = head.source[at(i)];
    const bool head_first = head.block < source.block;
    const CrossBlocks& cross =
        head_first ? A_.cross(head.block, source.block) : A_.cross(source.block, head.block);
    const int columns = this->k(source.block);
    const double* A = cross.values.data() + source.entry * k * columns;
    if (K == 1 && columns == 1)
      *target = own[0] * *A * lambda(source.block)[0];
    else
      sandwich(any_size, A, source.block, target, !head_first);
    target += k * columns;
  }
}

template <int K>
bool Factor::eliminate_level(const HeadBlock& head, double* D, double* R, int width,
                             double& log_det, double* border_sum) const {
  const int k = K > 0 ? K : head.k;
  if (k >= kLargeLevel) {
    if (!eliminate_large_level(D, k, R, width, log_det)) return false;
  } else {
    if (!cholesky<K>(D, k, log_det)) return false;
    crossnest::solve_lower<K>(D, k, R, width);
  }
  const double* border = R + head.border_offset * k;
  for (int j = 0; j < border_; ++j)
    for (int i = 0; i <= j; ++i)
      border_sum[j * border_ + i] += dot<K>(border + i * k, border + j * k, k);
  return true;
}

// The same by the kernels, which leave L' above the diagonal too.
bool Factor::eliminate_large_level(double* D, int k, double* R, int width, double& log_det) const {
  char left = 'L', upper = 'U', transposed = 'T', plain = 'N';
  double one = 1.0;
  int info = 0;
  kernels_.dpotrf(&upper, &k, D, &k, &info);
  if (info != 0) return false;
  double sum = 0.0;
  for (int j = 0; j < k; ++j) {
    sum += std::log(D[j * k + j]);
    for (int i = j + 1; i < k; ++i) D[j * k + i] = D[i * k + j];
  }
  log_det += 2.0 * sum;
  kernels_.dtrsm(&left, &upper, &transposed, &plain, &k, &width, &one, D, &k, R, &k);
  return std::isfinite(sum);
}

bool Factor::eliminate_head(int h) {
  const HeadBlock& head = structure_.heads()[at(h)];
  HeadNumbers& numbers = heads_[at(h)];
  const Index count = pieces(head), size = 1 + border_ * border_;
  const double work = head.k * (head.k + border_) * average_width(head) *
                      static_cast<double>(head.levels) / static_cast<double>(count);
  std::atomic<bool> definite{true};
  pool_.for_pieces(count, grain(work), [&](Index first, Index last, int) {
    for (Index piece = first; piece < last; ++piece) {
      double* partial = numbers.partial.data() + piece * size;
      std::fill_n(partial, size, 0.0);
      const Index begin = head.levels * piece / count, end = head.levels * (piece + 1) / count;
      with_size(head.k, [&](auto K) {
        for (Index level = begin; level < end; ++level) {
          const int width = static_cast<int>((head.row(level + 1) - head.row(level)) / head.k);
          if (!eliminate_level<K()>(head, numbers.D.data() + level * head.k * head.k,
                                    numbers.R.data() + head.row(level), width, *partial,
                                    partial + 1))
            definite = false;
        }
      });
    }
  });
  for (Index piece = 0; piece < count; ++piece) {
    const double* partial = numbers.partial.data() + piece * size;
    log_det_ += partial[0];
    for (Index i = 0; i + 1 < size; ++i) F_[at(i)] -= partial[i + 1];
  }
  return definite;
}

// Later head blocks less what the levels nested in them take away: disjoint, since a level lies in
// one level of each.
void Factor::update_ancestors(int h) {
  for (const HeadBlock::Ancestor& ancestor : structure_.heads()[at(h)].ancestors) {
    const HeadBlock& later = structure_.heads()[at(ancestor.head)];
    const HeadBlock::Descendant& descendant = later.descendants[at(h)];
    const double children =
        static_cast<double>(descendant.child.size()) / static_cast<double>(later.levels);
    pool_.for_pieces(later.levels, grain(children * later.k * average_width(later)),
                     [&](Index begin, Index end, int) {
                       for (Index level = begin; level < end; ++level)
                         update_from_descendant(ancestor.head, descendant, level);
                     });
  }
}

void Factor::update_from_descendant(int a, const HeadBlock::Descendant& descendant, Index level) {
  const HeadBlock& later = structure_.heads()[at(a)];
  const HeadBlock& head = structure_.heads()[at(descendant.head)];
  const HeadBlock::Ancestor& ancestor = head.ancestors[at(descendant.ancestor)];
  const int k = head.k, ka = later.k;
  double* D = heads_[at(a)].D.data() + level * ka * ka;
  double* R = heads_[at(a)].R.data() + later.row(level);
  const auto subtract = [&](const double* own, const double* column, double* target) {
    for (int i = 0; i < ka; ++i) target[i] -= dot<0>(own + i * k, column, k);
  };
  for (Index i = descendant.start[at(level)]; i < descendant.start[at(level) + 1]; ++i) {
    const Level child = descendant.child[at(i)];
    const double* row = heads_[at(descendant.head)].R.data() + head.row(child);
    const double* own = row + ancestor.offset * k;
    for (int j = 0; j < ka; ++j) subtract(own, own + j * k, D + j * ka);
    // The child's columns after this ancestor's are the ancestor's own fixed columns.
    const double* rest = own + ka * k;
    for (int c = 0; c < later.fixed; ++c) subtract(own, rest + c * k, R + c * ka);
    for (Index e = head.tail_start[at(child)]; e < head.tail_start[at(child) + 1]; ++e)
      subtract(own, heads_[at(descendant.head)].R.data() + head.tail_value(child, e),
               heads_[at(a)].R.data() + later.tail_value(level, ancestor.tail_map[at(e)]));
  }
}

// The column of the upper triangle of Lambda'Z'WZ Lambda + I for one effect of a tail level.
void Factor::load_tail_column(const Tail::Node& node, int effect, double* s,
                              double* scratch) const {
  const Tail& tail = structure_.tail();
  const int kc = k(node.block);
  const double* right = lambda(node.block) + effect * kc;
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
  const Index column = tail.node_of[at(node.block)][at(node.level)];
  for (Index i = tail.source_start[at(column)]; i < tail.source_start[at(column) + 1]; ++i) {
    const Tail::Source& source = tail.source[at(i)];
    const Tail::Node& row = tail.nodes[at(source.row)];
    const int kr = k(row.block);
    const CrossBlocks& cross =
        source.transposed ? A_.cross(node.block, row.block) : A_.cross(row.block, node.block);
    sandwich(cross.values.data() + source.entry * kr * kc, kr, source.transposed, lambda(row.block),
             kr, s + row.start);
  }
  sandwich(A_.diagonal(node.block).data() + Index{node.level} * kc * kc, kc, false,
           lambda(node.block), effect + 1, s + node.start);
  s[node.start + effect] += 1.0;
}

// Column of S and row of the border, less R'R of a head block: a column stays in cache while the
// rows that hold it pass by, and no two threads write the same one.
template <int K>
void Factor::subtract_head(const HeadBlock& head, const double* R, Index column, double* s,
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
    for (int b = 0; b < border_; ++b) border[b] -= dot<K>(own, row + b * k, k);
  }
}

void Factor::fill_tail() {
  const Tail& tail = structure_.tail();
  const Index q2 = tail.size;
  double entries = 0.0;
  for (const HeadBlock& head : structure_.heads())
    entries += head.k * average_width(head) * static_cast<double>(head.tail_column.size());
  pool_.for_pieces(static_cast<Index>(tail.nodes.size()), grain(entries / static_cast<double>(q2)),
                   [&](Index begin, Index end, int worker) {
                     double* work = scratch(worker);
                     double* border = work + (sparse_ ? q2 : 0);
                     double* small = border + border_;
                     for (Index n = begin; n < end; ++n) {
                       const Tail::Node& node = tail.nodes[at(n)];
                       const int kc = k(node.block);
                       for (int effect = 0; effect < kc; ++effect) {
                         const Index column = node.start + effect;
                         double* s = sparse_ ? work : dense_.get() + column * q2;
                         if (!sparse_) std::fill_n(s, column + 1, 0.0);
                         load_tail_column(node, effect, s, small);
                         const double* z =
                             A_.z_border(node.block).data() + Index{node.level} * kc * border_;
                         for (int b = 0; b < border_; ++b)
                           border[b] = dot<0>(lambda(node.block) + effect * kc, z + b * kc, kc);
                         for (std::size_t h = 0; h < heads_.size(); ++h) {
                           const HeadBlock& head = structure_.heads()[h];
                           with_size(head.k, [&](auto K) {
                             subtract_head<K()>(head, heads_[h].R.data(), column, s, border);
                           });
                         }
                         for (int b = 0; b < border_; ++b)
                           tail_border_[at(b * q2 + column)] = border[b];
                         if (!sparse_) continue;
                         double* values = sparse_->column_values(column);
                         const int* rows = sparse_->column_rows(column);
                         for (Index i = 0; i < sparse_->column_count(column); ++i) {
                           values[i] = s[rows[i]];
                           s[rows[i]] = 0.0;
                         }
                       }
                     }
                   });
  for (std::size_t h = 0; h < heads_.size(); ++h)
    subtract_full_rows(structure_.heads()[h], heads_[h]);
}

// Calls use(first, count, rows) with full_rows_ (rows x q2, column-major) holding the tail parts of
// R_l of `count` full levels, one below the other.
template <class Use>
void Factor::for_full_panels(const HeadBlock& head, const HeadNumbers& numbers, Use&& use) {
  constexpr Index kRows = 256;
  const Index levels = static_cast<Index>(head.full_levels.size()), k = head.k;
  const Index batch = std::max<Index>(1, kRows / k);
  for (Index first = 0; first < levels; first += batch) {
    interrupt_.poll();
    const Index count = std::min(batch, levels - first), rows = count * k;
    full_rows_.assign(at(rows * structure_.tail().size), 0.0);
    for (Index i = 0; i < count; ++i) {
      const Level level = head.full_levels[at(first + i)];
      const Index begin = head.tail_start[at(level)], end = head.tail_start[at(level) + 1];
      const double* value = numbers.R.data() + head.tail_value(level, begin);
      for (Index e = begin; e < end; ++e, value += k)
        std::copy_n(value, k, full_rows_.data() + head.tail_column[at(e)] * rows + i * k);
    }
    use(first, count, static_cast<int>(rows));
  }
}

void Factor::subtract_full_rows(const HeadBlock& head, const HeadNumbers& numbers) {
  int q2 = static_cast<int>(structure_.tail().size), border = border_;
  for_full_panels(head, numbers, [&](Index first, Index count, int rows) {
    char transposed = 'T', plain = 'N';
    double one = 1.0, minus_one = -1.0;
    dense_tail_.subtract_square(dense_.get(), full_rows_.data(), rows);
    full_product_.resize(at(Index{rows} * border_));
    for (Index i = 0; i < count; ++i) {
      const double* own = numbers.R.data() + head.row(head.full_levels[at(first + i)]) +
                          head.border_offset * head.k;
      for (int b = 0; b < border_; ++b)
        std::copy_n(own + b * head.k, head.k, full_product_.data() + Index{b} * rows + i * head.k);
    }
    kernels_.dgemm(&transposed, &plain, &q2, &border, &rows, &minus_one, full_rows_.data(), &rows,
                   full_product_.data(), &rows, &one, tail_border_.data(), &q2);
  });
}

// What gather_column does, for full rows: T_l = R_l S^-1 (or half of it, see there).
void Factor::gather_full_rows(const HeadBlock& head, HeadNumbers& numbers, bool whole) {
  const Index q2 = structure_.tail().size;
  for_full_panels(head, numbers, [&](Index first, Index count, int rows) {
    full_product_.resize(at(rows * q2));
    dense_tail_.multiply(dense_.get(), q2, full_rows_.data(), rows, whole ? 1.0 : 0.5,
                         full_product_.data(), rows);
    for (Index i = 0; i < count; ++i) {
      const Level level = head.full_levels[at(first + i)];
      const Index begin = head.tail_start[at(level)], end = head.tail_start[at(level) + 1];
      double* target = numbers.inverse.data() + head.tail_value(level, begin);
      for (Index e = begin; e < end; ++e, target += head.k)
        std::copy_n(full_product_.data() + head.tail_column[at(e)] * Index{rows} + i * head.k,
                    head.k, target);
    }
  });
}

// Calls body(first, count) for the columns of the border in panels.
template <class Body>
void Factor::for_border_columns(Body&& body) {
  pool_.for_pieces(border_, 64, [&](Index first, Index last, int) {
    body(static_cast<int>(first), static_cast<int>(last - first));
  });
}

bool Factor::factor_tail() {
  const Index q2 = structure_.tail().size;
  if (sparse_) {
    if (!sparse_->factorize()) return false;
    log_det_ += sparse_->log_det();
    sparse_->solve_lower(tail_border_.data(), border_);
  } else {
    if (!dense_tail_.factor(dense_.get())) return false;
    double sum = 0.0;
    for (Index j = 0; j < q2; ++j) sum += std::log(dense_[at(j * q2 + j)]);
    log_det_ += 2.0 * sum;
    for_border_columns([&](int first, int count) {
      dense_tail_.solve(dense_.get(), true, tail_border_.data() + first * q2, count);
    });
  }
  for (int j = 0; j < border_; ++j) {
    interrupt_.poll();
    for (int i = 0; i <= j; ++i) {
      const double *a = tail_border_.data() + i * q2, *b = tail_border_.data() + j * q2;
      double sum = 0.0;
      for (Index m = 0; m < q2; ++m) sum += a[m] * b[m];
      F_[at(j * border_ + i)] -= sum;
    }
  }
  return true;
}

bool Factor::factor_border() {
  for (int j = 0; j < border_; ++j) {
    interrupt_.poll(static_cast<double>(j) * j);
    for (int i = 0; i <= j; ++i) {
      double* column = F_.data() + j * border_;
      const double value = column[i] - dot<0>(F_.data() + i * border_, column, i);
      if (i < j) {
        column[i] = value / F_[at(i * border_ + i)];
      } else {
        if (!(value > 0.0)) return false;
        column[j] = std::sqrt(value);
      }
    }
  }
  return true;
}

// columns := columns F^-1, for some rows of a column-major matrix with `ld` of them.
void Factor::divide_by_F(double* columns, Index rows, Index ld) const {
  for (int b = 0; b < border_; ++b) {
    double* own = columns + b * ld;
    for (int a = 0; a < b; ++a) {
      const double f = F_[at(b * border_ + a)];
      for (Index i = 0; i < rows; ++i) own[i] -= columns[a * ld + i] * f;
    }
    const double inverse = 1.0 / F_[at(b * border_ + b)];
    for (Index i = 0; i < rows; ++i) own[i] *= inverse;
  }
}

const std::vector<double>& Factor::border_solution() {
  if (solved_) return W_;
  W_.resize(at(q() * border_));
  const Tail& tail = structure_.tail();
  if (tail.size > 0) {
    tail_solution_ = tail_border_;
    pool_.for_pieces(tail.size, 256, [&](Index begin, Index end, int) {
      divide_by_F(tail_solution_.data() + begin, end - begin, tail.size);
    });
    if (sparse_)
      sparse_->solve_lower_transposed(tail_solution_.data(), border_);
    else
      for_border_columns([&](int first, int count) {
        dense_tail_.solve(dense_.get(), false, tail_solution_.data() + first * tail.size, count);
      });
    for (const Tail::Node& node : tail.nodes) {
      const int kc = k(node.block);
      for (int b = 0; b < border_; ++b)
        for (int i = 0; i < kc; ++i)
          W_[at(b * q() + block_start(node.block) + Index{node.level} * kc + i)] =
              tail_solution_[at(b * tail.size + node.start + i)];
    }
  }
  for (int h = static_cast<int>(heads_.size()) - 1; h >= 0; --h) {
    const HeadBlock& head = structure_.heads()[at(h)];
    pool_.for_pieces(head.levels, grain(head.k * border_ * average_width(head)),
                     [&](Index begin, Index end, int worker) {
                       with_size(head.k, [&](auto K) {
                         for (Index level = begin; level < end; ++level)
                           solve_border_level<K()>(h, level, free_scratch(worker));
                       });
                     });
  }
  solved_ = true;
  return W_;
}

// W_l = L_l'^-1 (R_l,border F^-1 - sum over later columns of R_lj W_j).
template <int K>
void Factor::solve_border_level(int h, Index level, double* rhs) {
  const HeadBlock& head = structure_.heads()[at(h)];
  const int k = K > 0 ? K : head.k;
  const double* row = heads_[at(h)].R.data() + head.row(level);
  std::copy_n(row + head.border_offset * k, k * border_, rhs);
  divide_by_F(rhs, k, k);
  for (const HeadBlock::Ancestor& ancestor : head.ancestors) {
    const Index start = block_start(structure_.heads()[at(ancestor.head)].block) +
                        Index{(*ancestor.parent)[at(level)]} * ancestor.k;
    for (int b = 0; b < border_; ++b)
      for (int c = 0; c < ancestor.k; ++c) {
        const double w = W_[at(b * q() + start + c)];
        for (int i = 0; i < k; ++i) rhs[b * k + i] -= row[(ancestor.offset + c) * k + i] * w;
      }
  }
  const Index q2 = structure_.tail().size;
  const double* tail = row + head.fixed * k;
  const Index first = head.tail_start[at(level)], last = head.tail_start[at(level) + 1];
  for (int b = 0; b < border_; ++b) {
    const double* solution = tail_solution_.data() + b * q2;
    for (Index e = first; e < last; ++e) {
      const double w = solution[head.tail_column[at(e)]];
      for (int i = 0; i < k; ++i) rhs[b * k + i] -= tail[(e - first) * k + i] * w;
    }
  }
  solve_lower_transposed<K>(heads_[at(h)].D.data() + level * k * k, k, rhs, border_);
  for (int b = 0; b < border_; ++b)
    std::copy_n(rhs + b * k, k, W_.data() + b * q() + block_start(head.block) + level * k);
}

void Factor::solve_lower(double* B, int columns) {
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const HeadBlock& head = structure_.heads()[h];
    const int k = head.k;
    pool_.for_pieces(head.levels, grain(4.0 * k * k * columns), [&](Index begin, Index end, int) {
      for (Index level = begin; level < end; ++level)
        for (int c = 0; c < columns; ++c) {
          double* own = B + c * q() + block_start(head.block) + level * k;
          for (const HeadBlock::Descendant& descendant : head.descendants) {
            const HeadBlock& earlier = structure_.heads()[at(descendant.head)];
            const int offset = earlier.ancestors[at(descendant.ancestor)].offset;
            for (Index i = descendant.start[at(level)]; i < descendant.start[at(level) + 1]; ++i) {
              const Index child = descendant.child[at(i)];
              const double* R =
                  heads_[at(descendant.head)].R.data() + earlier.row(child) + offset * earlier.k;
              const double* b = B + c * q() + block_start(earlier.block) + child * earlier.k;
              for (int e = 0; e < k; ++e) own[e] -= dot<0>(R + e * earlier.k, b, earlier.k);
            }
          }
          crossnest::solve_lower<0>(heads_[h].D.data() + level * k * k, k, own, 1);
        }
    });
  }
  const Tail& tail = structure_.tail();
  if (tail.size == 0) return;
  std::vector<double> rest(at(tail.size * columns));
  pool_.for_pieces(static_cast<Index>(tail.nodes.size()), 64, [&](Index begin, Index end, int) {
    for (Index n = begin; n < end; ++n) {
      const Tail::Node& node = tail.nodes[at(n)];
      const int kc = k(node.block);
      for (int c = 0; c < columns; ++c)
        for (int i = 0; i < kc; ++i) {
          const Index column = node.start + i;
          double sum = B[c * q() + block_start(node.block) + Index{node.level} * kc + i];
          for (std::size_t h = 0; h < heads_.size(); ++h) {
            const HeadBlock& head = structure_.heads()[h];
            for (Index e = head.column_start[at(column)]; e < head.column_start[at(column) + 1];
                 ++e) {
              const Index level = head.column_level[at(e)];
              sum -= dot<0>(heads_[h].R.data() + head.tail_value(level, head.column_entry[at(e)]),
                            B + c * q() + block_start(head.block) + level * head.k, head.k);
            }
          }
          rest[at(c * tail.size + column)] = sum;
        }
    }
  });
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const HeadBlock& head = structure_.heads()[h];
    for (const Level level : head.full_levels)
      for (int c = 0; c < columns; ++c) {
        const double* b = B + c * q() + block_start(head.block) + Index{level} * head.k;
        for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e)
          rest[at(c * tail.size + head.tail_column[at(e)])] -=
              dot<0>(heads_[h].R.data() + head.tail_value(level, e), b, head.k);
      }
  }
  solve_tail(rest.data(), columns);
  for (const Tail::Node& node : tail.nodes) {
    const int kc = k(node.block);
    for (int c = 0; c < columns; ++c)
      std::copy_n(rest.data() + c * tail.size + node.start, kc,
                  B + c * q() + block_start(node.block) + Index{node.level} * kc);
  }
}

// A level of a later head is reached from its own entry of V and from those of the levels nested in
// it, so of head h at most h + 1 levels count.
void Factor::solve_head_at(const Level* level, const double* V, int columns, double* head,
                           double* tail) const {
  const Index rows = head_rows(), q2 = tail_rows();
  std::fill_n(head, rows * columns, 0.0);
  std::fill_n(tail, q2 * columns, 0.0);
  std::vector<std::vector<Level>> reached(heads_.size());
  const auto place = [&](int h, Level l) {
    std::vector<Level>& levels = reached[at(h)];
    const auto found = std::find(levels.begin(), levels.end(), l);
    const Index slot = found - levels.begin();
    if (found == levels.end()) levels.push_back(l);
    return head + reached_start_[at(h)] + slot * structure_.heads()[at(h)].k;
  };
  Index width = 0;
  for (const Block& block : blocks_) width += block.k;
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    if (level[t] < 0) continue;
    const int h = structure_.head_of(t);
    const Tail& pattern = structure_.tail();
    double* target = h >= 0 ? place(h, level[t])
                            : tail + pattern.nodes[at(pattern.node_of[at(t)][at(level[t])])].start;
    const Index stride = h >= 0 ? rows : q2;
    for (int c = 0; c < columns; ++c)
      std::copy_n(V + c * width + blocks_[at(t)].first_column, k(t), target + c * stride);
  }
  for (int h = 0; h < static_cast<int>(heads_.size()); ++h)
    for (std::size_t slot = 0; slot < reached[at(h)].size(); ++slot) {
      const HeadBlock& block = structure_.heads()[at(h)];
      const HeadNumbers& numbers = heads_[at(h)];
      const int k = block.k;
      const Index l = reached[at(h)][slot];
      const double* R = numbers.R.data() + block.row(l);
      double* own = head + reached_start_[at(h)] + static_cast<Index>(slot) * k;
      for (int c = 0; c < columns; ++c)
        crossnest::solve_lower<0>(numbers.D.data() + l * k * k, k, own + c * rows, 1);
      for (const HeadBlock::Ancestor& ancestor : block.ancestors) {
        double* target = place(ancestor.head, (*ancestor.parent)[at(l)]);
        for (int c = 0; c < columns; ++c)
          for (int e = 0; e < ancestor.k; ++e)
            target[c * rows + e] -= dot<0>(R + (ancestor.offset + e) * k, own + c * rows, k);
      }
      for (Index e = block.tail_start[at(l)]; e < block.tail_start[at(l) + 1]; ++e)
        for (int c = 0; c < columns; ++c)
          tail[c * q2 + block.tail_column[at(e)]] -=
              dot<0>(numbers.R.data() + block.tail_value(l, e), own + c * rows, k);
    }
}

void Factor::solve_tail(double* tail, Index columns) const {
  constexpr Index kColumns = 64;  // solved together, whatever the number of threads
  constexpr double kWork = 1e8;   // multiply-adds of a thread between two polls, about
  const Index q2 = tail_rows(), pieces = (columns + kColumns - 1) / kColumns;
  if (q2 == 0) return;
  const double work = static_cast<double>(kColumns * q2) * static_cast<double>(q2);
  const Index together = pool_.size() * (1 + static_cast<Index>(kWork / work));
  for (Index next = 0; next < pieces; next += together) {
    interrupt_.poll();
    pool_.for_pieces(std::min(together, pieces - next), 1, [&](Index begin, Index end, int) {
      for (Index piece = next + begin; piece < next + end; ++piece) {
        double* first = tail + piece * kColumns * q2;
        const int count = static_cast<int>(std::min(kColumns, columns - piece * kColumns));
        if (sparse_)
          sparse_->solve_lower(first, count);
        else
          dense_tail_.solve(dense_.get(), true, first, count);
      }
    });
  }
}

void Factor::multiply(const double* V, int columns, double* product) {
  pool_.for_pieces(
      columns, grain(static_cast<double>(A_.numbers())), [&](Index first, Index last, int) {
        for (Index c = first; c < last; ++c) {
          const double* v = V + c * q();
          double* out = product + c * q();
          for (int t = 0; t < A_.blocks(); ++t) {
            const int kt = k(t);
            for (Index l = 0; l < A_.levels(t); ++l)
              crossnest::multiply(A_.diagonal(t).data() + l * kt * kt, v + block_start(t) + l * kt,
                                  kt, kt, 1, out + block_start(t) + l * kt);
          }
          for (int t = 0; t < A_.blocks(); ++t)
            for (int s = 0; s < t; ++s) {
              const CrossBlocks& cross = A_.cross(s, t);
              const int ks = k(s), kt = k(t);
              for (Index l = 0; l < A_.levels(s); ++l) {
                double* out_s = out + block_start(s) + l * ks;
                const double* v_s = v + block_start(s) + l * ks;
                for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e) {
                  const double* value = cross.values.data() + e * ks * kt;
                  const Index at_t = block_start(t) + Index{cross.column[at(e)]} * kt;
                  for (int j = 0; j < kt; ++j) {
                    double sum = 0.0;
                    for (int i = 0; i < ks; ++i) {
                      out_s[i] += value[j * ks + i] * v[at_t + j];
                      sum += value[j * ks + i] * v_s[i];
                    }
                    out[at_t + j] += sum;
                  }
                }
              }
            }
        }
      });
}

void Factor::add_gram(double alpha, const double* A, const double* B, int columns,
                      double* product) {
  constexpr Index kColumns = 64, kRows = 65536;  // of a tile: some 10 ms
  constexpr int kFew = 8;                        // columns not worth packing for a dense kernel
  if (columns <= kFew) {
    interrupt_.poll(static_cast<double>(q()) * columns * columns);
    const Eigen::Map<const Eigen::MatrixXd> left(A, q(), columns), right(B, q(), columns);
    Eigen::Map<Eigen::MatrixXd>(product, columns, columns) +=
        alpha * left.transpose().lazyProduct(right);
    return;
  }
  const Index tiles = (columns + kColumns - 1) / kColumns;
  for (Index begin = 0; begin < q(); begin += kRows)
    pool_.for_pieces(tiles * (tiles + 1) / 2, 1, [&](Index first, Index last, int) {
      for (Index pair = first; pair < last; ++pair) {
        Index j = 0;  // the tile's column
        while ((j + 1) * (j + 2) / 2 <= pair) ++j;
        const Index row = (pair - j * (j + 1) / 2) * kColumns, column = j * kColumns;
        char transposed = 'T', plain = 'N';
        int rows = static_cast<int>(std::min(kColumns, columns - row));
        int width = static_cast<int>(std::min(kColumns, columns - column));
        int inner = static_cast<int>(std::min(kRows, q() - begin));
        int ld = static_cast<int>(q()), ld_product = columns;
        double factor = alpha, one = 1.0;
        // The kernels take no const pointers, Fortran having none; A and B are only read.
        kernels_.dgemm(&transposed, &plain, &rows, &width, &inner, &factor,
                       const_cast<double*>(A) + row * q() + begin, &ld,
                       const_cast<double*>(B) + column * q() + begin, &ld, &one,
                       product + column * columns + row, &ld_product);
      }
    });
}

void Factor::multiply_border_transposed(const double* E, int columns, double* product) const {
  std::fill_n(product, border_ * columns, 0.0);
  const Tail& tail = structure_.tail();
  for (int c = 0; c < columns; ++c) {
    interrupt_.poll(static_cast<double>(A_.numbers()));
    const double* e = E + c * q();
    double* out = product + c * border_;
    for (std::size_t h = 0; h < heads_.size(); ++h) {
      const HeadBlock& head = structure_.heads()[h];
      for (Index level = 0; level < head.levels; ++level) {
        const double* R = heads_[h].R.data() + head.row(level) + head.border_offset * head.k;
        const double* own = e + block_start(head.block) + level * head.k;
        for (int b = 0; b < border_; ++b) out[b] += dot<0>(R + b * head.k, own, head.k);
      }
    }
    for (const Tail::Node& node : tail.nodes) {
      const double* own = e + block_start(node.block) + Index{node.level} * k(node.block);
      for (int b = 0; b < border_; ++b)
        out[b] += dot<0>(tail_border_.data() + b * tail.size + node.start, own, k(node.block));
    }
  }
}

void Factor::invert(bool whole) {
  if (inverted_ == Inverted::whole || (inverted_ == Inverted::diagonal && !whole)) return;
  const Tail& tail = structure_.tail();
  if (tail.size > 0) {
    if (inverted_ == Inverted::no) {
      if (sparse_)
        sparse_->invert();
      else
        dense_tail_.invert(dense_.get());
    }
    interrupt_.poll();
    const bool all = whole || heads_.size() > 1;
    if (all && !sparse_) dense_tail_.mirror(dense_.get());
    gather_tail_inverse(all);
  }
  for (std::size_t t = 0; t < blocks_.size(); ++t)
    inverse_diagonal_[t].resize(at(blocks_[t].levels * blocks_[t].k * blocks_[t].k));
  for (const Tail::Node& node : tail.nodes) {
    const int kc = k(node.block);
    double* target = inverse_diagonal_[at(node.block)].data() + Index{node.level} * kc * kc;
    for (int j = 0; j < kc; ++j)
      for (int i = 0; i < kc; ++i)
        target[j * kc + i] = tail_inverse(node.start + i, node.start + j);
  }
  for (int h = static_cast<int>(heads_.size()) - 1; h >= 0; --h) invert_head(h, whole);
  inverted_ = whole ? Inverted::whole : Inverted::diagonal;
}

double Factor::tail_inverse(Index i, Index j) const {
  if (sparse_) return sparse_->inverse_entry(i, j);
  return dense_[at(std::max(i, j) * structure_.tail().size + std::min(i, j))];
}

// T_lc = sum over the tail columns j of R_l of R_lj (S^-1)_jc, for every entry c of every row: all
// of it when `whole`, else half: the columns on one side of c and half of c itself, so that the sum
// over c of T_lc R_lc' + R_lc T_lc' is R_l S^-1 R_l'.
template <int K>
void Factor::gather_column(const HeadBlock& head, HeadNumbers& numbers, Index column,
                           const double* inverse, bool whole) {
  const int k = K > 0 ? K : head.k;
  const bool before = sparse_ == nullptr;  // the side of the diagonal that `inverse` holds
  for (Index i = head.column_start[at(column)]; i < head.column_start[at(column) + 1]; ++i) {
    const Level level = head.column_level[at(i)];
    const Index first = head.tail_start[at(level)], entry = head.column_entry[at(i)];
    const Index begin = whole || before ? first : entry + 1;
    const Index end = whole || !before ? head.tail_start[at(level) + 1] : entry;
    const double* tail = numbers.R.data() + head.tail_value(level, 0);
    double* sum = numbers.inverse.data() + head.tail_value(level, entry);
    if (K == 1) {
      double total = whole ? 0.0 : 0.5 * tail[entry] * inverse[column];
      for (Index e = begin; e < end; ++e) total += tail[e] * inverse[head.tail_column[at(e)]];
      *sum = total;
      continue;
    }
    for (int r = 0; r < k; ++r) sum[r] = whole ? 0.0 : 0.5 * tail[entry * k + r] * inverse[column];
    for (Index e = begin; e < end; ++e) {
      const double value = inverse[head.tail_column[at(e)]];
      for (int r = 0; r < k; ++r) sum[r] += tail[e * k + r] * value;
    }
  }
}

void Factor::gather_tail_inverse(bool whole) {
  const Index q2 = structure_.tail().size;
  double entries = 0.0;
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const HeadBlock& head = structure_.heads()[h];
    heads_[h].inverse.resize(heads_[h].R.size());
    entries += head.k * average_width(head) * static_cast<double>(head.tail_column.size());
  }
  pool_.for_pieces(
      q2, grain(entries / static_cast<double>(q2)), [&](Index begin, Index end, int worker) {
        for (Index column = begin; column < end; ++column) {
          if (sparse_) sparse_->load_column(column, whole, scratch(worker));
          const double* inverse = sparse_ ? scratch(worker) : dense_.get() + column * q2;
          for (std::size_t h = 0; h < heads_.size(); ++h) {
            const HeadBlock& head = structure_.heads()[h];
            with_size(head.k,
                      [&](auto K) { gather_column<K()>(head, heads_[h], column, inverse, whole); });
          }
          if (sparse_) sparse_->clear_column(column, whole, scratch(worker));
        }
      });
  for (std::size_t h = 0; h < heads_.size(); ++h)
    gather_full_rows(structure_.heads()[h], heads_[h], whole);
}

void Factor::invert_head(int h, bool whole) {
  const HeadBlock& head = structure_.heads()[at(h)];
  HeadNumbers& numbers = heads_[at(h)];
  numbers.inverse.resize(numbers.R.size());
  const bool all = whole || heads_.size() > 1;
  pool_.for_pieces(head.levels, grain(head.k * head.k * average_width(head)),
                   [&](Index begin, Index end, int) {
                     for (Index level = begin; level < end; ++level) {
                       if (!head.ancestors.empty()) add_ancestors(h, level);
                       with_size(head.k, [&](auto K) { finish_inverse_level<K()>(h, level, all); });
                     }
                   });
}

// Omega^-1 between ancestors i and j (i <= j) of a level, k_i x k_j.
const double* Factor::ancestor_inverse(const HeadBlock& head, Index level, std::size_t i,
                                       std::size_t j) const {
  const HeadBlock::Ancestor& a = head.ancestors[i];
  const HeadBlock& earlier = structure_.heads()[at(a.head)];
  const Index parent = (*a.parent)[at(level)];
  if (i == j) return inverse_diagonal_[at(earlier.block)].data() + parent * a.k * a.k;
  const int offset = earlier.ancestors[j - i - 1].offset;
  return heads_[at(a.head)].inverse.data() + earlier.row(parent) + offset * a.k;
}

// T_l over the ancestors' columns, and what the ancestors add to T_l over the tail's.
void Factor::add_ancestors(int h, Index level) {
  const HeadBlock& head = structure_.heads()[at(h)];
  HeadNumbers& numbers = heads_[at(h)];
  const int k = head.k;
  const double* R = numbers.R.data() + head.row(level);
  double* T = numbers.inverse.data() + head.row(level);
  const auto add = [&](double* target, const double* column, double value) {
    for (int r = 0; r < k; ++r) target[r] += column[r] * value;
  };
  std::fill_n(T, head.border_offset * k, 0.0);
  for (std::size_t i = 0; i < head.ancestors.size(); ++i) {
    const HeadBlock::Ancestor& a = head.ancestors[i];
    for (std::size_t j = i; j < head.ancestors.size(); ++j) {
      const HeadBlock::Ancestor& b = head.ancestors[j];
      const double* inverse = ancestor_inverse(head, level, i, j);
      for (int r = 0; r < a.k; ++r)
        for (int c = 0; c < b.k; ++c) {
          add(T + (b.offset + c) * k, R + (a.offset + r) * k, inverse[c * a.k + r]);
          if (i != j) add(T + (a.offset + r) * k, R + (b.offset + c) * k, inverse[c * a.k + r]);
        }
    }
    const HeadBlock& later = structure_.heads()[at(a.head)];
    const Index parent = (*a.parent)[at(level)];
    for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e) {
      const double* inverse =
          heads_[at(a.head)].inverse.data() + later.tail_value(parent, a.tail_map[at(e)]);
      for (int r = 0; r < a.k; ++r) {
        add(T + (a.offset + r) * k, numbers.R.data() + head.tail_value(level, e), inverse[r]);
        add(numbers.inverse.data() + head.tail_value(level, e), R + (a.offset + r) * k, inverse[r]);
      }
    }
  }
}

// (Omega^-1)_ll = L_l'^-1 (I + T_l R_l') L_l^-1 and, when whole, (Omega^-1)_l,later = -L_l'^-1 T_l.
template <int K>
void Factor::finish_inverse_level(int h, Index level, bool whole) {
  const HeadBlock& head = structure_.heads()[at(h)];
  HeadNumbers& numbers = heads_[at(h)];
  const int k = K > 0 ? K : head.k;
  const double* L = numbers.D.data() + level * k * k;
  const double* R = numbers.R.data() + head.row(level);
  double* T = numbers.inverse.data() + head.row(level);
  double* inverse = inverse_diagonal_[at(head.block)].data() + level * k * k;
  const int tail = static_cast<int>(head.tail_start[at(level) + 1] - head.tail_start[at(level)]);
  std::fill_n(inverse, k * k, 0.0);
  for (int i = 0; i < k; ++i) inverse[i * k + i] = 1.0;
  const auto add_columns = [&](int first, int count) {
    for (int c = first; c < first + count; ++c)
      for (int j = 0; j < k; ++j)
        for (int i = 0; i < k; ++i) {
          inverse[j * k + i] += T[c * k + i] * R[c * k + j];
          if (!whole) inverse[j * k + i] += R[c * k + i] * T[c * k + j];
        }
  };
  add_columns(0, head.border_offset);
  add_columns(head.fixed, tail);
  const auto solve_transposed = [&](double* B, int columns) {
    if (k < kLargeLevel) {
      solve_lower_transposed<K>(L, k, B, columns);
      return;
    }
    char left = 'L', upper = 'U', plain = 'N';
    int rows = k, width = columns;
    double one = 1.0;
    // The kernels take no const pointers, Fortran having none; L is only read.
    kernels_.dtrsm(&left, &upper, &plain, &plain, &rows, &width, &one, const_cast<double*>(L),
                   &rows, B, &rows);
  };
  for (int pass = 0; pass < 2; ++pass) {
    solve_transposed(inverse, k);
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < j; ++i) std::swap(inverse[j * k + i], inverse[i * k + j]);
  }
  if (!whole) return;
  const auto negate = [&](int first, int count) {
    solve_transposed(T + first * k, count);
    for (int i = first * k; i < (first + count) * k; ++i) T[i] = -T[i];
  };
  negate(0, head.border_offset);
  negate(head.fixed, tail);
}

const double* Factor::inverse_diagonal(int block, Index level) const {
  return inverse_diagonal_[at(block)].data() + level * k(block) * k(block);
}

void Factor::inverse_block(int s, Level level_s, int t, Level level_t, double* out) const {
  const int ks = k(s);
  int hs = structure_.head_of(s), ht = structure_.head_of(t);
  const bool exchanged =
      hs < 0 || (ht >= 0 && ht < hs);  // rows of Omega^-1 are kept with earlier heads
  if (exchanged) {
    std::swap(s, t);
    std::swap(level_s, level_t);
    std::swap(hs, ht);
  }
  const auto put = [&](int i, int j, double value) {
    out[exchanged ? i * ks + j : j * ks + i] = value;
  };
  const int rows = k(s), columns = k(t);
  if (hs < 0) {
    const Tail& tail = structure_.tail();
    const Index i0 = tail.nodes[at(tail.node_of[at(s)][at(level_s)])].start;
    const Index j0 = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
    for (int j = 0; j < columns; ++j)
      for (int i = 0; i < rows; ++i) put(i, j, tail_inverse(i0 + i, j0 + j));
    return;
  }
  const HeadBlock& head = structure_.heads()[at(hs)];
  const double* inverse;
  if (ht >= 0) {
    inverse = heads_[at(hs)].inverse.data() + head.row(level_s) +
              head.ancestors[at(ht - hs - 1)].offset * rows;
  } else {
    const Tail& tail = structure_.tail();
    const Level column = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
    const auto begin = head.tail_column.begin() + head.tail_start[at(level_s)];
    const auto end = head.tail_column.begin() + head.tail_start[at(level_s) + 1];
    const Index entry = std::lower_bound(begin, end, column) - head.tail_column.begin();
    inverse = heads_[at(hs)].inverse.data() + head.tail_value(level_s, entry);
  }
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i) put(i, j, inverse[j * rows + i]);
}

}  // namespace crossnest
