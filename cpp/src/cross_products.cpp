#include "cross_products.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crossnest/sums.hpp"
#include "eigen_products.hpp"
#include "row_sums.hpp"

namespace crossnest {

namespace {

constexpr Index kChunk = 8192;  // rows mapped at a time, so that they stay in cache

// Rows of the data by level: a counting sort.
struct RowsByLevel {
  std::vector<Index> start;  // levels + 1
  std::vector<Level> row;    // n row numbers, increasing within a level

  RowsByLevel(const Level* codes, Index n, Index levels)
      : start(static_cast<std::size_t>(levels) + 1, 0), row(static_cast<std::size_t>(n)) {
    for (Index i = 0; i < n; ++i) ++start[static_cast<std::size_t>(codes[i]) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<Index> next(start.begin(), start.end() - 1);
    for (Index i = 0; i < n; ++i)
      row[static_cast<std::size_t>(next[static_cast<std::size_t>(codes[i])]++)] =
          static_cast<Level>(i);
  }
};

// Fills the pattern for s nested in t, and returns whether it is.
bool nested_pattern(const Level* s, const Level* t, Index n, Index levels, CrossBlocks& cross) {
  cross.column.assign(static_cast<std::size_t>(levels), -1);
  for (Index i = 0; i < n; ++i) {
    Level& parent = cross.column[static_cast<std::size_t>(s[i])];
    if (parent < 0)
      parent = t[i];
    else if (parent != t[i])
      return false;
  }
  // A level that does not occur has no parent: leave that to the general pattern.
  if (std::find(cross.column.begin(), cross.column.end(), -1) != cross.column.end()) return false;
  cross.row_start.resize(static_cast<std::size_t>(levels) + 1);
  std::iota(cross.row_start.begin(), cross.row_start.end(), Index{0});
  return true;
}

// The distinct levels of t among the rows of each level of s, and for each row of the data the
// position of its pair of levels.
void crossed_pattern(const RowsByLevel& rows, const Level* t, Index levels_t, CrossBlocks& cross,
                     std::vector<Level>& position, InterruptCheck& interrupt) {
  const Index levels = static_cast<Index>(rows.start.size()) - 1;
  std::vector<Level> place(static_cast<std::size_t>(levels_t), -1);
  cross.row_start.assign(static_cast<std::size_t>(levels) + 1, 0);
  cross.column.clear();
  position.resize(rows.row.size());
  for (Index l = 0; l < levels; ++l) {
    if (l % 256 == 0) interrupt.poll();
    const auto first = rows.row.begin() + rows.start[static_cast<std::size_t>(l)];
    const auto last = rows.row.begin() + rows.start[static_cast<std::size_t>(l) + 1];
    const std::size_t begin = cross.column.size();
    for (auto i = first; i != last; ++i) {
      Level& seen = place[static_cast<std::size_t>(t[*i])];
      if (seen < 0) {
        seen = 0;
        cross.column.push_back(t[*i]);
      }
    }
    std::sort(cross.column.begin() + static_cast<std::ptrdiff_t>(begin), cross.column.end());
    for (std::size_t e = begin; e < cross.column.size(); ++e)
      place[static_cast<std::size_t>(cross.column[e])] = static_cast<Level>(e);
    for (auto i = first; i != last; ++i)
      position[static_cast<std::size_t>(*i)] = place[static_cast<std::size_t>(t[*i])];
    for (std::size_t e = begin; e < cross.column.size(); ++e)
      place[static_cast<std::size_t>(cross.column[e])] = -1;
    cross.row_start[static_cast<std::size_t>(l) + 1] = static_cast<Index>(cross.column.size());
  }
}

// target (a x b, column-major) += w x y'.
void add_outer(double* target, const double* x, int a, const double* y, int b, double w) {
  for (int j = 0; j < b; ++j) {
    const double right = w * y[j];
    for (int i = 0; i < a; ++i) target[j * a + i] += x[i] * right;
  }
}

CrossBlocks merged(const CrossBlocks& a, const CrossBlocks& b, int size) {
  CrossBlocks sum;
  sum.row_start.assign(a.row_start.size(), 0);
  const auto append = [&](const CrossBlocks& from, Index e) {
    sum.column.push_back(from.column[static_cast<std::size_t>(e)]);
    const auto value = from.values.begin() + e * size;
    sum.values.insert(sum.values.end(), value, value + size);
  };
  for (std::size_t l = 0; l + 1 < a.row_start.size(); ++l) {
    Index i = a.row_start[l], j = b.row_start[l];
    const Index a_end = a.row_start[l + 1], b_end = b.row_start[l + 1];
    while (i < a_end || j < b_end) {
      const Level from_a = i < a_end ? a.column[static_cast<std::size_t>(i)] : -1;
      const Level from_b = j < b_end ? b.column[static_cast<std::size_t>(j)] : -1;
      if (from_b < 0 || (from_a >= 0 && from_a < from_b)) {
        append(a, i++);
      } else if (from_a < 0 || from_b < from_a) {
        append(b, j++);
      } else {
        append(a, i++);
        double* value = sum.values.data() + sum.values.size() - static_cast<std::size_t>(size);
        for (int e = 0; e < size; ++e) value[e] += b.values[static_cast<std::size_t>(j * size + e)];
        ++j;
      }
    }
    sum.row_start[l + 1] = sum.count();
  }
  return sum;
}

void add(std::vector<double>& to, const std::vector<double>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

bool finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::isfinite(value); });
}

// Whether these are count x each numbers, a product that may pass 2^63.
bool has_numbers(const std::vector<double>& values, Index count, Index each) {
  const auto size = static_cast<Index>(values.size());
  return count == 0 || each == 0 ? size == 0 : size % count == 0 && size / count == each;
}

}  // namespace

