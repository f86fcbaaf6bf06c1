// Designs with several minima far apart.
#include "check.hpp"
#include "dense.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"
#include "start.hpp"
#include "wide_search.hpp"

namespace {

using crossnest::Breadth;
using crossnest::Optimizer;
using crossnest::OptimizerOptions;
using crossnest::Optimum;
using crossnest::ProfiledCriterion;
using crossnest::WeightSpread;

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
    ProfiledCriterion objective(engine.criterion, true, 0.0, engine.interrupt);
    const WeightSpread weights(data.design(), engine.interrupt);
    objective.search_widely(engine.blocks, engine.A, weights);
    Optimizer optimizer(objective, OptimizerOptions());
    const std::vector<double> start = moment_start(engine.blocks, engine.A, engine.criterion);
    const Optimum first = optimizer.minimize(start);
    const Optimum best = optimizer.find_minimum(start, Breadth::all_starts);
    CHECK(best.value <= first.value + 1e-9);
    CHECK(best.evaluations > first.evaluations);
    improved += best.value < first.value - 0.1;
    designs::Random random(seed);
    for (int restart = 0; restart < 5; ++restart) {
      std::vector<double> other(best.x.size());
      for (double& value : other) value = std::pow(10.0, 4.0 * random.uniform() - 2.0);
      CHECK(optimizer.minimize(other).value > best.value - 1e-4);
    }
  }
  CHECK(improved > 0);
}

TEST(held_parameters_stay_held) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const designs::Data data = far_apart(seed);
    dense::Engine engine(data);
    engine.response.held = {{0, 2.0, false}, {1, 0.0, false}, {2, 0.5, true}};
    const WeightSpread weights(data.design(), engine.interrupt);
    for (const bool reml : {true, false}) {
      ProfiledCriterion objective(engine.criterion, reml, 0.0, engine.interrupt);
      objective.search_widely(engine.blocks, engine.A, weights);
      const Optimum best =
          Optimizer(objective, OptimizerOptions())
              .find_minimum(moment_start(engine.blocks, engine.A, engine.criterion),
                            Breadth::all_starts);
      CHECK(best.x[0] == 2.0);
      CHECK(best.x[1] == 0.0);
      if (reml) CHECK(best.x[2] == 0.5);
    }
  }
}
