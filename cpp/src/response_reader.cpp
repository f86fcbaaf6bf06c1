#include "response_reader.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "row_sums.hpp"

namespace crossnest {

namespace {

constexpr Index kPanel = 256;   // rows gathered so that a product is one of matrices
constexpr Index kPiece = 1024;  // rows of a chunk that one thread maps

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Divides by s what was summed of y - X~ beta0, and puts back the mean that was taken from y.
void set_scale(const Coordinates& coordinates, double n, double mean, Response& out) {
  const double s = std::sqrt(out.yy / n);
  for (double& value : out.Xy) value /= s;
  for (double& value : out.Zy) value /= s;
  out.yy /= s * s;
  if (coordinates.intercept() >= 0) out.mapped_beta0[0] += mean / coordinates.constant();
  const double unit = out.unit * coordinates.root_weight_unit();
  out.beta0 = out.mapped_beta0;
  for (double& beta : out.beta0) beta *= unit;
  out.mapped_scale = s;
  out.scale = s * unit;
  if (!representable(out.scale)) out.fault = Response::Fault::out_of_range;
}

}  // namespace

void require_fittable(const Response& response, const Coordinates& coordinates) {
  switch (response.fault) {
    case Response::Fault::none:
    case Response::Fault::out_of_range:
      coordinates.check_range(response.scale);
      return;
    case Response::Fault::not_finite:
      throw std::invalid_argument("the response has a value that is not finite");
    case Response::Fault::no_variation:
      throw FitError(
          "the response is constant or fitted exactly by the fixed effects: there is no variation "
          "left for random effects and residuals");
  }
}

ResponseReader::ResponseReader(const Design& design, const std::vector<Block>& blocks,
                               const Coordinates& coordinates, ThreadPool& pool)
    : design_(design),
      blocks_(blocks),
      coordinates_(coordinates),
      pool_(pool),
      chunk_(std::min<Index>(design.n, pool.size() > 1 ? 8 * kPiece : 2 * kPiece)),
      block_start_{0} {
  const int owners = design.n > chunk_ ? pool.size() : 1;
  for (const Block& block : blocks) {
    block_start_.push_back(block_start_.back() + block.size());
    cuts_.push_back(
        cuts_by_rows(design.factors[at(block.factor)].codes, design.n, block.levels, owners));
  }
  z_.resize(at(chunk_ * coordinates.random_columns()));
}

void ResponseReader::read(const double* Y, Index count, Response* out) {
  find_units(Y, count, out);
  find_means(Y, count, out);
  project(Y, count, out);
  residuals_.resize(chunk_, count);
  sums_.resize((coordinates_.rank() + 1) * count, (chunk_ + kPiece - 1) / kPiece);
  for (Index begin = 0; begin < design_.n; begin += chunk_) {
    pool_.poll();
    read_chunk(Y, begin, std::min(begin + chunk_, design_.n), count, out);
  }
  for (Index r = 0; r < count; ++r)
    if (out[r].fault == Response::Fault::none) finish(r, out[r]);
}

void ResponseReader::find_units(const double* Y, Index count, Response* out) {
  for (Index r = 0; r < count; ++r) {
    pool_.poll();
    Response& response = out[r];
    response = Response();
    response.y = Y + r * design_.n;
    const double largest = largest_size(response.y, design_.n);
    response.unit = unit_of(largest);
    if (!std::isfinite(largest)) response.fault = Response::Fault::not_finite;
    response.Zy.assign(at(block_start_.back()), 0.0);
    response.Xy.assign(at(coordinates_.rank()), 0.0);
  }
}

// The weighted means, where X has a constant column to take them up.
void ResponseReader::find_means(const double* Y, Index count, const Response* out) {
  means_.assign(at(count), 0.0);
  if (coordinates_.intercept() < 0) return;
  for (Index r = 0; r < count; ++r) {
    const double *y = Y + r * design_.n, inverse_unit = 1.0 / out[r].unit;
    double& mean = means_[at(r)];
    sum_over_rows(pool_, design_.n, 1, &mean, [&](Index begin, Index end, double* partial) {
      for (Index i = begin; i < end; ++i)
        *partial += coordinates_.weight(design_, i) * (y[i] * inverse_unit);
    });
    mean /= coordinates_.total_weight();
  }
}

// beta0 = X~'W y / n, as X~'W X~ = n I.
void ResponseReader::project(const double* Y, Index count, Response* out) {
  const Index n = design_.n, rank = coordinates_.rank(), width = rank + 1;
  Matrix products(width, count);  // the last row: the variation about the mean
  sum_over_rows(
      pool_, n, width * count, products.data(), [&](Index begin, Index end, double* partial) {
        Eigen::Map<Matrix> sum(partial, width, count);
        Matrix x(kPanel, rank), y(kPanel, count);
        for (Index first = begin; first < end; first += kPanel) {
          const Index rows = std::min(kPanel, end - first);
          coordinates_.centred_rows(design_, first, first + rows, x.data(), kPanel);
          for (Index r = 0; r < count; ++r) {
            const double inverse_unit = 1.0 / out[r].unit;
            const double* values = Y + r * n + first;
            double variation = 0.0;
            for (Index i = 0; i < rows; ++i) {
              const double centred = values[i] * inverse_unit - means_[at(r)];
              y(i, r) = coordinates_.weight(design_, first + i) * centred;
              variation += y(i, r) * centred;
            }
            sum(rank, r) += variation;
          }
          // One by one, so that a response's bits do not depend on the others.
          for (Index r = 0; r < count; ++r)
            sum.col(r).head(rank).noalias() += x.topRows(rows).transpose() * y.col(r).head(rows);
        }
      });
  variation_.assign(at(count), 0.0);
  slopes_.resize(rank, count);
  for (Index r = 0; r < count; ++r) {
    variation_[at(r)] = products(rank, r);
    if (!std::isfinite(variation_[at(r)])) out[r].fault = Response::Fault::not_finite;
    const Eigen::VectorXd beta0 =
        coordinates_.from_centred().transpose() * products.col(r).head(rank) / double(n);
    out[r].mapped_beta0.assign(beta0.data(), beta0.data() + rank);
    slopes_.col(r) = coordinates_.from_centred() * beta0;
  }
}

void ResponseReader::read_chunk(const double* Y, Index begin, Index end, Index count,
                                Response* out) {
  const Index rank = coordinates_.rank(), columns = coordinates_.random_columns();
  pool_.for_pieces(end - begin, kPiece, [&](Index first, Index last, int) {
    // A small pool takes the whole chunk as one piece.
    for (Index piece = first; piece < last; piece += kPiece) {
      const Index stop = std::min(piece + kPiece, last);
      coordinates_.map_random(design_, begin + piece, begin + stop, z_.data() + piece * columns,
                              columns);
      subtract_fitted(Y, begin, piece, stop, count, out);
    }
  });
  for (Index piece = 0; piece * kPiece < end - begin; ++piece) {
    const Eigen::Map<const Matrix> sums(sums_.col(piece).data(), rank + 1, count);
    for (Index r = 0; r < count; ++r) {
      for (Index j = 0; j < rank; ++j) out[r].Xy[at(j)] += sums(j, r);
      out[r].yy += sums(rank, r);
    }
  }
  const Index owners = static_cast<Index>(cuts_.front().size()) - 1;
  pool_.for_pieces(owners, 1, [&](Index first, Index last, int) {
    for (Index owner = first; owner < last; ++owner) add_to_levels(begin, end, owner, count, out);
  });
}

// The residuals of rows [first, last) of a chunk, times their weights, and their products with the
// centred columns of X and with themselves.
void ResponseReader::subtract_fitted(const double* Y, Index begin, Index first, Index last,
                                     Index count, const Response* out) {
  const Index rank = coordinates_.rank();
  Eigen::Map<Matrix> sums(sums_.col(first / kPiece).data(), rank + 1, count);
  sums.setZero();
  Matrix x(std::min(kPanel, last - first), rank);
  for (Index panel = first; panel < last; panel += kPanel) {
    const Index rows = std::min(kPanel, last - panel);
    coordinates_.centred_rows(design_, begin + panel, begin + panel + rows, x.data(), x.rows());
    for (Index r = 0; r < count; ++r) {
      const double *y = Y + r * design_.n + begin + panel, inverse_unit = 1.0 / out[r].unit;
      auto residual = residuals_.col(r).segment(panel, rows);
      for (Index i = 0; i < rows; ++i) residual(i) = y[i] * inverse_unit - means_[at(r)];
      residual.noalias() -= x.topRows(rows) * slopes_.col(r);
      double squares = 0.0;
      for (Index i = 0; i < rows; ++i) {
        const double weighted = coordinates_.weight(design_, begin + panel + i) * residual(i);
        squares += weighted * residual(i);
        residual(i) = weighted;
      }
      sums(rank, r) += squares;
      sums.col(r).head(rank).noalias() += x.topRows(rows).transpose() * residual;
    }
  }
}

// Every number is summed over the rows in their order by the one thread that owns its level.
void ResponseReader::add_to_levels(Index begin, Index end, Index owner, Index count,
                                   Response* out) const {
  const Index columns = coordinates_.random_columns();
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    const Level *codes = design_.factors[at(block.factor)].codes, low = cuts_[t][at(owner)],
                high = cuts_[t][at(owner + 1)];
    for (Index i = begin; i < end; ++i) {
      const Level level = codes[i];
      if (level < low || level >= high) continue;
      const double* z = z_.data() + (i - begin) * columns + block.first_column;
      const Index place = block_start_[t] + Index{level} * block.k;
      for (Index r = 0; r < count; ++r) {
        const double weighted = residuals_(i - begin, r);
        double* Zy = out[r].Zy.data() + place;
        for (int c = 0; c < block.k; ++c) Zy[c] += z[c] * weighted;
      }
    }
  }
}

