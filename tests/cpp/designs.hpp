// Small simulated designs for the tests. They own their arrays; design() is a view of them.
#pragma once

#include <cmath>
#include <crossnest/design.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace designs {

using crossnest::Index;
using crossnest::Level;

// Random numbers that are the same with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }
  Index below(Index n) { return static_cast<Index>(uniform() * static_cast<double>(n)); }

 private:
  std::mt19937_64 engine_;
};

// A design and a response.
struct View : crossnest::Design {
  const double* y = nullptr;
};

struct Data {
  struct Term {
    int factor;
    std::vector<int> columns;  // indices into Data::columns, -1 for the constant
    std::string structure;
  };

  Index n, p;
  std::vector<double> X, y, weights;         // n x p; n; n or empty
  std::vector<std::vector<Level>> codes;     // by factor: n
  std::vector<Index> levels;                 // by factor
  std::vector<std::vector<double>> columns;  // covariates of random effects: n each
  std::vector<Term> terms;
  Random random;

  // X is an intercept and normal covariates.
  Data(Index rows, Index fixed, std::uint64_t seed = 1) : n(rows), p(fixed), random(seed) {
    for (Index j = 0; j < p; ++j)
      for (Index i = 0; i < n; ++i) X.push_back(j == 0 ? 1.0 : random.normal());
    y.assign(static_cast<std::size_t>(n), 0.0);
  }

  int add_factor(std::vector<Level> level_of_row, Index count) {
    codes.push_back(std::move(level_of_row));
    levels.push_back(count);
    return static_cast<int>(codes.size()) - 1;
  }

  // Levels at random; every level occurs.
  int add_random_factor(Index count) {
    std::vector<Level> level_of_row;
    for (Index i = 0; i < n; ++i)
      level_of_row.push_back(static_cast<Level>(i < count ? i : random.below(count)));
    return add_factor(std::move(level_of_row), count);
  }

  // The factor that `inner` is nested in: level l lies in level l mod count.
  int add_outer_factor(int inner, Index count) {
    std::vector<Level> level_of_row;
    for (const Level level : codes[static_cast<std::size_t>(inner)])
      level_of_row.push_back(static_cast<Level>(level % count));
    return add_factor(std::move(level_of_row), count);
  }

  // (1 + k - 1 covariates | factor), or k covariates without a constant.
  void add_term(int factor, int k, const std::string& structure = "unstructured",
                bool constant = true) {
    Term term{factor, {}, structure};
    for (int j = 0; j < k; ++j) {
      if (constant && j == 0) {
        term.columns.push_back(-1);
        continue;
      }
      term.columns.push_back(static_cast<int>(columns.size()));
      columns.emplace_back();
      for (Index i = 0; i < n; ++i) columns.back().push_back(random.normal());
    }
    terms.push_back(std::move(term));
  }

  void add_weights() {
    for (Index i = 0; i < n; ++i) weights.push_back(0.5 + 2.0 * random.uniform());
  }

  // y = sum of the columns of X + Z b + e; all effects of each term have standard deviation
  // `scale`.
  Data& simulate(double scale = 1.0) {
    for (Index i = 0; i < n; ++i) {
      double& value = y[static_cast<std::size_t>(i)] = random.normal();
      for (Index j = 0; j < p; ++j) value += X[static_cast<std::size_t>(j * n + i)];
    }
    for (const Term& term : terms) {
      const auto& level_of_row = codes[static_cast<std::size_t>(term.factor)];
      for (const int column : term.columns) {
        std::vector<double> b;
        for (Index l = 0; l < levels[static_cast<std::size_t>(term.factor)]; ++l)
          b.push_back(scale * random.normal());
        for (std::size_t i = 0; i < y.size(); ++i)
          y[i] += b[static_cast<std::size_t>(level_of_row[i])] *
                  (column < 0 ? 1.0 : columns[static_cast<std::size_t>(column)][i]);
      }
    }
    return *this;
  }

