#include "coordinates.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "column.hpp"
#include "cross_products.hpp"
#include "crossnest/sums.hpp"
#include "eigen_decompositions.hpp"
#include "row_sums.hpp"

namespace crossnest {

namespace {

// The values of a term's columns in their units.
class RandomValues {
 public:
  RandomValues(const Term& term, const std::vector<double>& units) : columns_(term.columns) {
    for (const double unit : units) inverse_units_.push_back(1.0 / unit);
  }
  double operator()(Eigen::Index j, Index i) const {
    const double* column = columns_[static_cast<std::size_t>(j)];
    return column == nullptr ? 1.0 : column[i] * inverse_units_[static_cast<std::size_t>(j)];
  }

 private:
  const std::vector<const double*>& columns_;
  std::vector<double> inverse_units_;
};

// R's lm and lmer call a column aliased when less than this part of its norm is left after
// projecting on the columns before it.
constexpr double kAliased = 1e-7;
// A column whose variation about its mean is below this part of its size is constant to rounding.
constexpr double kConstant = 1e-12;

// Upper-triangular R of the columns of A, dropping (in place, from `kept`) those that depend on the
// columns before them. Gram-Schmidt, twice for orthogonality to working precision.
Eigen::MatrixXd triangle_dropping_aliased(Eigen::MatrixXd A, std::vector<Index>& kept) {
  const Eigen::Index p = A.cols();
  Eigen::MatrixXd R = Eigen::MatrixXd::Zero(p, p);
  std::vector<Index> independent;
  Eigen::Index rank = 0;
  for (Eigen::Index j = 0; j < p; ++j) {
    Eigen::VectorXd column = A.col(j);
    const double norm = column.norm();
    Eigen::VectorXd coefficients = Eigen::VectorXd::Zero(rank);
    for (int pass = 0; pass < 2; ++pass) {
      const Eigen::VectorXd step = A.leftCols(rank).transpose() * column;
      column -= A.leftCols(rank) * step;
      coefficients += step;
    }
    const double left = column.norm();
    if (!(left > kAliased * norm)) continue;
    R.col(rank).head(rank) = coefficients;
    R(rank, rank) = left;
    A.col(rank++) = column / left;
    independent.push_back(kept[static_cast<std::size_t>(j)]);
  }
  kept = independent;
  return R.topLeftCorner(rank, rank);
}

// Upper-triangular R with R'R = G when G (unit-free) is far from singular, else an empty matrix.
Eigen::MatrixXd safe_cholesky(const Eigen::MatrixXd& G) {
  const Eigen::VectorXd d = G.diagonal().cwiseSqrt();
  if (G.rows() > 0 && !(d.minCoeff() > 0.0)) return {};
  const Eigen::VectorXd inverse = d.cwiseInverse();
  const Eigen::LLT<Eigen::MatrixXd> llt(inverse.asDiagonal() * G * inverse.asDiagonal());
  const Eigen::MatrixXd U = llt.matrixU();
  // A pivot is the squared part of a column's norm that is left; rounding of G is below 1e-13.
  if (llt.info() != Eigen::Success || (G.rows() > 0 && U.diagonal().minCoeff() < 1e-4)) return {};
  return U * d.asDiagonal();
}

// The same of cross-products G alone, in which a column that depends on others is lost to rounding
// below 1e-7 of its norm.
Eigen::MatrixXd cholesky_dropping_aliased(const Eigen::MatrixXd& G, std::vector<Index>& kept) {
  constexpr double kAliasedSquare = 1e-12;
  const Eigen::Index p = G.rows();
  Eigen::MatrixXd R = Eigen::MatrixXd::Zero(p, p);
  std::vector<Eigen::Index> place;
  std::vector<Index> independent;
  for (Eigen::Index j = 0; j < p; ++j) {
    const auto rank = static_cast<Eigen::Index>(place.size());
    Eigen::VectorXd column(rank);
    for (Eigen::Index i = 0; i < rank; ++i)
      column(i) =
          (G(place[static_cast<std::size_t>(i)], j) - R.col(i).head(i).dot(column.head(i))) /
          R(i, i);
    const double left = G(j, j) - column.squaredNorm();
    if (!(left > kAliasedSquare * G(j, j))) continue;
    R.col(rank).head(rank) = column;
    R(rank, rank) = std::sqrt(left);
    place.push_back(j);
    independent.push_back(kept[static_cast<std::size_t>(j)]);
  }
  kept = independent;
  const auto rank = static_cast<Eigen::Index>(place.size());
  return R.topLeftCorner(rank, rank);
}

// Which column of a term is the constant 1, -1 for none.
Eigen::Index constant_column(const Term& term) {
  Eigen::Index constant = -1;
  for (std::size_t j = 0; j < term.columns.size(); ++j)
    if (term.columns[j] == nullptr) constant = static_cast<Eigen::Index>(j);
  return constant;
}

// Whether the columns of a term are centred: an intercept among them takes up what is subtracted.
bool is_centred(CovarianceStructure::ClosedUnder closed, Eigen::Index constant, Eigen::Index k) {
  return closed == CovarianceStructure::ClosedUnder::any && constant >= 0 && k > 1;
}

// The means of columns with cross-products G in multiples of a constant one, for which it is 0.
Eigen::VectorXd means_of(const Eigen::MatrixXd& G, Eigen::Index constant) {
  Eigen::VectorXd means = G.col(constant) / G(constant, constant);
  means(constant) = 0.0;
  return means;
}

// G of the columns less their means.
void take_means(Eigen::MatrixXd& G, Eigen::Index constant, const Eigen::VectorXd& means) {
  const double square = G(constant, constant);
  G -= square * means * means.transpose();
  G.col(constant).setZero();
  G.row(constant).setZero();
  G(constant, constant) = square;
}

}  // namespace

Coordinates::Coordinates(Units units)
    : units_(std::move(units)),
      inverse_weight_unit_(1.0 / units_.root_weight / units_.root_weight) {
  for (const double unit : units_.fixed) inverse_units_.push_back(1.0 / unit);
  random_.resize(units_.random.size());
}

Coordinates::Coordinates(const Design& design, const std::vector<Block>& blocks,
                         const CovarianceParameters& covariance, ThreadPool& pool)
    : Coordinates(Units(design, pool)) {
  find_total_weight(design, pool);
  for (const Block& block : blocks) {
    random_columns_ += block.k;
    for (const int term : block.terms) {
      term_order_.push_back(term);
      const CovarianceStructure::ClosedUnder closed = covariance.of(term).closed_under();
      RandomMap map = centred(design, term, closed, pool);
      const Eigen::MatrixXd G = random_gram(design, term, map, pool);
      set_random(term, std::move(map), G / static_cast<double>(design.n), closed);
    }
  }
  find_intercept(design);
  find_means(design, pool);
  set_fixed(independent_columns(design, pool));
}

Coordinates Coordinates::plain(const Design& design, const std::vector<Block>& blocks,
                               const CovarianceParameters& covariance, Index intercept,
                               ThreadPool& pool) {
  Coordinates plain(Units(design, pool));
  plain.find_total_weight(design, pool);
  for (int term = 0; term < covariance.terms(); ++term)
    plain.random_[static_cast<std::size_t>(term)] =
        plain.centred(design, term, covariance.of(term).closed_under(), pool);
  plain.intercept_ = intercept;
  if (intercept >= 0) plain.intercept_value_ = design.X[intercept * design.n];
  plain.find_means(design, pool);
  plain.set_plain(blocks, design.terms);
  return plain;
}

Coordinates Coordinates::plain(const PlainColumns& columns, const Design& design,
                               const std::vector<Block>& blocks) {
  Coordinates plain(columns.units);
  for (std::size_t t = 0; t < design.terms.size(); ++t) {
    plain.random_[t].constant = constant_column(design.terms[t]);
    plain.random_[t].centre = columns.centres[t];
  }
  plain.intercept_ = columns.intercept;
  plain.intercept_value_ = columns.intercept_value;
  plain.means_ = columns.means;
  plain.set_plain(blocks, design.terms);
  return plain;
}

// What follows from units, centres and means.
void Coordinates::set_plain(const std::vector<Block>& blocks, const std::vector<Term>& terms) {
  for (const Block& block : blocks) {
    random_columns_ += block.k;
    term_order_.insert(term_order_.end(), block.terms.begin(), block.terms.end());
  }
  for (std::size_t t = 0; t < terms.size(); ++t) {
    const auto k = static_cast<Eigen::Index>(terms[t].columns.size());
    random_[t].S = random_[t].T = Eigen::MatrixXd::Identity(k, k);
  }
  const auto p = static_cast<Index>(means_.size());
  for (Index j = 0; j < p; ++j) pivot_.push_back(j);
  order_ = pivot_;
  S_ = fixed_ = Eigen::MatrixXd::Identity(p, p);
}

PlainColumns Coordinates::columns() const {
  PlainColumns columns{units_, intercept_, intercept_value_, means_, {}};
  for (const RandomMap& map : random_) columns.centres.push_back(map.centre);
  return columns;
}

bool PlainColumns::is_valid(const Layout& layout) const {
  const auto finite = [](const std::vector<double>& values, std::size_t count) {
    return values.size() == count && std::all_of(values.begin(), values.end(),
                                                 [](double value) { return std::isfinite(value); });
  };
  const auto are_units = [&](const std::vector<double>& values, std::size_t count) {
    return finite(values, count) &&
           std::all_of(values.begin(), values.end(), [](double unit) { return is_unit(unit); });
  };
  const std::size_t columns = means.size(), terms = layout.terms.size();
  if (columns == 0 || layout.p != static_cast<Index>(columns) - 1 || !finite(means, columns) ||
      !are_units(units.fixed, columns) || !is_unit(units.root_weight) || intercept < -1 ||
      intercept >= layout.p || !std::isfinite(intercept_value) ||
      (intercept >= 0) != (intercept_value != 0.0) || units.random.size() != terms ||
      centres.size() != terms)
    return false;
  for (std::size_t t = 0; t < terms; ++t) {
    const std::size_t k = layout.terms[t].covariates.size();
    if (!are_units(units.random[t], k) || !finite(centres[t], k)) return false;
  }
  return true;
}

bool PlainColumns::operator==(const PlainColumns& other) const {
  return units.fixed == other.units.fixed && units.random == other.units.random &&
         units.root_weight == other.units.root_weight && intercept == other.intercept &&
         intercept_value == other.intercept_value && means == other.means &&
         centres == other.centres;
}

Coordinates::Coordinates(const Sums& sums, const std::vector<Block>& blocks,
                         const CovarianceParameters& covariance)
    : Coordinates(sums.coordinates().units_) {
  const Coordinates& plain = sums.coordinates();
  const CrossProducts& A = sums.cross_products();
  const double n = static_cast<double>(A.n());
  random_columns_ = plain.random_columns_;
  term_order_ = plain.term_order_;
  total_weight_ = sums.total_weight();
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(block.k, block.k);
    const double* own = A.diagonal(static_cast<int>(t)).data();
    for (Index l = 0; l < block.levels; ++l, own += block.k * block.k)
      sum += Eigen::Map<const Eigen::MatrixXd>(own, block.k, block.k);
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], k = covariance.of(term).size();
      const CovarianceStructure::ClosedUnder closed = covariance.of(term).closed_under();
      RandomMap map = plain.random_[static_cast<std::size_t>(term)];
      Eigen::MatrixXd G = sum.block(block.offsets[j], block.offsets[j], k, k);
      if (is_centred(closed, map.constant, k)) {
        const Eigen::VectorXd means = means_of(G, map.constant);
        take_means(G, map.constant, means);
        for (Eigen::Index c = 0; c < k; ++c) map.centre[static_cast<std::size_t>(c)] += means(c);
      }
      map.T.resize(0, 0);
      set_random(term, std::move(map), G / n, closed);
    }
  }
  units_.fixed.pop_back();  // the response's
  inverse_units_.pop_back();
  intercept_ = plain.intercept_;
  intercept_value_ = plain.intercept_value_;
  means_.assign(plain.means_.begin(), plain.means_.end() - 1);
  const Eigen::Index p = static_cast<Eigen::Index>(means_.size());
  Eigen::MatrixXd G =
      Eigen::Map<const Eigen::MatrixXd>(A.fixed_fixed().data(), p + 1, p + 1).topLeftCorner(p, p);
  if (intercept_ >= 0) {
    const Eigen::VectorXd means = means_of(G, intercept_);
    take_means(G, intercept_, means);
    const double value = intercept_value_ * inverse_units_[static_cast<std::size_t>(intercept_)];
    for (Eigen::Index j = 0; j < p; ++j) means_[static_cast<std::size_t>(j)] += value * means(j);
  }
  set_fixed(independent_columns(std::move(G), A.n()));
}

