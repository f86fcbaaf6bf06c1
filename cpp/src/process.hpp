// Which process this is: fork() takes no thread along but the one that calls it.
#pragma once

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

namespace crossnest {

/// The number of the running process.
inline long process_id() {
#if defined(_WIN32)
  return _getpid();
#else
  return getpid();
#endif
}

}  // namespace crossnest
