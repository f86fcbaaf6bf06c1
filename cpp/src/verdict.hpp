// What a search says of where it stopped.
#pragma once

#include <limits>

namespace crossnest {

/// The verdict on a search.
struct Verdict {
  /// Why it ended. The first two are convergence.
  enum class Ending {
    tolerance,    ///< the predicted decrease is below OptimizerOptions::tolerance
    rounding,     ///< no step lowers the criterion, and what is left is below its rounding error
    stuck,        ///< no step lowers the criterion, though more than that is predicted
    slow,         ///< the steps gain too little
    evaluations,  ///< OptimizerOptions::max_evaluations are used up
    arrived,      ///< it came to where another search had ended
    no_start      ///< the criterion cannot be computed at the start
  };

  Ending ending = Ending::no_start;
  /// 1/2 g'H^-1 g over the parameters not at a bound, before the last step; infinite where no
  /// gradient was computed.
  double predicted_decrease = std::numeric_limits<double>::infinity();

  bool converged() const { return ending == Ending::tolerance || ending == Ending::rounding; }
  /// The ending in words.
  const char* message() const;
};

}  // namespace crossnest