double Coordinates::centred(const Design& design, Index row, Index column) const {
  const std::size_t j = static_cast<std::size_t>(column);
  return design.X[column * design.n + row] * inverse_units_[j] - means_[j];
}

Eigen::MatrixXd Coordinates::centred_gram(const Design& design, const std::vector<Index>& columns,
                                          ThreadPool& pool) const {
  const Eigen::Index p = static_cast<Eigen::Index>(columns.size());
  Eigen::MatrixXd G(p, p);
  if (p == 0) return G;
  sum_over_rows(pool, design.n, p * p, G.data(), [&](Index begin, Index end, double* partial) {
    constexpr Index kPanel = 256;  // rows gathered so that the product is a matrix product
    Eigen::Map<Eigen::MatrixXd> sum(partial, p, p);
    Eigen::MatrixXd panel(p, kPanel);
    for (Index first = begin; first < end; first += kPanel) {
      const Index rows = std::min(kPanel, end - first);
      for (Eigen::Index j = 0; j < p; ++j)
        for (Index i = 0; i < rows; ++i)
          panel(j, i) = std::sqrt(weight(design, first + i)) *
                        centred(design, first + i, columns[static_cast<std::size_t>(j)]);
      sum.selfadjointView<Eigen::Upper>().rankUpdate(panel.leftCols(rows));
    }
  });
  return G.selfadjointView<Eigen::Upper>();
}

