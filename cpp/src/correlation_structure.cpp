#include "correlation_structure.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eigen_products.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;
using Kind = CovarianceLabel::Kind;

// How near rho comes to its bounds in R: what is left of a direction without variance has a
// standard deviation of the root of this.
constexpr double kOff = 1e-12;

}  // namespace

void CorrelationStructure::lower_bounds(double* bounds) const {
  std::fill_n(bounds, scales(), 0.0);
  if (size_ > 1) bounds[scales()] = least();
}

void CorrelationStructure::upper_bounds(double* bounds) const {
  std::fill_n(bounds, scales(), std::numeric_limits<double>::infinity());
  if (size_ > 1) bounds[scales()] = 1.0;
}

double CorrelationStructure::inside(double rho) const {
  return std::clamp(rho, least() + kOff, 1.0 - kOff);
}

void CorrelationStructure::lambda(const double* theta, double* lambda) const {
  const double at = size_ > 1 ? inside(rho(theta)) : 0.0;
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i)
      lambda[j * size_ + i] = i < j ? 0.0 : theta[scale_of(i)] * (size_ > 1 ? root(i, j, at) : 1.0);
}

void CorrelationStructure::derivative(const double* theta, int a, double* dlambda) const {
  const double at = size_ > 1 ? inside(rho(theta)) : 0.0;
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i) {
      double& value = dlambda[j * size_ + i];
      value = 0.0;
      if (i < j) continue;
      if (a == scales())
        value = theta[scale_of(i)] * root_derivative(i, j, at);
      else if (scale_of(i) == a)
        value = size_ > 1 ? root(i, j, at) : 1.0;
    }
}

// The entries are sd_i sd_j C_ij.
void CorrelationStructure::covariance_derivative(const double* theta, int a, double* out) const {
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i) {
      const double first = theta[scale_of(i)], second = theta[scale_of(j)];
      const int order = a == scales() ? 1 : 0;
      const double C = i == j ? (order == 0 ? 1.0 : 0.0) : correlation(i, j, rho(theta), order);
      const double scale =
          order == 1 ? first * second
                     : (scale_of(i) == a ? second : 0.0) + (scale_of(j) == a ? first : 0.0);
      out[j * size_ + i] = scale * C;
    }
}

void CorrelationStructure::covariance_second_derivative(const double* theta, int a, int b,
                                                        double* out) const {
  if (a > b) std::swap(a, b);
  const int order = (a == scales() ? 1 : 0) + (b == scales() ? 1 : 0);
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i) {
      const int own = scale_of(i), other = scale_of(j);
      const double first = theta[own], second = theta[other];
      const double C = i == j ? (order == 0 ? 1.0 : 0.0) : correlation(i, j, rho(theta), order);
      double scale = first * second;
      if (order == 1) scale = (own == a ? second : 0.0) + (other == a ? first : 0.0);
      if (order == 0)
        scale = (own == a && other == b ? 1.0 : 0.0) + (own == b && other == a ? 1.0 : 0.0);
      out[j * size_ + i] = scale * C;
    }
}

int CorrelationStructure::basis_size() const {
  if (size_ == 1) return 1;
  return homogeneous_ ? 1 + patterns() : size_ * (size_ + 1) / 2;
}

// Variances first, as in theta.
void CorrelationStructure::basis(int a, double* E) const {
  std::fill_n(E, size_ * size_, 0.0);
  int next = scales();
  for (int j = 0; j < size_; ++j) {
    if (scale_of(j) == a) E[j * size_ + j] = 1.0;
    for (int i = j + 1; i < size_; ++i) {
      const int own = homogeneous_ ? 1 + pattern(i, j) : next++;
      if (own == a) E[j * size_ + i] = E[i * size_ + j] = 1.0;
    }
  }
}

// rho nearest in sum_ij (S_ij - sd_i sd_j C_ij)^2, by Gauss and Newton's steps from the mean of the
// correlations of neighbours.
double CorrelationStructure::nearest_rho(const double* covariance) const {
  const Map<const MatrixXd> S(covariance, size_, size_);
  const auto scale = [&](int i, int j) { return std::sqrt(S(i, i) * S(j, j)); };
  double products = 0.0, squares = 0.0;
  for (int j = 0; j + 1 < size_; ++j) {
    products += S(j + 1, j) * scale(j + 1, j);
    squares += scale(j + 1, j) * scale(j + 1, j);
  }
  if (!(squares > 0.0)) return 0.0;
  double rho = std::clamp(products / squares, least(), 1.0);
  const auto distance = [&](double at) {
    double sum = 0.0;
    for (int j = 0; j < size_; ++j)
      for (int i = j + 1; i < size_; ++i)
        sum += std::pow(S(i, j) - scale(i, j) * correlation(i, j, at, 0), 2);
    return sum;
  };
  double now = distance(rho);
  for (int step = 0; step < 50 && now > 1e-28 * S.squaredNorm(); ++step) {
    double up = 0.0, down = 0.0;
    for (int j = 0; j < size_; ++j)
      for (int i = j + 1; i < size_; ++i) {
        const double slope = scale(i, j) * correlation(i, j, rho, 1);
        up += slope * (S(i, j) - scale(i, j) * correlation(i, j, rho, 0));
        down += slope * slope;
      }
    if (!(down > 0.0)) break;
    const double next = std::clamp(rho + up / down, least(), 1.0), then = distance(next);
    if (!(then < now)) break;
    rho = next;
    now = then;
  }
  return rho;
}

void CorrelationStructure::from_factor(const double* factor, double* theta) const {
  const Map<const MatrixXd> F(factor, size_, size_);
  MatrixXd S = F * F.transpose();
  if (homogeneous_) {
    theta[0] = F.norm() / std::sqrt(static_cast<double>(size_));
    S.diagonal().setConstant(theta[0] * theta[0]);
  } else {
    for (int i = 0; i < size_; ++i) theta[i] = F.row(i).norm();
  }
  if (size_ > 1) theta[scales()] = nearest_rho(S.data());
}

void CorrelationStructure::rescale(const double* scales, double* theta) const {
  for (int a = 0; a < this->scales(); ++a) theta[a] *= scales[a];
}

void CorrelationStructure::normalize(double* theta) const {
  for (int a = 0; a < scales(); ++a) theta[a] = std::abs(theta[a]);
  if (size_ > 1) theta[scales()] = std::clamp(theta[scales()], least(), 1.0);
}

// A correlation takes two effects.
std::vector<int> CorrelationStructure::undetermined(const std::vector<bool>& unseen) const {
  const auto hidden = std::count(unseen.begin(), unseen.end(), true);
  std::vector<int> found;
  if (homogeneous_ && hidden == size_) found.push_back(0);
  for (int i = 0; i < size_ && !homogeneous_; ++i)
    if (unseen[static_cast<std::size_t>(i)]) found.push_back(i);
  if (size_ > 1 && hidden + 1 >= size_) found.push_back(scales());
  return found;
}

std::vector<CovarianceLabel> CorrelationStructure::labels() const {
  std::vector<CovarianceLabel> all;
  if (homogeneous_ && size_ > 1) all.push_back({Kind::sd});
  for (int i = 0; i < size_ && static_cast<int>(all.size()) < scales(); ++i)
    all.push_back({Kind::sd, i, i});
  if (size_ > 1) all.push_back({Kind::correlation});
  return all;
}

}  // namespace crossnest
