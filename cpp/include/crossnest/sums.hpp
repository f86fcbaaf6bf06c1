// Sums over rows that need never be together.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"

namespace crossnest {

class Coordinates;
class CrossProducts;
struct WeightSpread;

/// What a model and its response need of the rows: the cross-products [Z X y]'W[Z X y], to which
/// rows are added in batches, here or elsewhere, in any order.
///
///     const Sums none(first, y, 0);           // knows the columns, has no rows yet
///     Sums a = none, b = none;
///     a.add(first, y);                        // one machine
///     b.add(second, y2);                      // another
///     a.merge(b);
///     Model model(a);
///     Response response = model.read(a);
///
/// A model made from sums is that of the rows together, to rounding, without what is computed row
/// by row (fitted values, leverages, other responses). Columns of X that depend on those before
/// them up to 1e-6 of their norm are left out; with the rows at hand it is 1e-7.
class Sums {
 public:
  /// Sums over no rows, for rows like those of `sample`: the same columns, and factors with all
  /// levels there will be. The sample, which `y` belongs to, shows sizes and centres of the columns
  /// and should be of the usual kind; its rows are not added. `intercept` is the column of X that
  /// is constant in all rows, -1 if there is none.
  Sums(const Design& sample, const double* y, Index intercept, int threads = 1);
  Sums(const Sums& other);
  Sums(Sums&& other) noexcept;
  Sums& operator=(const Sums& other);
  Sums& operator=(Sums&& other) noexcept;
  ~Sums();

  /// Adds rows and their responses (rows.n numbers, less the offset). Throws std::invalid_argument
  /// where they do not fit, or have a value that is not finite; the sums are then as before.
  void add(const Design& rows, const double* y, InterruptCheck interrupt = InterruptCheck());
  /// Adds the rows of other sums, begun from the same ones.
  void merge(const Sums& other);
  /// Rows added.
  Index n() const;

  /// All of it as bytes, the same on every machine: a version, numbers and a check sum.
  std::vector<std::uint8_t> serialize() const;
  /// Sums from bytes. Throws std::invalid_argument where they are damaged or of a later version;
  /// it allocates no more than ten times their count.
  static Sums deserialize(const std::uint8_t* bytes, std::size_t count, int threads = 1);

  // The parts, for the library itself.
  /// The design of all rows, without them.
  Design layout() const;
  /// Those of the columns of [X y] and of Z as they are, but for units and centres.
  const Coordinates& coordinates() const;
  const CrossProducts& cross_products() const;
  WeightSpread weight_spread() const;
  double total_weight() const;

 private:
  struct Parts;
  explicit Sums(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace crossnest
