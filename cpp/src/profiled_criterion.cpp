#include "profiled_criterion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "start.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// A parameter this small at the optimum may be zero.
constexpr double kNegligible = 1e-5;
// A diagonal of lambda this small may be on its way to zero, which a smooth method reaches slowly.
constexpr double kNearZero = 1e-3;
// A scale this small makes lambda singular; it is enlarged to this for the derivative in the
// covariance matrix.
constexpr double kSingular = 1e-3, kEnlarged = 1e-2;
// A decrease that is worth a new search.
constexpr double kWorthwhile = 1e-7;

std::size_t at(Eigen::Index i) { return static_cast<std::size_t>(i); }

Eigen::Map<const VectorXd> vector(const std::vector<double>& x) {
  return {x.data(), static_cast<Eigen::Index>(x.size())};
}

}  // namespace

ProfiledCriterion::ProfiledCriterion(Criterion& criterion, bool reml, double work,
                                     InterruptCheck& interrupt)
    : Objective(interrupt),
      criterion_(criterion),
      reml_(reml),
      work_(work),
      curvature_(at(criterion.covariance().terms())) {
  for (int term = 0; term < criterion.covariance().terms(); ++term) {
    Curvature& own = curvature_[at(term)];
    const int k = criterion.covariance().of(term).size();
    for (MatrixXd* matrix :
         {&own.lambda, &own.first, &own.second, &own.product, &own.inverse, &own.N})
      matrix->resize(k, k);
  }
}

void ProfiledCriterion::search_widely(const std::vector<Block>& blocks, const CrossProducts& A,
                                      const WeightSpread& weights) {
  wide_.emplace(criterion_, blocks, A, weights);
}

double ProfiledCriterion::evaluate(const VectorXd& theta) {
  theta_ = theta;
  return criterion_.objective(theta.data(), Frame::engine, reml_);
}

// What is known of N is that of the search before.
void ProfiledCriterion::begin_search(bool logarithms) {
  logarithms_ = logarithms;
  for (Curvature& own : curvature_) own.positive.resize(0, 0);
}

// The gradient in theta and an approximate Hessian. With d a function of Sigma = lambda lambda',
//   d2d = d2/dSigma2 [dSigma, dSigma] + 2 tr(N dlambda dlambda'),   N = dd/dSigma:
// average information stands for the first part; of the second the positive part is kept, but in
// logarithms, where average information alone serves better.
void ProfiledCriterion::differentiate(VectorXd& gradient, MatrixXd* hessian) {
  criterion_.gradient(gradient.data(), hessian != nullptr ? hessian->data() : nullptr);
  if (hessian == nullptr || logarithms_) return;
  for (int term = 0; term < criterion_.covariance().terms(); ++term) add_curvature(term, *hessian);
}

void ProfiledCriterion::add_curvature(int term, MatrixXd& hessian) {
  const CovarianceStructure& covariance = criterion_.covariance().of(term);
  const int k = covariance.size(), first = criterion_.covariance().first(term);
  Curvature& own = curvature_[at(term)];
  covariance.lambda(theta_.data() + first, own.lambda.data());
  // Near a singular lambda the division by it leaves only rounding errors; N changes little, so the
  // last good one serves.
  if (own.lambda.diagonal().cwiseAbs().minCoeff() > kSingular) {
    find_covariance_gradient(term);
    own.eigen.compute(own.N);
    own.product = own.eigen.eigenvectors() * own.eigen.eigenvalues().cwiseMax(0.0).asDiagonal();
    own.positive.resize(k, k);
    own.positive.noalias() = own.product * own.eigen.eigenvectors().transpose();
  }
  if (own.positive.size() == 0 || !covariance.linear_factor()) return;
  for (int i = 0; i < covariance.parameters(); ++i) {
    interrupt().poll(static_cast<double>(k) * k * (k + covariance.parameters()));
    covariance.derivative(theta_.data() + first, i, own.first.data());
    own.product.noalias() = own.positive * own.first;
    for (int j = 0; j < covariance.parameters(); ++j) {
      covariance.derivative(theta_.data() + first, j, own.second.data());
      hessian(first + i, first + j) += 2.0 * (own.product.array() * own.second.array()).sum();
    }
  }
}

// N = dd/d(lambda lambda') of a term, from dd/dlambda = 2 N lambda at the last gradient.
void ProfiledCriterion::find_covariance_gradient(int term) {
  Curvature& own = curvature_[at(term)];
  const Eigen::Index k = own.lambda.rows();
  const Eigen::Map<const MatrixXd> M(criterion_.lambda_gradient(term).data(), k, k);
  own.lu.compute(own.lambda);
  own.inverse = own.lu.inverse();
  own.product.noalias() = 0.25 * M * own.inverse;
  own.N = own.product + own.product.transpose();
}

bool ProfiledCriterion::is_scale(Eigen::Index i) const {
  return criterion_.covariance().lower_bounds()[at(i)] == 0.0;
}

double ProfiledCriterion::lower(Eigen::Index i) const {
  return criterion_.covariance().lower_barriers()[at(i)];
}

double ProfiledCriterion::upper(Eigen::Index i) const {
  return criterion_.covariance().upper_barriers()[at(i)];
}

