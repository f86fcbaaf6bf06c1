// The optimizer on functions whose minima are known: it knows nothing of mixed models.
#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <cmath>
#include <functional>
#include <limits>

#include "check.hpp"
#include "optimizer.hpp"

namespace {

using crossnest::Breadth;
using crossnest::InterruptCheck;
using crossnest::Objective;
using crossnest::Optimizer;
using crossnest::OptimizerOptions;
using crossnest::Optimum;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Ending = crossnest::Verdict::Ending;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Optimum minimize(Objective& objective, const std::vector<double>& start,
                 const OptimizerOptions& options = OptimizerOptions()) {
  return Optimizer(objective, options).minimize(start);
}

// sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, least at (1, ..., 1).
class Rosenbrock : public Objective {
 public:
  Rosenbrock(Index size, bool has_hessian, InterruptCheck& interrupt)
      : Objective(interrupt), size_(size), has_hessian_(has_hessian) {}

  Index parameters() const override { return size_; }
  bool has_hessian() const override { return has_hessian_; }

 private:
  double evaluate(const VectorXd& x) override {
    x_ = x;
    double sum = 0.0;
    for (Index i = 0; i + 1 < size_; ++i)
      sum += 100.0 * std::pow(x(i + 1) - x(i) * x(i), 2) + std::pow(1.0 - x(i), 2);
    return sum;
  }

  void differentiate(VectorXd& gradient, MatrixXd* hessian) override {
    gradient.setZero(size_);
    if (hessian != nullptr) hessian->setZero(size_, size_);
    for (Index i = 0; i + 1 < size_; ++i) {
      const double miss = x_(i + 1) - x_(i) * x_(i);
      gradient(i) += -400.0 * x_(i) * miss - 2.0 * (1.0 - x_(i));
      gradient(i + 1) += 200.0 * miss;
      if (hessian == nullptr) continue;
      (*hessian)(i, i) += 800.0 * x_(i) * x_(i) + 2.0 - 400.0 * miss;
      (*hessian)(i + 1, i + 1) += 200.0;
      (*hessian)(i, i + 1) -= 400.0 * x_(i);
      (*hessian)(i + 1, i) -= 400.0 * x_(i);
    }
  }

  Index size_;
  bool has_hessian_;
  VectorXd x_;
};

// 1/2 (x - m)'A(x - m) + height within a box.
class Quadratic : public Objective {
 public:
  Quadratic(MatrixXd A, VectorXd m, InterruptCheck& interrupt)
      : Objective(interrupt),
        low(VectorXd::Constant(m.size(), -kInfinity)),
        high(VectorXd::Constant(m.size(), kInfinity)),
        A_(std::move(A)),
        m_(std::move(m)) {}

  VectorXd low, high;
  double height = 0.0;
  Index held = -1;
  double held_at = 0.0;

  Index parameters() const override { return m_.size(); }
  double lower(Index i) const override { return low(i); }
  double upper(Index i) const override { return high(i); }
  bool is_free(Index i) const override { return i != held; }
  void impose(VectorXd& x) const override {
    if (held >= 0) x(held) = held_at;
  }

 private:
  double evaluate(const VectorXd& x) override {
    CHECK((x.array() >= low.array()).all() && (x.array() <= high.array()).all());
    from_ = x - m_;
    return height + 0.5 * from_.dot(A_ * from_);
  }
  void differentiate(VectorXd& gradient, MatrixXd* hessian) override {
    gradient = A_ * from_;
    if (hessian != nullptr) *hessian = A_;
  }

  MatrixXd A_;
  VectorXd m_, from_;
};

// Any function of one parameter, without a Hessian.
class OfOne : public Objective {
 public:
  using Function = std::function<double(double)>;

  OfOne(Function value, Function slope, InterruptCheck& interrupt)
      : Objective(interrupt), value_(std::move(value)), slope_(std::move(slope)) {}

  Index parameters() const override { return 1; }
  bool has_hessian() const override { return false; }

