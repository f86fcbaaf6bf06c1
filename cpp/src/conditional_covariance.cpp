#include "crossnest/conditional_covariance.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "blocks.hpp"
#include "coordinates.hpp"
#include "criterion.hpp"
#include "eigen_products.hpp"
#include "one_thread_each.hpp"
#include "structure.hpp"
#include "thread_pool.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;

constexpr double kChunkNumbers = 1.6e7;  // 128 MB of solved columns, or one set's

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The level of head block h that a level lies in, -1 where L^-1 of its column is zero there.
Level reached(const Structure& structure, int h, int block, Level level) {
  const int own = structure.head_of(block);
  if (own == h) return level;
  if (own < 0) return -1;
  for (const HeadBlock::Ancestor& ancestor : structure.heads()[at(own)].ancestors)
    if (ancestor.head == h) return (*ancestor.parent)[at(level)];
  return -1;
}

}  // namespace

// Sets that are solved for together: E = L^-1 I_c for the columns c of each of their levels, so
// that Omega^-1 between two levels is E_i'E_j.
struct ConditionalCovariance::Chunk {
  std::vector<LevelOf> levels;  // distinct, increasing
  std::vector<Index> column;    // levels + 1: their first columns
  Index head_rows, tail_rows;
  std::vector<double> head;  // head_rows x columns
  std::vector<double> tail;  // tail_rows x columns

  Index find(const LevelOf& level) const {
    return std::lower_bound(levels.begin(), levels.end(), level) - levels.begin();
  }
};

ConditionalCovariance::ConditionalCovariance(const Design& design, const std::vector<Block>& blocks,
                                             const Coordinates& coordinates,
                                             const Structure& structure, Criterion& criterion,
                                             const double* theta, const DenseKernels& kernels,
                                             ThreadPool& pool, InterruptCheck& interrupt)
    : blocks_(blocks),
      coordinates_(coordinates),
      structure_(structure),
      criterion_(criterion),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt),
      block_of_(design.factors.size(), -1) {
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    block_of_[at(block.factor)] = static_cast<int>(t);
    std::vector<double> numbers(at(block.k * block.k), 0.0);
    Map<MatrixXd> lambda(numbers.data(), block.k, block.k);
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const CovarianceStructure& own = criterion.covariance().of(block.terms[j]);
      MatrixXd part(own.size(), own.size());
      own.lambda(theta + criterion.covariance().first(block.terms[j]), part.data());
      lambda.block(block.offsets[j], block.offsets[j], own.size(), own.size()) = part;
    }
    lambda_.push_back(std::move(numbers));
  }
}

int ConditionalCovariance::block_of(int factor) const {
  if (factor < 0 || at(factor) >= block_of_.size() || block_of_[at(factor)] < 0)
    throw std::invalid_argument("grouping factor " + std::to_string(factor) + " has no term");
  return block_of_[at(factor)];
}

// U_X R_X^-1 is U_F of the engine's fixed effects, and R_X T RX^-1 takes it to the user's.
std::vector<double> ConditionalCovariance::loadings(int factor,
                                                    const std::vector<double>& RX) const {
  const OneThreadEach kernels(kernels_);
  const int t = block_of(factor);
  const Block& block = blocks_[at(t)];
  const EffectVectors& vectors = criterion_.vectors();
  const Elimination& elimination = criterion_.elimination();
  const Index p = coordinates_.rank(), q = vectors.q();
  const Map<const MatrixXd> F(elimination.border().data(), p + 1, p + 1);
  const MatrixXd R = F.topLeftCorner(p, p).triangularView<Eigen::Upper>() * coordinates_.fixed();
  const MatrixXd turn = Map<const MatrixXd>(RX.data(), p, p)
                            .triangularView<Eigen::Upper>()
                            .solve<Eigen::OnTheRight>(R);
  const double* U_F = elimination.border_solution().data() + vectors.start(t);
  const Map<const MatrixXd> lambda(lambda_[at(t)].data(), block.k, block.k);
  std::vector<double> out(at(p * block.size()));
  for (Index l = 0; l < block.levels; ++l) {
    const Map<const MatrixXd, 0, Eigen::OuterStride<>> own(U_F + l * block.k, block.k, p,
                                                           Eigen::OuterStride<>(q));
    Map<MatrixXd>(out.data() + l * block.k * p, p, block.k).noalias() =
        (lambda * own * turn).transpose();
  }
  return out;
}

std::vector<double> ConditionalCovariance::within(int factor) const {
  const OneThreadEach kernels(kernels_);
  const int t = block_of(factor);
  const Index k = blocks_[at(t)].k;
  const Map<const MatrixXd> lambda(lambda_[at(t)].data(), k, k);
  const InverseDiagonal& omega = criterion_.inverse_diagonal();
  std::vector<double> out(at(blocks_[at(t)].levels * k * k));
  for (Index l = 0; l < blocks_[at(t)].levels; ++l)
    Map<MatrixXd>(out.data() + l * k * k, k, k) =
        lambda * Map<const MatrixXd>(omega.diagonal(t, l), k, k) * lambda.transpose();
  return out;
}

