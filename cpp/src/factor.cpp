#include "factor.hpp"

#include <algorithm>
#include <cmath>

#include "factor_numbers.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Factors the tail, solves for its rows of R_Z and takes their square off F.
bool factor_tail(FactorNumbers& n) {
  if (!n.tail) return true;
  if (!n.tail->factorize(n.schur)) return false;
  n.log_det += n.tail->log_det();
  const Index q2 = n.tail->size();
  double* R = n.schur.border().data();
  n.for_border_columns([&](int first, int count) { n.tail->solve_lower(R + first * q2, count); });
  for (int j = 0; j < n.border; ++j) {
    n.interrupt.poll();
    for (int i = 0; i <= j; ++i) {
      const double *a = R + i * q2, *b = R + j * q2;
      double sum = 0.0;
      for (Index m = 0; m < q2; ++m) sum += a[m] * b[m];
      n.F[at(j * n.border + i)] -= sum;
    }
  }
  return true;
}

// F from F'F, in place.
bool factor_border(FactorNumbers& n) {
  for (int j = 0; j < n.border; ++j) {
    n.interrupt.poll(static_cast<double>(j) * j);
    double* column = n.F.data() + j * n.border;
    for (int i = 0; i <= j; ++i) {
      const double value = column[i] - dot<0>(n.F.data() + i * n.border, column, i);
      if (i < j) {
        column[i] = value / n.F[at(i * n.border + i)];
      } else {
        if (!(value > 0.0)) return false;
        column[j] = std::sqrt(value);
      }
    }
  }
  return true;
}

// (U_F)_l = L_l'^-1 (R_l,border F^-1 - sum over later columns of R_lj (U_F)_j).
template <int K>
void solve_border_level(FactorNumbers& n, int h, Index level, double* rhs) {
  const HeadBlock& head = n.head.pattern(h);
  const int k = K > 0 ? K : head.k;
  const Index q = n.q();
  const double* row = n.head.R(h, level);
  std::copy_n(row + head.border_offset * k, k * n.border, rhs);
  n.divide_by_F(rhs, k, k);
  for (const HeadBlock::Ancestor& ancestor : head.ancestors) {
    const Index start = n.vectors.start(n.head.pattern(ancestor.head).block) +
                        Index{(*ancestor.parent)[at(level)]} * ancestor.k;
    for (int b = 0; b < n.border; ++b)
      for (int c = 0; c < ancestor.k; ++c) {
        const double w = n.U_F[at(b * q + start + c)];
        for (int i = 0; i < k; ++i) rhs[b * k + i] -= row[(ancestor.offset + c) * k + i] * w;
      }
  }
  const Index q2 = n.tail_pattern().size;
  const double* tail = row + head.fixed * k;
  const Index first = head.tail_start[at(level)], last = head.tail_start[at(level) + 1];
  for (int b = 0; b < n.border; ++b) {
    const double* solution = n.tail_solution.data() + b * q2;
    for (Index e = first; e < last; ++e) {
      const double w = solution[head.tail_column[at(e)]];
      for (int i = 0; i < k; ++i) rhs[b * k + i] -= tail[(e - first) * k + i] * w;
    }
  }
  solve_lower_transposed<K>(n.head.L(h, level), k, rhs, n.border);
  for (int b = 0; b < n.border; ++b)
    std::copy_n(rhs + b * k, k, n.U_F.data() + b * q + n.vectors.start(head.block) + level * k);
}

// The tail's part of U_F.
void solve_border_tail(FactorNumbers& n) {
  const TailPattern& tail = n.tail_pattern();
  n.tail_solution = n.schur.border();
  n.pool.for_pieces(tail.size, 256, [&](Index begin, Index end, int) {
    n.divide_by_F(n.tail_solution.data() + begin, end - begin, tail.size);
  });
  n.for_border_columns([&](int first, int count) {
    n.tail->solve_lower_transposed(n.tail_solution.data() + first * tail.size, count);
  });
  for (const TailPattern::Node& node : tail.nodes) {
    const int k = n.k(node.block);
    double* target = n.U_F.data() + n.vectors.start(node.block) + Index{node.level} * k;
    for (int b = 0; b < n.border; ++b)
      std::copy_n(n.tail_solution.data() + b * tail.size + node.start, k, target + b * n.q());
  }
}