  View design() const {
    View view;
    view.n = n;
    view.p = p;
    view.X = X.data();
    view.y = y.data();
    view.weights = weights.empty() ? nullptr : weights.data();
    for (std::size_t f = 0; f < codes.size(); ++f)
      view.factors.push_back({codes[f].data(), levels[f]});
    for (const Term& term : terms) {
      crossnest::Term one{term.factor, {}, term.structure};
      for (const int column : term.columns)
        one.columns.push_back(column < 0 ? nullptr
                                         : columns[static_cast<std::size_t>(column)].data());
      view.terms.push_back(std::move(one));
    }
    return view;
  }
};

// The rows [begin, end) alone, with the levels of all.
inline Data batch(const Data& data, Index begin, Index end) {
  const auto cut = [&](auto& values) {
    if (!values.empty()) values = {values.begin() + begin, values.begin() + end};
  };
  Data part = data;
  part.n = end - begin;
  part.X.clear();
  for (Index j = 0; j < data.p; ++j)
    part.X.insert(part.X.end(), data.X.begin() + j * data.n + begin,
                  data.X.begin() + j * data.n + end);
  cut(part.y);
  cut(part.weights);
  for (auto& codes : part.codes) cut(codes);
  for (auto& column : part.columns) cut(column);
  return part;
}

// One grouping factor.
inline Data single(Index levels, Index rows_each, int k, std::uint64_t seed = 1) {
  Data data(levels * rows_each, 2, seed);
  data.add_term(data.add_random_factor(levels), k);
  return data.simulate();
}

// Three levels of nesting: (.. | a/b/c).
inline Data nested(Index inner, Index middle, Index outer, Index n, int k_inner, int k_middle,
                   int k_outer) {
  Data data(n, 3, 2);
  const int c = data.add_random_factor(inner);
  const int b = data.add_outer_factor(c, middle);
  const int a = data.add_outer_factor(b, outer);
  data.add_term(c, k_inner);
  data.add_term(b, k_middle);
  data.add_term(a, k_outer);
  data.add_weights();
  return data.simulate();
}

// Two crossed factors.
inline Data crossed(Index first, Index second, Index n, int k_first, int k_second) {
  Data data(n, 3, 3);
  data.add_term(data.add_random_factor(first), k_first);
  data.add_term(data.add_random_factor(second), k_second);
  return data.simulate();
}

// (.. | outer/inner) + (.. | other), other crossed with both.
inline Data nested_crossed(Index inner, Index outer, Index other, Index n, int k_inner, int k_outer,
                           int k_other) {
  Data data(n, 2, 4);
  const int f = data.add_random_factor(inner);
  data.add_term(f, k_inner);
  data.add_term(data.add_outer_factor(f, outer), k_outer);
  data.add_term(data.add_random_factor(other), k_other);
  data.add_weights();
  return data.simulate();
}

// Workers who work in two neighbouring firms each, `rows` times in every one: partially crossed,
// and sparse after elimination of the workers.
inline Data workers(Index count, Index firms, Index rows, int k_worker, int k_firm) {
  const Index n = 2 * rows * count;
  Data data(n, 2, 5);
  std::vector<Level> worker, firm;
  for (Index i = 0; i < n; ++i) {
    const Index w = i / (2 * rows);
    worker.push_back(static_cast<Level>(w));
    firm.push_back(static_cast<Level>((w + i % 2) % firms));
  }
  data.add_term(data.add_factor(std::move(worker), count), k_worker);
  data.add_term(data.add_factor(std::move(firm), firms), k_firm);
  return data.simulate();
}

// (1 + x + .. | factor) with k effects and no fixed effects.
inline Data without_fixed(Index levels, Index rows_each, int k) {
  Data data(levels * rows_each, 0, 7);
  data.add_term(data.add_random_factor(levels), k);
  return data.simulate();
}

// Several terms on a factor, with and without correlations, and one on another.
inline Data several_terms() {
  Data data = crossed(16, 9, 150, 2, 1);
  data.add_term(0, 3, "diagonal", false);
  data.add_term(1, 1, "unstructured", false);
  data.add_weights();
  return data.simulate();
}

// The same data where every factor has levels that no row has, the last ones.
inline Data with_empty_levels(Data data) {
  for (Index& count : data.levels) count += 3;
  return data;
}

}  // namespace designs
