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

}  // namespace crossnest