 private:
  double evaluate(const VectorXd& x) override {
    x_ = x(0);
    return value_(x_);
  }
  void differentiate(VectorXd& gradient, MatrixXd*) override { gradient(0) = slope_(x_); }

  Function value_, slope_;
  double x_ = 0.0;
};

MatrixXd correlated(Index size) {
  MatrixXd A = MatrixXd::Constant(size, size, 0.9);
  for (Index i = 0; i < size; ++i) A(i, i) = 1.0 + 0.3 * static_cast<double>(i);
  return A;
}

}  // namespace

TEST(rosenbrock) {
  InterruptCheck interrupt;
  for (const bool has_hessian : {true, false})
    for (const Index size : {2, 5, 12}) {
      Rosenbrock objective(size, has_hessian, interrupt);
      std::vector<double> start(static_cast<std::size_t>(size), 0.0);
      if (size == 2) start = {-1.2, 1.0};
      const Optimum optimum = minimize(objective, start);
      CHECK(optimum.converged());
      CHECK(optimum.verdict.ending == Ending::tolerance);
      CHECK(optimum.value < 1e-8);
      CHECK(optimum.evaluations == objective.evaluations());
      CHECK(optimum.gradients == objective.gradients());
      CHECK(optimum.evaluations < 300);
      for (const double x : optimum.x) CHECK_NEAR(x, 1.0, 1e-3);
    }
}

// One Newton step leads there, and the one that would follow is not looked at.
TEST(a_quadratic_takes_one_step) {
  InterruptCheck interrupt;
  VectorXd m(4);
  m << -0.5, -0.2, 0.1, 0.5;
  Quadratic objective(correlated(4), m, interrupt);
  const Optimum optimum = minimize(objective, std::vector<double>(4, 0.1));
  CHECK(optimum.converged());
  CHECK(optimum.evaluations <= 3);
  for (std::size_t i = 0; i < 4; ++i) CHECK_NEAR(optimum.x[i], m(static_cast<Index>(i)), 1e-8);
}

// Against the best of all faces of the box, each solved by itself.
TEST(bounded_quadratics) {
  InterruptCheck interrupt;
  const MatrixXd A = correlated(3);
  const Index size = A.rows();
  for (int seed = 0; seed < 40; ++seed) {
    VectorXd m(size), low(size), high(size);
    for (Index i = 0; i < size; ++i) {
      m(i) = std::sin(12.9 * seed + 7.1 * static_cast<double>(i)) * 3.0;
      low(i) = seed % 5 == 4 ? -kInfinity : -1.0 + 0.5 * std::sin(seed);
      high(i) = seed % 3 == 2 ? kInfinity : 1.0;
    }
    double least = kInfinity;
    for (int face = 0; face < 27; ++face) {  // by digit: at the lower bound, inside, at the upper
      VectorXd x = m;
      std::vector<Index> inner;
      bool possible = true;
      for (Index i = 0, digits = face; i < size; ++i, digits /= 3) {
        if (digits % 3 == 1) {
          inner.push_back(i);
          continue;
        }
        x(i) = digits % 3 == 0 ? low(i) : high(i);
        possible = possible && std::isfinite(x(i));
      }
      if (!possible) continue;
      if (!inner.empty()) {
        const VectorXd g = A * (x - m);
        const VectorXd step = MatrixXd(A(inner, inner)).ldlt().solve(VectorXd(g(inner)));
        for (std::size_t j = 0; j < inner.size(); ++j) x(inner[j]) -= step(static_cast<Index>(j));
      }
      if ((x.array() < low.array()).any() || (x.array() > high.array()).any()) continue;
      const VectorXd away = x - m;
      least = std::min(least, 0.5 * away.dot(A * away));
    }
    Quadratic objective(A, m, interrupt);
    objective.low = low;
    objective.high = high;
    const Optimum optimum = minimize(objective, {9.0, 0.0, -9.0});
    CHECK(optimum.converged());
    CHECK_NEAR(optimum.value, least, 1e-9);
    CHECK(optimum.evaluations <= 20);
  }
}

