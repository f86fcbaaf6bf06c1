// Minimization of the criterion over theta.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <string>
#include <vector>

#include "crossnest/criterion.hpp"

namespace crossnest {

struct OptimizerOptions {
  /// Stop when the predicted decrease 1/2 g'H^-1 g of the criterion is below this. A search that
  /// cannot lower the criterion further has converged, too, when it is below the rounding error of
  /// the criterion (Criterion::rounding_error()).
  double tolerance = 1e-9;
  /// Evaluations of the criterion after which a search from one start gives up.
  int max_evaluations = 10000;
  /// Look for a better optimum from other starts when an evaluation takes fewer multiply-adds.
  double cheap = 1e4;
};

/// Where an optimization stopped. theta is in the engine's coordinates.
struct Optimum {
  std::vector<double> theta;
  double objective = 0.0;
  /// 1/2 g'H^-1 g over the parameters not at a bound; infinite where no gradient was computed.
  double predicted_decrease = std::numeric_limits<double>::infinity();
  int evaluations = 0;
  int gradients = 0;
  bool converged = false;
  std::string message;
};

/// Minimizes the criterion from `start` (engine's coordinates).
///
/// Scales only: Newton's method with the average-information matrix in log theta, each step capped
/// and backtracked, theta_a at 1e-4 with the criterion falling towards zero set to zero. Otherwise:
/// Newton steps in theta with the average information and the curvature of lambda lambda', and when
/// those converge slowly (near singular fits) BFGS updates of that Hessian, damped as in Powell
/// (1978).
///
/// d is even in the columns of lambda: a bound of zero is crossed freely, the sign put right at the
/// end. So the gradient vanishes where a column is zero, whether that is a minimum or not. Where a
/// stationary point has a singular lambda, the derivative of d in the covariance matrix itself
/// decides: along a direction in which it is negative the search restarts.
class Optimizer {
 public:
  Optimizer(Criterion& criterion, const std::vector<Block>& blocks, const OptimizerOptions& options,
            InterruptCheck& interrupt);

  Optimum minimize(const std::vector<double>& start, bool reml);

  /// Searches from another start and replaces `best` by what is found where that is lower by more
  /// than rounding errors. A search that arrives at `best` goes no further. Counts the work.
  void improve(Optimum& best, const std::vector<double>& start, bool reml);

 private:
  struct State {
    Eigen::VectorXd x;  // theta or log theta
    double value;
    Eigen::VectorXd gradient;  // in x
    Eigen::MatrixXd hessian;   // in x, positive semidefinite approximation
  };

  Optimum search(const std::vector<double>& start, bool reml);
  double evaluate(const Eigen::VectorXd& theta);
  Optimum newton(const Eigen::VectorXd& start);
  Optimum quasi_newton(const Eigen::VectorXd& start);
  bool is_minimum(State& state);
  /// What a Newton step could bring, 1/2 g'H^-1 g, with the least curvature H that is reckoned
  /// with.
  static double largest_decrease(const State& state);
  double search_along(const State& state, const Eigen::VectorXd& step, State& trial);
  void gradient_in_log(State& state);
  void gradient_and_hessian(State& state);
  void difference_hessian(State& state, const std::vector<Eigen::Index>& free);
  double threshold();
  bool arrives(const Eigen::VectorXd& theta, double value);
  Eigen::MatrixXd covariance_gradient(int term, const Eigen::MatrixXd& lambda) const;
  void last_step(State& state, const Eigen::VectorXd& x, bool logarithmic);
  bool escape(Optimum& optimum);
  void settle(Optimum& optimum);
  void snap_zeros(Optimum& optimum);
  Optimum finish(const State& state, double predicted, bool converged, const char* message) const;

  Criterion& criterion_;
  const std::vector<Block>& blocks_;
  OptimizerOptions options_;
  InterruptCheck& interrupt_;
  std::vector<Eigen::MatrixXd>
      positive_;  // by term: positive part of dd / d(lambda lambda'), last known
  bool reml_ = true;
  const Optimum* known_ = nullptr;  // where the search need not go again
  bool arrived_ = false;            // it did
  int evaluations_ = 0, gradients_ = 0;
};

}  // namespace crossnest
