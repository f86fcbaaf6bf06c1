// The search for the minimum of the criterion.
#pragma once

#include <string>
#include <vector>

#include "crossnest/estimates.hpp"
#include "crossnest/evaluator.hpp"
#include "crossnest/identifiability.hpp"
#include "crossnest/optimizer_options.hpp"

namespace crossnest {

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

/// The optimum, from `start` (user's scale) or, where that is empty, from moments. Throws FitError
/// when the criterion cannot be computed.
Fit fit(Evaluator& evaluator, const Response& response, bool reml,
        const std::vector<double>& start = {},
        const OptimizerOptions& options = OptimizerOptions());

/// Profiles of the deviance about its minimum, which is found first. Must outlive neither of the
/// two, which serve nothing else meanwhile.
Profiler profiler(Evaluator& evaluator, const Response& response,
                  const OptimizerOptions& options = OptimizerOptions());

}  // namespace crossnest
