#include "crossnest/factor.hpp"

#include <algorithm>
#include <cmath>

#include "crossnest/small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

Factor::Factor(const std::vector<Block>& blocks, const CrossProducts& A, const Structure& structure,
               const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt)
    : blocks_(blocks),
      A_(A),
      structure_(structure),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt),
      border_(A.border()),
      block_start_{0},
      reached_start_{0},
      lambda_(blocks),
      head_(blocks, A, structure, kernels, pool, interrupt),
      schur_(blocks, A, structure, lambda_, head_, kernels, pool, interrupt),
      tail_(make_tail(structure.tail(), kernels, pool, interrupt)),
      F_(at(A.border()) * at(A.border())),
      head_inverse_(structure.heads().size()) {
  Index widest = 1;
  for (const Block& block : blocks) {
    block_start_.push_back(block_start_.back() + block.size());
    inverse_diagonal_.emplace_back();
    widest = std::max<Index>(widest, block.k);
  }
  for (int h = 0; h < head_.size(); ++h)
    reached_start_.push_back(reached_start_.back() +
                             static_cast<Index>(h + 1) * head_.pattern(h).k);
  tail_solution_.resize(schur_.border().size());
  scratch_size_ = at(widest * border_);
  scratch_.resize(scratch_size_ * at(pool.size()));
}

bool Factor::factorize(const std::vector<std::vector<double>>& lambda) {
  lambda_.set(lambda);
  solved_ = false;
  inverted_ = Inverted::no;
  log_det_ = 0.0;
  F_ = A_.border_border();
  return head_.factorize(lambda_, log_det_, F_) && factor_tail() && factor_border();
}

// Calls body(first, count) for the columns of the border in panels.
template <class Body>
void Factor::for_border_columns(Body&& body) {
  pool_.for_pieces(border_, 64, [&](Index first, Index last, int) {
    body(static_cast<int>(first), static_cast<int>(last - first));
  });
}

