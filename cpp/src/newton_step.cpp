#include "newton_step.hpp"

#include <algorithm>
#include <cmath>

#include "eigen_decompositions.hpp"

namespace crossnest {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

void NewtonStep::solve(const MatrixXd& hessian, const VectorXd& gradient,
                       const std::vector<Index>& free, VectorXd& step) {
  step.setZero(gradient.size());
  if (free.empty()) return;
  const Index m = static_cast<Index>(free.size());
  for (double ridge = 1e-10; !factorize(hessian, free, ridge);) ridge *= 100.0;
  right_.resize(m);
  for (Index i = 0; i < m; ++i)
    right_(i) = -scale_(i) * gradient(free[static_cast<std::size_t>(i)]);
  llt_.solveInPlace(right_);
  for (Index i = 0; i < m; ++i) step(free[static_cast<std::size_t>(i)]) = scale_(i) * right_(i);
}

// The factor of S H S + ridge I over the free parameters, S^-2 the diagonal of H.
bool NewtonStep::factorize(const MatrixXd& hessian, const std::vector<Index>& free, double ridge) {
  const Index m = static_cast<Index>(free.size());
  const auto at = [&](Index i) { return free[static_cast<std::size_t>(i)]; };
  double largest = 1e-300;
  for (const Index i : free) largest = std::max(largest, std::abs(hessian(i, i)));
  scale_.resize(m);
  for (Index i = 0; i < m; ++i)
    scale_(i) = 1.0 / std::sqrt(std::max(hessian(at(i), at(i)), 1e-12 * largest));
  scaled_.resize(m, m);
  for (Index j = 0; j < m; ++j)
    for (Index i = 0; i < m; ++i)
      scaled_(i, j) = scale_(i) * hessian(at(i), at(j)) * scale_(j) + (i == j ? ridge : 0.0);
  llt_.compute(scaled_);
  return llt_.info() == Eigen::Success;
}

// From zero towards the minimum over the parameters that are at no bound, as far as the first bound
// on the way; the parameter that meets it stays there. The decrease grows at each turn.
double NewtonStep::solve_within(const MatrixXd& hessian, const VectorXd& gradient,
                                const std::vector<Index>& free, const VectorXd& low,
                                const VectorXd& high, VectorXd& step) {
  solve(hessian, gradient, free, step);
  const auto outside = [&](Index i) { return step(i) < low(i) || step(i) > high(i); };
  if (std::none_of(free.begin(), free.end(), outside)) return -0.5 * gradient.dot(step);
  inner_ = free;
  target_ = step;
  step.setZero();
  for (;;) {
    double length = 1.0;
    std::size_t first = inner_.size();
    for (std::size_t place = 0; place < inner_.size(); ++place) {
      const Index i = inner_[place];
      const double way = target_(i), bound = way < 0.0 ? low(i) : high(i);
      if (!(std::abs(way) * length > std::abs(bound - step(i)))) continue;
      length = (bound - step(i)) / way;
      first = place;
    }
    for (const Index i : inner_) step(i) += length * target_(i);
    if (first == inner_.size()) break;
    const Index met = inner_[first];
    step(met) = target_(met) < 0.0 ? low(met) : high(met);
    inner_.erase(inner_.begin() + static_cast<std::ptrdiff_t>(first));
    if (inner_.empty()) break;
    shifted_.noalias() = hessian * step;
    shifted_ += gradient;
    solve(hessian, shifted_, inner_, target_);
  }
  shifted_.noalias() = hessian * step;
  return -gradient.dot(step) - 0.5 * step.dot(shifted_);
}

MatrixXd definite(const MatrixXd& H) {
  constexpr double kLeast = 1e-6;  // of the eigenvalues, as a part of the largest
  const VectorXd size = H.diagonal().cwiseAbs();
  const double largest = size.size() > 0 ? size.maxCoeff() : 0.0;
  if (!(largest > 0.0)) return MatrixXd::Identity(H.rows(), H.cols());
  const VectorXd unit = size.cwiseMax(1e-12 * largest).cwiseSqrt();
  const VectorXd scale = unit.cwiseInverse();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(scale.asDiagonal() * H * scale.asDiagonal());
  if (eigen.eigenvalues()(0) > 0.0) return H;
  const VectorXd values = eigen.eigenvalues().cwiseAbs();
  return unit.asDiagonal() *
         (eigen.eigenvectors() * values.cwiseMax(kLeast * values.maxCoeff()).asDiagonal() *
          eigen.eigenvectors().transpose()) *
         unit.asDiagonal();
}

}  // namespace crossnest
