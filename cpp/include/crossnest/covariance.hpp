// Covariance structures of one random-effects term: theta -> lambda.
#pragma once

#include <memory>
#include <string>

namespace crossnest {

/// The relative covariance factor lambda (k x k, column-major) of one term, as a function of its
/// covariance parameters theta: the random effects of each level have covariance
/// sigma^2 lambda lambda'.
///
/// The engine knows a structure by this interface alone. It never needs lambda to be triangular.
class CovarianceStructure {
 public:
  /// Changes of coordinates b -> T b that map the structure onto itself. The engine uses the widest
  /// one to give random-effects covariates unit scale before it optimizes.
  enum class ClosedUnder { any, diagonal, scalar };

  virtual ~CovarianceStructure() = default;

  /// k, the number of random effects of each level.
  virtual int size() const = 0;
  /// The number of covariance parameters.
  virtual int parameters() const = 0;
  /// Lower bounds of theta (length parameters()); -infinity where there is none.
  virtual void lower_bounds(double* bounds) const = 0;
  /// theta -> lambda (k x k, overwritten).
  virtual void lambda(const double* theta, double* lambda) const = 0;
  /// d lambda / d theta_a (k x k, overwritten).
  virtual void derivative(const double* theta, int a, double* dlambda) const = 0;
  /// E_a, the a-th of parameters() symmetric matrices (k x k, overwritten) that span the
  /// covariance matrices lambda lambda'; they are orthogonal in the Frobenius product.
  virtual void basis(int a, double* E) const = 0;
  /// The theta whose lambda lambda' equals, or is nearest to, factor factor' (any k x k factor).
  virtual void from_factor(const double* factor, double* theta) const = 0;
  /// Moves theta within its bounds without changing lambda lambda'. A bound of zero on the diagonal
  /// of lambda is no barrier, only a choice between lambda and lambda with a column's sign changed,
  /// so the optimizer crosses it freely; lambda() and derivative() must therefore take any real
  /// theta.
  virtual void normalize(double* theta) const = 0;
  virtual ClosedUnder closed_under() const = 0;
  /// Whether every parameter is a scale that may be optimized by its logarithm.
  virtual bool scales_only() const = 0;

  /// gradient_a = sum_ij dlambda_ij d lambda_ij / d theta_a: the chain rule. `scratch` is k x k.
  void pull_back(const double* theta, const double* dlambda, double* gradient,
                 double* scratch) const;
};

/// lambda lower triangular, theta its lower triangle column by column, diagonals >= 0 (lme4's).
class Unstructured final : public CovarianceStructure {
 public:
  explicit Unstructured(int size) : size_(size) {}
  int size() const override { return size_; }
  int parameters() const override { return size_ * (size_ + 1) / 2; }
  void lower_bounds(double* bounds) const override;
  void lambda(const double* theta, double* lambda) const override;
  void derivative(const double* theta, int a, double* dlambda) const override;
  void basis(int a, double* E) const override;
  void from_factor(const double* factor, double* theta) const override;
  void normalize(double* theta) const override;
  ClosedUnder closed_under() const override { return ClosedUnder::any; }
  bool scales_only() const override { return size_ == 1; }

 private:
  int size_;
};

/// lambda diagonal, theta its diagonal, all >= 0.
class Diagonal final : public CovarianceStructure {
 public:
  explicit Diagonal(int size) : size_(size) {}
  int size() const override { return size_; }
  int parameters() const override { return size_; }
  void lower_bounds(double* bounds) const override;
  void lambda(const double* theta, double* lambda) const override;
  void derivative(const double* theta, int a, double* dlambda) const override;
  void basis(int a, double* E) const override;
  void from_factor(const double* factor, double* theta) const override;
  void normalize(double* theta) const override;
  ClosedUnder closed_under() const override { return ClosedUnder::diagonal; }
  bool scales_only() const override { return true; }

 private:
  int size_;
};

/// The structure of a name: "unstructured" or "diagonal". Throws std::invalid_argument on another.
std::unique_ptr<CovarianceStructure> make_structure(const std::string& name, int size);

/// Lower-triangular L with LL' = covariance (k x k, column-major, overwritten by L, zeros above).
/// Semidefinite matrices give zero columns; the diagonal is >= 0.
void semidefinite_cholesky(double* covariance, int k);

}  // namespace crossnest
