#include "moments.hpp"

#include <algorithm>
#include <cmath>

#include "eigen_decompositions.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Covariances of terms with more effects than this are left out: the equations would be many.
constexpr int kMostEffects = 6;
constexpr Index kPoll = 256;  // levels between two polls of the interrupt check
// Relative variances below the first are set to the second, those above the third to it.
constexpr double kTooSmall = 1e-3, kSmall = 0.01, kLarge = 1e4;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Z_l'WX~ / sqrt(n) of a level, k x rank: Z'WZ of the residuals is Z'WZ - BB', as X~'WX~ = n I.
Eigen::Map<const MatrixXd> z_fixed(const CrossProducts& A, int block, Index level) {
  const int k = A.k(block);
  return {A.z_fixed(block).data() + level * k * A.rank(), k, A.rank()};
}

// F with FF' the covariance matrix (lower triangle) moved off the boundary.
MatrixXd inner_factor(const MatrixXd& covariance) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(covariance);
  const VectorXd scale = eigen.eigenvalues().unaryExpr(
      [](double value) { return std::sqrt(value < kTooSmall ? kSmall : std::min(value, kLarge)); });
  return eigen.eigenvectors() * scale.asDiagonal();
}

}  // namespace

VarianceProducts::VarianceProducts(const std::vector<Block>& blocks, const CrossProducts& A,
                                   const CovarianceParameters& covariance, int most_effects,
                                   InterruptCheck& interrupt)
    : blocks_(blocks), covariance_(covariance) {
  for (int t = 0; t < static_cast<int>(blocks.size()); ++t) {
    first_pair_.push_back(static_cast<int>(pairs_.size()));
    choose_pairs(t, most_effects);
  }
  first_pair_.push_back(static_cast<int>(pairs_.size()));
  const Eigen::Index count = static_cast<Eigen::Index>(pairs_.size()), rank = A.rank();
  const double n = static_cast<double>(A.n());
  std::vector<MatrixXd> P;  // by pair: sum over the levels of B_li'B_lj
  MatrixXd& G = expectations_;
  G.resize(count + 1, count + 1);
  for (Eigen::Index a = 0; a < count; ++a) {
    const Pair& pair = pairs_[at(a)];
    MatrixXd sum = MatrixXd::Zero(rank, rank);
    double trace = 0.0;
    const double* value = A.diagonal(pair.block).data();
    const int k = A.k(pair.block);
    for (Index l = 0; l < A.levels(pair.block); ++l, value += k * k) {
      if (l % kPoll == 0) interrupt.poll();
      const auto B = z_fixed(A, pair.block, l);
      sum.noalias() += B.row(pair.i).transpose() * B.row(pair.j);
      trace += value[pair.j * k + pair.i];
    }
    P.push_back(sum / n);
    G(a, count) = trace - P.back().trace();
    G(count, a) = G(a, count) * (pair.i == pair.j ? 1.0 : 2.0);
  }
  G(count, count) = n - static_cast<double>(rank);
  G.topLeftCorner(count, count) = products(A, P, interrupt);
}

void VarianceProducts::choose_pairs(int t, int most_effects) {
  const Block& block = blocks_[at(t)];
  for (std::size_t term = 0; term < block.terms.size(); ++term) {
    const CovarianceStructure& covariance = covariance_.of(block.terms[term]);
    const int k = covariance.size(), first = block.offsets[term];
    const bool covariances = !covariance.scales_only() && k <= most_effects;
    for (int j = 0; j < k; ++j)
      for (int i = j; i < (covariances ? k : j + 1); ++i)
        pairs_.push_back({t, block.terms[term], first + i, first + j});
  }
}

// Adds what a level of block s and one of block t with cross-products A and correction C (both
// k_s x k_t) contribute to (K_ic K_jd + K_id K_jc), K = A - C, without CC.
void VarianceProducts::add_entry(int s, int t, const double* A, const double* C,
                                 MatrixXd& products) const {
  const int k = blocks_[at(s)].k;
  const auto term = [&](int i, int c, int j, int d) {
    const int ic = c * k + i, jd = d * k + j;
    return A[ic] * A[jd] - A[ic] * C[jd] - C[ic] * A[jd];
  };
  for (int r = first_pair_[at(t)]; r < first_pair_[at(t) + 1]; ++r) {
    const int c = pairs_[at(r)].i, d = pairs_[at(r)].j;
    for (int p = first_pair_[at(s)]; p < first_pair_[at(s) + 1]; ++p) {
      const int i = pairs_[at(p)].i, j = pairs_[at(p)].j;
      products(p, r) += term(i, c, j, d) + term(i, d, j, c);
    }
  }
}

