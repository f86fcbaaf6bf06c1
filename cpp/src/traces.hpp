// Traces of products of V^-1 and its derivatives, component by component of the levels.
#pragma once

#include <vector>

#include "cross_products.hpp"
#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "thread_pool.hpp"

namespace crossnest {

/// One variance parameter of the random effects: V changes by G = Z E Z', E the same symmetric
/// k x k matrix for each level of a block.
struct VarianceParameter {
  struct Entry {
    int row, column;
    double value;
  };
  int block;                   ///< index into the blocks of the model
  std::vector<Entry> entries;  ///< what of E is not zero, both triangles
};

/// t_r = tr(V^-1 G_r) and t_rs = tr(V^-1 G_r V^-1 G_s) for all variance parameters, where
/// V = Z Lambda Lambda'Z' + W^-1.
///
/// With T = Z'V^-1 Z they are tr(T E_r) and tr(T E_r T E_s). T couples two levels only when a chain
/// of rows leads from one to the other, so it is looked at by connected components of the levels.
/// Within a component the levels of the first block, h, meet in no row; the rest are t. With
/// Sigma = Lambda Lambda' and V_h = Z_h Sigma_h Z_h' + W^-1,
///
///     M_hh = Z_h'V_h^-1 Z_h = (I + A_hh Sigma_h)^-1 A_hh     (k x k for each level)
///     F = Z_h'V_h^-1 Z_t = (I + A_hh Sigma_h)^-1 A_ht         (as sparse as A_ht)
///     M_tt = Z_t'V_h^-1 Z_t = A_tt - A_th Sigma_h F
///     S = Lambda_t'M_tt Lambda_t + I,   G = (I + Sigma_t M_tt)^-1 = I - Lambda_t S^-1
///     Lambda_t'M_tt K = G Sigma_t T_tt = M_tt G,   T_ht = F G,   T_hh = M_hh - F K F'.
///
/// T_hh is never formed: with B_r = F'E_r F its part of the traces is that of B_r K B_s K. So the
/// dense matrices have the size of t, and a design of one grouping factor has none. Nothing is
/// divided by Lambda, which may be singular.
class VarianceTraces {
 public:
  /// Finds the components from the pattern of A. Keeps references.
  VarianceTraces(const std::vector<Block>& blocks, const CrossProducts& A,
                 const std::vector<VarianceParameter>& parameters, const DenseKernels& kernels,
                 ThreadPool& pool, InterruptCheck& interrupt);

  /// Memory compute() takes, about.
  double bytes() const;
  /// Multiply-adds of compute(), about.
  double work() const { return work_; }
  /// Columns of the largest dense matrix.
  Index widest() const { return widest_; }

  /// t_r (m) and t_rs (m x m) at a Lambda, given by the k x k factor of each block. False when
  /// rounding makes S indefinite.
  bool compute(const std::vector<std::vector<double>>& lambda, double* trace, double* traces);

 private:
  // The levels of a component: places in heads_ and nodes_.
  struct Component {
    Index heads, heads_end;
    Index nodes, nodes_end;
    Index size;     // columns of t
    Index entries;  // blocks of A_ht
  };
  struct Node {
    int block;
    Level level;
    Level start;  // its first column within the component
  };
  class Workspace;

  void cut_levels();
  void connect();
  void place_nodes(const std::vector<Index>& component_of, Index first_node);
  void estimate();

  const std::vector<Block>& blocks_;
  const CrossProducts& A_;
  const std::vector<VarianceParameter>& parameters_;
  const DenseKernels& kernels_;
  ThreadPool& pool_;
  InterruptCheck& interrupt_;
  std::vector<Component> components_;
  std::vector<Level> heads_;               // levels of the first block by component
  std::vector<Node> nodes_;                // the other levels by component
  std::vector<std::vector<Level>> start_;  // by block and level: Node::start
  int head_parameters_ = 0;                // parameters of the first block
  Index widest_ = 0;
  double work_ = 0.0;
};

}  // namespace crossnest
