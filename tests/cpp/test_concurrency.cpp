// Fits from several threads at once: what the thread sanitizer looks at.
#include <crossnest/problem.hpp>
#include <crossnest/refits.hpp>
#include <thread>

#include "check.hpp"
#include "designs.hpp"

namespace {

using crossnest::Fit;
using crossnest::Problem;

crossnest::ProblemOptions two_threads() {
  crossnest::ProblemOptions options;
  options.threads = 2;
  return options;
}

designs::Data drawn() { return designs::crossed(300, 40, 9000, 2, 1); }

}  // namespace

TEST(two_fits_at_once) {
  const designs::Data data = drawn();
  Fit fits[2];
  std::vector<double> leverages[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&data, &fits, &leverages, i] {
      Problem problem(data.design(), two_threads());
      fits[i] = problem.fit(true);
      problem.conditional_variances(fits[i].estimates);
      leverages[i] = problem.leverages(fits[i].estimates);
      problem.curvature(fits[i].estimates.theta, true);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(fits[0].converged && fits[0].estimates.theta == fits[1].estimates.theta);
  CHECK(leverages[0] == leverages[1]);
}

TEST(refits_of_one_problem_from_two_threads) {
  const designs::Data data = drawn();
  const Problem problem(data.design(), two_threads());
  std::vector<double> Y;
  for (int r = 0; r < 40; ++r)
    for (std::size_t i = 0; i < data.y.size(); ++i)
      Y.push_back(data.y[(i * 7 + static_cast<std::size_t>(r)) % data.y.size()]);
  crossnest::Refits refits[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      crossnest::InterruptCheck interrupt;
      refits[i] = crossnest::refit_many(problem, Y.data(), 40, {}, interrupt);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(refits[0].theta == refits[1].theta);
}
