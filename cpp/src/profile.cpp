#include "crossnest/profile.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "crossnest/optimizer.hpp"
#include "newton_step.hpp"

namespace crossnest {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kStep = 0.5;       // of a profile, in zeta
constexpr double kLongStep = 1.25;  // of the search for an end of an interval
constexpr int kPoints = 200;        // of one side of a profile
// A deviance lower by this than the minimum is another optimum and not rounding.
constexpr double kLower = 1e-6;
constexpr double kNudge = 1e-3;  // of a scale that may want to leave zero

constexpr const char* kBound = "zeta does not reach the cutoff before the parameter's bound";
constexpr const char* kAtBound = "the estimate is at the parameter's bound";
constexpr const char* kUndefined =
    "a standard deviation estimated as zero leaves the correlation undetermined";
constexpr const char* kLost = "the deviance cannot be computed further out";
constexpr const char* kTooFar = "zeta does not reach the cutoff within reasonable values";

// A constrained refit found a lower deviance than the fit's, at this theta.
struct LowerDeviance {
  std::vector<double> theta;
};

// A constrained optimum.
struct Point {
  VectorXd z, gradient;
  double value = kInfinity;
  double zeta = 0.0;   // without its sign
  double slope = 0.0;  // d zeta / d t, outwards
};

// The eigenvalues of H made positive, so that its steps go downhill.
MatrixXd definite(const MatrixXd& H) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(H);
  const VectorXd values = eigen.eigenvalues().cwiseAbs();
  return eigen.eigenvectors() * values.cwiseMax(1e-6 * values.maxCoeff()).asDiagonal() *
         eigen.eigenvectors().transpose();
}

// The constrained optima of one parameter: minimizes the deviance over x with t fixed.
class Refits {
 public:
  // `starts` are further z from which a lower optimum may be found.
  Refits(ConstrainedDeviance& deviance, InterruptCheck& interrupt, std::vector<VectorXd> starts)
      : deviance_(deviance),
        interrupt_(interrupt),
        free_(deviance.free()),
        starts_(std::move(starts)) {}

  double evaluate(const VectorXd& z) {
    interrupt_.poll();
    return deviance_.value(z);
  }

  // The Hessian of d in z by differences of the gradient; z.value and gradient are set.
  MatrixXd hessian(Point& at) {
    const Index m = deviance_.size();
    at.value = evaluate(at.z);
    deviance_.gradient(at.gradient);
    MatrixXd H(m, m);
    VectorXd gradient;
    for (Index i = 0; i < m; ++i) {
      const double h = 1e-4 * (i == 0 ? deviance_.unit() : std::max(1.0, std::abs(at.z(i))));
      VectorXd moved = at.z;
      moved(i) += h;
      evaluate(moved);
      deviance_.gradient(gradient);
      H.col(i) = (gradient - at.gradient) / h;
    }
    return 0.5 * (H + H.transpose());
  }

  // Moves the point's x to the minimum, updating the Hessian H on the way. The value is infinite
  // where the search cannot start.
  void minimize(Point& point, MatrixXd& H) {
    point.value = evaluate(point.z);
    if (!std::isfinite(point.value)) return;
    do {
      descend(point, H);
    } while (leave_zero(point));
  }

  // Takes another optimum at the same t if it is lower; true if so.
  bool look_elsewhere(Point& point, const MatrixXd& H) {
    bool found = false;
    for (const VectorXd& start : starts_) {
      Point other;
      other.z = start;
      other.z(0) = point.z(0);
      MatrixXd own = H;
      minimize(other, own);
      if (!(other.value < point.value - kLower)) continue;
      point = std::move(other);
      found = true;
    }
    return found;
  }

