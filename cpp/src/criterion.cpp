#include "criterion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eigen_decompositions.hpp"
#include "small_dense.hpp"

namespace crossnest {

namespace {

constexpr double kPi = 3.14159265358979323846;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// inverse := A^-1 by Gauss-Jordan with partial pivoting; A is spoilt. Returns the largest entry of
// the inverse in absolute value, infinity when A is singular.
double invert_small(double* A, int k, double* inverse) {
  std::fill_n(inverse, k * k, 0.0);
  for (int i = 0; i < k; ++i) inverse[i * k + i] = 1.0;
  for (int j = 0; j < k; ++j) {
    int pivot = j;
    for (int i = j + 1; i < k; ++i)
      if (std::abs(A[j * k + i]) > std::abs(A[j * k + pivot])) pivot = i;
    if (A[j * k + pivot] == 0.0) return std::numeric_limits<double>::infinity();
    for (int c = 0; c < k; ++c) {
      std::swap(A[c * k + j], A[c * k + pivot]);
      std::swap(inverse[c * k + j], inverse[c * k + pivot]);
    }
    const double scale = 1.0 / A[j * k + j];
    for (int c = 0; c < k; ++c) {
      A[c * k + j] *= scale;
      inverse[c * k + j] *= scale;
    }
    for (int i = 0; i < k; ++i) {
      if (i == j) continue;
      const double factor = A[j * k + i];
      for (int c = 0; c < k; ++c) {
        A[c * k + i] -= factor * A[c * k + j];
        inverse[c * k + i] -= factor * inverse[c * k + j];
      }
    }
  }
  double largest = 0.0;
  for (int i = 0; i < k * k; ++i) largest = std::max(largest, std::abs(inverse[i]));
  return largest;
}

}  // namespace

Criterion::Criterion(const CovarianceParameters& parameters, const std::vector<Block>& blocks,
                     const Coordinates& coordinates, const CrossProducts& A,
                     FactorWorkspace& workspace)
    : covariance_(parameters),
      blocks_(blocks),
      coordinates_(coordinates),
      A_(A),
      workspace_(workspace),
      vectors_(workspace.vectors()),
      beside_(workspace.beside()),
      border_(beside_.columns()),
      theta_(at(parameters.size())),
      unconstrained_(at(border_), 0.0) {
  unconstrained_.back() = 1.0;
  std::size_t widest = 0;
  for (int term = 0; term < parameters.terms(); ++term) {
    const int k = parameters.of(term).size();
    lambda_gradient_.emplace_back(at(k * k));
    widest = std::max(widest, lambda_gradient_.back().size());
  }
  inverse_.resize(widest);
  scratch_.resize(widest);
  for (const Block& block : blocks) {
    lambda_.emplace_back(at(block.k * block.k), 0.0);
    sums_.emplace_back(at(block.k * block.k), 0.0);
  }
}

bool Criterion::is_held(int parameter, bool reml) const {
  const std::vector<HeldParameter>& held = response_->held;
  return std::any_of(held.begin(), held.end(), [=](const HeldParameter& one) {
    return one.parameter == parameter && (reml || !one.reml_only);
  });
}

std::vector<Eigen::Index> Criterion::free_parameters(bool reml) const {
  std::vector<Eigen::Index> free;
  for (int a = 0; a < parameters(); ++a)
    if (!is_held(a, reml)) free.push_back(a);
  return free;
}

void Criterion::impose(double* theta, bool reml) const {
  for (const HeldParameter& held : response_->held)
    if (reml || !held.reml_only) theta[held.parameter] = held.value;
}

double Criterion::nu(bool reml) const {
  return static_cast<double>(A_.n() - (reml ? border_ - 1 : 0));
}

double Criterion::pwrss() const {
  const double root = elimination().border().back();
  return root * root;
}

void Criterion::set_lambda(const double* theta, Frame frame) {
  std::copy_n(theta, theta_.size(), theta_.begin());
  frame_ = frame;
  for (std::size_t t = 0; t < blocks_.size(); ++t) {
    const Block& block = blocks_[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const CovarianceStructure& covariance = covariance_.of(block.terms[j]);
      const int k = covariance.size();
      covariance.lambda(theta + covariance_.first(block.terms[j]), scratch_.data());
      if (frame == Frame::user) {
        multiply(coordinates_.random(block.terms[j]).data(), scratch_.data(), k, k, k,
                 inverse_.data());
        std::copy_n(inverse_.begin(), k * k, scratch_.begin());
      }
      place(static_cast<int>(t), j, scratch_.data());
    }
  }
}

// Puts lambda of the j-th term of a block into that of the block.
void Criterion::place(int t, std::size_t j, const double* lambda) {
  const Block& block = blocks_[at(t)];
  const int k = covariance_.of(block.terms[j]).size(), offset = block.offsets[j];
  for (int c = 0; c < k; ++c)
    std::copy_n(lambda + c * k, k, lambda_[at(t)].begin() + (offset + c) * block.k + offset);
}

bool Criterion::factorize(const std::vector<std::vector<double>>& lambda) {
  std::fill(theta_.begin(), theta_.end(), std::numeric_limits<double>::quiet_NaN());
  for (std::size_t t = 0; t < blocks_.size(); ++t)
    for (std::size_t j = 0; j < blocks_[t].terms.size(); ++j)
      place(static_cast<int>(t), j, lambda[at(blocks_[t].terms[j])].data());
  return factorize();
}

bool Criterion::factorize() {
  state_ = std::monostate();
  std::optional<Factor> factor = workspace_.factorize(lambda_, *response_);
  if (factor) state_ = std::move(*factor);
  return factor.has_value();
}

const Elimination& Criterion::elimination() const {
  if (const Factor* factor = std::get_if<Factor>(&state_)) return *factor;
  if (const InverseDiagonal* inverse = std::get_if<InverseDiagonal>(&state_)) return *inverse;
  return std::get<Inverse>(state_);
}

const Factor& Criterion::factor() {
  if (InverseDiagonal* inverse = std::get_if<InverseDiagonal>(&state_))
    restore(std::move(*inverse));
  else if (Inverse* inverse_on_pattern = std::get_if<Inverse>(&state_))
    restore(std::move(*inverse_on_pattern));
  return std::get<Factor>(state_);
}

void Criterion::restore(InverseDiagonal&& inverse) {
  std::optional<Factor> factor = std::move(inverse).factor();
  if (factor)
    state_ = std::move(*factor);
  else
    factorize();
}

const InverseDiagonal& Criterion::inverse_diagonal() {
  if (const Inverse* inverse = std::get_if<Inverse>(&state_)) return *inverse;
  if (Factor* factor = std::get_if<Factor>(&state_)) state_ = std::move(*factor).invert_diagonal();
  return std::get<InverseDiagonal>(state_);
}

const Inverse& Criterion::inverse() {
  if (!std::holds_alternative<Inverse>(state_)) {
    factor();
    state_ = std::move(std::get<Factor>(state_)).invert();
  }
  return std::get<Inverse>(state_);
}

double Criterion::objective(const double* theta, Frame frame, bool reml) {
  set_lambda(theta, frame);
  reml_ = reml;
  if (!factorize()) return std::numeric_limits<double>::infinity();
  const std::vector<double>& F = elimination().border();
  double d = elimination().log_det() - A_.log_weights();
  if (reml) {
    for (int j = 0; j + 1 < border_; ++j) d += 2.0 * std::log(F[at(j * border_ + j)]);
    d += 2.0 * coordinates_.log_det_fixed();
  }
  const double s = response_->scale;
  return d + nu(reml) * (1.0 + std::log(2.0 * kPi * pwrss() * s * s / nu(reml)));
}

// A factorization is that of a matrix off by epsilon times its diagonal, so r2 is off by as much of
// v'diag(A) v, with A = [Z X y]'W[Z X y] and v = (-b, -beta, 1); all of it is divided by r2 below.
double Criterion::rounding_error(const std::vector<double>& direction, double weight) {
  constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();
  const Eigen::Map<const Eigen::MatrixXd> F(elimination().border().data(), border_, border_);
  const Eigen::VectorXd coefficients = F.triangularView<Eigen::Upper>().solve(
      Eigen::VectorXd(Eigen::Map<const Eigen::VectorXd>(direction.data(), border_)));
  double squares = 0.0;
  for (int j = 0; j + 1 < border_; ++j)
    squares += A_.fixed_fixed()[at(j * border_)] * coefficients(j) * coefficients(j);
  squares += response_->yy * coefficients(border_ - 1) * coefficients(border_ - 1);
  std::vector<double> effects(at(vectors_.q()));
  elimination().border_solution();
  sum_response(direction);
  multiply_lambda(solution_.data(), 1, effects.data());
  const double* b = effects.data();
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const int k = blocks_[at(t)].k;
    const double* value = A_.diagonal(t).data();
    for (Index l = 0; l < blocks_[at(t)].levels; ++l, value += k * k, b += k)
      for (int i = 0; i < k; ++i) squares += value[i * (k + 1)] * b[i] * b[i];
  }
  const double logs = std::abs(elimination().log_det()) + std::abs(A_.log_weights()) + weight;
  return kRounding * (logs + weight * squares);
}

