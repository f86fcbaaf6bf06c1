// Variances of predictions at rows that need not be those fitted.
#pragma once

#include <vector>

#include "criterion.hpp"
#include "eigen_products.hpp"

namespace crossnest {

/// Throws std::invalid_argument unless `rows` has the columns, factors and terms of `fitted`, every
/// code is below its factor's number of levels, and `included` has one entry for each term. Columns
/// that are constant in `fitted`, those of intercepts, must be so here: the other columns are
/// centred, so a contrast of two rows is no row.
void check_new_rows(const Design& fitted, const Coordinates& coordinates, const Design& rows,
                    const std::vector<bool>& included);

/// Var(x(beta^ - beta) + z(b^ - b)) / sigma^2 given theta, row by row:
///
///     |L^-1 Lambda'z'|^2 + |(x - z Lambda U_X) R_X^-1|^2
///
/// from the inverse of Henderson's mixed-model equations (Henderson 1975, Biometrics 31, 423-447),
/// which is sigma^2 times the covariance of (beta^, b^ - b). z has the effects of at most one level
/// a block, so L^-1 Lambda'z' is solved for along that level's path to the tail, and once for all
/// rows of the same levels where that is less work.
///
/// A code below 0 is a level that was not fitted: b^ is 0 there and |lambda'z'|^2 is added. Terms
/// not `included` count as z = 0. `rows.y` and `rows.weights` are not read.
class PredictionVariances {
 public:
  /// At the theta of the last objective(), which must have been finite. Everything must outlive
  /// this.
  PredictionVariances(const Design& rows, const std::vector<bool>& included,
                      const std::vector<Block>& blocks, const Coordinates& coordinates,
                      Criterion& criterion, ThreadPool& pool);

  /// The variances (rows.n), in units of sigma^2.
  std::vector<double> compute(InterruptCheck& interrupt);

 private:
  /// Rows of equal levels, and the columns of L^-1 Lambda'Z' that serve them.
  struct Group {
    Index begin, end;          // into order_
    std::vector<Level> level;  // by block: -1 where it is not fitted or no term is included
    std::vector<int> effects;  // columns of a mapped row that belong to a fitted level
    Index first_column = 0;    // within the chunk
    int columns = 0;           // one for each row, or for each effect if these are fewer
    bool by_row() const { return columns < static_cast<int>(effects.size()); }
  };
  /// A row in the engine's coordinates.
  struct Row {
    std::vector<double> mapped;  // as Coordinates::map_rows() leaves it
    std::vector<double> left;    // Lambda'z', all blocks, terms left out zero
  };

  Level level(Index row, std::size_t block) const;
  void sort_rows(InterruptCheck& interrupt);
  Group make_group(Index begin) const;
  std::vector<Group> make_chunk(Index begin) const;
  void map(Index i, Row& row) const;
  double unfitted(const Group& group, const Row& row) const;
  double fixed(const Group& group, const Row& row) const;
  void solve_head(const Group& group);
  void finish(const Group& group, double* variances) const;
  void compute_chunk(const std::vector<Group>& groups, double* variances);

  Design rows_;
  std::vector<bool> included_;
  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  const Criterion& criterion_;
  const Factor& factor_;
  ThreadPool& pool_;
  std::vector<bool> block_included_;
  int width_ = 0;              // columns of all blocks in a mapped row
  Eigen::MatrixXd R_inverse_;  // rank x rank
  std::vector<Index> order_;   // rows, those of equal levels together
  std::vector<double> head_;   // head_rows x columns of the chunk
  std::vector<double> tail_;   // tail_rows x columns of the chunk
};

}  // namespace crossnest
