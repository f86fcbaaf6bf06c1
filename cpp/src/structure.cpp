#include "structure.hpp"

#include <Eigen/OrderingMethods>
#include <Eigen/SparseCore>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <memory>
#include <numeric>
#include <thread>

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The result of a work that cannot be interrupted: when the caller is, the thread that does it is
// left to end by itself. The work must own all it looks at.
template <class Work>
auto run_apart(const Work& work, InterruptCheck& interrupt) -> decltype(work()) {
  std::packaged_task<decltype(work())()> task(work);
  auto result = task.get_future();
  std::thread(std::move(task)).detach();
  while (result.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready)
    interrupt.poll();
  return result.get();
}

// Of a number of the sparse factor and its selected inverse, with row indices.
constexpr double kSparseBytes = 24.0;
constexpr Index kPoll = 1024;  // levels between two polls of the interrupt check

}  // namespace

std::string readable_bytes(double bytes) {
  char text[32];
  const double mebibytes = bytes / (1024.0 * 1024.0);
  std::snprintf(text, sizeof text, mebibytes < 1024.0 ? "%.1f MiB" : "%.1f GiB",
                mebibytes < 1024.0 ? mebibytes : mebibytes / 1024.0);
  return text;
}

// Refuses a sparse factor of so many numbers and more, if there is a limit that they pass.
void Structure::check_sparse(double numbers, std::size_t limit) const {
  const double bytes = kSparseBytes * numbers;
  if (limit > 0 && bytes > static_cast<double>(limit))
    throw MemoryLimitError("the factor of this model needs more than " + readable_bytes(bytes) +
                           " (sparse tail of " + std::to_string(tail_.size) +
                           " random effects), more than the limit of " +
                           readable_bytes(static_cast<double>(limit)));
}

// The nodes of the tail by approximate minimum degree, each node's place in the order. A tail whose
// factor would pass the limit in any order, as S alone does, is refused before it is ordered.
std::vector<Level> Structure::elimination_order(std::size_t memory_limit) const {
  using Sparse = Eigen::SparseMatrix<double>;
  using Permutation = Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int>;
  const auto graph = node_graph(memory_limit);
  const auto nodes = static_cast<Eigen::Index>(graph.size());
  std::vector<Eigen::Triplet<double>> entries;
  for (Level c = 0; c < static_cast<Level>(graph.size()); ++c) {
    entries.emplace_back(c, c, 1.0);
    for (const Level r : graph[at(c)]) {
      entries.emplace_back(r, c, 1.0);
      entries.emplace_back(c, r, 1.0);
    }
  }
  poll();
  const auto pattern = std::make_shared<Sparse>(nodes, nodes);
  pattern->setFromTriplets(entries.begin(), entries.end());
  const auto order = [pattern] {
    Permutation elimination;
    Eigen::AMDOrdering<int>()(*pattern, elimination);
    return std::vector<Level>(elimination.indices().data(),
                              elimination.indices().data() + elimination.size());
  };
  return interrupt_ == nullptr ? order() : run_apart(order, *interrupt_);
}

// Numbers below and on the diagonal of each column of L, for S = LL' with the tail's pattern: row k
// of L reaches from each entry of column k of S up the elimination tree (Davis, Direct Methods for
// Sparse Linear Systems, 2006, section 4.3). Gives up once they pass the memory limit.
std::vector<double> Structure::column_counts(std::size_t memory_limit) const {
  const Index size = tail_.size;
  std::vector<double> count(at(size), 1.0);
  std::vector<int> parent(at(size), -1), visited(at(size), -1);
  double total = static_cast<double>(size);
  for (int k = 0; k < size; ++k) {
    poll();
    visited[at(k)] = k;
    for (int p = tail_.column_start[at(k)]; p < tail_.column_start[at(k) + 1]; ++p)
      for (int i = tail_.row[at(p)]; visited[at(i)] != k; i = parent[at(i)]) {
        if (parent[at(i)] < 0) parent[at(i)] = k;
        count[at(i)] += 1.0;
        total += 1.0;
        visited[at(i)] = k;
      }
    check_sparse(total, memory_limit);
  }
  return count;
}

