// What the cross-products and coordinates hold of a response, formed for many responses at a time.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "crossnest/blocks.hpp"
#include "crossnest/coordinates.hpp"
#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"

namespace crossnest {

/// All the criterion needs of one response, given Z and X.
struct ResponseProducts {
  /// Why a response cannot be fitted, if it cannot. not_finite: a value, or the variance, of the
  /// response is no number of double precision.
  enum class Fault { none, not_finite, no_variation };

  Fault fault = Fault::none;
  Eigen::VectorXd beta0;   ///< rank, least squares in the coordinates of X~
  double scale = 1.0;      ///< s, root mean square of the residuals
  std::vector<double> Zy;  ///< q, Z~'Wy~ by block, level and effect; y~ = (y - X~ beta0) / s
  std::vector<double> Xy;  ///< rank, X~'Wy~
  double yy = 0.0;         ///< y~'Wy~
};

/// Forms the products of many responses with one Z and X.
///
/// Rows are mapped to the engine's coordinates a chunk at a time, and each chunk serves all
/// responses of a call. Not for use from several threads at once.
class ResponseReader {
 public:
  /// The arguments must outlive the reader.
  ResponseReader(const Design& design, const std::vector<Block>& blocks,
                 const Coordinates& coordinates, InterruptCheck& interrupt);

  /// Reads the responses Y (n x count, column-major, less the offset) into `out` (count of them).
  /// Polls the interrupt check; when that throws, `out` is of no use.
  void read(const double* Y, Index count, ResponseProducts* out);

 private:
  const double* mapped(Index begin, Index end);
  /// What is known of a response before its products.
  struct Summary {
    double unit, inverse_unit;  // see Units
    double mean;                // in units, where X has a constant column to take it up
    double variation;           // about the mean
  };

  Summary start(const double* y, ResponseProducts& out) const;
  void project(const double* rows, const double* y, Index count, const Summary& summary,
               ResponseProducts& out) const;
  void add_residuals(const double* rows, Index begin, const double* y, Index count,
                     const Summary& summary, ResponseProducts& out) const;
  void finish(const Summary& summary, ResponseProducts& out) const;

  const Design& design_;
  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  InterruptCheck& interrupt_;
  std::vector<Index> block_start_;  // blocks + 1
  std::vector<double> rows_;        // a chunk of mapped rows
  Index mapped_begin_ = -1;         // its first row
  std::vector<Summary> summaries_;  // by response
};

}  // namespace crossnest
