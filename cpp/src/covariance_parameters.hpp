// theta: the covariance parameters of all terms of a model, one term after the other.
#pragma once

#include <memory>
#include <vector>

#include "crossnest/covariance.hpp"
#include "crossnest/design.hpp"

namespace crossnest {

/// The covariance structures of the terms, which part of theta belongs to which, and the bounds.
class CovarianceParameters {
 public:
  explicit CovarianceParameters(const std::vector<Term>& terms);

  int terms() const { return static_cast<int>(structures_.size()); }
  /// The length of theta.
  int size() const { return static_cast<int>(lower_bounds_.size()); }
  /// Where a term's parameters begin.
  int first(int term) const { return first_[static_cast<std::size_t>(term)]; }
  const CovarianceStructure& of(int term) const {
    return *structures_[static_cast<std::size_t>(term)];
  }

  /// Whether the effects of a term have parameters in common, so that its covariance matrices are
  /// not all there are for effects of any variances or of any variances and correlations.
  bool restricted(int term) const;

  /// Infinite where there is none.
  const std::vector<double>& lower_bounds() const { return lower_bounds_; }
  const std::vector<double>& upper_bounds() const { return upper_bounds_; }
  /// The bounds that a search must not pass: those of parameters that are not even.
  const std::vector<double>& lower_barriers() const { return lower_barriers_; }
  const std::vector<double>& upper_barriers() const { return upper_bounds_; }
  /// Throws std::invalid_argument unless theta has the right length, is finite and within bounds.
  void check(const std::vector<double>& theta) const;
  /// Whether a parameter is within 1e-4 of a bound (lme4's isSingular uses the same number).
  bool at_bound(int parameter, double value) const;

  /// Whether theta consists of scales only, so that its logarithm may be optimized.
  bool scales_only() const;
  /// Whether every covariance matrix is linear in parameters: see CovarianceStructure::linear().
  bool is_linear() const;
  /// Whether every lambda is linear in theta.
  bool has_linear_factors() const;

  /// Moves theta within the bounds; the covariance matrices stay: columns of lambda change sign.
  void normalize(double* theta) const;
  /// Multiplies lambda of every term by a factor.
  void scale(double factor, double* theta) const;

 private:
  std::vector<std::unique_ptr<CovarianceStructure>> structures_;  // by term
  std::vector<int> first_;                                        // by term
  std::vector<double> lower_bounds_, upper_bounds_, lower_barriers_;
};

}  // namespace crossnest
