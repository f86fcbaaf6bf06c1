#include "traces.hpp"

#include <algorithm>
#include <atomic>
#include <functional>
#include <numeric>
#include <utility>

#include "eigen_decompositions.hpp"
#include "tiled_cholesky.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// A component of up to this size is one thread's work, with Eigen's kernels.
constexpr Index kSmall = 96;
// Rows of F that are fuller than this are multiplied as full matrices.
constexpr double kFull = 0.25;
constexpr Index kPanelRows = 256;
// Multiply-adds of a tile of a dense product, about, so that the caller can interrupt soon.
constexpr Index kTileWork = 1000000000;
constexpr Index kPoll = 256;  // levels or columns between two polls of the interrupt check

// The representative of a node in a forest of sets, halving the paths.
Index find(std::vector<Index>& parent, Index node) {
  while (parent[at(node)] != node) node = parent[at(node)] = parent[at(parent[at(node)])];
  return node;
}

// tr(X E_r Y E_s) of the k x k matrices of one level.
double trace_of_products(const MatrixXd& X, const VarianceParameter& r, const MatrixXd& Y,
                         const VarianceParameter& s) {
  double sum = 0.0;
  for (const auto& a : r.entries)
    for (const auto& b : s.entries)
      sum += a.value * b.value * X(b.column, a.row) * Y(a.column, b.row);
  return sum;
}

double trace_of_product(const MatrixXd& X, const VarianceParameter& r) {
  double sum = 0.0;
  for (const auto& a : r.entries) sum += a.value * X(a.column, a.row);
  return sum;
}

}  // namespace

VarianceTraces::VarianceTraces(const std::vector<Block>& blocks, const CrossProducts& A,
                               const std::vector<VarianceParameter>& parameters,
                               const DenseKernels& kernels, ThreadPool& pool,
                               InterruptCheck& interrupt)
    : blocks_(blocks),
      A_(A),
      parameters_(parameters),
      kernels_(kernels),
      pool_(pool),
      interrupt_(interrupt) {
  for (const VarianceParameter& parameter : parameters) head_parameters_ += parameter.block == 0;
  if (blocks.size() == 1)
    cut_levels();
  else
    connect();
  estimate();
}

// With one block every level stands alone; a batch of them is no more work than one by one.
void VarianceTraces::cut_levels() {
  constexpr Index kBatch = 256;
  heads_.resize(at(blocks_[0].levels));
  std::iota(heads_.begin(), heads_.end(), Level{0});
  for (Index l = 0; l < blocks_[0].levels; l += kBatch)
    components_.push_back({l, std::min(l + kBatch, blocks_[0].levels), 0, 0, 0, 0});
}

// Every row has a level of the first block, so its levels connect all others.
void VarianceTraces::connect() {
  std::vector<Index> first{0};
  for (const Block& block : blocks_) first.push_back(first.back() + block.levels);
  std::vector<Index> parent(at(first.back()));
  std::iota(parent.begin(), parent.end(), Index{0});
  for (int t = 1; t < A_.blocks(); ++t) {
    const CrossBlocks& cross = A_.cross(0, t);
    for (Index l = 0; l < A_.levels(0); ++l) {
      if (l % kPoll == 0) interrupt_.poll();
      for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e)
        parent[at(find(parent, first[at(t)] + cross.column[at(e)]))] = find(parent, l);
    }
  }
  std::vector<Index> component_of(parent.size());
  std::vector<Index> number(parent.size(), -1);
  for (Index node = 0; node < first.back(); ++node) {
    Index& own = number[at(find(parent, node))];
    if (own < 0) {
      own = static_cast<Index>(components_.size());
      components_.push_back({0, 0, 0, 0, 0, 0});
    }
    component_of[at(node)] = own;
  }
  const Index levels = blocks_[0].levels;
  for (Index l = 0; l < levels; ++l) ++components_[at(component_of[at(l)])].heads_end;
  for (Index node = levels; node < first.back(); ++node)
    ++components_[at(component_of[at(node)])].nodes_end;
  Index heads = 0, nodes = 0;
  for (Component& component : components_) {
    component.heads = std::exchange(heads, heads + component.heads_end);
    component.nodes = std::exchange(nodes, nodes + component.nodes_end);
    component.heads_end = component.heads;  // filled again as the levels are placed
    component.nodes_end = component.nodes;
  }
  heads_.resize(at(heads));
  nodes_.resize(at(nodes));
  for (Index l = 0; l < levels; ++l)
    heads_[at(components_[at(component_of[at(l)])].heads_end++)] = static_cast<Level>(l);
  place_nodes(component_of, levels);
}