// Whether lambda of a term is far enough from singular for the compact gradient; inverse_ is then
// its inverse. The compact form loses digits as 1 / lambda^2.
bool Criterion::compact(int block_index, std::size_t j) {
  const Block& block = blocks_[at(block_index)];
  const int k = covariance_.of(block.terms[j]).size(), offset = block.offsets[j];
  for (int c = 0; c < k; ++c)
    std::copy_n(lambda_[at(block_index)].begin() + (offset + c) * block.k + offset, k,
                scratch_.begin() + c * k);
  return invert_small(scratch_.data(), k, inverse_.data()) < 1e3;
}

// U_F direction: u / sqrt(r2) where beta is not constrained.
void Criterion::sum_response(const std::vector<double>& direction) {
  const Index q = vectors_.q();
  const std::vector<double>& U_F = elimination().border_solution();
  solution_.assign(at(q), 0.0);
  for (int b = 0; b < border_; ++b)
    if (direction[at(b)] != 0.0)
      for (Index i = 0; i < q; ++i) solution_[at(i)] += direction[at(b)] * U_F[at(b * q + i)];
}

// J I - sum_l (Omega^-1)_ll - [REML] sum_l (U_X R_X^-1)_l (U_X R_X^-1)_l'
//     - weight sum_l (U_F direction)_l (U_F direction)_l'.
void Criterion::sum_bracket(const InverseDiagonal& omega, int t, double weight, bool reml) {
  const Block& block = blocks_[at(t)];
  const int k = block.k;
  std::vector<double>& sum = sums_[at(t)];
  std::fill(sum.begin(), sum.end(), 0.0);
  const std::vector<double>& U_F = elimination().border_solution();
  for (Index l = 0; l < block.levels; ++l) {
    vectors_.poll(k * k);
    const double* inverse = omega.diagonal(t, l);
    for (int i = 0; i < k * k; ++i) sum[at(i)] -= inverse[i];
  }
  for (int i = 0; i < k; ++i) sum[at(i * k + i)] += static_cast<double>(block.levels);
  const auto subtract = [&](const double* w, double scale) {
    vectors_.poll(static_cast<double>(block.levels) * k * k);
    for (Index l = 0; l < block.levels; ++l, w += k)
      for (int j = 0; j < k; ++j)
        for (int i = 0; i < k; ++i) sum[at(j * k + i)] -= scale * w[i] * w[j];
  };
  for (int b = 0; reml && b + 1 < border_; ++b)
    subtract(U_F.data() + b * vectors_.q() + vectors_.start(t), 1.0);
  subtract(solution_.data() + vectors_.start(t), weight);
}

