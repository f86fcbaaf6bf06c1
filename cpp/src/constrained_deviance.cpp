#include "constrained_deviance.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "as_vector.hpp"
#include "eigen_decompositions.hpp"
#include "start.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;
using Kind = ProfileParameter::Kind;

constexpr double kPi = 3.14159265358979323846;
constexpr double kSmall = 1e-2;  // a standard deviation in units of sigma, about to vanish
constexpr double kNudge = 1e-3;  // of a scale that may want to leave zero
// A decrease that is not rounding.
constexpr double kLower = 1e-9;

std::size_t at(Eigen::Index i) { return static_cast<std::size_t>(i); }

bool is_own_parameters(const CovarianceStructure& covariance) {
  const std::vector<CovarianceLabel> labels = covariance.labels();
  return std::none_of(labels.begin(), labels.end(), [](const CovarianceLabel& label) {
    return label.kind == CovarianceLabel::Kind::entry;
  });
}

}  // namespace

std::vector<ProfileParameter> profile_parameters(const CovarianceParameters& covariance,
                                                 crossnest::Index rank) {
  std::vector<ProfileParameter> all;
  for (int term = 0; term < covariance.terms(); ++term) {
    int index = 0;
    for (const CovarianceLabel& label : covariance.of(term).components()) {
      const bool sd = label.kind == CovarianceLabel::Kind::sd;
      all.push_back({sd ? Kind::sd : Kind::correlation, term, index++});
    }
  }
  all.push_back({Kind::sigma});
  for (int j = 0; j < static_cast<int>(rank); ++j) all.push_back({Kind::fixed, 0, j});
  return all;
}

ConstrainedDeviance::ConstrainedDeviance(Criterion& criterion, const ProfileParameter& parameter,
                                         InterruptCheck& interrupt)
    : Objective(interrupt),
      criterion_(criterion),
      coordinates_(criterion.coordinates()),
      parameter_(parameter),
      n_(criterion.nu(false)),
      direction_(at(coordinates_.rank() + 1)) {
  int widest = 0;
  for (int term = 0; term < criterion.covariance().terms(); ++term) {
    const CovarianceStructure& covariance = criterion.covariance().of(term);
    const int k = covariance.size();
    widest = std::max(widest, k);
    lambda_.emplace_back(at(k * k), 0.0);
    first_.push_back(size_);
    own_.push_back(is_own_parameters(covariance));
    if (on_term() && term == parameter.term && !is_own(term))
      lay_out_term();
    else
      lay_out_parameters(term);
  }
  scratch_.resize(at(widest * widest));
  if (is(Kind::sd)) ++size_;  // log sigma
  if (is(Kind::fixed)) {
    const MatrixXd inverse = coordinates_.fixed().inverse();  // beta = T^-1 (beta0 + s beta~)
    c_ = inverse.row(parameter.index).transpose();
    shift_ = c_.dot(as_vector(criterion_.response().beta0));
    unit_ = criterion_.response().scale * c_.norm();
  }
  set_bounds();
}

// Where the parameters of a term are in z: one after the other, but for the one that is t.
void ConstrainedDeviance::lay_out_parameters(int term) {
  const CovarianceStructure& covariance = criterion_.covariance().of(term);
  const bool constrained = on_term() && term == parameter_.term;
  for (int a = 0; a < covariance.parameters(); ++a) {
    const int place = criterion_.covariance().first(term) + a;
    if (constrained) place_.push_back(a == parameter_.index ? 0 : size_);
    if (constrained && a == parameter_.index) continue;
    if (criterion_.is_held(place, false))
      held_.push_back({size_, place});
    else if (covariance.even(a))
      scales_.push_back(size_);
    ++size_;
  }
  if (!constrained) return;
  theta_.resize(covariance.parameters());
  if (!is(Kind::sd)) return;
  // One effect of those with this standard deviation speaks for all.
  first_effect_ = std::max(0, covariance.components()[at(parameter_.index)].row);
  unit_ =
      coordinates_.random(term).inverse().row(first_effect_).norm() * criterion_.response().scale;
}

