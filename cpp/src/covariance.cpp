#include "crossnest/covariance.hpp"

#include <Eigen/Core>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace crossnest {

void CovarianceStructure::pull_back(const double* theta, const double* dlambda, double* gradient,
                                    double* scratch) const {
  const int k = size();
  for (int a = 0; a < parameters(); ++a) {
    derivative(theta, a, scratch);
    gradient[a] = 0.0;
    for (int i = 0; i < k * k; ++i) gradient[a] += dlambda[i] * scratch[i];
  }
}

void Unstructured::lower_bounds(double* bounds) const {
  for (int j = 0; j < size_; ++j)
    for (int i = j; i < size_; ++i)
      *bounds++ = i == j ? 0.0 : -std::numeric_limits<double>::infinity();
}

void Unstructured::lambda(const double* theta, double* lambda) const {
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i) lambda[j * size_ + i] = i < j ? 0.0 : *theta++;
}

void Unstructured::derivative(const double*, int a, double* dlambda) const {
  std::fill_n(dlambda, size_ * size_, 0.0);
  int j = 0;
  while (a >= size_ - j) a -= size_ - j++;
  dlambda[j * size_ + j + a] = 1.0;
}

void Unstructured::basis(int a, double* E) const {
  derivative(nullptr, a, E);  // the place of theta_a in the lower triangle
  for (int j = 0; j < size_; ++j)
    for (int i = j + 1; i < size_; ++i) E[i * size_ + j] = E[j * size_ + i];
}

void Unstructured::from_factor(const double* factor, double* theta) const {
  // factor' = QR gives factor factor' = R'R: the lower-triangular factor is R' up to column signs.
  const Eigen::Map<const Eigen::MatrixXd> F(factor, size_, size_);
  const Eigen::MatrixXd transposed = F.transpose();
  const Eigen::MatrixXd QR = Eigen::HouseholderQR<Eigen::MatrixXd>(transposed).matrixQR();
  for (int j = 0; j < size_; ++j)
    for (int i = j; i < size_; ++i) {
      // What rounding leaves of a zero is zero.
      const double value = std::abs(QR(j, i)) < 1e-14 * F.row(i).norm() ? 0.0 : QR(j, i);
      *theta++ = QR(j, j) < 0.0 ? -value : value;
    }
}

void Unstructured::normalize(double* theta) const {
  for (int j = 0; j < size_; theta += size_ - j++)
    if (*theta < 0.0)
      for (int i = 0; i < size_ - j; ++i) theta[i] = -theta[i];
}

void Diagonal::lower_bounds(double* bounds) const { std::fill_n(bounds, size_, 0.0); }

void Diagonal::lambda(const double* theta, double* lambda) const {
  std::fill_n(lambda, size_ * size_, 0.0);
  for (int i = 0; i < size_; ++i) lambda[i * size_ + i] = theta[i];
}

void Diagonal::derivative(const double*, int a, double* dlambda) const {
  std::fill_n(dlambda, size_ * size_, 0.0);
  dlambda[a * size_ + a] = 1.0;
}

void Diagonal::basis(int a, double* E) const { derivative(nullptr, a, E); }

void Diagonal::from_factor(const double* factor, double* theta) const {
  const Eigen::Map<const Eigen::MatrixXd> F(factor, size_, size_);
  for (int i = 0; i < size_; ++i) theta[i] = F.row(i).norm();
}

void Diagonal::normalize(double* theta) const {
  for (int i = 0; i < size_; ++i) theta[i] = std::abs(theta[i]);
}

std::unique_ptr<CovarianceStructure> make_structure(const std::string& name, int size) {
  if (size < 1) throw std::invalid_argument("a random-effects term needs at least one column");
  if (name == "unstructured") return std::make_unique<Unstructured>(size);
  if (name == "diagonal") return std::make_unique<Diagonal>(size);
  throw std::invalid_argument("unknown covariance structure '" + name +
                              "': use 'unstructured' or 'diagonal'");
}

void semidefinite_cholesky(double* a, int k) {
  double largest = 0.0;
  for (int i = 0; i < k; ++i) largest = std::max(largest, a[i * k + i]);
  for (int j = 0; j < k; ++j) {
    for (int i = 0; i < j; ++i) a[j * k + i] = 0.0;
    double* column = a + j * k;
    const double pivot = column[j];
    if (!(pivot > 1e-15 * largest)) {
      std::fill(column + j, column + k, 0.0);
      continue;
    }
    const double root = std::sqrt(pivot);
    for (int i = j; i < k; ++i) column[i] /= root;
    for (int c = j + 1; c < k; ++c)
      for (int i = c; i < k; ++i) a[c * k + i] -= column[i] * column[c];
  }
}

}  // namespace crossnest
