// Sums over the rows of the data that do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <vector>

#include "crossnest/types.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// total[0..width) = the sum over rows [0, n), where body(begin, end, partial) adds the rows
/// [begin, end) to a partial sum. The rows are cut in the same places whatever the number of
/// threads, and partial sums are added in order. A piece is summed a step at a time, so that the
/// pool can be interrupted; all but the last step are a multiple of 256 rows.
template <class Body>
void sum_over_rows(ThreadPool& pool, Index n, Index width, double* total, Body&& body) {
  const Index pieces = std::clamp<Index>(n / 16384, 1, 64);
  const Index step = 256 * std::clamp<Index>(8192 / std::max<Index>(width, 1), 1, 8192);
  std::vector<double> partial(static_cast<std::size_t>(pieces * width), 0.0);
  for (Index done = 0; done <= n / pieces; done += step) {
    pool.poll();
    pool.for_pieces(pieces, 1, [&](Index first, Index last, int) {
      for (Index piece = first; piece < last; ++piece) {
        const Index begin = n * piece / pieces + done;
        const Index end = std::min(begin + step, n * (piece + 1) / pieces);
        if (begin < end) body(begin, end, partial.data() + piece * width);
      }
    });
  }
  std::fill_n(total, width, 0.0);
  for (Index piece = 0; piece < pieces; ++piece)
    for (Index i = 0; i < width; ++i)
      total[i] += partial[static_cast<std::size_t>(piece * width + i)];
}

}  // namespace crossnest
