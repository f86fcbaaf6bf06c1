// Omega^-1 on the pattern of L, from the last columns to the first (Takahashi's equations by
// blocks).
#include <algorithm>
#include <utility>

#include "factor.hpp"
#include "factor_numbers.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Turns a factor's numbers into those of its inverse.
//
// Of each level l of the head T_l = R_l Omega^-1_later,later comes first, over its later columns,
// and then
//   (Omega^-1)_ll = L_l'^-1 (I + T_l R_l') L_l^-1,   (Omega^-1)_l,later = -L_l'^-1 T_l.
// Where only the diagonal blocks of a head without nested blocks are asked for, half of T_l does:
// the columns on one side of each c and half of c itself, so that T_l R_l' + R_l T_l' is
// R_l S^-1 R_l'.
class Inversion {
 public:
  // `whole`: T_l in full, and Omega^-1 between levels.
  Inversion(FactorNumbers& numbers, bool whole) : n_(numbers), whole_(whole) {}
  void run();

 private:
  double* T(int h, Index level) {
    return n_.head_inverse[at(h)].data() + n_.head.pattern(h).row(level);
  }
  double* diagonal(int block, Index level) {
    return n_.inverse_diagonal[at(block)].data() + level * n_.k(block) * n_.k(block);
  }

  void allocate();
  void gather_tail();
  template <int K>
  void gather_column(int h, Index column, const Tail::InverseColumn& own);
  void gather_full_rows(int h);
  void copy_tail_diagonal();
  void invert_head(int h);
  void add_ancestors(int h, Index level);
  void add_ancestor_tail(int h, Index level, const HeadBlock::Ancestor& ancestor);
  const double* ancestor_inverse(const HeadBlock& head, Index level, std::size_t i, std::size_t j);
  template <int K>
  void finish_level(int h, Index level);
  template <int K>
  void solve_transposed(const double* L, int k, double* B, int columns) const;

  FactorNumbers& n_;
  bool whole_;
};

void Inversion::run() {
  allocate();
  if (n_.tail) {
    n_.tail->invert(whole_);
    gather_tail();
    copy_tail_diagonal();
  }
  for (int h = n_.head.size() - 1; h >= 0; --h) invert_head(h);
}

// The first time only.
void Inversion::allocate() {
  for (int h = 0; h < n_.head.size(); ++h)
    n_.head_inverse[at(h)].resize(at(n_.head.pattern(h).numbers()));
  for (std::size_t t = 0; t < n_.blocks.size(); ++t)
    n_.inverse_diagonal[t].resize(at(n_.blocks[t].levels * n_.blocks[t].k * n_.blocks[t].k));
}

// T_l over the tail's columns.
void Inversion::gather_tail() {
  const Index q2 = n_.tail->size();
  double entries = 0.0;
  for (const HeadBlock& head : n_.structure.heads())
    entries += head.k * Head::average_width(head) * static_cast<double>(head.tail_column.size());
  n_.pool.for_pieces(
      q2, Head::grain(entries / static_cast<double>(q2)), [&](Index begin, Index end, int worker) {
        for (Index column = begin; column < end; ++column) {
          const Tail::InverseColumn own = n_.tail->inverse_column(column, worker);
          for (int h = 0; h < n_.head.size(); ++h)
            with_size(n_.head.pattern(h).k, [&](auto K) { gather_column<K()>(h, column, own); });
        }
      });
  for (int h = 0; h < n_.head.size(); ++h) gather_full_rows(h);
}

