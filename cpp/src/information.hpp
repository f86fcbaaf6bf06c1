// Derivatives with respect to the variance parameters: what Satterthwaite's and Kenward and Roger's
// degrees of freedom are made of.
#pragma once

#include <memory>
#include <vector>

#include "criterion.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/options.hpp"
#include "eigen_products.hpp"
#include "traces.hpp"

namespace crossnest {

/// Makes them for one problem.
class VarianceDerivatives {
 public:
  /// Keeps references. `memory_limit` in bytes, 0 for none.
  VarianceDerivatives(const Design& design, const std::vector<Block>& blocks,
                      const Coordinates& coordinates, const CrossProducts& A,
                      const Structure& structure, Criterion& criterion, const DenseKernels& kernels,
                      ThreadPool& pool, InterruptCheck& interrupt, std::size_t memory_limit);

  /// At a theta on the user's scale, where the criterion is finite. Throws MemoryLimitError before
  /// it starts when the dense matrices would need more than the limit.
  Information information(const double* theta, bool reml);
  /// The Hessian is in closed form, or where 4 m gradients are cheaper by central differences of
  /// fourth order of the profiled criterion's exact gradient.
  Curvature curvature(const double* theta, bool reml, HessianKind kind = HessianKind::automatic);

 private:
  /// One direction of phi: lambda_t changes by D.
  struct Direction {
    int term;
    Eigen::MatrixXd D;                // k x k
    int parameter = -1;               // where phi is theta: the term's parameter, and how
    Eigen::MatrixXd covariance = {};  // lambda lambda' changes
  };

  void evaluate(const double* theta, bool reml);
  void find_scores();
  void find_directions(const double* theta);
  Eigen::MatrixXd product(Eigen::Index r) const;
  Information pieces();
  void compute_traces(Eigen::VectorXd& trace, Eigen::MatrixXd& traces);
  double bytes() const;
  void check_memory() const;
  bool exact_is_cheaper() const;
  Eigen::MatrixXd covariance_jacobian() const;
  Eigen::MatrixXd theta_jacobian(const double* theta) const;
  double along_basis(Eigen::Index r, const Eigen::MatrixXd& change) const;
  Eigen::MatrixXd mapped(int term, const Eigen::MatrixXd& user) const;
  void add_bend(const double* theta, int term, const Eigen::VectorXd& slope,
                Eigen::MatrixXd& H) const;
  Eigen::VectorXd slope(const Information& pieces, const Eigen::VectorXd& trace) const;
  Eigen::MatrixXd estimated_directions(const Eigen::MatrixXd& J) const;
  Eigen::MatrixXd exact_hessian(const double* theta);
  Eigen::MatrixXd difference_hessian(const double* theta);
  Eigen::VectorXd gradient_at(const Eigen::VectorXd& theta);
  double step(const Direction& direction) const;
  Eigen::MatrixXd lambda_of(int term) const;
  Eigen::VectorXd quadratic_forms() const;

  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  const CrossProducts& A_;
  const Structure& structure_;
  Criterion& criterion_;
  InterruptCheck& interrupt_;
  std::size_t memory_limit_;
  int rank_;
  std::vector<int> block_of_, offset_of_;      // by term: its block, and where its effects begin
  std::vector<VarianceParameter> parameters_;  // of the bases of the terms
  std::vector<Eigen::MatrixXd> basis_;         // E_r, k x k of the term
  std::vector<int> term_of_;                   // by element of the bases
  std::vector<Eigen::Index> first_;            // by term: where its basis begins
  bool curved_ = false;  // whether the lambda of a term is not linear in theta
  std::unique_ptr<VarianceTraces> traces_;

  // At the theta of the last evaluate():
  bool reml_ = true;
  Eigen::MatrixXd scores_;             // q x (p + 1): Z'V^-1 X RX^-1, and g / sqrt(r2)
  std::vector<Direction> directions_;  // phi
  Eigen::MatrixXd theta_of_phi_;       // d theta / d phi, m x m
};

}  // namespace crossnest
