#include "dense_tail.hpp"

#include <algorithm>
#include <cmath>

namespace crossnest {

// The array is not touched yet: zeroing it takes seconds.
DenseTail::DenseTail(Index size, const DenseKernels& kernels, ThreadPool& pool,
                     InterruptCheck& interrupt)
    : Tail(size),
      algebra_(size, kernels, pool, interrupt),
      interrupt_(interrupt),
      matrix_(new double[static_cast<std::size_t>(size * size)]) {}

bool DenseTail::factorize(SchurComplement& S) {
  inverted_ = mirrored_ = false;
  S.read(
      [this](Index j, int) {
        std::fill_n(column(j), j + 1, 0.0);
        return column(j);
      },
      [](Index, int) {});
  S.read_full_levels(
      [this](double* P, int rows) { algebra_.subtract_square(matrix_.get(), P, rows); });
  interrupt_.poll();
  return algebra_.factor(matrix_.get());
}

double DenseTail::log_det() const {
  double sum = 0.0;
  for (Index j = 0; j < size(); ++j) sum += std::log(column(j)[j]);
  return 2.0 * sum;
}

void DenseTail::solve_lower(double* B, int columns) const {
  algebra_.solve(matrix_.get(), true, B, columns);
}

void DenseTail::solve_lower_transposed(double* B, int columns) const {
  algebra_.solve(matrix_.get(), false, B, columns);
}

void DenseTail::invert(bool whole) {
  if (!inverted_) algebra_.invert(matrix_.get());
  inverted_ = true;
  interrupt_.poll();
  if (!whole || mirrored_) return;
  algebra_.mirror(matrix_.get());
  mirrored_ = true;
}

Tail::InverseColumn DenseTail::inverse_column(Index j, int) { return {column(j), true, mirrored_}; }

void DenseTail::inverse_block(Index row, int rows, Index col, int columns, double* out) const {
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i)
      out[j * rows + i] = column(std::max(row + i, col + j))[std::min(row + i, col + j)];
}

void DenseTail::multiply_inverse(double* P, int rows, double alpha, double* out) {
  algebra_.multiply(matrix_.get(), size(), P, rows, alpha, out, rows);
}

}  // namespace crossnest
