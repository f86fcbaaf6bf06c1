#include "covariance_parameters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace crossnest {

CovarianceParameters::CovarianceParameters(const std::vector<Term>& terms) {
  for (const Term& term : terms) {
    structures_.push_back(
        make_covariance_structure(term.covariance, static_cast<int>(term.columns.size())));
    const CovarianceStructure& own = *structures_.back();
    const std::size_t first = lower_bounds_.size();
    first_.push_back(static_cast<int>(first));
    lower_bounds_.resize(first + static_cast<std::size_t>(own.parameters()));
    upper_bounds_.resize(lower_bounds_.size());
    own.lower_bounds(lower_bounds_.data() + first);
    own.upper_bounds(upper_bounds_.data() + first);
    lower_barriers_.insert(lower_barriers_.end(),
                           lower_bounds_.begin() + static_cast<std::ptrdiff_t>(first),
                           lower_bounds_.end());
    for (int a = 0; a < own.parameters(); ++a)
      if (own.even(a))
        lower_barriers_[first + static_cast<std::size_t>(a)] =
            -std::numeric_limits<double>::infinity();
  }
}

bool CovarianceParameters::restricted(int term) const {
  const CovarianceStructure& own = of(term);
  const bool diagonal = own.scales_only() && own.parameters() == own.size();
  return own.closed_under() != CovarianceStructure::ClosedUnder::any && !diagonal;
}

void CovarianceParameters::check(const std::vector<double>& theta) const {
  if (theta.size() != lower_bounds_.size())
    throw std::invalid_argument("theta has " + std::to_string(theta.size()) +
                                " values where the model has " +
                                std::to_string(lower_bounds_.size()) + " covariance parameters");
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (!std::isfinite(theta[i]) || theta[i] < lower_bounds_[i] || theta[i] > upper_bounds_[i])
      throw std::invalid_argument("theta[" + std::to_string(i) +
                                  "] is not finite or not within its bounds");
}

bool CovarianceParameters::at_bound(int parameter, double value) const {
  constexpr double kSingular = 1e-4;
  const auto i = static_cast<std::size_t>(parameter);
  return value - lower_bounds_[i] < kSingular || upper_bounds_[i] - value < kSingular;
}

bool CovarianceParameters::scales_only() const {
  return std::all_of(structures_.begin(), structures_.end(),
                     [](const auto& structure) { return structure->scales_only(); });
}

bool CovarianceParameters::is_linear() const {
  return std::all_of(structures_.begin(), structures_.end(),
                     [](const auto& structure) { return structure->linear(); });
}

bool CovarianceParameters::has_linear_factors() const {
  return std::all_of(structures_.begin(), structures_.end(),
                     [](const auto& structure) { return structure->linear_factor(); });
}

void CovarianceParameters::normalize(double* theta) const {
  for (int term = 0; term < terms(); ++term) of(term).normalize(theta + first(term));
}

void CovarianceParameters::scale(double factor, double* theta) const {
  for (int term = 0; term < terms(); ++term) of(term).scale(factor, theta + first(term));
}

}  // namespace crossnest
