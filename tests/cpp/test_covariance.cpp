// theta -> lambda of each covariance structure.
#include <Eigen/Core>
#include <crossnest/covariance.hpp>

#include "check.hpp"
#include "dense.hpp"

namespace {

using crossnest::CovarianceStructure;
using crossnest::make_covariance_structure;
using dense::difference;
using dense::MatrixXd;
using dense::VectorXd;

MatrixXd lambda(const CovarianceStructure& structure, const VectorXd& theta) {
  MatrixXd out = MatrixXd::Constant(structure.size(), structure.size(), NAN);
  structure.lambda(theta.data(), out.data());
  return out;
}

VectorXd random_vector(Eigen::Index n, std::uint64_t seed) {
  designs::Random random(seed);
  return VectorXd::NullaryExpr(n, [&](Eigen::Index) { return random.normal(); });
}

// Parameters at random, those with a barrier within their bounds.
VectorXd random_theta(const CovarianceStructure& structure, std::uint64_t seed) {
  VectorXd theta = random_vector(structure.parameters(), seed), lower = theta, upper = theta;
  structure.lower_bounds(lower.data());
  structure.upper_bounds(upper.data());
  for (int a = 0; a < structure.parameters(); ++a) {
    if (structure.even(a) || !std::isfinite(lower(a))) continue;
    theta(a) = std::isfinite(upper(a))
                   ? lower(a) + (upper(a) - lower(a)) / (1.0 + std::exp(theta(a)))
                   : std::abs(theta(a));
  }
  return theta;
}

// The derivative along theta_a of a function of theta, by differences of fourth order.
template <class Function>
MatrixXd slope(Function&& value, const VectorXd& theta, int a) {
  const VectorXd step = 1e-3 * VectorXd::Unit(theta.size(), a);
  return (8.0 * (value(theta + step) - value(theta - step)) -
          (value(theta + 2.0 * step) - value(theta - 2.0 * step))) /
         12e-3;
}

MatrixXd covariance(const CovarianceStructure& structure, const VectorXd& theta) {
  const MatrixXd factor = lambda(structure, theta);
  return factor * factor.transpose();
}

template <class Check>
void for_each_structure(Check&& check) {
  for (const crossnest::CovarianceStructureName& one : crossnest::covariance_structures())
    for (int k = 1; k <= 5; ++k) check(*crossnest::make_covariance_structure(one.name, k));
}

}  // namespace

TEST(lambda_is_lme4s) {
  VectorXd theta(6);
  theta << 1, 2, 3, 4, 5, 6;
  MatrixXd expected(3, 3);
  expected << 1, 0, 0, 2, 4, 0, 3, 5, 6;
  CHECK(lambda(*make_covariance_structure("unstructured", 3), theta) == expected);
  CHECK(lambda(*make_covariance_structure("diagonal", 3), theta.head(3)) ==
        MatrixXd(theta.head(3).asDiagonal()));
}

TEST(parameters_and_bounds) {
  const auto owner = make_covariance_structure("unstructured", 3);
  const CovarianceStructure& full = *owner;
  CHECK(full.size() == 3 && full.parameters() == 6);
  std::vector<double> bounds(6, NAN);
  full.lower_bounds(bounds.data());
  CHECK(bounds == std::vector<double>({0.0, -INFINITY, -INFINITY, 0.0, -INFINITY, 0.0}));
  const auto second = make_covariance_structure("diagonal", 3);
  const CovarianceStructure& diagonal = *second;
  CHECK(diagonal.size() == 3 && diagonal.parameters() == 3);
  bounds.assign(3, NAN);
  diagonal.lower_bounds(bounds.data());
  CHECK(bounds == std::vector<double>(3, 0.0));
  CHECK(diagonal.scales_only() && !full.scales_only() &&
        make_covariance_structure("unstructured", 1)->scales_only());
}

TEST(derivative_is_a_difference) {
  for_each_structure([](const CovarianceStructure& structure) {
    const VectorXd theta = random_theta(structure, 41);
    for (int a = 0; a < structure.parameters(); ++a) {
      MatrixXd derivative = MatrixXd::Constant(structure.size(), structure.size(), NAN);
      structure.derivative(theta.data(), a, derivative.data());
      const MatrixXd expected =
          slope([&](const VectorXd& at) { return lambda(structure, at); }, theta, a);
      CHECK_NEAR(difference(derivative, expected), 0.0, structure.linear_factor() ? 1e-11 : 1e-9);
    }
  });
}

TEST(derivatives_of_the_covariance_are_differences) {
  for_each_structure([](const CovarianceStructure& structure) {
    const int k = structure.size();
    const VectorXd theta = random_theta(structure, 47);
    const auto first = [&](const VectorXd& at, int a) {
      MatrixXd out = MatrixXd::Constant(k, k, NAN);
      structure.covariance_derivative(at.data(), a, out.data());
      return out;
    };
    for (int a = 0; a < structure.parameters(); ++a) {
      const MatrixXd expected =
          slope([&](const VectorXd& at) { return covariance(structure, at); }, theta, a);
      CHECK_NEAR(difference(first(theta, a), expected), 0.0, 1e-9);
      for (int b = 0; b < structure.parameters(); ++b) {
        MatrixXd second = MatrixXd::Constant(k, k, NAN);
        structure.covariance_second_derivative(theta.data(), a, b, second.data());
        const MatrixXd change = slope([&](const VectorXd& at) { return first(at, a); }, theta, b);
        CHECK_NEAR(difference(second, change), 0.0, 1e-9);
      }
    }
  });
}

