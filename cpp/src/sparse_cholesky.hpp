// Factorization, solves and selected inverse of the sparse tail.
#pragma once

#include <Eigen/SparseCholesky>
#include <Eigen/SparseCore>
#include <vector>

#include "crossnest/interrupt.hpp"
#include "crossnest/types.hpp"
#include "structure.hpp"

namespace crossnest {

/// S = LL' row by row, on a pattern that Eigen's simplicial Cholesky has analysed once; S comes in
/// the order of elimination, so no permutation is applied. Factorization and inverse poll the
/// interrupt check, if there is one.
class SparseCholesky {
 public:
  using Matrix = Eigen::SparseMatrix<double, Eigen::ColMajor, int>;

  explicit SparseCholesky(const TailPattern& tail, InterruptCheck* interrupt = nullptr);

  /// The upper triangle of S, to be filled before factorize(); by columns, rows increasing.
  double* column_values(Index column) { return S_.valuePtr() + S_.outerIndexPtr()[column]; }
  const int* column_rows(Index column) const {
    return S_.innerIndexPtr() + S_.outerIndexPtr()[column];
  }
  Index column_count(Index column) const {
    return S_.outerIndexPtr()[column + 1] - S_.outerIndexPtr()[column];
  }

  /// False when S is not positive definite.
  bool factorize();
  /// log|S|.
  double log_det() const;
  /// B := L^-1 B and B := L'^-1 B; B is size x columns, column-major.
  void solve_lower(double* B, int columns) const;
  void solve_lower_transposed(double* B, int columns) const;

  /// S^-1 at the entries of L + L' (the selected inverse; Takahashi's equations, as in Erisman and
  /// Tinney, 1975), by columns from the last to the first.
  void invert();
  /// Scatters column c of the selected inverse to `work` (size numbers, zero elsewhere): its rows
  /// >= c, or all its rows when `whole`. clear_column() sets them back to zero.
  void load_column(Index column, bool whole, double* work) const;
  void clear_column(Index column, bool whole, double* work) const;
  /// (S^-1)_ij, zero where it is not an entry of L + L'.
  double inverse_entry(Index i, Index j) const;

 private:
  struct Cholesky : Eigen::SimplicialLLT<Matrix, Eigen::Upper, Eigen::NaturalOrdering<int>> {
    Matrix& factor() { return this->m_matrix; }
    const Matrix& factor() const { return this->m_matrix; }
    int parent(int column) const { return this->m_parent[column]; }
  };

  int reach(int row);
  void index_rows();
  void poll() const {
    if (interrupt_ != nullptr) interrupt_->poll();
  }

  Index size_;
  InterruptCheck* interrupt_;
  Matrix S_;
  Cholesky cholesky_;
  std::vector<double> inverse_;              // on the pattern of L
  std::vector<double> work_;                 // size
  std::vector<int> filled_, tag_, reached_;  // size each: see factorize()
  std::vector<int> place_;      // size: where a row stands among those of the current column
  std::vector<int> row_start_;  // size + 1: L's pattern by rows, strictly below the diagonal
  std::vector<int> row_column_, row_entry_;
};

}  // namespace crossnest
