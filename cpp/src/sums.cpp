#include "crossnest/sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "column.hpp"
#include "coordinates.hpp"
#include "covariance_parameters.hpp"
#include "cross_products.hpp"
#include "thread_pool.hpp"
#include "wide_search.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void require(bool fits, const std::string& what) {
  if (!fits) throw std::invalid_argument("these rows do not fit the sums: " + what);
}

// Stands for a column that is there, but whose rows are not.
constexpr double kNoRows = std::numeric_limits<double>::quiet_NaN();

// X and y side by side, as one matrix of fixed effects.
class Bordered {
 public:
  Bordered(const Design& rows, const double* y) : design_(rows) {
    numbers_.reserve(at(rows.n * (rows.p + 1)));
    numbers_.assign(rows.X, rows.X + rows.n * rows.p);
    numbers_.insert(numbers_.end(), y, y + rows.n);
    design_.p = rows.p + 1;
    design_.X = numbers_.data();
  }
  Bordered(const Bordered&) = delete;
  Bordered& operator=(const Bordered&) = delete;

  const Design& design() const { return design_; }

 private:
  std::vector<double> numbers_;
  Design design_;
};

// Refuses a sample that is no design, or whose intercept is none.
const Design& checked(const Design& sample, Index intercept) {
  sample.validate();
  if (intercept < -1 || intercept >= sample.p)
    throw std::invalid_argument("the intercept is no column of X");
  if (intercept >= 0 && !is_constant(sample.X + intercept * sample.n, sample.n))
    throw std::invalid_argument("column " + std::to_string(intercept) +
                                " of X is no intercept: it is zero, or not constant");
  return sample;
}

Design without_rows(Design design) {
  design.n = 0;
  design.X = nullptr;
  design.weights = nullptr;
  for (GroupingFactor& factor : design.factors) factor.codes = nullptr;
  for (Term& term : design.terms)
    for (const double*& column : term.columns)
      if (column != nullptr) column = &kNoRows;
  return design;
}

}  // namespace

struct Sums::Parts {
  Parts(const Design& sample, const double* y, Index column, int with_threads)
      : layout(without_rows(checked(sample, column))),
        blocks(make_blocks(sample)),
        coordinates(plain_coordinates(sample, y, column, with_threads)),
        threads(with_threads) {}

  Coordinates plain_coordinates(const Design& sample, const double* y, Index column,
                                int with_threads) const {
    const Bordered bordered(sample, y);
    bordered.design().validate();
    ThreadPool pool(with_threads);
    return Coordinates::plain(bordered.design(), blocks, CovarianceParameters(sample.terms), column,
                              pool);
  }

  void check(const Design& rows) const {
    require(rows.p == layout.p, "another number of columns of X");
    require(rows.factors.size() == layout.factors.size(), "other grouping factors");
    for (std::size_t f = 0; f < rows.factors.size(); ++f)
      require(rows.factors[f].levels == layout.factors[f].levels, "another number of levels");
    require(rows.terms.size() == layout.terms.size(), "other random-effects terms");
    for (std::size_t t = 0; t < rows.terms.size(); ++t) {
      const Term &own = layout.terms[t], &other = rows.terms[t];
      require(own.factor == other.factor && own.covariance == other.covariance &&
                  own.columns.size() == other.columns.size(),
              "another random-effects term");
      for (std::size_t c = 0; c < own.columns.size(); ++c)
        require((own.columns[c] == nullptr) == (other.columns[c] == nullptr),
                "a random intercept in place of a covariate");
    }
    const Index intercept = coordinates.intercept();
    require(intercept < 0 ||
                is_everywhere(rows.X + intercept * rows.n, rows.n, coordinates.intercept_value()),
            "another value in the constant column of X");
  }

  Design layout;
  std::vector<Block> blocks;
  Coordinates coordinates;
  int threads;
  std::optional<CrossProducts> products;
  double total_weight = 0.0;  // in the units of the coordinates
  double least_weight = std::numeric_limits<double>::infinity();
  double most_weight = 0.0;
};

Sums::Sums(const Design& sample, const double* y, Index intercept, int threads)
    : parts_(std::make_unique<Parts>(sample, y, intercept, threads)) {}

Sums::Sums(const Sums& other) : parts_(std::make_unique<Parts>(*other.parts_)) {}
Sums::Sums(Sums&& other) noexcept = default;
Sums& Sums::operator=(const Sums& other) {
  parts_ = std::make_unique<Parts>(*other.parts_);
  return *this;
}
Sums& Sums::operator=(Sums&& other) noexcept = default;
Sums::~Sums() = default;

void Sums::add(const Design& rows, const double* y, InterruptCheck interrupt) {
  parts_->check(rows);
  if (rows.n == 0) return;
  const Bordered bordered(rows, y);
  const Design& all = bordered.design();
  all.validate(&interrupt);
  ThreadPool pool(parts_->threads, &interrupt);
  CrossProducts products(all, parts_->blocks, parts_->coordinates, pool, interrupt);
  Parts& to = *parts_;
  if (to.products)
    to.products->merge(products);
  else
    to.products = std::move(products);
  to.layout.n += rows.n;
  for (Index i = 0; i < rows.n; ++i) {
    const double weight = rows.weights == nullptr ? 1.0 : rows.weights[i];
    to.total_weight += to.coordinates.weight(all, i);
    to.least_weight = std::min(to.least_weight, weight);
    to.most_weight = std::max(to.most_weight, weight);
  }
}

void Sums::merge(const Sums& other) {
  const Parts& from = *other.parts_;
  if (!from.products) return;
  if (!from.coordinates.same_columns(parts_->coordinates))
    throw std::invalid_argument("sums that were not begun from the same ones cannot be merged");
  if (!parts_->products) {
    *this = other;
    return;
  }
  parts_->products->merge(*from.products);
  parts_->layout.n += from.layout.n;
  parts_->total_weight += from.total_weight;
  parts_->least_weight = std::min(parts_->least_weight, from.least_weight);
  parts_->most_weight = std::max(parts_->most_weight, from.most_weight);
}

Index Sums::n() const { return parts_->layout.n; }
Design Sums::layout() const { return parts_->layout; }
const Coordinates& Sums::coordinates() const { return parts_->coordinates; }
double Sums::total_weight() const { return parts_->total_weight; }

const CrossProducts& Sums::cross_products() const {
  if (!parts_->products) throw std::invalid_argument("no rows have been added to the sums");
  return *parts_->products;
}

WeightSpread Sums::weight_spread() const {
  WeightSpread spread;
  const double n = static_cast<double>(parts_->layout.n);
  const double unit = parts_->coordinates.root_weight_unit();
  spread.ratio = parts_->most_weight / parts_->least_weight;
  spread.typical =
      std::exp(cross_products().log_weights() / n) / (parts_->total_weight * unit * unit);
  return spread;
}

}  // namespace crossnest
