#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "constrained_deviance.hpp"
#include "crossnest/fit.hpp"
#include "eigen_products.hpp"
#include "newton_step.hpp"
#include "one_thread_each.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"

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
// The predicted decrease that ends a constrained refit.
constexpr double kTolerance = 1e-10;

constexpr const char* kBound = "zeta does not reach the cutoff before the parameter's bound";
constexpr const char* kAtBound = "the estimate is at the parameter's bound";
constexpr const char* kUndefined =
    "a standard deviation estimated as zero leaves the correlation undetermined";
constexpr const char* kLost = "the deviance cannot be computed further out";
constexpr const char* kUnsure = "a constrained refit stopped before its minimum";
constexpr const char* kTooFar = "zeta does not reach the cutoff within reasonable values";

// A constrained refit found a lower deviance than the fit's, at this theta.
struct LowerDeviance {
  std::vector<double> theta;
};

// A constrained optimum.
struct Point {
  VectorXd z, gradient;
  double value = kInfinity;
  Optimum found;
  double zeta = 0.0;   // without its sign
  double slope = 0.0;  // d zeta / d t, outwards
};

OptimizerOptions refit_options() {
  OptimizerOptions options;
  options.tolerance = kTolerance;
  return options;
}

std::vector<double> numbers(const VectorXd& z) { return {z.data(), z.data() + z.size()}; }

// The Hessian of d in z = (t, x) at a point, whose value and gradient are set.
MatrixXd hessian(ConstrainedDeviance& deviance, Point& at) {
  std::vector<Index> all(static_cast<std::size_t>(at.z.size()));
  std::iota(all.begin(), all.end(), Index{0});
  at.value = deviance.value(at.z);
  deviance.gradient(at.gradient);
  MatrixXd H = MatrixXd::Identity(at.z.size(), at.z.size());
  deviance.exact_hessian(at.z, at.gradient, all, H);
  return H;
}

// One side of a profile: the constrained optima on the way out from the estimate.
class Side {
 public:
  // `hessian` is that of d in z at the estimate.
  Side(ConstrainedDeviance& deviance, const Point& estimate, const MatrixXd& hessian, int side)
      : deviance_(deviance),
        optimizer_(deviance, refit_options()),
        estimate_(estimate),
        side_(side) {
    const Index m = deviance.parameters() - 1;
    MatrixXd& H = optimizer_.hessian();
    H = MatrixXd::Zero(m + 1, m + 1);
    H.bottomRightCorner(m, m) = definite(hessian.bottomRightCorner(m, m));
    NewtonStep().solve(H, hessian.col(0), deviance.free(), tangent_);
    tangent_(0) = 1.0;
    const double curvature = tangent_.dot(hessian * tangent_);
    estimate_.slope = curvature > 0.0 ? std::sqrt(0.5 * curvature) : 0.0;
    reach_ = 0.5 * deviance.unit();
    if (estimate_.slope > 0.0) reach_ = std::min(reach_, 1.0 / estimate_.slope);
  }

  const Point& estimate() const { return estimate_; }
  double bound() const { return side_ < 0 ? deviance_.least() : deviance_.most(); }
  bool at_bound(const Point& point) const { return point.z(0) == bound(); }

  // A t further out than the point, where zeta should be larger by `step`.
  double outward(const Point& from, double step) {
    double distance = from.slope > 0.0 ? step / from.slope : kInfinity;
    distance = std::min(distance, 4.0 * reach_);
    return within(from.z(0) + side_ * distance);
  }

  // The constrained optimum at t, by way of one nearby.
  Point visit(const Point& from, double t) {
    deviance_.fix(t);
    Optimum found = optimizer_.minimize(numbers(from.z + (t - from.z(0)) * tangent_));
    if (!std::isfinite(found.value)) found = optimizer_.minimize(numbers(from.z));
    if (!std::isfinite(found.value)) return Point();
    const Point to = point(std::move(found));
    reach_ = std::max(std::abs(t - from.z(0)), 1e-3 * reach_);
    tangent_ = (to.z - from.z) / (t - from.z(0));
    return to;
  }

