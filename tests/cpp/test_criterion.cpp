// The criterion, its gradient and its average information against the n x n likelihood.
#include <functional>

#include "check.hpp"
#include "criterion.hpp"
#include "dense.hpp"

namespace {

using crossnest::Frame;
using crossnest::TailKind;
using dense::MatrixXd;
using dense::VectorXd;

// Diagonals about 0.7, the rest about zero.
std::vector<double> some_theta(const crossnest::Criterion& criterion) {
  designs::Random random(21);
  std::vector<double> theta;
  for (const double bound : criterion.covariance().lower_bounds())
    theta.push_back((bound == 0.0 ? 0.7 : 0.0) + 0.3 * (random.uniform() - 0.5));
  return theta;
}

double five_point_difference(const std::function<double(double)>& f, double h) {
  return (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h);
}

void check_gradient(crossnest::Criterion& criterion, const std::vector<double>& theta, Frame frame,
                    bool reml) {
  CHECK(std::isfinite(criterion.objective(theta.data(), frame, reml)));
  std::vector<double> gradient(theta.size());
  criterion.gradient(gradient.data());
  for (std::size_t a = 0; a < theta.size(); ++a) {
    const auto along = [&](double step) {
      std::vector<double> moved = theta;
      moved[a] += step;
      return criterion.objective(moved.data(), frame, reml);
    };
    CHECK_NEAR(gradient[a], five_point_difference(along, 1e-3), 2e-7);
  }
}

void check_criterion(const designs::Data& data, TailKind tail = TailKind::automatic) {
  dense::Engine engine(data, tail);
  crossnest::Criterion& criterion = engine.criterion;
  const std::vector<double> theta = some_theta(criterion);
  const std::vector<double> internal = criterion.to_internal(theta.data());
  const std::vector<double> back = criterion.to_user(internal.data());
  for (std::size_t a = 0; a < theta.size(); ++a) CHECK_NEAR(back[a], theta[a], 1e-12);
  for (const bool reml : {true, false}) {
    const double expected = dense::Model(engine.design, theta, reml).objective;
    CHECK_NEAR(criterion.objective(theta.data(), Frame::user, reml), expected, 1e-11);
    CHECK_NEAR(criterion.objective(internal.data(), Frame::engine, reml), expected, 1e-11);
    check_gradient(criterion, theta, Frame::user, reml);
    check_gradient(criterion, internal, Frame::engine, reml);
  }
}

// A theta with the parameters at `zeros` zero: the general form of the gradient.
void check_singular(const designs::Data& data, const std::vector<std::size_t>& zeros,
                    TailKind tail = TailKind::automatic) {
  dense::Engine engine(data, tail);
  std::vector<double> theta = some_theta(engine.criterion);
  for (const std::size_t a : zeros) theta[a] = 0.0;
  for (const bool reml : {true, false}) {
    CHECK_NEAR(engine.criterion.objective(theta.data(), Frame::user, reml),
               dense::Model(engine.design, theta, reml).objective, 1e-11);
    check_gradient(engine.criterion, theta, Frame::user, reml);
    check_gradient(engine.criterion, theta, Frame::engine, reml);
  }
}

// d lambda / d theta_a of every term put into Lambda's place, user's scale.
MatrixXd lambda_derivative(const designs::View& design, const std::vector<double>& theta,
                           std::size_t a) {
  std::vector<double> moved = theta;
  moved[a] += 1.0;  // Lambda is linear in theta
  return dense::Model(design, moved, true).Lambda - dense::Model(design, theta, true).Lambda;
}

}  // namespace

TEST(single_factor) {
  for (int k = 1; k <= 4; ++k) check_criterion(designs::single(12, 8, k));
}

TEST(nested) {
  check_criterion(designs::nested(24, 8, 3, 150, 1, 1, 1));
  check_criterion(designs::nested(24, 8, 3, 150, 2, 2, 1));
}

TEST(crossed) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
    check_criterion(designs::crossed(16, 9, 150, 1, 1), tail);
    check_criterion(designs::crossed(16, 9, 150, 3, 2), tail);
    check_criterion(designs::nested_crossed(18, 5, 4, 150, 2, 1, 2), tail);
  }
  check_criterion(designs::crossed(45, 40, 900, 1, 1), TailKind::dense);  // with full rows
}

TEST(sparse_tail) { check_criterion(designs::workers(30, 25, 2, 2, 2), TailKind::sparse); }

TEST(several_terms_on_a_factor) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 2);
  data.terms[1].structure = "diagonal";
  data.add_term(0, 2, "unstructured", false);
  data.add_term(0, 2, "diagonal", false);
  check_criterion(data);
}

