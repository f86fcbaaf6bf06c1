// MINQUE(0) for many responses.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "dense.hpp"
#include "moments.hpp"
#include "problem.hpp"

using dense::Engine;

namespace {

std::vector<double> moments(Engine& engine) {
  return crossnest::MomentEquations(engine.blocks, engine.A, engine.covariance, engine.interrupt)
      .solve(engine.response);
}

// Rows in the order of the levels, `each` to a level of every combination.
designs::Data balanced(int rows, int columns, int each) {
  designs::Data data(rows * columns * each, 1);
  std::vector<crossnest::Level> a, b;
  for (int i = 0; i < rows * columns * each; ++i) {
    a.push_back(i % rows);
    b.push_back(i / rows % columns);
  }
  data.add_term(data.add_factor(a, rows), 1);
  data.add_term(data.add_factor(b, columns), 1);
  return data.simulate();
}

}  // namespace

TEST(balanced_layouts_give_the_reml_estimates) {
  const designs::Data data = balanced(12, 7, 3);
  Engine engine(data);
  const std::vector<double> theta = engine.criterion.to_user(moments(engine).data());
  designs::Problem problem(data.design());
  const std::vector<double> reml = problem.fit(true).estimates.theta;
  for (std::size_t a = 0; a < theta.size(); ++a) CHECK_NEAR(theta[a], reml[a], 1e-5);
}

TEST(covariances_are_estimated) {
  // Intercepts and slopes that go together: the start has a correlation, with the right sign.
  designs::Data data(1200, 2);
  data.add_term(data.add_random_factor(60), 2);
  data.simulate(0.0);
  std::vector<double> b;
  for (int l = 0; l < 60; ++l) b.push_back(2.0 * data.random.normal());
  for (std::size_t i = 0; i < 1200; ++i)
    data.y[i] += b[static_cast<std::size_t>(data.codes[0][i])] * (1.0 - data.columns[0][i]);
  Engine engine(data);
  const std::vector<double> theta = engine.criterion.to_user(moments(engine).data());
  CHECK(theta[0] > 1.0 && theta[1] < -1.0);
}

TEST(equations_do_not_depend_on_the_response) {
  const designs::Data data = designs::crossed(20, 9, 240, 2, 1);
  Engine engine(data);
  const crossnest::MomentEquations equations(engine.blocks, engine.A, engine.covariance,
                                             engine.interrupt);
  const std::vector<double> first = equations.solve(engine.response);
  crossnest::Response other = engine.response;
  for (double& score : other.Zy) score *= 2.0;
  CHECK(equations.solve(other) != first);
  CHECK(equations.solve(engine.response) == first);
}