Criterion::Range Criterion::range(int t, std::size_t term) const {
  const Block& block = blocks_[at(t)];
  const int first = block.offsets[term];
  return {first, first + covariance_.of(block.terms[term]).size()};
}

// Only the entries between effects of one term. sum_l (Z'WZ Lambda Omega^-1)_ll - (G F^-1)_l K
// (U_F)_l', with K = diag([REML] 1, 0) + weight direction direction' and G F^-1 = Z'W[X y] F^-1 -
// Z'WZ Lambda U_F; good at any lambda.
void Criterion::sum_general(const Inverse& omega, const std::vector<double>& direction,
                            double weight, bool reml) {
  const Index q = vectors_.q();
  const std::vector<double>& U_F = elimination().border_solution();
  LambdaU_.resize(U_F.size());
  ALambdaU_.assign(U_F.size(), 0.0);
  multiply_lambda(U_F.data(), border_, LambdaU_.data());
  vectors_.multiply(LambdaU_.data(), border_, ALambdaU_.data());
  const std::vector<double>& F = elimination().border();
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const int k = blocks_[at(t)].k;
    std::vector<double>& sum = sums_[at(t)];
    std::fill(sum.begin(), sum.end(), 0.0);
    row_.resize(at(border_ * k));
    for (Index l = 0; l < blocks_[at(t)].levels; ++l) {
      vectors_.poll(border_ * border_ * k + border_ * k * k);
      beside_.copy(t, l, row_.data());
      for (int b = 0; b < border_; ++b) {
        for (int a = 0; a < b; ++a)
          for (int i = 0; i < k; ++i)
            row_[at(b * k + i)] -= row_[at(a * k + i)] * F[at(b * border_ + a)];
        for (int i = 0; i < k; ++i) row_[at(b * k + i)] /= F[at(b * border_ + b)];
      }
      const Index start = vectors_.start(t) + l * k;
      for (int b = 0; b < border_; ++b)
        for (int i = 0; i < k; ++i) row_[at(b * k + i)] -= ALambdaU_[at(b * q + start + i)];
      for (int b = 0; b < border_; ++b)
        for (int j = 0; j < k; ++j) {
          double right = weight * direction[at(b)] * solution_[at(start + j)];
          if (reml && b + 1 < border_) right += U_F[at(b * q + start + j)];
          for (int i = 0; i < k; ++i) sum[at(j * k + i)] -= row_[at(b * k + i)] * right;
        }
      // A_ll lambda (Omega^-1)_ll.
      const double *A = A_.diagonal(t).data() + l * k * k, *inverse = omega.diagonal(t, l);
      for (std::size_t term = 0; term < blocks_[at(t)].terms.size(); ++term) {
        const Range own = range(t, term);
        for (std::size_t other = 0; other < blocks_[at(t)].terms.size(); ++other) {
          const Range inner = range(t, other);  // lambda is zero between terms
          for (int j = own.first; j < own.last; ++j)
            for (int m = inner.first; m < inner.last; ++m) {
              double right = 0.0;
              for (int c = inner.first; c < inner.last; ++c)
                right += lambda_[at(t)][at(c * k + m)] * inverse[j * k + c];
              for (int i = own.first; i < own.last; ++i) sum[at(j * k + i)] += A[m * k + i] * right;
            }
        }
      }
    }
  }
  add_cross_products(omega);
}

