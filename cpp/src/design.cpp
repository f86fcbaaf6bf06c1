#include "crossnest/design.hpp"

#include <cmath>
#include <limits>

namespace crossnest {

namespace {

void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

void require_finite(const double* values, Index count, const char* what) {
  for (Index i = 0; i < count; ++i)
    require(std::isfinite(values[i]), std::string(what) + " has a value that is not finite");
}

}  // namespace

void Design::validate() const {
  require(n > 0, "no observations");
  require(n < std::numeric_limits<Level>::max(), "more than 2^31 - 2 observations");
  require(!terms.empty(), "no random-effects term");
  require_finite(y, n, "the response");
  require_finite(X, n * p, "X");
  for (Index i = 0; weights != nullptr && i < n; ++i)
    require(weights[i] > 0.0 && std::isfinite(weights[i]), "weights must be positive and finite");
  for (const GroupingFactor& factor : factors)
    for (Index i = 0; i < n; ++i)
      require(factor.codes[i] >= 0 && factor.codes[i] < factor.levels,
              "a level code is out of range");
  for (const Term& term : terms) {
    require(term.factor >= 0 && term.factor < static_cast<int>(factors.size()),
            "a term names a grouping factor that is not there");
    require(!term.columns.empty(), "a random-effects term needs at least one column");
    for (const double* column : term.columns)
      if (column != nullptr) require_finite(column, n, "Z");
  }
}

}  // namespace crossnest
