// Letting the caller stop a long computation.
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "crossnest/types.hpp"

namespace crossnest {

/// Asks the caller, at most every 20 ms, whether to go on.
///
/// `ask` returns true to stop. It is called only from the thread that entered the library, never
/// from a worker, so it may take a lock that this thread may take (Python's, say).
class InterruptCheck {
 public:
  InterruptCheck() = default;
  explicit InterruptCheck(std::function<bool()> ask) : ask_(std::move(ask)) {}

  /// Throws Interrupted if the caller wants to stop.
  void poll() {
    work_ = 0.0;
    if (!ask_) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(20)) return;
    last_ = now;
    if (ask_()) throw Interrupted();
  }

  /// The same before that many multiply-adds of work, where reading the clock would take longer
  /// than the work: it is read once they are some 20 microseconds.
  void poll(double work) {
    work_ += work;
    if (work_ > 2e4) poll();
  }

 private:
  std::function<bool()> ask_;
  double work_ = 0.0;  // since the clock was read
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace crossnest
