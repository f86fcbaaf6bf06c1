// The order of elimination: heads, tails and how the tail is factored.
#include <Eigen/SparseCholesky>
#include <string>

#include "check.hpp"
#include "dense.hpp"
#include "structure.hpp"

namespace {

using crossnest::BlockReport;
using crossnest::Index;
using crossnest::TailKind;

std::vector<std::string> kinds(const dense::Engine& engine) {
  std::vector<std::string> found;
  for (const BlockReport& line : engine.structure.report()) found.push_back(line.kind);
  return found;
}

using Kinds = std::vector<std::string>;

}  // namespace

TEST(single_factor) {
  const dense::Engine engine(designs::single(12, 9, 2));
  const auto report = engine.structure.report();
  CHECK(report.size() == 1);
  CHECK(report[0].kind == "block-diagonal" && report[0].factors == std::vector<int>({0}));
  CHECK(report[0].size == 24 && report[0].k == 2);
  // 2 x 2 and 2 x 3 (two columns of X and y) for each level.
  CHECK(report[0].nonzeros == 12 * (4 + 6));
  CHECK(engine.structure.tail().size == 0);
}

TEST(nested_factors_have_no_tail) {
  const dense::Engine engine(designs::nested(24, 8, 3, 240, 1, 2, 1));
  CHECK(kinds(engine) == Kinds(3, "block-diagonal"));
  CHECK(engine.structure.tail().size == 0);
  // A level's row of L: its ancestors' columns and the border, whatever the number of levels.
  const auto& heads = engine.structure.heads();
  CHECK(heads[0].ancestors.size() == 2 && heads[1].ancestors.size() == 1);
  CHECK(heads[2].descendants.size() == 2);
  CHECK(heads[0].fixed == 2 + 1 + 4 && heads[1].fixed == 1 + 4 && heads[2].fixed == 4);
  for (const auto& head : heads) CHECK(head.numbers() == head.levels * head.k * head.fixed);
}

TEST(terms_on_one_factor_are_one_block) {
  designs::Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_term(0, 1, "unstructured", false);
  const dense::Engine engine(data);
  CHECK(engine.blocks.size() == 2);
  CHECK(engine.blocks[0].terms == std::vector<int>({0, 2}));
  CHECK(engine.blocks[0].k == 3 && engine.structure.report()[0].k == 3);
}

TEST(largest_block_is_the_head) {
  // 9 levels of 5 effects are more than 20 levels of 2.
  const dense::Engine engine(designs::crossed(20, 9, 240, 2, 5));
  CHECK(engine.blocks[0].levels == 9 && engine.structure.head_of(0) == 0);
  CHECK(engine.structure.head_of(1) == -1 && engine.structure.tail().size == 40);
}

TEST(crossed_factors_have_a_dense_tail) {
  const dense::Engine engine(designs::crossed(20, 9, 240, 2, 1));
  CHECK(kinds(engine) == Kinds({"block-diagonal", "dense"}));
  const BlockReport tail = engine.structure.report()[1];
  CHECK(tail.size == 9 && tail.nonzeros == 81 && tail.bytes == 8 * 81);
  CHECK(tail.factors == std::vector<int>({1}));
}

TEST(outer_factor_joins_the_head_past_a_crossed_one) {
  const dense::Engine engine(designs::nested_crossed(40, 5, 9, 400, 1, 1, 1));
  CHECK(engine.structure.head_of(0) == 0);
  CHECK(engine.structure.head_of(1) == -1);
  CHECK(engine.structure.head_of(2) == 1);
  CHECK(kinds(engine) == Kinds({"block-diagonal", "block-diagonal", "dense"}));
}

TEST(tail_is_sparse_where_that_pays) {
  const dense::Engine few(designs::workers(400, 200, 2, 1, 1));
  CHECK(kinds(few) == Kinds({"block-diagonal", "dense"}));
  const dense::Engine many(designs::workers(4000, 1500, 2, 1, 1));
  CHECK(kinds(many) == Kinds({"block-diagonal", "sparse"}));
  // A ring of firms: a chain with one long edge.
  CHECK(many.structure.report()[1].nonzeros < 3 * 1500);
  const dense::Engine filled(designs::crossed(2000, 300, 20000, 1, 1));
  CHECK(kinds(filled) == Kinds({"block-diagonal", "dense"}));
}

