#include "crossnest/version.hpp"

namespace crossnest {

const char* version() noexcept { return CROSSNEST_VERSION; }

}  // namespace crossnest
