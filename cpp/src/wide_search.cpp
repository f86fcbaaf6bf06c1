#include "wide_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "objective.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::size_t kMostAround = 12;                // starts around a minimum
constexpr int kEach = 50, kFewest = 100, kMost = 400;  // points sampled: of each parameter, in all
constexpr int kRay = 33;                               // points of a ray,
constexpr double kDecades = 4.0;                       // from 10^-4 to 10^4 of the scale
constexpr double kWidest = 0.9;  // of a right angle: the direction of an effect from its own axis

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Points that fill the unit cube evenly: multiples of powers of 1 / phi, phi^(m+1) = phi + 1.
std::vector<double> lattice(int m, int count) {
  double phi = 2.0;
  for (int i = 0; i < 60; ++i) phi = std::pow(1.0 + phi, 1.0 / (m + 1.0));
  std::vector<double> points(at(Index{m} * count));
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < m; ++j) {
      const double x = 0.5 + (i + 1.0) * std::pow(phi, -(j + 1.0));
      points[at(Index{i} * m + j)] = x - std::floor(x);
    }
  return points;
}

// Whether the value at point i is below those at its 2m nearest.
bool lower_than_neighbours(const std::vector<double>& points, const std::vector<double>& values,
                           int m, int i) {
  const int count = static_cast<int>(values.size());
  std::vector<std::pair<double, int>> others;
  for (int j = 0; j < count; ++j) {
    if (j == i) continue;
    double distance = 0.0;
    for (int a = 0; a < m; ++a) {
      const double difference = points[at(Index{i} * m + a)] - points[at(Index{j} * m + a)];
      distance += difference * difference;
    }
    others.emplace_back(distance, j);
  }
  const auto end = others.begin() + std::min<std::ptrdiff_t>(2 * m, count - 1);
  std::partial_sort(others.begin(), end, others.end());
  return std::all_of(others.begin(), end,
                     [&](const auto& other) { return values[at(i)] < values[at(other.second)]; });
}

}  // namespace

WeightSpread::WeightSpread(const Design& design, InterruptCheck& interrupt) {
  constexpr Index kPoll = 1 << 20;
  if (design.n == 0) return;
  typical = 1.0 / static_cast<double>(design.n);
  if (design.weights == nullptr) return;
  const auto [least, most] = std::minmax_element(design.weights, design.weights + design.n);
  ratio = *most / *least;
  double sum = 0.0, logs = 0.0;
  for (Index i = 0; i < design.n; ++i) {
    if (i % kPoll == 0) interrupt.poll();
    sum += design.weights[i] / *most;
    logs += std::log(design.weights[i] / *most);
  }
  typical = std::exp(logs / static_cast<double>(design.n)) / sum;
}

WideStarts::WideStarts(const Criterion& criterion, const std::vector<Block>& blocks,
                       const CrossProducts& A, const WeightSpread& weights)
    : criterion_(criterion) {
  std::size_t terms = 0;
  for (const Block& block : blocks) terms += block.terms.size();
  low_.resize(terms);
  high_.resize(terms);
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const int k = blocks[t].k;
    std::vector<double> heaviest(at(k), 0.0), all(at(k), 0.0);
    const double* value = A.diagonal(static_cast<int>(t)).data();
    for (Index l = 0; l < blocks[t].levels; ++l, value += k * k)
      for (int i = 0; i < k; ++i) {
        heaviest[at(i)] = std::max(heaviest[at(i)], value[i * k + i]);
        all[at(i)] += value[i * k + i];
      }
    for (std::size_t j = 0; j < blocks[t].terms.size(); ++j) {
      const int term = blocks[t].terms[j];
      for (int i = 0; i < criterion.covariance().of(term).size(); ++i) {
        const std::size_t column = at(blocks[t].offsets[j] + i);
        const double precise = std::max(heaviest[column], std::numeric_limits<double>::min());
        const double row = std::max(all[column] * weights.typical, 1e-16 * precise);
        low_[at(term)].push_back(std::log(0.1) - 0.5 * std::log(precise));
        high_[at(term)].push_back(std::log(10.0) - 0.5 * std::log(row));
      }
    }
  }
}

