#include "crossnest/design.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace crossnest {

namespace {

void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

// Calls check(i) for i in [0, count), and polls now and then.
template <class Check>
void for_all(Index count, InterruptCheck& interrupt, Check&& check) {
  constexpr Index kPoll = 1 << 20;
  for (Index begin = 0; begin < count; begin += kPoll) {
    interrupt.poll();
    for (Index i = begin; i < std::min(begin + kPoll, count); ++i) check(i);
  }
}

void require_finite(const double* values, Index count, const char* what,
                    InterruptCheck& interrupt) {
  for_all(count, interrupt, [&](Index i) {
    if (!std::isfinite(values[i]))
      throw std::invalid_argument(std::string(what) + " has a value that is not finite");
  });
}

}  // namespace

void Design::validate(InterruptCheck* interrupt) const {
  InterruptCheck never;
  InterruptCheck& polled = interrupt != nullptr ? *interrupt : never;
  require(n > 0, "no observations");
  require(n < std::numeric_limits<Level>::max(), "more than 2^31 - 2 observations");
  require(!terms.empty(), "no random-effects term");
  require_finite(X, n * p, "X", polled);
  for_all(weights != nullptr ? n : 0, polled, [&](Index i) {
    if (!(weights[i] > 0.0 && std::isfinite(weights[i])))
      throw std::invalid_argument("weights must be positive and finite");
  });
  for (const GroupingFactor& factor : factors)
    for_all(n, polled, [&](Index i) {
      if (factor.codes[i] < 0 || factor.codes[i] >= factor.levels)
        throw std::invalid_argument("a level code is out of range");
    });
  for (const Term& term : terms) {
    require(term.factor >= 0 && term.factor < static_cast<int>(factors.size()),
            "a term names a grouping factor that is not there");
    require(!term.columns.empty(), "a random-effects term needs at least one column");
    for (const double* column : term.columns)
      if (column != nullptr) require_finite(column, n, "Z", polled);
  }
}

}  // namespace crossnest
