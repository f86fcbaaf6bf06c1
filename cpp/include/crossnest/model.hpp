// A linear mixed model before any response: its data reduced to cross-products.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "crossnest/block_report.hpp"
#include "crossnest/design.hpp"
#include "crossnest/estimates.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/options.hpp"
#include "crossnest/response.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

class Coordinates;
class CovarianceParameters;
class CrossProducts;
class Structure;
class Sums;
struct Block;
struct Identifiability;
struct WeightSpread;

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
  /// From sums over rows that need not be at hand. `options.threads` are those of the fits.
  explicit Model(const Sums& sums, const ModelOptions& options = ModelOptions(),
                 InterruptCheck interrupt = InterruptCheck());
  Model(Model&&) noexcept;
  ~Model();

  /// What a response (n numbers less the offset, which must outlive it) contributes. Throws where
  /// it cannot be fitted: FitError, a RangeError that names a column, or std::invalid_argument.
  Response read(const double* y, InterruptCheck interrupt = InterruptCheck()) const;
  /// The same of the response in sums over the rows of the model; without fitted values.
  Response read(const Sums& sums) const;
  /// Whether the model has the rows of its data, and not their sums alone.
  bool has_rows() const;
  /// Throws std::invalid_argument where it has not.
  void require_rows() const;
  /// The parameters held with a response that was read.
  std::vector<HeldParameter> held(const Response& response) const;

  const Design& design() const;
  /// The kept columns of X, increasing.
  const std::vector<Index>& pivot() const;
  /// Bounds of theta, infinite where there is none.
  const std::vector<double>& lower_bounds() const;
  const std::vector<double>& upper_bounds() const;
  /// The length of theta.
  int parameters() const;
  /// Throws std::invalid_argument unless theta is one of the model's.
  void check(const std::vector<double>& theta) const;
  /// The parts of the factor, in the order of elimination.
  std::vector<BlockReport> report() const;
  /// What the data cannot tell of the random effects' covariance.
  const std::vector<Confounding>& confounded() const;
  int threads() const;

  // The parts, for the library itself; their headers stand beside its sources.
  const std::vector<Block>& blocks() const;
  const CovarianceParameters& covariance() const;
  const Coordinates& coordinates() const;
  const CrossProducts& cross_products() const;
  const Structure& structure() const;
  const Identifiability& identifiability() const;
  const WeightSpread& weight_spread() const;
  /// Whether the criterion may have minima far apart: see WideStarts.
  bool may_have_several_minima() const;
  const DenseKernels& kernels() const;
  /// Bytes that cross-products, factor and workspace may take; 0 where that is not known.
  std::size_t memory_limit() const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace crossnest
