#include <algorithm>
#include <crossnest/version.hpp>
#include <string>

#include "check.hpp"

TEST(has_three_parts) {
  const std::string version = crossnest::version();
  CHECK(std::count(version.begin(), version.end(), '.') == 2);
}
