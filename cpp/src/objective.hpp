// A function to be minimized, and what a search may ask of it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "crossnest/interrupt.hpp"
#include "eigen_products.hpp"

namespace crossnest {

/// A function d(x) of parameters x, with its derivatives, its bounds and the starts that suit it.
/// An Optimizer knows nothing else of what it minimizes.
///
/// A derived class has to say d and its gradient; all other questions have a plain answer.
class Objective {
 public:
  /// The interrupt check, which must outlive the objective, is polled before each evaluation.
  explicit Objective(InterruptCheck& interrupt) : interrupt_(interrupt) {}
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  /// d(x); infinite where it cannot be computed.
  double value(const Eigen::VectorXd& x);
  /// The gradient at the x of the last value(), which must have been finite; with `hessian` also
  /// an approximation of the Hessian, where has_hessian() says that there is one.
  void gradient(Eigen::VectorXd& gradient, Eigen::MatrixXd* hessian = nullptr);
  /// Whether the last value() was at x.
  bool is_at(const Eigen::VectorXd& x) const { return at_.size() == x.size() && at_ == x; }
  /// The Hessian in the parameters `over` (zero in the others), which the derivatives as they are
  /// written need not say: by differences of the gradient, where that at x is `gradient`. False
  /// where it cannot be computed. The last value() is another one afterwards.
  virtual bool exact_hessian(const Eigen::VectorXd& x, const Eigen::VectorXd& gradient,
                             const std::vector<Eigen::Index>& over, Eigen::MatrixXd& hessian);

  /// Calls this after each evaluation, with evaluations().
  void after_each(std::function<void(int)> report) { report_ = std::move(report); }

  /// Evaluations and gradients so far.
  int evaluations() const { return evaluations_; }
  int gradients() const { return gradients_; }

  /// Length of x.
  virtual Eigen::Index parameters() const = 0;
  /// Multiply-adds of an evaluation, about.
  virtual double work() const { return 0.0; }
  /// Whether gradient() can give an approximate Hessian, and whether it still can after gradient()
  /// at the same x.
  virtual bool has_hessian() const { return true; }
  virtual bool keeps_hessian() const { return true; }
  /// How far off rounding may put the last value(), which must have been finite.
  virtual double rounding_error();

  /// Whether parameter i is searched over; the others have the values of impose().
  virtual bool is_free(Eigen::Index) const { return true; }
  virtual void impose(Eigen::VectorXd&) const {}
  /// Bounds that x must not pass. A sign that does not matter is no bound: see normalize().
  virtual double lower(Eigen::Index i) const;
  virtual double upper(Eigen::Index i) const;
  /// Moves x to the one among those with the same d that is reported.
  virtual void normalize(Eigen::VectorXd&) const {}
  /// Whether all parameters are scales that may be sought by their logarithms: positive, but for
  /// zero, where d is even.
  virtual bool scales_only() const { return false; }

  /// Called where a search begins, in logarithms or not.
  virtual void begin_search(bool) {}
  /// Whether there is an x, put in its place, to start from where d cannot be computed.
  virtual bool fall_back(Eigen::VectorXd&) const { return false; }
  /// Starts from other sides than the one given, for a d with several minima.
  virtual std::vector<Eigen::VectorXd> other_starts() const { return {}; }
  /// Whether d may have minima at other orders of magnitude. Then also the lowest of starts
  /// scattered over the whole range, and starts that depend on the best minimum known.
  virtual bool is_wide() const { return false; }
  virtual std::vector<Eigen::VectorXd> scattered_starts() { return {}; }
  virtual std::vector<Eigen::VectorXd> starts_around(const Eigen::VectorXd&) { return {}; }
  /// Whether x lies on a boundary of the model, where other minima are likely.
  virtual bool is_on_boundary(const Eigen::VectorXd&) const { return false; }

  /// Whether d, which is `value` at the stationary point x, falls along a direction that the
  /// gradient does not show; if so x becomes a lower point.
  virtual bool escape(Eigen::VectorXd&, double) { return false; }
  /// Whether parameters of x are so near to where d has a symmetry that the search may go on with
  /// them there, which x then has.
  virtual bool settle(Eigen::VectorXd&) const { return false; }
  /// Whether parameters of x are so small that zero may be as good; x then has them so.
  virtual bool snap(Eigen::VectorXd&) const { return false; }

 protected:
  InterruptCheck& interrupt() { return interrupt_; }

 private:
  virtual double evaluate(const Eigen::VectorXd& x) = 0;
  virtual void differentiate(Eigen::VectorXd& gradient, Eigen::MatrixXd* hessian) = 0;
  /// The step of differences in parameter i.
  virtual double difference(const Eigen::VectorXd& x, Eigen::Index i) const;

  InterruptCheck& interrupt_;
  Eigen::VectorXd at_;  // the x of the last value()
  double last_ = 0.0;   // it
  int evaluations_ = 0, gradients_ = 0;
  std::function<void(int)> report_;
};

}  // namespace crossnest
