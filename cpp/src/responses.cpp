#include "crossnest/responses.hpp"

#include <algorithm>
#include <cmath>

namespace crossnest {

namespace {

constexpr Index kChunk = 2048;  // rows mapped at a time, so that they stay in cache

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

ResponseReader::ResponseReader(const Design& design, const std::vector<Block>& blocks,
                               const Coordinates& coordinates, InterruptCheck& interrupt)
    : design_(design),
      blocks_(blocks),
      coordinates_(coordinates),
      interrupt_(interrupt),
      block_start_{0},
      rows_(at(std::min(design.n, kChunk) * coordinates.row_width())) {
  for (const Block& block : blocks) block_start_.push_back(block_start_.back() + block.size());
}

const double* ResponseReader::mapped(Index begin, Index end) {
  if (begin != mapped_begin_) coordinates_.map_rows(design_, begin, end, rows_.data());
  mapped_begin_ = begin;
  return rows_.data();
}

void ResponseReader::read(const double* Y, Index count, ResponseProducts* out) {
  const Index n = design_.n;
  summaries_.resize(at(count));
  for (Index r = 0; r < count; ++r) {
    interrupt_.poll();
    summaries_[at(r)] = start(Y + r * n, out[r]);
  }
  for (const bool residuals : {false, true}) {
    for (Index begin = 0; begin < n; begin += kChunk) {
      interrupt_.poll();
      const Index end = std::min(begin + kChunk, n);
      const double* rows = mapped(begin, end);
      for (Index r = 0; r < count; ++r) {
        if (out[r].fault != ResponseProducts::Fault::none) continue;
        const double* y = Y + r * n + begin;
        if (residuals)
          add_residuals(rows, begin, y, end - begin, summaries_[at(r)], out[r]);
        else
          project(rows, y, end - begin, summaries_[at(r)], out[r]);
      }
    }
    if (residuals) break;
    for (Index r = 0; r < count; ++r) out[r].beta0 /= static_cast<double>(n);
  }
  for (Index r = 0; r < count; ++r)
    if (out[r].fault == ResponseProducts::Fault::none) finish(summaries_[at(r)], out[r]);
}

// The weighted mean, where X has a constant column to take it up, and the variation about it.
ResponseReader::Summary ResponseReader::start(const double* y, ResponseProducts& out) const {
  const double root = coordinates_.root_weight_unit(), inverse = 1.0 / root / root;
  const auto weight = [&](Index i) {
    return design_.weights == nullptr ? 1.0 : design_.weights[i] * inverse;
  };
  Summary summary;
  summary.unit = unit_of(largest_size(y, design_.n));
  summary.inverse_unit = 1.0 / summary.unit;
  double total = 0.0, weights = 0.0;
  for (Index i = 0; i < design_.n; ++i) {
    total += weight(i) * (y[i] * summary.inverse_unit);
    weights += weight(i);
  }
  const double mean = coordinates_.constant(design_) != 0.0 ? total / weights : 0.0;
  summary.mean = mean;
  summary.variation = 0.0;
  for (Index i = 0; i < design_.n; ++i) {
    const double y_i = y[i] * summary.inverse_unit;
    summary.variation += weight(i) * (y_i - mean) * (y_i - mean);
  }
  out.fault = std::isfinite(total) && std::isfinite(summary.variation)
                  ? ResponseProducts::Fault::none
                  : ResponseProducts::Fault::not_finite;
  out.beta0.setZero(coordinates_.rank());
  out.Zy.assign(at(block_start_.back()), 0.0);
  out.Xy.assign(at(coordinates_.rank()), 0.0);
  out.yy = 0.0;
  return summary;
}

// beta0 += X~'W(y - mean) of a chunk.
void ResponseReader::project(const double* rows, const double* y, Index count,
                             const Summary& summary, ResponseProducts& out) const {
  const Index width = coordinates_.row_width(), rank = coordinates_.rank();
  double* sum = out.beta0.data();
  const double* x = rows + width - rank - 2;
  for (Index i = 0; i < count; ++i, x += width) {
    const double wy = x[rank + 1] * (y[i] * summary.inverse_unit - summary.mean);
    for (Index j = 0; j < rank; ++j) sum[j] += x[j] * wy;
  }
}

// Products with the residuals of least squares, of a chunk.
void ResponseReader::add_residuals(const double* rows, Index begin, const double* y, Index count,
                                   const Summary& summary, ResponseProducts& out) const {
  const Index width = coordinates_.row_width(), rank = coordinates_.rank();
  const double* beta = out.beta0.data();
  double* Xy = out.Xy.data();
  double yy = 0.0;
  for (Index i = 0; i < count; ++i) {
    const double* row = rows + i * width;
    const double* x = row + width - rank - 2;
    double residual = y[i] * summary.inverse_unit - summary.mean;
    for (Index j = 0; j < rank; ++j) residual -= x[j] * beta[j];
    const double weighted = x[rank + 1] * residual;
    for (Index j = 0; j < rank; ++j) Xy[j] += x[j] * weighted;
    yy += residual * weighted;
    for (std::size_t t = 0; t < blocks_.size(); ++t) {
      const Block& block = blocks_[t];
      const Level level = design_.factors[at(block.factor)].codes[begin + i];
      double* Zy = out.Zy.data() + block_start_[t] + Index{level} * block.k;
      const double* z = row + block.first_column;
      for (int c = 0; c < block.k; ++c) Zy[c] += z[c] * weighted;
    }
  }
  out.yy += yy;
}

void ResponseReader::finish(const Summary& summary, ResponseProducts& out) const {
  if (!Coordinates::varies(out.yy, summary.variation)) {
    out.fault = ResponseProducts::Fault::no_variation;
    return;
  }
  const double s = std::sqrt(out.yy / static_cast<double>(design_.n));
  for (double& value : out.Zy) value /= s;
  for (double& value : out.Xy) value /= s;
  out.yy /= s * s;
  if (summary.mean != 0.0) out.beta0(0) += summary.mean / coordinates_.constant(design_);
  const double unit = summary.unit * coordinates_.root_weight_unit();
  out.beta0 *= unit;
  out.scale = s * unit;
  if (!representable(out.scale)) out.fault = ResponseProducts::Fault::not_finite;
}

}  // namespace crossnest