TEST(what_is_held_stays) {
  InterruptCheck interrupt;
  Quadratic objective(correlated(3), VectorXd::Zero(3), interrupt);
  objective.held = 1;
  objective.held_at = 2.0;
  const Optimum optimum = minimize(objective, {1.0, 1.0, 1.0});
  CHECK(optimum.converged());
  CHECK(optimum.x[1] == 2.0);
  MatrixXd inner(2, 2);
  const MatrixXd A = correlated(3);
  inner << A(0, 0), A(0, 2), A(2, 0), A(2, 2);
  const VectorXd expected = -2.0 * inner.inverse() * Eigen::Vector2d(A(0, 1), A(2, 1));
  CHECK_NEAR(optimum.x[0], expected(0), 1e-8);
  CHECK_NEAR(optimum.x[2], expected(1), 1e-8);
}

// Sought by its logarithm: far from one, and where it falls towards zero.
TEST(scales) {
  struct Scale : OfOne {
    using OfOne::OfOne;
    bool scales_only() const override { return true; }
  };
  InterruptCheck interrupt;
  for (const double best : {2e-3, 1.0, 4e3}) {
    Scale objective([=](double x) { return std::pow(std::log(x / best), 2) + 1.0; },
                    [=](double x) { return 2.0 * std::log(x / best) / x; }, interrupt);
    const Optimum optimum = minimize(objective, {1.0});
    CHECK(optimum.converged());
    CHECK_NEAR(optimum.x[0] / best, 1.0, 1e-4);
  }
  Scale falling([](double x) { return x * x; }, [](double x) { return 2.0 * x; }, interrupt);
  const Optimum optimum = minimize(falling, {3.0});
  CHECK(optimum.converged());
  CHECK(optimum.x[0] == 0.0);
  CHECK(optimum.value == 0.0);
}

// A wall that steps may run into.
TEST(values_that_cannot_be_computed_are_stepped_back_from) {
  InterruptCheck interrupt;
  const auto value = [](double x) { return x < 1.0 ? -std::log(1.0 - x) - 20.0 * x : NAN; };
  const auto slope = [](double x) { return 1.0 / (1.0 - x) - 20.0; };
  OfOne objective(value, slope, interrupt);
  const Optimum optimum = minimize(objective, {-3.0});
  CHECK(optimum.converged());
  CHECK_NEAR(optimum.x[0], 0.95, 1e-5);
  const Optimum lost = minimize(objective, {2.0});
  CHECK(!lost.converged());
  CHECK(lost.verdict.ending == Ending::no_start);
  CHECK(!std::isfinite(lost.value));
  struct FallsBack : OfOne {
    using OfOne::OfOne;
    bool fall_back(VectorXd& x) const override {
      x(0) = 0.0;
      return true;
    }
  };
  FallsBack back(value, slope, interrupt);
  CHECK_NEAR(minimize(back, {2.0}).x[0], 0.95, 1e-5);
}

// Stationary at zero, where it is highest.
TEST(leaves_a_point_that_is_stationary_but_no_minimum) {
  struct Even : OfOne {
    using OfOne::OfOne;
    bool escape(VectorXd& x, double least) override {
      const VectorXd moved = VectorXd::Constant(1, x(0) + 0.1);
      if (std::abs(x(0)) > 0.01 || !(value(moved) < least)) return false;
      x = moved;
      return true;
    }
    void normalize(VectorXd& x) const override { x = x.cwiseAbs(); }
  };
  InterruptCheck interrupt;
  Even objective([](double x) { return std::pow(x * x - 1.0, 2); },
                 [](double x) { return 4.0 * x * (x * x - 1.0); }, interrupt);
  for (const double start : {0.0, -0.4, 3.0}) {
    const Optimum optimum = minimize(objective, {start});
    CHECK(optimum.converged());
    CHECK_NEAR(optimum.x[0], 1.0, 1e-4);
  }
}

