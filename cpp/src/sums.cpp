#include "crossnest/sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "blocks.hpp"
#include "bytes.hpp"
#include "column.hpp"
#include "coordinates.hpp"
#include "covariance_parameters.hpp"
#include "cross_products.hpp"
#include "layout.hpp"
#include "thread_pool.hpp"
#include "wide_search.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// What other rows have that these have not; nullptr for nothing.
const char* difference_of(const Design& own, const Design& other) {
  if (own.p != other.p) return "another number of columns of X";
  if (own.factors.size() != other.factors.size()) return "other grouping factors";
  for (std::size_t f = 0; f < own.factors.size(); ++f)
    if (own.factors[f].levels != other.factors[f].levels) return "another number of levels";
  if (own.terms.size() != other.terms.size()) return "other random-effects terms";
  for (std::size_t t = 0; t < own.terms.size(); ++t) {
    const Term &one = own.terms[t], &two = other.terms[t];
    if (one.factor != two.factor || one.covariance != two.covariance ||
        one.columns.size() != two.columns.size())
      return "another random-effects term";
    for (std::size_t c = 0; c < one.columns.size(); ++c)
      if ((one.columns[c] == nullptr) != (two.columns[c] == nullptr))
        return "a random intercept in place of a covariate";
  }
  return nullptr;
}

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

// Those of the rows that were added.
struct Weights {
  double total = 0.0;  // in the units of the coordinates
  double least = std::numeric_limits<double>::infinity();
  double most = 0.0;

  void add(const Weights& other) {
    total += other.total;
    least = std::min(least, other.least);
    most = std::max(most, other.most);
  }
  bool are_valid() const {
    return least > 0.0 && most >= least && std::isfinite(most) && total > 0.0 &&
           std::isfinite(total);
  }
  template <class Self, class Bytes>
  static void exchange(Self& self, Bytes& bytes) {
    bytes(self.total);
    bytes(self.least);
    bytes(self.most);
  }
};

// The kind of bytes, and their version in the last two digits.
constexpr std::uint64_t kSums = 0x534D55534E430000, kVersion = 0xffff;
constexpr std::uint64_t kThisVersion = 1;

// Numbers to hold the squares of p + 1 and of each k: bytes of sums without rows have as many
// zeros, so that nobody who sends few bytes gets large matrices.
std::size_t squares(const std::vector<Block>& blocks, Index p) {
  double numbers = static_cast<double>(p + 1) * static_cast<double>(p + 1);
  for (const Block& block : blocks) numbers += static_cast<double>(block.k) * block.k;
  return static_cast<std::size_t>(std::min(numbers, 0x1p62));
}

}  // namespace

struct Sums::Parts {
  Parts(const Design& sample, const double* y, Index column, int with_threads)
      : layout(without_rows(checked(sample, column))),
        blocks(make_blocks(sample)),
        coordinates(plain_coordinates(sample, y, column, with_threads)),
        threads(with_threads) {}
  Parts(const Layout& without, const PlainColumns& columns, int with_threads)
      : layout(without.design()),
        blocks(make_blocks(layout)),
        coordinates(Coordinates::plain(columns, layout, blocks)),
        threads(with_threads) {}

  static std::unique_ptr<Parts> read(ByteReader& bytes, int threads);

  Coordinates plain_coordinates(const Design& sample, const double* y, Index column,
                                int with_threads) const {
    const Bordered bordered(sample, y);
    bordered.design().validate();
    ThreadPool pool(with_threads);
    return Coordinates::plain(bordered.design(), blocks, CovarianceParameters(sample.terms), column,
                              pool);
  }

  void check(const Design& rows) const {
    if (const char* difference = difference_of(layout, rows))
      throw std::invalid_argument(std::string("these rows do not fit the sums: ") + difference);
    const Index intercept = coordinates.intercept();
    if (intercept >= 0 &&
        !is_everywhere(rows.X + intercept * rows.n, rows.n, coordinates.intercept_value()))
      throw std::invalid_argument(
          "these rows do not fit the sums: another value in the constant column of X");
  }