void VarianceTraces::place_nodes(const std::vector<Index>& component_of, Index node) {
  start_.resize(blocks_.size());
  for (int t = 1; t < A_.blocks(); ++t) {
    start_[at(t)].resize(at(blocks_[at(t)].levels));
    for (Index l = 0; l < blocks_[at(t)].levels; ++l, ++node) {
      Component& own = components_[at(component_of[at(node)])];
      const Level start = static_cast<Level>(own.size);
      start_[at(t)][at(l)] = start;
      nodes_[at(own.nodes_end++)] = {t, static_cast<Level>(l), start};
      own.size += blocks_[at(t)].k;
    }
    const CrossBlocks& cross = A_.cross(0, t);
    for (Index l = 0; l < blocks_[0].levels; ++l)
      components_[at(component_of[at(l)])].entries +=
          cross.row_start[at(l) + 1] - cross.row_start[at(l)];
  }
}

void VarianceTraces::estimate() {
  const double k = blocks_[0].k;
  for (const Component& component : components_) {
    const double n = static_cast<double>(component.size);
    const double heads = static_cast<double>(component.heads_end - component.heads);
    const double width = static_cast<double>(component.entries) / std::max(heads, 1.0);
    widest_ = std::max(widest_, component.size);
    work_ += n * n * n * (2.0 + head_parameters_) +
             heads * k * width * width * (2.0 + head_parameters_) + heads * k * k * k;
  }
}

double VarianceTraces::bytes() const {
  const double n = static_cast<double>(widest_), entries = static_cast<double>(A_.numbers());
  const int together = widest_ > kSmall ? 1 : pool_.size();
  return 8.0 * (together * n * n * (3.0 + 2.0 * head_parameters_) + entries);
}

// The matrices of one component at a time.
class VarianceTraces::Workspace {
 public:
  Workspace(const VarianceTraces& owner, const std::vector<std::vector<double>>& lambda,
            ThreadPool& pool, InterruptCheck& interrupt)
      : owner_(owner),
        kernels_(owner.widest_ > kSmall ? owner.kernels_ : eigen_kernels()),
        pool_(pool),
        interrupt_(interrupt),
        k_(owner.blocks_[0].k) {
    for (std::size_t t = 0; t < lambda.size(); ++t) {
      const int k = owner.blocks_[t].k;
      lambda_.emplace_back(Map<const MatrixXd>(lambda[t].data(), k, k));
      Sigma_.push_back(lambda_.back() * lambda_.back().transpose());
    }
    for (std::size_t r = 0; r < owner.parameters_.size(); ++r)
      if (owner.parameters_[r].block == 0) of_heads_.push_back(r);
  }

  // Adds a component's t_r to sums[0..m) and its t_rs to what follows, r <= s.
  bool add(const Component& component, double* sums);

 private:
  // Which blocks of A_ht belong to a level of h.
  struct Piece {
    const double* A;  // k x k_t
    int columns;      // k_t
    Level start;      // first column within t
  };

  Index levels() const { return component_->heads_end - component_->heads; }
  double* F(Index i) { return F_.data() + k_ * F_start_[at(i)]; }
  Index width(Index i) const { return F_start_[at(i) + 1] - F_start_[at(i)]; }
  const Level* columns(Index i) const { return column_.data() + F_start_[at(i)]; }
  bool full() const {
    return static_cast<double>(column_.size()) >
           kFull * static_cast<double>(levels() * component_->size);
  }

