// The library's front door: a linear mixed model prepared for fitting.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crossnest/conditional_covariance.hpp"
#include "crossnest/criterion.hpp"
#include "crossnest/identifiability.hpp"
#include "crossnest/information.hpp"
#include "crossnest/optimizer_options.hpp"
#include "crossnest/profile.hpp"
#include "crossnest/wide_search.hpp"

namespace crossnest {

class Optimizer;

struct ProblemOptions {
  int threads = 0;  ///< 0: all cores
  /// Bytes for cross-products, factor and workspace; 0: nine tenths of the machine's memory.
  std::size_t memory_limit = 0;
  TailKind tail = TailKind::automatic;
  const DenseKernels* kernels = nullptr;  ///< nullptr: Eigen's
};

/// Everything estimated at one theta, on the user's scale.
struct Estimates {
  std::vector<double> theta;  ///< covariance parameters, the terms in the user's order
  bool reml = true;
  double objective = 0.0;      ///< REML criterion or deviance
  double sigma = 0.0;          ///< residual standard deviation
  double pwrss = 0.0;          ///< penalized weighted residual sum of squares
  double log_det_omega = 0.0;  ///< log|Lambda'Z'WZ Lambda + I|
  double log_det_C = 0.0;      ///< log|X'WX - R_ZX'R_ZX| = 2 sum log diag RX
  double nu = 0.0;             ///< n - p (REML) or n (ML)
  std::vector<double> beta;    ///< rank, the kept columns of X
  std::vector<double> RX;      ///< rank x rank, column-major, upper: vcov = sigma^2 (RX'RX)^-1
  std::vector<int> effects;    ///< by term: k
  std::vector<std::vector<double>> u,
      b;                       ///< by term: k x J column-major, a level's effects together
  std::vector<double> fitted;  ///< n, without offset
  std::vector<bool> singular;  ///< by term: lambda singular (a scale below 1e-4 of unit scale)
};

/// The estimates and how they were found.
struct Fit {
  Estimates estimates;
  std::vector<double> start;  ///< theta the search started from, user's scale
  double predicted_decrease = 0.0;
  int evaluations = 0, gradients = 0;
  bool converged = false;
  std::string message;
  double seconds = 0.0;
  std::vector<Confounding> confounded;  ///< what the data do not determine
};

/// A model's data, reduced to cross-products, with all workspace to evaluate and fit it.
///
///     Problem problem(design, options);
///     Fit fit = problem.fit(true);
///
/// The arrays the design points at must outlive the problem. Not for use from several threads at
/// once. Long calls poll the interrupt check and throw Interrupted.
class Problem {
 public:
  Problem(Design design, const ProblemOptions& options,
          InterruptCheck interrupt = InterruptCheck());

  const Design& design() const { return design_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const Structure& structure() const { return *structure_; }
  const Criterion& criterion() const { return *criterion_; }
  const Coordinates& coordinates() const { return *coordinates_; }
  const CrossProducts& cross_products() const { return *A_; }
  const DenseKernels& kernels() const { return kernels_; }
  /// What of the random effects' covariance the data do not determine, and how it is held.
  const Identifiability& identifiability() const { return identifiability_; }
  const WeightSpread& weight_spread() const { return weight_spread_; }
  int threads() const { return pool_.size(); }
  /// Bytes that cross-products, factor and workspace may take; 0 where that is not known.
  std::size_t memory_limit() const { return memory_limit_; }
  /// Throws std::invalid_argument unless theta is one of the model's, on the user's scale.
  void check(const std::vector<double>& theta) const;
  /// The kept columns of X, increasing.
  const std::vector<Index>& pivot() const { return coordinates_->pivot(); }

  /// d(theta); infinity where it cannot be computed.
  double objective(const std::vector<double>& theta, bool reml);
  /// d(theta), and its gradient in `gradient` (left alone when d is infinite).
  double gradient(const std::vector<double>& theta, bool reml, std::vector<double>& gradient);
  /// Everything at a given theta. Throws FitError when the criterion is infinite there.
  Estimates estimates(const std::vector<double>& theta, bool reml);
  /// The optimum, from `start` or, where that is empty, from moments.
  Fit fit(bool reml, const std::vector<double>& start = {},
          const OptimizerOptions& options = OptimizerOptions());

  /// Var(b | y) = sigma^2 Lambda Omega^-1 Lambda' of every level, given theta, sigma and beta; by
  /// term, k x k x J.
  std::vector<std::vector<double>> conditional_variances(const Estimates& at);
  /// The same between any levels, and with the fixed effects. Good until the problem is used again.
  ConditionalCovariance conditional_covariance(const Estimates& at);
  /// Diagonal of the matrix that maps y to the fitted values (n).
  std::vector<double> leverages(const Estimates& at);
  /// Variance of x beta^ + z b^ about x beta + z b for other rows (rows.n); see prediction.hpp.
  std::vector<double> prediction_variances(const Estimates& at, const Design& rows,
                                           const std::vector<bool>& included);

  /// The pieces of the information on the variance parameters: what Kenward and Roger's method
  /// needs. Throws MemoryLimitError, before it starts, when crossed factors have too many levels.
  Information information(const std::vector<double>& theta, bool reml);
  /// The Hessian in (theta, sigma) and the derivatives of Var(beta): what Satterthwaite's method
  /// needs.
  Curvature curvature(const std::vector<double>& theta, bool reml,
                      HessianKind kind = HessianKind::automatic);

  /// Profiles of the deviance about its minimum, which is found first. Must not outlive the
  /// problem, nor be used after set_response().
  Profiler profiler(const OptimizerOptions& options = OptimizerOptions());

  /// Replaces the response (n numbers, which must outlive the problem). X, Z and the structure
  /// stay. When it throws, the response before is in use as if nothing had been asked.
  void set_response(const double* y);

 private:
  void find_confounded();
  void hold();
  bool fits_exactly(std::vector<double> theta, const Estimates& found);
  void fit_exact_response(std::vector<double> theta, Optimizer& optimizer, Fit& fit);
  void check_memory(double cross_products, double factor) const;
  void require_finite(const std::vector<double>& theta, bool reml);
  void fixed_estimates(Estimates& out) const;
  void random_estimates(Estimates& out) const;
  void residuals(Estimates& out);
  double leverage_of_random(const Inverse& omega, Index row, const double* mapped) const;
  VarianceDerivatives& derivatives();
  void read_response(const double* y, InterruptCheck& interrupt);

  Design design_;
  InterruptCheck interrupt_;
  const DenseKernels& kernels_;
  std::size_t memory_limit_;
  WeightSpread weight_spread_;
  ThreadPool pool_;
  std::vector<Block> blocks_;
  std::unique_ptr<Coordinates> coordinates_;
  std::unique_ptr<CrossProducts> A_;
  Identifiability identifiability_;
  std::unique_ptr<Structure> structure_;
  std::unique_ptr<FactorWorkspace> workspace_;
  std::unique_ptr<Criterion> criterion_;
  std::unique_ptr<VarianceDerivatives> derivatives_;  // made when first asked for
};

}  // namespace crossnest