TEST(one_observation_a_level_with_weights) {
  designs::Data data(40, 2, 6);
  const int f = data.add_random_factor(40);
  data.add_term(f, 1);
  data.add_term(data.add_outer_factor(f, 8), 2);
  data.add_weights();
  check_criterion(data.simulate());
}

TEST(without_fixed_effects) {
  designs::Data data(60, 0, 7);
  data.add_term(data.add_random_factor(10), 2);
  check_criterion(data.simulate());
}

TEST(singular) {
  check_singular(designs::single(12, 8, 1), {0});
  check_singular(designs::single(12, 8, 3), {5});
  check_singular(designs::single(12, 8, 3), {0, 1, 2});
  check_singular(designs::single(12, 8, 2), {0, 1, 2});
  check_singular(designs::nested(24, 8, 3, 150, 2, 1, 2), {2, 3});
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
    check_singular(designs::crossed(16, 9, 150, 2, 2), {2}, tail);
    check_singular(designs::crossed(16, 9, 150, 2, 2), {0, 5}, tail);
    check_singular(designs::nested_crossed(18, 5, 4, 150, 2, 1, 2), {3, 6}, tail);
  }
  check_singular(designs::crossed(45, 40, 900, 1, 1), {1}, TailKind::dense);
  check_singular(designs::workers(30, 25, 2, 2, 2), {2, 5}, TailKind::sparse);
}

TEST(nearly_singular) {
  dense::Engine engine(designs::crossed(16, 9, 150, 2, 1));
  for (const double small : {1e-1, 1e-2, 1e-3, 1e-4, 1e-7}) {
    std::vector<double> theta = some_theta(engine.criterion);
    theta[2] = small;
    check_gradient(engine.criterion, theta, Frame::user, true);
  }
}

TEST(infinite_where_it_cannot_be_factored) {
  dense::Engine engine(designs::crossed(16, 9, 150, 1, 1));
  const double theta[] = {1e200, 1.0};
  CHECK(engine.criterion.objective(theta, Frame::user, true) ==
        std::numeric_limits<double>::infinity());
}

// AI_ab = nu (y'P V_a P V_b P y / r2 - y'P V_a P y y'P V_b P y / r2^2), V_a = dV / dtheta_a.
TEST(average_information) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
    dense::Engine engine(designs::nested_crossed(18, 5, 4, 120, 2, 1, 2), tail);
    const std::vector<double> theta = some_theta(engine.criterion);
    const Eigen::Index m = static_cast<Eigen::Index>(theta.size());
    MatrixXd information(m, m);
    std::vector<double> gradient(theta.size());
    engine.criterion.objective(theta.data(), Frame::user, true);
    engine.criterion.gradient(gradient.data(), information.data());

    const dense::Model model(engine.design, theta, true);
    const VectorXd Py = model.P * model.y;
    MatrixXd VPy(engine.design.n, m);
    for (Eigen::Index a = 0; a < m; ++a) {
      const MatrixXd D = lambda_derivative(engine.design, theta, static_cast<std::size_t>(a));
      const MatrixXd half = model.Z * D * model.Lambda.transpose() * model.Z.transpose();
      VPy.col(a) = (half + half.transpose()) * Py;
    }
    const VectorXd q = VPy.transpose() * Py;
    const MatrixXd expected = model.nu * (VPy.transpose() * model.P * VPy / model.r2 -
                                          q * q.transpose() / model.r2 / model.r2);
    CHECK_NEAR(dense::difference(information, expected), 0.0, 1e-9);
  }
}

TEST(knows_where_it_is) {
  dense::Engine engine(designs::single(12, 8, 1));
  const std::vector<double> theta{0.7};
  engine.criterion.objective(theta.data(), Frame::engine, true);
  CHECK(engine.criterion.is_at(theta));
  CHECK(!engine.criterion.is_at({0.8}));
  CHECK(engine.criterion.factorize({{0.8}}));  // another factor, of no theta
  CHECK(!engine.criterion.is_at(theta));
}

TEST(normalize_keeps_the_covariance) {
  dense::Engine engine(designs::crossed(16, 9, 150, 2, 1));
  std::vector<double> theta{-0.5, 0.3, -0.2, -1.0};
  const double before = engine.criterion.objective(theta.data(), Frame::engine, true);
  engine.criterion.covariance().normalize(theta.data());
  CHECK(theta == std::vector<double>({0.5, -0.3, 0.2, 1.0}));
  CHECK_NEAR(engine.criterion.objective(theta.data(), Frame::engine, true), before, 1e-13);
}