void ConstrainedDeviance::set_bounds() {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  lower_ = VectorXd::Constant(size_, -kNone);
  upper_ = VectorXd::Constant(size_, kNone);
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    const bool constrained = on_term() && term == parameter_.term;
    if (constrained && !is_own(term)) continue;
    const auto first = at(criterion_.covariance().first(term));
    for (int a = 0; a < criterion_.covariance().of(term).parameters(); ++a) {
      const Eigen::Index i = constrained ? place_[at(a)] : first_[at(term)] + a;
      lower_(i) = criterion_.covariance().lower_barriers()[first + at(a)];
      upper_(i) = criterion_.covariance().upper_barriers()[first + at(a)];
    }
  }
  if (is(Kind::sd)) lower_(0) = 0.0;
  if (is(Kind::correlation) && !is_own(parameter_.term)) {  // t is an angle
    lower_(0) = -kPi / 2.0;
    upper_(0) = kPi / 2.0;
  }
}

// The free entries of the constrained term's factor. A row of T^-1 has the length its effect's
// standard deviation has when lambda is the identity in the engine's coordinates: the unit of the
// entries in that row.
void ConstrainedDeviance::lay_out_term() {
  const MatrixXd inverse = coordinates_.random(parameter_.term).inverse();
  const CovarianceLabel label =
      criterion_.covariance().of(parameter_.term).components()[at(parameter_.index)];
  first_effect_ = label.column;
  second_effect_ = label.row;
  const int k = static_cast<int>(inverse.rows()), pinned = is(Kind::correlation) ? 2 : 1;
  permutation_.resize(at(k));
  std::iota(permutation_.begin(), permutation_.end(), 0);
  const auto put_first = [&](int effect) {
    const auto found = std::find(permutation_.begin(), permutation_.end(), effect);
    std::rotate(permutation_.begin(), found, found + 1);
  };
  if (is(Kind::correlation)) put_first(second_effect_);
  put_first(first_effect_);
  factor_ = MatrixXd::Zero(k, k);
  const auto add = [&](int place, int column) {
    const int row = permutation_[at(place)];
    entries_.push_back({row, column, inverse.row(row).norm(), size_++});
  };
  if (is(Kind::correlation)) {
    add(0, 0);
    add(1, 0);
  } else {
    unit_ = inverse.row(first_effect_).norm() * criterion_.response().scale;
  }
  for (int place = pinned; place < k; ++place) {
    for (int column = 0; column < place; ++column) add(place, column);
    scales_.push_back(size_);
    add(place, place);
  }
}

bool ConstrainedDeviance::is_free(Eigen::Index i) const {
  return i > 0 &&
         std::none_of(held_.begin(), held_.end(), [i](const auto& one) { return one.first == i; });
}

std::vector<Eigen::Index> ConstrainedDeviance::free() const {
  std::vector<Eigen::Index> free;
  for (Eigen::Index i = 1; i < size_; ++i)
    if (is_free(i)) free.push_back(i);
  return free;
}

double ConstrainedDeviance::parameter_at(double t) const {
  if (is(Kind::sigma)) return std::exp(t);
  return is(Kind::correlation) && !is_own(parameter_.term) ? std::sin(t) : t;
}

