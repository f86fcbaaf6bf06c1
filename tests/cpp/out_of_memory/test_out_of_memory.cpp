// The C interface when memory runs out: each allocation of a run, from design to predictions, fails
// in its turn. The call says so, nothing leaks, and the same call made again gives what it gives
// where nothing fails.
//
// With glibc malloc and its like fail, which operator new and Eigen call; under a sanitizer, which
// brings its own malloc, and elsewhere operator new alone.
#include <crossnest/crossnest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "designs.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CROSSNEST_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CROSSNEST_TEST_SANITIZED
#endif
#endif

namespace {

// Allocations left until one fails; below 0 none does. `lasting`: so do all after it.
std::atomic<long> left{-1};
std::atomic<bool> lasting{false};
std::atomic<long> live{0};

bool fails() noexcept {
  if (left.load() < 0) return false;
  const long before = left.fetch_sub(1);
  if (before > 0) return false;
  if (lasting)
    left = 0;
  else
    left = -1;
  return true;
}

void* counted(void* place) noexcept {
  if (place != nullptr) ++live;
  return place;
}

}  // namespace

#if defined(__GLIBC__) && !defined(CROSSNEST_TEST_SANITIZED)

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) noexcept { return fails() ? nullptr : counted(__libc_malloc(size)); }
void* calloc(std::size_t items, std::size_t size) noexcept {
  return fails() ? nullptr : counted(__libc_calloc(items, size));
}
void* realloc(void* old, std::size_t size) noexcept {
  if (fails()) return nullptr;
  void* place = __libc_realloc(old, size);
  return old == nullptr ? counted(place) : place;
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return fails() ? nullptr : counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  *out = memalign(alignment, size);
  return *out == nullptr ? 12 : 0;  // ENOMEM
}
void free(void* place) noexcept {
  if (place != nullptr) --live;
  __libc_free(place);
}
}

#else

