// Powers of two that bring the columns of a design to sizes whose products are finite.
#pragma once

#include <vector>

#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// The unit of values whose largest size is given: 1 unless that is below 2^-200 or above 2^200,
/// else a power of two near it. Cross-products of two such columns and weights are finite, and the
/// larger ones do not vanish. Dividing by a power of two rounds nothing.
double unit_of(double largest);

/// Whether it may be one that unit_of() found, or the root of one.
bool is_unit(double unit);

/// Largest absolute value of a column of n numbers.
double largest_size(const double* column, Index n);

/// Units of the columns of a design, found once; the response has its own, see Coordinates.
struct Units {
  std::vector<double> fixed;                ///< p, of the columns of X
  std::vector<std::vector<double>> random;  ///< by term: k, of its columns
  double root_weight = 1.0;                 ///< the weights are divided by its square

  Units() = default;
  Units(const Design& design, ThreadPool& pool);
};

/// Whether the square of a size, and its reciprocal's, are numbers of double precision with room
/// for sums: a result may be given in such units.
bool representable(double size);

}  // namespace crossnest
