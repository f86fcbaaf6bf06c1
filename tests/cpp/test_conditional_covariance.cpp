// Covariances of the random effects given y against dense algebra.
#include <crossnest/conditional_covariance.hpp>
#include <numeric>

#include "check.hpp"
#include "dense.hpp"
#include "problem.hpp"

namespace {

using crossnest::ConditionalCovariance;
using crossnest::Index;
using crossnest::Level;
using crossnest::LevelOf;
using crossnest::TailKind;
using dense::difference;
using dense::MatrixXd;

// Lambda Omega^-1 Lambda' and Lambda U_X RX^-1, q x q and q x p; the effects by factor, by level.
struct Expected {
  MatrixXd covariance, loadings, RX;
  std::vector<Index> start, k;  // by factor

  Expected(const designs::View& design, const std::vector<double>& theta) {
    const dense::Model model(design, theta, true);
    Index q = 0;
    for (std::size_t f = 0; f < design.factors.size(); ++f) {
      start.push_back(q);
      k.push_back(0);
      for (const auto& term : design.terms)
        if (term.factor == static_cast<int>(f)) k.back() += static_cast<Index>(term.columns.size());
      q += k.back() * design.factors[f].levels;
    }
    MatrixXd P = MatrixXd::Zero(q, q);  // from the order of the terms
    std::vector<Index> seen(k.size(), 0);
    Index from = 0;
    for (const auto& term : design.terms) {
      const std::size_t f = static_cast<std::size_t>(term.factor);
      const Index own = static_cast<Index>(term.columns.size());
      for (Index l = 0; l < design.factors[f].levels; ++l)
        for (Index e = 0; e < own; ++e) P(start[f] + l * k[f] + seen[f] + e, from++) = 1.0;
      seen[f] += own;
    }
    const MatrixXd G = model.Lambda * model.Lambda.transpose();
    const MatrixXd ZG = model.Z * G;
    covariance = P * (G - ZG.transpose() * model.V_inverse * ZG) * P.transpose();
    RX = (model.X.transpose() * model.V_inverse * model.X).llt().matrixU();
    loadings = P * ZG.transpose() * model.V_inverse * model.X *
               RX.triangularView<Eigen::Upper>().solve(MatrixXd::Identity(RX.rows(), RX.cols()));
  }
  Index first(const LevelOf& level) const {
    const std::size_t f = static_cast<std::size_t>(level.factor);
    return start[f] + level.level * k[f];
  }
};

void check_sets(ConditionalCovariance& covariance, const Expected& expected,
                const std::vector<std::vector<LevelOf>>& sets) {
  std::vector<Index> start{0};
  std::vector<LevelOf> levels;
  for (const auto& set : sets) {
    levels.insert(levels.end(), set.begin(), set.end());
    start.push_back(static_cast<Index>(levels.size()));
  }
  const std::vector<double> all = covariance.among(start, levels);
  const double* own = all.data();
  double worst = 0.0;
  for (const auto& set : sets) {
    std::vector<Index> rows;
    for (const LevelOf& level : set)
      for (Index e = 0; e < expected.k[static_cast<std::size_t>(level.factor)]; ++e)
        rows.push_back(expected.first(level) + e);
    const Index size = static_cast<Index>(rows.size());
    const MatrixXd wanted = expected.covariance(rows, rows);
    worst = std::fmax(worst, difference(Eigen::Map<const MatrixXd>(own, size, size), wanted));
    own += size * size;
  }
  CHECK(own == all.data() + all.size());
  CHECK_NEAR(worst, 0.0, 1e-10);
}

void check_covariance(const designs::Data& data, TailKind tail = TailKind::automatic) {
  dense::Engine engine(data, tail, 2);
  std::vector<double> theta = engine.criterion.covariance().lower_bounds();
  for (double& value : theta) value = value == 0.0 ? 0.7 : 0.2;
  CHECK(std::isfinite(engine.criterion.objective(theta.data(), crossnest::Frame::user, true)));
  const Expected expected(engine.design, theta);
  ConditionalCovariance covariance(engine.design, engine.blocks, engine.coordinates,
                                   engine.structure, engine.criterion, theta.data(),
                                   crossnest::eigen_kernels(), engine.pool, engine.interrupt);
  const Index p = expected.RX.rows();
  const std::vector<double> RX(expected.RX.data(), expected.RX.data() + expected.RX.size());
  std::vector<std::vector<LevelOf>> sets;
  for (int f = 0; f < static_cast<int>(engine.design.factors.size()); ++f) {
    const Index k = expected.k[static_cast<std::size_t>(f)],
                levels = engine.design.factors[static_cast<std::size_t>(f)].levels,
                start = expected.start[static_cast<std::size_t>(f)];
    const std::vector<double> loadings = covariance.loadings(f, RX);
    CHECK_NEAR(difference(Eigen::Map<const MatrixXd>(loadings.data(), p, k * levels),
                          expected.loadings.middleRows(start, k * levels).transpose()),
               0.0, 1e-10);
    const std::vector<double> within = covariance.within(f);
    for (Index l = 0; l < levels; ++l)
      CHECK_NEAR(difference(Eigen::Map<const MatrixXd>(within.data() + l * k * k, k, k),
                            expected.covariance.block(start + l * k, start + l * k, k, k)),
                 0.0, 1e-10);
    for (int g = 0; g <= f; ++g) sets.push_back({{f, 1}, {g, g == f ? Level{2} : Level{1}}});
  }
  std::vector<LevelOf> many;
  for (int f = static_cast<int>(engine.design.factors.size()) - 1; f >= 0; --f)
    for (Level l = 0; l < 3; ++l) many.push_back({f, l});
  sets.push_back(many);
  check_sets(covariance, expected, sets);
}

}  // namespace

TEST(single_factor) {
  for (int k = 1; k <= 3; ++k) check_covariance(designs::single(12, 9, k));
}

TEST(nested) { check_covariance(designs::nested(24, 8, 3, 240, 2, 1, 2)); }

TEST(crossed) {
  for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
    check_covariance(designs::crossed(20, 9, 240, 2, 1), tail);
    check_covariance(designs::nested_crossed(20, 5, 3, 200, 2, 1, 2), tail);
  }
}

TEST(several_terms_on_a_factor) {
  designs::Data data = designs::crossed(20, 9, 240, 2, 1);
  data.add_term(0, 2, "unstructured", false);
  data.add_term(1, 1, "diagonal", false);
  check_covariance(data);
}

TEST(refuses_levels_that_are_not_there) {
  dense::Engine engine(designs::crossed(20, 9, 240, 1, 1));
  const std::vector<double> theta{1.0, 1.0};
  engine.criterion.objective(theta.data(), crossnest::Frame::user, true);
  ConditionalCovariance covariance(engine.design, engine.blocks, engine.coordinates,
                                   engine.structure, engine.criterion, theta.data(),
                                   crossnest::eigen_kernels(), engine.pool, engine.interrupt);
  CHECK_THROWS(covariance.among({0, 1}, {{1, 9}}), std::invalid_argument);
  CHECK_THROWS(covariance.among({0, 1}, {{0, -1}}), std::invalid_argument);
  CHECK_THROWS(covariance.within(2), std::invalid_argument);
}