void solve_border(FactorNumbers& n) {
  n.U_F.resize(at(n.q() * n.border));
  if (n.tail) solve_border_tail(n);
  for (int h = n.head.size() - 1; h >= 0; --h) {
    const HeadBlock& head = n.head.pattern(h);
    n.pool.for_pieces(head.levels, Head::grain(head.k * n.border * Head::average_width(head)),
                      [&](Index begin, Index end, int worker) {
                        double* rhs = n.scratch.data() + at(worker) * n.scratch_size;
                        with_size(head.k, [&](auto K) {
                          for (Index level = begin; level < end; ++level)
                            solve_border_level<K()>(n, h, level, rhs);
                        });
                      });
  }
  n.solved = true;
}

}  // namespace

FactorNumbers::FactorNumbers(const std::vector<Block>& all_blocks, const CrossProducts& products,
                             const Structure& order, const DenseKernels& table, ThreadPool& threads,
                             InterruptCheck& check)
    : blocks(all_blocks),
      A(products),
      structure(order),
      kernels(table),
      pool(threads),
      interrupt(check),
      vectors(blocks, A, kernels, pool, interrupt),
      border(A.rank() + 1),
      lambda(blocks),
      beside(A),
      head(blocks, A, structure, kernels, pool, interrupt),
      schur(blocks, A, structure, lambda, beside, head, kernels, pool, interrupt),
      tail(make_tail(structure.tail(), kernels, pool, interrupt)),
      F(at(Index{border} * border)),
      tail_solution(schur.border().size()),
      head_inverse(structure.heads().size()),
      inverse_diagonal(blocks.size()) {
  int widest = 1;
  for (const Block& block : blocks) widest = std::max(widest, block.k);
  for (int h = 0; h < head.size(); ++h)
    reached_start.push_back(reached_start.back() + Index{h + 1} * head.pattern(h).k);
  scratch_size = at(Index{widest} * border);
  scratch.resize(scratch_size * at(pool.size()));
}

void FactorNumbers::divide_by_F(double* columns, Index rows, Index ld) const {
  for (int b = 0; b < border; ++b) {
    double* own = columns + b * ld;
    for (int a = 0; a < b; ++a) {
      const double f = F[at(b * border + a)];
      for (Index i = 0; i < rows; ++i) own[i] -= columns[a * ld + i] * f;
    }
    const double inverse = 1.0 / F[at(b * border + b)];
    for (Index i = 0; i < rows; ++i) own[i] *= inverse;
  }
}

FactorWorkspace::FactorWorkspace(const std::vector<Block>& blocks, const CrossProducts& A,
                                 const Structure& structure, const DenseKernels& kernels,
                                 ThreadPool& pool, InterruptCheck& interrupt)
    : numbers_(std::make_unique<FactorNumbers>(blocks, A, structure, kernels, pool, interrupt)) {}

FactorWorkspace::~FactorWorkspace() = default;

std::optional<Factor> FactorWorkspace::factorize(const std::vector<std::vector<double>>& lambda,
                                                 const Response& response) {
  FactorNumbers& n = *numbers_;
  n.lambda.set(lambda);
  n.solved = false;
  n.inverted = FactorNumbers::Inverted::no;
  n.log_det = 0.0;
  n.beside.set(response);
  n.beside.copy_inner(n.F.data());
  if (!n.head.factorize(n.lambda, n.beside, n.log_det, n.F) || !factor_tail(n) || !factor_border(n))
    return std::nullopt;
  return Factor(n);
}

bool FactorWorkspace::keeps_factor() const { return !numbers_->tail; }

const EffectVectors& FactorWorkspace::vectors() const { return numbers_->vectors; }

const Border& FactorWorkspace::beside() const { return numbers_->beside; }

double Elimination::log_det() const { return numbers_->log_det; }

const std::vector<double>& Elimination::border() const { return numbers_->F; }

const std::vector<double>& Elimination::border_solution() const {
  if (!numbers_->solved) solve_border(*numbers_);
  return numbers_->U_F;
}

}  // namespace crossnest
