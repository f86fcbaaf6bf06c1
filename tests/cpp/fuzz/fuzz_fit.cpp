// libFuzzer target: bytes become a small design, which is fitted; every result is finite or an
// exception of the library, and nothing is read or written out of place.
#include <cmath>
#include <crossnest/covariance.hpp>
#include <crossnest/fit.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "input.hpp"

namespace {

using crossnest::Index;
using crossnest::Level;

// A design and the arrays it looks at.
struct Data {
  std::vector<double> X, y, weights;
  std::vector<std::vector<Level>> codes;
  std::vector<std::vector<double>> columns;
  crossnest::Design design;

  explicit Data(Bytes& bytes) {
    crossnest::Design& d = design;
    d.n = 1 + bytes.below(40);
    d.p = bytes.below(5);
    add_factors(bytes);
    add_terms(bytes);
    const int kind = bytes.below(8);  // of the first column
    for (Index j = 0; j < d.p; ++j) add_column(bytes, X, j == 0 && kind < 6);
    add_column(bytes, y, false);
    if (bytes.below(3) == 0) add_column(bytes, weights, bytes.below(4) == 0);
    if (bytes.below(2) == 0)
      for (double& w : weights) w = std::abs(w) + 1e-3;
    d.X = X.data();
    d.weights = weights.empty() ? nullptr : weights.data();
  }

 private:
  // n numbers, a constant or not, all multiplied by one that may be extreme.
  void add_column(Bytes& bytes, std::vector<double>& to, bool constant) {
    const int kind = bytes.byte();
    const double scale = kind < 200 ? 1.0 : std::ldexp(1.0, (kind - 228) * 40);
    const double same = bytes.number();
    for (Index i = 0; i < design.n; ++i)
      to.push_back(scale * (constant ? (same == 0.0 ? 1.0 : same) : bytes.number()));
  }

  void add_factors(Bytes& bytes) {
    const int count = 1 + bytes.below(3);
    for (int f = 0; f < count; ++f) {
      const int levels = 1 + bytes.below(12), kind = bytes.below(4);
      codes.emplace_back();
      for (Index i = 0; i < design.n; ++i) {
        const int code = kind == 0            ? static_cast<int>(i) % levels
                         : kind == 1 && f > 0 ? codes.front()[static_cast<std::size_t>(i)] % levels
                                              : bytes.below(levels);
        codes.back().push_back(static_cast<Level>(code));
      }
      design.factors.push_back({nullptr, levels});
    }
    for (std::size_t f = 0; f < codes.size(); ++f) design.factors[f].codes = codes[f].data();
  }

  void add_terms(Bytes& bytes) {
    const int count = 1 + bytes.below(3);
    columns.reserve(16);  // pointers into it stay
    for (int t = 0; t < count; ++t) {
      crossnest::Term term{bytes.below(static_cast<int>(codes.size())), {}, "unstructured"};
      const auto& structures = crossnest::covariance_structures();
      if (bytes.below(2) == 0)
        term.covariance =
            structures[static_cast<std::size_t>(bytes.below(static_cast<int>(structures.size())))]
                .name;
      const int k = 1 + bytes.below(4), constant = bytes.below(k + 1);
      for (int j = 0; j < k; ++j) {
        if (j == constant) {
          term.columns.push_back(nullptr);
          continue;
        }
        columns.emplace_back();
        add_column(bytes, columns.back(), false);
        term.columns.push_back(columns.back().data());
      }
      design.terms.push_back(term);
    }
  }
};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not finite: %s\n", what);
  std::abort();
}

void require_finite(const std::vector<double>& values, const char* what) {
  for (const double value : values) require(std::isfinite(value), what);
}

void require_finite(const std::vector<std::vector<double>>& values, const char* what) {
  for (const auto& some : values) require_finite(some, what);
}

void check(const crossnest::Estimates& estimates) {
  require(std::isfinite(estimates.objective), "objective");
  require(std::isfinite(estimates.sigma), "sigma");
  require(std::isfinite(estimates.pwrss), "pwrss");
  require(std::isfinite(estimates.log_det_omega), "log|Omega|");
  require(std::isfinite(estimates.log_det_C), "log|C|");
  require_finite(estimates.theta, "theta");
  require_finite(estimates.beta, "beta");
  require_finite(estimates.RX, "RX");
  require_finite(estimates.fitted, "fitted");
  require_finite(estimates.u, "u");
  require_finite(estimates.b, "b");
}

// Calls work and lets the library refuse.
template <class Work>
void may_refuse(Work&& work) {
  try {
    work();
  } catch (const crossnest::FitError&) {
  } catch (const std::invalid_argument&) {
  } catch (const crossnest::MemoryLimitError&) {
  }
}

void use(const crossnest::Model& model, const double* y, Bytes& bytes) {
  const bool reml = bytes.below(2) == 0;
  const crossnest::Response response = model.read(y);
  crossnest::Evaluator evaluator(model);
  crossnest::OptimizerOptions options;
  options.max_evaluations = 12;
  crossnest::Estimates estimates;
  may_refuse([&] {
    estimates = crossnest::fit(evaluator, response, reml, {}, options).estimates;
    check(estimates);
  });
  if (estimates.theta.empty()) return;
  const std::vector<double>& theta = estimates.theta;
  const crossnest::Design& design = model.design();
  const int call = bytes.below(8);
  if (call == 0)
    may_refuse(
        [&] { require_finite(evaluator.conditional_variances(response, estimates), "cond_var"); });
  if (call == 1)
    may_refuse([&] { require_finite(evaluator.leverages(response, estimates), "leverages"); });
  if (call == 2)
    may_refuse([&] {
      const std::vector<bool> included(design.terms.size(), true);
      require_finite(evaluator.prediction_variances(response, estimates, design, included),
                     "prediction variances");
    });
  if (call == 3) may_refuse([&] { evaluator.information(response, theta, reml); });
  if (call == 4) may_refuse([&] { evaluator.curvature(response, theta, reml); });
  if (call == 5) {
    std::vector<double> gradient;
    may_refuse([&] {
      evaluator.gradient(response, std::vector<double>(theta.size(), 0.5), reml, gradient);
    });
  }
  std::vector<double> other(static_cast<std::size_t>(design.n));
  for (double& value : other) value = bytes.number();
  if (call == 6)
    may_refuse([&] {
      crossnest::RefitOptions refit;
      refit.optimizer = options;
      refit.threads = 1;
      crossnest::refit_many(evaluator, other.data(), 1, refit);
    });
  if (call == 7)
    may_refuse([&] {
      const crossnest::Response second = model.read(other.data());
      check(crossnest::fit(evaluator, second, reml, {}, options).estimates);
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const Data drawn(bytes);
  crossnest::ModelOptions options;
  options.threads = 1;
  options.memory_limit = std::size_t{1} << 26;
  constexpr crossnest::TailKind kTails[] = {
      crossnest::TailKind::automatic, crossnest::TailKind::dense, crossnest::TailKind::sparse};
  options.tail = kTails[bytes.below(3)];
  may_refuse([&] {
    const crossnest::Model model(drawn.design, options);
    use(model, drawn.y.data(), bytes);
  });
  return 0;
}
