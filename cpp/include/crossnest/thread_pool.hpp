// A small pool of threads for loops whose pieces are independent.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "crossnest/types.hpp"

namespace crossnest {

/// Runs independent pieces of a loop on several threads.
///
/// Results must not depend on which thread runs which piece; every loop of the library writes each
/// number from one piece only, so they are the same for any number of threads. Threads start with
/// the first loop that needs them (a small model never starts any) and sleep between loops. A loop
/// allocates nothing. In a child process made by fork() the workers do not exist: loops run inline.
class ThreadPool {
 public:
  /// `threads` >= 1 counts the calling thread.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return threads_; }

  /// Calls body(begin, end, worker) on pieces of at most `grain` of [0, count); worker < size().
  /// The first exception a piece throws is thrown here once all threads have left the loop; pieces
  /// that have not begun by then are left out.
  template <class Body>
  void for_pieces(Index count, Index grain, Body&& body) {
    if (count <= 0) return;
    if (threads_ == 1 || count <= grain) {
      body(Index{0}, count, 0);
      return;
    }
    using Plain = std::remove_reference_t<Body>;
    const auto call = [](void* context, Index begin, Index end, int worker) {
      (*static_cast<Plain*>(context))(begin, end, worker);
    };
    run(call, &body, count, grain);
  }

 private:
  using Call = void (*)(void* context, Index begin, Index end, int worker);

  void run(Call call, void* context, Index count, Index grain);
  void start();
  void work(int worker);
  void take_pieces(int worker);

  int threads_;
  long process_ = 0;  // the process the workers live in
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  long generation_ = 0;         // counts the loops, so that a worker joins each once
  int busy_ = 0;                // workers still inside the current loop
  std::exception_ptr failure_;  // the first of the current loop
  bool stop_ = false;
  Call call_ = nullptr;  // the current loop
  void* context_ = nullptr;
  Index count_ = 0, grain_ = 1;
  std::atomic<Index> next_{0};
};

}  // namespace crossnest