void Coordinates::find_total_weight(const Design& design, ThreadPool& pool) {
  sum_over_rows(pool, design.n, 1, &total_weight_, [&](Index begin, Index end, double* partial) {
    for (Index i = begin; i < end; ++i) *partial += weight(design, i);
  });
}

void Coordinates::find_intercept(const Design& design) {
  for (Index j = 0; j < design.p && intercept_ < 0; ++j)
    if (is_constant(design.X + j * design.n, design.n)) intercept_ = j;
  if (intercept_ >= 0) intercept_value_ = design.X[intercept_ * design.n];
}

// The weighted means of the columns of X, where there is a constant one to take them up.
void Coordinates::find_means(const Design& design, ThreadPool& pool) {
  const Index n = design.n, p = design.p;
  means_.assign(static_cast<std::size_t>(p), 0.0);
  if (intercept_ < 0) return;
  sum_over_rows(pool, n, p, means_.data(), [&](Index begin, Index end, double* partial) {
    for (Index j = 0; j < p; ++j)
      for (Index i = begin; i < end; ++i)
        partial[j] +=
            weight(design, i) * (design.X[j * n + i] * inverse_units_[static_cast<std::size_t>(j)]);
  });
  for (double& mean : means_) mean /= total_weight_;
  means_[static_cast<std::size_t>(intercept_)] = 0.0;
}

