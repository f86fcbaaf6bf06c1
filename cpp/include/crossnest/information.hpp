// Derivatives with respect to the variance parameters: what Satterthwaite's and Kenward and Roger's
// degrees of freedom are made of.
#pragma once

#include <memory>
#include <vector>

#include "crossnest/criterion.hpp"
#include "crossnest/traces.hpp"

namespace crossnest {

/// The pieces of the expected and the observed information on the variance parameters of
/// Var(y) = sum_r gamma_r G_r, at one theta.
///
/// G_r = sigma^2 Z E_r Z' for the entries of each term's covariance matrix (the terms in the user's
/// order, theta's order within a term, the engine's coordinates of the random effects), where the
/// term's structure is linear in its parameters, and where it is not the derivatives of Var(y) by
/// its theta; and
/// last G_m = Var(y) = sigma^2 V itself: it takes the place of sigma^2 W^-1, a linear combination
/// of all of them, so that nothing is lost by cancellation and no sum runs over rows. What follows
/// from the information does not depend on the choice.
///
/// The expected information is tr(P G_r P G_s) / 2, the observed one `quadratics` less that.
///
/// Entries that the data do not determine (see identifiability.hpp) count as known: their rows and
/// columns are zero.
///
/// Fixed effects are those of RX beta, whose covariance matrix is sigma^2 I (see Estimates::RX).
/// Write Sinv for Var(y)^-1 and Xr = sigma X RX^-1, so that Xr'Sinv Xr = I.
struct Information {
  int parameters = 0;              ///< m + 1, the directions G_r
  int rank = 0;                    ///< p
  std::vector<double> first;       ///< Xr'Sinv G_r Sinv Xr: p x p for each r
  std::vector<double> second;      ///< Xr'Sinv G_r Sinv G_s Sinv Xr: p x p for each r, for each s
  std::vector<double> traces;      ///< tr(Sinv G_r Sinv G_s), (m + 1) x (m + 1)
  std::vector<double> quadratics;  ///< y'P G_r P G_s P y + (tr(P G_rs) - y'P G_rs P y) / 2,
                                   ///< (m + 1) x (m + 1), G_rs = d^2 Var(y), zero where linear;
                                   ///< P = Sinv - Sinv Xr Xr'Sinv
};

/// Second derivatives of the criterion that is not profiled,
///
///     D(theta, sigma) = log|Omega| + [REML] log|C| + nu log(2 pi sigma^2) + r2 / sigma^2,
///
/// and first derivatives of Var(beta) = sigma^2 (RX'RX)^-1. The parameters are linear in theta:
/// phi, theta itself where lambda is not linear in it, and else such that the lambda_t of the
/// engine's coordinates change along orthonormal directions; and last tau, sigma over its estimate.
/// Satterthwaite's degrees of freedom are the same in phi and tau as in theta and sigma. Directions
/// of phi that the data do not determine have no curvature and no derivative.
struct Curvature {
  int parameters = 0;            ///< m + 1
  int rank = 0;                  ///< p
  std::vector<double> hessian;   ///< (m + 1) x (m + 1)
  std::vector<double> jacobian;  ///< RX (d Var(beta)) RX' / sigma^2: p x p for each parameter
  bool exact = true;             ///< whether in closed form, and not by differences of gradients
};

/// How a Hessian is found: as is cheaper, or as told.
enum class HessianKind { automatic, exact, differences };

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
