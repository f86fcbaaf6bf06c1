#include "tiled_cholesky.hpp"

#include <algorithm>
#include <cmath>

namespace crossnest {

namespace {

// Up to this size one tile holds all, and Eigen's kernels do without a call into a BLAS.
constexpr Index kSmall = 96;

Index tile_width(Index n) {
  if (n <= kSmall) return std::max<Index>(n, 1);
  return n < 600 ? 64 : 128;
}

char kLeft = 'L', kRight = 'R', kUpper = 'U', kTransposed = 'T', kPlain = 'N';
double kZero = 0.0, kOne = 1.0, kMinusOne = -1.0;  // Fortran takes no constants

}  // namespace

TiledCholesky::TiledCholesky(Index n, const DenseKernels& kernels, ThreadPool& pool,
                             InterruptCheck& interrupt)
    : n_(n),
      width_(tile_width(n)),
      kernels_(n <= kSmall ? eigen_kernels() : kernels),
      pool_(pool),
      interrupt_(interrupt) {}

bool TiledCholesky::factor(double* S) {
  int lda = static_cast<int>(n_);
  for (Index j = 0; j < n_; j += width_) {
    interrupt_.poll();
    int columns = static_cast<int>(std::min(width_, n_ - j));
    double* diagonal = S + j * n_ + j;
    int info = 0;
    kernels_.dpotrf(&kUpper, &columns, diagonal, &lda, &info);
    if (info != 0) return false;
    const Index first = j + columns, count = tiles(n_ - first);
    pool_.for_pieces(count, 1, [&](Index begin, Index end, int) {
      for (Index tile = begin; tile < end; ++tile) {
        const Index c = first + tile * width_;
        int size = static_cast<int>(std::min(width_, n_ - c)), rows = columns, ld = lda;
        kernels_.dtrsm(&kLeft, &kUpper, &kTransposed, &kPlain, &rows, &size, &kOne, diagonal, &ld,
                       S + c * n_ + j, &ld);
      }
    });
    // Trailing tiles (r, c), r <= c, less U_jr'U_jc.
    pool_.for_pieces(count * (count + 1) / 2, 1, [&](Index begin, Index end, int) {
      for (Index pair = begin; pair < end; ++pair) {
        Index c =
            static_cast<Index>((std::sqrt(8.0 * static_cast<double>(pair) + 1.0) - 1.0) / 2.0);
        while ((c + 1) * (c + 2) / 2 <= pair) ++c;
        while (c * (c + 1) / 2 > pair) --c;
        const Index row = first + (pair - c * (c + 1) / 2) * width_, column = first + c * width_;
        int rows = static_cast<int>(std::min(width_, n_ - row));
        int size = static_cast<int>(std::min(width_, n_ - column)), inner = columns, ld = lda;
        double* target = S + column * n_ + row;
        if (row == column)
          kernels_.dsyrk(&kUpper, &kTransposed, &size, &inner, &kMinusOne, S + column * n_ + j, &ld,
                         &kOne, target, &ld);
        else
          kernels_.dgemm(&kTransposed, &kPlain, &rows, &size, &inner, &kMinusOne, S + row * n_ + j,
                         &ld, S + column * n_ + j, &ld, &kOne, target, &ld);
      }
    });
  }
  return true;
}

void TiledCholesky::multiply(double* S, Index m, double* P, int rows, double alpha, double* out,
                             int ld_out) {
  pool_.for_pieces(tiles(m), 1, [&](Index begin, Index end, int) {
    for (Index tile = begin; tile < end; ++tile) {
      const Index c = tile * width_, after = std::min(c + width_, m);
      int size = static_cast<int>(after - c), before = static_cast<int>(c),
          rest = static_cast<int>(m - after);
      int k = rows, ld = static_cast<int>(n_), ld_target = ld_out;
      double factor = alpha;
      double* target = out + c * ld_out;
      kernels_.dsymm(&kRight, &kUpper, &k, &size, &factor, S + c * n_ + c, &ld, P + c * k, &k,
                     &kZero, target, &ld_target);
      if (before > 0)
        kernels_.dgemm(&kPlain, &kPlain, &k, &size, &before, &factor, P, &k, S + c * n_, &ld, &kOne,
                       target, &ld_target);
      if (rest > 0)
        kernels_.dgemm(&kPlain, &kTransposed, &k, &size, &rest, &factor, P + after * k, &k,
                       S + after * n_ + c, &ld, &kOne, target, &ld_target);
    }
  });
}

void TiledCholesky::invert(double* U) {
  int lda = static_cast<int>(n_);
  if (n_ > width_) panel_.resize(static_cast<std::size_t>(width_ * n_));
  for (Index j = (n_ - 1) / width_ * width_; j >= 0; j -= width_) {
    interrupt_.poll();
    int columns = static_cast<int>(std::min(width_, n_ - j));
    int rest = static_cast<int>(n_ - j) - columns;
    double* diagonal = U + j * n_ + j;
    double* right = U + (j + columns) * n_ + j;
    int info = 0;
    if (rest > 0) {
      pool_.for_pieces(tiles(rest), 1, [&](Index begin, Index end, int) {
        for (Index tile = begin; tile < end; ++tile) {
          const Index c = tile * width_;
          int size = static_cast<int>(std::min<Index>(width_, rest - c)), rows = columns, ld = lda;
          kernels_.dtrsm(&kLeft, &kUpper, &kPlain, &kPlain, &rows, &size, &kOne, diagonal, &ld,
                         right + c * n_, &ld);
          for (Index i = c; i < c + size; ++i)
            std::copy_n(right + i * n_, columns, panel_.data() + i * columns);
        }
      });
      multiply(right + columns, rest, panel_.data(), columns, -1.0, right, lda);
    }
    kernels_.dpotri(&kUpper, &columns, diagonal, &lda, &info);
    // X_j,rest Y' is symmetric; dgemm writes all of it, and the part below the diagonal is not
    // read.
    if (rest > 0)
      kernels_.dgemm(&kPlain, &kTransposed, &columns, &columns, &rest, &kMinusOne, right, &lda,
                     panel_.data(), &columns, &kOne, diagonal, &lda);
  }
}

void TiledCholesky::solve(const double* U, bool transposed, double* B, int columns) const {
  int size = static_cast<int>(n_);
  // The kernels take no const pointers, Fortran having none; U is only read.
  kernels_.dtrsm(&kLeft, &kUpper, transposed ? &kTransposed : &kPlain, &kPlain, &size, &columns,
                 &kOne, const_cast<double*>(U), &size, B, &size);
}

void TiledCholesky::subtract_square(double* S, double* P, int rows) {
  const Index count = tiles(n_);
  pool_.for_pieces(count, 1, [&](Index begin, Index end, int) {
    for (Index tile = begin; tile < end; ++tile) {
      const Index c = tile * width_;
      int size = static_cast<int>(std::min(width_, n_ - c)), before = static_cast<int>(c);
      int k = rows, ld = static_cast<int>(n_);
      if (before > 0)
        kernels_.dgemm(&kTransposed, &kPlain, &before, &size, &k, &kMinusOne, P, &k, P + c * k, &k,
                       &kOne, S + c * n_, &ld);
      kernels_.dsyrk(&kUpper, &kTransposed, &size, &k, &kMinusOne, P + c * k, &k, &kOne,
                     S + c * n_ + c, &ld);
    }
  });
}

void TiledCholesky::mirror(double* S) const {
  constexpr Index kTile = 64;
  for (Index jb = 0; jb < n_; jb += kTile)
    for (Index ib = 0; ib <= jb; ib += kTile)
      for (Index j = jb; j < std::min(jb + kTile, n_); ++j)
        for (Index i = ib; i < std::min(ib + kTile, j); ++i) S[i * n_ + j] = S[j * n_ + i];
}

}  // namespace crossnest