bool CrossBlocks::nested() const {
  for (std::size_t l = 0; l + 1 < row_start.size(); ++l)
    if (row_start[l + 1] - row_start[l] != 1) return false;
  return true;
}

bool CrossBlocks::contains(Index of_s, Level of_t) const {
  const auto row = row_start.begin() + of_s;
  return std::binary_search(column.begin() + row[0], column.begin() + row[1], of_t);
}

bool CrossBlocks::is_valid(Index levels_s, Index levels_t, Index size) const {
  if (static_cast<Index>(row_start.size()) != levels_s + 1 || row_start.front() != 0 ||
      row_start.back() != count() || !has_numbers(values, count(), size) || !finite(values) ||
      !std::is_sorted(row_start.begin(), row_start.end()))
    return false;
  for (Index l = 0; l < levels_s; ++l) {
    Level before = -1;
    for (Index e = row_start[static_cast<std::size_t>(l)];
         e < row_start[static_cast<std::size_t>(l) + 1]; ++e) {
      const Level level = column[static_cast<std::size_t>(e)];
      if (level <= before || level >= levels_t) return false;
      before = level;
    }
  }
  return true;
}

bool CrossProducts::is_valid(const std::vector<Block>& blocks, Index columns) const {
  const std::size_t count = blocks.size();
  if (n_ < 0 || !std::isfinite(log_weights_) || rank_ != columns || levels_.size() != count ||
      k_.size() != count || diagonal_.size() != count || z_fixed_.size() != count ||
      cross_.size() != count * (count - 1) / 2 || !has_numbers(fixed_fixed_, rank_, rank_) ||
      !finite(fixed_fixed_))
    return false;
  for (std::size_t t = 0; t < count; ++t) {
    if (levels_[t] != blocks[t].levels || k_[t] != blocks[t].k ||
        !has_numbers(diagonal_[t], levels_[t], Index{k_[t]} * k_[t]) || !finite(diagonal_[t]) ||
        !has_numbers(z_fixed_[t], levels_[t], Index{k_[t]} * rank_) || !finite(z_fixed_[t]))
      return false;
    for (std::size_t s = 0; s < t; ++s)
      if (!cross_[pair(static_cast<int>(s), static_cast<int>(t))].is_valid(levels_[s], levels_[t],
                                                                           Index{k_[s]} * k_[t]))
        return false;
  }
  return is_consistent();
}

// Whether the levels that occur with one of a nested factor occur with its parent too.
bool CrossProducts::is_consistent() const {
  const int count = blocks();
  for (int s = 0; s < count; ++s)
    for (int t = s + 1; t < count; ++t) {
      const CrossBlocks& parents = cross(s, t);
      for (int u = s + 1; u < count && parents.nested(); ++u) {
        if (u == t) continue;
        const CrossBlocks& with = cross(s, u);
        for (Index l = 0; l < levels(s); ++l) {
          const Level parent = parents.column[static_cast<std::size_t>(l)];
          for (Index e = with.row_start[static_cast<std::size_t>(l)];
               e < with.row_start[static_cast<std::size_t>(l) + 1]; ++e) {
            const Level other = with.column[static_cast<std::size_t>(e)];
            if (!(t < u ? cross(t, u).contains(parent, other)
                        : cross(u, t).contains(other, parent)))
              return false;
          }
        }
      }
    }
  return true;
}

