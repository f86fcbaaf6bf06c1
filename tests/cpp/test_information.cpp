// What degrees of freedom are made of, against n x n matrices.

#include "check.hpp"
#include "dense.hpp"
#include "problem.hpp"

namespace {

using crossnest::Curvature;
using crossnest::HessianKind;
using crossnest::Index;
using crossnest::Information;
using crossnest::ModelOptions;
using dense::MatrixXd;
using dense::VectorXd;
using designs::Problem;
using Eigen::Map;

// Diagonals about 0.7, the rest about zero.
std::vector<double> some_theta(const Problem& problem) {
  designs::Random random(21);
  std::vector<double> theta;
  for (const double bound : problem.criterion().covariance().lower_bounds())
    theta.push_back((bound == 0.0 ? 0.7 : 0.0) + 0.3 * (random.uniform() - 0.5));
  return theta;
}

// dV / dtheta_a by a difference that is exact but for rounding, V being quadratic in theta.
MatrixXd derivative(const designs::View& design, const std::vector<double>& theta, std::size_t a) {
  std::vector<double> up = theta, down = theta;
  up[a] += 0.5;
  down[a] -= 0.5;
  return dense::Model(design, up, true).V - dense::Model(design, down, true).V;
}

// The parameters of `information` are linear combinations of the entries of the covariance matrices
// on the user's scale, so what is compared does not depend on the choice: the matrix
// sum_rs W_rs (Q_rs - P_r P_s) and tr(P_r W_rs P_s) with W the inverse of the expected and of the
// observed information.
struct Invariants {
  MatrixXd adjustment, spread;

