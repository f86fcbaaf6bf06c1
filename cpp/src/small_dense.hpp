// Algebra of the small k x k blocks of one level, unrolled for k = 1..4.
#pragma once

#include <cmath>
#include <type_traits>

namespace crossnest {

/// Calls body(std::integral_constant<int, K>) with K = k for k <= 4, and with K = 0 ("any") above.
template <class Body>
decltype(auto) with_size(int k, Body&& body) {
  switch (k) {
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    case 3:
      return body(std::integral_constant<int, 3>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    default:
      return body(std::integral_constant<int, 0>{});
  }
}

/// a'b of two vectors of length K, or k where K = 0.
template <int K>
inline double dot(const double* a, const double* b, int k) {
  double sum = 0.0;
  for (int i = 0; i < (K > 0 ? K : k); ++i) sum += a[i] * b[i];
  return sum;
}

/// A = LL' in place (k x k, column-major, lower triangle; the upper is left as it is).
/// Adds log|A| to log_det. False, with A spoilt, when A is not positive definite.
template <int K>
inline bool cholesky(double* A, int k_any, double& log_det) {
  const int k = K > 0 ? K : k_any;
  double product = 1.0;
  for (int j = 0; j < k; ++j) {
    double pivot = A[j * k + j];
    for (int m = 0; m < j; ++m) pivot -= A[m * k + j] * A[m * k + j];
    if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
    const double root = std::sqrt(pivot);
    A[j * k + j] = root;
    if (K > 0)
      product *= pivot;  // at most four pivots: no overflow unless a pivot passes 1e77
    else
      log_det += std::log(pivot);
    for (int i = j + 1; i < k; ++i) {
      double sum = A[j * k + i];
      for (int m = 0; m < j; ++m) sum -= A[m * k + i] * A[m * k + j];
      A[j * k + i] = sum / root;
    }
  }
  if (K > 0) log_det += std::log(product);
  return true;
}

/// B := L^-1 B, B k x columns, column-major.
template <int K>
inline void solve_lower(const double* L, int k_any, double* B, int columns) {
  const int k = K > 0 ? K : k_any;
  if (K == 1) {
    const double inverse = 1.0 / L[0];
    for (int c = 0; c < columns; ++c) B[c] *= inverse;
    return;
  }
  for (int c = 0; c < columns; ++c, B += k)
    for (int i = 0; i < k; ++i) {
      double sum = B[i];
      for (int m = 0; m < i; ++m) sum -= L[m * k + i] * B[m];
      B[i] = sum / L[i * k + i];
    }
}

/// B := L'^-1 B, B k x columns, column-major.
template <int K>
inline void solve_lower_transposed(const double* L, int k_any, double* B, int columns) {
  const int k = K > 0 ? K : k_any;
  if (K == 1) {
    const double inverse = 1.0 / L[0];
    for (int c = 0; c < columns; ++c) B[c] *= inverse;
    return;
  }
  for (int c = 0; c < columns; ++c, B += k)
    for (int i = k - 1; i >= 0; --i) {
      double sum = B[i];
      for (int m = i + 1; m < k; ++m) sum -= L[i * k + m] * B[m];
      B[i] = sum / L[i * k + i];
    }
}

/// C (rows x columns) := A' B with A (inner x rows), B (inner x columns), all column-major.
inline void multiply_transposed(const double* A, const double* B, int rows, int inner, int columns,
                                double* C) {
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i) {
      double sum = 0.0;
      for (int m = 0; m < inner; ++m) sum += A[i * inner + m] * B[j * inner + m];
      C[j * rows + i] = sum;
    }
}

/// C (rows x columns) := A B with A (rows x inner), B (inner x columns), all column-major.
inline void multiply(const double* A, const double* B, int rows, int inner, int columns,
                     double* C) {
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i) {
      double sum = 0.0;
      for (int m = 0; m < inner; ++m) sum += A[m * rows + i] * B[j * inner + m];
      C[j * rows + i] = sum;
    }
}

}  // namespace crossnest