  // Calls body(first, columns) for tiles of the columns of t, on all threads.
  template <class Body>
  void for_tiles(Body&& body) {
    const Index n = component_->size;
    const Index width = std::clamp<Index>(kTileWork / (n * n), 16, 128);
    const Index together = 2 * width * pool_.size();
    for (Index first = 0; first < n; first += together) {
      interrupt_.poll();
      const Index last = std::min(first + together, n);
      pool_.for_pieces((last - first + width - 1) / width, 1, [&](Index begin, Index end, int) {
        for (Index tile = begin; tile < end; ++tile) {
          const Index c = first + tile * width;
          body(c, static_cast<int>(std::min(width, last - c)));
        }
      });
    }
  }
  void add_gemm(char op, double alpha, std::vector<double>& A, std::vector<double>& B, Index rows,
                bool upper, std::vector<double>& C);

  void eliminate();
  void load_tail();
  void add_products(const std::function<void(Index, double*)>& left, std::vector<double>& C);
  void scatter_products(const std::function<void(Index, double*)>& left, std::vector<double>& C);
  void fill_panel(Index first, Index last, const std::function<const double*(Index)>& source,
                  std::vector<double>& panel) const;
  bool solve_tail(TiledCholesky& dense);
  void scale_rows(const std::vector<MatrixXd>& factor, bool transposed, std::vector<double>& B);
  void add_tail(double* sums);
  void add_head_and_tail(TiledCholesky& dense, double* sums);
  double trace_between(const std::vector<double>& Y, const VarianceParameter& s) const;
  void find_overlap(TiledCholesky& dense);
  void add_head(double* sums);
  double cross_trace(const VarianceParameter& r, const VarianceParameter& s) const;
  double& pair(double* sums, std::size_t r, std::size_t s) const {
    const std::size_t m = owner_.parameters_.size();
    return sums[m + std::max(r, s) * m + std::min(r, s)];
  }

  const VarianceTraces& owner_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  int k_;                                 // of the first block
  std::vector<MatrixXd> lambda_, Sigma_;  // by block
  std::vector<std::size_t> of_heads_;     // parameters of the first block

  const Component* component_ = nullptr;
  std::vector<MatrixXd> M_, X_;   // by level of h: M_hh, and F K F' of it
  std::vector<Index> F_start_;    // levels + 1, in columns
  std::vector<Level> column_;     // columns of t that are not zero in each level's rows of F
  std::vector<double> A_ht_, F_;  // k x width of each level
  std::vector<double> T_;         // M_tt, then T_tt
  std::vector<double> S_;         // S, then its factor
  std::vector<double> G_;         // G', then K
  std::vector<std::vector<double>> B_, Y_;  // by parameter of h: B_r; G'B_r, then K B_r
  std::vector<double> left_, right_;        // panels
};

// M_hh, A_ht and F of each level.
void VarianceTraces::Workspace::eliminate() {
  const CrossProducts& A = owner_.A_;
  M_.resize(at(levels()));
  X_.resize(at(levels()));
  F_start_.assign(1, 0);
  column_.clear();
  A_ht_.clear();
  for (Index i = 0; i < levels(); ++i) {
    if (i % kPoll == 0) interrupt_.poll();
    const Level level = owner_.heads_[at(component_->heads + i)];
    for (int t = 1; t < A.blocks(); ++t) {
      const CrossBlocks& cross = A.cross(0, t);
      const int kt = owner_.blocks_[at(t)].k;
      for (Index e = cross.row_start[at(level)]; e < cross.row_start[at(level) + 1]; ++e) {
        const Level start = owner_.start_[at(t)][at(cross.column[at(e)])];
        for (int c = 0; c < kt; ++c) column_.push_back(start + c);
        const double* value = cross.values.data() + e * k_ * kt;
        A_ht_.insert(A_ht_.end(), value, value + k_ * kt);
      }
    }
    F_start_.push_back(static_cast<Index>(column_.size()));
  }
  F_.resize(A_ht_.size());
  for (Index i = 0; i < levels(); ++i) {
    if (i % kPoll == 0) interrupt_.poll();
    const Level level = owner_.heads_[at(component_->heads + i)];
    const Map<const MatrixXd> A_hh(A.diagonal(0).data() + Index{level} * k_ * k_, k_, k_);
    const auto solver = (MatrixXd::Identity(k_, k_) + A_hh * Sigma_[0]).eval().partialPivLu();
    M_[at(i)] = solver.solve(A_hh);
    X_[at(i)].setZero(k_, k_);
    if (width(i) == 0) continue;  // nothing to solve for, and no pointer to map
    const Map<const MatrixXd> A_ht(A_ht_.data() + k_ * F_start_[at(i)], k_, width(i));
    Map<MatrixXd>(F(i), k_, width(i)) = solver.solve(A_ht);
  }
}