// The part of (Z'WZ Lambda Omega^-1)_ll that passes through levels of other blocks.
void Criterion::add_cross_products(const Inverse& omega) {
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t)
    for (int s = 0; s < t; ++s) {
      const CrossBlocks& cross = A_.cross(s, t);
      const int ks = blocks_[at(s)].k, kt = blocks_[at(t)].k;
      row_.resize(at(ks * kt));
      for (Index l = 0; l < A_.levels(s); ++l) {
        vectors_.poll(static_cast<double>(cross.row_start[at(l + 1)] - cross.row_start[at(l)]) *
                      ks * kt * (ks + kt));
        for (Index e = cross.row_start[at(l)]; e < cross.row_start[at(l) + 1]; ++e) {
          omega.block(s, static_cast<Level>(l), t, cross.column[at(e)], row_.data());
          const double* A = cross.values.data() + e * ks * kt;
          // Block s: A_st lambda_t (Omega^-1)_ts.
          for (int j = 0; j < ks; ++j)
            for (int m = 0; m < kt; ++m) {
              double right = 0.0;
              for (int c = 0; c < kt; ++c)
                right += lambda_[at(t)][at(c * kt + m)] * row_[at(c * ks + j)];
              for (int i = 0; i < ks; ++i) sums_[at(s)][at(j * ks + i)] += A[m * ks + i] * right;
            }
          // Block t: A_ts lambda_s (Omega^-1)_st.
          for (int j = 0; j < kt; ++j)
            for (int m = 0; m < ks; ++m) {
              double right = 0.0;
              for (int c = 0; c < ks; ++c)
                right += lambda_[at(s)][at(c * ks + m)] * row_[at(j * ks + c)];
              for (int i = 0; i < kt; ++i) sums_[at(t)][at(j * kt + i)] += A[i * ks + m] * right;
            }
        }
      }
    }
}

