// The constrained deviance, its gradient, and profiles of small simulated designs.

#include "check.hpp"
#include "constrained_deviance.hpp"
#include "dense.hpp"
#include "optimizer.hpp"
#include "problem.hpp"

namespace {

using crossnest::ConstrainedDeviance;
using crossnest::ProfileParameter;
using dense::VectorXd;
using Kind = ProfileParameter::Kind;

std::vector<double> some_theta(const crossnest::Criterion& criterion) {
  designs::Random random(22);
  std::vector<double> theta;
  for (const double bound : criterion.covariance().lower_bounds())
    theta.push_back((bound == 0.0 ? 0.7 : 0.0) + 0.3 * (random.uniform() - 0.5));
  return theta;
}

// Five-point differences of the value along each component of z.
void check_gradient(ConstrainedDeviance& deviance, const VectorXd& z, double tolerance = 1e-6) {
  VectorXd gradient;
  CHECK(std::isfinite(deviance.value(z)));
  deviance.gradient(gradient);
  for (Eigen::Index i = 0; i < z.size(); ++i) {
    const double h = 1e-3 * (i == 0 ? deviance.unit() : 1.0);
    const auto at = [&](double step) {
      VectorXd moved = z;
      moved(i) += step;
      return deviance.value(moved);
    };
    const double difference = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / 12.0;
    CHECK_NEAR(gradient(i) * h, difference, tolerance * h);
  }
}

// At a theta, without the constraint in force: the criterion's own deviance and that parameter; and
// the gradient there, away from there, and where the parameter is zero.
void check_parameter(dense::Engine& engine, const ProfileParameter& parameter, double expected) {
  ConstrainedDeviance deviance(engine.criterion, parameter, engine.interrupt);
  const std::vector<double> theta = some_theta(engine.criterion);
  const double d = engine.criterion.objective(theta.data(), crossnest::Frame::engine, false);
  VectorXd z;
  CHECK(deviance.start(theta, z));
  CHECK_NEAR(deviance.value(z), d, 1e-11);
  CHECK_NEAR(deviance.parameter_at(z(0)), expected, 1e-10);
  check_gradient(deviance, z);
  z(0) += 0.3 * deviance.unit();
  check_gradient(deviance, z);
  z(0) = 0.0;
  check_gradient(deviance, z);
}

void check_all(const designs::Data& data,
               crossnest::TailKind tail = crossnest::TailKind::automatic) {
  dense::Engine engine(data, tail);
  const auto parameters =
      crossnest::profile_parameters(engine.covariance, engine.coordinates.rank());
  ConstrainedDeviance sigma(engine.criterion, {Kind::sigma}, engine.interrupt);
  VectorXd z;
  sigma.start(some_theta(engine.criterion), z);
  sigma.value(z);
  const std::vector<double> values = sigma.estimates();
  CHECK(values.size() == parameters.size());
  for (std::size_t j = 0; j < parameters.size(); ++j)
    check_parameter(engine, parameters[j], values[j]);
}

}  // namespace

TEST(single_factor) {
  for (int k = 1; k <= 3; ++k) check_all(designs::single(12, 8, k));
}

TEST(nested_with_weights) { check_all(designs::nested(24, 8, 3, 150, 2, 1, 1)); }

TEST(crossed) {
  check_all(designs::crossed(16, 9, 150, 2, 1), crossnest::TailKind::dense);
  check_all(designs::crossed(16, 9, 150, 2, 1), crossnest::TailKind::sparse);
}

TEST(several_terms_on_a_factor) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 2);
  data.terms[1].structure = "diagonal";
  data.add_term(0, 1, "unstructured", false);
  check_all(data);
  check_all(designs::several_terms());
}

TEST(odd_designs) {
  check_all(designs::single(12, 12, 4));
  check_all(designs::without_fixed(12, 8, 3));
  check_all(designs::with_empty_levels(designs::nested_crossed(18, 4, 9, 150, 2, 1, 2)));
}

TEST(bad_arguments_are_refused) {
  const designs::Data data = designs::single(12, 8, 1);
  designs::Problem problem(data.design(), crossnest::ModelOptions());
  crossnest::Profiler profiler = problem.profiler();
  CHECK_THROWS(profiler.trace(-1, 2.0), std::out_of_range);
  CHECK_THROWS(profiler.interval(4, 2.0), std::out_of_range);
  CHECK_THROWS(profiler.interval(0, 0.0), std::invalid_argument);
  CHECK_THROWS(profiler.trace(0, NAN), std::invalid_argument);
}

