// A linear mixed model before any response: its data reduced to cross-products.
#pragma once

#include <memory>
#include <vector>

#include "crossnest/blocks.hpp"
#include "crossnest/coordinates.hpp"
#include "crossnest/cross_products.hpp"
#include "crossnest/identifiability.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/response.hpp"
#include "crossnest/structure.hpp"
#include "crossnest/wide_search.hpp"

namespace crossnest {

struct ModelOptions {
  int threads = 0;  ///< 0: all cores
  /// Bytes for cross-products, factor and workspace; 0: nine tenths of the machine's memory.
  std::size_t memory_limit = 0;
  TailKind tail = TailKind::automatic;
  const DenseKernels* kernels = nullptr;  ///< nullptr: Eigen's
};

/// What all fits of the same X and Z share: coordinates, cross-products of [Z X] and their pattern,
/// the order of elimination, what the data cannot tell. Nobody changes it once it is made, so any
/// number of threads may look at it.
///
///     Model model(design, options);
///     Response response = model.read(y);
///     Evaluator evaluator(model);
///     Fit found = fit(evaluator, response, true);
///
/// The arrays the design points at must outlive the model.
class Model {
 public:
  /// Polls `interrupt`; throws std::invalid_argument, FitError or MemoryLimitError.
  explicit Model(Design design, const ModelOptions& options = ModelOptions(),
                 InterruptCheck interrupt = InterruptCheck());

  /// What a response (n numbers less the offset, which must outlive it) contributes. Throws where
  /// it cannot be fitted, see require_fittable().
  Response read(const double* y, InterruptCheck interrupt = InterruptCheck()) const;
  /// The parameters held with a response that was read, see held_parameters().
  std::vector<HeldParameter> held(const Response& response) const;

  const Design& design() const { return design_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const Coordinates& coordinates() const { return *coordinates_; }
  const CrossProducts& cross_products() const { return *A_; }
  const Structure& structure() const { return *structure_; }
  const DenseKernels& kernels() const { return kernels_; }
  /// What of the random effects' covariance the data do not determine.
  const Identifiability& identifiability() const { return identifiability_; }
  const WeightSpread& weight_spread() const { return weight_spread_; }
  /// Whether the criterion may have minima far apart: see WideStarts.
  bool may_have_several_minima() const;
  int threads() const { return threads_; }
  /// Bytes that cross-products, factor and workspace may take; 0 where that is not known.
  std::size_t memory_limit() const { return memory_limit_; }
  /// The kept columns of X, increasing.
  const std::vector<Index>& pivot() const { return coordinates_->pivot(); }
  /// Bounds of theta, infinite where there is none.
  const std::vector<double>& lower_bounds() const { return lower_bounds_; }
  const std::vector<double>& upper_bounds() const { return upper_bounds_; }
  int parameters() const { return static_cast<int>(lower_bounds_.size()); }
  /// Throws std::invalid_argument unless theta is one of the model's, on the user's scale.
  void check(const std::vector<double>& theta) const;

 private:
  void set_bounds();
  void find_confounded(ThreadPool& pool, InterruptCheck& interrupt);
  void check_memory(double cross_products, double factor) const;

  Design design_;
  const DenseKernels& kernels_;
  std::size_t memory_limit_;
  int threads_;
  WeightSpread weight_spread_;
  std::vector<Block> blocks_;
  std::vector<double> lower_bounds_, upper_bounds_;
  std::unique_ptr<Coordinates> coordinates_;
  std::unique_ptr<CrossProducts> A_;
  Identifiability identifiability_;
  std::unique_ptr<Structure> structure_;
};

}  // namespace crossnest