bool ConstrainedDeviance::start(const std::vector<double>& from, VectorXd& z) {
  std::vector<double> theta = from;
  for (const HeldParameter& held : criterion_.response().held)
    for (const auto& [index, parameter] : held_)
      if (held.parameter == parameter) theta[at(parameter)] = held.value;
  z = VectorXd::Zero(size_);
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    const CovarianceStructure& covariance = criterion_.covariance().of(term);
    const double* own = theta.data() + criterion_.covariance().first(term);
    if (on_term() && term == parameter_.term && is_own(term))
      for (int a = 0; a < covariance.parameters(); ++a) z(place_[at(a)]) = own[a];
    else if (on_term() && term == parameter_.term)
      covariance.lambda(own, lambda_[at(term)].data());
    else
      std::copy_n(own, covariance.parameters(), z.data() + first_[at(term)]);
  }
  if (!std::isfinite(criterion_.objective(theta.data(), Frame::engine, false))) return false;
  const double s = criterion_.response().scale, sigma = s * std::sqrt(criterion_.pwrss() / n_);
  if (is(Kind::sigma) || is(Kind::sd)) z(log_sigma()) = std::log(sigma);
  if (is(Kind::fixed)) {
    const Eigen::Index r = c_.size();
    const Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
    const VectorXd beta =
        F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(F.col(r).head(r));
    z(0) = shift_ + s * c_.dot(beta);
  }
  if (on_term() && is_own(parameter_.term)) {
    if (is(Kind::sd)) {
      z(0) *= sigma * unit_ / s;
      return true;
    }
    return correlates(z);
  }
  return !on_term() || start_on_term(sigma, z);
}

// Whether two effects of the constrained term have a variance, so that they have a correlation.
bool ConstrainedDeviance::correlates(const VectorXd& z) const {
  const CovarianceStructure& covariance = criterion_.covariance().of(parameter_.term);
  const std::vector<CovarianceLabel> labels = covariance.labels();
  int seen = 0;
  for (std::size_t a = 0; a < labels.size(); ++a)
    if (labels[a].kind == CovarianceLabel::Kind::sd && z(place_[a]) != 0.0)
      seen += labels[a].row == CovarianceLabel::kAll ? covariance.size() : 1;
  return seen > 1;
}

// z of the constrained term, from its lambda: the lower-triangular factor of the permuted effects.
bool ConstrainedDeviance::start_on_term(double sigma, VectorXd& z) const {
  const Eigen::Index k = factor_.rows();
  const Map<const MatrixXd> lambda(lambda_[at(parameter_.term)].data(), k, k);
  const MatrixXd user = coordinates_.random(parameter_.term).inverse() * lambda;
  MatrixXd permuted(k, k);
  for (Eigen::Index place = 0; place < k; ++place)
    permuted.row(place) = user.row(permutation_[at(place)]);
  triangular_factor(MatrixXd(permuted).data(), static_cast<int>(k), permuted.data());
  MatrixXd factor(k, k);
  for (Eigen::Index place = 0; place < k; ++place)
    factor.row(permutation_[at(place)]) = permuted.row(place);
  for (const Entry& entry : entries_)
    z(entry.index) = factor(entry.row, entry.column) / entry.scale;
  if (is(Kind::sd)) {
    z(0) = sigma * permuted(0, 0);
    return true;
  }
  const double first = permuted(0, 0), second = permuted.row(1).norm();
  if (!(first > 0.0 && second > 0.0)) return false;
  z(0) = std::atan2(permuted(1, 0), permuted(1, 1));
  z(entries_[0].index) = std::log(first / entries_[0].scale);
  z(entries_[1].index) = std::log(second / entries_[1].scale);
  return true;
}

void ConstrainedDeviance::find_other_starts(const VectorXd& z, bool thorough) {
  starts_.clear();
  const bool angle = is(Kind::correlation) && !is_own(parameter_.term);
  for (std::size_t i = 0; angle && i < 2; ++i) {
    starts_.push_back(z);
    starts_.back()(entries_[i].index) = std::log(kSmall);
  }
  if (!thorough) return;
  VectorXd other;
  for (const std::vector<double>& theta : crossnest::other_starts(criterion_.covariance()))
    if (start(theta, other)) starts_.push_back(other);
}

bool ConstrainedDeviance::escape(VectorXd& z, double least) {
  for (const Eigen::Index i : scales_) {
    if (std::abs(z(i)) > kNudge) continue;
    VectorXd moved = z;
    double best = least, scale_there = z(i);
    for (double scale = kNudge;; scale *= 2.0) {
      moved(i) = scale;
      const double next = value(moved);
      if (!(next < best - kLower)) break;
      best = next;
      scale_there = scale;
    }
    if (best == least) continue;
    z(i) = scale_there;
    return true;
  }
  return false;
}