// T_lc = sum over the tail columns j of R_l of R_lj (S^-1)_jc, for the entry c of every row.
template <int K>
void Inversion::gather_column(int h, Index column, const Tail::InverseColumn& own) {
  const HeadBlock& head = n_.head.pattern(h);
  const int k = K > 0 ? K : head.k;
  const double* inverse = own.value;
  const bool whole = own.above && own.below;
  for (Index i = head.column_start[at(column)]; i < head.column_start[at(column) + 1]; ++i) {
    const Level level = head.column_level[at(i)];
    const Index first = head.tail_start[at(level)], entry = head.column_entry[at(i)];
    const Index begin = own.above ? first : entry + 1;
    const Index end = own.below ? head.tail_start[at(level) + 1] : entry;
    const double* tail = n_.head.values(h) + head.tail_value(level, 0);
    double* sum = n_.head_inverse[at(h)].data() + head.tail_value(level, entry);
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

// The same for full rows: R_l S^-1, or half of it.
void Inversion::gather_full_rows(int h) {
  const HeadBlock& head = n_.head.pattern(h);
  const auto gather = [&](Index first, Index count, int rows, double* P) {
    n_.full_product.resize(at(rows * n_.tail->size()));
    n_.tail->multiply_inverse(P, rows, whole_ ? 1.0 : 0.5, n_.full_product.data());
    for (Index i = 0; i < count; ++i) {
      const Level level = head.full_levels[at(first + i)];
      const Index begin = head.tail_start[at(level)], end = head.tail_start[at(level) + 1];
      double* target = n_.head_inverse[at(h)].data() + head.tail_value(level, begin);
      for (Index e = begin; e < end; ++e, target += head.k)
        std::copy_n(n_.full_product.data() + head.tail_column[at(e)] * Index{rows} + i * head.k,
                    head.k, target);
    }
  };
  n_.schur.for_full_panels(head, n_.head.values(h), gather);
}

void Inversion::copy_tail_diagonal() {
  for (const TailPattern::Node& node : n_.tail_pattern().nodes) {
    const int k = n_.k(node.block);
    n_.tail->inverse_block(node.start, k, node.start, k, diagonal(node.block, node.level));
  }
}

void Inversion::invert_head(int h) {
  const HeadBlock& head = n_.head.pattern(h);
  n_.pool.for_pieces(head.levels, Head::grain(head.k * head.k * Head::average_width(head)),
                     [&](Index begin, Index end, int) {
                       for (Index level = begin; level < end; ++level) {
                         if (!head.ancestors.empty()) add_ancestors(h, level);
                         with_size(head.k, [&](auto K) { finish_level<K()>(h, level); });
                       }
                     });
}

// Omega^-1 between ancestors i and j (i <= j) of a level, k_i x k_j.
const double* Inversion::ancestor_inverse(const HeadBlock& head, Index level, std::size_t i,
                                          std::size_t j) {
  const HeadBlock::Ancestor& a = head.ancestors[i];
  const HeadBlock& earlier = n_.head.pattern(a.head);
  const Index parent = (*a.parent)[at(level)];
  if (i == j) return diagonal(earlier.block, parent);
  return T(a.head, parent) + earlier.ancestors[j - i - 1].offset * a.k;
}

void add_scaled(double* target, const double* column, int k, double value) {
  for (int r = 0; r < k; ++r) target[r] += column[r] * value;
}

// T_l over the ancestors' columns, and what the ancestors add to T_l over the tail's.
void Inversion::add_ancestors(int h, Index level) {
  const HeadBlock& head = n_.head.pattern(h);
  const int k = head.k;
  const double* R = n_.head.R(h, level);
  double* own = T(h, level);
  std::fill_n(own, head.border_offset * k, 0.0);
  for (std::size_t i = 0; i < head.ancestors.size(); ++i) {
    const HeadBlock::Ancestor& a = head.ancestors[i];
    for (std::size_t j = i; j < head.ancestors.size(); ++j) {
      const HeadBlock::Ancestor& b = head.ancestors[j];
      const double* inverse = ancestor_inverse(head, level, i, j);
      for (int r = 0; r < a.k; ++r)
        for (int c = 0; c < b.k; ++c) {
          const double value = inverse[c * a.k + r];
          add_scaled(own + (b.offset + c) * k, R + (a.offset + r) * k, k, value);
          if (i != j) add_scaled(own + (a.offset + r) * k, R + (b.offset + c) * k, k, value);
        }
    }
    add_ancestor_tail(h, level, a);
  }
}

void Inversion::add_ancestor_tail(int h, Index level, const HeadBlock::Ancestor& ancestor) {
  const HeadBlock& head = n_.head.pattern(h);
  const HeadBlock& later = n_.head.pattern(ancestor.head);
  const int k = head.k;
  const Index parent = (*ancestor.parent)[at(level)];
  const double* R = n_.head.R(h, level) + ancestor.offset * k;
  double* own = T(h, level) + ancestor.offset * k;
  for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e) {
    const double* inverse = n_.head_inverse[at(ancestor.head)].data() +
                            later.tail_value(parent, ancestor.tail_map[at(e)]);
    const double* R_e = n_.head.values(h) + head.tail_value(level, e);
    double* T_e = n_.head_inverse[at(h)].data() + head.tail_value(level, e);
    for (int r = 0; r < ancestor.k; ++r) {
      add_scaled(own + r * k, R_e, k, inverse[r]);
      add_scaled(T_e, R + r * k, k, inverse[r]);
    }
  }
}

template <int K>
void Inversion::solve_transposed(const double* L, int k, double* B, int columns) const {
  if (k < Head::kLargeLevel) {
    solve_lower_transposed<K>(L, k, B, columns);
    return;
  }
  char left = 'L', upper = 'U', plain = 'N';
  double one = 1.0;
  // The kernels take no const pointers, Fortran having none; L is only read.
  n_.kernels.dtrsm(&left, &upper, &plain, &plain, &k, &columns, &one, const_cast<double*>(L), &k, B,
                   &k);
}

template <int K>
void Inversion::finish_level(int h, Index level) {
  const HeadBlock& head = n_.head.pattern(h);
  const int k = K > 0 ? K : head.k;
  const double* L = n_.head.L(h, level);
  const double* R = n_.head.R(h, level);
  double* own = T(h, level);
  double* inverse = diagonal(head.block, level);
  const int tail = static_cast<int>(head.tail_start[at(level) + 1] - head.tail_start[at(level)]);
  std::fill_n(inverse, k * k, 0.0);
  for (int i = 0; i < k; ++i) inverse[i * k + i] = 1.0;
  const auto add_columns = [&](int first, int count) {
    for (int c = first; c < first + count; ++c)
      for (int j = 0; j < k; ++j)
        for (int i = 0; i < k; ++i) {
          inverse[j * k + i] += own[c * k + i] * R[c * k + j];
          if (!whole_) inverse[j * k + i] += R[c * k + i] * own[c * k + j];
        }
  };
  add_columns(0, head.border_offset);
  add_columns(head.fixed, tail);
  for (int pass = 0; pass < 2; ++pass) {
    solve_transposed<K>(L, k, inverse, k);
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < j; ++i) std::swap(inverse[j * k + i], inverse[i * k + j]);
  }
  if (!whole_) return;
  const auto negate = [&](int first, int count) {
    solve_transposed<K>(L, k, own + first * k, count);
    for (int i = first * k; i < (first + count) * k; ++i) own[i] = -own[i];
  };
  negate(0, head.border_offset);
  negate(head.fixed, tail);
}

