#include "simulation.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "covariance_parameters.hpp"
#include "eigen_products.hpp"
#include "linear_predictor.hpp"
#include "normal_stream.hpp"

namespace crossnest {

namespace {

using Eigen::Map, Eigen::MatrixXd;

// sigma lambda of a term, k x k.
MatrixXd scaled_lambda(const Model& model, const Estimates& at, int term) {
  const CovarianceParameters& covariance = model.covariance();
  const int k = covariance.of(term).size();
  MatrixXd lambda(k, k);
  covariance.of(term).lambda(at.theta.data() + covariance.first(term), lambda.data());
  return at.sigma * lambda;
}

// sigma Lambda u of a term, k x J.
std::vector<double> drawn_effects(const MatrixXd& root, Index levels, NormalStream& normal) {
  const Eigen::Index k = root.rows();
  std::vector<double> u(static_cast<std::size_t>(k * levels)), b(u.size());
  for (double& one : u) one = normal();
  Map<MatrixXd>(b.data(), k, levels) = root * Map<const MatrixXd>(u.data(), k, levels);
  return b;
}

}  // namespace

void simulate(const Model& model, const Estimates& at, SimulatedEffects effects, std::uint64_t seed,
              Index first, Index count, double* Y, InterruptCheck& interrupt) {
  model.require_rows();
  const Design& design = model.design();
  const bool drawn = effects == SimulatedEffects::drawn;
  std::vector<double> mean(static_cast<std::size_t>(design.n), 0.0);
  add_fixed(design, model.pivot(), at.beta, mean.data());
  std::vector<MatrixXd> roots;
  for (std::size_t t = 0; t < design.terms.size(); ++t) {
    if (drawn)
      roots.push_back(scaled_lambda(model, at, static_cast<int>(t)));
    else
      add_random(design, design.terms[t], at.b[t], mean.data());
  }
  for (Index r = 0; r < count; ++r) {
    interrupt.poll();
    NormalStream normal(seed, static_cast<std::uint64_t>(first + r));
    double* y = Y + r * design.n;
    std::copy(mean.begin(), mean.end(), y);
    for (std::size_t t = 0; drawn && t < design.terms.size(); ++t) {
      const Term& term = design.terms[t];
      const Index levels = design.factors[static_cast<std::size_t>(term.factor)].levels;
      add_random(design, term, drawn_effects(roots[t], levels, normal), y);
    }
    for (Index i = 0; i < design.n; ++i)
      y[i] +=
          at.sigma * normal() / (design.weights == nullptr ? 1.0 : std::sqrt(design.weights[i]));
  }
}

}  // namespace crossnest
