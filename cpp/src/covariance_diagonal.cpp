// Independent effects: lambda diagonal, theta its diagonal, all >= 0; one theta where all effects
// have the same standard deviation.
#include <algorithm>
#include <cmath>

#include "crossnest/covariance.hpp"
#include "eigen_products.hpp"

namespace crossnest {

namespace {

class Diagonal final : public CovarianceStructure {
 public:
  Diagonal(int size, bool homogeneous) : size_(size), homogeneous_(homogeneous) {}

  int size() const override { return size_; }
  int parameters() const override { return homogeneous_ ? 1 : size_; }
  bool scales_only() const override { return true; }
  bool even(int) const override { return true; }
  ClosedUnder closed_under() const override {
    return homogeneous_ ? ClosedUnder::scalar : ClosedUnder::diagonal;
  }

  void lower_bounds(double* bounds) const override { std::fill_n(bounds, parameters(), 0.0); }

  void lambda(const double* theta, double* lambda) const override {
    std::fill_n(lambda, size_ * size_, 0.0);
    for (int i = 0; i < size_; ++i) lambda[i * size_ + i] = theta[parameter_of(i)];
  }

  void derivative(const double*, int a, double* dlambda) const override {
    std::fill_n(dlambda, size_ * size_, 0.0);
    for (int i = 0; i < size_; ++i) dlambda[i * size_ + i] = parameter_of(i) == a ? 1.0 : 0.0;
  }

  void basis(int a, double* E) const override { derivative(nullptr, a, E); }

  void from_factor(const double* factor, double* theta) const override {
    const Eigen::Map<const Eigen::MatrixXd> F(factor, size_, size_);
    if (homogeneous_)
      *theta = F.norm() / std::sqrt(static_cast<double>(size_));
    else
      for (int i = 0; i < size_; ++i) theta[i] = F.row(i).norm();
  }

  void normalize(double* theta) const override {
    for (int a = 0; a < parameters(); ++a) theta[a] = std::abs(theta[a]);
  }

  std::vector<int> undetermined(const std::vector<bool>& unseen) const override {
    std::vector<int> found;
    if (homogeneous_) {
      if (std::all_of(unseen.begin(), unseen.end(), [](bool one) { return one; }))
        found.push_back(0);
      return found;
    }
    for (int i = 0; i < size_; ++i)
      if (unseen[static_cast<std::size_t>(i)]) found.push_back(i);
    return found;
  }

  std::vector<CovarianceLabel> labels() const override {
    if (homogeneous_) return {{CovarianceLabel::Kind::sd}};
    std::vector<CovarianceLabel> all;
    for (int i = 0; i < size_; ++i) all.push_back({CovarianceLabel::Kind::sd, i, i});
    return all;
  }

 private:
  int parameter_of(int effect) const { return homogeneous_ ? 0 : effect; }

  int size_;
  bool homogeneous_;
};

}  // namespace

std::unique_ptr<CovarianceStructure> make_diagonal(int size) {
  return std::make_unique<Diagonal>(size, false);
}

std::unique_ptr<CovarianceStructure> make_homogeneous_diagonal(int size) {
  return std::make_unique<Diagonal>(size, true);
}

}  // namespace crossnest
