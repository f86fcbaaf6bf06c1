// The optimizer's loop allocates nothing: every allocation of this program is counted here.
//
// With glibc malloc and its like are replaced, which operator new and Eigen call; elsewhere
// operator new alone. A sanitizer brings its own malloc, which is left alone.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "check.hpp"
#include "dense.hpp"
#include "optimizer.hpp"
#include "problem.hpp"
#include "profiled_criterion.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CROSSNEST_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CROSSNEST_TEST_SANITIZED
#endif
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<long> allocations{0};

thread_local bool in_kernel = false;

[[maybe_unused]] void count() noexcept {
  if (counting.load(std::memory_order_relaxed) && !in_kernel) ++allocations;
}

}  // namespace

#if !defined(CROSSNEST_TEST_SANITIZED)

#if defined(__GLIBC__)

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) noexcept {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t items, std::size_t size) noexcept {
  count();
  return __libc_calloc(items, size);
}
void* realloc(void* old, std::size_t size) noexcept {
  count();
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  count();
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? 12 : 0;  // ENOMEM
}
}

#else

// The array and nothrow forms call these.
void* operator new(std::size_t size) {
  count();
  if (void* place = std::malloc(size > 0 ? size : 1)) return place;
  throw std::bad_alloc();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }

#endif

#endif

namespace {

using crossnest::DenseKernels;
using crossnest::TailKind;

template <class Body>
long allocations_in(Body&& body) {
  allocations = 0;
  counting = true;
  body();
  counting = false;
  return allocations;
}

std::vector<double> diagonal_theta(const designs::Problem& problem, double value) {
  std::vector<double> theta;
  for (const double bound : problem.criterion().covariance().lower_bounds())
    theta.push_back(bound == 0.0 ? value : 0.1);
  return theta;
}

template <auto kernel, class... Arguments>
void uncounted(Arguments... arguments) {
  in_kernel = true;
  (crossnest::eigen_kernels().*kernel)(arguments...);
  in_kernel = false;
}

// Eigen's kernels, what they allocate themselves left aside: packed copies of matrices beyond the
// size it keeps on the stack, and a tile in dpotri.
const DenseKernels& uncounted_kernels() {
  static const DenseKernels table = [] {
    DenseKernels kernels = crossnest::eigen_kernels();
    kernels.dpotrf = uncounted<&DenseKernels::dpotrf>;
    kernels.dpotri = uncounted<&DenseKernels::dpotri>;
    kernels.dtrsm = uncounted<&DenseKernels::dtrsm>;
    kernels.dsyrk = uncounted<&DenseKernels::dsyrk>;
    kernels.dgemm = uncounted<&DenseKernels::dgemm>;
    kernels.dsymm = uncounted<&DenseKernels::dsymm>;
    return kernels;
  }();
  return table;
}

struct Allowed {
  const DenseKernels* kernels = &crossnest::eigen_kernels();
  long in_gradient = 0;
  TailKind tail = TailKind::automatic;
};

// Objective and gradient at other thetas than before, after two of each.
void check_allocations(const designs::Data& data, const std::vector<std::string>& kinds,
                       const Allowed& allowed = Allowed()) {
  for (const int threads : {1, 2}) {
    crossnest::ModelOptions options;
    options.threads = threads;
    options.tail = allowed.tail;
    options.kernels = allowed.kernels;
    designs::Problem problem(data.design(), options);
    std::vector<std::string> found;
    for (const auto& line : problem.structure().report()) found.push_back(line.kind);
    CHECK(found == kinds);
    const std::vector<double> first = diagonal_theta(problem, 1.0);
    const std::vector<double> second = diagonal_theta(problem, 0.5);
    std::vector<double> gradient;
    double value = problem.objective(first, true);
    CHECK(allocations_in([&] { value += problem.objective(second, true); }) == 0);
    problem.gradient(first, true, gradient);
    problem.gradient(first, true, gradient);
    CHECK(allocations_in([&] { value += problem.gradient(second, true, gradient); }) <=
          allowed.in_gradient);
    CHECK(allocations_in([&] { value += problem.objective(first, false); }) == 0);
    // A singular theta takes the general form of the gradient.
    std::vector<double> singular = first;
    singular[0] = 0.0;
    for (int i = 0; i < 2; ++i) problem.gradient(singular, true, gradient);
    CHECK(allocations_in([&] { value += problem.gradient(singular, true, gradient); }) <=
          allowed.in_gradient);
    CHECK(std::isfinite(value));
  }
}

// What a search allocates does not depend on how many steps it takes: whole steps allocate nothing
// but what is allowed in a gradient.
void check_steps(const designs::Data& data, long in_gradient = 0) {
  dense::Engine engine(data);
  crossnest::ProfiledCriterion objective(engine.criterion, true, 0.0, engine.interrupt);
  std::vector<double> start;
  for (const double bound : engine.criterion.covariance().lower_bounds())
    start.push_back(bound == 0.0 ? 30.0 : 1.0);
  crossnest::OptimizerOptions options;
  options.tolerance = 0.0;
  long first = -1;
  for (const int evaluations : {2, 3, 4, 6}) {
    options.max_evaluations = evaluations;
    crossnest::Optimizer optimizer(objective, options);
    const crossnest::Optimum before = optimizer.minimize(start);
    CHECK(before.verdict.ending == crossnest::Verdict::Ending::evaluations);
    CHECK(before.gradients > evaluations / 2);
    const long allocated = allocations_in([&] { optimizer.minimize(start); });
    if (first < 0) first = allocated;
    CHECK(allocated <= first + in_gradient * (before.gradients - 2));
  }
}

}  // namespace