Structure::Structure(const std::vector<Block>& blocks, const CrossProducts& A, TailKind kind,
                     std::size_t memory_limit, InterruptCheck* interrupt)
    : interrupt_(interrupt), head_of_(blocks.size(), -1), border_(A.rank() + 1) {
  for (const Block& block : blocks) factor_of_.push_back(block.factor);
  choose_heads(blocks, A);
  link_heads(A);
  Index nodes = 0;
  for (const int block : tail_blocks_) nodes += blocks[at(block)].levels;
  std::vector<Level> order(at(nodes));
  std::iota(order.begin(), order.end(), 0);
  place_tail(blocks, order);
  for (HeadBlock& head : heads_) tail_rows(head, blocks, A);
  tail_sources(A);
  if (wants_sparse(kind)) {
    const double q2 = static_cast<double>(tail_.size);
    const bool dense_fits = memory_limit == 0 || 8.0 * q2 * q2 < static_cast<double>(memory_limit);
    const std::size_t sparse_limit = dense_fits ? 0 : memory_limit;
    order = elimination_order(sparse_limit);

    std::vector<Level> natural(order.size());
    std::iota(natural.begin(), natural.end(), 0);
    const auto arrange = [&](const std::vector<Level>& nodes_in_order) {
      place_tail(blocks, nodes_in_order);
      for (HeadBlock& head : heads_) tail_rows(head, blocks, A);
      tail_sources(A);
    };
    arrange(order);
    tail_.sparse = true;
    sparse_pattern();
    // A dense factorization does many times more operations a second than a sparse one.
    constexpr double kDenseSpeed = 15.0;
    for (const double count : column_counts(sparse_limit)) {
      tail_.factor_numbers += count;
      sparse_work_ += count * count;
    }
    const double sparse_work = 3.0 * sparse_work_;  // with the selected inverse
    if (kind == TailKind::automatic && dense_fits && kDenseSpeed * sparse_work > q2 * q2 * q2) {
      tail_.sparse = false;
      arrange(natural);
    }
  }
  find_full_levels();
  map_tail_to_ancestors();
  count_work();
  check_memory(memory_limit);
}

// Blocks come by decreasing size. The first is eliminated first; a later one joins the head when
// all head blocks are nested in it, for then eliminating them leaves its diagonal block
// block-diagonal.
void Structure::choose_heads(const std::vector<Block>& blocks, const CrossProducts& A) {
  for (int t = 0; t < A.blocks(); ++t) {
    const bool nested = std::all_of(heads_.begin(), heads_.end(), [&](const HeadBlock& head) {
      return A.cross(head.block, t).nested();
    });
    if (!nested) {
      tail_blocks_.push_back(t);
      continue;
    }
    head_of_[at(t)] = static_cast<int>(heads_.size());
    HeadBlock head{};
    head.block = t;
    head.levels = blocks[at(t)].levels;
    head.k = blocks[at(t)].k;
    heads_.push_back(std::move(head));
  }
}

void Structure::link_heads(const CrossProducts& A) {
  const int count = static_cast<int>(heads_.size());
  for (int h = 0; h < count; ++h) {
    HeadBlock& head = heads_[at(h)];
    int offset = 0;
    for (int a = h + 1; a < count; ++a) {
      HeadBlock& later = heads_[at(a)];
      const std::vector<Level>& parent = A.cross(head.block, later.block).column;
      later.descendants.push_back({h, static_cast<int>(head.ancestors.size()), {}, {}});
      HeadBlock::Descendant& descendant = later.descendants.back();
      descendant.start.assign(at(later.levels) + 1, 0);
      for (const Level level : parent) ++descendant.start[at(level) + 1];
      std::partial_sum(descendant.start.begin(), descendant.start.end(), descendant.start.begin());
      std::vector<Index> next(descendant.start.begin(), descendant.start.end() - 1);
      descendant.child.resize(parent.size());
      for (std::size_t l = 0; l < parent.size(); ++l)
        descendant.child[at(next[at(parent[l])]++)] = static_cast<Level>(l);
      head.ancestors.push_back({a, offset, later.k, &parent, {}});
      offset += later.k;
    }
    head.border_offset = offset;
    head.fixed = offset + border_;
  }
}