 private:
  void descend(Point& point, MatrixXd& H) {
    const double tolerance = std::max(1e-10, 1e-14 * std::abs(point.value));
    deviance_.gradient(point.gradient);
    int resets = 0;
    for (int iteration = 1; iteration < 500; ++iteration) {
      VectorXd step = newton_step(H, point.gradient, free_);
      const double predicted = -0.5 * point.gradient.dot(step);
      if (!std::isfinite(predicted)) return;
      Point trial;
      if (predicted < tolerance) {  // the last step, which need not be checked closely
        trial.z = point.z + step;
        trial.value = evaluate(trial.z);
        if (trial.value <= point.value + tolerance) {
          deviance_.gradient(trial.gradient);
          point = std::move(trial);
        }
        return;
      }
      step *= std::min(1.0, 1.0 / (step.array().abs() / point.z.array().abs().max(1.0)).maxCoeff());
      search_along(point, step, trial);
      const bool stuck = !(trial.value < point.value);
      if (stuck && (predicted < 1e3 * tolerance || resets == 3)) return;
      if (stuck || iteration % 40 == 0) {
        if (!stuck) point = std::move(trial);
        ++resets;
        reset(point, H);
        continue;
      }
      deviance_.gradient(trial.gradient);
      update_bfgs(H, trial.z - point.z, change(trial.gradient - point.gradient));
      point = std::move(trial);
    }
  }

  // Armijo's rule, shortening the step by the minimum of the parabola through what is known.
  void search_along(const Point& point, const VectorXd& step, Point& trial) {
    const double slope = point.gradient.dot(step);
    double length = 1.0;
    for (int tries = 0; tries < 40; ++tries) {
      trial.z = point.z + length * step;
      trial.value = evaluate(trial.z);
      const double rise = trial.value - point.value;
      if (rise <= 1e-4 * length * slope) return;
      const double parabola = -0.5 * slope * length * length / (rise - length * slope);
      length =
          std::isfinite(parabola) ? std::clamp(parabola, 0.1 * length, 0.5 * length) : 0.1 * length;
    }
    trial.value = kInfinity;
  }

  void reset(Point& point, MatrixXd& H) {
    H = hessian(point);
    H.bottomRightCorner(free(), free()) = definite(H.bottomRightCorner(free(), free()));
    H.row(0).setZero();
    H.col(0).setZero();
    point.value = evaluate(point.z);
    deviance_.gradient(point.gradient);
  }

  // A gradient change without the part of t, which stays.
  VectorXd change(VectorXd y) const {
    y(0) = 0.0;
    return y;
  }

  // d is even in a scale, so that its gradient vanishes at zero whether or not that is a minimum.
  bool leave_zero(Point& point) {
    for (const Index i : deviance_.scales()) {
      if (std::abs(point.z(i)) > kNudge) continue;
      VectorXd z = point.z;
      double value = point.value;
      for (double scale = kNudge;; scale *= 2.0) {
        VectorXd moved = point.z;
        moved(i) = scale;
        const double next = evaluate(moved);
        if (!(next < value - 1e-9)) break;
        z = moved;
        value = next;
      }
      if (value == point.value) continue;
      point.z = z;
      point.value = evaluate(z);
      return true;
    }
    return false;
  }

  Index free() const { return deviance_.size() - 1; }

  ConstrainedDeviance& deviance_;
  InterruptCheck& interrupt_;
  std::vector<Index> free_;
  std::vector<VectorXd> starts_;
};

// One side of a profile: the constrained optima on the way out from the estimate.
class Side {
 public:
  // `hessian` is that of d in z at the estimate.
  Side(ConstrainedDeviance& deviance, Refits& refits, const Point& estimate,
       const MatrixXd& hessian, int side)
      : deviance_(deviance), refits_(refits), estimate_(estimate), side_(side) {
    const Index m = deviance.size() - 1;
    H_ = MatrixXd::Zero(m + 1, m + 1);
    H_.bottomRightCorner(m, m) = definite(hessian.bottomRightCorner(m, m));
    tangent_ = newton_step(H_, hessian.col(0), deviance.free());
    tangent_(0) = 1.0;
    const double curvature = tangent_.dot(hessian * tangent_);
    estimate_.slope = curvature > 0.0 ? std::sqrt(0.5 * curvature) : 0.0;
    reach_ = 0.5 * deviance.unit();
    if (estimate_.slope > 0.0) reach_ = std::min(reach_, 1.0 / estimate_.slope);
  }

  const Point& estimate() const { return estimate_; }
  double bound() const { return side_ < 0 ? deviance_.lower() : deviance_.upper(); }
  bool at_bound(const Point& point) const { return point.z(0) == bound(); }

  // A t further out than the point, where zeta should be larger by `step`.
  double outward(const Point& from, double step) {
    double distance = from.slope > 0.0 ? step / from.slope : kInfinity;
    distance = std::min(distance, 4.0 * reach_);
    return within(from.z(0) + side_ * distance);
  }

