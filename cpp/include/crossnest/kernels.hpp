// The table of dense kernels the blocked factor is written over.
#pragma once

namespace crossnest {

/// BLAS and LAPACK routines by pointer, with Fortran's calling convention and 32-bit integers.
///
/// Matrices are column-major. A table is chosen when a Model is made: Eigen's kernels by default,
/// or those of an optimized BLAS the caller has at hand. Only the variants named here are ever
/// called, so a table need not support more.
struct DenseKernels {
  /// Shown to users, e.g. "eigen" or "scipy".
  const char* name;
  /// A = U'U in place; uplo = 'U'. info > 0: A is not positive definite.
  void (*dpotrf)(char* uplo, int* n, double* a, int* lda, int* info);
  /// A := (U'U)^-1 in place, upper triangle only; uplo = 'U'.
  void (*dpotri)(char* uplo, int* n, double* a, int* lda, int* info);
  /// B := alpha op(A)^-1 B; side = 'L', uplo = 'U', transa = 'N' or 'T', diag = 'N'.
  void (*dtrsm)(char* side, char* uplo, char* transa, char* diag, int* m, int* n, double* alpha,
                double* a, int* lda, double* b, int* ldb);
  /// C := alpha A'A + beta C, upper triangle only; uplo = 'U', trans = 'T', or alpha AA' + beta C
  /// with trans = 'N'.
  void (*dsyrk)(char* uplo, char* trans, int* n, int* k, double* alpha, double* a, int* lda,
                double* beta, double* c, int* ldc);
  /// C := alpha op(A) op(B) + beta C.
  void (*dgemm)(char* transa, char* transb, int* m, int* n, int* k, double* alpha, double* a,
                int* lda, double* b, int* ldb, double* beta, double* c, int* ldc);
  /// C := alpha B A + beta C with A symmetric, its upper triangle stored; side = 'R',
  /// uplo = 'U'.
  void (*dsymm)(char* side, char* uplo, int* m, int* n, double* alpha, double* a, int* lda,
                double* b, int* ldb, double* beta, double* c, int* ldc);
  /// The number of threads the kernels use, read and set; nullptr where there is no such setting.
  int (*get_threads)();
  void (*set_threads)(int threads);
};

/// Eigen's kernels: no dependency, one thread.
const DenseKernels& eigen_kernels();

/// What a Model computes with unless told otherwise: the kernels of the BLAS and LAPACK this
/// library was linked with (CMake option CROSSNEST_BLAS), else Eigen's.
const DenseKernels& default_kernels();

}  // namespace crossnest
