// Moment estimates of theta, for many responses with one Z and X.
#pragma once

#include <vector>

#include "covariance_parameters.hpp"
#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/response.hpp"
#include "eigen_decompositions.hpp"

namespace crossnest {

/// How the data see variances and covariances of random effects, which are linear in Var(y): with
/// Var(y) = sum_p c_p V_p, Q the projection that takes X out, the numbers tr(Q V_p Q V_r). Where
/// some combination of the V_p is zero within the residuals of X, the data cannot tell these apart.
class VarianceProducts {
 public:
  /// A covariance between effects i >= j of a block; the last of all is sigma^2.
  struct Pair {
    int block, term;
    int i, j;
  };

  /// Covariances of terms with more than `most_effects` are left out: the numbers would be many.
  VarianceProducts(const std::vector<Block>& blocks, const CrossProducts& A,
                   const CovarianceParameters& covariance, int most_effects,
                   InterruptCheck& interrupt);

  const std::vector<Pair>& pairs() const { return pairs_; }
  /// By pair, and last r'Wr of the least-squares residuals r: the expectation of the products
  /// g_i'g_j of the scores g = Z'Wr summed over the levels, when the variance or covariance of the
  /// column is one. Rows of i > j count half of tr(Q V_p Q V_r).
  const Eigen::MatrixXd& expectations() const { return expectations_; }

 private:
  void choose_pairs(int block, int most_effects);
  void add_entry(int s, int t, const double* A, const double* C, Eigen::MatrixXd& products) const;
  Eigen::MatrixXd products(const CrossProducts& A, const std::vector<Eigen::MatrixXd>& P,
                           InterruptCheck& interrupt) const;

  const std::vector<Block>& blocks_;
  const CovarianceParameters& covariance_;
  std::vector<Pair> pairs_;
  std::vector<int> first_pair_;  // blocks + 1
  Eigen::MatrixXd expectations_;
};

/// The method of moments known as MINQUE(0): for each term, the products g_i'g_j of the scores
/// g = Z'Wr of the least-squares residuals r, summed over the levels, and r'Wr are set equal to
/// their expectations, which are linear in the variances and covariances of the effects and in
/// sigma^2. In balanced designs this gives the REML estimates where they are not on the boundary.
/// Rao (1971), J. Multivariate Anal. 1, 257-275.
///
/// The equations are the same for every response, and to form them costs about as much as to
/// evaluate the criterion: worth while for many responses, where moment_start() serves one.
class MomentEquations {
 public:
  /// The blocks and the parameters must outlive the equations.
  MomentEquations(const std::vector<Block>& blocks, const CrossProducts& A,
                  const CovarianceParameters& covariance, InterruptCheck& interrupt);

  /// theta (engine's coordinates) for a response; moved off the boundary.
  std::vector<double> solve(const Response& response) const;

 private:
  const std::vector<Block>& blocks_;
  const CovarianceParameters& covariance_;
  double n_;
  std::vector<VarianceProducts::Pair> pairs_;
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> equations_;  // pairs, then sigma^2
};

}  // namespace crossnest
