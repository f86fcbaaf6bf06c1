// From the rows of responses to what they contribute.
#pragma once

#include <vector>

#include "blocks.hpp"
#include "coordinates.hpp"
#include "cross_products.hpp"
#include "crossnest/design.hpp"
#include "crossnest/response.hpp"
#include "crossnest/sums.hpp"
#include "eigen_products.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// Throws where a response cannot be fitted: FitError, a RangeError that names the column, or
/// std::invalid_argument.
void require_fittable(const Response& response, const Coordinates& coordinates);

/// The response whose products with Z and X are in the sums; it has no rows.
Response response_of(const Sums& sums, const std::vector<Block>& blocks,
                     const Coordinates& coordinates, const CrossProducts& A);

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
