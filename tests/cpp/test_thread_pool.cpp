// Loops over independent pieces.
#include <atomic>
#include <new>

#include "check.hpp"
#include "row_sums.hpp"
#include "thread_pool.hpp"

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#define CHECK_FORK
#endif

namespace {

using crossnest::Index;
using crossnest::ThreadPool;

// How often each of `count` places is visited.
std::vector<int> visits(ThreadPool& pool, Index count, Index grain) {
  std::vector<int> seen(static_cast<std::size_t>(count), 0);
  std::atomic<bool> known_worker{true};
  pool.for_pieces(count, grain, [&](Index begin, Index end, int worker) {
    if (worker < 0 || worker >= pool.size()) known_worker = false;
    for (Index i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
  });
  CHECK(known_worker);
  return seen;
}

}  // namespace

TEST(every_piece_once) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const Index count : {0, 1, 2, 63, 64, 65, 1000})
      for (const Index grain : {1, 7, 64, 5000})
        CHECK(visits(pool, count, grain) == std::vector<int>(static_cast<std::size_t>(count), 1));
  }
}

TEST(pieces_have_at_most_the_grain) {
  ThreadPool pool(3);
  std::atomic<Index> widest{0};
  pool.for_pieces(1000, 7, [&](Index begin, Index end, int) {
    Index before = widest;
    while (before < end - begin && !widest.compare_exchange_weak(before, end - begin)) {
    }
  });
  CHECK(widest == 7);
}

TEST(at_least_one_thread) {
  CHECK(ThreadPool(0).size() == 1);
  CHECK(ThreadPool(-3).size() == 1);
}

TEST(many_short_loops) {
  ThreadPool pool(3);
  std::atomic<Index> sum{0};
  for (int loop = 0; loop < 2000; ++loop)
    pool.for_pieces(8, 1, [&](Index begin, Index end, int) { sum += end - begin; });
  CHECK(sum == 16000);
}

TEST(exceptions_reach_the_caller) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (const Index culprit : {0, 1, 500, 999})
      CHECK_THROWS(pool.for_pieces(1000, 1,
                                   [&](Index begin, Index end, int) {
                                     if (begin <= culprit && culprit < end) throw std::bad_alloc();
                                   }),
                   std::bad_alloc);
    CHECK(visits(pool, 1000, 7) == std::vector<int>(1000, 1));
  }
}

TEST(row_sums_do_not_depend_on_threads) {
  const Index n = 100003, width = 2;
  std::vector<std::vector<double>> totals;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    totals.emplace_back(width, -1.0);
    crossnest::sum_over_rows(pool, n, width, totals.back().data(),
                             [](Index begin, Index end, double* partial) {
                               for (Index i = begin; i < end; ++i) {
                                 partial[0] += 1.0;
                                 partial[1] += 1.0 / static_cast<double>(i + 1);
                               }
                             });
  }
  CHECK(totals[0][0] == static_cast<double>(n));
  CHECK_NEAR(totals[0][1], std::log(static_cast<double>(n)) + 0.57721566490153286 + 0.5 / n, 1e-10);
  CHECK(totals[0] == totals[1]);
  CHECK(totals[0] == totals[2]);
}

TEST(the_caller_polls_between_pieces) {
  for (const int threads : {1, 3}) {
    crossnest::InterruptCheck stop([] { return true; });
    ThreadPool pool(threads, &stop);
    CHECK_THROWS(pool.for_pieces(1000, 1, [](Index, Index, int) {}), crossnest::Interrupted);
    const ThreadPool::Uninterrupted finish(pool);
    CHECK(visits(pool, 1000, 7) == std::vector<int>(1000, 1));
  }
}

#if defined(CHECK_FORK)
// A child of a process whose other thread is in a loop waits for nobody, and has workers of its
// own.
TEST(a_forked_child_makes_its_own_workers) {
  ThreadPool pool(3);
  std::atomic<bool> stop{false}, inside{false};
  std::thread busy([&] {
    while (!stop)
      pool.for_pieces(64, 1, [&](Index, Index, int) {
        inside = true;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      });
  });
  while (!inside) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(visits(pool, 1000, 7) == std::vector<int>(1000, 1) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  stop = true;
  busy.join();
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif
