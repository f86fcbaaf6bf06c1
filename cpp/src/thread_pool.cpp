#include "thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "process.hpp"

namespace crossnest {

// The workers, and the loop they are in.
class ThreadPool::Team {
 public:
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Whether the workers live in this process: fork() takes none along.
  bool is_here() const { return process_ == process_id(); }
  void run(Call call, void* context, Index count, Index grain, InterruptCheck* interrupt);

 private:
  void work(int worker);
  void take_pieces(int worker, InterruptCheck* interrupt);

  long process_ = process_id();
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

ThreadPool::Team::Team(int threads) {
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int worker = 1; worker < threads; ++worker)
      workers_.emplace_back([this, worker] { work(worker); });
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do the work, and be it the caller alone.
  }
}

ThreadPool::Team::~Team() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::Team::take_pieces(int worker, InterruptCheck* interrupt) {
  try {
    for (;;) {
      if (interrupt != nullptr) interrupt->poll();
      const Index begin = next_.fetch_add(grain_);
      if (begin >= count_) return;
      call_(context_, begin, std::min(begin + grain_, count_), worker);
    }
  } catch (...) {
    next_.store(count_);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

void ThreadPool::Team::run(Call call, void* context, Index count, Index grain,
                           InterruptCheck* interrupt) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    call_ = call;
    context_ = context;
    count_ = count;
    grain_ = std::max<Index>(1, grain);
    next_.store(0);
    busy_ = static_cast<int>(workers_.size());
    ++generation_;
  }
  wake_.notify_all();
  take_pieces(0, interrupt);
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadPool::Team::work(int worker) {
  long seen = 0;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
    }
    take_pieces(worker, nullptr);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--busy_ == 0) done_.notify_one();
  }
}

ThreadPool::ThreadPool(int threads, InterruptCheck* interrupt)
    : threads_(std::max(1, threads)), interrupt_(interrupt) {}

ThreadPool::~ThreadPool() {
  if (team_ && !team_->is_here()) static_cast<void>(team_.release());
}

void ThreadPool::run(Call call, void* context, Index count, Index grain) {
  // A parent's team is left as it is, locks and all: there is no thread here to join.
  if (team_ && !team_->is_here()) static_cast<void>(team_.release());
  if (!team_) team_ = std::make_unique<Team>(threads_);
  team_->run(call, context, count, grain, interrupt_);
}

}  // namespace crossnest