  // The constrained optimum at t, by way of one nearby.
  Point visit(const Point& from, double t) {
    Point to;
    to.z = from.z + (t - from.z(0)) * tangent_;
    to.z(0) = t;
    refits_.minimize(to, H_);
    if (!std::isfinite(to.value)) {
      to.z = from.z;
      to.z(0) = t;
      refits_.minimize(to, H_);
      if (!std::isfinite(to.value)) return to;
    }
    reach_ = std::max(std::abs(t - from.z(0)), 1e-3 * reach_);
    tangent_ = (to.z - from.z) / (t - from.z(0));
    measure(to);
    return to;
  }

  // Whether there is a lower optimum than this at the same t, to be taken instead.
  bool look_elsewhere(Point& point) {
    if (!refits_.look_elsewhere(point, H_)) return false;
    tangent_.setZero();
    tangent_(0) = 1.0;
    measure(point);
    return true;
  }

  // The next point on the way out, not too far.
  Point march(const Point& from, double step) {
    double t = outward(from, step);
    for (int tries = 0;; ++tries) {
      Point next = visit(from, t);
      if (next.zeta - from.zeta < 3.0 * step && std::isfinite(next.value)) return next;
      if (tries == 20) return next;
      t = 0.5 * (t + from.z(0));
    }
  }

  // The points out to the cutoff; returns why they end before it.
  std::string trace(double cutoff, std::vector<Point>& points) {
    Point at = estimate_;
    if (at_bound(at)) return kAtBound;
    while (points.size() < kPoints) {
      at = march(at, kStep);
      if (!std::isfinite(at.value)) return kLost;
      look_elsewhere(at);
      points.push_back(at);
      if (at.zeta >= cutoff) return "";
      if (at_bound(at)) return kBound;
    }
    return kTooFar;
  }

  // The t at which zeta is the cutoff: Newton's method on zeta(t) within a bracket.
  double end(double cutoff, std::string& note) {
    Point inner = estimate_, outer;
    if (at_bound(inner)) {
      note = kAtBound;
      return bound();
    }
    for (int i = 0; i < kPoints; ++i) {
      const bool bracketed = outer.z.size() > 0;
      Point next = bracketed ? refine(inner, outer, cutoff)
                             : march(inner, std::min(kLongStep, cutoff - inner.zeta));
      if (!std::isfinite(next.value)) {
        note = kLost;
        return kNaN;
      }
      const double miss = cutoff - next.zeta, t = next.z(0);
      if (std::abs(miss) < 1e-6 && next.slope > 0.0) {
        if (!look_elsewhere(next)) return within(t + side_ * miss / next.slope);
      } else if (miss > 0.0 && at_bound(next)) {
        note = kBound;
        return bound();
      }
      (next.zeta < cutoff ? inner : outer) = std::move(next);
      if (outer.z.size() > 0 && std::abs(outer.z(0) - inner.z(0)) < 1e-13 * std::abs(t)) return t;
    }
    note = kTooFar;
    return kNaN;
  }

 private:
  void measure(Point& point) const {
    if (point.value < estimate_.value - kLower) throw LowerDeviance{deviance_.theta(point.z)};
    point.zeta = std::sqrt(std::max(0.0, point.value - estimate_.value));
    point.slope = point.zeta > 0.0 ? side_ * point.gradient(0) / (2.0 * point.zeta) : 0.0;
  }

  double within(double t) const { return std::clamp(t, deviance_.lower(), deviance_.upper()); }

  // Newton's step from the nearer end of the bracket, or its middle where that leads out of it.
  Point refine(const Point& inner, const Point& outer, double cutoff) {
    const bool near_inner = cutoff - inner.zeta < outer.zeta - cutoff && inner.zeta > 0.0;
    const Point& from = near_inner ? inner : outer;
    const double low = std::min(inner.z(0), outer.z(0)), high = std::max(inner.z(0), outer.z(0));
    double t = from.z(0) + side_ * (cutoff - from.zeta) / from.slope;
    if (!(t > low && t < high)) t = 0.5 * (low + high);
    return visit(from, t);
  }

  ConstrainedDeviance& deviance_;
  Refits& refits_;
  Point estimate_;
  int side_;  // -1 or 1
  MatrixXd H_;
  VectorXd tangent_;  // dz/dt along the profile
  double reach_;      // the last step in t
};

}  // namespace

