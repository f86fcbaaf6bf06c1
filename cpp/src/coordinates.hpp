// The coordinates the engine computes in: centred, scaled, orthonormal columns.
#pragma once

#include <vector>

#include "blocks.hpp"
#include "covariance_parameters.hpp"
#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"
#include "eigen_products.hpp"
#include "layout.hpp"
#include "thread_pool.hpp"
#include "units.hpp"

namespace crossnest {

class Sums;

/// All there is to know of plain coordinates, see Coordinates::plain().
struct PlainColumns {
  Units units;
  Index intercept = -1;                      ///< the constant column of X, -1 if there is none
  double intercept_value = 0.0;              ///< its value
  std::vector<double> means;                 ///< p, taken from the columns of X in units
  std::vector<std::vector<double>> centres;  ///< by term: k, taken from the columns of Z in units

  bool operator==(const PlainColumns& other) const;
  /// Whether they are those of such a design: what was read from bytes may be anything.
  bool is_valid(const Layout& layout) const;
  /// See ByteWriter.
  template <class Self, class Bytes>
  static void exchange(Self& self, Bytes& bytes) {
    bytes(self.units.fixed);
    bytes(self.units.random);
    bytes(self.units.root_weight);
    bytes(self.intercept);
    bytes(self.intercept_value);
    bytes(self.means);
    bytes(self.centres);
  }
};

/// A change of coordinates that makes a fit free of the units and origins of the data.
///
/// Fixed effects: X (its independent columns, the intercept moved to the front) = X~ T with
/// X~'W X~ = n I, so that beta = T^-1 beta~ and log|C| = log|C~| + 2 log|det T|.
/// Random effects of a term: Z = Z~ T_t with Z~'W Z~ = n I (or unit diagonal where the covariance
/// structure allows only that), so b~ = T_t b and lambda~ = T_t lambda.
///
/// Columns of extreme size are read in units of their own (see Units), so that no product of theirs
/// overflows or vanishes: a mapped row holds x~, z~ and w~ = w / v with v the unit of the weights,
/// and T and T_t take up the units: sqrt(w) x = sqrt(w~) x~ T, and so on.
///
/// The coordinates are found once from the data (two passes over the rows), and rows are then
/// mapped one by one. Cross-products of two batches of rows can be merged when both use the same
/// coordinates. Those of the response are its own, see Response.
class Coordinates {
 public:
  Coordinates(const Design& design, const std::vector<Block>& blocks,
              const CovarianceParameters& covariance, ThreadPool& pool);

  /// The columns as they are, all of them kept, but for units and centres: what sums of rows that
  /// are not all at hand are taken in. `intercept` is the column of X that is constant, -1 for
  /// none.
  static Coordinates plain(const Design& design, const std::vector<Block>& blocks,
                           const CovarianceParameters& covariance, Index intercept,
                           ThreadPool& pool);
  static Coordinates plain(const PlainColumns& columns, const Design& design,
                           const std::vector<Block>& blocks);
  /// What these are made of, where they are plain.
  PlainColumns columns() const;
  /// Those of the rows that were added to sums, of [X y] where X is meant.
  Coordinates(const Sums& sums, const std::vector<Block>& blocks,
              const CovarianceParameters& covariance);

  /// The kept (linearly independent) columns of X, increasing.
  const std::vector<Index>& pivot() const { return pivot_; }
  /// The rank of X.
  Index rank() const { return static_cast<Index>(pivot_.size()); }
  /// Columns of Z~, those of all blocks.
  Index random_columns() const { return random_columns_; }
  /// Columns of a mapped row: those of Z~, of X~, and w~.
  Index row_width() const { return random_columns_ + rank() + 1; }

  /// Maps the rows [begin, end) of a design to `out`, row-major, row_width() numbers each:
  /// [z~ of all blocks | x~ | w~].
  void map_rows(const Design& design, Index begin, Index end, double* out) const;
  /// The part of Z~ alone, the rows `width` apart.
  void map_random(const Design& design, Index begin, Index end, double* out, Index width) const;
  /// The kept columns of X less their means, in units and internal order: x~ is this times
  /// from_centred(). Column-major, columns `ld` apart.
  void centred_rows(const Design& design, Index begin, Index end, double* out, Index ld) const;
  /// rank x rank, upper triangular.
  const Eigen::MatrixXd& from_centred() const { return S_; }
  /// w~ of a row, and the sum of all.
  double weight(const Design& design, Index row) const {
    return design.weights == nullptr ? 1.0 : design.weights[row] * inverse_weight_unit_;
  }
  double total_weight() const { return total_weight_; }