void ConditionalCovariance::solve(Chunk& chunk) const {
  std::sort(chunk.levels.begin(), chunk.levels.end());
  chunk.levels.erase(std::unique(chunk.levels.begin(), chunk.levels.end()), chunk.levels.end());
  chunk.column.assign(1, 0);
  for (const LevelOf& level : chunk.levels)
    chunk.column.push_back(chunk.column.back() + blocks_[at(block_of(level.factor))].k);
  const Factor& factor = criterion_.factor();
  const Index head_rows = chunk.head_rows = factor.head_rows();
  const Index tail_rows = chunk.tail_rows = factor.tail_rows();
  chunk.head.resize(at(head_rows * chunk.column.back()));
  chunk.tail.resize(at(tail_rows * chunk.column.back()));
  Index width = 0;
  for (const Block& block : blocks_) width += block.k;
  pool_.for_pieces(static_cast<Index>(chunk.levels.size()), 64, [&](Index begin, Index end, int) {
    MatrixXd V;
    std::vector<Level> level(blocks_.size());
    for (Index i = begin; i < end; ++i) {
      const int t = block_of(chunk.levels[at(i)].factor), k = blocks_[at(t)].k;
      V.setZero(width, k);
      V.middleRows(blocks_[at(t)].first_column, k).setIdentity();
      std::fill(level.begin(), level.end(), Level{-1});
      level[at(t)] = chunk.levels[at(i)].level;
      factor.solve_head_at(level.data(), V.data(), k,
                           chunk.head.data() + head_rows * chunk.column[at(i)],
                           chunk.tail.data() + tail_rows * chunk.column[at(i)]);
    }
  });
  factor.solve_tail(chunk.tail.data(), chunk.column.back());
}

void ConditionalCovariance::fill(const Chunk& chunk, const LevelOf* levels, Index count,
                                 double* out) const {
  const Index head_rows = chunk.head_rows, tail_rows = chunk.tail_rows;
  std::vector<Index> start(1, 0), source;
  for (Index i = 0; i < count; ++i) {
    start.push_back(start.back() + blocks_[at(block_of(levels[i].factor))].k);
    source.push_back(chunk.column[at(chunk.find(levels[i]))]);
  }
  const Index size = start.back();
  MatrixXd tail(tail_rows, size);
  for (Index i = 0; i < count; ++i)
    std::copy_n(chunk.tail.data() + tail_rows * source[at(i)],
                tail_rows * (start[at(i) + 1] - start[at(i)]),
                tail.data() + tail_rows * start[at(i)]);
  Map<MatrixXd> matrix(out, size, size);
  matrix.noalias() = tail.transpose() * tail;
  for (Index j = 0; j < count; ++j) {
    const int t = block_of(levels[j].factor);
    const Index k_t = blocks_[at(t)].k;
    const Map<const MatrixXd> own(chunk.head.data() + head_rows * source[at(j)], head_rows, k_t);
    for (Index i = 0; i <= j; ++i) {
      const int s = block_of(levels[i].factor);
      const Index k_s = blocks_[at(s)].k;
      const Map<const MatrixXd> other(chunk.head.data() + head_rows * source[at(i)], head_rows,
                                      k_s);
      MatrixXd sum = matrix.block(start[at(i)], start[at(j)], k_s, k_t);
      Index row = 0;
      for (int h = 0; h < static_cast<int>(structure_.heads().size()); ++h) {
        const Index k = structure_.heads()[at(h)].k;
        const Level level = reached(structure_, h, t, levels[j].level);
        if (level >= 0 && level == reached(structure_, h, s, levels[i].level))
          sum.noalias() += other.middleRows(row, k).transpose() * own.middleRows(row, k);
        row += (h + 1) * k;
      }
      const Map<const MatrixXd> lambda_s(lambda_[at(s)].data(), k_s, k_s);
      const Map<const MatrixXd> lambda_t(lambda_[at(t)].data(), k_t, k_t);
      const MatrixXd block = lambda_s * sum * lambda_t.transpose();
      matrix.block(start[at(i)], start[at(j)], k_s, k_t) = block;
      matrix.block(start[at(j)], start[at(i)], k_t, k_s) = block.transpose();
    }
  }
}

// Effects of each set.
std::vector<Index> ConditionalCovariance::sizes(const std::vector<Index>& start,
                                                const std::vector<LevelOf>& levels) const {
  std::vector<Index> size;
  for (std::size_t i = 0; i + 1 < start.size(); ++i) {
    size.push_back(0);
    for (Index j = start[i]; j < start[i + 1]; ++j) {
      const LevelOf& one = levels[at(j)];
      const Block& block = blocks_[at(block_of(one.factor))];
      if (one.level < 0 || one.level >= block.levels)
        throw std::invalid_argument("grouping factor " + std::to_string(one.factor) +
                                    " has no level " + std::to_string(one.level));
      size.back() += block.k;
    }
  }
  return size;
}

std::vector<double> ConditionalCovariance::among(const std::vector<Index>& start,
                                                 const std::vector<LevelOf>& levels) {
  const OneThreadEach kernels(kernels_);
  const std::vector<Index> size = sizes(start, levels);
  const Index sets = static_cast<Index>(size.size());
  const double rows =
      static_cast<double>(criterion_.factor().head_rows() + criterion_.factor().tail_rows());
  std::vector<Index> place{0};
  for (const Index effects : size) place.push_back(place.back() + effects * effects);
  std::vector<double> out(at(place.back()));
  for (Index first = 0, last = 0; first < sets; first = last) {
    interrupt_.poll();
    double columns = 0.0;
    do columns += static_cast<double>(size[at(last++)]);
    while (last < sets && (columns + static_cast<double>(size[at(last)])) * rows < kChunkNumbers);
    Chunk chunk;
    chunk.levels.assign(levels.begin() + start[at(first)], levels.begin() + start[at(last)]);
    solve(chunk);
    pool_.for_pieces(last - first, 16, [&](Index begin, Index end, int) {
      for (Index i = first + begin; i < first + end; ++i)
        fill(chunk, levels.data() + start[at(i)], start[at(i) + 1] - start[at(i)],
             out.data() + place[at(i)]);
    });
  }
  return out;
}

}  // namespace crossnest
