// The blocked factor against dense algebra.
#include <numeric>

#include "check.hpp"
#include "dense.hpp"
#include "factor.hpp"

namespace {

using crossnest::Index;
using crossnest::Level;
using crossnest::TailKind;
using dense::difference;
using dense::MatrixXd;

// Full k x k factors, not triangular: the engine must not need that.
std::vector<std::vector<double>> some_lambda(const std::vector<crossnest::Block>& blocks) {
  designs::Random random(11);
  std::vector<std::vector<double>> lambda;
  for (const auto& block : blocks) {
    lambda.emplace_back();
    for (int i = 0; i < block.k * block.k; ++i)
      lambda.back().push_back((i % (block.k + 1) == 0 ? 0.8 : 0.0) + 0.3 * random.normal());
  }
  return lambda;
}

// What the factor stands for.
struct Expected {
  MatrixXd ZWZ, Omega, inverse, border, F;

  Expected(const dense::Engine& engine, const std::vector<std::vector<double>>& lambda) {
    const dense::Rows rows(engine.design, engine.blocks, engine.coordinates, engine.response);
    const MatrixXd Lambda = dense::block_diagonal(engine.blocks, lambda);
    ZWZ = rows.Z.transpose() * rows.w.asDiagonal() * rows.Z;
    Omega = Lambda.transpose() * ZWZ * Lambda;
    Omega.diagonal().array() += 1.0;
    inverse = Omega.llt().solve(MatrixXd::Identity(Omega.rows(), Omega.cols()));
    border = Lambda.transpose() * rows.Z.transpose() * rows.w.asDiagonal() * rows.B;
    const MatrixXd C =
        rows.B.transpose() * rows.w.asDiagonal() * rows.B - border.transpose() * inverse * border;
    F = C.llt().matrixU();
  }
};

void check_solutions(const dense::Engine& engine, const crossnest::Factor& factor,
                     const Expected& expected) {
  const crossnest::EffectVectors& vectors = engine.workspace.vectors();
  const Index q = vectors.q(), border = engine.A.rank() + 1;
  const MatrixXd F = Eigen::Map<const MatrixXd>(factor.border().data(), border, border)
                         .triangularView<Eigen::Upper>();
  CHECK_NEAR(factor.log_det(), dense::log_det(expected.Omega), 1e-11);
  CHECK_NEAR(difference(F, expected.F), 0.0, 1e-10);
  const MatrixXd W = Eigen::Map<const MatrixXd>(factor.border_solution().data(), q, border);
  CHECK_NEAR(difference(W * expected.F, expected.inverse * expected.border), 0.0, 1e-10);

  designs::Random random(12);
  const int columns = 3;
  const MatrixXd B = MatrixXd::NullaryExpr(q, columns, [&](Index) { return random.normal(); });
  MatrixXd E = B, product(border, columns), AB(q, columns);
  factor.solve_lower(E.data(), columns);
  CHECK_NEAR(difference(E.transpose() * E, B.transpose() * expected.inverse * B), 0.0, 1e-10);
  factor.multiply_border_transposed(E.data(), columns, product.data());
  CHECK_NEAR(difference(product, expected.border.transpose() * expected.inverse * B), 0.0, 1e-10);
  vectors.multiply(B.data(), columns, AB.data());
  CHECK_NEAR(difference(AB, expected.ZWZ * B), 0.0, 1e-11);
}

void check_diagonal(const dense::Engine& engine, const crossnest::InverseDiagonal& omega,
                    const MatrixXd& inverse) {
  double worst = 0.0;
  for (int t = 0; t < static_cast<int>(engine.blocks.size()); ++t) {
    const Index k = engine.blocks[static_cast<std::size_t>(t)].k;
    for (Index l = 0; l < engine.A.levels(t); ++l) {
      const Index start = engine.workspace.vectors().start(t) + l * k;
      const Eigen::Map<const MatrixXd> own(omega.diagonal(t, l), k, k);
      worst = std::fmax(worst, difference(own, inverse.block(start, start, k, k)));
    }
  }
  CHECK_NEAR(worst, 0.0, 1e-10);
}

void check_pairs(const dense::Engine& engine, const crossnest::Inverse& omega,
                 const MatrixXd& inverse) {
  const crossnest::EffectVectors& vectors = engine.workspace.vectors();
  double worst = 0.0;
  for (int t = 0; t < static_cast<int>(engine.blocks.size()); ++t)
    for (int s = 0; s < t; ++s) {
      const auto& cross = engine.A.cross(s, t);
      const Index ks = engine.A.k(s), kt = engine.A.k(t);
      MatrixXd block(ks, kt), exchanged(kt, ks);
      for (Index l = 0; l < engine.A.levels(s); ++l)
        for (Index e = cross.row_start[static_cast<std::size_t>(l)];
             e < cross.row_start[static_cast<std::size_t>(l) + 1]; ++e) {
          const Level m = cross.column[static_cast<std::size_t>(e)];
          omega.block(s, static_cast<Level>(l), t, m, block.data());
          omega.block(t, m, s, static_cast<Level>(l), exchanged.data());
          const MatrixXd expected =
              inverse.block(vectors.start(s) + l * ks, vectors.start(t) + m * kt, ks, kt);
          worst = std::fmax(worst, difference(block, expected));
          worst = std::fmax(worst, difference(exchanged, expected.transpose()));
        }
    }
  CHECK_NEAR(worst, 0.0, 1e-10);
}

void check_factor(const designs::Data& data, TailKind tail, int threads = 1) {
  dense::Engine engine(data, tail, threads);
  if (engine.structure.tail().size > 0)
    CHECK(engine.structure.tail().sparse == (tail == TailKind::sparse));
  const auto lambda = some_lambda(engine.blocks);
  const Expected expected(engine, lambda);
  // Twice, the second time on the used workspace.
  for (int pass = 0; pass < 2; ++pass) {
    auto factor = engine.workspace.factorize(lambda, engine.response);
    CHECK(factor.has_value());
    check_solutions(engine, *factor, expected);
    const crossnest::InverseDiagonal diagonal = std::move(*factor).invert_diagonal();
    check_diagonal(engine, diagonal, expected.inverse);

    factor = engine.workspace.factorize(lambda, engine.response);
    const crossnest::Inverse inverse = std::move(*factor).invert();
    check_diagonal(engine, inverse, expected.inverse);
    check_pairs(engine, inverse, expected.inverse);
  }
}

}  // namespace

