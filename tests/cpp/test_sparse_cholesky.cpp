// The sparse tail against dense algebra on the same numbers.
#include "check.hpp"
#include "dense.hpp"
#include "sparse_cholesky.hpp"

namespace {

using crossnest::Index;
using crossnest::SparseCholesky;
using dense::difference;
using dense::MatrixXd;

// A tail with a pattern from a real design and a definite matrix on it.
struct Filled {
  dense::Engine engine;
  SparseCholesky tail;
  MatrixXd S;

  explicit Filled(int k, std::uint64_t seed = 71)
      : engine(designs::workers(40, 24, 2, 1, k), crossnest::TailKind::sparse),
        tail(engine.structure.tail()) {
    fill(seed);
  }
  Index size() const { return engine.structure.tail().size; }
  void fill(std::uint64_t seed) {
    designs::Random random(seed);
    S = MatrixXd::Zero(size(), size());
    for (Index j = 0; j < size(); ++j)
      for (Index e = 0; e < tail.column_count(j); ++e) {
        const Index i = tail.column_rows(j)[e];
        S(i, j) = S(j, i) = tail.column_values(j)[e] = i == j ? 20.0 : random.normal();
      }
  }
};

}  // namespace

TEST(factor_and_solve) {
  for (int k = 1; k <= 3; ++k) {
    Filled filled(k);
    for (const std::uint64_t seed : {72, 73}) {
      filled.fill(seed);
      CHECK(filled.tail.factorize());
      CHECK_NEAR(filled.tail.log_det(), dense::log_det(filled.S), 1e-12);
      MatrixXd B = MatrixXd::Ones(filled.size(), 2), X = B;
      B.col(1).setLinSpaced(-1.0, 2.0);
      X = B;
      filled.tail.solve_lower(X.data(), 2);
      CHECK_NEAR(difference(X.transpose() * X, B.transpose() * filled.S.llt().solve(B)), 0.0,
                 1e-12);
      filled.tail.solve_lower_transposed(X.data(), 2);
      CHECK_NEAR(difference(filled.S * X, B), 0.0, 1e-12);
    }
  }
}

TEST(selected_inverse) {
  for (int k = 1; k <= 3; ++k) {
    Filled filled(k);
    for (const std::uint64_t seed : {72, 73}) {
      filled.fill(seed);
      CHECK(filled.tail.factorize());
      filled.tail.invert();
      const MatrixXd inverse = filled.S.inverse();
      double worst = 0.0;
      for (Index j = 0; j < filled.size(); ++j)
        for (Index i = 0; i < filled.size(); ++i)
          if (filled.S(i, j) != 0.0)
            worst = std::fmax(worst, std::abs(filled.tail.inverse_entry(i, j) - inverse(i, j)));
      CHECK_NEAR(worst, 0.0, 1e-14);
    }
  }
}

TEST(columns_of_the_inverse) {
  Filled filled(2);
  CHECK(filled.tail.factorize());
  filled.tail.invert();
  std::vector<double> work(static_cast<std::size_t>(filled.size()), 0.0);
  for (const bool whole : {true, false})
    for (Index c = 0; c < filled.size(); ++c) {
      filled.tail.load_column(c, whole, work.data());
      bool same = true;
      for (Index i = 0; i < filled.size(); ++i)
        same = same && work[static_cast<std::size_t>(i)] ==
                           (whole || i >= c ? filled.tail.inverse_entry(i, c) : 0.0);
      CHECK(same);
      filled.tail.clear_column(c, whole, work.data());
      CHECK(work == std::vector<double>(work.size(), 0.0));
    }
}

TEST(refuses_what_is_not_definite) {
  Filled filled(1);
  filled.tail.column_values(12)[filled.tail.column_count(12) - 1] = -1.0;
  CHECK(!filled.tail.factorize());
  filled.fill(74);
  CHECK(filled.tail.factorize());
}
