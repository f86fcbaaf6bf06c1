// Covariance structures of one random-effects term: theta -> lambda.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace crossnest {

/// What one number that describes a covariance matrix is.
struct CovarianceLabel {
  enum class Kind {
    entry,       ///< entry (row, column) of lambda
    sd,          ///< standard deviation of effect `row` (`column` is the same)
    correlation  ///< correlation of effects `row` and `column`
  };
  static constexpr int kAll = -1;  ///< in place of an effect: all effects alike
  Kind kind;
  int row = kAll;
  int column = kAll;
};

/// The relative covariance factor lambda (k x k, column-major) of one term, as a function of its
/// covariance parameters theta: the random effects of each level have covariance
/// sigma^2 lambda lambda'.
///
/// The engine knows a structure by this interface alone. lambda is lower triangular.
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
  /// Bounds of theta (length parameters()); infinite where there is none.
  virtual void lower_bounds(double* bounds) const = 0;
  virtual void upper_bounds(double* bounds) const;
  /// Whether the criterion is even about theta_a = 0, its lower bound: the bound is then no
  /// barrier, only a choice between lambda and lambda with the sign of a column changed, and the
  /// optimizer crosses it freely. lambda() and derivative() take any real theta_a.
  virtual bool even(int a) const = 0;
  /// theta -> lambda (k x k, overwritten).
  virtual void lambda(const double* theta, double* lambda) const = 0;
  /// d lambda / d theta_a (k x k, overwritten).
  virtual void derivative(const double* theta, int a, double* dlambda) const = 0;
  /// d (lambda lambda') / d theta_a and d^2 (lambda lambda') / d theta_a d theta_b (k x k,
  /// overwritten), finite also where lambda has no derivative because it is singular. As they
  /// stand, of a lambda that is linear in theta.
  virtual void covariance_derivative(const double* theta, int a, double* out) const;
  virtual void covariance_second_derivative(const double* theta, int a, int b, double* out) const;
  /// Whether lambda is linear in theta.
  virtual bool linear_factor() const { return true; }
  /// E_a, the a-th of basis_size() symmetric matrices (k x k, overwritten), orthogonal in the
  /// Frobenius product, that span the covariance matrices lambda lambda'. Where there are as many
  /// as parameters, lambda lambda' is linear in parameters, and the a-th goes with theta_a.
  virtual int basis_size() const { return parameters(); }
  virtual void basis(int a, double* E) const = 0;
  bool linear() const { return basis_size() == parameters(); }
  /// The theta whose lambda lambda' equals, or is nearest to, factor factor' (any k x k factor).
  virtual void from_factor(const double* factor, double* theta) const = 0;
  /// The theta whose lambda is diag(scales) times that of `theta` (in place), for scales under
  /// which the structure is closed. As it stands, by from_factor().
  virtual void rescale(const double* scales, double* theta) const;
  /// Moves theta within its bounds, without changing lambda lambda' where only even parameters are
  /// outside.
  virtual void normalize(double* theta) const = 0;
  virtual ClosedUnder closed_under() const = 0;
  /// Whether every parameter is a scale that may be optimized by its logarithm.
  virtual bool scales_only() const = 0;
  /// Which parameters (increasing) the data say nothing about when they say nothing about some of
  /// the effects (one flag for each). Not asked of structures closed under any change.
  virtual std::vector<int> undetermined(const std::vector<bool>& unseen) const = 0;

  /// What each theta is.
  virtual std::vector<CovarianceLabel> labels() const = 0;
  /// The standard deviations and correlations by which the structure is reported and profiled, and
  /// their values at a theta, the standard deviations relative to sigma. A correlation of an effect
  /// without variance is NaN. As they stand, theta itself.
  virtual std::vector<CovarianceLabel> components() const { return labels(); }
  virtual void component_values(const double* theta, double* values) const;

  /// gradient_a = sum_ij dlambda_ij d lambda_ij / d theta_a: the chain rule. `scratch` is k x k.
  void pull_back(const double* theta, const double* dlambda, double* gradient,
                 double* scratch) const;
  /// Multiplies lambda by a factor.
  void scale(double factor, double* theta) const;
};

/// A structure as formulas and people call it.
struct CovarianceStructureName {
  std::string name;  ///< see make_covariance_structure()
  std::string word;  ///< in formulas, as in word(x | g); several names may share one
  /// Whether all effects have one standard deviation (formulas: hom = TRUE).
  bool homogeneous;
  /// Whether the word means this one where hom is not given.
  bool preferred;
};

/// Every structure there is.
const std::vector<CovarianceStructureName>& covariance_structures();

/// The structure of a name, for k effects. Throws std::invalid_argument on an unknown one.
std::unique_ptr<CovarianceStructure> make_covariance_structure(const std::string& name, int size);

/// Lower-triangular L with LL' = factor factor' (both k x k, column-major); its diagonal is >= 0.
void triangular_factor(const double* factor, int k, double* L);

/// Lower-triangular L with LL' = covariance (k x k, column-major, overwritten by L, zeros above).
/// Semidefinite matrices give zero columns; the diagonal is >= 0.
void semidefinite_cholesky(double* covariance, int k);

}  // namespace crossnest
