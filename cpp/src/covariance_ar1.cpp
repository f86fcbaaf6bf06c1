// First-order autoregression: effects that are m apart in their order have correlation rho^m.
#include <cmath>
#include <cstdlib>

#include "correlation_structure.hpp"

namespace crossnest {

namespace {

// d^order rho^m / d rho^order, m >= 0.
double power(double rho, int m, int order) {
  double factor = 1.0;
  for (int i = 0; i < order; ++i) factor *= m - i;
  return factor == 0.0 ? 0.0 : factor * std::pow(rho, m - order);
}

class Autoregression final : public CorrelationStructure {
 public:
  using CorrelationStructure::CorrelationStructure;

 protected:
  double least() const override { return -1.0; }
  int patterns() const override { return size() - 1; }
  int pattern(int i, int j) const override { return std::abs(i - j) - 1; }

  double correlation(int i, int j, double rho, int derivative) const override {
    return power(rho, std::abs(i - j), derivative);
  }

  // R_i0 = rho^i, R_ij = rho^(i - j) sqrt(1 - rho^2).
  double root(int i, int j, double rho) const override {
    return power(rho, i - j, 0) * (j == 0 ? 1.0 : std::sqrt(1.0 - rho * rho));
  }

  double root_derivative(int i, int j, double rho) const override {
    if (j == 0) return power(rho, i, 1);
    const double innovation = std::sqrt(1.0 - rho * rho);
    return power(rho, i - j, 1) * innovation - power(rho, i - j, 0) * rho / innovation;
  }
};

}  // namespace

std::unique_ptr<CovarianceStructure> make_autoregression(int size) {
  return std::make_unique<Autoregression>(size, true);
}

std::unique_ptr<CovarianceStructure> make_heterogeneous_autoregression(int size) {
  return std::make_unique<Autoregression>(size, false);
}

}  // namespace crossnest