  /// T, rank x rank: X (kept columns, as ordered by the user) = X~ T.
  const Eigen::MatrixXd& fixed() const { return fixed_; }
  /// log|det T|.
  double log_det_fixed() const { return log_det_fixed_; }
  /// T_t of a term, k x k.
  const Eigen::MatrixXd& random(int term) const {
    return random_[static_cast<std::size_t>(term)].T;
  }
  /// Takes another T_t of a term, for random effects that are not centred.
  void use(int term, const Eigen::MatrixXd& T);
  /// What takes rows in plain coordinates to these, of X (columns of X, and one more, x rank) and
  /// of a block (k x k).
  Eigen::MatrixXd fixed_from(const Coordinates& plain) const;
  Eigen::MatrixXd random_from(const Coordinates& plain, const Block& block) const;
  /// Unit of a column of X, and the mean taken from it.
  double unit(Index column) const { return units_.fixed[static_cast<std::size_t>(column)]; }
  double mean(Index column) const { return means_[static_cast<std::size_t>(column)]; }
  /// 2^k, where the weights are read in units of 4^k.
  double root_weight_unit() const { return units_.root_weight; }
  /// Throws RangeError, which names the column, where a variance on the user's scale (of the
  /// residuals, of a fixed effect or of a random effect) would be no number of double precision;
  /// `scale` is that of a response.
  void check_range(double scale) const;
  /// Whether a response has variation left: its residual sum of squares is more than rounding of
  /// its variation (the sum of squares about its mean).
  static bool varies(double residual_sum_of_squares, double variation);
  /// The constant column of X, -1 if there is none.
  Index intercept() const { return intercept_; }
  /// The value of the constant column of X, and of that of X~; 0 if there is none.
  double intercept_value() const { return intercept_value_; }
  double constant() const { return constant_; }

 private:
  struct RandomMap {
    Eigen::Index constant = -1;  // which column is the constant 1
    std::vector<double> centre;  // k, subtracted from each column (zero for the constant)
    Eigen::MatrixXd S;           // k x k, z~ = (z / unit - centre) S
    Eigen::MatrixXd T;           // k x k, z = z~ T
  };

  explicit Coordinates(Units units);

  void set_plain(const std::vector<Block>& blocks, const std::vector<Term>& terms);
  void find_total_weight(const Design& design, ThreadPool& pool);
  void find_intercept(const Design& design);
  void find_means(const Design& design, ThreadPool& pool);
  Eigen::MatrixXd independent_columns(const Design& design, ThreadPool& pool);
  Eigen::MatrixXd independent_columns(Eigen::MatrixXd G, Index n);
  std::vector<Eigen::Index> varying_columns(const Eigen::MatrixXd& G);
  void set_order(Index columns);
  void set_fixed(Eigen::MatrixXd T);
  RandomMap centred(const Design& design, int term, CovarianceStructure::ClosedUnder closed,
                    ThreadPool& pool) const;
  Eigen::MatrixXd random_gram(const Design& design, int term, const RandomMap& map,
                              ThreadPool& pool) const;
  void set_random(int term, RandomMap map, const Eigen::MatrixXd& G,
                  CovarianceStructure::ClosedUnder closed);
  Eigen::MatrixXd centred_gram(const Design& design, const std::vector<Index>& columns,
                               ThreadPool& pool) const;
  double centred(const Design& design, Index row, Index column) const;

  Units units_;
  std::vector<double> inverse_units_;  // p, reciprocals of the units of X
  double inverse_weight_unit_ = 1.0;
  double total_weight_ = 0.0;  // sum of w~
  Index random_columns_ = 0;
  std::vector<int> term_order_;    // terms in the order of their columns in a mapped row
  std::vector<RandomMap> random_;  // by term
  std::vector<Index> pivot_;       // kept columns, increasing
  std::vector<Index> order_;       // kept columns in internal order: the intercept first
  Index intercept_ = -1;           // the constant column of X, -1 if none
  std::vector<double> means_;      // p, weighted means in units (zero without an intercept)
  Eigen::MatrixXd S_;  // rank x rank upper triangular: x~ = (x / unit - mean) S in internal order
  Eigen::MatrixXd fixed_;
  double log_det_fixed_ = 0.0, constant_ = 0.0, intercept_value_ = 0.0;
};

}  // namespace crossnest
