// What a response contributes, against dense matrices.
#include <limits>

#include "check.hpp"
#include "dense.hpp"

namespace {

using crossnest::Index;
using crossnest::Response;
using dense::difference;
using dense::MatrixXd;
using dense::VectorXd;

VectorXd vector(const std::vector<double>& values) {
  return Eigen::Map<const VectorXd>(values.data(), static_cast<Index>(values.size()));
}

void check_products(const designs::Data& data, int threads = 1) {
  const dense::Engine engine(data, crossnest::TailKind::automatic, threads);
  const Response& response = engine.response;
  const dense::Rows rows(engine.design, engine.blocks, engine.coordinates, response);
  const Index rank = engine.coordinates.rank(), n = engine.design.n;
  const VectorXd y = rows.B.col(rank), Wy = rows.w.cwiseProduct(y);
  CHECK(response.fault == Response::Fault::none);
  CHECK_NEAR(y.dot(Wy), static_cast<double>(n), 1e-10);
  CHECK_NEAR(response.yy, static_cast<double>(n), 1e-10);
  CHECK_NEAR(difference(vector(response.Zy), rows.Z.transpose() * Wy), 0.0, 1e-11);
  CHECK_NEAR(difference(vector(response.Xy) / static_cast<double>(n), VectorXd::Zero(rank)), 0.0,
             1e-12);
  const VectorXd given = Eigen::Map<const VectorXd>(engine.data.y.data(), n);
  CHECK_NEAR(difference(y * response.mapped_scale +
                            rows.B.leftCols(rank) * crossnest::as_vector(response.mapped_beta0),
                        given / response.unit),
             0.0, 1e-12);
  CHECK_NEAR(response.scale / response.mapped_scale,
             response.unit * engine.coordinates.root_weight_unit(), 1e-15);
}

std::vector<Response> read(dense::Engine& engine, const std::vector<double>& Y, Index count) {
  std::vector<Response> out(static_cast<std::size_t>(count));
  crossnest::ResponseReader(engine.design, engine.blocks, engine.coordinates, engine.pool)
      .read(Y.data(), count, out.data());
  return out;
}

std::vector<double> several(designs::Data data, int count) {
  std::vector<double> Y;
  for (int r = 0; r < count; ++r) {
    data.simulate();
    Y.insert(Y.end(), data.y.begin(), data.y.end());
  }
  return Y;
}

void check_same(const Response& a, const Response& b) {
  CHECK(a.Zy == b.Zy && a.Xy == b.Xy && a.yy == b.yy);
  CHECK(a.beta0 == b.beta0 && a.scale == b.scale);
}

}  // namespace

TEST(products) {
  check_products(designs::single(15, 8, 3));
  check_products(designs::nested_crossed(18, 5, 9, 150, 1, 2, 1));
  check_products(designs::crossed(16, 9, 150, 2, 3));
  check_products(designs::without_fixed(15, 8, 2));
  check_products(designs::several_terms());
  designs::Data weighted = designs::crossed(16, 9, 150, 2, 1);
  weighted.add_weights();
  check_products(weighted);
}

TEST(products_of_several_chunks) {
  check_products(designs::crossed(300, 40, 5000, 1, 1));
  check_products(designs::crossed(30, 20, 20000, 1, 1), 3);
}

TEST(bits_do_not_depend_on_threads_or_on_other_responses) {
  const designs::Data data = designs::nested_crossed(300, 50, 100, 20000, 2, 1, 1);
  const std::vector<double> Y = several(data, 3);
  dense::Engine one(data), three(data, crossnest::TailKind::automatic, 3);
  const std::vector<Response> together = read(one, Y, 3), threaded = read(three, Y, 3);
  for (std::size_t r = 0; r < 3; ++r) {
    const std::vector<double> y(Y.begin() + static_cast<std::ptrdiff_t>(r) * data.n,
                                Y.begin() + static_cast<std::ptrdiff_t>(r + 1) * data.n);
    check_same(read(one, y, 1).front(), together[r]);
    check_same(threaded[r], together[r]);
  }
}

TEST(faults) {
  designs::Data data = designs::single(20, 8, 1);
  dense::Engine engine(data);
  std::vector<double> Y = several(data, 4);
  const auto begin = [&](std::ptrdiff_t r) { return Y.begin() + r * data.n; };
  Y[5] = std::numeric_limits<double>::quiet_NaN();
  std::fill(begin(1), begin(2), 3.0);
  for (auto y = begin(2); y != begin(3); ++y) *y *= 1e-300;
  const std::vector<Response> found = read(engine, Y, 4);
  CHECK(found[0].fault == Response::Fault::not_finite);
  CHECK(found[1].fault == Response::Fault::no_variation);
  CHECK(found[2].fault == Response::Fault::out_of_range);
  CHECK(found[3].fault == Response::Fault::none);
  const auto& coordinates = engine.coordinates;
  CHECK_THROWS(require_fittable(found[0], coordinates), std::invalid_argument);
  CHECK_THROWS(require_fittable(found[1], coordinates), crossnest::FitError);
  CHECK_THROWS(require_fittable(found[2], coordinates), crossnest::RangeError);
  require_fittable(found[3], coordinates);
}
