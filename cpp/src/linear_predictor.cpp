#include "linear_predictor.hpp"

namespace crossnest {

void add_fixed(const Design& rows, const std::vector<Index>& pivot, const std::vector<double>& beta,
               double* out) {
  for (std::size_t j = 0; j < beta.size(); ++j) {
    const double* x = rows.X + pivot[j] * rows.n;
    for (Index i = 0; i < rows.n; ++i) out[i] += beta[j] * x[i];
  }
}

void add_random(const Design& rows, const Term& term, const std::vector<double>& b, double* out) {
  const Level* codes = rows.factors[static_cast<std::size_t>(term.factor)].codes;
  const std::size_t k = term.columns.size();
  for (Index i = 0; i < rows.n; ++i) {
    if (codes[i] < 0) continue;
    const double* effects = b.data() + static_cast<std::size_t>(codes[i]) * k;
    for (std::size_t c = 0; c < k; ++c)
      out[i] += effects[c] * (term.columns[c] == nullptr ? 1.0 : term.columns[c][i]);
  }
}

}  // namespace crossnest
