#include "sparse_tail.hpp"

#include <algorithm>
#include <stdexcept>

namespace crossnest {

SparseTail::SparseTail(const TailPattern& pattern, int threads, InterruptCheck& interrupt)
    : Tail(pattern.size),
      cholesky_(pattern, &interrupt),
      interrupt_(interrupt),
      scratch_(static_cast<std::size_t>(pattern.size * threads)),
      loaded_(static_cast<std::size_t>(threads), -1) {}

bool SparseTail::factorize(SchurComplement& S) {
  inverted_ = false;
  std::fill(scratch_.begin(), scratch_.end(), 0.0);
  std::fill(loaded_.begin(), loaded_.end(), -1);
  S.read([this](Index, int worker) { return scratch(worker); },
         [this](Index column, int worker) { store_column(column, scratch(worker)); });
  interrupt_.poll();
  return cholesky_.factorize();
}

// From the column's full vector s, which becomes zero again, to its entries.
void SparseTail::store_column(Index column, double* s) {
  double* values = cholesky_.column_values(column);
  const int* rows = cholesky_.column_rows(column);
  for (Index i = 0; i < cholesky_.column_count(column); ++i) {
    values[i] = s[rows[i]];
    s[rows[i]] = 0.0;
  }
}

void SparseTail::invert(bool whole) {
  if (!inverted_) cholesky_.invert();
  inverted_ = true;
  interrupt_.poll();
  for (int worker = 0; worker < static_cast<int>(loaded_.size()); ++worker) {
    Index& loaded = loaded_[static_cast<std::size_t>(worker)];
    if (loaded >= 0) cholesky_.clear_column(loaded, whole_, scratch(worker));
    loaded = -1;
  }
  whole_ = whole;
}

Tail::InverseColumn SparseTail::inverse_column(Index column, int worker) {
  Index& loaded = loaded_[static_cast<std::size_t>(worker)];
  if (loaded >= 0) cholesky_.clear_column(loaded, whole_, scratch(worker));
  cholesky_.load_column(column, whole_, scratch(worker));
  loaded = column;
  return {scratch(worker), whole_, true};
}

void SparseTail::inverse_block(Index row, int rows, Index column, int columns, double* out) const {
  for (int j = 0; j < columns; ++j)
    for (int i = 0; i < rows; ++i) out[j * rows + i] = cholesky_.inverse_entry(row + i, column + j);
}

void SparseTail::multiply_inverse(double*, int, double, double*) {
  throw std::logic_error("the head of a sparse tail has no full levels");
}

}  // namespace crossnest