// T_ = A_tt, upper triangle.
void VarianceTraces::Workspace::load_tail() {
  const CrossProducts& A = owner_.A_;
  const Index n = component_->size;
  T_.assign(at(n * n), 0.0);
  const auto put = [&](Level row, Level column, double value) {
    T_[at(std::max(row, column) * n + std::min(row, column))] = value;
  };
  for (Index i = component_->nodes; i < component_->nodes_end; ++i) {
    const Node& node = owner_.nodes_[at(i)];
    const int k = owner_.blocks_[at(node.block)].k;
    const double* own = A.diagonal(node.block).data() + Index{node.level} * k * k;
    for (int c = 0; c < k; ++c)
      for (int r = 0; r <= c; ++r) put(node.start + r, node.start + c, own[c * k + r]);
    for (int t = node.block + 1; t < A.blocks(); ++t) {
      const CrossBlocks& cross = A.cross(node.block, t);
      const int kt = owner_.blocks_[at(t)].k;
      for (Index e = cross.row_start[at(node.level)]; e < cross.row_start[at(node.level) + 1]; ++e)
        for (int c = 0; c < kt; ++c)
          for (int r = 0; r < k; ++r)
            put(node.start + r, owner_.start_[at(t)][at(cross.column[at(e)])] + c,
                cross.values[at((e * kt + c) * k + r)]);
    }
  }
}

// C := C + sum over the levels of left_l'F_l, upper triangle; left(i, out) writes k x width(i).
void VarianceTraces::Workspace::add_products(const std::function<void(Index, double*)>& left,
                                             std::vector<double>& C) {
  if (!full()) {
    scatter_products(left, C);
    return;
  }
  const Index batch = std::max<Index>(1, kPanelRows / k_);
  std::vector<double> own;
  for (Index first = 0; first < levels(); first += batch) {
    const Index last = std::min(first + batch, levels());
    fill_panel(
        first, last,
        [&](Index i) {
          own.resize(at(k_ * width(i)));
          left(i, own.data());
          return own.data();
        },
        left_);
    fill_panel(first, last, [&](Index i) { return F(i); }, right_);
    add_gemm('T', 1.0, left_, right_, (last - first) * k_, true, C);
  }
}

// C := C + alpha op(A) B for B rows x n; A is rows x n where op is 'T', n x n where it is 'N'. Of C
// at least the upper triangle, and only tiles that meet it when `upper`.
void VarianceTraces::Workspace::add_gemm(char op, double alpha, std::vector<double>& A,
                                         std::vector<double>& B, Index rows, bool upper,
                                         std::vector<double>& C) {
  const Index n = component_->size;
  for_tiles([&](Index c, int columns) {
    char transposed = op, plain = 'N';
    double factor = alpha, one = 1.0;
    int m = static_cast<int>(upper ? c + columns : n), inner = static_cast<int>(rows),
        lead = static_cast<int>(n);
    int lead_A = op == 'T' ? inner : lead;
    kernels_.dgemm(&transposed, &plain, &m, &columns, &inner, &factor, A.data(), &lead_A,
                   B.data() + c * rows, &inner, &one, C.data() + c * n, &lead);
  });
}

void VarianceTraces::Workspace::scatter_products(const std::function<void(Index, double*)>& left,
                                                 std::vector<double>& C) {
  const Index n = component_->size;
  std::vector<double> own;
  for (Index i = 0; i < levels(); ++i) {
    if (i % kPoll == 0) interrupt_.poll();
    own.resize(at(k_ * width(i)));
    left(i, own.data());
    const Level* place = columns(i);
    for (Index c = 0; c < width(i); ++c)
      for (Index r = 0; r < width(i); ++r) {
        if (place[r] > place[c]) continue;
        double sum = 0.0;
        for (int e = 0; e < k_; ++e) sum += own[at(r * k_ + e)] * F(i)[c * k_ + e];
        C[at(place[c] * n + place[r])] += sum;
      }
  }
}

