#include "start.hpp"

#include <algorithm>
#include <cmath>

#include "eigen_decompositions.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Squared Frobenius norms of Z_c'W Z_d for all pairs of columns of all blocks, the traces of Z_c'W
// Z_c in the last row and column.
Eigen::MatrixXd moment_matrix(const std::vector<Block>& blocks, const CrossProducts& A) {
  const int columns = blocks.back().first_column + blocks.back().k;
  Eigen::MatrixXd G = Eigen::MatrixXd::Zero(columns + 1, columns + 1);
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const int k = blocks[t].k, first = blocks[t].first_column;
    const double* value = A.diagonal(static_cast<int>(t)).data();
    for (Index l = 0; l < blocks[t].levels; ++l, value += k * k)
      for (int j = 0; j < k; ++j) {
        G(columns, first + j) += value[j * k + j];
        for (int i = 0; i < k; ++i) G(first + i, first + j) += value[j * k + i] * value[j * k + i];
      }
    for (std::size_t s = 0; s < t; ++s) {
      const int ks = blocks[s].k, first_s = blocks[s].first_column;
      const CrossBlocks& cross = A.cross(static_cast<int>(s), static_cast<int>(t));
      for (Index e = 0; e < cross.count(); ++e)
        for (int j = 0; j < k; ++j)
          for (int i = 0; i < ks; ++i) {
            const double a = cross.values[at((e * k + j) * ks + i)];
            G(first_s + i, first + j) += a * a;
            G(first + j, first_s + i) += a * a;
          }
    }
  }
  G.col(columns) = G.row(columns).transpose();
  G(columns, columns) = static_cast<double>(A.n());
  return G;
}

Eigen::VectorXd quadratic_forms(const std::vector<Block>& blocks, const Response& response) {
  const int columns = blocks.back().first_column + blocks.back().k;
  Eigen::VectorXd q = Eigen::VectorXd::Zero(columns + 1);
  const double* value = response.Zy.data();
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const int k = blocks[t].k;
    for (Index l = 0; l < blocks[t].levels; ++l, value += k)
      for (int j = 0; j < k; ++j) q(blocks[t].first_column + j) += value[j] * value[j];
  }
  q(columns) = response.yy;
  return q;
}

}  // namespace

std::vector<double> moment_start(const std::vector<Block>& blocks, const CrossProducts& A,
                                 const Criterion& criterion) {
  const Eigen::MatrixXd G = moment_matrix(blocks, A);
  const Eigen::Index columns = G.rows() - 1;
  const Eigen::VectorXd variance =
      G.colPivHouseholderQr().solve(quadratic_forms(blocks, criterion.response()));
  const double residual =
      std::max(variance(columns), 0.05 * criterion.response().yy / static_cast<double>(A.n()));
  std::vector<double> theta(at(criterion.parameters()));
  for (const Block& block : blocks)
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], k = criterion.covariance().of(term).size();
      Eigen::MatrixXd factor = Eigen::MatrixXd::Zero(k, k);
      for (int i = 0; i < k; ++i) {
        const double ratio = variance(block.first_column + block.offsets[j] + i) / residual;
        factor(i, i) = std::sqrt(std::clamp(ratio, 0.01, 100.0));
      }
      criterion.covariance().of(term).from_factor(
          factor.data(), theta.data() + criterion.covariance().first(term));
      correlate(criterion.covariance().of(term), 0.5,
                theta.data() + criterion.covariance().first(term));
    }
  return theta;
}

std::vector<std::vector<double>> other_starts(const CovarianceParameters& covariance) {
  std::vector<std::vector<double>> starts(covariance.scales_only() ? 2 : 3,
                                          std::vector<double>(at(covariance.size())));
  for (int term = 0; term < covariance.terms(); ++term) {
    const CovarianceStructure& own = covariance.of(term);
    const int first = covariance.first(term), k = own.size();
    const Eigen::MatrixXd unit = Eigen::MatrixXd::Identity(k, k);
    const Eigen::MatrixXd large = 10.0 * unit;
    own.from_factor(unit.data(), starts[0].data() + first);
    correlate(own, 0.5, starts[0].data() + first);
    own.from_factor(large.data(), starts[1].data() + first);
    correlate(own, 0.5, starts[1].data() + first);
    if (starts.size() < 3) continue;
    Eigen::MatrixXd together = 0.1 * unit;
    together.col(0).setConstant(0.5);
    together(0, 0) = 1.0;
    own.from_factor(together.data(), starts[2].data() + first);
  }
  if (covariance.has_linear_factors()) return starts;
  starts.push_back(starts[0]);
  for (int term = 0; term < covariance.terms(); ++term)
    correlate(covariance.of(term), -0.5, starts.back().data() + covariance.first(term));
  return starts;
}

void correlate(const CovarianceStructure& covariance, double part, double* theta) {
  std::vector<double> lower(at(covariance.parameters())), upper(lower);
  covariance.lower_bounds(lower.data());
  covariance.upper_bounds(upper.data());
  const std::vector<CovarianceLabel> labels = covariance.labels();
  for (std::size_t a = 0; a < labels.size(); ++a)
    if (labels[a].kind == CovarianceLabel::Kind::correlation)
      theta[a] = part > 0.0 ? part * upper[a] : -part * lower[a];
}

}  // namespace crossnest
