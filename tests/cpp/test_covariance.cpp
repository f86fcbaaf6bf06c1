// theta -> lambda of each covariance structure.
#include <Eigen/Core>
#include <crossnest/covariance.hpp>

#include "check.hpp"
#include "dense.hpp"

namespace {

using crossnest::CovarianceStructure;
using dense::difference;
using dense::MatrixXd;
using dense::VectorXd;

constexpr const char* kStructures[] = {"unstructured", "diagonal"};

MatrixXd lambda(const CovarianceStructure& structure, const VectorXd& theta) {
  MatrixXd out = MatrixXd::Constant(structure.size(), structure.size(), NAN);
  structure.lambda(theta.data(), out.data());
  return out;
}

VectorXd random_vector(Eigen::Index n, std::uint64_t seed) {
  designs::Random random(seed);
  return VectorXd::NullaryExpr(n, [&](Eigen::Index) { return random.normal(); });
}

template <class Check>
void for_each_structure(Check&& check) {
  for (const char* name : kStructures)
    for (int k = 1; k <= 5; ++k) check(*crossnest::make_structure(name, k));
}

}  // namespace

TEST(lambda_is_lme4s) {
  VectorXd theta(6);
  theta << 1, 2, 3, 4, 5, 6;
  MatrixXd expected(3, 3);
  expected << 1, 0, 0, 2, 4, 0, 3, 5, 6;
  CHECK(lambda(crossnest::Unstructured(3), theta) == expected);
  CHECK(lambda(crossnest::Diagonal(3), theta.head(3)) == MatrixXd(theta.head(3).asDiagonal()));
}

TEST(parameters_and_bounds) {
  const crossnest::Unstructured full(3);
  CHECK(full.size() == 3 && full.parameters() == 6);
  std::vector<double> bounds(6, NAN);
  full.lower_bounds(bounds.data());
  CHECK(bounds == std::vector<double>({0.0, -INFINITY, -INFINITY, 0.0, -INFINITY, 0.0}));
  const crossnest::Diagonal diagonal(3);
  CHECK(diagonal.size() == 3 && diagonal.parameters() == 3);
  bounds.assign(3, NAN);
  diagonal.lower_bounds(bounds.data());
  CHECK(bounds == std::vector<double>(3, 0.0));
  CHECK(diagonal.scales_only() && !full.scales_only() && crossnest::Unstructured(1).scales_only());
}

TEST(derivative_is_a_difference) {
  for_each_structure([](const CovarianceStructure& structure) {
    const VectorXd theta = random_vector(structure.parameters(), 41);
    for (int a = 0; a < structure.parameters(); ++a) {
      const VectorXd step = 1e-3 * VectorXd::Unit(structure.parameters(), a);
      MatrixXd derivative = MatrixXd::Constant(structure.size(), structure.size(), NAN);
      structure.derivative(theta.data(), a, derivative.data());
      const MatrixXd expected =
          (lambda(structure, theta + step) - lambda(structure, theta - step)) / 2e-3;
      CHECK_NEAR(difference(derivative, expected), 0.0, 1e-11);
    }
  });
}

TEST(pull_back_is_the_chain_rule) {
  for_each_structure([](const CovarianceStructure& structure) {
    const int k = structure.size(), m = structure.parameters();
    const VectorXd theta = random_vector(m, 42), dlambda = random_vector(k * k, 43);
    VectorXd gradient(m);
    MatrixXd scratch(k, k), derivative(k, k);
    structure.pull_back(theta.data(), dlambda.data(), gradient.data(), scratch.data());
    for (int a = 0; a < m; ++a) {
      structure.derivative(theta.data(), a, derivative.data());
      CHECK_NEAR(gradient(a), dlambda.dot(derivative.reshaped()), 1e-13);
    }
  });
}

TEST(from_factor_keeps_the_covariance) {
  for (int k = 1; k <= 5; ++k) {
    const crossnest::Unstructured structure(k);
    const MatrixXd factor = random_vector(k * k, 44).reshaped(k, k);
    VectorXd theta(structure.parameters());
    structure.from_factor(factor.data(), theta.data());
    const MatrixXd L = lambda(structure, theta);
    CHECK_NEAR(difference(L * L.transpose(), factor * factor.transpose()), 0.0, 1e-13);
    CHECK(L.diagonal().minCoeff() >= 0.0);
  }
}

TEST(from_factor_gives_theta_back) {
  for_each_structure([](const CovarianceStructure& structure) {
    VectorXd theta = random_vector(structure.parameters(), 45);
    structure.normalize(theta.data());
    const MatrixXd factor = lambda(structure, theta);
    VectorXd back(theta.size());
    structure.from_factor(factor.data(), back.data());
    CHECK_NEAR(difference(back, theta), 0.0, 1e-13);
  });
}

TEST(from_factor_of_singular_factors) {
  const crossnest::Unstructured structure(3);
  MatrixXd factor = MatrixXd::Zero(3, 3);
  VectorXd theta(6);
  structure.from_factor(factor.data(), theta.data());
  CHECK(theta == VectorXd(VectorXd::Zero(6)));
  factor << 1, 2, 3, 2, 4, 6, 0, 1, 0;  // rank 2
  structure.from_factor(factor.data(), theta.data());
  const MatrixXd L = lambda(structure, theta);
  CHECK_NEAR(difference(L * L.transpose(), factor * factor.transpose()), 0.0, 1e-14);
  CHECK(theta(3) >= 0.0 && theta(3) < 1e-13 && theta(5) >= 0.0);
}

// The nearest a diagonal structure comes to a full covariance matrix is its diagonal.
TEST(diagonal_from_a_full_factor) {
  const MatrixXd factor = random_vector(9, 46).reshaped(3, 3);
  VectorXd theta(3);
  crossnest::Diagonal(3).from_factor(factor.data(), theta.data());
  const VectorXd variances = (factor * factor.transpose()).diagonal();
  CHECK_NEAR(difference(theta.cwiseAbs2(), variances), 0.0, 1e-14);
}

TEST(normalize_keeps_the_covariance) {
  for_each_structure([](const CovarianceStructure& structure) {
    for (std::uint64_t seed = 50; seed < 60; ++seed) {
      VectorXd theta = random_vector(structure.parameters(), seed);
      const MatrixXd before = lambda(structure, theta);
      structure.normalize(theta.data());
      const MatrixXd after = lambda(structure, theta);
      CHECK(MatrixXd(after * after.transpose()) == MatrixXd(before * before.transpose()));
      VectorXd bounds(theta.size());
      structure.lower_bounds(bounds.data());
      CHECK((theta.array() >= bounds.array()).all());
    }
  });
}

TEST(unknown_structures_are_refused) {
  CHECK_THROWS(crossnest::make_structure("toeplitz", 2), std::invalid_argument);
  CHECK_THROWS(crossnest::make_structure("diagonal", 0), std::invalid_argument);
}

TEST(semidefinite_cholesky) {
  for (int k = 1; k <= 5; ++k)
    for (int rank = 0; rank <= k; ++rank) {
      const MatrixXd factor = random_vector(k * k, 47).reshaped(k, k).leftCols(rank);
      const MatrixXd covariance = factor * factor.transpose();
      MatrixXd L = covariance;
      crossnest::semidefinite_cholesky(L.data(), k);
      CHECK_NEAR(difference(L * L.transpose(), covariance), 0.0, 1e-7);
      CHECK(L.diagonal().minCoeff() >= 0.0);
      CHECK(MatrixXd(L.triangularView<Eigen::StrictlyUpper>()).norm() == 0.0);
    }
}
