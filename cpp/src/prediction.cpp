#include "prediction.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "column.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;

constexpr Index kGroupRows = 1024;     // larger groups are cut, so that threads share them
constexpr Index kChunkRows = 16384;    // between two polls of the interrupt check
constexpr double kChunkNumbers = 4e6;  // 32 MB of solved columns, or one group's

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void require(bool fits, const std::string& what) {
  if (!fits) throw std::invalid_argument("the rows to predict at " + what);
}

}  // namespace

void check_new_rows(const Design& fitted, const Coordinates& coordinates, const Design& rows,
                    const std::vector<bool>& included) {
  require(rows.p == fitted.p, "have another number of fixed effects");
  require(rows.factors.size() == fitted.factors.size(), "have other grouping factors");
  require(rows.terms.size() == fitted.terms.size() && included.size() == fitted.terms.size(),
          "have other random-effects terms");
  for (std::size_t t = 0; t < rows.terms.size(); ++t) {
    require(rows.terms[t].columns.size() == fitted.terms[t].columns.size(),
            "have another number of random effects");
    for (std::size_t c = 0; included[t] && c < rows.terms[t].columns.size(); ++c)
      if (fitted.terms[t].columns[c] == nullptr)
        require(is_everywhere(rows.terms[t].columns[c], rows.n, 1.0),
                "have another random intercept than the constant 1");
  }
  const Index intercept = coordinates.intercept();
  if (intercept >= 0)
    require(is_everywhere(rows.X + intercept * rows.n, rows.n, coordinates.intercept_value()),
            "have another value in the constant column of X");
  for (std::size_t f = 0; f < rows.factors.size(); ++f)
    for (Index i = 0; i < rows.n; ++i)
      require(rows.factors[f].codes[i] < fitted.factors[f].levels, "have a level out of range");
}

PredictionVariances::PredictionVariances(const Design& rows, const std::vector<bool>& included,
                                         const std::vector<Block>& blocks,
                                         const Coordinates& coordinates, Criterion& criterion,
                                         ThreadPool& pool)
    : rows_(rows),
      included_(included),
      blocks_(blocks),
      coordinates_(coordinates),
      criterion_(criterion),
      factor_(criterion.factor()),
      pool_(pool) {
  rows_.weights = nullptr;
  for (const Block& block : blocks_) {
    width_ += block.k;
    block_included_.push_back(std::any_of(block.terms.begin(), block.terms.end(),
                                          [&](int term) { return included_[at(term)]; }));
  }
  factor_.border_solution();
  const Index r = coordinates_.rank();
  const Eigen::Map<const MatrixXd> F(factor_.border().data(), r + 1, r + 1);
  R_inverse_ = F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(MatrixXd::Identity(r, r));
}

Level PredictionVariances::level(Index row, std::size_t block) const {
  if (!block_included_[block]) return -1;
  return std::max<Level>(rows_.factors[at(blocks_[block].factor)].codes[row], -1);
}

void PredictionVariances::sort_rows(InterruptCheck& interrupt) {
  Index compared = 0;
  order_.resize(at(rows_.n));
  std::iota(order_.begin(), order_.end(), Index{0});
  std::sort(order_.begin(), order_.end(), [&](Index i, Index j) {
    if (++compared % 65536 == 0) interrupt.poll();
    for (std::size_t t = 0; t < blocks_.size(); ++t)
      if (level(i, t) != level(j, t)) return level(i, t) < level(j, t);
    return i < j;
  });
}

// The rows from `begin` on that have equal levels.
PredictionVariances::Group PredictionVariances::make_group(Index begin) const {
  Group group{begin, begin + 1, {}, {}};
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    group.level.push_back(level(order_[at(begin)], t));
    for (int j = 0; j < blocks_[t].k && group.level.back() >= 0; ++j)
      group.effects.push_back(blocks_[t].first_column + j);
  }
  const auto belongs = [&](Index i) {
    for (std::size_t t = 0; t < blocks_.size(); ++t)
      if (level(order_[at(i)], t) != group.level[t]) return false;
    return true;
  };
  while (group.end < rows_.n && group.end - begin < kGroupRows && belongs(group.end)) ++group.end;
  group.columns =
      static_cast<int>(std::min(group.end - begin, static_cast<Index>(group.effects.size())));
  return group;
}

// The groups from `begin` on whose columns are solved for together.
std::vector<PredictionVariances::Group> PredictionVariances::make_chunk(Index begin) const {
  const double rows = static_cast<double>(factor_.head_rows() + factor_.tail_rows());
  std::vector<Group> groups;
  Index columns = 0;
  for (Index next = begin; next < rows_.n && next - begin < kChunkRows;) {
    Group group = make_group(next);
    if (!groups.empty() && rows * static_cast<double>(columns + group.columns) >= kChunkNumbers)
      break;
    group.first_column = columns;
    columns += group.columns;
    next = group.end;
    groups.push_back(std::move(group));
  }
  return groups;
}