#if !defined(CROSSNEST_TEST_SANITIZED)
TEST(are_counted) {
  std::vector<double> numbers;
  CHECK(allocations_in([&] { numbers.resize(10); }) > 0);
  CHECK(allocations_in([&] { numbers.resize(5); }) == 0);
#if defined(__GLIBC__)
  void* volatile place = nullptr;
  CHECK(allocations_in([&] { place = std::malloc(10); }) > 0);
  std::free(place);
#endif
}
#endif

// Many levels, so that the loops over them are shared by the threads.
TEST(single_factor) { check_allocations(designs::single(20000, 3, 2), {"block-diagonal"}); }

TEST(wide_terms) { check_allocations(designs::single(500, 12, 6), {"block-diagonal"}); }

TEST(nested) {
  check_allocations(designs::nested(9000, 900, 30, 20000, 2, 1, 1),
                    {"block-diagonal", "block-diagonal", "block-diagonal"});
}

// Eigen's kernels allocate nothing at this size but one tile in dpotri, which the gradient calls.
TEST(small_dense_tail) {
  Allowed allowed;
  allowed.in_gradient = 1;
  check_allocations(designs::crossed(500, 30, 6000, 2, 1), {"block-diagonal", "dense"}, allowed);
  check_allocations(designs::crossed(300, 60, 4000, 1, 1), {"block-diagonal", "dense"}, allowed);
}

TEST(dense_tail_kernels_aside) {
  Allowed allowed;
  allowed.kernels = &uncounted_kernels();
  const std::vector<std::string> kinds{"block-diagonal", "dense"};
  check_allocations(designs::crossed(2000, 300, 8000, 1, 1), kinds, allowed);
  check_allocations(designs::crossed(1000, 350, 4000, 2, 2), kinds, allowed);
  check_allocations(designs::crossed(400, 100, 30000, 1, 1), kinds, allowed);  // with full rows
}

TEST(sparse_tail) {
  check_allocations(designs::workers(3000, 1000, 2, 1, 1), {"block-diagonal", "sparse"});
  check_allocations(designs::workers(500, 300, 2, 2, 2), {"block-diagonal", "sparse"});
}

TEST(steps_of_a_search) {
  check_steps(designs::single(60, 12, 1));
  check_steps(designs::single(60, 12, 4));
  check_steps(designs::nested(60, 20, 5, 300, 2, 1, 1));
  check_steps(designs::crossed(40, 30, 600, 2, 1), 1);  // a tile in dpotri
}
