#include "crossnest/kernels.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Core>

namespace crossnest {

namespace {

using Eigen::Index;
using Matrix = Eigen::Map<Eigen::MatrixXd, 0, Eigen::OuterStride<>>;

Matrix view(double* a, int rows, int columns, int lda) {
  return Matrix(a, rows, columns, Eigen::OuterStride<>(lda));
}

void eigen_dpotrf(char*, int* n, double* a, int* lda, int* info) {
  Matrix A = view(a, *n, *n, *lda);
  const Index failed = Eigen::internal::llt_inplace<double, Eigen::Upper>::blocked(A);
  *info = static_cast<int>(failed + 1);  // -1 (success) becomes 0
}

void eigen_dpotri(char*, int* n, double* a, int* lda, int* info) {
  Matrix A = view(a, *n, *n, *lda);
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(*n, *n);
  A.triangularView<Eigen::Upper>().transpose().solveInPlace(inverse);
  A.triangularView<Eigen::Upper>().solveInPlace(inverse);
  A.triangularView<Eigen::Upper>() = inverse;
  *info = 0;
}

void eigen_dtrsm(char*, char*, char* transa, char*, int* m, int* n, double* alpha, double* a,
                 int* lda, double* b, int* ldb) {
  const Matrix A = view(a, *m, *m, *lda);
  Matrix B = view(b, *m, *n, *ldb);
  if (*alpha != 1.0) B *= *alpha;
  if (*transa == 'T')
    A.triangularView<Eigen::Upper>().transpose().solveInPlace(B);
  else
    A.triangularView<Eigen::Upper>().solveInPlace(B);
}

void eigen_dsyrk(char*, char* trans, int* n, int* k, double* alpha, double* a, int* lda,
                 double* beta, double* c, int* ldc) {
  Matrix C = view(c, *n, *n, *ldc);
  if (*beta != 1.0) C.triangularView<Eigen::Upper>() = *beta * C;
  if (*trans == 'T')
    C.selfadjointView<Eigen::Upper>().rankUpdate(view(a, *k, *n, *lda).transpose(), *alpha);
  else
    C.selfadjointView<Eigen::Upper>().rankUpdate(view(a, *n, *k, *lda), *alpha);
}

template <class A, class B>
void gemm(const A& a, const B& b, double alpha, double beta, Matrix c) {
  if (beta == 0.0)
    c.noalias() = alpha * a * b;
  else {
    if (beta != 1.0) c *= beta;
    c.noalias() += alpha * a * b;
  }
}

void eigen_dgemm(char* transa, char* transb, int* m, int* n, int* k, double* alpha, double* a,
                 int* lda, double* b, int* ldb, double* beta, double* c, int* ldc) {
  Matrix C = view(c, *m, *n, *ldc);
  const bool ta = *transa == 'T', tb = *transb == 'T';
  const Matrix A = ta ? view(a, *k, *m, *lda) : view(a, *m, *k, *lda);
  const Matrix B = tb ? view(b, *n, *k, *ldb) : view(b, *k, *n, *ldb);
  if (ta && tb)
    gemm(A.transpose(), B.transpose(), *alpha, *beta, C);
  else if (ta)
    gemm(A.transpose(), B, *alpha, *beta, C);
  else if (tb)
    gemm(A, B.transpose(), *alpha, *beta, C);
  else
    gemm(A, B, *alpha, *beta, C);
}

void eigen_dsymm(char*, char*, int* m, int* n, double* alpha, double* a, int* lda, double* b,
                 int* ldb, double* beta, double* c, int* ldc) {
  const Matrix A = view(a, *n, *n, *lda);
  const Matrix B = view(b, *m, *n, *ldb);
  gemm(B, A.selfadjointView<Eigen::Upper>(), *alpha, *beta, view(c, *m, *n, *ldc));
}

}  // namespace

const DenseKernels& eigen_kernels() {
  static const DenseKernels table{"eigen",     eigen_dpotrf, eigen_dpotri, eigen_dtrsm, eigen_dsyrk,
                                  eigen_dgemm, eigen_dsymm,  nullptr,      nullptr};
  return table;
}

}  // namespace crossnest
