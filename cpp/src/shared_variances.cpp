#include "shared_variances.hpp"

#include <algorithm>
#include <cmath>

#include "eigen_decompositions.hpp"
#include "moments.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int kMostEffects = 20;
// An eigenvalue this small, of derivatives of size one, is rounding; and so is a part of its
// vector.
constexpr double kNothing = 1e-9, kNoPart = 1e-3;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// theta of a term with different variances and correlations, none of them at a bound.
std::vector<double> inner_theta(const CovarianceStructure& covariance) {
  const int k = covariance.size();
  MatrixXd factor = MatrixXd::Constant(k, k, 0.2).triangularView<Eigen::Lower>();
  for (int j = 0; j < k; ++j) factor(j, j) = 1.0 + 0.3 * j / k;
  std::vector<double> theta(at(covariance.parameters()));
  covariance.from_factor(factor.data(), theta.data());
  return theta;
}

class Derivatives {
 public:
  Derivatives(const std::vector<Block>& blocks, const CovarianceParameters& covariance,
              const CrossProducts& A, const std::vector<HeldParameter>& held,
              InterruptCheck& interrupt)
      : covariance_(covariance), products_(blocks, A, covariance, kMostEffects, interrupt) {
    first_effect_.resize(at(covariance.terms()));
    for (const Block& block : blocks)
      for (std::size_t j = 0; j < block.terms.size(); ++j)
        first_effect_[at(block.terms[j])] = block.offsets[j];
    for (int term = 0; term < covariance.terms(); ++term) add_term(term, held);
    const Eigen::Index residual = static_cast<Eigen::Index>(products_.pairs().size());
    columns_.push_back(VectorXd::Unit(residual + 1, residual));
    term_.push_back(-1);
    multiply();
  }

  // Whether some combination of the derivatives of both, but of neither by itself, is zero.
  bool share(int term, int other) const {
    std::vector<Eigen::Index> both;
    for (std::size_t a = 0; a < term_.size(); ++a)
      if (term_[a] == term) both.push_back(static_cast<Eigen::Index>(a));
    const Eigen::Index count = static_cast<Eigen::Index>(both.size());
    for (std::size_t a = 0; a < term_.size(); ++a)
      if (term_[a] == other) both.push_back(static_cast<Eigen::Index>(a));
    const Eigen::Index all = static_cast<Eigen::Index>(both.size());
    if (count == 0 || count == all) return false;
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(products_of_(both, both));
    Eigen::Index open = 0;
    while (open < all && eigen.eigenvalues()(open) < kNothing) ++open;
    const auto vectors = eigen.eigenvectors().leftCols(open);
    return (vectors.topRows(count) * vectors.bottomRows(all - count).transpose()).norm() > kNoPart;
  }

 private:
  void add_term(int term, const std::vector<HeldParameter>& held) {
    const CovarianceStructure& covariance = covariance_.of(term);
    const int k = covariance.size(), first = first_effect_[at(term)];
    if (k > kMostEffects) return;
    const std::vector<double> theta = inner_theta(covariance);
    MatrixXd D(k, k);
    for (int a = 0; a < covariance.parameters(); ++a) {
      const bool known = std::any_of(held.begin(), held.end(), [&](const HeldParameter& one) {
        return one.parameter == covariance_.first(term) + a;
      });
      if (known) continue;
      covariance.covariance_derivative(theta.data(), a, D.data());
      VectorXd column = VectorXd::Zero(static_cast<Eigen::Index>(products_.pairs().size()) + 1);
      for (std::size_t p = 0; p < products_.pairs().size(); ++p) {
        const VarianceProducts::Pair& pair = products_.pairs()[p];
        if (pair.term == term)
          column(static_cast<Eigen::Index>(p)) = D(pair.i - first, pair.j - first);
      }
      columns_.push_back(std::move(column));
      term_.push_back(term);
    }
  }

  // tr(Q D_a Q D_b) over the roots of tr(Q D_a Q D_a) and of the other.
  void multiply() {
    MatrixXd S = products_.expectations();
    for (std::size_t p = 0; p < products_.pairs().size(); ++p)
      if (products_.pairs()[p].i != products_.pairs()[p].j)
        S.row(static_cast<Eigen::Index>(p)) *= 2.0;
    MatrixXd E(S.rows(), static_cast<Eigen::Index>(columns_.size()));
    for (std::size_t a = 0; a < columns_.size(); ++a)
      E.col(static_cast<Eigen::Index>(a)) = columns_[a];
    products_of_ = E.transpose() * S * E;
    const VectorXd size = products_of_.diagonal().unaryExpr(
        [](double x) { return x > 0.0 ? 1.0 / std::sqrt(x) : 0.0; });
    products_of_ = size.asDiagonal() * products_of_ * size.asDiagonal();
  }

  const CovarianceParameters& covariance_;
  VarianceProducts products_;
  std::vector<int> first_effect_;  // by term: where it begins in its block
  std::vector<VectorXd> columns_;  // by derivative: its coefficients of the pairs, and of sigma^2
  std::vector<int> term_;          // of each, -1 for sigma^2
  MatrixXd products_of_;
};

}  // namespace

std::vector<Confounding> shared_variances(const std::vector<Block>& blocks,
                                          const CovarianceParameters& covariance,
                                          const CrossProducts& A,
                                          const std::vector<HeldParameter>& held,
                                          InterruptCheck& interrupt) {
  std::vector<Confounding> found;
  std::vector<int> restricted;
  for (int term = 0; term < covariance.terms(); ++term)
    if (covariance.restricted(term)) restricted.push_back(term);
  if (restricted.empty()) return found;
  const Derivatives derivatives(blocks, covariance, A, held, interrupt);
  for (const int term : restricted)
    for (int other = -1; other < covariance.terms(); ++other) {
      const bool again = other >= 0 && covariance.restricted(other) && other < term;
      if (other == term || again || !derivatives.share(term, other)) continue;
      Confounding one{Confounding::Kind::shared, term, {}, false, other};
      for (int j = 0; j < covariance.of(term).size(); ++j) one.effects.push_back(j);
      found.push_back(std::move(one));
    }
  return found;
}

}  // namespace crossnest
