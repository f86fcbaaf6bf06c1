// Traces of V^-1 G_r V^-1 G_s against n x n matrices.
#include "check.hpp"
#include "dense.hpp"
#include "traces.hpp"

namespace {

using crossnest::VarianceParameter;
using crossnest::VarianceTraces;
using dense::Index;
using dense::MatrixXd;

// Every entry of the covariance matrix of every block, and a matrix E without pattern.
std::vector<VarianceParameter> parameters_of(const std::vector<crossnest::Block>& blocks) {
  std::vector<VarianceParameter> parameters;
  for (int b = static_cast<int>(blocks.size()) - 1; b >= 0; --b) {
    const int k = blocks[static_cast<std::size_t>(b)].k;
    VarianceParameter odd{b, {}};
    for (int j = 0; j < k; ++j)
      for (int i = j; i < k; ++i) {
        VarianceParameter one{b, {{i, j, 1.0}}};
        if (i != j) one.entries.push_back({j, i, 1.0});
        for (auto entry : one.entries) {
          entry.value = 0.3 + i + j;
          odd.entries.push_back(entry);
        }
        parameters.push_back(one);
      }
    parameters.push_back(odd);
  }
  return parameters;
}

MatrixXd derivative(const std::vector<crossnest::Block>& blocks, const MatrixXd& Z,
                    const VarianceParameter& parameter) {
  std::vector<std::vector<double>> E;
  for (const auto& block : blocks) E.emplace_back(static_cast<std::size_t>(block.k * block.k), 0.0);
  const auto b = static_cast<std::size_t>(parameter.block);
  for (const auto& entry : parameter.entries)
    E[b][static_cast<std::size_t>(entry.column * blocks[b].k + entry.row)] = entry.value;
  return Z * dense::block_diagonal(blocks, E) * Z.transpose();
}

// lambda with entries about `scale`; the first column of every block's zero when `singular`.
void check_traces(const designs::Data& data, bool singular = false, double scale = 1.0,
                  int threads = 1) {
  dense::Engine engine(data, crossnest::TailKind::automatic, threads);
  const dense::Rows rows(engine.design, engine.blocks, engine.coordinates, engine.response);
  designs::Random random(11);
  std::vector<std::vector<double>> lambda;
  for (const auto& block : engine.blocks) {
    lambda.emplace_back();
    for (int j = 0; j < block.k; ++j)
      for (int i = 0; i < block.k; ++i)
        lambda.back().push_back(singular && j == 0 ? 0.0 : scale * (random.normal() + (i == j)));
  }
  const auto parameters = parameters_of(engine.blocks);
  const auto m = static_cast<Index>(parameters.size());
  VarianceTraces traces(engine.blocks, engine.A, parameters, crossnest::eigen_kernels(),
                        engine.pool, engine.interrupt);
  dense::VectorXd trace(m);
  MatrixXd pairs(m, m);
  CHECK(traces.compute(lambda, trace.data(), pairs.data()));

  const MatrixXd root = rows.Z * dense::block_diagonal(engine.blocks, lambda);
  MatrixXd V = root * root.transpose();
  V.diagonal() += rows.w.cwiseInverse();
  const MatrixXd V_inverse = V.llt().solve(MatrixXd::Identity(V.rows(), V.rows()));
  std::vector<MatrixXd> products;
  for (const auto& parameter : parameters)
    products.push_back(V_inverse * derivative(engine.blocks, rows.Z, parameter));
  for (Index r = 0; r < m; ++r) {
    const MatrixXd& left = products[static_cast<std::size_t>(r)];
    CHECK_NEAR(trace(r), left.trace(), 1e-9);
    for (Index s = 0; s < m; ++s)
      CHECK_NEAR(pairs(r, s),
                 left.cwiseProduct(products[static_cast<std::size_t>(s)].transpose()).sum(), 1e-9);
  }
}

}  // namespace

TEST(single_factor) {
  for (int k = 1; k <= 4; ++k) check_traces(designs::single(12, 8, k));
  check_traces(designs::single(600, 2, 1));  // more than one batch of levels
}

TEST(nested) {
  check_traces(designs::nested(24, 8, 3, 150, 1, 1, 1));
  check_traces(designs::nested(24, 8, 3, 150, 2, 2, 1));
  check_traces(designs::nested(24, 8, 3, 150, 2, 2, 1), false, 1.0, 3);
}

TEST(crossed) {
  check_traces(designs::crossed(16, 9, 150, 1, 1));
  check_traces(designs::crossed(16, 9, 150, 3, 2));
  check_traces(designs::nested_crossed(18, 5, 4, 150, 2, 1, 2));
  check_traces(designs::workers(30, 25, 2, 2, 2));
}

TEST(empty_levels) {
  check_traces(designs::with_empty_levels(designs::single(12, 8, 2)));
  check_traces(designs::with_empty_levels(designs::nested(24, 8, 3, 150, 2, 1, 2)));
  check_traces(designs::with_empty_levels(designs::crossed(16, 9, 150, 2, 1)), true);
}

TEST(large_component) {
  check_traces(designs::crossed(160, 110, 700, 1, 1));  // sparse rows
  check_traces(designs::crossed(160, 110, 700, 1, 1), false, 1.0, 2);
  check_traces(designs::crossed(112, 50, 900, 1, 2), false, 1.0, 2);
  check_traces(designs::crossed(60, 55, 900, 2, 2), false, 1.0, 2);  // full rows
}

TEST(singular) {
  check_traces(designs::single(12, 8, 1), true);
  check_traces(designs::single(12, 8, 3), true);
  check_traces(designs::nested(24, 8, 3, 150, 2, 1, 2), true);
  check_traces(designs::crossed(16, 9, 150, 2, 2), true);
  check_traces(designs::crossed(60, 55, 900, 2, 2), true);
}

TEST(small_and_large_variances) {
  for (const double scale : {1e-3, 30.0}) {
    check_traces(designs::nested(24, 8, 3, 150, 2, 2, 1), false, scale);
    check_traces(designs::crossed(16, 9, 150, 1, 2), false, scale);
  }
}
