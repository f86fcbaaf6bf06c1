#include "sparse_cholesky.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace crossnest {

SparseCholesky::SparseCholesky(const TailPattern& tail, InterruptCheck* interrupt)
    : size_(tail.size), interrupt_(interrupt), S_(tail.size, tail.size) {
  std::vector<double> values(tail.row.size(), 1.0);
  S_ = Eigen::Map<const Matrix>(tail.size, tail.size, static_cast<Eigen::Index>(tail.row.size()),
                                tail.column_start.data(), tail.row.data(), values.data());
  cholesky_.analyzePattern(S_);
  work_.resize(static_cast<std::size_t>(size_));
  filled_.resize(work_.size());
  tag_.resize(work_.size());
  reached_.resize(work_.size());
}

// Scatters column `row` of the upper triangle of S to work_, and puts the columns of L that have an
// entry in that row, in an order in which they can be solved for, at the end of reached_: the paths
// up the elimination tree from each entry. Returns where they begin.
int SparseCholesky::reach(int row) {
  int top = static_cast<int>(size_);
  tag_[static_cast<std::size_t>(row)] = row;
  for (int p = S_.outerIndexPtr()[row]; p < S_.outerIndexPtr()[row + 1]; ++p) {
    int i = S_.innerIndexPtr()[p], length = 0;
    work_[static_cast<std::size_t>(i)] += S_.valuePtr()[p];
    for (; tag_[static_cast<std::size_t>(i)] != row; i = cholesky_.parent(i)) {
      reached_[static_cast<std::size_t>(length++)] = i;
      tag_[static_cast<std::size_t>(i)] = row;
    }
    while (length > 0)
      reached_[static_cast<std::size_t>(--top)] = reached_[static_cast<std::size_t>(--length)];
  }
  return top;
}

// Row by row, each a sparse triangular solve (Davis, Direct Methods for Sparse Linear Systems,
// 2006, section 4.7).
bool SparseCholesky::factorize() {
  constexpr int kPoll = 16;  // rows between two polls
  Matrix& L = cholesky_.factor();
  const int* start = L.outerIndexPtr();
  int* row = L.innerIndexPtr();
  double* value = L.valuePtr();
  std::fill(work_.begin(), work_.end(), 0.0);
  std::fill(tag_.begin(), tag_.end(), -1);
  std::fill(filled_.begin(), filled_.end(), 0);  // entries so far of each column of L
  for (int k = 0; k < size_; ++k) {
    if (k % kPoll == 0) poll();
    int next = reach(k);
    double pivot = std::exchange(work_[static_cast<std::size_t>(k)], 0.0);
    for (; next < size_; ++next) {
      const int column = reached_[static_cast<std::size_t>(next)];
      const double entry =
          std::exchange(work_[static_cast<std::size_t>(column)], 0.0) / value[start[column]];
      const int end = start[column] + filled_[static_cast<std::size_t>(column)]++;
      for (int p = start[column] + 1; p < end; ++p)
        work_[static_cast<std::size_t>(row[p])] -= value[p] * entry;
      pivot -= entry * entry;
      row[end] = k;
      value[end] = entry;
    }
    if (!(pivot > 0.0)) return false;
    const int diagonal = start[k] + filled_[static_cast<std::size_t>(k)]++;
    row[diagonal] = k;
    value[diagonal] = std::sqrt(pivot);
  }
  return true;
}

double SparseCholesky::log_det() const {
  const Matrix& L = cholesky_.factor();
  double sum = 0.0;
  for (Index j = 0; j < size_; ++j) sum += std::log(L.valuePtr()[L.outerIndexPtr()[j]]);
  return 2.0 * sum;
}

void SparseCholesky::solve_lower(double* B, int columns) const {
  const Matrix& L = cholesky_.factor();
  const int* start = L.outerIndexPtr();
  for (int c = 0; c < columns; ++c, B += size_)
    for (Index j = 0; j < size_; ++j) {
      const double x = B[j] /= L.valuePtr()[start[j]];
      for (int p = start[j] + 1; p < start[j + 1]; ++p)
        B[L.innerIndexPtr()[p]] -= L.valuePtr()[p] * x;
    }
}

void SparseCholesky::solve_lower_transposed(double* B, int columns) const {
  const Matrix& L = cholesky_.factor();
  const int* start = L.outerIndexPtr();
  for (int c = 0; c < columns; ++c, B += size_)
    for (Index j = size_ - 1; j >= 0; --j) {
      double x = B[j];
      for (int p = start[j] + 1; p < start[j + 1]; ++p)
        x -= L.valuePtr()[p] * B[L.innerIndexPtr()[p]];
      B[j] = x / L.valuePtr()[start[j]];
    }
}

