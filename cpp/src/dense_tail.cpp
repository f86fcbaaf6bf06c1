#include "crossnest/dense_tail.hpp"

#include <algorithm>

namespace crossnest {

namespace {

// Small tails are not worth a BLAS call and its threads.
constexpr Index kSmall = 96;

Index panel_width(Index n) { return n < 512 ? 64 : 192; }

char kLeft = 'L', kRight = 'R', kUpper = 'U', kTransposed = 'T', kPlain = 'N';

const DenseKernels& choose(Index n, const DenseKernels& kernels) {
  return n <= kSmall ? eigen_kernels() : kernels;
}

}  // namespace

bool factor_dense(double* S, Index n, const DenseKernels& table, InterruptCheck& interrupt) {
  const DenseKernels& kernels = choose(n, table);
  const Index width = n <= kSmall ? std::max<Index>(n, 1) : panel_width(n);
  int lda = static_cast<int>(n);
  double one = 1.0, minus_one = -1.0;
  for (Index j = 0; j < n; j += width) {
    interrupt.poll();
    int columns = static_cast<int>(std::min(width, n - j));
    int rest = static_cast<int>(n - j) - columns;
    double* diagonal = S + j * n + j;
    double* right = S + (j + columns) * n + j;
    int info = 0;
    kernels.dpotrf(&kUpper, &columns, diagonal, &lda, &info);
    if (info != 0) return false;
    if (rest == 0) break;
    kernels.dtrsm(&kLeft, &kUpper, &kTransposed, &kPlain, &columns, &rest, &one, diagonal, &lda, right,
                  &lda);
    kernels.dsyrk(&kUpper, &kTransposed, &rest, &columns, &minus_one, right, &lda, &one,
                  right + columns, &lda);
  }
  return true;
}

void invert_dense(double* U, Index n, const DenseKernels& table, InterruptCheck& interrupt,
                  std::vector<double>& panel) {
  const DenseKernels& kernels = choose(n, table);
  const Index width = n <= kSmall ? std::max<Index>(n, 1) : panel_width(n);
  if (n > width && panel.size() < static_cast<std::size_t>(width * n))
    panel.resize(static_cast<std::size_t>(width * n));
  int lda = static_cast<int>(n);
  double zero = 0.0, one = 1.0, minus_one = -1.0;
  for (Index j = (n - 1) / width * width; j >= 0; j -= width) {
    interrupt.poll();
    int columns = static_cast<int>(std::min(width, n - j));
    int rest = static_cast<int>(n - j) - columns;
    double* diagonal = U + j * n + j;
    double* right = U + (j + columns) * n + j;
    double* trailing = right + columns;
    int info = 0;
    if (rest > 0) {
      kernels.dtrsm(&kLeft, &kUpper, &kPlain, &kPlain, &columns, &rest, &one, diagonal, &lda, right,
                    &lda);
      for (Index c = 0; c < rest; ++c)
        std::copy_n(right + c * n, columns, panel.data() + c * columns);
      kernels.dsymm(&kRight, &kUpper, &columns, &rest, &minus_one, trailing, &lda, panel.data(), &columns,
                    &zero, right, &lda);
    }
    kernels.dpotri(&kUpper, &columns, diagonal, &lda, &info);
    // X_j,rest Y' is symmetric; dgemm writes all of it, and the part below the diagonal is not read.
    if (rest > 0)
      kernels.dgemm(&kPlain, &kTransposed, &columns, &columns, &rest, &minus_one, right, &lda,
                    panel.data(), &columns, &one, diagonal, &lda);
  }
}

void solve_dense(const double* U, Index n, bool transposed, double* B, int columns,
                 const DenseKernels& kernels) {
  int size = static_cast<int>(n);
  double one = 1.0;
  // The kernels take no const pointers, Fortran having none; A is only read.
  choose(n, kernels).dtrsm(&kLeft, &kUpper, transposed ? &kTransposed : &kPlain, &kPlain, &size, &columns,
                           &one, const_cast<double*>(U), &size, B, &size);
}

void mirror_upper(double* S, Index n) {
  constexpr Index kTile = 64;
  for (Index jb = 0; jb < n; jb += kTile)
    for (Index ib = 0; ib <= jb; ib += kTile)
      for (Index j = jb; j < std::min(jb + kTile, n); ++j)
        for (Index i = ib; i < std::min(ib + kTile, j); ++i) S[i * n + j] = S[j * n + i];
}

}  // namespace crossnest