// All columns of X in internal order, the constant first.
void Coordinates::set_order(Index columns) {
  if (intercept_ >= 0) order_.push_back(intercept_);
  for (Index j = 0; j < columns; ++j)
    if (j != intercept_) order_.push_back(j);
}

// Leaves in order_ the columns that vary beyond rounding, whose centred cross-products are G, and
// returns where they stood in it.
std::vector<Eigen::Index> Coordinates::varying_columns(const Eigen::MatrixXd& G) {
  std::vector<Index> varying;
  std::vector<Eigen::Index> kept;
  for (Eigen::Index j = 0; j < G.rows(); ++j) {
    const Index column = order_[static_cast<std::size_t>(j)];
    const double mean = means_[static_cast<std::size_t>(column)];
    const double sd = std::sqrt(G(j, j) / total_weight_);
    if (sd > kConstant * std::abs(mean) && sd > 0.0) {
      varying.push_back(column);
      kept.push_back(j);
    }
  }
  order_ = varying;
  return kept;
}

// The independent columns of X, the constant first, in order_; returns T with T'T = their centred
// cross-products divided by n.
Eigen::MatrixXd Coordinates::independent_columns(const Design& design, ThreadPool& pool) {
  const Index n = design.n;
  set_order(design.p);
  const Eigen::MatrixXd G = centred_gram(design, order_, pool);
  const std::vector<Eigen::Index> kept = varying_columns(G);
  Eigen::MatrixXd T = safe_cholesky(G(kept, kept));
  if (T.rows() != static_cast<Eigen::Index>(order_.size())) {
    Eigen::MatrixXd A(n, static_cast<Eigen::Index>(order_.size()));
    for (Eigen::Index j = 0; j < A.cols(); ++j)
      for (Index i = 0; i < n; ++i)
        A(i, j) =
            std::sqrt(weight(design, i)) * centred(design, i, order_[static_cast<std::size_t>(j)]);
    T = triangle_dropping_aliased(std::move(A), order_);
  }
  return T / std::sqrt(static_cast<double>(n));
}

