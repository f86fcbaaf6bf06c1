// Any covariance matrix: lambda lower triangular, theta its lower triangle column by column,
// diagonals >= 0 (lme4's).
#include <algorithm>
#include <limits>

#include "crossnest/covariance.hpp"
#include "eigen_products.hpp"

namespace crossnest {

namespace {

using Kind = CovarianceLabel::Kind;

class Unstructured final : public CovarianceStructure {
 public:
  explicit Unstructured(int size) : size_(size) {}

  int size() const override { return size_; }
  int parameters() const override { return size_ * (size_ + 1) / 2; }
  ClosedUnder closed_under() const override { return ClosedUnder::any; }
  bool scales_only() const override { return size_ == 1; }

  void lower_bounds(double* bounds) const override {
    for (int j = 0; j < size_; ++j)
      for (int i = j; i < size_; ++i)
        *bounds++ = i == j ? 0.0 : -std::numeric_limits<double>::infinity();
  }

  bool even(int a) const override {
    int j = 0;
    while (a >= size_ - j) a -= size_ - j++;
    return a == 0;
  }

  void lambda(const double* theta, double* lambda) const override {
    for (int j = 0; j < size_; ++j)
      for (int i = 0; i < size_; ++i) lambda[j * size_ + i] = i < j ? 0.0 : *theta++;
  }

  void derivative(const double*, int a, double* dlambda) const override {
    std::fill_n(dlambda, size_ * size_, 0.0);
    int j = 0;
    while (a >= size_ - j) a -= size_ - j++;
    dlambda[j * size_ + j + a] = 1.0;
  }

  void basis(int a, double* E) const override {
    derivative(nullptr, a, E);  // the place of theta_a in the lower triangle
    for (int j = 0; j < size_; ++j)
      for (int i = j + 1; i < size_; ++i) E[i * size_ + j] = E[j * size_ + i];
  }

  void from_factor(const double* factor, double* theta) const override {
    std::vector<double> L(static_cast<std::size_t>(size_ * size_));
    triangular_factor(factor, size_, L.data());
    for (int j = 0; j < size_; ++j)
      for (int i = j; i < size_; ++i) *theta++ = L[static_cast<std::size_t>(j * size_ + i)];
  }

  void normalize(double* theta) const override {
    for (int j = 0; j < size_; theta += size_ - j++)
      if (*theta < 0.0)
        for (int i = 0; i < size_ - j; ++i) theta[i] = -theta[i];
  }

  std::vector<int> undetermined(const std::vector<bool>&) const override { return {}; }

  std::vector<CovarianceLabel> labels() const override {
    std::vector<CovarianceLabel> all;
    for (int j = 0; j < size_; ++j)
      for (int i = j; i < size_; ++i) all.push_back({Kind::entry, i, j});
    return all;
  }

  std::vector<CovarianceLabel> components() const override {
    std::vector<CovarianceLabel> all;
    for (int j = 0; j < size_; ++j)
      for (int i = j; i < size_; ++i) all.push_back({i == j ? Kind::sd : Kind::correlation, i, j});
    return all;
  }

  void component_values(const double* theta, double* values) const override {
    Eigen::MatrixXd factor(size_, size_);
    lambda(theta, factor.data());
    for (int j = 0; j < size_; ++j)
      for (int i = j; i < size_; ++i)
        *values++ = i == j ? factor.row(i).norm()
                           : factor.row(i).dot(factor.row(j)) /
                                 (factor.row(i).norm() * factor.row(j).norm());
  }

 private:
  int size_;
};

}  // namespace

std::unique_ptr<CovarianceStructure> make_unstructured(int size) {
  return std::make_unique<Unstructured>(size);
}

}  // namespace crossnest