TEST(covariances_lie_in_the_basis) {
  for_each_structure([](const CovarianceStructure& structure) {
    const int k = structure.size();
    const MatrixXd S = covariance(structure, random_theta(structure, 48));
    MatrixXd left = S, E(k, k);
    for (int r = 0; r < structure.basis_size(); ++r) {
      structure.basis(r, E.data());
      left -= E.cwiseProduct(S).sum() / E.squaredNorm() * E;
    }
    CHECK_NEAR(left.norm(), 0.0, 1e-12);
    CHECK(structure.basis_size() >= structure.parameters());
  });
}

TEST(correlations_are_those_of_the_name) {
  const VectorXd sd = VectorXd::LinSpaced(4, 0.5, 2.0);
  const auto expected = [&](bool homogeneous, bool first_order, double rho) {
    MatrixXd S(4, 4);
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) {
        const double C = i == j ? 1.0 : first_order ? std::pow(rho, std::abs(i - j)) : rho;
        S(i, j) = C * (homogeneous ? 1.7 * 1.7 : sd(i) * sd(j));
      }
    return S;
  };
  for (const double rho : {-0.3, 0.0, 0.4, 0.99}) {
    VectorXd one(2), several(5);
    one << 1.7, rho;
    several << sd, rho;
    CHECK_NEAR(difference(covariance(*make_covariance_structure("homcs", 4), one),
                          expected(true, false, rho)),
               0.0, 1e-14);
    CHECK_NEAR(difference(covariance(*make_covariance_structure("cs", 4), several),
                          expected(false, false, rho)),
               0.0, 1e-14);
    CHECK_NEAR(difference(covariance(*make_covariance_structure("ar1", 4), one),
                          expected(true, true, rho)),
               0.0, 1e-14);
    CHECK_NEAR(difference(covariance(*make_covariance_structure("hetar1", 4), several),
                          expected(false, true, rho)),
               0.0, 1e-14);
  }
}

TEST(singular_correlations) {
  for (const char* name : {"homcs", "ar1"}) {
    const auto structure = make_covariance_structure(name, 4);
    VectorXd lower(2), upper(2);
    structure->lower_bounds(lower.data());
    structure->upper_bounds(upper.data());
    CHECK(upper(1) == 1.0 && lower(1) == (name[0] == 'h' ? -1.0 / 3.0 : -1.0));
    for (const double rho : {lower(1), upper(1)}) {
      VectorXd theta(2), back(2);
      theta << 2.0, rho;
      const MatrixXd factor = lambda(*structure, theta);
      structure->from_factor(factor.data(), back.data());
      CHECK_NEAR(difference(back, theta), 0.0, 1e-11);
      MatrixXd derivative(4, 4);
      structure->derivative(theta.data(), 1, derivative.data());
      const MatrixXd half = derivative * factor.transpose();
      MatrixXd expected(4, 4);
      structure->covariance_derivative(theta.data(), 1, expected.data());
      CHECK_NEAR(difference(half + half.transpose(), expected), 0.0, 1e-4);
    }
  }
}

TEST(what_is_undetermined) {
  using Indices = std::vector<int>;
  const std::vector<bool> one{true, false, false}, two{true, true, false}, all(3, true);
  const auto diagonal = make_covariance_structure("diagonal", 3),
             same = make_covariance_structure("homdiag", 3);
  CHECK(diagonal->undetermined(two) == Indices({0, 1}));
  CHECK(same->undetermined(two).empty() && same->undetermined(all) == Indices({0}));
  const auto several = make_covariance_structure("cs", 3),
             single = make_covariance_structure("ar1", 3);
  CHECK(several->undetermined(one) == Indices({0}));
  CHECK(several->undetermined(two) == Indices({0, 1, 3}));
  CHECK(single->undetermined(one).empty() && single->undetermined(two) == Indices({1}));
  CHECK(single->undetermined(all) == Indices({0, 1}));
}

TEST(pull_back_is_the_chain_rule) {
  for_each_structure([](const CovarianceStructure& structure) {
    const int k = structure.size(), m = structure.parameters();
    const VectorXd theta = random_theta(structure, 42), dlambda = random_vector(k * k, 43);
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
    const auto owner = make_covariance_structure("unstructured", k);
    const CovarianceStructure& structure = *owner;
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
    VectorXd theta = random_theta(structure, 45);
    structure.normalize(theta.data());
    const MatrixXd factor = lambda(structure, theta);
    VectorXd back(theta.size());
    structure.from_factor(factor.data(), back.data());
    CHECK_NEAR(difference(back, theta), 0.0, 1e-12);
  });
}

TEST(from_factor_of_singular_factors) {
  const auto owner = make_covariance_structure("unstructured", 3);
  const CovarianceStructure& structure = *owner;
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
  make_covariance_structure("diagonal", 3)->from_factor(factor.data(), theta.data());
  const VectorXd variances = (factor * factor.transpose()).diagonal();
  CHECK_NEAR(difference(theta.cwiseAbs2(), variances), 0.0, 1e-14);
}

TEST(normalize_keeps_the_covariance) {
  for_each_structure([](const CovarianceStructure& structure) {
    for (std::uint64_t seed = 50; seed < 60; ++seed) {
      VectorXd theta = random_theta(structure, seed);
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
  CHECK_THROWS(crossnest::make_covariance_structure("toeplitz", 2), std::invalid_argument);
  CHECK_THROWS(crossnest::make_covariance_structure("diagonal", 0), std::invalid_argument);
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
