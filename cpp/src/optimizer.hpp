// The search for a minimum of an objective.
#pragma once

#include <vector>

#include "crossnest/options.hpp"
#include "eigen_products.hpp"
#include "newton_step.hpp"
#include "objective.hpp"
#include "verdict.hpp"

namespace crossnest {

/// Where a search stopped.
struct Optimum {
  std::vector<double> x;
  double value = std::numeric_limits<double>::infinity();
  Verdict verdict;
  int evaluations = 0;
  int gradients = 0;

  bool converged() const { return verdict.converged(); }
};

/// From how many sides a minimum is sought.
enum class Breadth {
  one_start,  ///< from the start given
  in_doubt,   ///< from others too, where that search ends on a boundary or fails
  all_starts  ///< from others too
};

/// Minimizes an objective.
///
/// Newton steps with the Hessian that the objective approximates, and when those converge slowly or
/// are badly predicted, BFGS updates of that Hessian, damped as in Powell (1978); steps are capped,
/// kept within the bounds by an active set, and shortened until the value falls enough (Armijo).
/// Where all parameters are scales the search goes on in their logarithms first, and one that
/// reaches 1e-4 with the value falling towards zero is set to zero. An objective without a Hessian
/// is searched by BFGS from hessian().
///
/// A stationary point is not believed where the objective knows a direction in which it falls after
/// all (Objective::escape()): the search restarts there.
class Optimizer {
 public:
  /// The objective must outlive the optimizer.
  Optimizer(Objective& objective, const OptimizerOptions& options);

  /// The minimum, also from other starts than this where evaluations are cheap
  /// (OptimizerOptions::cheap) and `breadth` says so.
  Optimum find_minimum(const std::vector<double>& start, Breadth breadth);

  /// The minimum that this start leads to.
  Optimum minimize(const std::vector<double>& start);

  /// Looks for a lower minimum from all other starts that the objective knows.
  void look_elsewhere(Optimum& best);

  /// Searches from another start and replaces `best` by what is found where that is lower by more
  /// than rounding errors. A search that arrives at `best` goes no further. Counts the work.
  void improve(Optimum& best, const std::vector<double>& start);

  /// What a search starts with where the objective has no Hessian, and the one it ended with.
  Eigen::MatrixXd& hessian() { return state_.hessian; }

 private:
  /// The coordinates of a search: the parameters themselves, or their logarithms.
  enum class Chart { identity, logarithm };

  struct State {
    Eigen::VectorXd z;  // in the chart
    Eigen::VectorXd x;
    double value = 0.0;
    Eigen::VectorXd gradient;  // in z
    Eigen::MatrixXd hessian;   // in z, an approximation
  };

  /// What a search has learnt of its Hessian.
  struct Model {
    bool recompute;      // after each step, as long as its steps are good
    bool fresh;          // it is computed at z, not updated
    bool exact = false;  // it is the exact one
    int poor = 0;        // steps running that it predicted badly
    int updates = 0;     // of it, since it was computed
    int resets = 0;      // of it, since the last step that lowered the value
    double before = std::numeric_limits<double>::infinity();  // the last predicted decrease
  };

  Optimum search(const std::vector<double>& start);
  Optimum descend(const std::vector<double>& start, Chart chart);
  bool begin(const std::vector<double>& start);
  bool is_minimum();
  void approximate();
  void list_free();
  double find_step();
  void cap_step();
  double search_along();
  bool recover(Model& model);
  bool advance(Model& model, double length);
  void last_step();
  bool arrives(const State& state) const;
  void evaluate(State& state);
  void differentiate(State& state, bool with_hessian);
  double threshold();
  Optimum finish(Verdict::Ending ending);
  void vanish();
  void escape(Optimum& best);
  void settle(Optimum& best);
  void snap(Optimum& best);
  Optimum counted(Optimum optimum, int evaluations, int gradients) const;

  Objective& objective_;
  OptimizerOptions options_;
  Chart chart_ = Chart::identity;
  State state_, trial_;
  std::vector<Eigen::Index> candidates_, free_;  // searched over at all, and in this step
  Eigen::VectorXd lower_, upper_;                // in the chart
  Eigen::VectorXd low_, high_;                   // of the step
  bool bounded_ = false;
  Eigen::VectorXd step_, change_, scratch_;
  Eigen::MatrixXd kept_;  // the Hessian of the best search
  NewtonStep newton_;
  double predicted_ = 0.0;
  const Optimum* known_ = nullptr;  // where the search need not go again
  int limit_ = 0;                   // of objective_.evaluations()
};

}  // namespace crossnest
