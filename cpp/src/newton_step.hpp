// Steps of Newton's and quasi-Newton methods.
#pragma once

#include <vector>

#include "eigen_decompositions.hpp"

namespace crossnest {

/// Solves for Newton steps, with workspace for one dimension that is allocated once.
class NewtonStep {
 public:
  /// The step -H^-1 g over the free parameters (zero elsewhere); H is made definite on the way.
  void solve(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& gradient,
             const std::vector<Eigen::Index>& free, Eigen::VectorXd& step);

  /// The step s that makes g's + 1/2 s'Hs least where low <= s <= high, by an active-set method;
  /// zero must be within the bounds. Returns that decrease, 1/2 g'H^-1 g where no bound is met.
  double solve_within(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& gradient,
                      const std::vector<Eigen::Index>& free, const Eigen::VectorXd& low,
                      const Eigen::VectorXd& high, Eigen::VectorXd& step);

 private:
  bool factorize(const Eigen::MatrixXd& hessian, const std::vector<Eigen::Index>& free,
                 double ridge);

  Eigen::MatrixXd scaled_;
  Eigen::VectorXd scale_, right_, shifted_, target_;
  Eigen::LLT<Eigen::MatrixXd> llt_;
  std::vector<Eigen::Index> inner_;
};

/// H with the eigenvalues made positive that it has where its diagonal is one, so that steps go
/// downhill. H itself where they are all positive.
Eigen::MatrixXd definite(const Eigen::MatrixXd& H);

/// B := B + the BFGS update of the step s with gradient change y, damped so that B stays definite.
/// `Bs` and `y` are workspace.
inline void update_bfgs(Eigen::MatrixXd& B, const Eigen::VectorXd& s, Eigen::VectorXd& y,
                        Eigen::VectorXd& Bs) {
  Bs.noalias() = B * s;
  const double sBs = s.dot(Bs), sy = s.dot(y);
  if (!(sBs > 0.0)) return;
  if (sy < 0.2 * sBs) {
    const double weight = 0.8 * sBs / (sBs - sy);
    y = weight * y + (1.0 - weight) * Bs;
  }
  B.noalias() += y * (y / s.dot(y)).transpose();
  B.noalias() -= Bs * (Bs / sBs).transpose();
}

}  // namespace crossnest