std::vector<double> ConstrainedDeviance::theta(const VectorXd& z) {
  set_lambda(z);
  std::vector<double> theta(criterion_.covariance().lower_bounds().size());
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    criterion_.covariance().of(term).from_factor(
        lambda_[at(term)].data(), theta.data() + criterion_.covariance().first(term));
  return theta;
}

void ConstrainedDeviance::set_lambda(const VectorXd& z) {
  z_ = z;
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    if (on_term() && term == parameter_.term && is_own(term))
      set_own(z);
    else if (on_term() && term == parameter_.term)
      set_constrained(z);
    else
      criterion_.covariance().of(term).lambda(z.data() + first_[at(term)],
                                              lambda_[at(term)].data());
}

// theta of the constrained term, of which one is t.
void ConstrainedDeviance::set_own(const VectorXd& z) {
  for (std::size_t a = 0; a < place_.size(); ++a)
    theta_(static_cast<Eigen::Index>(a)) = z(place_[a]);
  if (is(Kind::sd))
    theta_(parameter_.index) =
        z(0) * std::exp(-z(log_sigma())) * criterion_.response().scale / unit_;
  criterion_.covariance()
      .of(parameter_.term)
      .lambda(theta_.data(), lambda_[at(parameter_.term)].data());
}

void ConstrainedDeviance::set_constrained(const VectorXd& z) {
  for (const Entry& entry : entries_)
    factor_(entry.row, entry.column) = entry.scale * z(entry.index);
  if (is(Kind::sd)) {
    factor_(first_effect_, 0) = z(0) * std::exp(-z(log_sigma()));
  } else {
    const double length = entries_[1].scale * std::exp(z(entries_[1].index));
    factor_(first_effect_, 0) = entries_[0].scale * std::exp(z(entries_[0].index));
    factor_(second_effect_, 0) = length * std::sin(z(0));
    factor_(second_effect_, 1) = length * std::cos(z(0));
  }
  Map<MatrixXd>(lambda_[at(parameter_.term)].data(), factor_.rows(), factor_.rows()) =
      coordinates_.random(parameter_.term) * factor_;
}

// r2, F [-beta; 1] and sigma^2 at the best beta that agrees with t.
void ConstrainedDeviance::set_response(const VectorXd& z) {
  const Eigen::Index r = static_cast<Eigen::Index>(direction_.size()) - 1;
  const Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
  Map<VectorXd> a(direction_.data(), r + 1);
  a.setZero();
  a(r) = F(r, r);
  if (is(Kind::fixed)) {
    const auto R = F.topLeftCorner(r, r).triangularView<Eigen::Upper>();
    const VectorXd h = R.transpose().solve(c_);
    const double estimate = h.dot(F.col(r).head(r));
    excess_ = ((z(0) - shift_) / criterion_.response().scale - estimate) / h.squaredNorm();
    a.head(r) = -excess_ * h;
  }
  r2_ = a.squaredNorm();
  a /= std::sqrt(r2_);
  const double s = criterion_.response().scale;
  const bool own = is(Kind::sigma) || is(Kind::sd);
  sigma2_ = own ? std::exp(2.0 * z(log_sigma())) / (s * s) : r2_ / n_;
}

double ConstrainedDeviance::evaluate(const VectorXd& z) {
  set_lambda(z);
  if (!criterion_.factorize(lambda_)) return std::numeric_limits<double>::infinity();
  set_response(z);
  const double s = criterion_.response().scale;
  const double d = criterion_.elimination().log_det() - criterion_.log_weights() +
                   n_ * std::log(2.0 * kPi * s * s * sigma2_) + r2_ / sigma2_;
  return d;
}

double ConstrainedDeviance::rounding_error() {
  return criterion_.rounding_error(direction_, r2_ / sigma2_);
}

double ConstrainedDeviance::difference(const VectorXd& z, Eigen::Index i) const {
  const double step = 1e-4 * (i == 0 ? unit_ : std::max(1.0, std::abs(z(i))));
  return z(i) + step > upper_(i) ? -step : step;
}

