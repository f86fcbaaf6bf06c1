// Covariances of the random effects given y, between any of their levels.
#pragma once

#include <vector>

#include "crossnest/design.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

class Coordinates;
class Criterion;
class Structure;
class ThreadPool;
struct Block;

/// A level of a grouping factor, both by index.
struct LevelOf {
  int factor;
  Level level;
};
inline bool operator<(const LevelOf& a, const LevelOf& b) {
  return a.factor != b.factor ? a.factor < b.factor : a.level < b.level;
}
inline bool operator==(const LevelOf& a, const LevelOf& b) {
  return a.factor == b.factor && a.level == b.level;
}

/// Var(b | y) / sigma^2 = Lambda Omega^-1 Lambda', given theta and beta, and what ties b to the
/// fixed effects, V = Lambda U_X RX^-1: the error of x beta^ + z b^ has the variance
/// sigma^2 (|x RX^-1 - z V|^2 + z Lambda Omega^-1 Lambda' z').
///
/// All on the user's scale. The K effects of a factor's level are those of all terms on it, as the
/// terms come.
class ConditionalCovariance {
 public:
  /// At a theta on the user's scale, at which the criterion was just evaluated. Keeps references.
  ConditionalCovariance(const Design& design, const std::vector<Block>& blocks,
                        const Coordinates& coordinates, const Structure& structure,
                        Criterion& criterion, const double* theta, const DenseKernels& kernels,
                        ThreadPool& pool, InterruptCheck& interrupt);

  /// V of a factor, p x K x J column-major, p the rank of X; RX as in Estimates.
  std::vector<double> loadings(int factor, const std::vector<double>& RX) const;
  /// The blocks of the levels of a factor, K x K x J.
  std::vector<double> within(int factor) const;
  /// The matrices (symmetric, one after the other) of sets of distinct levels, whether or not they
  /// occur together in a row. Set i has the levels [start[i], start[i + 1]), whose effects stand
  /// side by side.
  std::vector<double> among(const std::vector<Index>& start, const std::vector<LevelOf>& levels);

 private:
  struct Chunk;

  int block_of(int factor) const;
  std::vector<Index> sizes(const std::vector<Index>& start,
                           const std::vector<LevelOf>& levels) const;
  void solve(Chunk& chunk) const;
  void fill(const Chunk& chunk, const LevelOf* levels, Index count, double* out) const;

  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  const Structure& structure_;
  Criterion& criterion_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  std::vector<int> block_of_;                // by factor; -1 where no term is on it
  std::vector<std::vector<double>> lambda_;  // by block, k x k, user's scale
};

}  // namespace crossnest