void Criterion::gradient(double* gradient, double* information) {
  if (information != nullptr) average_information(information);
  differentiate(unconstrained_, nu(reml_), reml_);
  for (int term = 0; term < covariance_.terms(); ++term) {
    const CovarianceStructure& covariance = covariance_.of(term);
    const int k = covariance.size(), first = covariance_.first(term);
    const double* own = lambda_gradient_[at(term)].data();
    if (frame_ == Frame::user) {  // lambda = T lambda_user
      multiply_transposed(coordinates_.random(term).data(), own, k, k, k, inverse_.data());
      own = inverse_.data();
    }
    covariance.pull_back(theta_.data() + first, own, gradient + first, scratch_.data());
  }
}

void Criterion::differentiate(const std::vector<double>& direction, double weight, bool reml) {
  sum_response(direction);
  bool all_compact = true;
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t)
    for (std::size_t j = 0; j < blocks_[at(t)].terms.size(); ++j) all_compact &= compact(t, j);
  if (!all_compact) sum_general(inverse(), direction, weight, reml);
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const Block& block = blocks_[at(t)];
    if (all_compact) sum_bracket(inverse_diagonal(), t, weight, reml);
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], offset = block.offsets[j];
      const int k = covariance_.of(term).size();
      std::vector<double>& M = lambda_gradient_[at(term)];
      for (int c = 0; c < k; ++c)
        std::copy_n(sums_[at(t)].begin() + (offset + c) * block.k + offset, k, M.begin() + c * k);
      if (all_compact) {
        compact(t, j);  // inverse_ = lambda^-1 again, for this term
        std::copy_n(M.begin(), k * k, scratch_.begin());
        multiply_transposed(inverse_.data(), scratch_.data(), k, k, k, M.data());
      }
      for (double& value : M) value *= 2.0;
    }
  }
}

void Criterion::multiply_lambda(const double* V, int columns, double* out) const {
  for (int c = 0; c < columns; ++c)
    for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
      const int k = blocks_[at(t)].k;
      for (Index l = 0; l < blocks_[at(t)].levels; ++l, V += k, out += k)
        multiply(lambda_[at(t)].data(), V, k, k, 1, out);
    }
}

void Criterion::multiply_lambda_transposed(const double* V, int columns, double* out) const {
  for (int c = 0; c < columns; ++c)
    for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
      const int k = blocks_[at(t)].k;
      for (Index l = 0; l < blocks_[at(t)].levels; ++l, V += k, out += k)
        multiply_transposed(lambda_[at(t)].data(), V, k, k, 1, out);
    }
}

// Z'W[X y] F^-1 - Z'WZ Lambda U_F, U_F = L'^-1 R_Z F^-1.
std::vector<double> Criterion::scores(int first) {
  std::vector<double> g;
  find_scores(first, g);
  return g;
}

