// The input of a fuzz target, read as numbers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

/// Reads numbers off the input; zeros once it is used up.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  int below(int n) { return byte() % n; }
  std::size_t left() const { return size_; }
  const std::uint8_t* rest() const { return data_; }

  // Mostly small numbers; some of any size, and sometimes one that is not finite.
  double number() {
    const int kind = byte();
    if (kind < 200) return (static_cast<double>(kind) - 100.0) / 16.0;
    if (kind < 210) return std::ldexp(static_cast<double>(byte()) - 127.0, 4 * byte() - 510);
    if (kind < 240) return static_cast<double>(byte() % 3);
    if (kind < 252) return std::ldexp(1.0 + byte() / 256.0, byte() / 4 - 32);
    constexpr double kOdd[] = {
        std::numeric_limits<double>::denorm_min(), std::numeric_limits<double>::max(),
        std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
    return byte() % 16 == 0 ? kOdd[kind - 252] : 0.0;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};