TEST(tail_as_told) {
  const designs::Data data = designs::workers(400, 200, 2, 1, 2);
  const dense::Engine sparse(data, TailKind::sparse), dense_one(data, TailKind::dense);
  CHECK(kinds(sparse).back() == "sparse" && kinds(dense_one).back() == "dense");
  CHECK(sparse.structure.work() < dense_one.structure.work());
}

// Every tail level comes once, in the order of elimination, and its columns follow each other.
TEST(tail_order_is_a_permutation) {
  for (const TailKind kind : {TailKind::dense, TailKind::sparse}) {
    designs::Data data = designs::workers(60, 30, 2, 2, 2);
    data.add_term(data.add_random_factor(7), 3);
    const dense::Engine engine(data, kind);
    const auto& tail = engine.structure.tail();
    Index column = 0;
    for (std::size_t i = 0; i < tail.nodes.size(); ++i) {
      const auto& node = tail.nodes[i];
      CHECK(node.start == column);
      column += engine.blocks[static_cast<std::size_t>(node.block)].k;
      CHECK(tail.node_of[static_cast<std::size_t>(node.block)]
                        [static_cast<std::size_t>(node.level)] == static_cast<crossnest::Level>(i));
    }
    CHECK(tail.nodes.size() == 37 && column == tail.size && column == 60 + 21);
  }
}

// The number of entries announced is that of the factor, fill included.
TEST(sparse_factor_size_is_exact) {
  const dense::Engine engine(designs::workers(60, 30, 2, 1, 2), TailKind::sparse);
  const auto& tail = engine.structure.tail();
  using Sparse = Eigen::SparseMatrix<double>;
  Sparse S(tail.size, tail.size);
  for (int j = 0; j < tail.size; ++j)
    for (int e = tail.column_start[static_cast<std::size_t>(j)];
         e < tail.column_start[static_cast<std::size_t>(j) + 1]; ++e) {
      const int i = tail.row[static_cast<std::size_t>(e)];
      S.insert(i, j) = i == j ? 100.0 : 1.0;
    }
  const Eigen::SimplicialLLT<Sparse, Eigen::Upper, Eigen::NaturalOrdering<int>> factor(S);
  CHECK(static_cast<double>(Sparse(factor.matrixL()).nonZeros()) == tail.factor_numbers);
}

TEST(memory_limit) {
  const dense::Engine engine(designs::crossed(60, 50, 900, 1, 1));
  std::size_t bytes = 0;
  for (const BlockReport& line : engine.structure.report()) bytes += line.bytes;
  const auto within = [&](std::size_t limit) {
    return crossnest::Structure(engine.blocks, engine.A, TailKind::automatic, limit);
  };
  CHECK(within(bytes).report().size() == 2);
  CHECK(within(0).report().size() == 2);
  CHECK_THROWS(within(bytes - 1), crossnest::MemoryLimitError);
  CHECK_THROWS(within(1), std::bad_alloc);
  try {
    within(1);
  } catch (const crossnest::MemoryLimitError& error) {
    CHECK(std::string(error.what()).find("50 random effects") != std::string::npos);
  }
}

// Where S alone passes the limit, so does its factor in any order of elimination.
TEST(tail_with_too_many_entries_is_refused) {
  const dense::Engine engine(designs::crossed(400, 300, 2500, 1, 1), TailKind::dense);
  constexpr std::size_t kLimit = 100'000;  // S has some 8,000 entries of 24 bytes
  try {
    const crossnest::Structure structure(engine.blocks, engine.A, TailKind::sparse, kLimit);
    CHECK(false);
  } catch (const crossnest::MemoryLimitError& error) {
    CHECK(std::string(error.what()).find("sparse tail of 300 random effects") != std::string::npos);
  }
}
