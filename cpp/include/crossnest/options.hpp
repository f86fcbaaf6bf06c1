// What a caller may choose.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "crossnest/kernels.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

/// How the tail of the factor is held: by predicted cost, or as told.
enum class TailKind { automatic, dense, sparse };

struct ModelOptions {
  int threads = 0;  ///< 0: all cores
  /// Bytes for cross-products, factor and workspace; 0: nine tenths of the machine's memory.
  std::size_t memory_limit = 0;
  TailKind tail = TailKind::automatic;
  const DenseKernels* kernels = nullptr;  ///< nullptr: default_kernels()
};

struct OptimizerOptions {
  /// Stop when the predicted decrease 1/2 g'H^-1 g of the criterion is below this. A search that
  /// cannot lower the criterion further has converged, too, when it is below the rounding error of
  /// the criterion.
  double tolerance = 1e-9;
  /// Evaluations of the criterion after which a search from one start gives up.
  int max_evaluations = 10000;
  /// Look for a better optimum from other starts when an evaluation takes fewer multiply-adds.
  double cheap = 1e4;
  /// Told by fit() after each evaluation how many there have been; may be empty.
  std::function<void(int evaluations)> progress;
};

struct RefitOptions {
  bool reml = true;
  int threads = 0;            ///< 0: those of the model
  std::vector<double> start;  ///< theta tried as a start besides that from moments; may be empty
  OptimizerOptions optimizer;
  /// Told by the calling thread now and then how many responses have been fitted; may be empty.
  std::function<void(Index fitted, Index count)> progress;
};

/// How a Hessian is found: as is cheaper, or as told.
enum class HessianKind { automatic, exact, differences };

}  // namespace crossnest