void ConstrainedDeviance::differentiate(VectorXd& gradient, MatrixXd*) {
  const double weight = r2_ / sigma2_;
  criterion_.differentiate(direction_, weight, false);
  gradient.setZero(size_);
  if (is(Kind::sigma) || is(Kind::sd)) gradient(log_sigma()) = 2.0 * (n_ - weight);
  if (is(Kind::fixed)) gradient(0) = 2.0 * weight * excess_ / (criterion_.response().scale * r2_);
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    if (on_term() && term == parameter_.term)
      add_constrained(gradient);
    else
      criterion_.covariance().of(term).pull_back(
          z_.data() + first_[at(term)], criterion_.lambda_gradient(term).data(),
          gradient.data() + first_[at(term)], scratch_.data());
}

void ConstrainedDeviance::add_constrained(VectorXd& gradient) const {
  const Eigen::Index k = criterion_.covariance().of(parameter_.term).size();
  const Map<const MatrixXd> internal(criterion_.lambda_gradient(parameter_.term).data(), k, k);
  if (is_own(parameter_.term)) {
    std::vector<double> own(at(theta_.size())), scratch(at(k * k));
    criterion_.covariance()
        .of(parameter_.term)
        .pull_back(theta_.data(), internal.data(), own.data(), scratch.data());
    for (std::size_t a = 0; a < own.size(); ++a) gradient(place_[a]) = own[a];
    if (!is(Kind::sd)) return;
    gradient(log_sigma()) -= gradient(0) * theta_(parameter_.index);
    gradient(0) *= std::exp(-z_(log_sigma())) * criterion_.response().scale / unit_;
    return;
  }
  const MatrixXd G = coordinates_.random(parameter_.term).transpose() * internal;
  for (const Entry& entry : entries_)
    gradient(entry.index) = entry.scale * G(entry.row, entry.column);
  const int first = first_effect_, second = second_effect_;
  if (is(Kind::sd)) {
    gradient(0) = G(first, 0) * std::exp(-z_(log_sigma()));
    gradient(log_sigma()) -= G(first, 0) * factor_(first, 0);
    return;
  }
  gradient(entries_[0].index) = G(first, 0) * factor_(first, 0);
  gradient(entries_[1].index) =
      G(second, 0) * factor_(second, 0) + G(second, 1) * factor_(second, 1);
  gradient(0) = G(second, 0) * factor_(second, 1) - G(second, 1) * factor_(second, 0);
}

std::vector<double> ConstrainedDeviance::estimates() const {
  const double s = criterion_.response().scale, sigma = s * std::sqrt(sigma2_);
  std::vector<double> all;
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    const int k = criterion_.covariance().of(term).size();
    const MatrixXd user =
        coordinates_.random(term).inverse() * Map<const MatrixXd>(lambda_[at(term)].data(), k, k);
    const CovarianceStructure& covariance = criterion_.covariance().of(term);
    const std::vector<CovarianceLabel> labels = covariance.components();
    std::vector<double> theta(at(covariance.parameters())), values(labels.size());
    covariance.from_factor(user.data(), theta.data());
    covariance.component_values(theta.data(), values.data());
    for (std::size_t i = 0; i < labels.size(); ++i)
      all.push_back(labels[i].kind == CovarianceLabel::Kind::sd ? sigma * values[i] : values[i]);
  }
  all.push_back(sigma);
  const Eigen::Index r = static_cast<Eigen::Index>(direction_.size()) - 1;
  const Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
  const Map<const VectorXd> a(direction_.data(), r + 1);
  const VectorXd right = F.col(r).head(r) - std::sqrt(r2_) * a.head(r);  // R_X beta
  const VectorXd beta = coordinates_.fixed().partialPivLu().solve(
      VectorXd(as_vector(criterion_.response().beta0) +
               s * VectorXd(F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(right))));
  all.insert(all.end(), beta.data(), beta.data() + r);
  return all;
}

}  // namespace crossnest
