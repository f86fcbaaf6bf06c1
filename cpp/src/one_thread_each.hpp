// Kernels that leave the threads to the library.
#pragma once

#include "crossnest/kernels.hpp"

namespace crossnest {

/// While it lives, kernels use one thread each: the library calls them from threads of its own, and
/// two pools on the same cores wait for each other.
///
/// The number of threads belongs to the process, so its holders are counted: the first sets it to
/// one, and the last, in whatever order they go and from whatever thread, puts back what the first
/// found. A number that someone else has set meanwhile is left alone.
class OneThreadEach {
 public:
  explicit OneThreadEach(const DenseKernels& kernels);
  ~OneThreadEach();
  OneThreadEach(const OneThreadEach&) = delete;
  OneThreadEach& operator=(const OneThreadEach&) = delete;

 private:
  class Holders;
  /// Where this hold is counted; nullptr where the kernels have no such setting.
  Holders* holders_ = nullptr;
  int (*get_threads_)();
  void (*set_threads_)(int threads);
};

}  // namespace crossnest