  // Whether there is a lower optimum than this at the same t, to be taken instead.
  bool look_elsewhere(Point& at) {
    Optimum best = at.found;
    optimizer_.look_elsewhere(best);
    if (!(best.value < at.value - kLower)) return false;
    at = point(std::move(best));
    tangent_.setZero();
    tangent_(0) = 1.0;
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
    bool sure = true;
    if (at_bound(at)) return kAtBound;
    while (points.size() < kPoints) {
      at = march(at, kStep);
      if (!std::isfinite(at.value)) return kLost;
      look_elsewhere(at);
      points.push_back(at);
      sure = sure && at.found.converged();
      if (at.zeta >= cutoff) return sure ? "" : kUnsure;
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
        if (!look_elsewhere(next)) {
          if (!next.found.converged()) note = kUnsure;
          return within(t + side_ * miss / next.slope);
        }
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
  Point point(Optimum found) const {
    Point point;
    point.z = Eigen::Map<const VectorXd>(found.x.data(), deviance_.parameters());
    point.value = found.value;
    if (point.value < estimate_.value - kLower) throw LowerDeviance{deviance_.theta(point.z)};
    if (!deviance_.is_at(point.z)) deviance_.value(point.z);
    deviance_.gradient(point.gradient);
    point.zeta = std::sqrt(std::max(0.0, point.value - estimate_.value));
    point.slope = point.zeta > 0.0 ? side_ * point.gradient(0) / (2.0 * point.zeta) : 0.0;
    point.found = std::move(found);
    return point;
  }

  double within(double t) const { return std::clamp(t, deviance_.least(), deviance_.most()); }

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
  Optimizer optimizer_;
  Point estimate_;
  int side_;          // -1 or 1
  VectorXd tangent_;  // dz/dt along the profile
  double reach_;      // the last step in t
};

}  // namespace

Profiler::Profiler(Evaluator& evaluator, const Response& response, const OptimizerOptions& options)
    : criterion_(evaluator.criterion(response)),
      kernels_(evaluator.model().kernels()),
      interrupt_(evaluator.interrupt()),
      parameters_(profile_parameters(criterion_.covariance(), criterion_.coordinates().rank())),
      thorough_(evaluator.model().structure().work() < options.cheap) {
  const OneThreadEach threads(kernels_);
  const Fit best = fit(evaluator, response, false, {}, options);
  set_fit(criterion_.to_internal(best.estimates.theta.data()));
}

void Profiler::set_fit(std::vector<double> theta) {
  ConstrainedDeviance deviance(criterion_, {ProfileParameter::Kind::sigma}, interrupt_);
  VectorXd z;
  deviance.start(theta, z);
  deviance_ = deviance.value(z);  // may be interrupted, and the fit must stay of one piece
  estimates_ = deviance.estimates();
  theta_ = std::move(theta);
}

// Calls work(deviance, estimate, hessian), again from a better fit where it finds one. The
// estimate's z is empty where the parameter is not defined. Refuses a bad parameter or cutoff.
template <class Work>
auto Profiler::with_best_fit(int parameter, double cutoff, Work&& work) {
  if (!(cutoff > 0.0)) throw std::invalid_argument("the cutoff of a profile must be positive");
  const OneThreadEach threads(kernels_);
  for (int restarts = 0;; ++restarts) {
    ConstrainedDeviance deviance(criterion_, parameters_.at(static_cast<std::size_t>(parameter)),
                                 interrupt_);
    Point estimate;
    const bool defined = deviance.start(theta_, estimate.z);
    MatrixXd second;
    if (defined) {
      deviance.find_other_starts(estimate.z, thorough_);
      second = hessian(deviance, estimate);
    } else {
      estimate.z.resize(0);
    }
    try {
      return work(deviance, estimate, second);
    } catch (const LowerDeviance& lower) {
      if (restarts == 10) throw FitError("the profile finds ever lower deviances");
      ProfiledCriterion objective(criterion_, false, 0.0, interrupt_);
      set_fit(Optimizer(objective, OptimizerOptions()).minimize(lower.theta).x);
    }
  }
}

ProfileTrace Profiler::trace(int parameter, double cutoff) {
  return with_best_fit(
      parameter, cutoff,
      [&](ConstrainedDeviance& deviance, const Point& estimate, const MatrixXd& hessian) {
        ProfileTrace trace;
        trace.points.push_back({0.0, estimates_});
        if (estimate.z.size() == 0) {
          trace.lower_note = trace.upper_note = kUndefined;
          return trace;
        }
        for (const int side : {-1, 1}) {
          std::vector<Point> points;
          (side < 0 ? trace.lower_note : trace.upper_note) =
              Side(deviance, estimate, hessian, side).trace(cutoff, points);
          for (const Point& point : points) {
            deviance.value(point.z);
            trace.points.push_back({side * point.zeta, deviance.estimates()});
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
      [&](ConstrainedDeviance& deviance, const Point& estimate, const MatrixXd& hessian) {
        if (estimate.z.size() == 0) return ProfileInterval{-1.0, 1.0, kUndefined, kUndefined};
        ProfileInterval interval;
        interval.lower = deviance.parameter_at(
            Side(deviance, estimate, hessian, -1).end(cutoff, interval.lower_note));
        interval.upper = deviance.parameter_at(
            Side(deviance, estimate, hessian, 1).end(cutoff, interval.upper_note));
        return interval;
      });
}

}  // namespace crossnest