// For column j with rows J below the diagonal, l = L_Jj / L_jj and Z = S^-1:
//   Z_Jj = -Z_JJ l,   Z_jj = 1 / L_jj^2 - l'Z_Jj,
// and Z_JJ is known, since every pair of rows of J is an entry of L.
void SparseCholesky::invert() {
  const Matrix& L = cholesky_.factor();
  const int* start = L.outerIndexPtr();
  const int* row = L.innerIndexPtr();
  const double* value = L.valuePtr();
  inverse_.resize(static_cast<std::size_t>(start[size_]));
  place_.assign(static_cast<std::size_t>(size_), -1);
  for (Index j = size_ - 1; j >= 0; --j) {
    if (j % 16 == 0) poll();
    const int begin = start[j] + 1, end = start[j + 1];
    const double pivot = value[start[j]];
    for (int p = begin; p < end; ++p) {
      place_[static_cast<std::size_t>(row[p])] = p;
      work_[static_cast<std::size_t>(row[p])] = value[p] / pivot;
      inverse_[static_cast<std::size_t>(p)] = 0.0;
    }
    for (int p = begin; p < end; ++p) {
      const int k = row[p];
      const double l_k = work_[static_cast<std::size_t>(k)];
      double sum = inverse_[static_cast<std::size_t>(start[k])] * l_k;
      for (int e = start[k] + 1; e < start[k + 1]; ++e) {
        const int i = row[e];
        const int at = place_[static_cast<std::size_t>(i)];
        if (at < 0) continue;
        const double z = inverse_[static_cast<std::size_t>(e)];
        sum += z * work_[static_cast<std::size_t>(i)];
        inverse_[static_cast<std::size_t>(at)] -= z * l_k;
      }
      inverse_[static_cast<std::size_t>(p)] -= sum;
    }
    double diagonal = 1.0 / (pivot * pivot);
    for (int p = begin; p < end; ++p) {
      diagonal -= work_[static_cast<std::size_t>(row[p])] * inverse_[static_cast<std::size_t>(p)];
      place_[static_cast<std::size_t>(row[p])] = -1;
    }
    inverse_[static_cast<std::size_t>(start[j])] = diagonal;
  }
  if (row_start_.empty()) index_rows();
}

// The pattern of L by rows.
void SparseCholesky::index_rows() {
  const Matrix& L = cholesky_.factor();
  const int* start = L.outerIndexPtr();
  const int* row = L.innerIndexPtr();
  row_start_.assign(static_cast<std::size_t>(size_) + 1, 0);
  for (Index j = 0; j < size_; ++j)
    for (int p = start[j] + 1; p < start[j + 1]; ++p)
      ++row_start_[static_cast<std::size_t>(row[p]) + 1];
  std::partial_sum(row_start_.begin(), row_start_.end(), row_start_.begin());
  std::vector<int> next(row_start_.begin(), row_start_.end() - 1);
  row_column_.resize(static_cast<std::size_t>(row_start_.back()));
  row_entry_.resize(row_column_.size());
  for (Index j = 0; j < size_; ++j)
    for (int p = start[j] + 1; p < start[j + 1]; ++p) {
      const std::size_t place = static_cast<std::size_t>(next[static_cast<std::size_t>(row[p])]++);
      row_column_[place] = static_cast<int>(j);
      row_entry_[place] = p;
    }
}

void SparseCholesky::load_column(Index column, bool whole, double* work) const {
  const Matrix& L = cholesky_.factor();
  for (int p = L.outerIndexPtr()[column]; p < L.outerIndexPtr()[column + 1]; ++p)
    work[L.innerIndexPtr()[p]] = inverse_[static_cast<std::size_t>(p)];
  if (!whole) return;
  const std::size_t c = static_cast<std::size_t>(column);
  for (std::size_t i = static_cast<std::size_t>(row_start_[c]);
       i < static_cast<std::size_t>(row_start_[c + 1]); ++i)
    work[row_column_[i]] = inverse_[static_cast<std::size_t>(row_entry_[i])];
}

void SparseCholesky::clear_column(Index column, bool whole, double* work) const {
  const Matrix& L = cholesky_.factor();
  for (int p = L.outerIndexPtr()[column]; p < L.outerIndexPtr()[column + 1]; ++p)
    work[L.innerIndexPtr()[p]] = 0.0;
  if (!whole) return;
  const std::size_t c = static_cast<std::size_t>(column);
  for (std::size_t i = static_cast<std::size_t>(row_start_[c]);
       i < static_cast<std::size_t>(row_start_[c + 1]); ++i)
    work[row_column_[i]] = 0.0;
}

double SparseCholesky::inverse_entry(Index i, Index j) const {
  const Matrix& L = cholesky_.factor();
  const int column = static_cast<int>(std::min(i, j)), row = static_cast<int>(std::max(i, j));
  const int* begin = L.innerIndexPtr() + L.outerIndexPtr()[column];
  const int* end = L.innerIndexPtr() + L.outerIndexPtr()[column + 1];
  const int* found = std::lower_bound(begin, end, row);
  return found != end && *found == row
             ? inverse_[static_cast<std::size_t>(found - L.innerIndexPtr())]
             : 0.0;
}

}  // namespace crossnest
