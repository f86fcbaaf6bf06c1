// What a response contributes to a fit, given Z and X.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "crossnest/blocks.hpp"
#include "crossnest/coordinates.hpp"
#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/thread_pool.hpp"

namespace crossnest {

/// A covariance parameter that is not estimated, because the data do not determine it.
struct HeldParameter {
  int parameter;   ///< index into theta
  double value;    ///< in the engine's coordinates
  bool reml_only;  ///< whether maximum likelihood determines it after all
};

/// All a fit needs to know of one response: a value, which any number of fits may look at.
///
/// The engine's response is y~ = (y - X~ beta0) / s, residuals of ordinary least squares with mean
/// square one; this also keeps y'Wy small, so that r2 loses no digits by cancellation.
struct Response {
  /// Why a response cannot be fitted, if it cannot.
  enum class Fault {
    none,
    not_finite,    ///< a value is no number
    no_variation,  ///< it is constant, or fitted exactly by the fixed effects
    out_of_range   ///< its residual variance would be no number of double precision
  };

  Fault fault = Fault::none;
  const double* y = nullptr;     ///< n, the caller's: for what is computed row by row
  double unit = 1.0;             ///< mapped responses are y / unit, see Units
  Eigen::VectorXd mapped_beta0;  ///< rank, least squares in the coordinates of X~ and in units
  double mapped_scale = 1.0;     ///< s in units
  Eigen::VectorXd beta0;         ///< rank, the same on the user's scale
  double scale = 1.0;
  std::vector<double> Zy;           ///< q, Z~'Wy~ by block, level and effect
  std::vector<double> Xy;           ///< rank, X~'Wy~
  double yy = 0.0;                  ///< y~'Wy~
  std::vector<HeldParameter> held;  ///< see held_parameters()
};

/// Throws where a response cannot be fitted: FitError, a RangeError that names the column, or
/// std::invalid_argument.
void require_fittable(const Response& response, const Coordinates& coordinates);

/// Reads responses: two passes over the rows, which serve all responses of a call.
///
/// Not for use from several threads at once; the numbers do not depend on the threads of the pool.
class ResponseReader {
 public:
  /// The arguments must outlive the reader.
  ResponseReader(const Design& design, const std::vector<Block>& blocks,
                 const Coordinates& coordinates, ThreadPool& pool);

  /// Reads the responses Y (n x count, column-major, less the offset) into `out` (count of them).
  /// When it throws, `out` is of no use.
  void read(const double* Y, Index count, Response* out);

 private:
  using Matrix = Eigen::MatrixXd;

  void find_units(const double* Y, Index count, Response* out);
  void find_means(const double* Y, Index count, const Response* out);
  void project(const double* Y, Index count, Response* out);
  void read_chunk(const double* Y, Index begin, Index end, Index count, Response* out);
  void subtract_fitted(const double* Y, Index begin, Index first, Index last, Index count,
                       const Response* out);
  void add_to_levels(Index begin, Index end, Index owner, Index count, Response* out) const;
  void finish(Index r, Response& out) const;

  const Design& design_;
  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  ThreadPool& pool_;
  Index chunk_;                            // rows read together
  std::vector<Index> block_start_;         // blocks + 1
  std::vector<std::vector<Level>> cuts_;   // by block: the levels each thread owns
  std::vector<double> means_, variation_;  // by response, in units, about what X can take up
  Matrix slopes_;                          // rank x count: fitted = centred X slopes
  std::vector<double> z_;                  // chunk x columns of Z~, row-major
  Matrix residuals_;                       // chunk x count, times the weights
  Matrix sums_;                            // by piece of the chunk: (rank + 1) x count
};

}  // namespace crossnest
