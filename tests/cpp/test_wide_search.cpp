// Designs with several minima far apart.
#include <crossnest/start.hpp>
#include <crossnest/wide_search.hpp>

#include "check.hpp"
#include "dense.hpp"

namespace {

using crossnest::Optimizer;
using crossnest::OptimizerOptions;
using crossnest::Optimum;
using crossnest::WeightSpread;
using crossnest::WideSearch;

// Five levels of each of two factors, weights from 10^-5 to 10^5.
designs::Data far_apart(std::uint64_t seed) {
  designs::Data data(30, 2, seed);
  data.add_term(data.add_random_factor(5), 2, seed % 2 == 0 ? "diagonal" : "unstructured");
  data.add_term(data.add_random_factor(5), 1);
  data.simulate();
  for (crossnest::Index i = 0; i < data.n; ++i)
    data.weights.push_back(std::pow(10.0, 10.0 * data.random.uniform() - 5.0));
  return data;
}

}  // namespace

TEST(spread_of_weights) {
  crossnest::InterruptCheck interrupt;
  designs::Data data(4, 1);
  CHECK(!WeightSpread(data.design(), interrupt).wide());
  data.weights = {1.0, 2.0, 4.0, 8.0};
  const WeightSpread some(data.design(), interrupt);
  CHECK_NEAR(some.ratio, 8.0, 1e-15);
  CHECK_NEAR(some.typical, std::pow(2.0, 1.5) / 15.0, 1e-14);
  CHECK(!some.wide());
  data.weights = {1e-3, 1.0, 1.0, 1.0};
  CHECK(WeightSpread(data.design(), interrupt).wide());
}

TEST(finds_minima_far_from_moments) {
  int improved = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const designs::Data data = far_apart(seed);
    dense::Engine engine(data);
    Optimizer optimizer(engine.criterion, engine.blocks, OptimizerOptions(), engine.interrupt);
    const WeightSpread weights(data.design(), engine.interrupt);
    const Optimum first =
        optimizer.minimize(moment_start(engine.blocks, engine.A, engine.criterion), true);
    Optimum best = first;
    WideSearch(engine.criterion, engine.blocks, engine.A, weights, optimizer, engine.interrupt)
        .improve(best, true);
    CHECK(best.objective <= first.objective + 1e-9);
    CHECK(best.evaluations > first.evaluations);
    improved += best.objective < first.objective - 0.1;
    designs::Random random(seed);
    for (int restart = 0; restart < 5; ++restart) {
      std::vector<double> start(best.theta.size());
      for (double& value : start) value = std::pow(10.0, 4.0 * random.uniform() - 2.0);
      CHECK(optimizer.minimize(start, true).objective > best.objective - 1e-4);
    }
  }
  CHECK(improved > 0);
}

TEST(held_parameters_stay_held) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const designs::Data data = far_apart(seed);
    dense::Engine engine(data);
    engine.criterion.hold({{0, 2.0, false}, {1, 0.0, false}, {2, 0.5, true}});
    Optimizer optimizer(engine.criterion, engine.blocks, OptimizerOptions(), engine.interrupt);
    const WeightSpread weights(data.design(), engine.interrupt);
    for (const bool reml : {true, false}) {
      Optimum best =
          optimizer.minimize(moment_start(engine.blocks, engine.A, engine.criterion), reml);
      WideSearch(engine.criterion, engine.blocks, engine.A, weights, optimizer, engine.interrupt)
          .improve(best, reml);
      CHECK(best.theta[0] == 2.0);
      CHECK(best.theta[1] == 0.0);
      if (reml) CHECK(best.theta[2] == 0.5);
    }
  }
}
