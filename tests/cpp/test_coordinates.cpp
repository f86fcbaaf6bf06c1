// The change of coordinates: X = X~ T and Z = Z~ T_t, orthonormal, whatever the units.
#include <Eigen/LU>

#include "check.hpp"
#include "coordinates.hpp"
#include "dense.hpp"

namespace {

using crossnest::Coordinates;
using crossnest::Index;
using dense::difference;
using dense::MatrixXd;
using dense::VectorXd;

struct Mapped {
  designs::Data data;
  crossnest::Design design;
  crossnest::ThreadPool pool;
  std::vector<crossnest::Block> blocks;
  Coordinates coordinates;
  MatrixXd rows;  // n x row_width

  explicit Mapped(designs::Data source, int threads = 1)
      : data(std::move(source)),
        design(data.design()),
        pool(threads),
        blocks(crossnest::make_blocks(design)),
        coordinates(design, blocks, crossnest::CovarianceParameters(design.terms), pool) {
    MatrixXd transposed(coordinates.row_width(), design.n);
    coordinates.map_rows(design, 0, design.n, transposed.data());
    rows = transposed.transpose();
  }
  MatrixXd fixed() const {
    const Index r = coordinates.rank();
    return rows.middleCols(rows.cols() - r - 1, r);
  }
  MatrixXd kept() const {
    const Eigen::Map<const MatrixXd> X(design.X, design.n, design.p);
    return X(Eigen::all, coordinates.pivot());
  }
  VectorXd weights() const { return rows.col(rows.cols() - 1); }
  MatrixXd gram(const MatrixXd& A) const {
    return A.transpose() * weights().asDiagonal() * A / static_cast<double>(design.n);
  }
};

designs::Data plain(Index n = 100, Index p = 4) {
  designs::Data data(n, p, 8);
  data.add_term(data.add_random_factor(10), 3);
  return data.simulate();
}

void check_fixed(const Mapped& mapped, double tolerance) {
  const MatrixXd X = mapped.kept(), scale = X.colwise().norm().asDiagonal().inverse();
  const Index r = mapped.coordinates.rank();
  const MatrixXd& T = mapped.coordinates.fixed();
  CHECK_NEAR(difference(mapped.gram(mapped.fixed()), MatrixXd::Identity(r, r)), 0.0, tolerance);
  CHECK_NEAR(difference(mapped.fixed() * T * scale, X * scale), 0.0, 1e-14);
  CHECK_NEAR(mapped.coordinates.log_det_fixed(), std::log(std::abs(T.determinant())), tolerance);
}

double& entry(designs::Data& data, Index row, Index column) {
  return data.X[static_cast<std::size_t>(column * data.n + row)];
}

}  // namespace

TEST(fixed_effects) {
  for (const bool weighted : {false, true}) {
    designs::Data data = plain();
    if (weighted) data.add_weights();
    const Mapped mapped(data);
    CHECK(mapped.coordinates.pivot() == std::vector<Index>({0, 1, 2, 3}));
    check_fixed(mapped, 1e-12);
    if (weighted) CHECK(mapped.weights() == Eigen::Map<const VectorXd>(data.weights.data(), 100));
  }
}

TEST(random_effects) {
  for (const char* structure : {"unstructured", "diagonal"}) {
    designs::Data data = plain();
    data.terms[0].structure = structure;
    data.add_term(data.add_random_factor(5), 2, structure, false);
    data.add_weights();
    for (double& x : data.columns[0]) x = 1e-3 * x + 5.0;
    const Mapped mapped(data);
    for (const auto& block : mapped.blocks) {
      const auto& term = mapped.design.terms[static_cast<std::size_t>(block.terms[0])];
      MatrixXd Z = MatrixXd::Ones(100, block.k);
      for (Index j = 0; j < block.k; ++j)
        if (const double* column = term.columns[static_cast<std::size_t>(j)])
          Z.col(j) = Eigen::Map<const VectorXd>(column, 100);
      const MatrixXd mine = mapped.rows.middleCols(block.first_column, block.k);
      const MatrixXd& T = mapped.coordinates.random(block.terms[0]);
      CHECK_NEAR(difference(mine * T, Z), 0.0, 1e-13);
      const MatrixXd gram = mapped.gram(mine), one = MatrixXd::Identity(block.k, block.k);
      CHECK_NEAR(difference(gram.diagonal(), one.diagonal()), 0.0, 1e-11);
      if (structure[0] == 'u')
        CHECK_NEAR(difference(gram, one), 0.0, 1e-8);
      else
        CHECK(MatrixXd(T.diagonal().asDiagonal()) == T);
    }
  }
}

TEST(shifts_and_scales) {
  designs::Data data = plain();
  for (Index i = 0; i < data.n; ++i) {
    entry(data, i, 1) = 1e6 + entry(data, i, 1);
    entry(data, i, 2) = 1e12 * entry(data, i, 2);
    entry(data, i, 3) = -1e-9 * (3.0 + entry(data, i, 3));
  }
  const Mapped mapped(data);
  CHECK(mapped.coordinates.rank() == 4);
  check_fixed(mapped, 1e-8);
}

TEST(aliased_columns_keep_the_earliest) {
  designs::Data data = plain(100, 6);
  for (Index i = 0; i < data.n; ++i) {
    entry(data, i, 2) = 2.0 * entry(data, i, 1) - 7.0;
    entry(data, i, 4) = entry(data, i, 1) - 3.0 * entry(data, i, 3);
  }
  const Mapped mapped(data);
  CHECK(mapped.coordinates.pivot() == std::vector<Index>({0, 1, 3, 5}));
  check_fixed(mapped, 1e-10);
}

// A constant column anywhere is the intercept; further ones and zeros are aliased.
TEST(constant_columns) {
  designs::Data data = plain(100, 5);
  for (Index i = 0; i < data.n; ++i) {
    entry(data, i, 0) = entry(data, i, 4);
    entry(data, i, 2) = -4.0;
    entry(data, i, 3) = 0.0;
    entry(data, i, 4) = 9.0;
  }
  const Mapped mapped(data);
  CHECK(mapped.coordinates.pivot() == std::vector<Index>({0, 1, 2}));
  check_fixed(mapped, 1e-12);
}

TEST(dummies_of_all_levels_alias_the_last) {
  designs::Data data = plain(90, 4);
  for (Index i = 0; i < data.n; ++i)
    for (Index j = 1; j < 4; ++j) entry(data, i, j) = i % 3 == j - 1 ? 1.0 : 0.0;
  const Mapped mapped(data);
  CHECK(mapped.coordinates.pivot() == std::vector<Index>({0, 1, 2}));
}

TEST(without_an_intercept) {
  designs::Data data = plain();
  for (Index i = 0; i < data.n; ++i) entry(data, i, 0) = 100.0 + static_cast<double>(i % 7);
  check_fixed(Mapped(data), 1e-10);
  designs::Data none(50, 0, 9);
  none.add_term(none.add_random_factor(5), 1);
  const Mapped mapped(none.simulate());
  CHECK(mapped.coordinates.rank() == 0 && mapped.coordinates.log_det_fixed() == 0.0);
}

TEST(same_for_any_number_of_threads) {
  const designs::Data data = plain(50000, 3);
  const Mapped one(data, 1), three(data, 3);
  CHECK(one.rows == three.rows);
}
