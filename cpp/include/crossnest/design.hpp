// What a linear mixed model is made of, as the core takes it: X, weights, grouping factors, terms.
#pragma once

#include <string>
#include <vector>

#include "crossnest/interrupt.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

/// A grouping factor. Does not own its codes.
struct GroupingFactor {
  const Level* codes;  ///< n, each in [0, levels)
  Index levels;        ///< J; every level should occur
};

/// One random-effects term (z1, z2, ... | factor). Does not own its columns.
struct Term {
  int factor;                          ///< index into Design::factors
  std::vector<const double*> columns;  ///< k pointers to n numbers each; nullptr is the constant 1
  std::string covariance = "unstructured";  ///< see make_covariance_structure()
};

/// Views of a model's data; the arrays must outlive every use.
struct Design {
  Index n = 0;                      ///< observations
  Index p = 0;                      ///< columns of X, aliased ones included
  const double* X = nullptr;        ///< n x p, column-major
  const double* weights = nullptr;  ///< n, all > 0; nullptr is all ones
  std::vector<GroupingFactor> factors;
  std::vector<Term> terms;

  /// Throws std::invalid_argument when the pieces do not fit together. Polls `interrupt`.
  void validate(InterruptCheck* interrupt = nullptr) const;
};

}  // namespace crossnest
