// Variances of predictions against the whole inverse of the mixed-model equations.
#include "check.hpp"
#include "dense.hpp"
#include "prediction.hpp"
#include "problem.hpp"

namespace {

using crossnest::Estimates;
using crossnest::Index;
using crossnest::Level;
using crossnest::ModelOptions;
using crossnest::TailKind;
using dense::MatrixXd;
using dense::VectorXd;
using designs::Problem;

// The same rows with levels that need not occur together; every seventh is one not fitted.
designs::Data elsewhere(designs::Data data) {
  for (std::size_t f = 0; f < data.codes.size(); ++f)
    for (Level& code : data.codes[f])
      code = data.random.below(7) == 0 ? -1 : static_cast<Level>(data.random.below(data.levels[f]));
  return data;
}

// [X Z Lambda] (X'WX + ...)^-1 [X Z Lambda]', its diagonal; levels not fitted add |lambda'z'|^2.
VectorXd expected(const designs::View& fitted, const crossnest::Design& rows,
                  const std::vector<bool>& included, const std::vector<double>& theta) {
  const dense::Model model(fitted, theta, true);
  const Index p = model.X.cols(), q = model.Z.cols();
  const auto joined = [](const MatrixXd& X, const MatrixXd& Z) {
    MatrixXd D(X.rows(), X.cols() + Z.cols());
    D << X, Z;
    return D;
  };
  const MatrixXd D = joined(model.X, model.Z * model.Lambda);
  MatrixXd H = D.transpose() * model.w.asDiagonal() * D;
  H.bottomRightCorner(q, q) += MatrixXd::Identity(q, q);
  MatrixXd Z = MatrixXd::Zero(rows.n, q);
  VectorXd extra = VectorXd::Zero(rows.n);
  Index start = 0;
  for (std::size_t t = 0; t < rows.terms.size(); ++t) {
    const auto& factor = rows.factors[static_cast<std::size_t>(rows.terms[t].factor)];
    const Index k = static_cast<Index>(rows.terms[t].columns.size());
    const MatrixXd lambda = model.Lambda.block(start, start, k, k);
    for (Index i = 0; i < rows.n && included[t]; ++i) {
      Eigen::RowVectorXd z(k);
      for (Index j = 0; j < k; ++j) {
        const double* column = rows.terms[t].columns[static_cast<std::size_t>(j)];
        z(j) = column == nullptr ? 1.0 : column[i];
      }
      if (factor.codes[i] < 0)
        extra(i) += (z * lambda).squaredNorm();
      else
        Z.row(i).segment(start + factor.codes[i] * k, k) = z;
    }
    start += factor.levels * k;
  }
  const MatrixXd at =
      joined(Eigen::Map<const MatrixXd>(rows.X, rows.n, p), Z * model.Lambda).transpose();
  return at.cwiseProduct(H.llt().solve(at)).colwise().sum().transpose() + extra;
}

void check_variances(const designs::Data& data, TailKind tail, int threads = 1) {
  ModelOptions options;
  options.tail = tail;
  options.threads = threads;
  Problem problem(data.design(), options);
  std::vector<double> theta;
  for (const double bound : problem.criterion().covariance().lower_bounds())
    theta.push_back(bound == 0.0 ? 0.9 - 0.1 * static_cast<double>(theta.size() % 4) : -0.2);
  const designs::Data other = elsewhere(data);
  for (const designs::Data* rows : {&data, &other})
    for (const bool all : {true, false}) {
      std::vector<bool> included(data.terms.size(), true);
      included.back() = all;
      const Estimates at = problem.estimates(theta, true);
      const auto variances = problem.prediction_variances(at, rows->design(), included);
      const VectorXd right =
          at.sigma * at.sigma * expected(data.design(), rows->design(), included, theta);
      CHECK_NEAR(dense::difference(Eigen::Map<const VectorXd>(variances.data(), data.n), right),
                 0.0, 1e-9);
    }
}

}  // namespace

TEST(variances) {
  for (const int threads : {1, 3}) {
    check_variances(designs::single(15, 8, 3), TailKind::automatic, threads);
    check_variances(designs::nested(24, 8, 3, 150, 2, 1, 1), TailKind::automatic, threads);
    for (const TailKind tail : {TailKind::dense, TailKind::sparse}) {
      check_variances(designs::crossed(16, 9, 150, 2, 2), tail, threads);
      check_variances(designs::nested_crossed(18, 4, 9, 150, 2, 1, 2), tail, threads);
      check_variances(designs::workers(40, 12, 2, 1, 1), tail, threads);
    }
  }
}