WideStarts::Lambdas WideStarts::lambdas(const VectorXd& theta) const {
  Lambdas result;
  for (int term = 0; term < terms(); ++term) {
    const int k = criterion_.covariance().of(term).size();
    result.emplace_back(k, k);
    criterion_.covariance().of(term).lambda(theta.data() + criterion_.covariance().first(term),
                                            result.back().data());
  }
  return result;
}

// What is held stays held.
VectorXd WideStarts::theta(const Objective& objective, const Lambdas& lambdas) const {
  VectorXd theta(criterion_.parameters());
  for (int term = 0; term < terms(); ++term)
    criterion_.covariance().of(term).from_factor(
        lambdas[at(term)].data(), theta.data() + criterion_.covariance().first(term));
  objective.impose(theta);
  return theta;
}

std::vector<Eigen::Index> WideStarts::free(const Objective& objective) {
  std::vector<Eigen::Index> free;
  for (Eigen::Index i = 0; i < objective.parameters(); ++i)
    if (objective.is_free(i)) free.push_back(i);
  return free;
}

// The lowest of the starts where the criterion can be computed.
std::vector<VectorXd> WideStarts::lowest(std::vector<Start> starts, std::size_t most) {
  std::sort(starts.begin(), starts.end(),
            [](const Start& a, const Start& b) { return a.value < b.value; });
  if (starts.size() > most) starts.resize(most);
  std::vector<VectorXd> thetas;
  for (Start& start : starts)
    if (std::isfinite(start.value)) thetas.push_back(std::move(start.theta));
  return thetas;
}

std::vector<VectorXd> WideStarts::scattered(Objective& objective) const {
  const std::vector<Eigen::Index> free = WideStarts::free(objective);
  if (free.empty()) return {};
  const int m = static_cast<int>(free.size());
  const int count = std::clamp(kEach * m, kFewest, kMost);
  const std::vector<double> points = lattice(m, count);
  std::vector<VectorXd> thetas;
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    thetas.push_back(place(objective, free, points.data() + Index{i} * m));
    values.push_back(objective.value(thetas.back()));
  }
  std::vector<Start> starts;
  for (int i = 0; i < count; ++i)
    if (lower_than_neighbours(points, values, m, i))
      starts.push_back({thetas[at(i)], values[at(i)]});
  return lowest(std::move(starts), 4 + 2 * free.size());
}

// theta of a point of the unit cube, which has a coordinate for each free parameter: the scale of
// an effect for a diagonal of lambda, else its direction.
VectorXd WideStarts::place(const Objective& objective, const std::vector<Eigen::Index>& free,
                           const double* point) const {
  constexpr double kHalfTurn = 3.14159265358979323846;
  std::vector<double> coordinates(at(criterion_.parameters()), 0.5);
  for (std::size_t i = 0; i < free.size(); ++i) coordinates[at(free[i])] = point[i];
  const double* u = coordinates.data();
  Lambdas sampled;
  for (int term = 0; term < terms(); ++term) {
    const CovarianceStructure& covariance = criterion_.covariance().of(term);
    const int k = covariance.size();
    if (!covariance.linear_factor() || covariance.parameters() < k) {
      sampled.push_back(sample(term, u));
      u += covariance.parameters();
      continue;
    }
    MatrixXd lambda = MatrixXd::Identity(k, k);
    std::vector<double> scales;
    for (int j = 0; j < k; ++j) {
      const double low = low_[at(term)][at(j)], high = high_[at(term)][at(j)];
      scales.push_back(std::exp(low + *u++ * (high - low)));
      for (int i = j + 1; !covariance.scales_only() && i < k; ++i)
        lambda(i, j) = std::tan(kWidest * kHalfTurn * (*u++ - 0.5));
    }
    for (int i = 0; i < k; ++i) lambda.row(i) *= scales[at(i)] / lambda.row(i).norm();
    sampled.push_back(std::move(lambda));
  }
  return theta(objective, sampled);
}