// The best of several minima; a search that arrives at it again goes no further.
TEST(several_minima) {
  struct Waves : OfOne {
    using OfOne::OfOne;
    std::vector<VectorXd> other_starts() const override {
      std::vector<VectorXd> starts;
      for (int i = -4; i <= 4; ++i) starts.push_back(VectorXd::Constant(1, 2.0 * i));
      return starts;
    }
    double work() const override { return 100.0; }
    bool is_on_boundary(const VectorXd& x) const override { return x(0) > 5.0; }
  };
  InterruptCheck interrupt;
  Waves objective([](double x) { return 0.1 * x * x + 3.0 * std::cos(3.0 * x); },
                  [](double x) { return 0.2 * x - 9.0 * std::sin(3.0 * x); }, interrupt);
  Optimizer optimizer(objective, OptimizerOptions());
  const double near = 1.039497;  // and its mirror image
  const Optimum far = optimizer.find_minimum({7.0}, Breadth::one_start);
  CHECK(far.converged());
  CHECK(far.x[0] > 6.0);
  for (const Breadth breadth : {Breadth::in_doubt, Breadth::all_starts}) {
    const int before = objective.evaluations();
    const Optimum best = optimizer.find_minimum({7.0}, breadth);
    CHECK(best.converged());
    CHECK_NEAR(std::abs(best.x[0]), near, 1e-4);
    CHECK(best.evaluations == objective.evaluations() - before);
  }
  // From inside and without doubt no other start is looked at.
  const Optimum inside = optimizer.find_minimum({1.0}, Breadth::in_doubt);
  CHECK(inside.evaluations < 15);
  // Evaluations that are not cheap are not spent on other starts.
  OptimizerOptions options;
  options.cheap = 50.0;
  CHECK(Optimizer(objective, options).find_minimum({7.0}, Breadth::all_starts).x[0] > 6.0);

  Optimum known = optimizer.minimize({1.0});
  const int whole = known.evaluations;
  optimizer.improve(known, {1.2});
  CHECK(known.converged());
  CHECK(known.evaluations < 2 * whole);
}

// Of 10^8 the sixteenth digit is 10^-8: no step brings what is predicted, and the verdict says why
// that is no failure.
TEST(verdicts) {
  InterruptCheck interrupt;
  Quadratic high(correlated(2), VectorXd::Ones(2), interrupt);
  high.height = 1e8;
  OptimizerOptions options;
  options.tolerance = 1e-30;
  const Optimum rounded = minimize(high, {1.00001, 0.99999}, options);
  CHECK(rounded.converged());
  CHECK(rounded.verdict.ending == Ending::rounding);
  CHECK(rounded.verdict.predicted_decrease < 1e-7);

  // A gradient of the wrong sign is not forgiven.
  OfOne wrong([](double x) { return x * x; }, [](double x) { return -2.0 * x; }, interrupt);
  const Optimum stuck = minimize(wrong, {1.0});
  CHECK(!stuck.converged());
  CHECK(stuck.verdict.ending == Ending::stuck);
  CHECK(stuck.verdict.predicted_decrease > 1e-3);

  Rosenbrock objective(2, true, interrupt);
  options = OptimizerOptions();
  options.max_evaluations = 5;
  const Optimum cut = minimize(objective, {-1.2, 1.0}, options);
  CHECK(!cut.converged());
  CHECK(cut.verdict.ending == Ending::evaluations);
  CHECK(std::string(cut.verdict.message()) == "too many evaluations");
}

// A search without a Hessian begins with the one it is given, and leaves its own behind.
TEST(a_known_hessian_serves) {
  InterruptCheck interrupt;
  Rosenbrock objective(4, false, interrupt);
  Optimizer optimizer(objective, OptimizerOptions());
  const Optimum first = optimizer.minimize({1.1, 1.2, 1.4, 2.0});
  const MatrixXd hessian = optimizer.hessian();
  const Optimum again = optimizer.minimize({1.01, 1.0, 1.0, 1.0});
  CHECK(again.converged());
  CHECK(again.gradients <= first.gradients);
  CHECK(optimizer.hessian().rows() == hessian.rows());
  CHECK((hessian - hessian.transpose()).norm() < 1e-9 * hessian.norm());
}