// The same from their centred cross-products G in the order of X.
Eigen::MatrixXd Coordinates::independent_columns(Eigen::MatrixXd G, Index n) {
  set_order(G.rows());
  G = Eigen::MatrixXd(G(order_, order_));
  const std::vector<Eigen::Index> kept = varying_columns(G);
  G = Eigen::MatrixXd(G(kept, kept));
  Eigen::MatrixXd T = safe_cholesky(G);
  if (T.rows() != G.rows()) T = cholesky_dropping_aliased(G, order_);
  return T / std::sqrt(static_cast<double>(n));
}

// From T, upper triangular, of the centred columns in order_.
void Coordinates::set_fixed(Eigen::MatrixXd T) {
  const Eigen::Index rank = T.rows();
  const auto unit = [&](Eigen::Index j) {
    return units_.fixed[static_cast<std::size_t>(order_[static_cast<std::size_t>(j)])] *
           units_.root_weight;
  };
  S_ = T.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(rank, rank));
  log_det_fixed_ = 0.0;
  for (Eigen::Index j = 0; j < rank; ++j)
    log_det_fixed_ += std::log(std::abs(T(j, j))) + std::log(unit(j));
  if (intercept_ >= 0 && (order_.empty() || order_.front() != intercept_))
    throw FitError("the constant column of X is lost to rounding beside the others");
  if (intercept_ >= 0) {
    // Put the means back: X = X~ T + (constant column) means' / constant.
    const double constant = intercept_value_ * inverse_units_[static_cast<std::size_t>(intercept_)];
    Eigen::RowVectorXd means(rank);
    for (Eigen::Index j = 0; j < rank; ++j)
      means(j) = means_[static_cast<std::size_t>(order_[static_cast<std::size_t>(j)])];
    constant_ = S_(0, 0) * constant;
    T.row(0) += T(0, 0) / constant * means;
  }
  pivot_ = order_;
  std::sort(pivot_.begin(), pivot_.end());
  fixed_.resize(rank, rank);
  for (Eigen::Index j = 0; j < rank; ++j) {
    const auto place =
        std::lower_bound(pivot_.begin(), pivot_.end(), order_[static_cast<std::size_t>(j)]);
    fixed_.col(place - pivot_.begin()) = T.col(j) * unit(j);
  }
}

bool Coordinates::varies(double residual_sum_of_squares, double variation) {
  return residual_sum_of_squares > kConstant * kConstant * 1e4 * variation;
}

namespace {

std::string out_of_range(const char* variance, double size, double deviation) {
  char text[250];
  std::snprintf(text, sizeof text,
                "(values of about %.0e) would make %s about (%.0e)^2, which double precision "
                "cannot hold: multiply all its values by a constant",
                size, variance, deviation);
  return text;
}

}  // namespace

void Coordinates::check_range(double scale) const {
  using Part = RangeError::Part;
  if (!representable(scale)) {
    const double weight = units_.root_weight, response = scale / weight;
    if (std::abs(std::log(weight)) > std::abs(std::log(response)))
      throw RangeError(Part::weights, -1, -1, "the column of weights",
                       out_of_range("the residual variance", weight * weight, scale));
    throw RangeError(Part::response, -1, -1, "the response",
                     out_of_range("the residual variance", response, scale));
  }
  for (Index j = 0; j < rank(); ++j) {
    // Sizes with the root of the weights, the intercept's share of other columns left out.
    const Index column = order_[static_cast<std::size_t>(j)];
    const auto place = std::lower_bound(pivot_.begin(), pivot_.end(), column) - pivot_.begin();
    const double unit = units_.fixed[static_cast<std::size_t>(column)] * units_.root_weight;
    const double size = fixed_.col(place).cwiseAbs().maxCoeff();
    const double deviation = S_.row(j).norm() / unit * scale;
    if (!representable(size) || !representable(deviation))
      throw RangeError(
          Part::fixed, -1, column, "column " + std::to_string(column) + " of X",
          out_of_range("the variance of its coefficient", size / units_.root_weight, deviation));
  }
  for (std::size_t t = 0; t < random_.size(); ++t)
    for (Eigen::Index j = 0; j < random_[t].T.cols(); ++j) {
      const double unit = units_.random[t][static_cast<std::size_t>(j)] * units_.root_weight;
      const double size = random_[t].T.col(j).cwiseAbs().maxCoeff();
      const double deviation = random_[t].S.row(j).norm() / unit * scale;
      if (!representable(size) || !representable(deviation))
        throw RangeError(
            Part::random, static_cast<int>(t), j,
            "column " + std::to_string(j) + " of random-effects term " + std::to_string(t),
            out_of_range("the variance of its effects", size / units_.root_weight, deviation));
    }
}

