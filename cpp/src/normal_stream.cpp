// Compiled without contraction of products and sums: see cpp/CMakeLists.txt.
#include "normal_stream.hpp"

#include <cmath>

namespace crossnest {

namespace {

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

// In [-1, 1), a multiple of 2^-52.
double symmetric(std::uint32_t a, std::uint32_t b) {
  const std::uint64_t bits = (std::uint64_t{a} << 32 | b) >> 11;
  return static_cast<double>(bits) * 0x1p-52 - 1.0;
}

// log x of a positive normal number: x = m 2^e, sqrt(1/2) <= m < sqrt(2), and
// log m = 2 (f + f^3/3 + f^5/5 + ...) with f = (m - 1) / (m + 1), |f| < 0.172.
double logarithm(double x) {
  constexpr double kRootHalf = 0.70710678118654752, kLog2 = 0.69314718055994531;
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < kRootHalf) {
    m *= 2.0;
    --exponent;
  }
  const double f = (m - 1.0) / (m + 1.0), square = f * f;
  double series = 0.0;
  for (int k = 23; k >= 1; k -= 2) series = series * square + 1.0 / k;
  return 2.0 * f * series + exponent * kLog2;
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {high(second) ^ counter[1] ^ key[0], low(second), high(first) ^ counter[3] ^ key[1],
               low(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

NormalStream::NormalStream(std::uint64_t seed, std::uint64_t replicate)
    : key_{low(seed), high(seed)}, replicate_(replicate) {}

double NormalStream::operator()() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  for (;;) {
    const auto words = philox({low(block_), high(block_), low(replicate_), high(replicate_)}, key_);
    ++block_;
    const double x = symmetric(words[0], words[1]), y = symmetric(words[2], words[3]);
    const double square = x * x + y * y;
    if (square >= 1.0 || square == 0.0) continue;
    const double length = std::sqrt(-2.0 * logarithm(square) / square);
    spare_ = y * length;
    has_spare_ = true;
    return x * length;
  }
}

}  // namespace crossnest
