// Cross-products against dense sums, in one piece and merged from batches.
#include "check.hpp"
#include "cross_products.hpp"
#include "dense.hpp"
#include "response_reader.hpp"

namespace {

using crossnest::CrossProducts;
using crossnest::Index;
using dense::difference;
using dense::MatrixXd;

MatrixXd block(const std::vector<double>& values, Index number, Index rows, Index columns) {
  return Eigen::Map<const MatrixXd>(values.data() + number * rows * columns, rows, columns);
}

// What every number should be; pairs of levels that do not occur together have no block.
void check_products(const CrossProducts& A, const std::vector<crossnest::Block>& blocks,
                    const dense::Rows& rows) {
  const MatrixXd X = rows.B.leftCols(A.rank()), WZ = rows.w.asDiagonal() * rows.Z;
  const MatrixXd ZZ = rows.Z.transpose() * WZ, ZX = WZ.transpose() * X;
  MatrixXd found = MatrixXd::Zero(ZZ.rows(), ZZ.cols()), found_fixed(ZX.rows(), ZX.cols());
  std::vector<Index> start{0};
  for (const auto& one : blocks) start.push_back(start.back() + one.size());
  for (int t = 0; t < A.blocks(); ++t) {
    const Index k = A.k(t), first = start[static_cast<std::size_t>(t)];
    for (Index l = 0; l < A.levels(t); ++l) {
      found.block(first + l * k, first + l * k, k, k) = block(A.diagonal(t), l, k, k);
      found_fixed.middleRows(first + l * k, k) = block(A.z_fixed(t), l, k, A.rank());
    }
    for (int s = 0; s < t; ++s) {
      const auto& cross = A.cross(s, t);
      const Index ks = A.k(s);
      for (Index l = 0; l < A.levels(s); ++l)
        for (Index e = cross.row_start[static_cast<std::size_t>(l)];
             e < cross.row_start[static_cast<std::size_t>(l) + 1]; ++e) {
          const Index row = start[static_cast<std::size_t>(s)] + l * ks;
          const Index column = first + cross.column[static_cast<std::size_t>(e)] * k;
          found.block(row, column, ks, k) = block(cross.values, e, ks, k);
          found.block(column, row, k, ks) = block(cross.values, e, ks, k).transpose();
        }
    }
  }
  CHECK_NEAR(difference(found, ZZ), 0.0, 1e-13);
  CHECK_NEAR(difference(found_fixed, ZX), 0.0, 1e-12);
  CHECK_NEAR(difference(block(A.fixed_fixed(), 0, A.rank(), A.rank()),
                        X.transpose() * rows.w.asDiagonal() * X),
             0.0, 1e-12);
  CHECK(A.n() == rows.Z.rows());
  CHECK_NEAR(A.log_weights(), rows.w.array().log().sum(), 1e-12);
}

void check_equal(const CrossProducts& a, const CrossProducts& b, double tolerance) {
  const auto near = [&](const std::vector<double>& x, const std::vector<double>& y) {
    CHECK(x.size() == y.size());
    if (x.size() != y.size()) return;
    const Index n = static_cast<Index>(x.size());
    CHECK_NEAR(difference(block(x, 0, n, 1), block(y, 0, n, 1)), 0.0, tolerance);
  };
  CHECK(a.n() == b.n());
  CHECK_NEAR(a.log_weights(), b.log_weights(), tolerance);
  near(a.fixed_fixed(), b.fixed_fixed());
  for (int t = 0; t < a.blocks(); ++t) {
    near(a.diagonal(t), b.diagonal(t));
    near(a.z_fixed(t), b.z_fixed(t));
    for (int s = 0; s < t; ++s) {
      CHECK(a.cross(s, t).row_start == b.cross(s, t).row_start);
      CHECK(a.cross(s, t).column == b.cross(s, t).column);
      near(a.cross(s, t).values, b.cross(s, t).values);
    }
  }
}

struct Parts {
  designs::View design;
  crossnest::ThreadPool pool;
  crossnest::InterruptCheck interrupt;
  std::vector<crossnest::Block> blocks;
  crossnest::Coordinates coordinates;

  explicit Parts(const designs::Data& data, int threads = 1)
      : design(data.design()),
        pool(threads),
        blocks(crossnest::make_blocks(design)),
        coordinates(design, blocks, crossnest::CovarianceParameters(design.terms), pool) {}
  CrossProducts products(const crossnest::Design& rows) {
    return CrossProducts(rows, blocks, coordinates, pool, interrupt);
  }
  crossnest::Response response() {
    crossnest::Response read;
    crossnest::ResponseReader(design, blocks, coordinates, pool).read(design.y, 1, &read);
    return read;
  }
};

void check_design(const designs::Data& data) {
  Parts parts(data);
  check_products(parts.products(parts.design), parts.blocks,
                 dense::Rows(parts.design, parts.blocks, parts.coordinates, parts.response()));
}

void check_merge(const designs::Data& data) {
  Parts parts(data);
  const CrossProducts all = parts.products(parts.design);
  // The first rows hold each level in turn, so the first batch lacks most levels.
  const designs::Data first = designs::batch(data, 0, 7), second = designs::batch(data, 7, 90),
                      third = designs::batch(data, 90, data.n);
  CrossProducts merged = parts.products(first.design());
  merged.merge(parts.products(second.design()));
  merged.merge(parts.products(third.design()));
  check_equal(merged, all, 1e-12);
}

}  // namespace

TEST(sums) {
  check_design(designs::single(20, 6, 3));
  check_design(designs::nested(24, 8, 3, 150, 2, 1, 3));
  check_design(designs::crossed(16, 9, 150, 2, 3));
  check_design(designs::nested_crossed(18, 5, 9, 150, 1, 2, 1));
  designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  data.add_term(0, 2, "diagonal", false);
  check_design(data);
}

TEST(nested) {
  const designs::Data data = designs::nested_crossed(18, 5, 9, 150, 1, 1, 1);
  Parts parts(data);  // blocks by size: inner, crossed, outer
  const CrossProducts A = parts.products(parts.design);
  CHECK(!A.cross(0, 1).nested());
  CHECK(A.cross(0, 2).nested());
  CHECK(A.cross(0, 2).count() == 18);
  CHECK(!A.cross(1, 2).nested());
}

TEST(merge_of_batches_is_all_rows) {
  check_merge(designs::single(30, 6, 2));
  check_merge(designs::nested(40, 8, 3, 180, 2, 1, 3));
  check_merge(designs::crossed(30, 20, 180, 2, 3));
  check_merge(designs::nested_crossed(40, 5, 9, 180, 1, 2, 1));
}

TEST(different_models_are_not_merged) {
  const designs::Data a = designs::single(20, 6, 2), b = designs::single(20, 6, 3),
                      c = designs::single(21, 6, 2);
  Parts parts_a(a), parts_b(b), parts_c(c);
  CrossProducts A = parts_a.products(parts_a.design);
  CHECK_THROWS(A.merge(parts_b.products(parts_b.design)), std::invalid_argument);
  CHECK_THROWS(A.merge(parts_c.products(parts_c.design)), std::invalid_argument);
}

TEST(same_numbers_for_any_number_of_threads) {
  const designs::Data data = designs::nested_crossed(3000, 50, 100, 30000, 2, 1, 1);
  Parts one(data, 1);
  const CrossProducts expected = one.products(one.design);
  for (const int threads : {2, 3}) {
    Parts parts(data, threads);
    check_equal(parts.products(parts.design), expected, 0.0);
  }
}
