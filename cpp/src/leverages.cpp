#include "leverages.hpp"

#include "eigen_products.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// z Lambda Omega^-1 Lambda' z' of one row; `mapped` is the row in the engine's coordinates.
double leverage_of_random(const Model& model, const Criterion& criterion, const Inverse& omega,
                          Index row, const double* mapped) {
  const Design& design = model.design();
  const std::vector<Block>& blocks = model.blocks();
  double sum = 0.0;
  std::vector<double> left, right, inverse;
  const auto scaled = [&](std::size_t t, std::vector<double>& out) {
    out.resize(at(blocks[t].k));
    multiply_transposed(criterion.lambda(static_cast<int>(t)).data(),
                        mapped + blocks[t].first_column, blocks[t].k, blocks[t].k, 1, out.data());
  };
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Level level_t = design.factors[at(blocks[t].factor)].codes[row];
    const int k = blocks[t].k;
    scaled(t, left);
    const double* own = omega.diagonal(static_cast<int>(t), level_t);
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < k; ++i) sum += left[at(i)] * own[j * k + i] * left[at(j)];
    for (std::size_t s = 0; s < t; ++s) {
      const Level level_s = design.factors[at(blocks[s].factor)].codes[row];
      scaled(s, right);
      inverse.resize(at(blocks[s].k * k));
      omega.block(static_cast<int>(s), level_s, static_cast<int>(t), level_t, inverse.data());
      for (int j = 0; j < k; ++j)
        sum +=
            2.0 * left[at(j)] * dot<0>(right.data(), inverse.data() + j * blocks[s].k, blocks[s].k);
    }
  }
  return sum;
}

}  // namespace

std::vector<double> leverages_at(const Model& model, Criterion& criterion, ThreadPool& pool) {
  const Design& design = model.design();
  const std::vector<Block>& blocks = model.blocks();
  const Inverse& omega = criterion.inverse();
  const std::vector<double>& U_F = omega.border_solution();
  const Index r = model.coordinates().rank(), q = criterion.vectors().q(),
              width = model.coordinates().row_width();
  const Eigen::Map<const MatrixXd> F(criterion.elimination().border().data(), r + 1, r + 1);
  const MatrixXd inverse =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(MatrixXd::Identity(r, r));
  std::vector<double> out(at(design.n));
  pool.for_pieces(design.n, 4096, [&](Index begin, Index end, int) {
    std::vector<double> row(at(width)), left;
    for (Index i = begin; i < end; ++i) {
      model.coordinates().map_rows(design, i, i + 1, row.data());
      const double* x = row.data() + width - r - 1;
      Eigen::RowVectorXd fixed = Eigen::Map<const Eigen::RowVectorXd>(x, r) * inverse;
      for (std::size_t t = 0; t < blocks.size(); ++t) {
        const Block& block = blocks[t];
        const Index start = criterion.vectors().start(static_cast<int>(t)) +
                            Index{design.factors[at(block.factor)].codes[i]} * block.k;
        left.resize(at(block.k));
        multiply_transposed(criterion.lambda(static_cast<int>(t)).data(),
                            row.data() + block.first_column, block.k, block.k, 1, left.data());
        for (Index j = 0; j < r; ++j)
          fixed(j) -= dot<0>(left.data(), U_F.data() + j * q + start, block.k);
      }
      out[at(i)] =
          x[r] * (leverage_of_random(model, criterion, omega, i, row.data()) + fixed.squaredNorm());
    }
  });
  return out;
}

}  // namespace crossnest
