// The profiled deviance or REML criterion as an objective.
#pragma once

#include <optional>
#include <vector>

#include "criterion.hpp"
#include "eigen_decompositions.hpp"
#include "objective.hpp"
#include "wide_search.hpp"

namespace crossnest {

/// d(theta) in the engine's coordinates.
///
/// d is even in the columns of lambda: a bound of zero is crossed freely, the sign put right by
/// normalize(). So the gradient vanishes where a column is zero, whether that is a minimum or not.
/// Where a stationary point has a singular lambda, the derivative of d in the covariance matrix
/// itself decides: along a direction in which it is negative escape() adds variance.
class ProfiledCriterion final : public Objective {
 public:
  /// `work`: multiply-adds of an evaluation. The arguments must outlive the objective.
  ProfiledCriterion(Criterion& criterion, bool reml, double work, InterruptCheck& interrupt);

  /// Lets minima be sought over the whole range of theta, where weights spread so far that the
  /// criterion may have several far apart; the arguments must outlive the objective.
  void search_widely(const std::vector<Block>& blocks, const CrossProducts& A,
                     const WeightSpread& weights);

  bool reml() const { return reml_; }
  Criterion& criterion() { return criterion_; }

  Eigen::Index parameters() const override { return criterion_.parameters(); }
  double work() const override { return work_; }
  bool keeps_hessian() const override { return criterion_.keeps_factor(); }
  double rounding_error() override { return criterion_.rounding_error(); }
  bool is_free(Eigen::Index i) const override {
    return !criterion_.is_held(static_cast<int>(i), reml_);
  }
  void impose(Eigen::VectorXd& theta) const override { criterion_.impose(theta.data(), reml_); }
  void normalize(Eigen::VectorXd& theta) const override {
    criterion_.covariance().normalize(theta.data());
  }
  double lower(Eigen::Index i) const override;
  double upper(Eigen::Index i) const override;
  bool has_hessian() const override;
  bool scales_only() const override { return criterion_.covariance().scales_only(); }
  bool fall_back(Eigen::VectorXd& theta) const override;
  std::vector<Eigen::VectorXd> other_starts() const override;
  bool is_wide() const override { return wide_.has_value(); }
  std::vector<Eigen::VectorXd> scattered_starts() override;
  std::vector<Eigen::VectorXd> starts_around(const Eigen::VectorXd& theta) override;
  void begin_search(bool logarithms) override;
  bool is_on_boundary(const Eigen::VectorXd& theta) const override;
  bool escape(Eigen::VectorXd& theta, double value) override;
  bool settle(Eigen::VectorXd& theta) const override;
  bool snap(Eigen::VectorXd& theta) const override;

 private:
  /// Of a term: workspace, and what is known of its curvature.
  struct Curvature {
    Eigen::MatrixXd lambda, first, second, product;  // k x k
    Eigen::MatrixXd inverse, N;                      // k x k: lambda^-1, dd / d(lambda lambda')
    Eigen::MatrixXd positive;  // positive part of N where last known, or 0 x 0
    Eigen::PartialPivLU<Eigen::MatrixXd> lu;
    Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen;
  };

  /// A direction along which variance added to a term lowers d.
  struct Direction {
    double slope = 0.0;  // the eigenvalue of N
    int term = -1;
    Eigen::VectorXd vector;
  };

  double evaluate(const Eigen::VectorXd& theta) override;
  void differentiate(Eigen::VectorXd& gradient, Eigen::MatrixXd* hessian) override;
  void add_curvature(int term, Eigen::MatrixXd& hessian);
  void find_covariance_gradient(int term);
  bool is_scale(Eigen::Index i) const;
  bool is_held(int term) const;
  bool enlarge(const Eigen::VectorXd& theta, Eigen::VectorXd& enlarged,
               std::vector<int>& singular) const;
  Direction steepest(const Eigen::VectorXd& enlarged, const std::vector<int>& singular);
  Eigen::VectorXd with_variance(const Eigen::VectorXd& theta, const Direction& direction,
                                double length) const;

  Criterion& criterion_;
  bool reml_;
  double work_;
  bool logarithms_ = false;  // the search's coordinates
  std::optional<WideStarts> wide_;
  Eigen::VectorXd theta_;             // of the last evaluation
  std::vector<Curvature> curvature_;  // by term
};

}  // namespace crossnest
