// Moment estimates of theta, for many responses with one Z and X.
#pragma once

#include <Eigen/Core>
#include <Eigen/QR>
#include <vector>

#include "criterion.hpp"
#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"

namespace crossnest {

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
  /// The blocks and the criterion must outlive the equations.
  MomentEquations(const std::vector<Block>& blocks, const CrossProducts& A,
                  const Criterion& criterion, InterruptCheck& interrupt);

  /// theta (engine's coordinates) for a response; moved off the boundary.
  std::vector<double> solve(const Response& response) const;

 private:
  /// A covariance that is estimated: between effects i >= j of a block.
  struct Pair {
    int block, term;
    int i, j;
  };

  void choose_pairs(int block);
  void add_entry(int s, int t, const double* A, const double* C, Eigen::MatrixXd& products) const;
  Eigen::MatrixXd products(const CrossProducts& A, const std::vector<Eigen::MatrixXd>& P,
                           InterruptCheck& interrupt) const;

  const std::vector<Block>& blocks_;
  const Criterion& criterion_;
  double n_;
  std::vector<Pair> pairs_;
  std::vector<int> first_pair_;                            // blocks + 1
  Eigen::ColPivHouseholderQR<Eigen::MatrixXd> equations_;  // pairs, then sigma^2
};

}  // namespace crossnest