// All forms, since a sanitizer's own do not call each other. None is aligned beyond the usual.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return fails() ? nullptr : counted(std::malloc(size > 0 ? size : 1));
}
void* operator new(std::size_t size) {
  if (void* place = operator new(size, std::nothrow)) return place;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new[](std::size_t size, const std::nothrow_t& quiet) noexcept {
  return operator new(size, quiet);
}
void operator delete(void* place) noexcept {
  if (place != nullptr) --live;
  std::free(place);
}
void operator delete(void* place, std::size_t) noexcept { operator delete(place); }
void operator delete(void* place, const std::nothrow_t&) noexcept { operator delete(place); }
void operator delete[](void* place) noexcept { operator delete(place); }
void operator delete[](void* place, std::size_t) noexcept { operator delete(place); }
void operator delete[](void* place, const std::nothrow_t&) noexcept { operator delete(place); }

#endif

namespace {

int failures = 0;

void require(bool holds, const char* what, long allocation) {
  if (holds) return;
  if (++failures < 20) std::printf("allocation %ld: %s (%s)\n", allocation, what, cn_last_error());
}

// The data, and what a run computes; all of it is there before memory runs out.
struct Case {
  designs::Data data;
  designs::View view = data.design();
  int64_t n = view.n, p = view.p;
  const char* tail;
  int64_t threads;
  std::vector<double> theta, beta, values, variances, leverages, Y, sigmas, numbers;
  std::vector<const char*> labels;
  std::vector<int32_t> codes;
  std::vector<std::uint8_t> bytes;

  Case(designs::Data of, const char* tail_kind, int64_t with_threads)
      : data(std::move(of)), tail(tail_kind), threads(with_threads) {
    const auto rows = static_cast<std::size_t>(n);
    theta.resize(16);
    beta.resize(static_cast<std::size_t>(p));
    for (auto* some : {&values, &variances, &leverages}) some->resize(rows);
    Y.resize(3 * rows);
    sigmas.resize(3);
    numbers.resize(6);
    for (std::size_t i = 0; i < rows; ++i) labels.push_back(i % 3 == 0 ? "one" : "a longer label");
    codes.resize(rows);
    bytes.resize(1 << 20);
  }
};

// One run. A call that is out of memory is made again, when nothing fails any more.
class Run {
 public:
  Run(Case& of, long allocation) : of_(of), allocation_(allocation) {}
  ~Run() {
    cn_levels_free(levels_);
    cn_evaluator_free(evaluator_);
    cn_fit_free(fit_);
    cn_fit_free(from_sums_);
    cn_response_free(response_);
    cn_response_free(total_);
    cn_model_free(model_);
    cn_model_free(summed_);
    cn_sums_free(sums_);
    cn_sums_free(copy_);
    cn_sums_free(read_);
    cn_design_free(design_);
    cn_options_free(options_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  int errors() const { return errors_; }

  void go() {
    describe();
    fit();
    sum();
  }

 private:
  template <class Call>
  void call(const char* what, Call&& body) {
    int32_t code = body();
    if (code == CN_ERROR_MEMORY) {
      ++errors_;
      left = -1;
      require(std::strlen(cn_last_error()) > 0, "no message", allocation_);
      code = body();
    }
    require(code == CN_OK, what, allocation_);
  }

  void describe() {
    call("options", [&] { return cn_options_new(&options_); });
    call("threads", [&] { return cn_options_set_int(options_, "threads", of_.threads); });
    call("tail", [&] { return cn_options_set_string(options_, "tail", of_.tail); });
    call("design", [&] { return cn_design_new(of_.n, of_.p, of_.view.X, &design_); });
    for (const auto& factor : of_.view.factors)
      call("factor", [&] { return cn_design_add_factor(design_, factor.codes, factor.levels); });
    for (const auto& term : of_.view.terms)
      call("term", [&] {
        return cn_design_add_term(design_, term.factor, static_cast<int64_t>(term.columns.size()),
                                  term.columns.data(), term.covariance.c_str());
      });
    call("levels", [&] {
      return cn_levels_from_strings(of_.n, of_.labels.data(), nullptr, &levels_, of_.codes.data());
    });
  }

  void fit() {
    const double* y = of_.data.y.data();
    call("model", [&] { return cn_model_new(design_, options_, &model_); });
    call("response", [&] { return cn_response_new(model_, y, nullptr, &response_); });
    call("fit", [&] { return cn_fit_new(response_, options_, nullptr, 0, &fit_); });
    if (fit_ == nullptr) return;
    int64_t parameters = 0;
    call("parameters", [&] { return cn_model_get_int(model_, "parameters", &parameters); });
    call("theta", [&] { return cn_fit_get_array(fit_, "theta", of_.theta.data(), parameters); });
    call("beta", [&] { return cn_fit_get_array(fit_, "beta", of_.beta.data(), of_.p); });
    call("leverages",
         [&] { return cn_fit_get_array(fit_, "leverages", of_.leverages.data(), of_.n); });
    double* numbers = of_.numbers.data();
    call("evaluator", [&] { return cn_evaluator_new(model_, options_, &evaluator_); });
    call("gradient", [&] {
      return cn_evaluator_objective(evaluator_, response_, of_.theta.data(), parameters, numbers,
                                    of_.values.data());
    });
    call("contrast", [&] {
      return cn_fit_contrast(fit_, of_.beta.data(), of_.p, nullptr, numbers + 1, numbers + 2);
    });
    call("kenward_roger", [&] {
      return cn_fit_kenward_roger(fit_, of_.beta.data(), of_.p, nullptr, numbers + 3, numbers + 4);
    });
    call("predict", [&] {
      return cn_fit_predict(fit_, design_, nullptr, of_.values.data(), of_.variances.data(), of_.n);
    });
    call("simulate", [&] {
      return cn_fit_simulate(fit_, 1, 1, 0, 3, of_.Y.data(), static_cast<int64_t>(of_.Y.size()));
    });
    call("refits", [&] {
      return cn_refit_many(model_, options_, of_.Y.data(), 3, nullptr, of_.sigmas.data(), nullptr,
                           nullptr, nullptr, nullptr);
    });
  }

  void sum() {
    const double* y = of_.data.y.data();
    call("sums", [&] { return cn_sums_new(design_, y, 0, &sums_); });
    call("copy", [&] { return cn_sums_copy(sums_, &copy_); });
    call("add", [&] { return cn_sums_add(sums_, design_, y); });
    call("add again", [&] { return cn_sums_add(sums_, design_, y); });
    call("merge", [&] { return cn_sums_merge(copy_, sums_); });
    int64_t length = 0;
    call("bytes", [&] { return cn_sums_bytes(copy_, &length); });
    if (length > static_cast<int64_t>(of_.bytes.size())) return;
    call("serialize", [&] { return cn_sums_serialize(copy_, of_.bytes.data(), length); });
    call("deserialize", [&] { return cn_sums_deserialize(of_.bytes.data(), length, &read_); });
    call("merge more", [&] { return cn_sums_merge(sums_, read_); });
    call("model of sums", [&] { return cn_model_from_sums(sums_, options_, &summed_); });
    call("response of sums", [&] { return cn_response_from_sums(summed_, sums_, &total_); });
    call("fit of sums", [&] {
      return cn_fit_at(total_, options_, of_.theta.data(), static_cast<int64_t>(parameters()),
                       &from_sums_);
    });
    call("objective", [&] { return cn_fit_get_double(from_sums_, "objective", &of_.numbers[5]); });
  }

  std::int64_t parameters() const {
    int64_t count = 0;
    cn_model_get_int(summed_, "parameters", &count);
    return count;
  }

  Case& of_;
  long allocation_;
  int errors_ = 0;
  cn_options* options_ = nullptr;
  cn_design* design_ = nullptr;
  cn_levels* levels_ = nullptr;
  cn_sums *sums_ = nullptr, *copy_ = nullptr, *read_ = nullptr;
  cn_model *model_ = nullptr, *summed_ = nullptr;
  cn_response *response_ = nullptr, *total_ = nullptr;
  cn_evaluator* evaluator_ = nullptr;
  cn_fit *fit_ = nullptr, *from_sums_ = nullptr;
};

bool same(const Case& a, const Case& b) {
  return a.theta == b.theta && a.beta == b.beta && a.values == b.values &&
         a.variances == b.variances && a.leverages == b.leverages && a.Y == b.Y &&
         a.sigmas == b.sigmas && a.numbers == b.numbers && a.codes == b.codes && a.bytes == b.bytes;
}

// Whether no more is live than before, once threads that are ending have ended. The system keeps
// some bytes for each of several threads at once, which come and go: `several` allows for them.
bool comes_back_to(long before, bool several) {
  const long most = before + (several ? 8 : 0);
  for (int wait = 0; live > most && wait < 2000; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return live <= most;
}

// Lets every `stride`-th allocation fail, once or for good until the call has ended.
void run_out(Case of, long stride, bool for_good) {
  constexpr long kMany = 1000000000;
  const auto run = [&](long allocation) {
    lasting = for_good;
    Run one(of, allocation);
    left = allocation;
    one.go();
    const long rest = left.exchange(-1);
    require(allocation == kMany ? one.errors() == 0 : one.errors() <= 1, "failed again",
            allocation);
    return allocation == kMany ? kMany - rest : one.errors();
  };
  run(kMany);  // what is made once and for all
  const long count = run(kMany);
  const Case expected = of;
  const bool several = of.threads > 1 || std::strcmp(of.tail, "sparse") == 0;
  const long before = live;
  long refused = 0;
  for (long allocation = 0; allocation < count; allocation += stride) {
    refused += run(allocation);
    require(comes_back_to(before, several), "leaked", allocation);
    require(same(of, expected), "other numbers", allocation);
  }
  std::printf("%ld allocations, every %ld-th failed, %ld refused\n", count, stride, refused);
  require(refused > count / stride / 2, "hardly any failure was seen", count);
}

}  // namespace

int main() {
#if defined(CROSSNEST_TEST_SANITIZED)
  const long stride = 13;
#else
  const long stride = 1;
#endif
  const auto crossed = [] { return designs::crossed(7, 4, 40, 2, 1); };
  for (const bool for_good : {false, true}) {
    run_out(Case(crossed(), "automatic", 1), stride, for_good);
    run_out(Case(crossed(), "sparse", 1), 7 * stride, for_good);
    run_out(Case(designs::single(5, 6, 2), "automatic", 1), stride, for_good);
    run_out(Case(crossed(), "automatic", 2), 5 * stride, for_good);
  }
  if (failures > 0) std::printf("%d failures\n", failures);
  return failures > 0 ? 1 : 0;
}