bool Factor::factor_tail() {
  if (!tail_) return true;
  if (!tail_->factorize(schur_)) return false;
  log_det_ += tail_->log_det();
  const Index q2 = tail_->size();
  std::vector<double>& tail_border = schur_.border();
  for_border_columns(
      [&](int first, int count) { tail_->solve_lower(tail_border.data() + first * q2, count); });
  for (int j = 0; j < border_; ++j) {
    interrupt_.poll();
    for (int i = 0; i <= j; ++i) {
      const double *a = tail_border.data() + i * q2, *b = tail_border.data() + j * q2;
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
  const TailPattern& tail = structure_.tail();
  if (tail.size > 0) {
    tail_solution_ = schur_.border();
    pool_.for_pieces(tail.size, 256, [&](Index begin, Index end, int) {
      divide_by_F(tail_solution_.data() + begin, end - begin, tail.size);
    });
    for_border_columns([&](int first, int count) {
      tail_->solve_lower_transposed(tail_solution_.data() + first * tail.size, count);
    });
    for (const TailPattern::Node& node : tail.nodes) {
      const int kc = k(node.block);
      for (int b = 0; b < border_; ++b)
        for (int i = 0; i < kc; ++i)
          W_[at(b * q() + block_start(node.block) + Index{node.level} * kc + i)] =
              tail_solution_[at(b * tail.size + node.start + i)];
    }
  }
  for (int h = head_.size() - 1; h >= 0; --h) {
    const HeadBlock& head = head_.pattern(h);
    pool_.for_pieces(head.levels, Head::grain(head.k * border_ * Head::average_width(head)),
                     [&](Index begin, Index end, int worker) {
                       with_size(head.k, [&](auto K) {
                         for (Index level = begin; level < end; ++level)
                           solve_border_level<K()>(h, level,
                                                   scratch_.data() + at(worker) * scratch_size_);
                       });
                     });
  }
  solved_ = true;
  return W_;
}

// W_l = L_l'^-1 (R_l,border F^-1 - sum over later columns of R_lj W_j).
template <int K>
void Factor::solve_border_level(int h, Index level, double* rhs) {
  const HeadBlock& head = head_.pattern(h);
  const int k = K > 0 ? K : head.k;
  const double* row = head_.values(h) + head.row(level);
  std::copy_n(row + head.border_offset * k, k * border_, rhs);
  divide_by_F(rhs, k, k);
  for (const HeadBlock::Ancestor& ancestor : head.ancestors) {
    const Index start = block_start(head_.pattern(ancestor.head).block) +
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
  solve_lower_transposed<K>(head_.L(h, level), k, rhs, border_);
  for (int b = 0; b < border_; ++b)
    std::copy_n(rhs + b * k, k, W_.data() + b * q() + block_start(head.block) + level * k);
}

void Factor::solve_lower(double* B, int columns) {
  for (int h = 0; h < head_.size(); ++h) {
    const HeadBlock& head = head_.pattern(h);
    const int k = head.k;
    pool_.for_pieces(
        head.levels, Head::grain(4.0 * k * k * columns), [&](Index begin, Index end, int) {
          for (Index level = begin; level < end; ++level)
            for (int c = 0; c < columns; ++c) {
              double* own = B + c * q() + block_start(head.block) + level * k;
              for (const HeadBlock::Descendant& descendant : head.descendants) {
                const HeadBlock& earlier = head_.pattern(descendant.head);
                const int offset = earlier.ancestors[at(descendant.ancestor)].offset;
                for (Index i = descendant.start[at(level)]; i < descendant.start[at(level) + 1];
                     ++i) {
                  const Index child = descendant.child[at(i)];
                  const double* R =
                      head_.values(descendant.head) + earlier.row(child) + offset * earlier.k;
                  const double* b = B + c * q() + block_start(earlier.block) + child * earlier.k;
                  for (int e = 0; e < k; ++e) own[e] -= dot<0>(R + e * earlier.k, b, earlier.k);
                }
              }
              crossnest::solve_lower<0>(head_.L(h, level), k, own, 1);
            }
        });
  }
  const TailPattern& tail = structure_.tail();
  if (tail.size == 0) return;
  std::vector<double> rest(at(tail.size * columns));
  pool_.for_pieces(static_cast<Index>(tail.nodes.size()), 64, [&](Index begin, Index end, int) {
    for (Index n = begin; n < end; ++n) {
      const TailPattern::Node& node = tail.nodes[at(n)];
      const int kc = k(node.block);
      for (int c = 0; c < columns; ++c)
        for (int i = 0; i < kc; ++i) {
          const Index column = node.start + i;
          double sum = B[c * q() + block_start(node.block) + Index{node.level} * kc + i];
          for (int h = 0; h < head_.size(); ++h) {
            const HeadBlock& head = head_.pattern(h);
            for (Index e = head.column_start[at(column)]; e < head.column_start[at(column) + 1];
                 ++e) {
              const Index level = head.column_level[at(e)];
              sum -= dot<0>(head_.values(h) + head.tail_value(level, head.column_entry[at(e)]),
                            B + c * q() + block_start(head.block) + level * head.k, head.k);
            }
          }
          rest[at(c * tail.size + column)] = sum;
        }
    }
  });
  for (int h = 0; h < head_.size(); ++h) {
    const HeadBlock& head = head_.pattern(h);
    for (const Level level : head.full_levels)
      for (int c = 0; c < columns; ++c) {
        const double* b = B + c * q() + block_start(head.block) + Index{level} * head.k;
        for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e)
          rest[at(c * tail.size + head.tail_column[at(e)])] -=
              dot<0>(head_.values(h) + head.tail_value(level, e), b, head.k);
      }
  }
  solve_tail(rest.data(), columns);
  for (const TailPattern::Node& node : tail.nodes) {
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
  std::vector<std::vector<Level>> reached(at(head_.size()));
  const auto place = [&](int h, Level l) {
    std::vector<Level>& levels = reached[at(h)];
    const auto found = std::find(levels.begin(), levels.end(), l);
    const Index slot = found - levels.begin();
    if (found == levels.end()) levels.push_back(l);
    return head + reached_start_[at(h)] + slot * head_.pattern(h).k;
  };
  Index width = 0;
  for (const Block& block : blocks_) width += block.k;
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    if (level[t] < 0) continue;
    const int h = structure_.head_of(t);
    const TailPattern& pattern = structure_.tail();
    double* target = h >= 0 ? place(h, level[t])
                            : tail + pattern.nodes[at(pattern.node_of[at(t)][at(level[t])])].start;
    const Index stride = h >= 0 ? rows : q2;
    for (int c = 0; c < columns; ++c)
      std::copy_n(V + c * width + blocks_[at(t)].first_column, k(t), target + c * stride);
  }
  for (int h = 0; h < head_.size(); ++h)
    for (std::size_t slot = 0; slot < reached[at(h)].size(); ++slot) {
      const HeadBlock& block = head_.pattern(h);
      const int k = block.k;
      const Index l = reached[at(h)][slot];
      const double* R = head_.values(h) + block.row(l);
      double* own = head + reached_start_[at(h)] + static_cast<Index>(slot) * k;
      for (int c = 0; c < columns; ++c)
        crossnest::solve_lower<0>(head_.L(h, l), k, own + c * rows, 1);
      for (const HeadBlock::Ancestor& ancestor : block.ancestors) {
        double* target = place(ancestor.head, (*ancestor.parent)[at(l)]);
        for (int c = 0; c < columns; ++c)
          for (int e = 0; e < ancestor.k; ++e)
            target[c * rows + e] -= dot<0>(R + (ancestor.offset + e) * k, own + c * rows, k);
      }
      for (Index e = block.tail_start[at(l)]; e < block.tail_start[at(l) + 1]; ++e)
        for (int c = 0; c < columns; ++c)
          tail[c * q2 + block.tail_column[at(e)]] -=
              dot<0>(head_.values(h) + block.tail_value(l, e), own + c * rows, k);
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
        tail_->solve_lower(first, count);
      }
    });
  }
}

