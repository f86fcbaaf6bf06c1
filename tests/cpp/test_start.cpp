// Starts of a search: from moments, and from other sides.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "dense.hpp"
#include "designs.hpp"
#include "start.hpp"

using dense::Engine;

TEST(moments_of_a_balanced_layout_are_the_analysis_of_variance) {
  // One way, balanced: theta^2 = (mean square between / mean square within - 1) / rows in a group.
  designs::Data data(200, 1);
  data.add_term(data.add_factor(
                    [] {
                      std::vector<crossnest::Level> codes;
                      for (int i = 0; i < 200; ++i) codes.push_back(i % 20);
                      return codes;
                    }(),
                    20),
                1);
  const Engine engine(data.simulate(1.5));
  const auto groups = Eigen::Map<const Eigen::MatrixXd>(engine.design.y, 20, 10);
  const Eigen::VectorXd means = groups.rowwise().mean();
  const double within = (groups.colwise() - means).squaredNorm() / (200 - 20);
  const double between = 10.0 * (means.array() - means.mean()).square().sum() / 19;
  const std::vector<double> theta =
      crossnest::moment_start(engine.blocks, engine.A, engine.criterion);
  // Without the degrees of freedom of the mean, which moment_start() does not count.
  const double biased = 10.0 * (means.array() - means.mean()).square().sum() / 20;
  CHECK(theta[0] * theta[0] < (between / within - 1.0) / 10.0);
  CHECK_NEAR(theta[0] * theta[0], (biased / within - 1.0) / 10.0, 1e-10);
}

TEST(moments_are_kept_within_reason) {
  // No variation between groups at all: a tenth of the residual standard deviation, not zero.
  designs::Data data = designs::single(12, 9, 1);
  for (std::size_t i = 0; i < data.y.size(); ++i)
    data.y[i] = std::cos(1.0 + 17.0 * static_cast<double>(i));
  const Engine engine(data);
  const std::vector<double> theta =
      crossnest::moment_start(engine.blocks, engine.A, engine.criterion);
  CHECK(theta[0] >= 0.1 - 1e-12);
}

TEST(other_starts_are_inside_the_bounds) {
  designs::Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_term(1, 3, "cs");
  data.add_term(1, 2, "diagonal");
  const Engine engine(data.simulate());
  const auto starts = crossnest::other_starts(engine.covariance);
  CHECK(starts.size() == 4);  // cs is not linear in its correlation: one more, below zero
  for (const std::vector<double>& theta : starts) {
    engine.covariance.check(theta);
    for (int a = 0; a < engine.covariance.size(); ++a)
      CHECK(!engine.covariance.at_bound(a, theta[static_cast<std::size_t>(a)]));
  }
}

TEST(scales_alone_have_two_other_starts) {
  designs::Data data(120, 1);
  data.add_term(data.add_random_factor(12), 2, "diagonal");
  const Engine engine(data.simulate());
  CHECK(crossnest::other_starts(engine.covariance) ==
        std::vector<std::vector<double>>({{1.0, 1.0}, {10.0, 10.0}}));
}
