// The library's version.
#pragma once

namespace crossnest {

/// The version this library was built as, e.g. "0.1.0".
const char* version() noexcept;

}  // namespace crossnest
