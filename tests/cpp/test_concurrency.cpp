// Fits from several threads at once: what the thread sanitizer looks at.
#include <crossnest/fit.hpp>
#include <thread>

#include "check.hpp"
#include "problem.hpp"

namespace {

using crossnest::Fit;
using designs::Problem;

crossnest::ModelOptions two_threads() {
  crossnest::ModelOptions options;
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

TEST(refits_of_one_model_from_two_threads) {
  const designs::Data data = drawn();
  Problem problem(data.design(), two_threads());
  std::vector<double> Y;
  for (int r = 0; r < 40; ++r)
    for (std::size_t i = 0; i < data.y.size(); ++i)
      Y.push_back(data.y[(i * 7 + static_cast<std::size_t>(r)) % data.y.size()]);
  crossnest::Refits refits[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      crossnest::Evaluator evaluator(problem.model());
      refits[i] = crossnest::refit_many(evaluator, Y.data(), 40, {});
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(refits[0].theta == refits[1].theta);
}

TEST(eight_threads_fit_one_model_to_the_same_bits) {
  const designs::Data data = drawn();
  Problem problem(data.design(), two_threads());
  const Fit expected = problem.fit(true);
  std::vector<Fit> fits(8);
  std::vector<std::thread> threads;
  for (Fit& own : fits)
    threads.emplace_back([&] {
      crossnest::Evaluator evaluator(problem.model());
      own = crossnest::fit(evaluator, problem.response(), true);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Fit& fit : fits) {
    CHECK(fit.estimates.theta == expected.estimates.theta);
    CHECK(fit.estimates.fitted == expected.estimates.fitted);
    CHECK(fit.evaluations == expected.evaluations);
  }
}