// Coefficient of each covariance in the expectation of each product of scores.
MatrixXd VarianceProducts::products(const CrossProducts& A, const std::vector<MatrixXd>& P,
                                    InterruptCheck& interrupt) const {
  const Eigen::Index count = static_cast<Eigen::Index>(pairs_.size());
  MatrixXd sums = MatrixXd::Zero(count, count);
  const double n = static_cast<double>(A.n());
  for (int t = 0; t < A.blocks(); ++t) {
    const int k = A.k(t);
    MatrixXd C(k, k);
    for (Index l = 0; l < A.levels(t); ++l) {
      if (l % kPoll == 0) interrupt.poll();
      C = z_fixed(A, t, l) * z_fixed(A, t, l).transpose() / n;
      add_entry(t, t, A.diagonal(t).data() + l * k * k, C.data(), sums);
    }
    for (int s = 0; s < t; ++s) {
      const CrossBlocks& cross = A.cross(s, t);
      MatrixXd crossed(A.k(s), k);
      for (Index l = 0; l < A.levels(s); ++l) {
        interrupt.poll();
        for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e) {
          crossed = z_fixed(A, s, l) * z_fixed(A, t, cross.column[at(e)]).transpose() / n;
          add_entry(s, t, cross.values.data() + e * A.k(s) * k, crossed.data(), sums);
        }
      }
    }
  }
  for (Eigen::Index r = 0; r < count; ++r)
    for (Eigen::Index p = 0; p < count; ++p)
      if (pairs_[at(p)].block > pairs_[at(r)].block) sums(p, r) = sums(r, p);
  for (Eigen::Index r = 0; r < count; ++r)
    for (Eigen::Index p = 0; p < count; ++p) {
      const MatrixXd &left = P[at(p)], &right = P[at(r)];
      sums(p, r) += left.cwiseProduct(right).sum() + left.cwiseProduct(right.transpose()).sum();
      if (pairs_[at(r)].i == pairs_[at(r)].j) sums(p, r) *= 0.5;
    }
  return sums;
}

MomentEquations::MomentEquations(const std::vector<Block>& blocks, const CrossProducts& A,
                                 const CovarianceParameters& covariance, InterruptCheck& interrupt)
    : blocks_(blocks), covariance_(covariance), n_(static_cast<double>(A.n())) {
  const VarianceProducts products(blocks, A, covariance, kMostEffects, interrupt);
  pairs_ = products.pairs();
  equations_.compute(products.expectations());
}

std::vector<double> MomentEquations::solve(const Response& response) const {
  const Eigen::Index count = static_cast<Eigen::Index>(pairs_.size());
  VectorXd moments(count + 1);
  for (Eigen::Index p = 0; p < count; ++p) {
    const VarianceProducts::Pair& pair = pairs_[at(p)];
    const Block& block = blocks_[at(pair.block)];
    const double* score = response.Zy.data();
    for (int t = 0; t < pair.block; ++t) score += blocks_[at(t)].size();
    double sum = 0.0;
    for (Index l = 0; l < block.levels; ++l, score += block.k) sum += score[pair.i] * score[pair.j];
    moments(p) = sum;
  }
  moments(count) = response.yy;
  const VectorXd variances = equations_.solve(moments);
  const double residual = std::max(variances(count), moments(count) / (kLarge * n_));

  std::vector<double> theta(at(covariance_.size()));
  Eigen::Index p = 0;
  for (const Block& block : blocks_)
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], first = block.offsets[j];
      const CovarianceStructure& covariance = covariance_.of(term);
      MatrixXd relative = MatrixXd::Zero(covariance.size(), covariance.size());  // lower triangle
      for (; p < count && pairs_[at(p)].term == term; ++p)
        relative(pairs_[at(p)].i - first, pairs_[at(p)].j - first) = variances(p) / residual;
      const MatrixXd factor = inner_factor(relative);
      covariance.from_factor(factor.data(), theta.data() + covariance_.first(term));
    }
  return theta;
}

}  // namespace crossnest