// The centres of a term's columns.
Coordinates::RandomMap Coordinates::centred(const Design& design, int term_index,
                                            CovarianceStructure::ClosedUnder closed,
                                            ThreadPool& pool) const {
  const Term& term = design.terms[static_cast<std::size_t>(term_index)];
  const auto k = static_cast<Eigen::Index>(term.columns.size());
  RandomMap map;
  map.constant = constant_column(term);
  map.centre.assign(static_cast<std::size_t>(k), 0.0);
  if (!is_centred(closed, map.constant, k)) return map;
  const RandomValues value(term, units_.random[static_cast<std::size_t>(term_index)]);
  Eigen::VectorXd sums(k);
  sum_over_rows(pool, design.n, k, sums.data(), [&](Index begin, Index end, double* partial) {
    for (Eigen::Index j = 0; j < k; ++j)
      for (Index i = begin; i < end; ++i) partial[j] += weight(design, i) * value(j, i);
  });
  for (Eigen::Index j = 0; j < k; ++j)
    if (j != map.constant) map.centre[static_cast<std::size_t>(j)] = sums(j) / sums(map.constant);
  return map;
}

// Cross-products of a term's columns less their centres.
Eigen::MatrixXd Coordinates::random_gram(const Design& design, int term_index, const RandomMap& map,
                                         ThreadPool& pool) const {
  const Term& term = design.terms[static_cast<std::size_t>(term_index)];
  const auto k = static_cast<Eigen::Index>(term.columns.size());
  const RandomValues value(term, units_.random[static_cast<std::size_t>(term_index)]);
  Eigen::MatrixXd G(k, k);
  sum_over_rows(pool, design.n, k * k, G.data(), [&](Index begin, Index end, double* partial) {
    for (Index i = begin; i < end; ++i)
      for (Eigen::Index c = 0; c < k; ++c) {
        const double right =
            weight(design, i) * (value(c, i) - map.centre[static_cast<std::size_t>(c)]);
        for (Eigen::Index r = 0; r <= c; ++r)
          partial[c * k + r] += right * (value(r, i) - map.centre[static_cast<std::size_t>(r)]);
      }
  });
  return G.selfadjointView<Eigen::Upper>();
}

// From a map's centres and the mean products G of the columns less them.
void Coordinates::set_random(int term, RandomMap map, const Eigen::MatrixXd& G,
                             CovarianceStructure::ClosedUnder closed) {
  const Eigen::Index k = G.rows();
  const std::vector<double>& units = units_.random[static_cast<std::size_t>(term)];
  Eigen::VectorXd d = G.diagonal().cwiseSqrt();
  for (Eigen::Index j = 0; j < k; ++j)
    if (!(d(j) > 0.0)) d(j) = 1.0;
  if (closed == CovarianceStructure::ClosedUnder::any) map.T = safe_cholesky(G);
  if (closed == CovarianceStructure::ClosedUnder::scalar) d.setConstant(d.mean());
  if (map.T.rows() != k) map.T = d.asDiagonal();
  map.S = map.T.inverse();
  if (map.constant >= 0) {
    const Eigen::RowVectorXd means = Eigen::Map<const Eigen::RowVectorXd>(map.centre.data(), k);
    // z = (z - centre) + 1 centre', and the constant 1 is itself a column of z - centre.
    map.T += Eigen::MatrixXd(map.T.col(map.constant) * means);
  }
  for (Eigen::Index j = 0; j < k; ++j)
    map.T.col(j) *= units[static_cast<std::size_t>(j)] * units_.root_weight;
  random_[static_cast<std::size_t>(term)] = std::move(map);
}