void Structure::place_tail(const std::vector<Block>& blocks, const std::vector<Level>& order) {
  std::vector<TailPattern::Node> natural;
  for (const int block : tail_blocks_)
    for (Index level = 0; level < blocks[at(block)].levels; ++level)
      natural.push_back({block, static_cast<Level>(level), 0});
  tail_.nodes.clear();
  tail_.node_of.assign(blocks.size(), {});
  for (const int block : tail_blocks_)
    tail_.node_of[at(block)].resize(at(blocks[at(block)].levels));
  Index start = 0;
  for (const Level from : order) {
    TailPattern::Node node = natural[at(from)];
    node.start = static_cast<Level>(start);
    start += blocks[at(node.block)].k;
    tail_.node_of[at(node.block)][at(node.level)] = static_cast<Level>(tail_.nodes.size());
    tail_.nodes.push_back(node);
  }
  tail_.size = start;
}

void Structure::tail_rows(HeadBlock& head, const std::vector<Block>& blocks,
                          const CrossProducts& A) {
  struct Entry {
    Level node;
    Index entry;
  };
  std::vector<Index> start(at(head.levels) + 1, 0);
  // Calls visit(level, tail node, entry) for everything this block is coupled to in the tail.
  const auto each = [&](auto&& visit) {
    for (const int s : tail_blocks_) {
      const bool head_first = head.block < s;
      const CrossBlocks& cross = head_first ? A.cross(head.block, s) : A.cross(s, head.block);
      const auto& node_of = tail_.node_of[at(s)];
      for (Index r = 0; r + 1 < static_cast<Index>(cross.row_start.size()); ++r) {
        if (r % kPoll == 0) poll();
        for (Index e = cross.row_start[at(r)]; e < cross.row_start[at(r) + 1]; ++e) {
          const Level c = cross.column[at(e)];
          if (head_first)
            visit(r, node_of[at(c)], e);
          else
            visit(Index{c}, node_of[at(r)], e);
        }
      }
    }
  };
  each([&](Index level, Level, Index) { ++start[at(level) + 1]; });
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<Entry> entries(at(start.back()));
  std::vector<Index> next(start.begin(), start.end() - 1);
  each([&](Index level, Level node, Index entry) {
    entries[at(next[at(level)]++)] = {node, entry};
  });

  head.tail_start.assign(1, 0);
  head.tail_column.clear();
  head.source.clear();
  head.source_start = start;
  for (Index l = 0; l < head.levels; ++l) {
    if (l % kPoll == 0) poll();
    const auto first = entries.begin() + start[at(l)], last = entries.begin() + start[at(l) + 1];
    std::sort(first, last, [](const Entry& a, const Entry& b) { return a.node < b.node; });
    for (auto e = first; e != last; ++e) {
      const TailPattern::Node& node = tail_.nodes[at(e->node)];
      head.source.push_back({e->entry, node.block});
      for (int i = 0; i < blocks[at(node.block)].k; ++i)
        head.tail_column.push_back(node.start + static_cast<Level>(i));
    }
    head.tail_start.push_back(static_cast<Index>(head.tail_column.size()));
  }

  head.full_levels.clear();
  index_columns(head);
}

void Structure::index_columns(HeadBlock& head) {
  std::vector<char> full(at(head.levels), 0);
  for (const Level level : head.full_levels) full[at(level)] = 1;
  const auto each = [&](auto&& visit) {
    for (Index l = 0; l < head.levels; ++l) {
      if (l % kPoll == 0) poll();
      for (Index e = head.tail_start[at(l)]; !full[at(l)] && e < head.tail_start[at(l) + 1]; ++e)
        visit(l, e, head.tail_column[at(e)]);
    }
  };
  head.column_start.assign(at(tail_.size) + 1, 0);
  each([&](Index, Index, Level column) { ++head.column_start[at(column) + 1]; });
  std::partial_sum(head.column_start.begin(), head.column_start.end(), head.column_start.begin());
  head.column_level.resize(at(head.column_start.back()));
  head.column_entry.resize(at(head.column_start.back()));
  std::vector<Index> next(head.column_start.begin(), head.column_start.end() - 1);
  each([&](Index l, Index e, Level column) {
    const Index place = next[at(column)]++;
    head.column_level[at(place)] = static_cast<Level>(l);
    head.column_entry[at(place)] = e;
  });
}

// A dense kernel does some ten times more multiply-adds a second than a scatter through indices, so
// a row that is two fifths full is worth treating as full.
void Structure::find_full_levels() {
  if (tail_.sparse || tail_.size < 32) return;
  for (HeadBlock& head : heads_) {
    for (Index l = 0; l < head.levels; ++l)
      if (5 * (head.tail_start[at(l) + 1] - head.tail_start[at(l)]) >= 2 * tail_.size)
        head.full_levels.push_back(static_cast<Level>(l));
    if (!head.full_levels.empty()) index_columns(head);
  }
}