TEST(single_factor) {
  for (int k = 1; k <= 6; ++k) check_factor(designs::single(12, 9, k), TailKind::automatic);
}

TEST(nested) {
  for (int k = 1; k <= 6; ++k)
    check_factor(designs::nested(24, 8, 3, 240, k, k, k), TailKind::automatic);
  check_factor(designs::nested(24, 8, 3, 240, 3, 2, 5), TailKind::automatic);
}

TEST(crossed) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse})
    for (int k = 1; k <= 6; ++k) {
      check_factor(designs::crossed(20, 9, 240, k, k), tail);
      check_factor(designs::crossed(20, 9, 240, k, 7 - k), tail);
    }
}

TEST(nested_and_crossed) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse})
    for (int k = 1; k <= 6; ++k) {
      check_factor(designs::nested_crossed(20, 5, 3, 200, k, k, k), tail);
      // The crossed factor comes between the nested ones in size.
      check_factor(designs::nested_crossed(20, 4, 9, 200, k, 1, k), tail);
    }
}

TEST(three_crossed) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse})
    for (int k = 1; k <= 3; ++k) {
      designs::Data data = designs::crossed(20, 9, 240, k, 2);
      data.add_term(data.add_random_factor(7), 3);
      check_factor(data, tail);
    }
}

TEST(full_rows_of_a_dense_tail) {
  const dense::Engine engine(designs::nested_crossed(60, 12, 40, 1500, 1, 1, 1));
  for (const auto& head : engine.structure.heads()) CHECK(!head.full_levels.empty());
  CHECK(engine.structure.heads()[0].full_levels.size() < 60);
  for (int k = 1; k <= 2; ++k) {
    check_factor(designs::nested_crossed(60, 12, 40, 1500, k, k, 1), TailKind::dense);
    check_factor(designs::nested_crossed(60, 12, 40, 1500, k, 2, k), TailKind::dense);
    check_factor(designs::crossed(70, 66, 900, 2, k), TailKind::dense);
  }
  // More rows than one panel takes.
  check_factor(designs::crossed(300, 40, 6000, 1, 1), TailKind::dense);
}

