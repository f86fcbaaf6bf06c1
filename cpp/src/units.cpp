#include "units.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace crossnest {

namespace {

// Sizes up to 2^200 either way leave room for a product of two columns, the weights and a sum over
// the rows.
constexpr int kUsual = 200;
// Units and their reciprocals are normal numbers.
constexpr int kLargest = 1000;
// Values one thread reads at a time.
constexpr Index kTogether = 1 << 16;

// Weights over more powers of ten leave rounding errors in the criterion that nothing shows: sums
// keep sixteen digits, and differences of sums of squares half of them.
constexpr double kWidest = 60.0;

void check_spread(const double* weights, Index n) {
  const auto [least, most] = std::minmax_element(weights, weights + n);
  const double spread = std::log10(*most) - std::log10(*least);
  if (!(*least > 0.0) || spread <= kWidest) return;
  char reason[200];
  std::snprintf(
      reason, sizeof reason,
      "(from %.0e to %.0e) spreads over %.0f powers of ten, more than double precision can "
      "compare (%.0f): leave out the rows of negligible weight",
      *least, *most, spread, kWidest);
  throw RangeError(RangeError::Part::weights, -1, -1, "the column of weights", reason);
}

double power_of_two(int exponent) {
  return std::ldexp(1.0, std::clamp(exponent, -kLargest, kLargest));
}

}  // namespace

double unit_of(double largest) {
  if (largest == 0.0 || !std::isfinite(largest)) return 1.0;
  const int exponent = std::ilogb(largest);
  return std::abs(exponent) <= kUsual ? 1.0 : power_of_two(exponent);
}

bool is_unit(double unit) {
  int exponent = 0;
  return std::isfinite(unit) && std::frexp(unit, &exponent) == 0.5 &&
         std::abs(exponent - 1) <= kLargest;
}

double largest_size(const double* column, Index n) {
  double largest = 0.0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::abs(column[i]));
  return largest;
}

Units::Units(const Design& design, ThreadPool& pool) : fixed(static_cast<std::size_t>(design.p)) {
  // Small designs start no threads.
  const Index columns = std::max<Index>(1, kTogether / std::max<Index>(1, design.n));
  pool.for_pieces(design.p, columns, [&](Index begin, Index end, int) {
    for (Index j = begin; j < end; ++j)
      fixed[static_cast<std::size_t>(j)] = unit_of(largest_size(design.X + j * design.n, design.n));
  });
  for (const Term& term : design.terms) {
    random.emplace_back();
    for (const double* column : term.columns)
      random.back().push_back(column == nullptr ? 1.0 : unit_of(largest_size(column, design.n)));
  }
  if (design.weights != nullptr) {
    const double unit = unit_of(largest_size(design.weights, design.n));
    if (unit != 1.0) root_weight = power_of_two(std::ilogb(unit) / 2);
    check_spread(design.weights, design.n);
  }
}

bool representable(double size) {
  return size >= std::ldexp(1.0, -480) && size <= std::ldexp(1.0, 480);
}

}  // namespace crossnest