void PredictionVariances::map(Index i, Row& row) const {
  row.mapped.resize(at(coordinates_.row_width()));
  row.left.resize(at(width_));
  coordinates_.map_rows(rows_, i, i + 1, row.mapped.data());
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    double* z = row.mapped.data() + block.first_column;
    for (std::size_t j = 0; j < block.terms.size(); ++j)
      if (!included_[at(block.terms[j])])
        std::fill_n(z + block.offsets[j], rows_.terms[at(block.terms[j])].columns.size(), 0.0);
    multiply_transposed(criterion_.lambda(static_cast<int>(t)).data(), z, block.k, block.k, 1,
                        row.left.data() + block.first_column);
  }
}

// |lambda'z'|^2 over the blocks whose level was not fitted.
double PredictionVariances::unfitted(const Group& group, const Row& row) const {
  double sum = 0.0;
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const double* left = row.left.data() + blocks_[t].first_column;
    if (group.level[t] < 0) sum += dot<0>(left, left, blocks_[t].k);
  }
  return sum;
}

// |(x - z Lambda U_X) R_X^-1|^2.
double PredictionVariances::fixed(const Group& group, const Row& row) const {
  const Index r = coordinates_.rank(), q = criterion_.vectors().q();
  const std::vector<double>& U_F = factor_.border_solution();
  Eigen::RowVectorXd out =
      Eigen::Map<const Eigen::RowVectorXd>(row.mapped.data() + width_, r) * R_inverse_;
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    if (group.level[t] < 0) continue;
    const Index start =
        criterion_.vectors().start(static_cast<int>(t)) + Index{group.level[t]} * block.k;
    for (Index j = 0; j < r; ++j)
      out(j) -= dot<0>(row.left.data() + block.first_column, U_F.data() + j * q + start, block.k);
  }
  return out.squaredNorm();
}

// Columns V = Lambda'Z' of the rows or, where the rows outnumber the effects, V = I.
void PredictionVariances::solve_head(const Group& group) {
  std::vector<double> V(at(Index{width_} * group.columns));
  Row row;
  for (int c = 0; c < group.columns; ++c) {
    double* column = V.data() + c * width_;
    if (group.by_row()) {
      map(order_[at(group.begin + c)], row);
      std::copy(row.left.begin(), row.left.end(), column);
    } else {
      column[group.effects[at(c)]] = 1.0;
    }
  }
  factor_.solve_head_at(group.level.data(), V.data(), group.columns,
                        head_.data() + group.first_column * factor_.head_rows(),
                        tail_.data() + group.first_column * factor_.tail_rows());
}

void PredictionVariances::finish(const Group& group, double* variances) const {
  const Index head_rows = factor_.head_rows(), tail_rows = factor_.tail_rows();
  const Eigen::Map<const MatrixXd> head(head_.data() + group.first_column * head_rows, head_rows,
                                        group.columns);
  const Eigen::Map<const MatrixXd> tail(tail_.data() + group.first_column * tail_rows, tail_rows,
                                        group.columns);
  MatrixXd inverse;  // Omega^-1 among the effects of the group
  if (!group.by_row()) inverse = head.transpose() * head + tail.transpose() * tail;
  Eigen::VectorXd left(static_cast<Index>(group.effects.size()));
  Row row;
  for (Index j = group.begin; j < group.end; ++j) {
    map(order_[at(j)], row);
    double random;
    if (group.by_row()) {
      random = head.col(j - group.begin).squaredNorm() + tail.col(j - group.begin).squaredNorm();
    } else {
      for (Index e = 0; e < left.size(); ++e) left(e) = row.left[at(group.effects[at(e)])];
      random = left.dot(inverse * left);
    }
    variances[order_[at(j)]] = random + unfitted(group, row) + fixed(group, row);
  }
}

void PredictionVariances::compute_chunk(const std::vector<Group>& groups, double* variances) {
  const Index columns = groups.back().first_column + groups.back().columns;
  head_.resize(at(factor_.head_rows() * columns));
  tail_.resize(at(factor_.tail_rows() * columns));
  const auto for_groups = [&](auto&& work) {
    pool_.for_pieces(static_cast<Index>(groups.size()), 8, [&](Index first, Index last, int) {
      for (Index g = first; g < last; ++g) work(groups[at(g)]);
    });
  };
  for_groups([&](const Group& group) { solve_head(group); });
  factor_.solve_tail(tail_.data(), columns);
  for_groups([&](const Group& group) { finish(group, variances); });
}

std::vector<double> PredictionVariances::compute(InterruptCheck& interrupt) {
  std::vector<double> variances(at(rows_.n));
  sort_rows(interrupt);
  for (Index begin = 0; begin < rows_.n;) {
    interrupt.poll();
    const std::vector<Group> groups = make_chunk(begin);
    compute_chunk(groups, variances.data());
    begin = groups.back().end;
  }
  return variances;
}

}  // namespace crossnest
