// What eliminating the head leaves of the tail.
#pragma once

#include <vector>

#include "border.hpp"
#include "head.hpp"

namespace crossnest {

/// S = Lambda'Z'WZ Lambda + I - R'R over the columns of the tail, and its border
/// Lambda'Z'W[X y] - R'R_border, with R the head's rows.
///
/// A tail reads S column by column and stores it as it likes. Some levels of the head couple with
/// so many columns that their part is not in those: it follows as products of full matrices. Sparse
/// tails have no such levels.
class SchurComplement {
 public:
  SchurComplement(const std::vector<Block>& blocks, const CrossProducts& A,
                  const Structure& structure, const Lambda& lambda, const Border& border,
                  const Head& head, const DenseKernels& kernels, ThreadPool& pool,
                  InterruptCheck& interrupt);

  /// q2.
  Index size() const { return tail_.size; }
  /// q2 x border, once S has been read; a tail leaves L^-1 of it here.
  std::vector<double>& border() { return border_; }
  const std::vector<double>& border() const { return border_; }

  /// Computes every column of the upper triangle of S, but for the full levels' part, on all
  /// threads: open(column, worker) returns space of zeros for rows 0 ... column, and
  /// close(column, worker) is called when they are there.
  template <class Open, class Close>
  void read(Open&& open, Close&& close);
  /// Calls subtract(P, rows) for each panel P (rows x q2, column-major) of rows R_l of full levels,
  /// of which P'P is still to be subtracted from S.
  template <class Subtract>
  void read_full_levels(Subtract&& subtract);

  /// Calls use(first, count, rows, P) with the rows R_l of `count` full levels of a head block one
  /// below the other in P (rows x q2), rows = count x k.
  template <class Use>
  void for_full_panels(const HeadBlock& head, const double* R, Use&& use);

 private:
  void load_column(const TailPattern::Node& node, int effect, double* s, double* scratch) const;
  void compute_column(const TailPattern::Node& node, int effect, double* s, double* scratch);
  template <int K>
  void subtract_head(const HeadBlock& head, const double* R, Index column, double* s,
                     double* border) const;
  double work_of_a_column() const;
  void fill_panel(const HeadBlock& head, const double* R, Index first, Index count);
  void subtract_full_border(const HeadBlock& head, const double* R, Index first, Index count);
  double* scratch(int worker) {
    return scratch_.data() + static_cast<std::size_t>(worker) * scratch_size_;
  }

  const CrossProducts& A_;
  const TailPattern& tail_;
  const Lambda& lambda_;
  const Border& products_;
  const Head& head_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  int columns_;                 // of the border
  std::vector<double> border_;  // q2 x border
  std::vector<double> panel_;   // rows x q2: the R_l of some full levels
  std::vector<double> panel_border_;
  std::size_t scratch_size_;     // a row of the border and k numbers
  std::vector<double> scratch_;  // for each thread
};

template <class Open, class Close>
void SchurComplement::read(Open&& open, Close&& close) {
  pool_.for_pieces(static_cast<Index>(tail_.nodes.size()), Head::grain(work_of_a_column()),
                   [&](Index begin, Index end, int worker) {
                     for (Index n = begin; n < end; ++n) {
                       const TailPattern::Node& node = tail_.nodes[static_cast<std::size_t>(n)];
                       const int k = lambda_.k(node.block);
                       for (int effect = 0; effect < k; ++effect) {
                         const Index column = node.start + effect;
                         compute_column(node, effect, open(column, worker), scratch(worker));
                         close(column, worker);
                       }
                     }
                   });
}

template <class Subtract>
void SchurComplement::read_full_levels(Subtract&& subtract) {
  for (int h = 0; h < head_.size(); ++h) {
    const HeadBlock& head = head_.pattern(h);
    for_full_panels(head, head_.values(h), [&](Index first, Index count, int rows, double* P) {
      subtract(P, rows);
      subtract_full_border(head, head_.values(h), first, count);
    });
  }
}

template <class Use>
void SchurComplement::for_full_panels(const HeadBlock& head, const double* R, Use&& use) {
  constexpr Index kRows = 256;
  const Index levels = static_cast<Index>(head.full_levels.size());
  const Index batch = kRows / head.k > 1 ? kRows / head.k : 1;
  for (Index first = 0; first < levels; first += batch) {
    interrupt_.poll();
    const Index count = batch < levels - first ? batch : levels - first;
    fill_panel(head, R, first, count);
    use(first, count, static_cast<int>(count * head.k), panel_.data());
  }
}

}  // namespace crossnest