TEST(sparse_tail) {
  for (int k = 1; k <= 3; ++k) {
    check_factor(designs::workers(50, 40, 3, 2, k), TailKind::sparse);
    check_factor(designs::workers(50, 40, 3, 2, k), TailKind::dense);
  }
}

TEST(several_terms_on_a_factor) {
  designs::Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_term(0, 2, "unstructured", false);
  data.add_term(1, 1, "diagonal", false);
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) check_factor(data, tail);
}

TEST(threads) {
  check_factor(designs::nested(200, 40, 3, 600, 2, 2, 2), TailKind::automatic, 3);
  check_factor(designs::crossed(120, 100, 1200, 2, 2), TailKind::dense, 3);
  check_factor(designs::workers(120, 100, 3, 2, 2), TailKind::sparse, 3);
}

TEST(same_numbers_for_any_number_of_threads) {
  const designs::Data data = designs::nested_crossed(3000, 100, 150, 9000, 2, 1, 1);
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
    std::vector<std::vector<double>> solutions;
    for (int threads = 1; threads <= 3; ++threads) {
      dense::Engine engine(data, tail, threads);
      auto factor = engine.workspace.factorize(some_lambda(engine.blocks), engine.response);
      CHECK(factor.has_value());
      solutions.push_back(factor->border_solution());
      solutions.back().push_back(factor->log_det());
      const crossnest::Inverse inverse = std::move(*factor).invert();
      for (int t = 0; t < 3; ++t) solutions.back().push_back(*inverse.diagonal(t, 1));
    }
    CHECK(solutions[0] == solutions[1]);
    CHECK(solutions[0] == solutions[2]);
  }
}

TEST(zero_lambda) {
  dense::Engine engine(designs::crossed(20, 9, 240, 2, 1));
  auto factor = engine.workspace.factorize({std::vector<double>(4, 0.0), {0.0}}, engine.response);
  CHECK(factor.has_value());
  CHECK(factor->log_det() == 0.0);
  const Index q = engine.workspace.vectors().q();
  const crossnest::Inverse inverse = std::move(*factor).invert();
  check_diagonal(engine, inverse, MatrixXd::Identity(q, q));
  check_pairs(engine, inverse, MatrixXd::Identity(q, q));
}

TEST(a_factor_without_a_tail_outlives_its_inverse) {
  for (const bool crossed : {false, true}) {
    dense::Engine engine(crossed ? designs::crossed(20, 9, 240, 2, 1)
                                 : designs::nested(24, 8, 3, 240, 2, 1, 2));
    CHECK(engine.workspace.keeps_factor() == !crossed);
    const auto lambda = some_lambda(engine.blocks);
    auto factor = engine.workspace.factorize(lambda, engine.response);
    factor = std::move(*factor).invert_diagonal().factor();
    CHECK(factor.has_value() == !crossed);
    if (!factor) continue;
    const Expected expected(engine, lambda);
    check_solutions(engine, *factor, expected);
    check_pairs(engine, std::move(*factor).invert(), expected.inverse);
  }
}

TEST(refuses_what_is_not_finite) {
  dense::Engine engine(designs::crossed(20, 9, 240, 2, 1));
  CHECK(!engine.workspace.factorize({{1e200, 0.0, 0.0, 1e200}, {1.0}}, engine.response));
  CHECK(!engine.workspace.factorize({{NAN, 0.0, 0.0, 1.0}, {1.0}}, engine.response));
  CHECK(!engine.workspace.factorize({{1.0, 0.0, 0.0, 1.0}, {NAN}}, engine.response));
  CHECK(engine.workspace.factorize({{1.0, 0.0, 0.0, 1.0}, {1.0}}, engine.response).has_value());
}
