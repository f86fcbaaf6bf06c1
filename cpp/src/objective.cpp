#include "objective.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace crossnest {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double Objective::value(const Eigen::VectorXd& x) {
  interrupt_.poll();
  ++evaluations_;
  at_ = x;
  const double value = evaluate(x);
  last_ = std::isfinite(value) ? value : kInfinity;
  if (report_) report_(evaluations_);
  return last_;
}

void Objective::gradient(Eigen::VectorXd& gradient, Eigen::MatrixXd* hessian) {
  ++gradients_;
  gradient.resize(parameters());
  if (hessian != nullptr) hessian->resize(parameters(), parameters());
  differentiate(gradient, hessian);
}

bool Objective::exact_hessian(const Eigen::VectorXd& x, const Eigen::VectorXd& gradient,
                              const std::vector<Eigen::Index>& over, Eigen::MatrixXd& hessian) {
  Eigen::MatrixXd H = Eigen::MatrixXd::Zero(x.size(), x.size());
  Eigen::VectorXd moved = x, there(x.size());
  for (const Eigen::Index i : over) {
    double h = difference(x, i);
    if (x(i) + h > upper(i)) h = -h;
    moved(i) = x(i) + h;
    if (!std::isfinite(value(moved))) return false;
    this->gradient(there);
    for (const Eigen::Index j : over) H(j, i) = (there(j) - gradient(j)) / h;
    moved(i) = x(i);
  }
  hessian = 0.5 * (H + H.transpose());
  return true;
}

double Objective::rounding_error() {
  return 4.0 * std::numeric_limits<double>::epsilon() * std::abs(last_);
}

double Objective::lower(Eigen::Index) const { return -kInfinity; }

double Objective::upper(Eigen::Index) const { return kInfinity; }

double Objective::difference(const Eigen::VectorXd& x, Eigen::Index i) const {
  return 1e-4 * std::max(std::abs(x(i)), 0.01);
}

}  // namespace crossnest