// Omega^-1 between a level of head block h and one of block t, a later head block or in the tail:
// where the k_h x k_t numbers are.
const double* kept_block(const FactorNumbers& n, int h, Level level, int t, Level level_t) {
  const HeadBlock& head = n.head.pattern(h);
  const double* inverse = n.head_inverse[at(h)].data();
  const int ht = n.structure.head_of(t);
  if (ht >= 0) return inverse + head.row(level) + head.ancestors[at(ht - h - 1)].offset * head.k;
  const TailPattern& tail = n.tail_pattern();
  const Level column = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
  const auto begin = head.tail_column.begin() + head.tail_start[at(level)];
  const auto end = head.tail_column.begin() + head.tail_start[at(level) + 1];
  const Index entry = std::lower_bound(begin, end, column) - head.tail_column.begin();
  return inverse + head.tail_value(level, entry);
}

}  // namespace

InverseDiagonal Factor::invert_diagonal() && {
  border_solution();  // while L is there
  FactorNumbers& n = *std::exchange(numbers_, nullptr);
  if (n.inverted == FactorNumbers::Inverted::no) {
    Inversion(n, n.head.size() > 1).run();
    n.inverted = FactorNumbers::Inverted::diagonal;
  }
  return InverseDiagonal(n);
}

Inverse Factor::invert() && {
  border_solution();
  FactorNumbers& n = *std::exchange(numbers_, nullptr);
  if (n.inverted != FactorNumbers::Inverted::whole) {
    Inversion(n, true).run();
    n.inverted = FactorNumbers::Inverted::whole;
  }
  return Inverse(n);
}

std::optional<Factor> InverseDiagonal::factor() && {
  FactorNumbers& n = *std::exchange(numbers_, nullptr);
  if (n.tail) return std::nullopt;
  return Factor(n);
}

const double* InverseDiagonal::diagonal(int block, Index level) const {
  const int k = numbers_->k(block);
  return numbers_->inverse_diagonal[at(block)].data() + level * k * k;
}

void Inverse::block(int s, Level level_s, int t, Level level_t, double* out) const {
  const FactorNumbers& n = *numbers_;
  const int ks = n.k(s), kt = n.k(t), hs = n.structure.head_of(s), ht = n.structure.head_of(t);
  if (hs < 0 && ht < 0) {
    const TailPattern& tail = n.tail_pattern();
    const Index row = tail.nodes[at(tail.node_of[at(s)][at(level_s)])].start;
    const Index column = tail.nodes[at(tail.node_of[at(t)][at(level_t)])].start;
    n.tail->inverse_block(row, ks, column, kt, out);
  } else if (hs >= 0 && (ht < 0 || hs < ht)) {
    std::copy_n(kept_block(n, hs, level_s, t, level_t), ks * kt, out);
  } else {  // rows of Omega^-1 are kept with earlier heads
    const double* exchanged = kept_block(n, ht, level_t, s, level_s);
    for (int j = 0; j < kt; ++j)
      for (int i = 0; i < ks; ++i) out[j * ks + i] = exchanged[i * kt + j];
  }
}

}  // namespace crossnest
