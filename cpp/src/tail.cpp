#include "tail.hpp"

#include "dense_tail.hpp"
#include "sparse_tail.hpp"

namespace crossnest {

std::unique_ptr<Tail> make_tail(const TailPattern& pattern, const DenseKernels& kernels,
                                ThreadPool& pool, InterruptCheck& interrupt) {
  if (pattern.size == 0) return nullptr;
  if (pattern.sparse) return std::make_unique<SparseTail>(pattern, pool.size(), interrupt);
  return std::make_unique<DenseTail>(pattern.size, kernels, pool, interrupt);
}

}  // namespace crossnest
