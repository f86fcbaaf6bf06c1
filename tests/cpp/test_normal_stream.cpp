// The random numbers of simulation: Philox by its authors' known answers, and normal numbers.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

#include "check.hpp"
#include "normal_stream.hpp"

namespace {

using Words = std::array<std::uint32_t, 4>;

std::string hex(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

}  // namespace

// From kat_vectors of Random123.
TEST(philox_gives_the_known_answers) {
  constexpr std::uint32_t kOnes = 0xffffffff;
  CHECK(crossnest::philox({0, 0, 0, 0}, {0, 0}) ==
        Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(crossnest::philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(crossnest::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                          {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST(normal_numbers_have_the_moments_of_the_normal_distribution) {
  crossnest::NormalStream normal(42, 0);
  const int count = 1000000;
  double sums[4] = {0.0, 0.0, 0.0, 0.0}, beyond = 0.0;
  for (int i = 0; i < count; ++i) {
    const double x = normal();
    double power = 1.0;
    for (double& sum : sums) sum += power *= x;
    beyond += std::abs(x) > 1.959963984540054;
  }
  const double expected[] = {0.0, 1.0, 0.0, 3.0},
               sd[] = {1.0, std::sqrt(2.0), std::sqrt(15.0), std::sqrt(96.0)};
  for (int k = 0; k < 4; ++k) CHECK(std::abs(sums[k] / count - expected[k]) < 4e-3 * sd[k]);
  CHECK(std::abs(beyond / count - 0.05) < 1e-3);
}

TEST(streams_of_replicates_and_seeds_differ) {
  crossnest::NormalStream a(1, 0), b(1, 1), c(2, 0);
  double products[3] = {0.0, 0.0, 0.0};
  for (int i = 0; i < 100000; ++i) {
    const double x = a(), y = b(), z = c();
    products[0] += x * y;
    products[1] += x * z;
    products[2] += y * z;
  }
  for (const double product : products) CHECK(std::abs(product / 1e5) < 4.0 / std::sqrt(1e5));
}

// These bits are the same on every machine.
TEST(bits_of_a_seed) {
  crossnest::NormalStream normal(20240229, 3);
  const char* expected[] = {"0x1.5ec1e26f88c3cp-1", "-0x1.05da6c70ed126p-1",
                            "-0x1.7d0e5258b0bcap-3", "0x1.917b28e25e6e7p-1"};
  for (const char* bits : expected) {
    CHECK(hex(normal()) == bits);
  }
}