  Design layout;
  std::vector<Block> blocks;
  Coordinates coordinates;
  int threads;
  std::optional<CrossProducts> products;
  Weights weights;
};

// The other way round than serialize(); all but the check sum.
std::unique_ptr<Sums::Parts> Sums::Parts::read(ByteReader& bytes, int threads) {
  Layout layout;
  PlainColumns columns;
  Weights weights;
  bool has_rows = false;
  std::optional<CrossProducts> products;
  std::vector<double> room;
  bytes(layout);
  bytes(columns);
  bytes(weights);
  bytes(has_rows);
  if (has_rows)
    bytes(products.emplace());
  else
    bytes(room);
  ByteReader::require(layout.is_valid() && columns.is_valid(layout) && bytes.left() == 8);
  const std::vector<Block> blocks = make_blocks(layout.design());
  ByteReader::require(has_rows ? products->is_valid(blocks, layout.p + 1) &&
                                     products->n() == layout.n && weights.are_valid()
                               : layout.n == 0 && room.size() == squares(blocks, layout.p));
  auto parts = std::make_unique<Parts>(layout, columns, threads);
  parts->weights = weights;
  parts->products = std::move(products);
  return parts;
}

Sums::Sums(const Design& sample, const double* y, Index intercept, int threads)
    : parts_(std::make_unique<Parts>(sample, y, intercept, threads)) {}

Sums::Sums(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
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
    to.weights.add({to.coordinates.weight(all, i), weight, weight});
  }
}

void Sums::merge(const Sums& other) {
  const Parts& from = *other.parts_;
  if (!from.products) return;
  if (difference_of(parts_->layout, from.layout) != nullptr ||
      !(from.coordinates.columns() == parts_->coordinates.columns()))
    throw std::invalid_argument("sums that were not begun from the same ones cannot be merged");
  if (!parts_->products) {
    *this = other;
    return;
  }
  parts_->products->merge(*from.products);
  parts_->layout.n += from.layout.n;
  parts_->weights.add(from.weights);
}

Index Sums::n() const { return parts_->layout.n; }
Design Sums::layout() const { return parts_->layout; }
const Coordinates& Sums::coordinates() const { return parts_->coordinates; }
double Sums::total_weight() const { return parts_->weights.total; }

const CrossProducts& Sums::cross_products() const {
  if (!parts_->products) throw std::invalid_argument("no rows have been added to the sums");
  return *parts_->products;
}

WeightSpread Sums::weight_spread() const {
  WeightSpread spread;
  const double n = static_cast<double>(parts_->layout.n);
  const double unit = parts_->coordinates.root_weight_unit();
  spread.ratio = parts_->weights.most / parts_->weights.least;
  spread.typical =
      std::exp(cross_products().log_weights() / n) / (parts_->weights.total * unit * unit);
  return spread;
}

std::vector<std::uint8_t> Sums::serialize() const {
  const Parts& from = *parts_;
  ByteWriter bytes;
  bytes(kSums | kThisVersion);
  bytes(Layout(from.layout));
  bytes(from.coordinates.columns());
  bytes(from.weights);
  bytes(from.products.has_value());
  if (from.products)
    bytes(*from.products);
  else
    bytes(std::vector<double>(squares(from.blocks, from.layout.p)));
  bytes(check_sum(bytes.bytes().data(), bytes.bytes().size()));
  return std::move(bytes.bytes());
}

Sums Sums::deserialize(const std::uint8_t* data, std::size_t count, int threads) {
  constexpr std::size_t kNumber = 8;
  std::uint64_t kind = 0, sum = 0;
  ByteReader bytes(data, count);
  if (count >= 2 * kNumber) bytes(kind);
  if ((kind & ~kVersion) != kSums) throw std::invalid_argument("the bytes are no sums");
  if ((kind & kVersion) != kThisVersion)
    throw std::invalid_argument("the sums were written by another version of the library");
  ByteReader(data + count - kNumber, kNumber)(sum);
  ByteReader::require(sum == check_sum(data, count - kNumber));
  return Sums(Parts::read(bytes, threads));
}

}  // namespace crossnest