// A level that occurs with a tail level takes its ancestors along, so every tail column of a row is
// also one of its ancestors' rows.
void Structure::map_tail_to_ancestors() {
  for (HeadBlock& head : heads_)
    for (HeadBlock::Ancestor& ancestor : head.ancestors) {
      const HeadBlock& later = heads_[at(ancestor.head)];
      ancestor.tail_map.resize(head.tail_column.size());
      for (Index l = 0; l < head.levels; ++l) {
        if (l % kPoll == 0) poll();
        Index e = later.tail_start[at((*ancestor.parent)[at(l)])];
        for (Index i = head.tail_start[at(l)]; i < head.tail_start[at(l) + 1]; ++i) {
          while (later.tail_column[at(e)] != head.tail_column[at(i)]) ++e;
          ancestor.tail_map[at(i)] = e;
        }
      }
    }
}

void Structure::tail_sources(const CrossProducts& A) {
  tail_.source_start.assign(tail_.nodes.size() + 1, 0);
  const auto each = [&](auto&& visit) {
    for (std::size_t j = 0; j < tail_blocks_.size(); ++j)
      for (std::size_t i = 0; i < j; ++i) {
        const int s = tail_blocks_[i], t = tail_blocks_[j];
        const CrossBlocks& cross = A.cross(s, t);
        for (Index l = 0; l + 1 < static_cast<Index>(cross.row_start.size()); ++l) {
          if (l % kPoll == 0) poll();
          for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e)
            visit(tail_.node_of[at(s)][at(l)], tail_.node_of[at(t)][at(cross.column[at(e)])], e);
        }
      }
  };
  each([&](Level a, Level b, Index) { ++tail_.source_start[at(std::max(a, b)) + 1]; });
  std::partial_sum(tail_.source_start.begin(), tail_.source_start.end(),
                   tail_.source_start.begin());
  tail_.source.resize(at(tail_.source_start.back()));
  std::vector<Index> next(tail_.source_start.begin(), tail_.source_start.end() - 1);
  each([&](Level a, Level b, Index e) {
    tail_.source[at(next[at(std::max(a, b))]++)] = {std::min(a, b), e, a > b};
  });
}

// For each tail node, the earlier nodes its column of S has entries in, increasing. Gives up once
// they pass the memory limit, if there is one.
std::vector<std::vector<Level>> Structure::node_graph(std::size_t memory_limit) const {
  std::vector<Level> node_at(at(tail_.size), -1);  // the node that starts at a scalar column
  for (std::size_t i = 0; i < tail_.nodes.size(); ++i)
    node_at[at(tail_.nodes[i].start)] = static_cast<Level>(i);
  std::vector<std::vector<Level>> graph(tail_.nodes.size());
  std::vector<Level> seen(tail_.nodes.size(), -1);
  double entries = 0.0;
  for (Level c = 0; c < static_cast<Level>(tail_.nodes.size()); ++c) {
    poll();
    std::vector<Level>& rows = graph[at(c)];
    const auto add = [&](Level r) {
      if (r < 0 || seen[at(r)] == c) return;
      seen[at(r)] = c;
      rows.push_back(r);
    };
    for (Index i = tail_.source_start[at(c)]; i < tail_.source_start[at(c) + 1]; ++i)
      add(tail_.source[at(i)].row);
    const Level column = tail_.nodes[at(c)].start;
    for (const HeadBlock& head : heads_)
      for (Index i = head.column_start[at(column)]; i < head.column_start[at(column) + 1]; ++i)
        for (Index e = head.tail_start[at(head.column_level[at(i)])]; e < head.column_entry[at(i)];
             ++e)
          add(node_at[at(head.tail_column[at(e)])]);
    std::sort(rows.begin(), rows.end());
    entries += static_cast<double>(rows.size()) + 1.0;
    check_sparse(entries, memory_limit);
  }
  return graph;
}

