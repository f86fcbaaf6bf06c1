// Standard normal numbers for simulation, the same on every machine.
#pragma once

#include <array>
#include <cstdint>

namespace crossnest {

/// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, Parallel random numbers: as easy as 1, 2, 3):
/// four random words for each counter and key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

/// The normal numbers of one replicate of a seed, by the polar method (Marsaglia and Bray 1964)
/// from Philox keyed by the seed, whose counter is (block, replicate).
///
/// Only operations that IEEE 754 rounds correctly are used, and none is contracted, so the bits do
/// not depend on the machine, the compiler or the mathematical library.
class NormalStream {
 public:
  NormalStream(std::uint64_t seed, std::uint64_t replicate);

  double operator()();

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t replicate_, block_ = 0;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace crossnest
