#include "effect_vectors.hpp"

#include <algorithm>

#include "eigen_products.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// For A_st of two blocks: out_s += A_st v_t and out_t += A_st'v_s.
void add_cross_products(const CrossBlocks& cross, Index levels, int ks, int kt, const double* v_s,
                        const double* v_t, double* out_s, double* out_t) {
  for (Index l = 0; l < levels; ++l, v_s += ks, out_s += ks)
    for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e) {
      const double* value = cross.values.data() + e * ks * kt;
      const Index column = Index{cross.column[at(e)]} * kt;
      for (int j = 0; j < kt; ++j) {
        double sum = 0.0;
        for (int i = 0; i < ks; ++i) {
          out_s[i] += value[j * ks + i] * v_t[column + j];
          sum += value[j * ks + i] * v_s[i];
        }
        out_t[column + j] += sum;
      }
    }
}

}  // namespace

EffectVectors::EffectVectors(const std::vector<Block>& blocks, const CrossProducts& A,
                             const DenseKernels& kernels, ThreadPool& pool,
                             InterruptCheck& interrupt)
    : A_(A), kernels_(kernels), pool_(pool), interrupt_(interrupt), start_{0} {
  for (const Block& block : blocks) start_.push_back(start_.back() + block.size());
}

void EffectVectors::multiply(const double* V, int columns, double* product) const {
  const double work = static_cast<double>(A_.numbers());
  const Index grain = static_cast<Index>(40000.0 / (work + 1.0)) + 1;
  pool_.for_pieces(columns, grain, [&](Index first, Index last, int) {
    for (Index c = first; c < last; ++c) multiply_column(V + c * q(), product + c * q());
  });
}

void EffectVectors::multiply_column(const double* v, double* out) const {
  for (int t = 0; t < A_.blocks(); ++t) {
    const int k = A_.k(t);
    const double* value = A_.diagonal(t).data();
    for (Index l = 0; l < A_.levels(t); ++l, value += k * k)
      crossnest::multiply(value, v + start(t) + l * k, k, k, 1, out + start(t) + l * k);
  }
  for (int t = 0; t < A_.blocks(); ++t)
    for (int s = 0; s < t; ++s)
      add_cross_products(A_.cross(s, t), A_.levels(s), A_.k(s), A_.k(t), v + start(s), v + start(t),
                         out + start(s), out + start(t));
}

void EffectVectors::add_gram(double alpha, const double* A, const double* B, int columns,
                             double* product) const {
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

}  // namespace crossnest
