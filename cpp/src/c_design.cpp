#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "c_handles.hpp"
#include "crossnest/covariance.hpp"

using namespace crossnest::c;
using crossnest::Design;

int32_t cn_design_new(int64_t n, int64_t p, const double* X, cn_design** design) {
  return guarded([&] {
    if (n < 1 || p < 0) refuse("a design has at least one observation and no negative columns");
    if (p > 0) given(X, "X");
    auto made = std::make_unique<cn_design>();
    made->design.n = n;
    made->design.p = p;
    made->design.X = X;
    hand_out(design, std::move(made));
  });
}

void cn_design_free(cn_design* design) { delete design; }

int32_t cn_design_set_weights(cn_design* design, const double* weights) {
  return guarded([&] { given(design, "design").design.weights = weights; });
}

int32_t cn_design_add_factor(cn_design* design, const int32_t* codes, int64_t levels) {
  return guarded([&] {
    given(codes, "codes");
    if (levels < 1 || levels > std::numeric_limits<crossnest::Level>::max())
      refuse("a grouping factor has at least one level, and fewer than 2^31");
    given(design, "design").design.factors.push_back({codes, levels});
  });
}

int32_t cn_design_add_term(cn_design* design, int64_t factor, int64_t columns,
                           const double* const* values, const char* covariance) {
  return guarded([&] {
    Design& to = given(design, "design").design;
    in_range(factor, to.factors.size(), "factor");
    given(values, "values");
    crossnest::Term term;
    term.factor = static_cast<int>(factor);
    term.columns.assign(values, values + as_int(columns, "columns", 1));
    if (covariance != nullptr) term.covariance = covariance;
    // Refuses an unknown name.
    crossnest::make_covariance_structure(term.covariance, static_cast<int>(columns));
    to.terms.push_back(std::move(term));
  });
}

const char* cn_covariance_name(int64_t index) {
  const auto& all = crossnest::covariance_structures();
  return index < 0 || at(index) >= all.size() ? nullptr : all[at(index)].name.c_str();
}