CrossProducts::CrossProducts(const Design& design, const std::vector<Block>& blocks,
                             const Coordinates& coordinates, ThreadPool& pool,
                             InterruptCheck& interrupt)
    : n_(design.n), rank_(static_cast<int>(coordinates.rank())) {
  const int count = static_cast<int>(blocks.size());
  const auto codes = [&](int t) {
    return design.factors[static_cast<std::size_t>(blocks[static_cast<std::size_t>(t)].factor)]
        .codes;
  };
  for (const Block& block : blocks) {
    levels_.push_back(block.levels);
    k_.push_back(block.k);
    diagonal_.emplace_back(static_cast<std::size_t>(block.levels * block.k * block.k), 0.0);
    z_fixed_.emplace_back(static_cast<std::size_t>(block.levels * block.k * rank_), 0.0);
  }
  cross_.resize(static_cast<std::size_t>(count * (count - 1) / 2));
  std::vector<std::vector<Level>> positions(cross_.size());
  for (int s = 0; s + 1 < count; ++s) {
    std::unique_ptr<RowsByLevel> rows;
    for (int t = s + 1; t < count; ++t) {
      interrupt.poll();
      CrossBlocks& cross = cross_[pair(s, t)];
      if (!nested_pattern(codes(s), codes(t), n_, levels(s), cross)) {
        if (!rows) rows = std::make_unique<RowsByLevel>(codes(s), n_, levels(s));
        crossed_pattern(*rows, codes(t), levels(t), cross, positions[pair(s, t)], interrupt);
      }
      cross.values.assign(static_cast<std::size_t>(cross.count() * k(s) * k(t)), 0.0);
    }
  }
  fixed_fixed_.assign(static_cast<std::size_t>(rank_ * rank_), 0.0);
  accumulate(design, blocks, coordinates, positions, pool, interrupt);

  if (design.weights != nullptr)
    sum_over_rows(pool, n_, 1, &log_weights_, [&](Index begin, Index end, double* partial) {
      for (Index i = begin; i < end; ++i) *partial += std::log(design.weights[i]);
    });
}

CrossProducts::CrossProducts(const Sums& sums, const std::vector<Block>& blocks,
                             const Coordinates& coordinates)
    : CrossProducts(sums.cross_products()) {
  using Eigen::Map, Eigen::MatrixXd;
  const int columns = rank_;  // of [X y]
  rank_ = static_cast<int>(coordinates.rank());
  const MatrixXd N = coordinates.fixed_from(sums.coordinates());
  std::vector<MatrixXd> M;
  for (const Block& block : blocks) M.push_back(coordinates.random_from(sums.coordinates(), block));
  const MatrixXd products =
      N.transpose() * Map<const MatrixXd>(fixed_fixed_.data(), columns, columns) * N;
  fixed_fixed_.assign(products.data(), products.data() + products.size());
  for (int t = 0; t < this->blocks(); ++t) {
    const MatrixXd& own = M[static_cast<std::size_t>(t)];
    const Index size = k(t);
    std::vector<double>&diagonal = diagonal_[static_cast<std::size_t>(t)],
    &z_fixed = z_fixed_[static_cast<std::size_t>(t)];
    std::vector<double> mapped(static_cast<std::size_t>(levels(t) * size * rank_));
    for (Index l = 0; l < levels(t); ++l) {
      Map<MatrixXd> block(diagonal.data() + l * size * size, size, size);
      block = (own.transpose() * block * own).eval();
      Map<MatrixXd>(mapped.data() + l * size * rank_, size, rank_) =
          own.transpose() *
          Map<const MatrixXd>(z_fixed.data() + l * size * columns, size, columns) * N;
    }
    z_fixed = std::move(mapped);
    for (int s = 0; s < t; ++s) {
      CrossBlocks& cross = cross_[pair(s, t)];
      for (Index e = 0; e < cross.count(); ++e) {
        Map<MatrixXd> block(cross.values.data() + e * k(s) * size, k(s), size);
        block = (M[static_cast<std::size_t>(s)].transpose() * block * own).eval();
      }
    }
  }
}

