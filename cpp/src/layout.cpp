#include "layout.hpp"

#include <algorithm>
#include <limits>

#include "crossnest/covariance.hpp"

namespace crossnest {

namespace {

// Stands for a column that is there, but whose rows are not.
constexpr double kNoRows = std::numeric_limits<double>::quiet_NaN();

bool is_known(const std::string& covariance) {
  const auto& all = covariance_structures();
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& structure) { return structure.name == covariance; });
}

}  // namespace

Design without_rows(Design design) {
  design.n = 0;
  design.X = nullptr;
  design.weights = nullptr;
  for (GroupingFactor& factor : design.factors) factor.codes = nullptr;
  for (crossnest::Term& term : design.terms)
    for (const double*& column : term.columns)
      if (column != nullptr) column = &kNoRows;
  return design;
}

Layout::Layout(const Design& design) : n(design.n), p(design.p) {
  for (const GroupingFactor& factor : design.factors) levels.push_back(factor.levels);
  for (const crossnest::Term& term : design.terms) {
    terms.push_back({term.factor, {}, term.covariance});
    for (const double* column : term.columns) terms.back().covariates.push_back(column != nullptr);
  }
}

Design Layout::design() const {
  Design design;
  design.n = n;
  design.p = p;
  for (const Index count : levels) design.factors.push_back({nullptr, count});
  for (const Term& term : terms) {
    design.terms.push_back({term.factor, {}, term.covariance});
    for (const bool covariate : term.covariates)
      design.terms.back().columns.push_back(covariate ? &kNoRows : nullptr);
  }
  return design;
}

bool Layout::Term::operator==(const Term& other) const {
  return factor == other.factor && covariates == other.covariates && covariance == other.covariance;
}

bool Layout::operator==(const Layout& other) const {
  return n == other.n && p == other.p && levels == other.levels && terms == other.terms;
}

bool Layout::is_valid() const {
  const auto is_count = [](Index count) {
    return count > 0 && count <= std::numeric_limits<Level>::max();
  };
  const auto fits = [&](const Term& term) {
    return term.factor >= 0 && term.factor < static_cast<Index>(levels.size()) &&
           !term.covariates.empty() && is_known(term.covariance);
  };
  return n >= 0 && p >= 0 && !terms.empty() &&
         std::all_of(levels.begin(), levels.end(), is_count) &&
         std::all_of(terms.begin(), terms.end(), fits);
}

}  // namespace crossnest