// panel ((last - first) k x n) := the rows of some levels, k x width each, at their columns.
void VarianceTraces::Workspace::fill_panel(Index first, Index last,
                                           const std::function<const double*(Index)>& source,
                                           std::vector<double>& panel) const {
  const Index rows = (last - first) * k_;
  panel.assign(at(rows * component_->size), 0.0);
  for (Index i = first; i < last; ++i) {
    const double* own = source(i);
    for (Index c = 0; c < width(i); ++c)
      std::copy_n(own + c * k_, k_, panel.data() + columns(i)[c] * rows + (i - first) * k_);
  }
}

// B := factor B or factor'B, factor block-diagonal by the levels of t.
void VarianceTraces::Workspace::scale_rows(const std::vector<MatrixXd>& factor, bool transposed,
                                           std::vector<double>& B) {
  const Index n = component_->size;
  pool_.for_pieces(n, 64, [&](Index begin, Index end, int) {
    Eigen::VectorXd piece;
    for (Index c = begin; c < end; ++c)
      for (Index i = component_->nodes; i < component_->nodes_end; ++i) {
        const Node& node = owner_.nodes_[at(i)];
        const MatrixXd& own = factor[at(node.block)];
        if (own.rows() == 1) {
          B[at(c * n + node.start)] *= own(0, 0);
          continue;
        }
        Map<Eigen::VectorXd> target(B.data() + c * n + node.start, own.rows());
        if (transposed)
          piece.noalias() = own.transpose() * target;
        else
          piece.noalias() = own * target;
        target = piece;
      }
  });
}

// From M_tt in T_: T_tt in T_ (full), G' in G_.
bool VarianceTraces::Workspace::solve_tail(TiledCholesky& dense) {
  const Index n = component_->size;
  const auto transpose = [n](const std::vector<double>& from, std::vector<double>& to) {
    Map<MatrixXd>(to.data(), n, n) = Map<const MatrixXd>(from.data(), n, n).transpose();
  };
  dense.mirror(T_.data());
  G_ = T_;
  scale_rows(lambda_, true, G_);  // Lambda'M
  S_.resize(G_.size());
  transpose(G_, S_);
  scale_rows(lambda_, true, S_);  // Lambda'M Lambda
  for (Index i = 0; i < n; ++i) S_[at(i * n + i)] += 1.0;
  if (!dense.factor(S_.data())) return false;
  const auto solve = [&](bool transposed) {
    for_tiles([&](Index c, int columns) {
      dense.solve(S_.data(), transposed, G_.data() + c * n, columns);
    });
  };
  solve(true);
  add_gemm('T', -1.0, G_, G_, n, true, T_);
  dense.mirror(T_.data());
  solve(false);
  scale_rows(lambda_, false, G_);
  transpose(G_, S_);
  G_.swap(S_);
  for (double& value : G_) value = -value;
  for (Index i = 0; i < n; ++i) G_[at(i * n + i)] += 1.0;
  return true;
}

// tr(T_tt E_r T_tt E_s), r and s of any blocks but the first.
double VarianceTraces::Workspace::cross_trace(const VarianceParameter& r,
                                              const VarianceParameter& s) const {
  const Index n = component_->size;
  const auto begin = owner_.nodes_.begin() + component_->nodes;
  const auto end = owner_.nodes_.begin() + component_->nodes_end;
  const auto of_block = [](int block) {
    return [block](const Node& node) { return node.block == block; };
  };
  double sum = 0.0;
  const auto last_r =
      std::find_if_not(std::find_if(begin, end, of_block(r.block)), end, of_block(r.block));
  for (auto i = std::find_if(begin, end, of_block(r.block)); i != last_r; ++i) {
    interrupt_.poll();
    for (const auto& a : r.entries) {
      const double* row = T_.data() + (i->start + a.row) * n;
      const double* column = T_.data() + (i->start + a.column) * n;
      for (auto j = std::find_if(begin, end, of_block(s.block)); j != end && j->block == s.block;
           ++j)
        for (const auto& b : s.entries)
          sum += a.value * b.value * row[j->start + b.column] * column[j->start + b.row];
    }
  }
  return sum;
}