// Every number is summed over the rows in their order by the one thread that owns its level, so the
// result is the same for any number of threads.
void CrossProducts::accumulate(const Design& design, const std::vector<Block>& blocks,
                               const Coordinates& coordinates,
                               const std::vector<std::vector<Level>>& positions, ThreadPool& pool,
                               InterruptCheck& interrupt) {
  const Index width = coordinates.row_width();
  const int x = static_cast<int>(width) - rank_ - 1;  // where [x w] begins in a mapped row
  const int owners = n_ > kChunk ? pool.size() : 1;
  std::vector<std::vector<Level>> cuts;
  for (const Block& block : blocks)
    cuts.push_back(cuts_by_rows(design.factors[static_cast<std::size_t>(block.factor)].codes, n_,
                                block.levels, owners));
  // Fewer rows at a time where they are so wide that their products take long.
  const Index chunk = std::clamp<Index>((Index{1} << 27) / (width * width), 256, kChunk);
  const Index mapped_together = std::clamp<Index>((Index{1} << 22) / (width * width), 16, 1024);
  std::vector<double> mapped(static_cast<std::size_t>(std::min(n_, chunk) * width));

  const auto add_block = [&](int t, Level low, Level high, Index begin, Index end, bool caller) {
    const Block& block = blocks[static_cast<std::size_t>(t)];
    const Level* codes = design.factors[static_cast<std::size_t>(block.factor)].codes;
    const int k = block.k;
    double* diagonal = diagonal_[static_cast<std::size_t>(t)].data();
    double* z_fixed = z_fixed_[static_cast<std::size_t>(t)].data();
    for (Index i = begin; i < end; ++i) {
      const Level level = codes[i];
      if (level < low || level >= high) continue;
      if (caller && i % 16 == 0) interrupt.poll();
      const double* row = mapped.data() + (i - begin) * width;
      const double* z = row + block.first_column;
      const double w = row[width - 1];
      add_outer(z_fixed + level * Index{rank_} * k, z, k, row + x, rank_, w);
      add_outer(diagonal + level * Index{k} * k, z, k, z, k, w);
      for (int s = t + 1; s < static_cast<int>(blocks.size()); ++s) {
        const auto& position = positions[pair(t, s)];
        const Index e = position.empty() ? level : position[static_cast<std::size_t>(i)];
        const Block& other = blocks[static_cast<std::size_t>(s)];
        add_outer(cross_[pair(t, s)].values.data() + e * k * other.k, z, k,
                  row + other.first_column, other.k, w);
      }
    }
  };

  std::vector<double> partial(static_cast<std::size_t>(rank_ * rank_));
  for (Index begin = 0; begin < n_; begin += chunk) {
    interrupt.poll();
    const Index end = std::min(begin + chunk, n_);
    pool.for_pieces(end - begin, mapped_together, [&](Index first, Index last, int) {
      coordinates.map_rows(design, begin + first, begin + last, mapped.data() + first * width);
    });
    pool.for_pieces(owners, 1, [&](Index first, Index last, int worker) {
      for (Index owner = first; owner < last; ++owner)
        for (int t = 0; t < static_cast<int>(blocks.size()); ++t) {
          const auto& cut = cuts[static_cast<std::size_t>(t)];
          add_block(t, cut[static_cast<std::size_t>(owner)],
                    cut[static_cast<std::size_t>(owner) + 1], begin, end, worker == 0);
        }
    });
    std::fill(partial.begin(), partial.end(), 0.0);
    const Index columns = std::max<Index>(1, (Index{1} << 23) / (chunk * std::max(rank_, 1)));
    pool.for_pieces(rank_, columns, [&](Index first, Index last, int) {
      for (Index i = begin; i < end; ++i) {
        const double* row = mapped.data() + (i - begin) * width;
        add_outer(partial.data() + first * rank_, row + x, rank_, row + x + first,
                  static_cast<int>(last - first), row[width - 1]);
      }
    });
    add(fixed_fixed_, partial);
  }
}

void CrossProducts::merge(const CrossProducts& other) {
  if (levels_ != other.levels_ || k_ != other.k_ || rank_ != other.rank_)
    throw std::invalid_argument("cross-products of different models cannot be merged");
  // All that may run out of memory comes first.
  std::vector<CrossBlocks> cross_sums(cross_.size());
  for (int t = 0; t < blocks(); ++t)
    for (int s = 0; s < t; ++s)
      cross_sums[pair(s, t)] = merged(cross(s, t), other.cross(s, t), k(s) * k(t));
  cross_ = std::move(cross_sums);
  n_ += other.n_;
  log_weights_ += other.log_weights_;
  for (int t = 0; t < blocks(); ++t) {
    add(diagonal_[static_cast<std::size_t>(t)], other.diagonal(t));
    add(z_fixed_[static_cast<std::size_t>(t)], other.z_fixed(t));
  }
  add(fixed_fixed_, other.fixed_fixed_);
}

double CrossProducts::bytes() const {
  double numbers = static_cast<double>(fixed_fixed_.size());
  for (const auto& values : diagonal_) numbers += static_cast<double>(values.size());
  for (const auto& values : z_fixed_) numbers += static_cast<double>(values.size());
  double indices = 0.0;
  for (const CrossBlocks& cross : cross_) {
    numbers += static_cast<double>(cross.values.size() + cross.row_start.size());
    indices += static_cast<double>(cross.column.size());
  }
  return 8.0 * numbers + sizeof(Level) * indices;
}

std::size_t CrossProducts::numbers() const {
  std::size_t count = 0;
  for (const auto& values : diagonal_) count += values.size();
  for (const CrossBlocks& cross : cross_) count += 2 * cross.values.size();
  return count;
}

}  // namespace crossnest
