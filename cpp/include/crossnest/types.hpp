// Integer types and the two exceptions of the core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace crossnest {

/// Counts and offsets. Always 64 bits: q2 * q2 passes 2^31 at q2 = 46,341.
using Index = std::int64_t;
/// A level of a grouping factor, counted from zero, or a column of the tail.
using Level = std::int32_t;

/// The factor would need more memory than the limit; thrown before it is allocated.
class MemoryLimitError : public std::bad_alloc {
 public:
  explicit MemoryLimitError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// The caller's interrupt check asked a long computation to stop.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

/// The model cannot be fitted to these data (not: bad arguments, which are std::invalid_argument).
class FitError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A FitError whose cause is the size of one column: results in its units would not be numbers of
/// double precision.
class RangeError : public FitError {
 public:
  /// Where the column stands.
  enum class Part { response, weights, fixed, random };

  /// `name` is how a caller's message begins ("the response", say) when it knows no better one.
  RangeError(Part part, int term, Index column, const std::string& name, std::string reason)
      : FitError(name + " " + reason),
        part_(part),
        term_(term),
        column_(column),
        reason_(std::move(reason)) {}

  Part part() const { return part_; }
  /// Index into Design::terms, -1 unless the column is one of Z.
  int term() const { return term_; }
  /// Column of X, or of the term; -1 for the response and the weights.
  Index column() const { return column_; }
  /// The message without the name of the column.
  const std::string& reason() const { return reason_; }

 private:
  Part part_;
  int term_;
  Index column_;
  std::string reason_;
};

}  // namespace crossnest
