// Compound symmetry: every two effects have the same correlation rho, which is at least
// -1 / (k - 1).
#include <cmath>

#include "correlation_structure.hpp"

namespace crossnest {

namespace {

class CompoundSymmetry final : public CorrelationStructure {
 public:
  using CorrelationStructure::CorrelationStructure;

 protected:
  double least() const override { return size() > 2 ? -1.0 / (size() - 1) : -1.0; }
  int patterns() const override { return 1; }
  int pattern(int, int) const override { return 0; }

  double correlation(int, int, double rho, int derivative) const override {
    return derivative == 0 ? rho : derivative == 1 ? 1.0 : 0.0;
  }

  // With a_j = 1 + j rho: R_jj^2 = (1 - rho) a_j / a_{j-1}, R_ij^2 = rho^2 (1 - rho) / (a_{j-1}
  // a_j).
  double root(int i, int j, double rho) const override {
    const double before = 1.0 + (j - 1) * rho, own = 1.0 + j * rho;
    if (j == 0) return i == 0 ? 1.0 : rho;
    return i == j ? std::sqrt((1.0 - rho) * own / before)
                  : rho * std::sqrt((1.0 - rho) / (before * own));
  }

  // By the logarithmic derivative of the roots.
  double root_derivative(int i, int j, double rho) const override {
    const double before = 1.0 + (j - 1) * rho, own = 1.0 + j * rho;
    if (j == 0) return i == 0 ? 0.0 : 1.0;
    const double common = -1.0 / (1.0 - rho) - (j - 1) / before;
    if (i == j) return 0.5 * root(j, j, rho) * (common + j / own);
    return std::sqrt((1.0 - rho) / (before * own)) * (1.0 + 0.5 * rho * (common - j / own));
  }
};

}  // namespace

std::unique_ptr<CovarianceStructure> make_compound_symmetry(int size) {
  return std::make_unique<CompoundSymmetry>(size, false);
}

std::unique_ptr<CovarianceStructure> make_homogeneous_compound_symmetry(int size) {
  return std::make_unique<CompoundSymmetry>(size, true);
}

}  // namespace crossnest