void ResponseReader::finish(Index r, Response& out) const {
  if (!Coordinates::varies(out.yy, variation_[at(r)])) {
    out.fault = Response::Fault::no_variation;
    return;
  }
  const Index rank = coordinates_.rank();
  Eigen::Map<Eigen::VectorXd> Xy(out.Xy.data(), rank);
  Xy = coordinates_.from_centred().transpose() * Eigen::VectorXd(Xy);
  set_scale(coordinates_, static_cast<double>(design_.n), means_[at(r)], out);
}

// y~ = (y - X~ beta0) / s, with y less its mean in the sums.
Response response_of(const Sums& sums, const std::vector<Block>& blocks,
                     const Coordinates& coordinates, const CrossProducts& A) {
  using Eigen::Map, Eigen::MatrixXd, Eigen::VectorXd;
  const CrossProducts& own = sums.cross_products();
  const int columns = own.rank();  // of [X y]
  const Map<const MatrixXd> G(own.fixed_fixed().data(), columns, columns);
  const MatrixXd N = coordinates.fixed_from(sums.coordinates());
  const double n = static_cast<double>(own.n()), variation = G(columns - 1, columns - 1);
  const VectorXd Xy = N.transpose() * G.col(columns - 1);
  const VectorXd beta0 = Xy / n;
  Response out;
  out.unit = sums.coordinates().unit(columns - 1);
  out.mapped_beta0.assign(beta0.data(), beta0.data() + beta0.size());
  out.yy = variation - beta0.dot(Xy);
  // What is left must be more than the rounding of a difference.
  constexpr double kNothing = 1e-14;
  if (!std::isfinite(variation)) {
    out.fault = Response::Fault::not_finite;
    return out;
  }
  if (!(out.yy > kNothing * variation)) {
    out.fault = Response::Fault::no_variation;
    return out;
  }
  const Map<const MatrixXd> XX(A.fixed_fixed().data(), A.rank(), A.rank());
  const VectorXd rest = Xy - XX * beta0;
  out.Xy.assign(rest.data(), rest.data() + rest.size());
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    const MatrixXd M = coordinates.random_from(sums.coordinates(), block);
    const double* products = own.z_fixed(static_cast<int>(t)).data();
    const double* fixed = A.z_fixed(static_cast<int>(t)).data();
    for (Index l = 0; l < block.levels; ++l) {
      const Map<const VectorXd> Zy(products + (l * columns + columns - 1) * block.k, block.k);
      const Map<const MatrixXd> ZX(fixed + l * block.k * A.rank(), block.k, A.rank());
      const VectorXd value = M.transpose() * Zy - ZX * beta0;
      out.Zy.insert(out.Zy.end(), value.data(), value.data() + block.k);
    }
  }
  set_scale(coordinates, n, sums.coordinates().mean(columns - 1), out);
  return out;
}

}  // namespace crossnest