// z / unit is z0 + centre0, and 1 is z0 of the constant column.
Eigen::MatrixXd Coordinates::random_from(const Coordinates& plain, const Block& block) const {
  Eigen::MatrixXd M = Eigen::MatrixXd::Zero(block.k, block.k);
  for (std::size_t t = 0; t < block.terms.size(); ++t) {
    const auto term = static_cast<std::size_t>(block.terms[t]);
    const RandomMap &own = random_[term], &from = plain.random_[term];
    const Eigen::Index k = own.S.rows();
    auto part = M.block(block.offsets[t], block.offsets[t], k, k);
    part = own.S;
    for (Eigen::Index j = 0; own.constant >= 0 && j < k; ++j)
      part.row(own.constant) +=
          (from.centre[static_cast<std::size_t>(j)] - own.centre[static_cast<std::size_t>(j)]) *
          own.S.row(j);
  }
  return M;
}

Eigen::MatrixXd Coordinates::fixed_from(const Coordinates& plain) const {
  Eigen::MatrixXd N = Eigen::MatrixXd::Zero(plain.rank(), rank());
  for (Eigen::Index m = 0; m < rank(); ++m) {
    const Index column = order_[static_cast<std::size_t>(m)];
    N.row(column) += S_.row(m);
    if (intercept_ >= 0)
      N.row(intercept_) +=
          (plain.mean(column) - mean(column)) * unit(intercept_) / intercept_value_ * S_.row(m);
  }
  return N;
}

void Coordinates::use(int term, const Eigen::MatrixXd& T) {
  RandomMap& map = random_[static_cast<std::size_t>(term)];
  std::fill(map.centre.begin(), map.centre.end(), 0.0);
  map.T = T;
  map.S = T.inverse();
  for (Eigen::Index j = 0; j < T.rows(); ++j)
    map.S.row(j) *= units_.random[static_cast<std::size_t>(term)][static_cast<std::size_t>(j)] *
                    units_.root_weight;
}

void Coordinates::map_random(const Design& design, Index begin, Index end, double* out,
                             Index width) const {
  Index column = 0;
  for (const int t : term_order_) {
    const Term& term = design.terms[static_cast<std::size_t>(t)];
    const RandomMap& map = random_[static_cast<std::size_t>(t)];
    const Index k = static_cast<Index>(term.columns.size());
    for (Index j = 0; j < k; ++j)
      for (Index i = begin; i < end; ++i) out[(i - begin) * width + column + j] = 0.0;
    for (Index j = 0; j < k; ++j) {
      const double* source = term.columns[static_cast<std::size_t>(j)];
      const double centre = map.centre[static_cast<std::size_t>(j)];
      const double inverse_unit =
          1.0 / units_.random[static_cast<std::size_t>(t)][static_cast<std::size_t>(j)];
      for (Index c = 0; c < k; ++c) {
        const double s = map.S(j, c);
        if (s == 0.0) continue;
        double* target = out + column + c;
        for (Index i = begin; i < end; ++i, target += width)
          *target += s * ((source == nullptr ? 1.0 : source[i] * inverse_unit) - centre);
      }
    }
    column += k;
  }
}

void Coordinates::centred_rows(const Design& design, Index begin, Index end, double* out,
                               Index ld) const {
  for (std::size_t m = 0; m < order_.size(); ++m, out += ld)
    for (Index i = begin; i < end; ++i) out[i - begin] = centred(design, i, order_[m]);
}

void Coordinates::map_rows(const Design& design, Index begin, Index end, double* out) const {
  const Index width = row_width(), r = rank();
  map_random(design, begin, end, out, width);
  for (Index i = begin; i < end; ++i) {
    double* row = out + (i - begin) * width + random_columns_;
    for (Index m = 0; m < r; ++m) row[m] = centred(design, i, order_[static_cast<std::size_t>(m)]);
    for (Index j = r - 1; j >= 0; --j) {  // in place: S is upper triangular
      double sum = 0.0;
      for (Index m = 0; m <= j; ++m) sum += row[m] * S_(m, j);
      row[j] = sum;
    }
    row[r] = weight(design, i);
  }
}

}  // namespace crossnest