// Where lambda is not linear in a few parameters, average information is too far off.
bool ProfiledCriterion::has_hessian() const {
  constexpr int kFew = 12;
  return criterion_.covariance().has_linear_factors() || criterion_.parameters() > kFew;
}

bool ProfiledCriterion::fall_back(VectorXd& theta) const {
  theta = vector(crossnest::other_starts(criterion_.covariance()).front());
  return true;
}

std::vector<VectorXd> ProfiledCriterion::other_starts() const {
  std::vector<VectorXd> starts;
  for (const std::vector<double>& start : crossnest::other_starts(criterion_.covariance()))
    starts.emplace_back(vector(start));
  return starts;
}

std::vector<VectorXd> ProfiledCriterion::scattered_starts() { return wide_->scattered(*this); }

std::vector<VectorXd> ProfiledCriterion::starts_around(const VectorXd& theta) {
  return wide_->around(*this, theta);
}

bool ProfiledCriterion::is_on_boundary(const VectorXd& theta) const {
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    if (criterion_.is_estimated_singular(term, theta.data())) return true;
  return false;
}

// Diagonals of lambda that are nearly zero: where they are zero they stay so, as the gradient in
// them vanishes there.
bool ProfiledCriterion::settle(VectorXd& theta) const {
  if (scales_only()) return false;
  bool near = false;
  for (Eigen::Index i = 0; i < parameters(); ++i) {
    if (!is_scale(i) || !is_free(i) || theta(i) == 0.0 || theta(i) > kNearZero) continue;
    theta(i) = 0.0;
    near = true;
  }
  return near;
}

bool ProfiledCriterion::snap(VectorXd& theta) const {
  const VectorXd before = theta;
  theta = (theta.array().abs() < kNegligible).select(0.0, theta);
  impose(theta);
  return theta != before;
}

// Let N = dd / d(lambda lambda'), from the gradient M = 2 N lambda at a slightly enlarged lambda.
// Where N has a negative eigenvalue, adding variance along its eigenvector lowers d.
bool ProfiledCriterion::escape(VectorXd& theta, double least) {
  VectorXd enlarged;
  std::vector<int> singular;
  if (!enlarge(theta, enlarged, singular) || !std::isfinite(value(enlarged))) return false;
  const Direction direction = steepest(enlarged, singular);
  if (!(direction.slope < 0.0)) return false;
  for (const double length : {0.3, 0.1, 0.03, 0.01}) {
    const VectorXd trial = with_variance(theta, direction, length);
    if (!(value(trial) < least - kWorthwhile)) continue;
    theta = trial;
    return true;
  }
  return false;
}

// Raises the smallest eigenvalues of the singular terms' lambda lambda'; false where there are
// none.
bool ProfiledCriterion::enlarge(const VectorXd& theta, VectorXd& enlarged,
                                std::vector<int>& singular) const {
  enlarged = theta;
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    if (is_held(term)) continue;
    const CovarianceStructure& covariance = criterion_.covariance().of(term);
    const int k = covariance.size(), first = criterion_.covariance().first(term);
    MatrixXd lambda(k, k);
    covariance.lambda(theta.data() + first, lambda.data());
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(lambda * lambda.transpose());
    if (!(eigen.eigenvalues().minCoeff() < kSingular * kSingular)) continue;
    const MatrixXd factor =
        eigen.eigenvectors() *
        eigen.eigenvalues().array().max(kEnlarged * kEnlarged).sqrt().matrix().asDiagonal();
    covariance.from_factor(factor.data(), enlarged.data() + first);
    singular.push_back(term);
  }
  return !singular.empty();
}

bool ProfiledCriterion::is_held(int term) const {
  const int first = criterion_.covariance().first(term);
  for (int a = first; a < first + criterion_.covariance().of(term).parameters(); ++a)
    if (is_free(a)) return false;
  return true;
}

// The least eigenvalue of N among these terms, at the last value().
ProfiledCriterion::Direction ProfiledCriterion::steepest(const VectorXd& enlarged,
                                                         const std::vector<int>& terms) {
  VectorXd there;
  gradient(there);
  Direction found;
  for (const int term : terms) {
    const CovarianceStructure& covariance = criterion_.covariance().of(term);
    Curvature& own = curvature_[at(term)];
    covariance.lambda(enlarged.data() + criterion_.covariance().first(term), own.lambda.data());
    find_covariance_gradient(term);
    if (covariance.scales_only()) own.N = MatrixXd(own.N.diagonal().asDiagonal());
    own.eigen.compute(own.N);
    if (found.term < 0 || own.eigen.eigenvalues()(0) < found.slope)
      found = {own.eigen.eigenvalues()(0), term, own.eigen.eigenvectors().col(0)};
  }
  return found;
}

VectorXd ProfiledCriterion::with_variance(const VectorXd& theta, const Direction& direction,
                                          double length) const {
  const CovarianceStructure& covariance = criterion_.covariance().of(direction.term);
  const int first = criterion_.covariance().first(direction.term);
  MatrixXd lambda(covariance.size(), covariance.size());
  covariance.lambda(theta.data() + first, lambda.data());
  MatrixXd square = lambda * lambda.transpose() +
                    length * length * direction.vector * direction.vector.transpose();
  semidefinite_cholesky(square.data(), covariance.size());
  VectorXd trial = theta;
  covariance.from_factor(square.data(), trial.data() + first);
  impose(trial);
  return trial;
}

}  // namespace crossnest
