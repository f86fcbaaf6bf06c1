// Steps of Newton's and quasi-Newton methods, shared by the searches.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <vector>

namespace crossnest {

/// The step -H^-1 g over the free parameters (zero elsewhere); H is made definite on the way.
inline Eigen::VectorXd newton_step(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& gradient,
                                   const std::vector<Eigen::Index>& free) {
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  VectorXd step = VectorXd::Zero(gradient.size());
  if (free.empty()) return step;
  const VectorXd g = gradient(free);
  const MatrixXd H = hessian(free, free);
  const double largest = std::max(H.diagonal().cwiseAbs().maxCoeff(), 1e-300);
  const VectorXd scale = H.diagonal().cwiseMax(1e-12 * largest).cwiseSqrt().cwiseInverse();
  const MatrixXd scaled = scale.asDiagonal() * H * scale.asDiagonal();
  for (double ridge = 1e-10;; ridge *= 100.0) {
    const Eigen::LLT<MatrixXd> llt(scaled + ridge * MatrixXd::Identity(H.rows(), H.cols()));
    if (llt.info() != Eigen::Success) continue;
    step(free) = -(scale.asDiagonal() * llt.solve(scale.asDiagonal() * g));
    return step;
  }
}

/// B := B + the BFGS update of the step s with gradient change y, damped so that B stays definite.
inline void update_bfgs(Eigen::MatrixXd& B, const Eigen::VectorXd& s, Eigen::VectorXd y) {
  const Eigen::VectorXd Bs = B * s;
  const double sBs = s.dot(Bs), sy = s.dot(y);
  if (!(sBs > 0.0)) return;
  if (sy < 0.2 * sBs) {
    const double weight = 0.8 * sBs / (sBs - sy);
    y = weight * y + (1.0 - weight) * Bs;
  }
  B += y * y.transpose() / s.dot(y) - Bs * Bs.transpose() / sBs;
}

}  // namespace crossnest
