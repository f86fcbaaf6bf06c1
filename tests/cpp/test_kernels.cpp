// Eigen's table of dense kernels against what their comments say, with leading dimensions larger
// than the matrices: nothing around a matrix may be touched.
#include <Eigen/Cholesky>
#include <atomic>
#include <crossnest/kernels.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "check.hpp"
#include "dense.hpp"
#include "one_thread_each.hpp"

namespace {

using crossnest::DenseKernels;
using dense::difference;
using dense::MatrixXd;

char kUpper = 'U', kLeft = 'L', kRight = 'R', kPlain = 'N', kTransposed = 'T';

// A matrix within a larger one.
struct Padded {
  int rows, columns, lda;
  MatrixXd all, before;

  explicit Padded(const MatrixXd& matrix)
      : rows(static_cast<int>(matrix.rows())),
        columns(static_cast<int>(matrix.cols())),
        lda(rows + 3),
        all(MatrixXd::Constant(lda, columns + 2, 77.0)) {
    all.topLeftCorner(rows, columns) = matrix;
    before = all;
  }
  double* data() { return all.data(); }
  MatrixXd matrix() const { return all.topLeftCorner(rows, columns); }
  MatrixXd upper() const { return matrix().triangularView<Eigen::Upper>(); }
  bool margin_kept() const {
    MatrixXd same = all;
    same.topLeftCorner(rows, columns) = before.topLeftCorner(rows, columns);
    return same == before;
  }
  bool lower_kept() const {
    return MatrixXd(matrix().triangularView<Eigen::StrictlyLower>()) ==
           MatrixXd(before.topLeftCorner(rows, columns).triangularView<Eigen::StrictlyLower>());
  }
};

MatrixXd random_matrix(Eigen::Index rows, Eigen::Index columns) {
  static designs::Random random(31);
  return MatrixXd::NullaryExpr(rows, columns, [&](Eigen::Index) { return random.normal(); });
}

// Definite; the part below the diagonal is not to be read.
MatrixXd definite(Eigen::Index n) {
  const MatrixXd A = random_matrix(n, n + 5);
  MatrixXd S = A * A.transpose();
  S.triangularView<Eigen::StrictlyLower>().setConstant(55.0);
  return S;
}

MatrixXd symmetric(const MatrixXd& upper) { return upper.selfadjointView<Eigen::Upper>(); }

const DenseKernels& table() { return crossnest::eigen_kernels(); }

constexpr int kSizes[] = {1, 2, 5, 17, 64, 131};

}  // namespace

TEST(dpotrf) {
  for (int n : kSizes) {
    const MatrixXd S = definite(n);
    Padded A(S);
    int info = -7;
    table().dpotrf(&kUpper, &n, A.data(), &A.lda, &info);
    CHECK(info == 0);
    CHECK_NEAR(difference(A.upper().transpose() * A.upper(), symmetric(S)), 0.0, 1e-12);
    CHECK(A.margin_kept() && A.lower_kept());
  }
}

TEST(dpotrf_refuses_what_is_not_definite) {
  for (int n : kSizes)
    for (const int bad : {0, n / 2, n - 1}) {
      MatrixXd S = definite(n);
      S(bad, bad) = -1.0;
      Padded A(S);
      int info = -7;
      table().dpotrf(&kUpper, &n, A.data(), &A.lda, &info);
      CHECK(info == bad + 1);
      CHECK(A.margin_kept());
    }
}

TEST(dpotri) {
  for (int n : kSizes) {
    const MatrixXd S = definite(n);
    Padded A(S);
    int info = -7;
    table().dpotrf(&kUpper, &n, A.data(), &A.lda, &info);
    table().dpotri(&kUpper, &n, A.data(), &A.lda, &info);
    CHECK(info == 0);
    CHECK_NEAR(difference(symmetric(A.matrix()) * symmetric(S), MatrixXd::Identity(n, n)), 0.0,
               1e-9);
    CHECK(A.margin_kept() && A.lower_kept());
  }
}

TEST(dtrsm) {
  for (int m : kSizes)
    for (int n : {1, 4, 33})
      for (char* trans : {&kPlain, &kTransposed}) {
        MatrixXd U = 0.1 * random_matrix(m, m);
        U.diagonal().setConstant(2.0);
        U.triangularView<Eigen::StrictlyLower>().setConstant(55.0);
        const MatrixXd right = random_matrix(m, n);
        Padded A(U), B(right);
        double alpha = -0.5;
        table().dtrsm(&kLeft, &kUpper, trans, &kPlain, &m, &n, &alpha, A.data(), &A.lda, B.data(),
                      &B.lda);
        const MatrixXd op = *trans == 'T' ? MatrixXd(A.upper().transpose()) : A.upper();
        CHECK_NEAR(difference(op * B.matrix(), alpha * right), 0.0, 1e-12);
        CHECK(B.margin_kept() && A.all == A.before);
      }
}

TEST(dsyrk) {
  for (int n : kSizes)
    for (int k : {1, 6, 70})
      for (char* trans : {&kPlain, &kTransposed})
        for (double beta : {0.0, 1.0, -2.0}) {
          const MatrixXd start = random_matrix(n, n);
          Padded A(*trans == 'T' ? random_matrix(k, n) : random_matrix(n, k)), C(start);
          double alpha = -1.5;
          table().dsyrk(&kUpper, trans, &n, &k, &alpha, A.data(), &A.lda, &beta, C.data(), &C.lda);
          const MatrixXd a = *trans == 'T' ? MatrixXd(A.matrix().transpose()) : A.matrix();
          const MatrixXd expected = alpha * a * a.transpose() + beta * start;
          CHECK_NEAR(difference(C.upper(), expected.triangularView<Eigen::Upper>()), 0.0, 1e-12);
          CHECK(C.margin_kept() && C.lower_kept());
        }
}

