// The deviance with one parameter of the model held at a value, as an objective.
#pragma once

#include <utility>
#include <vector>

#include "criterion.hpp"
#include "eigen_products.hpp"
#include "objective.hpp"
#include "profile_parameters.hpp"

namespace crossnest {

/// The ML deviance as a function of z = (t, x): t is the parameter of interest, x whatever else is
/// not profiled out in closed form, so that minimizing over x with t fixed is the constrained
/// refit: as an objective it is d(x), t where fix() puts it.
///
///     d = log|Omega| + n log(2 pi sigma^2) + r2 / sigma^2 - sum log w,
///     r2 = |F [-beta; 1]|^2 at the best beta (that agrees with t)
///
/// with F of Factor. sigma^2 = r2 / n unless the constraint involves it.
/// - Fixed effect c'beta = t: beta = beta^ + C^-1 c (t - c'beta^) / kappa and r2 grows by
///   (t - c'beta^)^2 / kappa, kappa = c'C^-1 c; x = theta.
/// - sigma: t = log sigma, x = theta.
/// - sd or correlation of a structure whose parameters are these themselves: theta_a is t / sigma
/// or
///   t; x = its other parameters, theta of the other terms, with an sd log sigma.
/// - sd of effect i of an unstructured term: with the effects of the term permuted so that i comes
/// first, the first entry
///   of its lambda is t / sigma; x = the other entries, theta of the other terms, log sigma.
/// - correlation of i and j: with i and j first, lambda's row of i is (e^a, 0, ...), that of j is
///   e^b (sin t, cos t, 0, ...); x = a, b, the other entries, theta of the other terms.
///
/// t has bounds; x has those of parameters in which d is not even (Criterion::lower_barriers()).
class ConstrainedDeviance final : public Objective {
 public:
  ConstrainedDeviance(Criterion& criterion, const ProfileParameter& parameter,
                      InterruptCheck& interrupt);

  /// Fixes t.
  void fix(double t) { t_ = t; }
  /// Bounds of t.
  double least() const { return lower_(0); }
  double most() const { return upper_(0); }
  double lower(Eigen::Index i) const override { return lower_(i); }
  double upper(Eigen::Index i) const override { return upper_(i); }
  /// t in units in which a change of one is large.
  double unit() const { return unit_; }
  /// The parameter on the scale it is reported on.
  double parameter_at(double t) const;
  /// The components of x.
  std::vector<Eigen::Index> free() const;

  /// Length of z.
  Eigen::Index parameters() const override { return size_; }
  bool has_hessian() const override { return false; }
  double rounding_error() override;
  bool is_free(Eigen::Index i) const override;
  void impose(Eigen::VectorXd& z) const override { z(0) = t_; }
  std::vector<Eigen::VectorXd> other_starts() const override { return starts_; }
  /// d is even in a scale, so that its gradient vanishes at zero whether or not that is a minimum.
  bool escape(Eigen::VectorXd& z, double value) override;

  /// z of an unconstrained theta (engine's coordinates). False when the parameter is not defined
  /// there: a correlation of an effect whose standard deviation is zero.
  bool start(const std::vector<double>& from, Eigen::VectorXd& z);
  /// Where else the optimum may have to be sought: a correlation may have any value where one of
  /// its standard deviations is zero; and, if `thorough`, from the criterion's other starts.
  void find_other_starts(const Eigen::VectorXd& z, bool thorough);
  /// theta (engine's coordinates) of a z.
  std::vector<double> theta(const Eigen::VectorXd& z);

  /// Every parameter of the model (in the order of profile_parameters(), user's scale) at the z of
  /// the last value(). A correlation of an effect whose standard deviation is zero is NaN.
  std::vector<double> estimates() const;

 private:
  struct Entry {  // z(index) times scale is entry (row, column) of the constrained term's factor
    int row, column;
    double scale;
    Eigen::Index index;
  };

  double evaluate(const Eigen::VectorXd& z) override;
  void differentiate(Eigen::VectorXd& gradient, Eigen::MatrixXd* hessian) override;
  double difference(const Eigen::VectorXd& z, Eigen::Index i) const override;
  void lay_out_term();
  void lay_out_parameters(int term);
  void set_bounds();
  void set_own(const Eigen::VectorXd& z);
  bool correlates(const Eigen::VectorXd& z) const;
  bool start_on_term(double sigma, Eigen::VectorXd& z) const;
  void set_lambda(const Eigen::VectorXd& z);
  void set_constrained(const Eigen::VectorXd& z);
  void set_response(const Eigen::VectorXd& z);
  void add_constrained(Eigen::VectorXd& gradient) const;
  bool is(ProfileParameter::Kind kind) const { return parameter_.kind == kind; }
  bool on_term() const {
    return is(ProfileParameter::Kind::sd) || is(ProfileParameter::Kind::correlation);
  }
  /// Whether a term's components are its parameters themselves.
  bool is_own(int term) const { return own_[static_cast<std::size_t>(term)]; }
  Eigen::Index log_sigma() const { return is(ProfileParameter::Kind::sigma) ? 0 : size_ - 1; }

  Criterion& criterion_;
  const Coordinates& coordinates_;
  ProfileParameter parameter_;
  double n_;
  double t_ = 0.0;
  Eigen::Index size_ = 1;
  double unit_ = 1.0;
  std::vector<Eigen::Index> first_;   // by term: where its parameters begin in z
  std::vector<bool> own_;             // by term: see is_own()
  std::vector<Eigen::Index> scales_;  // entries of lambda whose sign does not matter
  std::vector<Eigen::VectorXd> starts_;
  std::vector<std::pair<Eigen::Index, int>> held_;  // where in z, which parameter
  Eigen::VectorXd lower_, upper_;
  int first_effect_ = 0, second_effect_ = 0;  // of the constraint
  Eigen::VectorXd theta_;                     // of the constrained term, where is_own()
  std::vector<Eigen::Index> place_;           // where in z each of them is
  std::vector<Entry> entries_;                // the constrained term's free entries
  std::vector<int> permutation_;              // its effects, those of the constraint first
  Eigen::VectorXd c_;                         // beta_j = c'beta in the engine's coordinates of X
  double shift_ = 0.0;                        // what beta0 contributes to beta_j

  Eigen::VectorXd z_;                        // the last one
  std::vector<std::vector<double>> lambda_;  // by term, engine's coordinates
  Eigen::MatrixXd factor_;                   // of the constrained term, user's scale
  double excess_ = 0.0;                      // (t - c'beta^) / kappa
  double r2_ = 0.0, sigma2_ = 0.0;           // engine's scale of y
  std::vector<double> direction_;            // F [-beta; 1] / sqrt(r2), border
  std::vector<double> scratch_;
};

}  // namespace crossnest
