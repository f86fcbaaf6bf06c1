// The search for a lower minimum of a criterion that may have several far apart.
#pragma once

#include <vector>

#include "crossnest/cross_products.hpp"
#include "crossnest/optimizer.hpp"

namespace crossnest {

/// How far the weights spread.
struct WeightSpread {
  double ratio = 1.0;    ///< the largest weight over the smallest
  double typical = 0.0;  ///< their geometric mean over their sum

  WeightSpread() = default;
  WeightSpread(const Design& design, InterruptCheck& interrupt);
  /// Whether the criterion may have several minima on that account: rows of different weights speak
  /// for different theta, each at its own order of magnitude.
  bool wide() const { return ratio > 100.0; }
};

/// Looks for minima over the whole range of theta, where evaluations cost next to nothing.
///
/// Scattered points: theta is sampled, the scale of each effect log-uniform between what the
/// heaviest level can show and what a typical row can, and the search starts from each point lower
/// than all its neighbours (multi-level single linkage: Rinnooy Kan and Timmer 1987, Mathematical
/// Programming 39, 57-78). Then, from the best minimum known and for as long as that leads lower:
/// the minima along rays through it, on which the scales of one effect, of one term or of all terms
/// change together, and the faces where an effect is a linear function of those before it. Held
/// parameters keep their values.
class WideSearch {
 public:
  /// All arguments must outlive the search.
  WideSearch(Criterion& criterion, const std::vector<Block>& blocks, const CrossProducts& A,
             const WeightSpread& weights, Optimizer& optimizer, InterruptCheck& interrupt);

  /// Replaces an optimum by a lower one where there is one.
  void improve(Optimum& best, bool reml);

 private:
  using Lambdas = std::vector<Eigen::MatrixXd>;  // by term

  struct Start {
    std::vector<double> theta;
    double value;
  };

  std::vector<Start> scattered();
  std::vector<double> place(const double* point) const;
  std::vector<Start> around(const std::vector<double>& theta);
  void add_minima_along(const Lambdas& at, int term, int effect, std::vector<Start>& starts);
  void add_faces(const Lambdas& at, int term, std::vector<Start>& starts);
  void search(std::vector<Start> starts, std::size_t most, Optimum& best);

  double evaluate(const std::vector<double>& theta);
  Lambdas lambdas(const std::vector<double>& theta) const;
  std::vector<double> theta(const Lambdas& lambdas) const;
  int terms() const { return static_cast<int>(low_.size()); }

  Criterion& criterion_;
  Optimizer& optimizer_;
  InterruptCheck& interrupt_;
  std::vector<std::vector<double>> low_, high_;  // by term and effect: log of the scales sampled
  std::vector<Eigen::Index> free_;               // parameters that are not held
  bool reml_ = true;
  int evaluations_ = 0;
};

}  // namespace crossnest