TEST(dgemm) {
  for (int m : {1, 7, 65})
    for (int n : {1, 9, 66})
      for (int k : {1, 8, 67})
        for (char* ta : {&kPlain, &kTransposed})
          for (char* tb : {&kPlain, &kTransposed})
            for (double beta : {0.0, 1.0, -2.0}) {
              const MatrixXd a = random_matrix(m, k), b = random_matrix(k, n);
              const MatrixXd start = random_matrix(m, n);
              Padded A(*ta == 'T' ? MatrixXd(a.transpose()) : a);
              Padded B(*tb == 'T' ? MatrixXd(b.transpose()) : b), C(start);
              double alpha = 0.5;
              table().dgemm(ta, tb, &m, &n, &k, &alpha, A.data(), &A.lda, B.data(), &B.lda, &beta,
                            C.data(), &C.lda);
              CHECK_NEAR(difference(C.matrix(), alpha * a * b + beta * start), 0.0, 1e-12);
              CHECK(C.margin_kept());
            }
}

// With beta = 0 what C held before does not matter.
TEST(zero_beta_overwrites) {
  int n = 5;
  double one = 1.0, zero = 0.0;
  Padded A(random_matrix(n, n));
  const Padded C(MatrixXd::Constant(n, n, NAN));
  Padded gemm = C, symm = C;
  table().dgemm(&kPlain, &kPlain, &n, &n, &n, &one, A.data(), &A.lda, A.data(), &A.lda, &zero,
                gemm.data(), &gemm.lda);
  table().dsymm(&kRight, &kUpper, &n, &n, &one, A.data(), &A.lda, A.data(), &A.lda, &zero,
                symm.data(), &symm.lda);
  CHECK(gemm.matrix().allFinite());
  CHECK(symm.matrix().allFinite());
}

TEST(dsymm) {
  for (int m : {1, 6, 64})
    for (int n : kSizes)
      for (double beta : {0.0, 1.0}) {
        const MatrixXd S = definite(n), b = random_matrix(m, n), start = random_matrix(m, n);
        Padded A(S), B(b), C(start);
        double alpha = -1.0;
        table().dsymm(&kRight, &kUpper, &m, &n, &alpha, A.data(), &A.lda, B.data(), &B.lda, &beta,
                      C.data(), &C.lda);
        CHECK_NEAR(difference(C.matrix(), alpha * b * symmetric(S) + beta * start), 0.0, 1e-12);
        CHECK(C.margin_kept());
      }
}

namespace {

// The threads of a BLAS that is none.
std::atomic<int> blas_threads;

DenseKernels counted() {
  DenseKernels kernels = table();
  kernels.get_threads = [] { return blas_threads.load(); };
  kernels.set_threads = [](int value) { blas_threads = value; };
  return kernels;
}

}  // namespace

// The threads of a BLAS are set to one while the library runs its own, and put back.
TEST(one_thread_each) {
  DenseKernels kernels = counted();
  blas_threads = 4;
  {
    const crossnest::OneThreadEach guard(kernels);
    CHECK(blas_threads == 1);
  }
  CHECK(blas_threads == 4);
  kernels.get_threads = nullptr;
  {
    const crossnest::OneThreadEach guard(kernels);
    CHECK(blas_threads == 4);
  }
}

// One fit that ends while another runs must not wake the BLAS's threads under it, nor may the other
// put back the one thread it found.
TEST(the_last_of_several_holders_puts_the_threads_back) {
  const DenseKernels kernels = counted();
  blas_threads = 4;
  auto first = std::make_unique<crossnest::OneThreadEach>(kernels);
  auto second = std::make_unique<crossnest::OneThreadEach>(kernels);
  first.reset();
  CHECK(blas_threads == 1);
  second.reset();
  CHECK(blas_threads == 4);
}

TEST(holders_in_many_threads) {
  const DenseKernels kernels = counted();
  blas_threads = 3;
  std::atomic<int> others{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int time = 0; time < 2000; ++time) {
        const crossnest::OneThreadEach outer(kernels);
        const crossnest::OneThreadEach inner(kernels);
        if (blas_threads != 1) ++others;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(others == 0);
  CHECK(blas_threads == 3);
}

// A user who changes the number while a fit runs finds it as set.
TEST(threads_set_by_someone_else_stay) {
  const DenseKernels kernels = counted();
  blas_threads = 4;
  {
    const crossnest::OneThreadEach guard(kernels);
    blas_threads = 2;
  }
  CHECK(blas_threads == 2);
  {
    const crossnest::OneThreadEach outer(kernels);
    blas_threads = 5;
    const crossnest::OneThreadEach inner(kernels);
    CHECK(blas_threads == 1);
  }
  CHECK(blas_threads == 5);
}

// Each BLAS has a count of its own.
TEST(holders_of_two_libraries) {
  static int elsewhere;
  DenseKernels other = counted();
  other.get_threads = [] { return elsewhere; };
  other.set_threads = [](int value) { elsewhere = value; };
  blas_threads = 4;
  elsewhere = 6;
  {
    const crossnest::OneThreadEach guard(counted());
    {
      const crossnest::OneThreadEach both(other);
      CHECK(blas_threads == 1 && elsewhere == 1);
    }
    CHECK(blas_threads == 1 && elsewhere == 6);
  }
  CHECK(blas_threads == 4);
}
