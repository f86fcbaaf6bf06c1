// Starts for a criterion that may have several minima far apart.
#pragma once

#include <vector>

#include "criterion.hpp"
#include "cross_products.hpp"
#include "eigen_products.hpp"

namespace crossnest {

/// How far the weights spread.
struct WeightSpread {
  double ratio = 1.0;    ///< the largest weight over the smallest
  double typical = 0.0;  ///< their geometric mean over their sum; 1 / n without weights

  WeightSpread() = default;
  WeightSpread(const Design& design, InterruptCheck& interrupt);
  /// Whether the criterion may have several minima on that account: rows of different weights speak
  /// for different theta, each at its own order of magnitude.
  bool wide() const { return ratio > 100.0; }
};

class Objective;

/// Starts over the whole range of theta, where evaluations cost next to nothing.
///
/// Scattered points: theta is sampled, the scale of each effect log-uniform between what the
/// heaviest level can show and what a typical row can, and each point lower than all its neighbours
/// is a start (multi-level single linkage: Rinnooy Kan and Timmer 1987, Mathematical Programming
/// 39, 57-78). Then, around the best minimum known: the minima along rays through it, on which the
/// scales of one effect, of one term or of all terms change together, and the faces where an effect
/// is a linear function of those before it. Held parameters keep their values.
class WideStarts {
 public:
  /// The criterion must outlive the starts.
  WideStarts(const Criterion& criterion, const std::vector<Block>& blocks, const CrossProducts& A,
             const WeightSpread& weights);

  /// The lowest first. `objective` is d of the criterion, and says what is free.
  std::vector<Eigen::VectorXd> scattered(Objective& objective) const;
  std::vector<Eigen::VectorXd> around(Objective& objective, const Eigen::VectorXd& theta) const;

 private:
  using Lambdas = std::vector<Eigen::MatrixXd>;  // by term

  struct Start {
    Eigen::VectorXd theta;
    double value;
  };

  static std::vector<Eigen::VectorXd> lowest(std::vector<Start> starts, std::size_t most);
  static std::vector<Eigen::Index> free(const Objective& objective);
  Eigen::VectorXd place(const Objective& objective, const std::vector<Eigen::Index>& free,
                        const double* point) const;
  Eigen::MatrixXd sample(int term, const double* point) const;
  void add_minima_along(Objective& objective, const Lambdas& at, int term, int effect,
                        std::vector<Start>& starts) const;
  void add_faces(Objective& objective, const Lambdas& at, int term,
                 std::vector<Start>& starts) const;
  Lambdas lambdas(const Eigen::VectorXd& theta) const;
  Eigen::VectorXd theta(const Objective& objective, const Lambdas& lambdas) const;
  int terms() const { return static_cast<int>(low_.size()); }

  const Criterion& criterion_;
  std::vector<std::vector<double>> low_, high_;  // by term and effect: log of the scales sampled
};

}  // namespace crossnest