void Criterion::find_scores(int first, std::vector<double>& g) {
  const Index q = vectors_.q();
  const int columns = border_ - first;
  const double* U_F = elimination().border_solution().data() + first * q;
  const Eigen::Map<const Eigen::MatrixXd> F(elimination().border().data(), border_, border_);
  work_.inverse.assign(at(border_ * columns), 0.0);
  for (int c = 0; c < columns; ++c) work_.inverse[at(c * border_ + first + c)] = 1.0;
  Eigen::Map<Eigen::MatrixXd> inverse(work_.inverse.data(), border_, columns);
  F.triangularView<Eigen::Upper>().solveInPlace(inverse);
  work_.LambdaU.resize(at(q * columns));
  g.assign(at(q * columns), 0.0);
  multiply_lambda(U_F, columns, work_.LambdaU.data());
  vectors_.multiply(work_.LambdaU.data(), columns, g.data());
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const int k = blocks_[at(t)].k;
    row_.resize(at(border_ * k));
    for (Index l = 0; l < blocks_[at(t)].levels; ++l) {
      vectors_.poll(columns * border_ * k);
      beside_.copy(t, l, row_.data());
      for (int c = 0; c < columns; ++c)
        for (int i = 0; i < k; ++i) {
          double sum = 0.0;
          for (int b = 0; b <= first + c; ++b) sum += row_[at(b * k + i)] * inverse(b, c);
          double& value = g[at(c * q + vectors_.start(t) + l * k + i)];
          value = sum - value;
        }
    }
  }
}

// f_a / sqrt(r2) of every parameter, f_a = dLambda_a u + Lambda dLambda_a' g: q x m.
void Criterion::find_directions(const std::vector<double>& g, std::vector<double>& f) {
  const Index q = vectors_.q();
  const double* u = elimination().border_solution().data() + (border_ - 1) * q;
  f.assign(at(q * parameters()), 0.0);
  std::vector<double>& derivative = work_.derivative;
  std::vector<char>& zero = work_.zero;
  derivative.resize(inverse_.size());
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const Block& block = blocks_[at(t)];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const CovarianceStructure& covariance = covariance_.of(block.terms[j]);
      const int k = covariance.size(), offset = block.offsets[j],
                first = covariance_.first(block.terms[j]);
      for (int a = 0; a < covariance.parameters(); ++a) {
        vectors_.poll(static_cast<double>(block.levels) * k * k);
        covariance.derivative(theta_.data() + first, a, derivative.data());
        if (frame_ == Frame::user) {
          multiply(coordinates_.random(block.terms[j]).data(), derivative.data(), k, k, k,
                   scratch_.data());
          std::copy_n(scratch_.begin(), k * k, derivative.begin());
        }
        zero.resize(at(k));
        for (int c = 0; c < k; ++c)
          zero[at(c)] = std::all_of(derivative.begin() + c * k, derivative.begin() + (c + 1) * k,
                                    [](double value) { return value == 0.0; });
        for (Index l = 0; l < block.levels; ++l) {
          const Index start = vectors_.start(t) + l * block.k + offset;
          double* target = f.data() + (first + a) * q + start;
          for (int c = 0; c < k; ++c) {
            if (zero[at(c)]) continue;
            const double dg = dot<0>(derivative.data() + c * k, g.data() + start, k);
            for (int r = 0; r < k; ++r)
              target[r] += derivative[at(c * k + r)] * u[start + c] +
                           lambda_[at(t)][at((offset + c) * block.k + offset + r)] * dg;
          }
        }
      }
    }
  }
}

// [X y]'WZ f of one vector of random effects, added to out (border).
void Criterion::add_border_product(const double* f, double* out) const {
  for (int t = 0; t < static_cast<int>(blocks_.size()); ++t) {
    const int k = blocks_[at(t)].k;
    const int rank = border_ - 1;
    for (Index l = 0; l < blocks_[at(t)].levels; ++l) {
      const Index start = vectors_.start(t) + l * k;
      for (int c = 0; c < rank; ++c) out[c] += dot<0>(beside_.fixed(t, l) + c * k, f + start, k);
      out[rank] += dot<0>(beside_.response(t, l), f + start, k);
    }
  }
}