void VarianceTraces::Workspace::add_tail(double* sums) {
  const auto& parameters = owner_.parameters_;
  const Index n = component_->size;
  for (std::size_t r = 0; r < parameters.size(); ++r) {
    if (parameters[r].block == 0) continue;
    for (Index i = component_->nodes; i < component_->nodes_end; ++i) {
      const Node& node = owner_.nodes_[at(i)];
      if (node.block != parameters[r].block) continue;
      for (const auto& a : parameters[r].entries)
        sums[r] += a.value * T_[at((node.start + a.row) * n + node.start + a.column)];
    }
    for (std::size_t s = r; s < parameters.size(); ++s)
      if (parameters[s].block != 0) pair(sums, r, s) += cross_trace(parameters[r], parameters[s]);
  }
}

// tr(G'B_r G E_s) for the parameters r of h and s of t; leaves K in G_ and K B_r in Y_[r].
void VarianceTraces::Workspace::add_head_and_tail(TiledCholesky& dense, double* sums) {
  const auto& parameters = owner_.parameters_;
  const Index n = component_->size;
  Y_.resize(of_heads_.size());
  for (std::size_t r = 0; r < of_heads_.size(); ++r) {
    std::vector<double>& Y = Y_[r];
    Y.assign(at(n * n), 0.0);
    dense.mirror(B_[r].data());
    add_gemm('N', 1.0, G_, B_[r], n, false, Y);
    for (std::size_t s = 0; s < parameters.size(); ++s)
      if (parameters[s].block != 0) pair(sums, of_heads_[r], s) += trace_between(Y, parameters[s]);
    scale_rows(Sigma_, false, Y);
  }
  scale_rows(Sigma_, false, G_);
}

// tr(Y G E_s) for an s of t, from Y = G'B_r and G', column by column.
double VarianceTraces::Workspace::trace_between(const std::vector<double>& Y,
                                                const VarianceParameter& s) const {
  const Index n = component_->size;
  double sum = 0.0;
  for (Index j = 0; j < n; ++j) {
    if (j % kPoll == 0) interrupt_.poll();
    const double *y = Y.data() + j * n, *g = G_.data() + j * n;
    for (Index i = component_->nodes; i < component_->nodes_end; ++i) {
      const Node& node = owner_.nodes_[at(i)];
      if (node.block != s.block) continue;
      for (const auto& a : s.entries)
        sum += a.value * y[node.start + a.row] * g[node.start + a.column];
    }
  }
  return sum;
}

// X_l = F_l K F_l' of each level of h.
void VarianceTraces::Workspace::find_overlap(TiledCholesky& dense) {
  const Index n = component_->size;
  if (!full()) {
    pool_.for_pieces(levels(), 64, [&](Index begin, Index end, int) {
      MatrixXd K;
      for (Index i = begin; i < end; ++i) {
        const Level* place = columns(i);
        K.resize(width(i), width(i));
        for (Index c = 0; c < width(i); ++c)
          for (Index r = 0; r < width(i); ++r) K(r, c) = G_[at(place[c] * n + place[r])];
        const Map<const MatrixXd> own(F(i), k_, width(i));
        X_[at(i)].noalias() = own * K * own.transpose();
      }
    });
    return;
  }
  const Index batch = std::max<Index>(1, kPanelRows / k_);
  for (Index first = 0; first < levels(); first += batch) {
    interrupt_.poll();
    const Index last = std::min(first + batch, levels());
    const int rows = static_cast<int>((last - first) * k_);
    fill_panel(first, last, [&](Index i) { return F(i); }, right_);
    left_.resize(right_.size());
    dense.multiply(G_.data(), n, right_.data(), rows, 1.0, left_.data(), rows);
    const Map<const MatrixXd> FK(left_.data(), rows, n), own(right_.data(), rows, n);
    for (Index i = first; i < last; ++i)
      X_[at(i)].noalias() =
          FK.middleRows((i - first) * k_, k_) * own.middleRows((i - first) * k_, k_).transpose();
  }
}

