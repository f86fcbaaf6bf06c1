// Covariance structures that are standard deviations times correlations of one parameter.
#pragma once

#include "crossnest/covariance.hpp"

namespace crossnest {

/// lambda lambda' = D C D with C = C(rho) the correlation matrix and D = diag(sd_1, ..., sd_k), or
/// D = sd I where the structure is homogeneous; lambda = D R, with R the lower-triangular factor of
/// C. theta = (sd_1, ..., sd_k, rho) or (sd, rho), the standard deviations relative to sigma. One
/// effect alone has no rho.
///
/// A structure says what C and R are. R has no derivative where C is singular, which it may be at
/// the bounds of rho: it is asked for at rho kept off them, where C is the same but for rounding.
class CorrelationStructure : public CovarianceStructure {
 public:
  CorrelationStructure(int size, bool homogeneous) : size_(size), homogeneous_(homogeneous) {}

  int size() const override { return size_; }
  int parameters() const override { return scales() + (size_ > 1 ? 1 : 0); }
  void lower_bounds(double* bounds) const override;
  void upper_bounds(double* bounds) const override;
  /// Only the one standard deviation of a homogeneous structure: the signs of several matter.
  bool even(int a) const override { return scales() == 1 && a == 0; }
  void lambda(const double* theta, double* lambda) const override;
  void derivative(const double* theta, int a, double* dlambda) const override;
  void covariance_derivative(const double* theta, int a, double* out) const override;
  void covariance_second_derivative(const double* theta, int a, int b, double* out) const override;
  bool linear_factor() const override { return size_ == 1; }
  int basis_size() const override;
  void basis(int a, double* E) const override;
  void from_factor(const double* factor, double* theta) const override;
  void rescale(const double* scales, double* theta) const override;
  void normalize(double* theta) const override;
  ClosedUnder closed_under() const override {
    return homogeneous_ ? ClosedUnder::scalar : ClosedUnder::diagonal;
  }
  bool scales_only() const override { return size_ == 1; }
  std::vector<int> undetermined(const std::vector<bool>& unseen) const override;
  std::vector<CovarianceLabel> labels() const override;

 protected:
  /// The least rho; the largest is one.
  virtual double least() const = 0;
  /// C_ij, i != j, or its first or second derivative in rho.
  virtual double correlation(int i, int j, double rho, int derivative) const = 0;
  /// R_ij, i >= j, and its derivative in rho, for rho off its bounds.
  virtual double root(int i, int j, double rho) const = 0;
  virtual double root_derivative(int i, int j, double rho) const = 0;
  /// Pairs of effects with one correlation whatever rho is belong to one of the patterns.
  virtual int patterns() const = 0;
  virtual int pattern(int i, int j) const = 0;

 private:
  int scales() const { return homogeneous_ ? 1 : size_; }
  int scale_of(int effect) const { return homogeneous_ ? 0 : effect; }
  double inside(double rho) const;
  double rho(const double* theta) const { return size_ > 1 ? theta[scales()] : 0.0; }
  double nearest_rho(const double* covariance) const;

  int size_;
  bool homogeneous_;
};

}  // namespace crossnest
