#include "head.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Sums over the levels of a head block are cut in the same pieces whatever the number of threads.
Index pieces(const HeadBlock& head) { return std::clamp<Index>(head.levels / 256, 1, 64); }

}  // namespace

Head::Head(const std::vector<Block>& blocks, const CrossProducts& A, const Structure& structure,
           const DenseKernels& kernels, ThreadPool& pool, InterruptCheck& interrupt)
    : A_(A),
      patterns_(structure.heads()),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt),
      border_(A.rank() + 1),
      numbers_(structure.heads().size()) {
  for (const Block& block : blocks) widest_ = std::max<Index>(widest_, block.k);
  for (std::size_t h = 0; h < numbers_.size(); ++h) {
    const HeadBlock& head = patterns_[h];
    numbers_[h].L.resize(at(head.levels * head.k * head.k));
    numbers_[h].R.resize(at(head.numbers()));
    numbers_[h].partial.resize(at(pieces(head) * (1 + border_ * border_)));
  }
  scratch_.resize(at(widest_ * pool.size()));
}

double Head::average_width(const HeadBlock& head) {
  return head.fixed +
         static_cast<double>(head.tail_column.size()) / static_cast<double>(head.levels);
}

bool Head::factorize(const Lambda& lambda, const Border& border, double& log_det,
                     std::vector<double>& F) {
  for (int h = 0; h < size(); ++h) load(h, lambda, border);
  for (int h = 0; h < size(); ++h) {
    interrupt_.poll(static_cast<double>(numbers_[at(h)].R.size()));
    if (!eliminate(h, log_det, F)) return false;
    update_ancestors(h);
  }
  return true;
}

void Head::load(int h, const Lambda& lambda, const Border& border) {
  const HeadBlock& head = pattern(h);
  pool_.for_pieces(head.levels, grain(head.k * head.k * average_width(head)),
                   [&](Index begin, Index end, int worker) {
                     with_size(head.k, [&](auto K) {
                       for (Index level = begin; level < end; ++level)
                         load_level<K()>(h, level, lambda, border,
                                         scratch_.data() + worker * widest_);
                     });
                   });
}

// D_l = lambda'A_ll lambda + I and R_l = lambda'[A_l,later Lambda_later]; `work` is space for k
// numbers.
template <int K>
void Head::load_level(int h, Index level, const Lambda& lambda, const Border& border,
                      double* work) {
  const HeadBlock& head = pattern(h);
  Numbers& numbers = numbers_[at(h)];
  const int k = K > 0 ? K : head.k;
  const double* own = lambda.of(head.block);
  const int* own_first = lambda.first(head.block);
  const int* own_last = lambda.last(head.block);
  double unrolled[K > 0 ? K : 1];
  double* const column = K > 0 ? unrolled : work;  // A right_c
  const auto sandwich = [&](auto size, const double* A, int block, double* target,
                            bool transposed) {
    // target (k x columns) = own' A right, right of `block`; A is k x columns, or columns x k when
    // transposed. Where sizes are known when this is compiled, zeros are not worth skipping.
    constexpr int Columns = size();
    const int columns = Columns > 0 ? Columns : lambda.k(block);
    const double* right = lambda.of(block);
    for (int c = 0; c < columns; ++c, right += columns) {
      const int first = Columns > 0 ? 0 : lambda.first(block)[c];
      const int last = Columns > 0 ? Columns : lambda.last(block)[c];
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
  double* D = numbers.L.data() + level * k * k;
  sandwich(own_size, A_.diagonal(head.block).data() + level * k * k, head.block, D, false);
  for (int i = 0; i < k; ++i) D[i * k + i] += 1.0;
  double* R = numbers.R.data() + head.row(level);
  for (const HeadBlock::Ancestor& ancestor : head.ancestors) {
    const int block = pattern(ancestor.head).block;
    sandwich(any_size, A_.cross(head.block, block).values.data() + level * k * ancestor.k, block,
             R + ancestor.offset * k, false);
  }
  double* beside = R + head.border_offset * k;
  multiply_transposed(own, border.fixed(head.block, level), k, k, border.rank(), beside);
  multiply_transposed(own, border.response(head.block, level), k, k, 1, beside + border.rank() * k);
  double* target = R + head.fixed * k;
  for (Index i = head.source_start[at(level)]; i < head.source_start[at(level) + 1]; ++i) {
    const HeadBlock::Source& source = head.source[at(i)];
    const bool head_first = head.block < source.block;
    const CrossBlocks& cross =
        head_first ? A_.cross(head.block, source.block) : A_.cross(source.block, head.block);
    const int columns = lambda.k(source.block);
    const double* A = cross.values.data() + source.entry * k * columns;
    if (K == 1 && columns == 1)
      *target = own[0] * *A * lambda.of(source.block)[0];
    else
      sandwich(any_size, A, source.block, target, !head_first);
    target += k * columns;
  }
}

template <int K>
bool Head::eliminate_level(const HeadBlock& head, double* D, double* R, int width, double& log_det,
                           double* border_sum) const {
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
bool Head::eliminate_large_level(double* D, int k, double* R, int width, double& log_det) const {
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

bool Head::eliminate(int h, double& log_det, std::vector<double>& F) {
  const HeadBlock& head = pattern(h);
  Numbers& numbers = numbers_[at(h)];
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
          if (!eliminate_level<K()>(head, numbers.L.data() + level * head.k * head.k,
                                    numbers.R.data() + head.row(level), width, *partial,
                                    partial + 1))
            definite = false;
        }
      });
    }
  });
  for (Index piece = 0; piece < count; ++piece) {
    const double* partial = numbers.partial.data() + piece * size;
    log_det += partial[0];
    for (Index i = 0; i + 1 < size; ++i) F[at(i)] -= partial[i + 1];
  }
  return definite;
}

// Later head blocks less what the levels nested in them take away: disjoint, since a level lies in
// one level of each.
void Head::update_ancestors(int h) {
  for (const HeadBlock::Ancestor& ancestor : pattern(h).ancestors) {
    const HeadBlock& later = pattern(ancestor.head);
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

void Head::update_from_descendant(int a, const HeadBlock::Descendant& descendant, Index level) {
  const HeadBlock& later = pattern(a);
  const HeadBlock& head = pattern(descendant.head);
  const HeadBlock::Ancestor& ancestor = head.ancestors[at(descendant.ancestor)];
  const int k = head.k, ka = later.k;
  double* D = numbers_[at(a)].L.data() + level * ka * ka;
  double* R = numbers_[at(a)].R.data() + later.row(level);
  const auto subtract = [&](const double* own, const double* column, double* target) {
    for (int i = 0; i < ka; ++i) target[i] -= dot<0>(own + i * k, column, k);
  };
  for (Index i = descendant.start[at(level)]; i < descendant.start[at(level) + 1]; ++i) {
    const Level child = descendant.child[at(i)];
    const double* row = numbers_[at(descendant.head)].R.data() + head.row(child);
    const double* own = row + ancestor.offset * k;
    for (int j = 0; j < ka; ++j) subtract(own, own + j * k, D + j * ka);
    // The child's columns after this ancestor's are the ancestor's own fixed columns.
    const double* rest = own + ka * k;
    for (int c = 0; c < later.fixed; ++c) subtract(own, rest + c * k, R + c * ka);
    for (Index e = head.tail_start[at(child)]; e < head.tail_start[at(child) + 1]; ++e)
      subtract(own, numbers_[at(descendant.head)].R.data() + head.tail_value(child, e),
               numbers_[at(a)].R.data() + later.tail_value(level, ancestor.tail_map[at(e)]));
  }
}

}  // namespace crossnest
