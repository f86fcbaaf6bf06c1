#include "crossnest/covariance.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eigen_decompositions.hpp"

namespace crossnest {

using Eigen::Map;
using Eigen::MatrixXd;

void CovarianceStructure::upper_bounds(double* bounds) const {
  std::fill_n(bounds, parameters(), std::numeric_limits<double>::infinity());
}

void CovarianceStructure::covariance_derivative(const double* theta, int a, double* out) const {
  const int k = size();
  MatrixXd factor(k, k), change(k, k);
  lambda(theta, factor.data());
  derivative(theta, a, change.data());
  const MatrixXd half = change * factor.transpose();
  Map<MatrixXd>(out, k, k) = half + half.transpose();
}

void CovarianceStructure::covariance_second_derivative(const double* theta, int a, int b,
                                                       double* out) const {
  const int k = size();
  MatrixXd first(k, k), second(k, k);
  derivative(theta, a, first.data());
  derivative(theta, b, second.data());
  const MatrixXd half = first * second.transpose();
  Map<MatrixXd>(out, k, k) = half + half.transpose();
}

void CovarianceStructure::rescale(const double* scales, double* theta) const {
  const int k = size();
  MatrixXd factor(k, k);
  lambda(theta, factor.data());
  factor = Map<const Eigen::VectorXd>(scales, k).asDiagonal() * factor;
  from_factor(factor.data(), theta);
}

void CovarianceStructure::component_values(const double* theta, double* values) const {
  std::copy_n(theta, parameters(), values);
}

void CovarianceStructure::pull_back(const double* theta, const double* dlambda, double* gradient,
                                    double* scratch) const {
  const int k = size();
  for (int a = 0; a < parameters(); ++a) {
    derivative(theta, a, scratch);
    gradient[a] = 0.0;
    for (int i = 0; i < k * k; ++i) gradient[a] += dlambda[i] * scratch[i];
  }
}

void CovarianceStructure::scale(double factor, double* theta) const {
  for (const CovarianceLabel& label : labels()) {
    if (label.kind != CovarianceLabel::Kind::correlation) *theta *= factor;
    ++theta;
  }
}

// factor' = QR gives factor factor' = R'R: the lower-triangular factor is R' up to column signs.
void triangular_factor(const double* factor, int k, double* L) {
  const Map<const MatrixXd> F(factor, k, k);
  const MatrixXd transposed = F.transpose();
  const MatrixXd QR = Eigen::HouseholderQR<MatrixXd>(transposed).matrixQR();
  for (int j = 0; j < k; ++j)
    for (int i = 0; i < k; ++i) {
      // What rounding leaves of a zero is zero.
      const double value = i < j || std::abs(QR(j, i)) < 1e-14 * F.row(i).norm() ? 0.0 : QR(j, i);
      L[j * k + i] = QR(j, j) < 0.0 ? -value : value;
    }
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