// With T_hh = M - X between equal levels, and F K F' between others.
void VarianceTraces::Workspace::add_head(double* sums) {
  const Index n = component_->size;
  for (std::size_t i = 0; i < of_heads_.size(); ++i)
    for (std::size_t j = i; j < of_heads_.size(); ++j) {
      const VarianceParameter& r = owner_.parameters_[of_heads_[i]];
      const VarianceParameter& s = owner_.parameters_[of_heads_[j]];
      double sum = 0.0;
      for (Index l = 0; l < levels(); ++l) {
        if (l % kPoll == 0) interrupt_.poll();
        sum += trace_of_products(M_[at(l)], r, M_[at(l)], s);
        if (n > 0) sum -= 2.0 * trace_of_products(X_[at(l)], r, M_[at(l)], s);
      }
      if (n > 0)
        sum += Map<const MatrixXd>(Y_[i].data(), n, n)
                   .cwiseProduct(Map<const MatrixXd>(Y_[j].data(), n, n).transpose())
                   .sum();
      pair(sums, of_heads_[i], of_heads_[j]) += sum;
    }
  for (const std::size_t r : of_heads_)
    for (Index l = 0; l < levels(); ++l)
      sums[r] += trace_of_product(M_[at(l)] - X_[at(l)], owner_.parameters_[r]);
}

bool VarianceTraces::Workspace::add(const Component& component, double* sums) {
  component_ = &component;
  eliminate();
  if (component.size > 0) {
    TiledCholesky dense(component.size, kernels_, pool_, interrupt_);
    load_tail();
    add_products(
        [&](Index i, double* out) {
          Map<MatrixXd>(out, k_, width(i)) =
              -Sigma_[0] * Map<const MatrixXd>(A_ht_.data() + k_ * F_start_[at(i)], k_, width(i));
        },
        T_);
    if (!solve_tail(dense)) return false;
    add_tail(sums);
    B_.resize(of_heads_.size());
    for (std::size_t r = 0; r < of_heads_.size(); ++r) {
      B_[r].assign(T_.size(), 0.0);
      add_products(
          [&](Index i, double* out) {
            Map<MatrixXd> left(out, k_, width(i));
            left.setZero();
            const Map<const MatrixXd> own(F(i), k_, width(i));
            for (const auto& a : owner_.parameters_[of_heads_[r]].entries)
              left.row(a.row) += a.value * own.row(a.column);
          },
          B_[r]);
    }
    add_head_and_tail(dense, sums);
    find_overlap(dense);
  }
  add_head(sums);
  return true;
}

// Small components are shared out among the threads, in the same pieces whatever their number;
// large ones follow one by one, with all threads.
bool VarianceTraces::compute(const std::vector<std::vector<double>>& lambda, double* trace,
                             double* traces) {
  const std::size_t m = parameters_.size(), size = m + m * m;
  std::vector<const Component*> small, large;
  for (const Component& component : components_)
    (component.size > kSmall ? large : small).push_back(&component);
  const Index count = static_cast<Index>(small.size());
  const Index pieces = std::clamp<Index>(count, 1, 64), together = pool_.size();
  std::vector<double> sums(at(pieces) * size, 0.0);
  std::atomic<bool> definite{true};
  for (Index first = 0; first < pieces; first += together) {
    interrupt_.poll();
    pool_.for_pieces(std::min(together, pieces - first), 1, [&](Index begin, Index end, int) {
      ThreadPool alone(1);
      InterruptCheck none;  // the caller's is not for worker threads
      Workspace workspace(*this, lambda, alone, none);
      for (Index piece = first + begin; piece < first + end; ++piece)
        for (Index i = count * piece / pieces; i < count * (piece + 1) / pieces; ++i)
          if (!workspace.add(*small[at(i)], sums.data() + at(piece) * size)) definite = false;
    });
  }
  for (Index piece = 1; piece < pieces; ++piece)
    for (std::size_t i = 0; i < size; ++i) sums[i] += sums[at(piece) * size + i];
  Workspace workspace(*this, lambda, pool_, interrupt_);
  for (const Component* component : large)
    if (!workspace.add(*component, sums.data())) return false;
  std::copy_n(sums.begin(), m, trace);
  for (std::size_t s = 0; s < m; ++s)
    for (std::size_t r = 0; r <= s; ++r)
      traces[s * m + r] = traces[r * m + s] = sums[m + s * m + r];
  return definite;
}

}  // namespace crossnest