void Factor::multiply(const double* V, int columns, double* product) {
  pool_.for_pieces(
      columns, Head::grain(static_cast<double>(A_.numbers())), [&](Index first, Index last, int) {
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
  const TailPattern& tail = structure_.tail();
  for (int c = 0; c < columns; ++c) {
    interrupt_.poll(static_cast<double>(A_.numbers()));
    const double* e = E + c * q();
    double* out = product + c * border_;
    for (int h = 0; h < head_.size(); ++h) {
      const HeadBlock& head = head_.pattern(h);
      for (Index level = 0; level < head.levels; ++level) {
        const double* R = head_.values(h) + head.row(level) + head.border_offset * head.k;
        const double* own = e + block_start(head.block) + level * head.k;
        for (int b = 0; b < border_; ++b) out[b] += dot<0>(R + b * head.k, own, head.k);
      }
    }
    for (const TailPattern::Node& node : tail.nodes) {
      const double* own = e + block_start(node.block) + Index{node.level} * k(node.block);
      for (int b = 0; b < border_; ++b)
        out[b] += dot<0>(schur_.border().data() + b * tail.size + node.start, own, k(node.block));
    }
  }
}

void Factor::invert(bool whole) {
  if (inverted_ == Inverted::whole || (inverted_ == Inverted::diagonal && !whole)) return;
  const bool all = whole || head_.size() > 1;
  for (int h = 0; h < head_.size(); ++h)
    head_inverse_[at(h)].resize(at(head_.pattern(h).numbers()));
  if (tail_) {
    tail_->invert(all);
    gather_tail_inverse(all);
  }
  for (std::size_t t = 0; t < blocks_.size(); ++t)
    inverse_diagonal_[t].resize(at(blocks_[t].levels * blocks_[t].k * blocks_[t].k));
  for (const TailPattern::Node& node : structure_.tail().nodes) {
    const int kc = k(node.block);
    double* target = inverse_diagonal_[at(node.block)].data() + Index{node.level} * kc * kc;
    tail_->inverse_block(node.start, kc, node.start, kc, target);
  }
  for (int h = head_.size() - 1; h >= 0; --h) invert_head(h, all);
  inverted_ = whole ? Inverted::whole : Inverted::diagonal;
}

// T_lc = sum over the tail columns j of R_l of R_lj (S^-1)_jc, for every entry c of every row: all
// of it when `whole`, else half: the columns on one side of c and half of c itself, so that the sum
// over c of T_lc R_lc' + R_lc T_lc' is R_l S^-1 R_l'.
template <int K>
void Factor::gather_column(int h, Index column, const Tail::InverseColumn& own) {
  const HeadBlock& head = head_.pattern(h);
  const int k = K > 0 ? K : head.k;
  const double* inverse = own.value;
  const bool whole = own.above && own.below;
  for (Index i = head.column_start[at(column)]; i < head.column_start[at(column) + 1]; ++i) {
    const Level level = head.column_level[at(i)];
    const Index first = head.tail_start[at(level)], entry = head.column_entry[at(i)];
    const Index begin = own.above ? first : entry + 1;
    const Index end = own.below ? head.tail_start[at(level) + 1] : entry;
    const double* tail = head_.values(h) + head.tail_value(level, 0);
    double* sum = head_inverse_[at(h)].data() + head.tail_value(level, entry);
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
  const Index q2 = tail_->size();
  double entries = 0.0;
  for (const HeadBlock& head : structure_.heads())
    entries += head.k * Head::average_width(head) * static_cast<double>(head.tail_column.size());
  pool_.for_pieces(
      q2, Head::grain(entries / static_cast<double>(q2)), [&](Index begin, Index end, int worker) {
        for (Index column = begin; column < end; ++column) {
          const Tail::InverseColumn own = tail_->inverse_column(column, worker);
          for (int h = 0; h < head_.size(); ++h)
            with_size(head_.pattern(h).k, [&](auto K) { gather_column<K()>(h, column, own); });
        }
      });
  for (int h = 0; h < head_.size(); ++h) gather_full_rows(h, whole);
}

void Factor::invert_head(int h, bool whole) {
  const HeadBlock& head = head_.pattern(h);
  pool_.for_pieces(head.levels, Head::grain(head.k * head.k * Head::average_width(head)),
                   [&](Index begin, Index end, int) {
                     for (Index level = begin; level < end; ++level) {
                       if (!head.ancestors.empty()) add_ancestors(h, level);
                       with_size(head.k,
                                 [&](auto K) { finish_inverse_level<K()>(h, level, whole); });
                     }
                   });
}

// What gather_column does, for full rows: T_l = R_l S^-1 (or half of it, see there).
void Factor::gather_full_rows(int h, bool whole) {
  const HeadBlock& head = head_.pattern(h);
  const auto gather = [&](Index first, Index count, int rows, double* P) {
    full_product_.resize(at(rows * tail_->size()));
    tail_->multiply_inverse(P, rows, whole ? 1.0 : 0.5, full_product_.data());
    for (Index i = 0; i < count; ++i) {
      const Level level = head.full_levels[at(first + i)];
      const Index begin = head.tail_start[at(level)], end = head.tail_start[at(level) + 1];
      double* target = head_inverse_[at(h)].data() + head.tail_value(level, begin);
      for (Index e = begin; e < end; ++e, target += head.k)
        std::copy_n(full_product_.data() + head.tail_column[at(e)] * Index{rows} + i * head.k,
                    head.k, target);
    }
  };
  schur_.for_full_panels(head, head_.values(h), gather);
}

// Omega^-1 between ancestors i and j (i <= j) of a level, k_i x k_j.
const double* Factor::ancestor_inverse(const HeadBlock& head, Index level, std::size_t i,
                                       std::size_t j) const {
  const HeadBlock::Ancestor& a = head.ancestors[i];
  const HeadBlock& earlier = head_.pattern(a.head);
  const Index parent = (*a.parent)[at(level)];
  if (i == j) return inverse_diagonal_[at(earlier.block)].data() + parent * a.k * a.k;
  const int offset = earlier.ancestors[j - i - 1].offset;
  return head_inverse_[at(a.head)].data() + earlier.row(parent) + offset * a.k;
}

// T_l over the ancestors' columns, and what the ancestors add to T_l over the tail's.
void Factor::add_ancestors(int h, Index level) {
  const HeadBlock& head = head_.pattern(h);
  const int k = head.k;
  const double* R = head_.values(h) + head.row(level);
  double* T = head_inverse_[at(h)].data() + head.row(level);
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
    const HeadBlock& later = head_.pattern(a.head);
    const Index parent = (*a.parent)[at(level)];
    for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e) {
      const double* inverse =
          head_inverse_[at(a.head)].data() + later.tail_value(parent, a.tail_map[at(e)]);
      for (int r = 0; r < a.k; ++r) {
        add(T + (a.offset + r) * k, head_.values(h) + head.tail_value(level, e), inverse[r]);
        add(head_inverse_[at(h)].data() + head.tail_value(level, e), R + (a.offset + r) * k,
            inverse[r]);
      }
    }
  }
}

// (Omega^-1)_ll = L_l'^-1 (I + T_l R_l') L_l^-1 and, when whole, (Omega^-1)_l,later = -L_l'^-1 T_l.
template <int K>
void Factor::finish_inverse_level(int h, Index level, bool whole) {
  const HeadBlock& head = head_.pattern(h);
  const int k = K > 0 ? K : head.k;
  const double* L = head_.L(h, level);
  const double* R = head_.values(h) + head.row(level);
  double* T = head_inverse_[at(h)].data() + head.row(level);
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
    if (k < Head::kLargeLevel) {
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
    const TailPattern& tail = structure_.tail();
    const Index i0 = tail.nodes[at(tail.node_of[at(s)][at(level_s)])].start;
    const Index j0 = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
    if (exchanged)
      tail_->inverse_block(j0, columns, i0, rows, out);
    else
      tail_->inverse_block(i0, rows, j0, columns, out);
    return;
  }
  const HeadBlock& head = head_.pattern(hs);
  const double* inverse;
  if (ht >= 0) {
    inverse = head_inverse_[at(hs)].data() + head.row(level_s) +
              head.ancestors[at(ht - hs - 1)].offset * rows;
  } else {
    const TailPattern& tail = structure_.tail();
    const Level column = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
    const auto begin = head.tail_column.begin() + head.tail_start[at(level_s)];
    const auto end = head.tail_column.begin() + head.tail_start[at(level_s) + 1];
    const Index entry = std::lower_bound(begin, end, column) - head.tail_column.begin();
    inverse = head_inverse_[at(hs)].data() + head.tail_value(level_s, entry);
  }
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i) put(i, j, inverse[j * rows + i]);
}

}  // namespace crossnest