// The share of nonzeros in a sample of the columns of S.
double Structure::sampled_density() const {
  constexpr Index kSample = 32;
  std::vector<Index> seen(at(tail_.size), -1);
  double found = 0.0;
  for (Index i = 0; i < kSample; ++i) {
    const Index column = tail_.size * i / kSample;
    for (const HeadBlock& head : heads_)
      for (Index a = head.column_start[at(column)]; a < head.column_start[at(column) + 1]; ++a) {
        const Index level = head.column_level[at(a)];
        for (Index e = head.tail_start[at(level)]; e < head.tail_start[at(level) + 1]; ++e) {
          Index& mark = seen[at(head.tail_column[at(e)])];
          if (mark != i) found += 1.0;
          mark = i;
        }
      }
  }
  return found / (static_cast<double>(kSample) * static_cast<double>(tail_.size));
}

bool Structure::wants_sparse(TailKind kind) const {
  if (tail_.size == 0 || kind == TailKind::dense) return false;
  if (kind == TailKind::sparse) return true;
  return tail_.size > 256 && sampled_density() < 0.2;  // up to 256 columns dense is instant
}

void Structure::sparse_pattern() {
  const std::vector<std::vector<Level>> graph = node_graph(0);
  tail_.column_start.assign(1, 0);
  tail_.row.clear();
  for (std::size_t c = 0; c < graph.size(); ++c) {
    const Level first = tail_.nodes[c].start;
    const Level last =
        c + 1 < graph.size() ? tail_.nodes[c + 1].start : static_cast<Level>(tail_.size);
    for (Level column = first; column < last; ++column) {
      for (const Level r : graph[c]) {
        const Level end = tail_.nodes[at(r) + 1].start;
        for (Level row = tail_.nodes[at(r)].start; row < end; ++row) tail_.row.push_back(row);
      }
      for (Level row = first; row <= column; ++row) tail_.row.push_back(row);
      tail_.column_start.push_back(static_cast<int>(tail_.row.size()));
    }
  }
}

void Structure::count_work() {
  work_ = 0.0;
  for (const HeadBlock& head : heads_) {
    const double k = head.k;
    for (Index l = 0; l < head.levels; ++l) {
      const double width =
          head.fixed + static_cast<double>(head.tail_start[at(l) + 1] - head.tail_start[at(l)]);
      work_ += k * k * (k / 3.0 + width) + 0.5 * k * width * width;
    }
  }
  const double q2 = static_cast<double>(tail_.size);
  if (tail_.sparse) {
    work_ += sparse_work_;
  } else {
    work_ += q2 * q2 * q2 / 6.0;
  }
}

std::vector<BlockReport> Structure::report() const {
  std::vector<BlockReport> lines;
  for (const HeadBlock& head : heads_) {
    const Index numbers = head.numbers() + head.levels * head.k * head.k;
    lines.push_back({{factor_of_[at(head.block)]},
                     "block-diagonal",
                     head.levels * head.k,
                     head.k,
                     numbers,
                     sizeof(double) * static_cast<std::size_t>(2 * numbers)});
  }
  if (tail_.size > 0) {
    const double q2 = static_cast<double>(tail_.size);
    const double numbers = tail_.sparse ? tail_.factor_numbers : q2 * q2;
    // The dense inverse takes the place of the factor; the sparse one stands beside it.
    const double bytes = tail_.sparse ? kSparseBytes * numbers : 8.0 * numbers;
    std::vector<int> factors;
    for (const int block : tail_blocks_) factors.push_back(factor_of_[at(block)]);
    lines.push_back({std::move(factors), tail_.sparse ? "sparse" : "dense", tail_.size, 1,
                     static_cast<Index>(numbers), static_cast<std::size_t>(bytes)});
  }
  return lines;
}

double Structure::bytes() const {
  double total = 0.0;
  for (const BlockReport& line : report()) total += static_cast<double>(line.bytes);
  return total;
}

void Structure::check_memory(std::size_t limit) const {
  const double total = bytes();
  if (limit > 0 && total > static_cast<double>(limit))
    throw MemoryLimitError(
        "the factor of this model needs about " + readable_bytes(total) + " (" +
        (tail_.sparse ? "sparse" : "dense") + " tail of " + std::to_string(tail_.size) +
        " random effects), more than the limit of " + readable_bytes(static_cast<double>(limit)));
  if (tail_.sparse && tail_.factor_numbers > 2147483647.0)
    throw MemoryLimitError("the sparse factor of this model has more than 2^31 numbers");
}

}  // namespace crossnest