  Invariants(const std::vector<MatrixXd>& P, const std::vector<std::vector<MatrixXd>>& Q,
             const MatrixXd& traces, const MatrixXd& quadratics, bool observed) {
    const auto m = traces.rows(), p = P[0].rows();
    MatrixXd information(m, m);
    for (Index r = 0; r < m; ++r)
      for (Index s = 0; s < m; ++s) {
        const auto i = static_cast<std::size_t>(r), j = static_cast<std::size_t>(s);
        information(r, s) = 0.5 * (traces(r, s) - 2.0 * Q[i][j].trace() + (P[i] * P[j]).trace());
      }
    if (observed) information = quadratics - information;
    const MatrixXd W = information.fullPivLu().inverse();
    adjustment = spread = MatrixXd::Zero(p, p);
    for (Index r = 0; r < m; ++r)
      for (Index s = 0; s < m; ++s) {
        const auto i = static_cast<std::size_t>(r), j = static_cast<std::size_t>(s);
        adjustment += W(r, s) * (Q[i][j] - P[i] * P[j]);
        spread += W(r, s) * P[i] * P[j];
      }
  }
};

Invariants of_engine(const Information& at, bool observed) {
  const Index m = at.parameters, p = at.rank, size = p * p;
  std::vector<MatrixXd> P;
  std::vector<std::vector<MatrixXd>> Q;
  for (Index r = 0; r < m; ++r) {
    P.emplace_back(Map<const MatrixXd>(at.first.data() + r * size, p, p));
    Q.emplace_back();
    for (Index s = 0; s < m; ++s)
      Q.back().emplace_back(Map<const MatrixXd>(at.second.data() + (s * m + r) * size, p, p));
  }
  return Invariants(P, Q, Map<const MatrixXd>(at.traces.data(), m, m),
                    Map<const MatrixXd>(at.quadratics.data(), m, m), observed);
}

// In the directions dV / dtheta_a (which span those of the entries where lambda is not singular)
// and W^-1.
Invariants of_matrices(const designs::View& design, const std::vector<double>& theta,
                       const dense::Model& model, const MatrixXd& RX, bool observed) {
  const double variance = model.r2 / model.nu;
  const auto m = theta.size() + 1;
  const MatrixXd X = model.X * RX.inverse();
  std::vector<MatrixXd> G, P;
  std::vector<std::vector<MatrixXd>> Q;
  for (std::size_t a = 0; a + 1 < m; ++a)
    G.push_back(model.V_inverse * derivative(design, theta, a));
  G.push_back(model.V_inverse * model.w.cwiseInverse().asDiagonal());
  MatrixXd traces(m, m), quadratics(m, m);
  const VectorXd Py = model.P * model.y;
  for (std::size_t r = 0; r < m; ++r) {
    P.push_back(X.transpose() * G[r] * model.V_inverse * X);
    Q.emplace_back();
    for (std::size_t s = 0; s < m; ++s) {
      const auto i = static_cast<Index>(r), j = static_cast<Index>(s);
      Q.back().push_back(X.transpose() * G[r] * G[s] * model.V_inverse * X);
      traces(i, j) = (G[r] * G[s]).trace();
      quadratics(i, j) = Py.dot(model.V * G[r] * model.P * model.V * G[s] * Py) / variance;
    }
  }
  return Invariants(P, Q, traces, quadratics, observed);
}

void check_information(const designs::Data& data) {
  const designs::View design = data.design();
  Problem problem(design, ModelOptions{});
  const std::vector<double> theta = some_theta(problem);
  const dense::Model model(design, theta, true);
  const auto estimates = problem.estimates(theta, true);
  const Index p = static_cast<Index>(estimates.beta.size());
  const MatrixXd RX = Map<const MatrixXd>(estimates.RX.data(), p, p);
  const Information at = problem.information(theta, true);
  for (const bool observed : {false, true}) {
    const Invariants own = of_engine(at, observed);
    const Invariants expected = of_matrices(design, theta, model, RX, observed);
    CHECK_NEAR(dense::difference(own.adjustment, expected.adjustment), 0.0, 1e-8);
    CHECK_NEAR(dense::difference(own.spread, expected.spread), 0.0, 1e-8);
  }
}

// D(theta, sigma) without its constants.
double unprofiled(const designs::View& design, const std::vector<double>& theta, double sigma,
                  bool reml) {
  const dense::Model model(design, theta, reml);
  const double profiled = model.nu * (1.0 + std::log(6.283185307179586 * model.r2 / model.nu));
  return model.objective - profiled + 2.0 * model.nu * std::log(sigma) + model.r2 / (sigma * sigma);
}

// Hessian in (theta, tau), by differences of second order extrapolated to fourth.
MatrixXd hessian_by_differences(const designs::View& design, const std::vector<double>& theta,
                                bool reml) {
  const auto m = theta.size() + 1;
  const dense::Model model(design, theta, reml);
  const double sigma = std::sqrt(model.r2 / model.nu);
  const auto value = [&](const VectorXd& move) {
    std::vector<double> moved = theta;
    for (std::size_t a = 0; a + 1 < m; ++a) moved[a] += move(static_cast<Index>(a));
    return unprofiled(design, moved, sigma * (1.0 + move(static_cast<Index>(m) - 1)), reml);
  };
  const auto mixed = [&](const VectorXd& a, const VectorXd& b) {
    return (value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / 4.0;
  };
  MatrixXd H(m, m);
  const MatrixXd unit = 4e-3 * MatrixXd::Identity(H.rows(), H.rows());
  for (Index a = 0; a < H.rows(); ++a)
    for (Index b = 0; b < H.rows(); ++b)
      H(a, b) =
          (16.0 * mixed(unit.col(a), unit.col(b)) - mixed(2.0 * unit.col(a), 2.0 * unit.col(b))) /
          (12.0 * 4e-3 * 4e-3);
  return H;
}

// phi is linear in theta, so J H^-1 J' is the same in both.
MatrixXd spread(const MatrixXd& jacobian, const MatrixXd& hessian) {
  return jacobian * hessian.fullPivLu().solve(jacobian.transpose());
}

void check_curvature(const designs::Data& data) {
  const designs::View design = data.design();
  Problem problem(design, ModelOptions{});
  const std::vector<double> theta = some_theta(problem);
  for (const bool reml : {true, false}) {
    const auto estimates = problem.estimates(theta, reml);
    const Index p = static_cast<Index>(estimates.beta.size());
    const MatrixXd RX = Map<const MatrixXd>(estimates.RX.data(), p, p);
    const dense::Model model(design, theta, reml);
    const Index m = static_cast<Index>(theta.size()) + 1;
    MatrixXd jacobian(p * p, m);
    for (Index a = 0; a + 1 < m; ++a) {
      const MatrixXd half = model.V_inverse * model.X * RX.inverse();
      Map<MatrixXd>(jacobian.col(a).data(), p, p) =
          half.transpose() * derivative(design, theta, static_cast<std::size_t>(a)) * half;
    }
    Map<MatrixXd>(jacobian.col(m - 1).data(), p, p) = 2.0 * MatrixXd::Identity(p, p);
    const MatrixXd expected = spread(jacobian, hessian_by_differences(design, theta, reml));
    for (const HessianKind kind : {HessianKind::exact, HessianKind::differences}) {
      const Curvature at = problem.curvature(theta, reml, kind);
      CHECK(at.exact == (kind == HessianKind::exact));
      const MatrixXd own = spread(Map<const MatrixXd>(at.jacobian.data(), p * p, m),
                                  Map<const MatrixXd>(at.hessian.data(), m, m));
      CHECK_NEAR((own - expected).norm() / expected.norm(), 0.0, 1e-5);
    }
  }
}

void check_kinds_agree(const designs::Data& data, const std::vector<std::size_t>& zeros) {
  Problem problem(data.design(), ModelOptions{});
  std::vector<double> theta = some_theta(problem);
  for (const std::size_t a : zeros) theta[a] = 0.0;
  for (const bool reml : {true, false}) {
    const Curvature exact = problem.curvature(theta, reml, HessianKind::exact);
    const Curvature other = problem.curvature(theta, reml, HessianKind::differences);
    const Index m = exact.parameters;
    const Map<const MatrixXd> H(exact.hessian.data(), m, m);
    CHECK_NEAR((Map<const MatrixXd>(other.hessian.data(), m, m) - H).norm() / H.norm(), 0.0, 2e-7);
  }
}

}  // namespace

TEST(information) {
  check_information(designs::single(12, 8, 2));
  check_information(designs::nested(24, 8, 3, 150, 1, 2, 1));
  check_information(designs::crossed(16, 9, 150, 2, 1));
  check_information(designs::several_terms());
}

TEST(curvature) {
  check_curvature(designs::single(12, 8, 2));
  check_curvature(designs::nested(24, 8, 3, 150, 1, 2, 1));
  check_curvature(designs::crossed(16, 9, 150, 2, 1));
  check_curvature(designs::several_terms());
}

TEST(odd_designs) {
  check_information(designs::single(12, 8, 4));
  check_information(designs::with_empty_levels(designs::nested_crossed(18, 5, 4, 150, 1, 2, 1)));
  check_curvature(designs::with_empty_levels(designs::crossed(16, 9, 150, 1, 1)));
  check_kinds_agree(designs::single(20, 12, 4), {});
  check_kinds_agree(designs::several_terms(), {0, 4});
}

TEST(both_kinds_of_hessian) {
  check_kinds_agree(designs::single(12, 8, 3), {});
  check_kinds_agree(designs::single(12, 8, 2), {2});
  check_kinds_agree(designs::single(12, 8, 2), {0, 1, 2});
  check_kinds_agree(designs::nested(24, 8, 3, 150, 2, 1, 2), {2, 3});
  check_kinds_agree(designs::crossed(45, 40, 900, 1, 1), {});
  check_kinds_agree(designs::crossed(45, 40, 900, 1, 1), {1});
}

TEST(without_fixed_effects) {
  const designs::Data data = designs::without_fixed(10, 6, 2);
  Problem problem(data.design(), ModelOptions{});
  const std::vector<double> theta = some_theta(problem);
  CHECK(problem.information(theta, false).rank == 0);
  CHECK(problem.curvature(theta, false).jacobian.empty());
}

TEST(follows_another_response) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  Problem problem(data.design(), ModelOptions{});
  const std::vector<double> theta = some_theta(problem);
  problem.information(theta, true);
  data.simulate(0.5);
  problem.read(data.y.data());
  Problem fresh(data.design(), ModelOptions{});
  const auto same = [](const std::vector<double>& own, const std::vector<double>& expected) {
    const auto size = static_cast<Index>(expected.size());
    CHECK_NEAR(dense::difference(Map<const VectorXd>(own.data(), size),
                                 Map<const VectorXd>(expected.data(), size)),
               0.0, 1e-11);
  };
  same(problem.information(theta, true).quadratics, fresh.information(theta, true).quadratics);
  same(problem.curvature(theta, true).hessian, fresh.curvature(theta, true).hessian);
}

TEST(memory_limit) {
  const designs::Data data = designs::crossed(320, 300, 900, 1, 1);
  ModelOptions options;
  options.memory_limit = std::size_t{3} << 20;  // the factor takes less
  Problem problem(data.design(), options);
  const std::vector<double> theta{0.5, 0.5};
  CHECK_THROWS(problem.information(theta, true), crossnest::MemoryLimitError);
  CHECK_THROWS(problem.curvature(theta, true, HessianKind::exact), crossnest::MemoryLimitError);
  CHECK(!problem.curvature(theta, true).exact);
}
