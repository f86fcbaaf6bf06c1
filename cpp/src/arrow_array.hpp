// Arrays of Arrow's C data interface, as labels or numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "crossnest/crossnest.h"
#include "crossnest/types.hpp"

namespace crossnest {

/// A checked view of an array of strings, integers, floating-point numbers, or a dictionary of
/// strings or integers. Throws std::invalid_argument where it is none of these.
///
/// Offsets, bits of validity and indices are those of the format's specification; what they point
/// at cannot be checked beyond their order and sign.
class ArrowView {
 public:
  enum class Kind { strings, integers, reals };

  ArrowView(const ArrowSchema& schema, const ArrowArray& array);

  /// That of the values, for a dictionary.
  Kind kind() const;
  Index length() const { return array_.length; }
  /// Throws unless every row has a value, naming the first that has none.
  void require_values() const;
  /// The value of a row, which must have one.
  std::string_view string(Index row) const;
  std::int64_t integer(Index row) const;
  double number(Index row) const;

 private:
  bool has_value(Index row) const;
  Index dictionary_row(Index row) const;
  std::int64_t stored_integer(Index row) const;
  template <class Number>
  Number stored(Index place) const;

  const ArrowArray& array_;
  char format_;
  std::unique_ptr<const ArrowView> dictionary_;
};

}  // namespace crossnest
