// A small pool of threads for loops whose pieces are independent.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "crossnest/interrupt.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

/// Runs independent pieces of a loop on several threads.
///
/// Results must not depend on which thread runs which piece; every loop of the library writes each
/// number from one piece only, so they are the same for any number of threads. Threads start with
/// the first loop that needs them (a small model never starts any) and sleep between loops. A loop
/// allocates nothing. Between its pieces the calling thread polls the interrupt check, if there is
/// one. A child process made by fork() starts workers of its own: it holds no lock and waits for no
/// thread of its parent's, even where the parent was in a loop.
class ThreadPool {
 public:
  /// `threads` >= 1 counts the calling thread. `interrupt` must outlive the pool.
  explicit ThreadPool(int threads, InterruptCheck* interrupt = nullptr);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return threads_; }

  /// Polls the interrupt check, if there is one: between loops of one long piece each.
  void poll() {
    if (interrupt_ != nullptr) interrupt_->poll();
  }

  /// While it lives, the loops of a pool are not interrupted.
  class Uninterrupted {
   public:
    explicit Uninterrupted(ThreadPool& pool)
        : pool_(pool), before_(std::exchange(pool.interrupt_, nullptr)) {}
    ~Uninterrupted() { pool_.interrupt_ = before_; }
    Uninterrupted(const Uninterrupted&) = delete;
    Uninterrupted& operator=(const Uninterrupted&) = delete;

   private:
    ThreadPool& pool_;
    InterruptCheck* before_;
  };

  /// Calls body(begin, end, worker) on pieces of at most `grain` of [0, count); worker < size().
  /// The first exception a piece throws is thrown here once all threads have left the loop; pieces
  /// that have not begun by then are left out.
  template <class Body>
  void for_pieces(Index count, Index grain, Body&& body) {
    if (count <= 0) return;
    if (count <= grain || (threads_ == 1 && interrupt_ == nullptr)) {
      body(Index{0}, count, 0);
      return;
    }
    if (threads_ == 1) {
      for (Index begin = 0; begin < count; begin += grain) {
        poll();
        body(begin, begin + grain < count ? begin + grain : count, 0);
      }
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
  class Team;

  void run(Call call, void* context, Index count, Index grain);

  int threads_;
  InterruptCheck* interrupt_;
  std::unique_ptr<Team> team_;  // made when first needed
};

}  // namespace crossnest