// lambda of a structure whose parameters are standard deviations and correlations: the former
// between the smallest and the largest scale of their effects, the latter between their bounds.
MatrixXd WideStarts::sample(int term, const double* point) const {
  const CovarianceStructure& covariance = criterion_.covariance().of(term);
  const int k = covariance.size(), m = covariance.parameters();
  std::vector<double> theta(at(m)), lower(at(m)), upper(at(m));
  covariance.lower_bounds(lower.data());
  covariance.upper_bounds(upper.data());
  const std::vector<CovarianceLabel> labels = covariance.labels();
  for (int a = 0; a < m; ++a) {
    const CovarianceLabel& label = labels[at(a)];
    if (label.kind == CovarianceLabel::Kind::correlation) {
      theta[at(a)] = lower[at(a)] + point[a] * (upper[at(a)] - lower[at(a)]);
      continue;
    }
    const bool all = label.row == CovarianceLabel::kAll;
    const auto effect = all ? 0 : label.row;
    double low = low_[at(term)][at(effect)], high = high_[at(term)][at(effect)];
    for (int i = 0; all && i < k; ++i) {
      low = std::min(low, low_[at(term)][at(i)]);
      high = std::max(high, high_[at(term)][at(i)]);
    }
    theta[at(a)] = std::exp(low + point[a] * (high - low));
  }
  MatrixXd lambda(k, k);
  covariance.lambda(theta.data(), lambda.data());
  return lambda;
}

std::vector<VectorXd> WideStarts::around(Objective& objective, const VectorXd& theta) const {
  if (free(objective).empty()) return {};
  const Lambdas at_best = lambdas(theta);
  std::vector<Start> starts;
  add_minima_along(objective, at_best, -1, -1, starts);
  for (int term = 0; term < terms(); ++term) {
    const int k = criterion_.covariance().of(term).size();
    if (terms() > 1) add_minima_along(objective, at_best, term, -1, starts);
    for (int effect = 0; k > 1 && effect < k; ++effect)
      add_minima_along(objective, at_best, term, effect, starts);
    if (!criterion_.covariance().of(term).scales_only())
      add_faces(objective, at_best, term, starts);
  }
  return lowest(std::move(starts), kMostAround);
}

// The minima along a ray on which the scale of an effect changes, or of all of a term (effect < 0),
// or of all terms (term < 0). One that is zero starts from unit scale.
void WideStarts::add_minima_along(Objective& objective, const Lambdas& lambdas, int term,
                                  int effect, std::vector<Start>& starts) const {
  Lambdas unit = lambdas;
  const auto scale = [&](Lambdas& all, double factor) {
    for (int t = 0; t < terms(); ++t) {
      if (term >= 0 && t != term) continue;
      for (Eigen::Index i = 0; i < all[at(t)].rows(); ++i)
        if (effect < 0 || i == effect) all[at(t)].row(i) *= factor;
    }
  };
  Lambdas without = lambdas;
  scale(without, 0.0);
  double norm = 0.0;
  for (std::size_t t = 0; t < unit.size(); ++t) norm += (unit[t] - without[t]).norm();
  if (norm == 0.0)
    for (int t = 0; t < terms(); ++t)
      if (term < 0 || t == term)
        for (Eigen::Index i = 0; i < unit[at(t)].rows(); ++i)
          if (effect < 0 || i == effect) unit[at(t)](i, i) = 1.0;
  std::vector<Start> ray;
  for (int i = 0; i < kRay; ++i) {
    Lambdas scaled = unit;
    scale(scaled, std::pow(10.0, kDecades * (2.0 * i / (kRay - 1.0) - 1.0)));
    ray.push_back({theta(objective, scaled), 0.0});
    ray.back().value = objective.value(ray.back().theta);
  }
  const std::size_t centre = kRay / 2;
  for (std::size_t i = 1; i + 1 < ray.size(); ++i) {
    const bool known = norm > 0.0 && i + 1 >= centre && i <= centre + 1;
    if (!known && ray[i].value < ray[i - 1].value && ray[i].value < ray[i + 1].value)
      starts.push_back(ray[i]);
  }
}

// Where an effect is a linear function of those before it, with either sign.
void WideStarts::add_faces(Objective& objective, const Lambdas& lambdas, int term,
                           std::vector<Start>& starts) const {
  const Eigen::Index k = lambdas[at(term)].rows();
  for (Eigen::Index j = 1; j < k; ++j)
    for (const double sign : {1.0, -1.0}) {
      Lambdas face = lambdas;
      face[at(term)](j, j) = 0.0;
      face[at(term)].row(j).head(j) *= sign;
      starts.push_back({theta(objective, face), 0.0});
      starts.back().value = objective.value(starts.back().theta);
    }
}

}  // namespace crossnest