Profiler::Profiler(Criterion& criterion, const Design& design, const std::vector<Block>& blocks,
                   const DenseKernels& kernels, InterruptCheck& interrupt,
                   std::vector<double> theta, bool thorough)
    : criterion_(criterion),
      design_(design),
      blocks_(blocks),
      kernels_(kernels),
      interrupt_(interrupt),
      parameters_(profile_parameters(criterion, design)),
      thorough_(thorough) {
  const OneThreadEach threads(kernels_);
  set_fit(std::move(theta));
}

void Profiler::set_fit(std::vector<double> theta) {
  ConstrainedDeviance deviance(criterion_, design_, {ProfileParameter::Kind::sigma});
  VectorXd z;
  deviance.start(theta, z);
  deviance_ = deviance.value(z);  // may be interrupted, and the fit must stay of one piece
  estimates_ = deviance.parameters();
  theta_ = std::move(theta);
}

// Where else than next to the last point constrained optima are sought.
std::vector<VectorXd> Profiler::starts(ConstrainedDeviance& deviance, const VectorXd& z) const {
  if (z.size() == 0) return {};
  std::vector<VectorXd> starts = deviance.boundary_starts(z);
  VectorXd other;
  if (thorough_)
    for (const std::vector<double>& theta : criterion_.other_starts())
      if (deviance.start(theta, other)) starts.push_back(other);
  return starts;
}

// Calls work(deviance, refits, estimate, hessian), again from a better fit where it finds one. The
// estimate's z is empty where the parameter is not defined. Refuses a bad parameter or cutoff.
template <class Work>
auto Profiler::with_best_fit(int parameter, double cutoff, Work&& work) {
  if (!(cutoff > 0.0)) throw std::invalid_argument("the cutoff of a profile must be positive");
  const OneThreadEach threads(kernels_);
  for (int restarts = 0;; ++restarts) {
    ConstrainedDeviance deviance(criterion_, design_,
                                 parameters_.at(static_cast<std::size_t>(parameter)));
    Point estimate;
    const bool defined = deviance.start(theta_, estimate.z);
    if (!defined) estimate.z.resize(0);
    Refits refits(deviance, interrupt_, starts(deviance, estimate.z));
    const MatrixXd hessian = defined ? refits.hessian(estimate) : MatrixXd();
    try {
      return work(deviance, refits, estimate, hessian);
    } catch (const LowerDeviance& lower) {
      if (restarts == 10) throw FitError("the profile finds ever lower deviances");
      Optimizer optimizer(criterion_, blocks_, OptimizerOptions(), interrupt_);
      set_fit(optimizer.minimize(lower.theta, false).theta);
    }
  }
}

ProfileTrace Profiler::trace(int parameter, double cutoff) {
  return with_best_fit(
      parameter, cutoff,
      [&](ConstrainedDeviance& deviance, Refits& refits, const Point& estimate,
          const MatrixXd& hessian) {
        ProfileTrace trace;
        trace.points.push_back({0.0, estimates_});
        if (estimate.z.size() == 0) {
          trace.lower_note = trace.upper_note = kUndefined;
          return trace;
        }
        for (const int side : {-1, 1}) {
          std::vector<Point> points;
          (side < 0 ? trace.lower_note : trace.upper_note) =
              Side(deviance, refits, estimate, hessian, side).trace(cutoff, points);
          for (const Point& point : points) {
            deviance.value(point.z);
            trace.points.push_back({side * point.zeta, deviance.parameters()});
            trace.points.back().parameters[static_cast<std::size_t>(parameter)] =
                deviance.parameter_at(point.z(0));
          }
          if (side < 0) std::reverse(trace.points.begin(), trace.points.end());
        }
        return trace;
      });
}

ProfileInterval Profiler::interval(int parameter, double cutoff) {
  return with_best_fit(
      parameter, cutoff,
      [&](ConstrainedDeviance& deviance, Refits& refits, const Point& estimate,
          const MatrixXd& hessian) {
        if (estimate.z.size() == 0) return ProfileInterval{-1.0, 1.0, kUndefined, kUndefined};
        ProfileInterval interval;
        interval.lower = deviance.parameter_at(
            Side(deviance, refits, estimate, hessian, -1).end(cutoff, interval.lower_note));
        interval.upper = deviance.parameter_at(
            Side(deviance, refits, estimate, hessian, 1).end(cutoff, interval.upper_note));
        return interval;
      });
}

}  // namespace crossnest
