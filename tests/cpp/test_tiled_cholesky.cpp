// Dense algebra by tiles against Eigen's on the whole.
#include <Eigen/Cholesky>

#include "check.hpp"
#include "dense.hpp"
#include "tiled_cholesky.hpp"

namespace {

using crossnest::Index;
using crossnest::TiledCholesky;
using dense::difference;
using dense::MatrixXd;

// Around the sizes at which the number or the width of the tiles changes.
constexpr int kSizes[] = {1,   2,   63,  64,  65,  95,  96,  97,  127, 128, 129,
                          191, 192, 193, 320, 511, 512, 513, 599, 600, 601, 700};

MatrixXd random_matrix(Index rows, Index columns) {
  designs::Random random(61);
  return MatrixXd::NullaryExpr(rows, columns, [&](Index) { return random.normal(); });
}

// Definite, and well conditioned whatever the size; below the diagonal is what must not be read.
MatrixXd definite(Index n) {
  const MatrixXd A = random_matrix(n, 8);
  MatrixXd S = A * A.transpose();
  S.diagonal().array() += 4.0;
  S.triangularView<Eigen::StrictlyLower>().setConstant(1e300);
  return S;
}

MatrixXd symmetric(const MatrixXd& upper) { return upper.selfadjointView<Eigen::Upper>(); }
MatrixXd upper(const MatrixXd& A) { return A.triangularView<Eigen::Upper>(); }

struct Tail {
  crossnest::InterruptCheck interrupt;
  crossnest::ThreadPool pool;
  TiledCholesky algebra;
  explicit Tail(Index n, int threads = 2)
      : pool(threads), algebra(n, crossnest::eigen_kernels(), pool, interrupt) {}
};

}  // namespace

TEST(factor_and_invert) {
  for (const Index n : kSizes) {
    Tail tail(n);
    const MatrixXd S = definite(n), expected = symmetric(S);
    MatrixXd U = S;
    CHECK(tail.algebra.factor(U.data()));
    CHECK_NEAR(difference(upper(U).transpose() * upper(U), expected), 0.0, 1e-13);
    tail.algebra.invert(U.data());
    CHECK_NEAR(difference(symmetric(U) * expected, MatrixXd::Identity(n, n)), 0.0, 1e-11);
    tail.algebra.mirror(U.data());
    CHECK(U == MatrixXd(U.transpose()));
  }
}

TEST(refuses_what_is_not_definite) {
  for (const Index n : {1, 64, 65, 97, 200, 601})
    for (const Index bad : {Index{0}, n / 2, n - 1}) {
      Tail tail(n);
      MatrixXd S = definite(n);
      S(bad, bad) = -1.0;
      CHECK(!tail.algebra.factor(S.data()));
    }
}

TEST(solve) {
  for (const Index n : {1, 64, 97, 300})
    for (const bool transposed : {true, false}) {
      Tail tail(n);
      MatrixXd U = definite(n);
      CHECK(tail.algebra.factor(U.data()));
      const MatrixXd B = random_matrix(n, 4);
      MatrixXd X = B;
      tail.algebra.solve(U.data(), transposed, X.data(), 4);
      const MatrixXd op = transposed ? MatrixXd(upper(U).transpose()) : upper(U);
      CHECK_NEAR(difference(op * X, B), 0.0, 1e-12);
    }
}

TEST(subtract_square) {
  for (const Index n : kSizes)
    for (const int rows : {1, 40}) {
      Tail tail(n);
      const MatrixXd S = definite(n);
      MatrixXd P = random_matrix(rows, n), out = S;
      tail.algebra.subtract_square(out.data(), P.data(), rows);
      CHECK_NEAR(difference(upper(out), upper(symmetric(S) - P.transpose() * P)), 0.0, 1e-13);
    }
}

TEST(multiply) {
  for (const Index n : kSizes)
    for (const Index m : {n, (n + 1) / 2}) {
      Tail tail(n);
      MatrixXd S = definite(n), P = random_matrix(7, m), out = MatrixXd::Constant(9, m, NAN);
      tail.algebra.multiply(S.data(), m, P.data(), 7, 0.5, out.data(), 9);
      const MatrixXd expected = 0.5 * P * symmetric(S).topLeftCorner(m, m);
      CHECK_NEAR(difference(out.topRows(7), expected), 0.0, 1e-13);
      CHECK(out.bottomRows(2).array().isNaN().all());
    }
}

TEST(same_numbers_for_any_number_of_threads) {
  for (const Index n : {200, 700}) {
    std::vector<MatrixXd> factors, inverses;
    for (const int threads : {1, 2, 3}) {
      Tail tail(n, threads);
      MatrixXd U = definite(n);
      CHECK(tail.algebra.factor(U.data()));
      factors.push_back(upper(U));
      tail.algebra.invert(U.data());
      inverses.push_back(upper(U));
    }
    for (const std::size_t i : {1, 2})
      CHECK(factors[i] == factors[0] && inverses[i] == inverses[0]);
  }
}

TEST(can_be_interrupted) {
  crossnest::InterruptCheck stop([] { return true; });
  crossnest::ThreadPool pool(1);
  TiledCholesky algebra(200, crossnest::eigen_kernels(), pool, stop);
  MatrixXd S = definite(200);
  CHECK_THROWS(algebra.factor(S.data()), crossnest::Interrupted);
}