TEST(parameters_are_those_of_the_dense_model) {
  dense::Engine engine(designs::single(12, 8, 2));
  const std::vector<double> internal = some_theta(engine.criterion);
  const std::vector<double> theta = engine.criterion.to_user(internal.data());
  const dense::Model model(engine.design, theta, false);
  ConstrainedDeviance deviance(engine.criterion, {Kind::sigma}, engine.interrupt);
  VectorXd z;
  CHECK(deviance.start(internal, z));
  deviance.value(z);
  const std::vector<double> values = deviance.estimates();
  const double sigma = std::sqrt(model.r2 / model.nu), length = std::hypot(theta[1], theta[2]);
  CHECK_NEAR(values[0], sigma * theta[0], 1e-10);
  CHECK_NEAR(values[1], theta[1] / length, 1e-10);
  CHECK_NEAR(values[2], sigma * length, 1e-10);
  CHECK_NEAR(values[3], sigma, 1e-10);
  for (Eigen::Index j = 0; j < model.beta.size(); ++j)
    CHECK_NEAR(values[static_cast<std::size_t>(4 + j)], model.beta(j), 1e-10);
}

TEST(a_correlation_of_an_effect_without_variance_is_undefined) {
  dense::Engine engine(designs::single(12, 8, 2));
  ConstrainedDeviance deviance(engine.criterion, {Kind::correlation, 0, 1}, engine.interrupt);
  VectorXd z;
  CHECK(!deviance.start({0.0, 0.0, 0.0}, z));
}

// The optimizer that fits: at the minimum it moves nothing, beside it the deviance is higher, and
// the constraint is kept.
TEST(constrained_refits) {
  dense::Engine engine(designs::nested_crossed(24, 6, 9, 200, 2, 1, 1));
  const auto parameters =
      crossnest::profile_parameters(engine.covariance, engine.coordinates.rank());
  double least = NAN;
  for (const ProfileParameter& parameter : parameters) {
    ConstrainedDeviance deviance(engine.criterion, parameter, engine.interrupt);
    VectorXd z;
    CHECK(deviance.start(some_theta(engine.criterion), z));
    std::vector<double> values;
    for (const double moved : {0.0, 0.2}) {
      crossnest::Optimizer optimizer(deviance, crossnest::OptimizerOptions());
      const double t = z(0) + moved * deviance.unit();
      deviance.fix(t);
      const crossnest::Optimum optimum =
          optimizer.minimize(std::vector<double>(z.data(), z.data() + z.size()));
      CHECK(optimum.converged());
      CHECK(optimum.x[0] == t);
      VectorXd at = Eigen::Map<const VectorXd>(optimum.x.data(), z.size()), gradient;
      CHECK_NEAR(deviance.value(at), optimum.value, 1e-11);
      CHECK(deviance.rounding_error() < 1e-9);
      deviance.gradient(gradient);
      for (const Eigen::Index i : deviance.free()) {
        CHECK_NEAR(gradient(i), 0.0, 2e-3);
        for (const double step : {-0.1, 0.1}) {
          VectorXd beside = at;
          beside(i) += step;
          CHECK(deviance.value(beside) > optimum.value - 1e-8);
        }
      }
      values.push_back(optimum.value);
    }
    if (std::isnan(least)) least = designs::Problem(engine.data.design(), {}).profiler().deviance();
    CHECK(values[0] >= least - 1e-8);
    CHECK(values[1] >= least - 1e-8);
  }
}

TEST(ends_lie_on_the_profile) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  designs::Problem problem(data.design(), crossnest::ModelOptions());
  crossnest::Profiler profiler = problem.profiler();
  CHECK_NEAR(profiler.deviance(), problem.fit(false).estimates.objective, 1e-9);
  for (int j = 0; j < static_cast<int>(profiler.parameters().size()); ++j) {
    const crossnest::ProfileTrace trace = profiler.trace(j, 2.5);
    const std::size_t own = static_cast<std::size_t>(j);
    for (std::size_t i = 1; i < trace.points.size(); ++i) {
      CHECK(trace.points[i].zeta >= trace.points[i - 1].zeta - 1e-7);
      CHECK(trace.points[i].parameters[own] > trace.points[i - 1].parameters[own]);
    }
    const auto& last = trace.points.back();
    if (!trace.upper_note.empty() || last.zeta < 0.1) continue;
    CHECK_NEAR(profiler.interval(j, last.zeta).upper, last.parameters[own], 1e-7);
  }
}