TEST(several_terms_on_a_factor) {
  designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  data.add_term(0, 2, "diagonal", false);
  data.add_term(1, 1, "unstructured", false);
  check_variances(data, TailKind::automatic);
  check_variances(designs::several_terms(), TailKind::automatic);
}

TEST(odd_designs) {
  check_variances(designs::without_fixed(12, 8, 3), TailKind::automatic);
  check_variances(designs::single(12, 8, 5), TailKind::automatic);
  for (const TailKind tail : {TailKind::dense, TailKind::sparse})
    check_variances(designs::with_empty_levels(designs::nested_crossed(18, 4, 9, 150, 2, 1, 2)),
                    tail);
}

// More rows than one chunk takes.
TEST(many_rows) {
  designs::Data data = designs::crossed(40, 30, 1300, 1, 1);
  ModelOptions options;
  options.threads = 2;
  Problem problem(data.design(), options);
  const Estimates at = problem.estimates({0.8, 0.6}, true);
  const std::vector<double> few =
      problem.prediction_variances(at, data.design(), std::vector<bool>(2, true));
  const auto repeat = [](const auto& values, Index columns) {
    std::remove_const_t<std::remove_reference_t<decltype(values)>> out;
    const std::size_t n = values.size() / static_cast<std::size_t>(columns);
    for (std::size_t j = 0; j < static_cast<std::size_t>(columns); ++j)
      for (int copy = 0; copy < 30; ++copy)
        for (std::size_t i = 0; i < n; ++i) out.push_back(values[j * n + i]);
    return out;
  };
  designs::Data many = data;
  many.n *= 30;
  many.X = repeat(data.X, data.p);
  many.y = repeat(data.y, 1);
  for (auto& codes : many.codes) codes = repeat(codes, 1);
  const std::vector<double> all =
      problem.prediction_variances(at, many.design(), std::vector<bool>(2, true));
  double worst = 0.0;
  for (std::size_t i = 0; i < all.size(); ++i)
    worst = std::fmax(worst, std::abs(all[i] / few[i % few.size()] - 1.0));
  CHECK_NEAR(worst, 0.0, 1e-12);
}

TEST(variances_at_the_rows_fitted_are_leverages) {
  const designs::Data data = designs::nested_crossed(18, 4, 9, 150, 2, 1, 2);
  Problem problem(data.design(), ModelOptions());
  const Estimates at = problem.fit(true).estimates;
  const auto variances =
      problem.prediction_variances(at, data.design(), std::vector<bool>(data.terms.size(), true));
  const auto leverages = problem.leverages(at);
  double worst = 0.0;
  for (std::size_t i = 0; i < leverages.size(); ++i)
    worst = std::fmax(
        worst, std::abs(variances[i] * data.weights[i] / (at.sigma * at.sigma) - leverages[i]));
  CHECK_NEAR(worst, 0.0, 1e-10);
}

TEST(rows_of_another_model_are_refused) {
  const designs::Data data = designs::crossed(16, 9, 150, 2, 1);
  Problem problem(data.design(), ModelOptions());
  const Estimates at = problem.estimates({1.0, 0.0, 1.0, 1.0}, true);
  const auto refused = [&](const designs::Data& rows, std::size_t terms) {
    CHECK_THROWS(problem.prediction_variances(at, rows.design(), std::vector<bool>(terms, true)),
                 std::invalid_argument);
  };
  refused(data, 1);
  refused(designs::crossed(16, 9, 150, 1, 1), 2);
  refused(designs::single(15, 8, 3), 2);
  refused(designs::crossed(17, 9, 150, 2, 1), 2);
  designs::Data contrast = data;
  std::fill_n(contrast.X.begin(), contrast.n, 0.0);  // the intercept
  refused(contrast, 2);
}

TEST(a_long_prediction_can_be_interrupted) {
  dense::Engine engine(designs::crossed(16, 9, 150, 2, 1));
  const std::vector<double> theta = {1.0, 0.0, 1.0, 1.0};
  engine.criterion.objective(theta.data(), crossnest::Frame::user, true);
  crossnest::PredictionVariances variances(engine.design, {true, true}, engine.blocks,
                                           engine.coordinates, engine.criterion, engine.pool);
  crossnest::InterruptCheck stop([] { return true; });
  CHECK_THROWS(variances.compute(stop), crossnest::Interrupted);
}