// With e_a = L^-1 Lambda'Z'WZ f_a and z_a = F'^-1 ([X y]'WZ f_a - R_Z'e_a):
//   AI_ab = nu / r2 (f_a'Z'WZ f_b - e_a'e_b - z_a'z_b).
void Criterion::average_information(double* information) {
  const Factor& factor = this->factor();
  const Index q = vectors_.q();
  const int m = parameters();
  const std::vector<double>& F = elimination().border();
  std::vector<double>&f = work_.f, &e = work_.e, &z = work_.z, &v = work_.other;
  find_scores(border_ - 1, work_.scores);
  find_directions(work_.scores, f);  // over sqrt(r2), so nu / r2 becomes nu
  e.assign(at(q * m), 0.0);
  z.assign(at(border_ * m), 0.0);
  v.resize(at(q));
  vectors_.multiply(f.data(), m, e.data());
  std::fill_n(information, m * m, 0.0);
  vectors_.add_gram(nu(reml_), f.data(), e.data(), m, information);
  for (int a = 0; a < m; ++a) {
    std::copy_n(e.data() + a * q, q, v.data());
    multiply_lambda_transposed(v.data(), 1, e.data() + a * q);
  }
  factor.solve_lower(e.data(), m);
  vectors_.add_gram(-nu(reml_), e.data(), e.data(), m, information);
  factor.multiply_border_transposed(e.data(), m, z.data());
  for (int a = 0; a < m; ++a) {
    double* own = z.data() + a * border_;
    for (int c = 0; c < border_; ++c) own[c] = -own[c];
    add_border_product(f.data() + a * q, own);
    for (int c = 0; c < border_; ++c)
      own[c] = (own[c] - dot<0>(F.data() + c * border_, own, c)) / F[at(c * border_ + c)];
  }
  for (int a = 0; a < m; ++a)
    for (int c = 0; c <= a; ++c) {
      const double sum = dot<0>(z.data() + a * border_, z.data() + c * border_, border_);
      information[a * m + c] -= nu(reml_) * sum;
      information[c * m + a] = information[a * m + c];
    }
}

// U_F, Lambda U_F and Z'WZ Lambda U_F; the directions and what becomes of them.
double Criterion::workspace_bytes(Index q, int border, double parameters) {
  return 8.0 * static_cast<double>(q) * (3.0 * border + 2.0 * parameters + 4.0) +
         16.0 * parameters * parameters;
}

bool Criterion::is_singular(int term, const double* internal) const {
  const int first = covariance_.first(term), last = first + covariance_.of(term).parameters();
  for (int a = first; a < last; ++a)
    if (covariance_.at_bound(a, internal[a])) return true;
  return false;
}

bool Criterion::is_estimated_singular(int term, const double* internal) const {
  const int first = covariance_.first(term), last = first + covariance_.of(term).parameters();
  for (int a = first; a < last; ++a)
    if (!is_held(a, false) && covariance_.at_bound(a, internal[a])) return true;
  return false;
}

std::vector<double> Criterion::to_user(const double* internal) const {
  std::vector<double> theta(internal, internal + theta_.size());
  for (int term = 0; term < covariance_.terms(); ++term)
    change_coordinates(term, coordinates_.random(term).inverse(),
                       theta.data() + covariance_.first(term));
  return theta;
}

std::vector<double> Criterion::to_internal(const double* user) const {
  std::vector<double> theta(user, user + theta_.size());
  for (int term = 0; term < covariance_.terms(); ++term)
    change_coordinates(term, coordinates_.random(term), theta.data() + covariance_.first(term));
  return theta;
}

// theta of T lambda.
void Criterion::change_coordinates(int term, const Eigen::MatrixXd& T, double* theta) const {
  const CovarianceStructure& covariance = covariance_.of(term);
  if (covariance.closed_under() != CovarianceStructure::ClosedUnder::any) {
    const Eigen::VectorXd scales = T.diagonal();
    covariance.rescale(scales.data(), theta);
    return;
  }
  const int k = covariance.size();
  Eigen::MatrixXd lambda(k, k);
  covariance.lambda(theta, lambda.data());
  const Eigen::MatrixXd changed = T * lambda;
  covariance.from_factor(changed.data(), theta);
}

}  // namespace crossnest
