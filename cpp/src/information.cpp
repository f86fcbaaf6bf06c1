#include "information.hpp"

#include <algorithm>
#include <cmath>

#include "eigen_decompositions.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The step of the differences, relative to the scale on which the criterion changes.
constexpr double kStep = 0.004;

// What is not zero of E, placed among the effects of its block.
std::vector<VarianceParameter::Entry> entries_of(const MatrixXd& E, int offset) {
  std::vector<VarianceParameter::Entry> entries;
  for (int j = 0; j < E.cols(); ++j)
    for (int i = 0; i < E.rows(); ++i)
      if (E(i, j) != 0.0) entries.push_back({offset + i, offset + j, E(i, j)});
  return entries;
}

// Goes over from the directions G_r to sum_r J_ra G_r; the last one, Var(y), stays.
void in_directions(const MatrixXd& J, Information& out) {
  const Eigen::Index before = J.rows() + 1, after = J.cols() + 1, size = out.rank * out.rank;
  MatrixXd all = MatrixXd::Zero(before, after);
  all.topLeftCorner(J.rows(), J.cols()) = J;
  all(before - 1, after - 1) = 1.0;
  const MatrixXd first = Map<const MatrixXd>(out.first.data(), size, before) * all;
  out.first.assign(first.data(), first.data() + first.size());
  MatrixXd half(size * before, after), second(size, after * after);
  half = Map<const MatrixXd>(out.second.data(), size * before, before) * all;
  for (Eigen::Index s = 0; s < after; ++s)
    second.middleCols(s * after, after) =
        Map<const MatrixXd>(half.col(s).data(), size, before) * all;
  out.second.assign(second.data(), second.data() + second.size());
  for (std::vector<double>* matrix : {&out.traces, &out.quadratics}) {
    const MatrixXd changed =
        all.transpose() * Map<const MatrixXd>(matrix->data(), before, before) * all;
    matrix->assign(changed.data(), changed.data() + changed.size());
  }
  out.parameters = static_cast<int>(after);
}

// Makes all that belongs to a direction G_r zero.
void leave_out(Index r, Information& out) {
  const Index count = out.parameters, size = Index{out.rank} * out.rank;
  std::fill_n(out.first.begin() + r * size, size, 0.0);
  for (Index s = 0; s < count; ++s) {
    std::fill_n(out.second.begin() + (s * count + r) * size, size, 0.0);
    std::fill_n(out.second.begin() + (r * count + s) * size, size, 0.0);
    for (std::vector<double>* matrix : {&out.traces, &out.quadratics})
      (*matrix)[at(r * count + s)] = (*matrix)[at(s * count + r)] = 0.0;
  }
}

}  // namespace

VarianceDerivatives::VarianceDerivatives(const Design& design, const std::vector<Block>& blocks,
                                         const Coordinates& coordinates, const CrossProducts& A,
                                         const Structure& structure, Criterion& criterion,
                                         const DenseKernels& kernels, ThreadPool& pool,
                                         InterruptCheck& interrupt, std::size_t memory_limit)
    : blocks_(blocks),
      coordinates_(coordinates),
      A_(A),
      structure_(structure),
      criterion_(criterion),
      interrupt_(interrupt),
      memory_limit_(memory_limit),
      rank_(static_cast<int>(coordinates.rank())),
      block_of_(design.terms.size()),
      offset_of_(design.terms.size()) {
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (std::size_t j = 0; j < blocks[b].terms.size(); ++j) {
      block_of_[at(blocks[b].terms[j])] = static_cast<int>(b);
      offset_of_[at(blocks[b].terms[j])] = blocks[b].offsets[j];
    }
  for (int term = 0; term < static_cast<int>(design.terms.size()); ++term) {
    const CovarianceStructure& own = criterion.covariance().of(term);
    curved_ = curved_ || !own.linear_factor();
    first_.push_back(static_cast<Eigen::Index>(parameters_.size()));
    for (int a = 0; a < own.basis_size(); ++a) {
      MatrixXd E(own.size(), own.size());
      own.basis(a, E.data());
      parameters_.push_back({block_of_[at(term)], entries_of(E, offset_of_[at(term)])});
      basis_.push_back(std::move(E));
      term_of_.push_back(term);
    }
  }
  traces_ = std::make_unique<VarianceTraces>(blocks, A, parameters_, kernels, pool, interrupt);
}

void VarianceDerivatives::evaluate(const double* theta, bool reml) {
  reml_ = reml;
  if (!std::isfinite(criterion_.objective(theta, Frame::user, reml)))
    throw FitError("the criterion cannot be computed at this theta");
}

// RX is the triangle of R_X T, so R_X T = Q RX and columns of R_X^-1 become those of T RX^-1 by Q.
void VarianceDerivatives::find_scores() {
  const std::vector<double> scores = criterion_.scores(0);
  scores_ = Map<const MatrixXd>(scores.data(), criterion_.vectors().q(), rank_ + 1);
  if (rank_ == 0) return;
  const Map<const MatrixXd> F(criterion_.elimination().border().data(), rank_ + 1, rank_ + 1);
  const Eigen::HouseholderQR<MatrixXd> qr(
      F.topLeftCorner(rank_, rank_).triangularView<Eigen::Upper>() * coordinates_.fixed());
  MatrixXd Q = qr.householderQ();
  for (int i = 0; i < rank_; ++i)
    if (qr.matrixQR()(i, i) < 0.0) Q.col(i) = -Q.col(i);
  scores_.leftCols(rank_) = (scores_.leftCols(rank_) * Q).eval();
}

// E_r B of one parameter, B the scores: q x (p + 1).
MatrixXd VarianceDerivatives::product(Index r) const {
  interrupt_.poll();
  const VarianceParameter& parameter = parameters_[at(r)];
  const Block& block = blocks_[at(parameter.block)];
  const Index start = criterion_.vectors().start(parameter.block);
  MatrixXd product = MatrixXd::Zero(scores_.rows(), scores_.cols());
  for (Index c = 0; c < scores_.cols(); ++c)
    for (Index l = 0; l < block.levels; ++l)
      for (const auto& a : parameter.entries)
        product(start + l * block.k + a.row, c) +=
            a.value * scores_(start + l * block.k + a.column, c);
  return product;
}

// With v = E_r B, the products of T = Z'V^-1 Z are v'T v = v'a - e'e, a = Z'WZ v,
// e = L^-1 Lambda'a; those of P instead of V^-1 take the fixed effects off.
Information VarianceDerivatives::pieces() {
  const Index q = scores_.rows(), m = static_cast<Index>(parameters_.size()), width = rank_ + 1;
  MatrixXd v(q, m * width);
  for (Index r = 0; r < m; ++r) v.middleCols(r * width, width) = product(r);
  MatrixXd e = MatrixXd::Zero(q, v.cols()), gram(v.cols(), v.cols());
  criterion_.vectors().multiply(v.data(), static_cast<int>(v.cols()), e.data());
  for (Index r = 0; r < m; ++r) {
    interrupt_.poll();
    gram.middleCols(r * width, width).noalias() = v.transpose() * e.middleCols(r * width, width);
  }
  for (Index c = 0; c < v.cols(); ++c) {
    const VectorXd a = e.col(c);
    criterion_.multiply_lambda_transposed(a.data(), 1, e.col(c).data());
  }
  criterion_.factor().solve_lower(e.data(), static_cast<int>(e.cols()));
  for (Index r = 0; r < m; ++r) {
    interrupt_.poll();
    gram.middleCols(r * width, width).noalias() -= e.transpose() * e.middleCols(r * width, width);
  }
  const MatrixXd first = scores_.transpose() * v;  // B'E_r B side by side, (p + 1) x m (p + 1)

  Information out;
  out.parameters = static_cast<int>(m) + 1;
  out.rank = rank_;
  const double nu = criterion_.nu(reml_);
  const Index size = rank_ * rank_;
  out.first.resize(at((m + 1) * size));
  out.second.resize(at((m + 1) * (m + 1) * size));
  out.traces.assign(at((m + 1) * (m + 1)), 0.0);
  out.quadratics.resize(out.traces.size());
  const auto P = [&](Index r) { return Map<MatrixXd>(out.first.data() + r * size, rank_, rank_); };
  const auto Q = [&](Index r, Index s) {
    return Map<MatrixXd>(out.second.data() + (s * (m + 1) + r) * size, rank_, rank_);
  };
  Map<MatrixXd> quadratics(out.quadratics.data(), m + 1, m + 1);
  for (Index r = 0; r < m; ++r) {
    P(r) = first.block(0, r * width, rank_, rank_);
    const auto h = first.block(0, r * width + rank_, rank_, 1);  // X'V^-1 G_r P y
    quadratics(r, m) = quadratics(m, r) = nu * first(rank_, r * width + rank_);
    Q(r, m) = Q(m, r) = P(r);
    for (Index s = 0; s < m; ++s) {
      Q(r, s) = gram.block(r * width, s * width, rank_, rank_);
      quadratics(r, s) = nu * (gram(r * width + rank_, s * width + rank_) -
                               first.block(0, s * width + rank_, rank_, 1).cwiseProduct(h).sum());
    }
  }
  P(m).setIdentity();
  Q(m, m).setIdentity();
  quadratics(m, m) = nu;
  return out;
}

// tr(V^-1 G_r) and tr(V^-1 G_r V^-1 G_s), but for sigma^2.
void VarianceDerivatives::compute_traces(VectorXd& trace, MatrixXd& traces) {
  std::vector<std::vector<double>> lambda;
  for (std::size_t b = 0; b < blocks_.size(); ++b)
    lambda.push_back(criterion_.lambda(static_cast<int>(b)));
  if (!traces_->compute(lambda, trace.data(), traces.data()))
    throw FitError("the information cannot be computed at this theta: it is too large");
}

// Of the traces, and of the right-hand sides of pieces().
double VarianceDerivatives::bytes() const {
  const double columns = static_cast<double>(parameters_.size()) * (rank_ + 1.0);
  return traces_->bytes() + 16.0 * columns * static_cast<double>(criterion_.vectors().q());
}

void VarianceDerivatives::check_memory() const {
  if (memory_limit_ > 0 && bytes() > static_cast<double>(memory_limit_))
    throw MemoryLimitError(
        "the information on the variance parameters needs about " + readable_bytes(bytes()) +
        " (dense matrices of " + std::to_string(traces_->widest()) +
        " columns), more than the limit of " + readable_bytes(static_cast<double>(memory_limit_)));
}

Information VarianceDerivatives::information(const double* theta, bool reml) {
  check_memory();
  evaluate(theta, reml);
  find_scores();
  Information out = pieces();
  const Index m = static_cast<Index>(parameters_.size());
  VectorXd trace(m);
  MatrixXd traces(m, m);
  compute_traces(trace, traces);
  Map<MatrixXd> all(out.traces.data(), m + 1, m + 1);
  all.topLeftCorner(m, m) = traces;
  all.col(m).head(m) = trace;
  all.row(m).head(m) = trace.transpose();
  all(m, m) = static_cast<double>(A_.n());
  const Index count = criterion_.parameters();
  bool linear = true;
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    linear = linear && criterion_.covariance().of(term).linear();
  if (!linear) {
    MatrixXd bend = MatrixXd::Zero(count, count);
    const VectorXd slopes = slope(out, trace);
    for (int term = 0; term < criterion_.covariance().terms(); ++term)
      if (!criterion_.covariance().of(term).linear()) add_bend(theta, term, slopes, bend);
    in_directions(theta_jacobian(theta), out);
    Map<MatrixXd>(out.quadratics.data(), count + 1, count + 1).topLeftCorner(count, count) +=
        0.5 * bend;
  }
  for (Index r = 0; r < count; ++r)
    if (criterion_.is_held(static_cast<int>(r), reml)) leave_out(r, out);
  return out;
}

// d gamma_r / d theta_a of terms that are not linear in theta; of the others the gammas stay.
MatrixXd VarianceDerivatives::theta_jacobian(const double* theta) const {
  const Index count = criterion_.parameters();
  MatrixXd J = MatrixXd::Zero(static_cast<Index>(parameters_.size()), count);
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    const CovarianceStructure& own = criterion_.covariance().of(term);
    const int first = criterion_.covariance().first(term);
    for (int a = 0; a < own.parameters(); ++a) {
      if (own.linear()) {
        J(first_[at(term)] + a, first + a) = 1.0;
        continue;
      }
      MatrixXd change(own.size(), own.size());
      own.covariance_derivative(theta + first, a, change.data());
      change = mapped(term, change);
      for (int r = 0; r < own.basis_size(); ++r)
        J(first_[at(term)] + r, first + a) = along_basis(first_[at(term)] + r, change);
    }
  }
  return J;
}

// The coordinate of a symmetric matrix in a term's basis.
double VarianceDerivatives::along_basis(Index r, const MatrixXd& change) const {
  return basis_[at(r)].cwiseProduct(change).sum() / basis_[at(r)].squaredNorm();
}

// A covariance matrix of a term's effects, or a change of it, in the engine's coordinates.
MatrixXd VarianceDerivatives::mapped(int term, const MatrixXd& user) const {
  return coordinates_.random(term) * user * coordinates_.random(term).transpose();
}

// sum_r slope_r d^2 gamma_r / d theta_a d theta_b of a term whose theta does not stand in lambda or
// in lambda lambda' as it is.
void VarianceDerivatives::add_bend(const double* theta, int term, const VectorXd& slope,
                                   MatrixXd& H) const {
  const CovarianceStructure& own = criterion_.covariance().of(term);
  const int first = criterion_.covariance().first(term);
  MatrixXd second(own.size(), own.size());
  for (int a = 0; a < own.parameters(); ++a)
    for (int b = 0; b < own.parameters(); ++b) {
      own.covariance_second_derivative(theta + first, a, b, second.data());
      const MatrixXd change = mapped(term, second);
      for (int r = 0; r < own.basis_size(); ++r)
        H(first + a, first + b) +=
            slope(first_[at(term)] + r) * along_basis(first_[at(term)] + r, change);
    }
}

MatrixXd VarianceDerivatives::lambda_of(int term) const {
  const int k = criterion_.covariance().of(term).size(), offset = offset_of_[at(term)];
  const int block = block_of_[at(term)];
  return Map<const MatrixXd>(criterion_.lambda(block).data(), blocks_[at(block)].k,
                             blocks_[at(block)].k)
      .block(offset, offset, k, k);
}

// phi = R theta, with QR the factors of the matrix whose columns are T_t dlambda_t / dtheta_a; or
// theta, where these are not constant.
void VarianceDerivatives::find_directions(const double* theta) {
  const Index m = criterion_.parameters();
  directions_.clear();
  theta_of_phi_ = MatrixXd::Zero(m, m);
  for (int term = 0; term < static_cast<int>(block_of_.size()); ++term) {
    const CovarianceStructure& own = criterion_.covariance().of(term);
    const int k = own.size(), count = own.parameters(), first = criterion_.covariance().first(term);
    MatrixXd columns(k * k, count), derivative(k, k);
    for (int a = 0; a < count; ++a) {
      own.derivative(theta + first, a, derivative.data());
      const MatrixXd internal = coordinates_.random(term) * derivative;
      columns.col(a) = Map<const VectorXd>(internal.data(), k * k);
    }
    if (!own.linear_factor()) {
      theta_of_phi_.block(first, first, count, count).setIdentity();
      for (int a = 0; a < count; ++a) {
        own.covariance_derivative(theta + first, a, derivative.data());
        directions_.push_back(
            {term, Map<const MatrixXd>(columns.col(a).data(), k, k), a, mapped(term, derivative)});
      }
      continue;
    }
    const Eigen::HouseholderQR<MatrixXd> qr(columns);
    const MatrixXd Q = qr.householderQ() * MatrixXd::Identity(k * k, count);
    theta_of_phi_.block(first, first, count, count) =
        qr.matrixQR().topRows(count).triangularView<Eigen::Upper>().solve(
            MatrixXd::Identity(count, count));
    for (int a = 0; a < count; ++a)
      directions_.push_back({term, Map<const MatrixXd>(Q.col(a).data(), k, k)});
  }
}

// d gamma_r / d phi_a, for gamma the coordinates of lambda lambda' in the basis E.
MatrixXd VarianceDerivatives::covariance_jacobian() const {
  const Index m = criterion_.parameters(), size = static_cast<Index>(basis_.size());
  MatrixXd J = MatrixXd::Zero(size, m);
  for (Index a = 0; a < m; ++a) {
    const Direction& direction = directions_[at(a)];
    if (direction.parameter >= 0) {
      for (Index r = 0; r < size; ++r)
        if (term_of_[at(r)] == direction.term) J(r, a) = along_basis(r, direction.covariance);
      continue;
    }
    const MatrixXd half = direction.D * lambda_of(direction.term).transpose();
    for (Index r = 0; r < size; ++r)
      if (term_of_[at(r)] == direction.term)
        J(r, a) = 2.0 * basis_[at(r)].cwiseProduct(half).sum() / basis_[at(r)].squaredNorm();
  }
  return J;
}

// The projection on the directions of phi that leave what is held as it is. Entries (i, j) of
// lambda lambda' are held with those of lambda, of which whole columns are.
MatrixXd VarianceDerivatives::estimated_directions(const MatrixXd& J) const {
  const Index m = criterion_.parameters();
  MatrixXd held = MatrixXd::Zero(2 * m, m);
  for (int term = 0; term < criterion_.covariance().terms(); ++term) {
    const int first = criterion_.covariance().first(term);
    const int last = first + criterion_.covariance().of(term).parameters();
    bool whole = true;
    for (int a = first; a < last; ++a) whole = whole && criterion_.is_held(a, reml_);
    for (int a = first; a < last; ++a) {
      if (!criterion_.is_held(a, reml_)) continue;
      const bool own = directions_[at(a)].parameter >= 0;  // phi is theta
      if (!own) held.row(a) = J.row(first_[at(term)] + a - first).stableNormalized();
      if (own || whole) held(m + a, a) = 1.0;  // also where lambda is zero, and J with it
    }
  }
  const Eigen::ColPivHouseholderQR<MatrixXd> qr(held.transpose());
  const MatrixXd basis = qr.householderQ() * MatrixXd::Identity(m, qr.rank());
  return MatrixXd::Identity(m, m) - basis * basis.transpose();
}

// g'E_r g / r2 = y'P G_r P y / r2.
VectorXd VarianceDerivatives::quadratic_forms() const {
  VectorXd forms = VectorXd::Zero(static_cast<Index>(parameters_.size()));
  for (std::size_t r = 0; r < parameters_.size(); ++r) {
    const Block& block = blocks_[at(parameters_[r].block)];
    const double* g = scores_.col(rank_).data() + criterion_.vectors().start(parameters_[r].block);
    for (Index l = 0; l < block.levels; ++l, g += block.k)
      for (const auto& a : parameters_[r].entries)
        forms(static_cast<Index>(r)) += a.value * g[a.row] * g[a.column];
  }
  return forms;
}

bool VarianceDerivatives::exact_is_cheaper() const {
  if (memory_limit_ > 0 && bytes() > static_cast<double>(memory_limit_)) return false;
  if (curved_) return true;  // near bounds of theta there is no room for differences
  const double m = criterion_.parameters(), columns = m * (rank_ + 1.0);
  const double q = static_cast<double>(criterion_.vectors().q());
  const double solves = columns * (2.0 * static_cast<double>(A_.numbers()) + q * columns);
  return traces_->work() + solves < 4.0 * m * 3.0 * structure_.work();
}

// tr(P G_r) (REML) or tr(V^-1 G_r) (ML) less y'P G_r P y: the slope of the criterion that is not
// profiled along gamma_r.
VectorXd VarianceDerivatives::slope(const Information& pieces, const VectorXd& trace) const {
  const Index m = trace.size(), size = rank_ * rank_;
  const Map<const MatrixXd> quadratics(pieces.quadratics.data(), m + 1, m + 1);
  VectorXd slope = trace;
  for (Index s = 0; reml_ && s < m; ++s)
    slope(s) -= Map<const MatrixXd>(pieces.first.data() + s * size, rank_, rank_).trace();
  return slope - quadratics.col(m).head(m);
}

// D = f + r2 / sigma^2 + ..., with f = log|V| + [REML] log|X'V^-1X|:
//   d2f = -tr(P G_r P G_s) (REML) or -tr(V^-1 G_r V^-1 G_s) (ML),   d2r2 = 2 y'P G_r P G_s P y,
// and gamma is quadratic in phi.
MatrixXd VarianceDerivatives::exact_hessian(const double* theta) {
  const Information pieces = this->pieces();
  const Index m = static_cast<Index>(parameters_.size()), size = rank_ * rank_;
  VectorXd trace(m);
  MatrixXd traces(m, m);
  compute_traces(trace, traces);
  const VectorXd slope = this->slope(pieces, trace);
  if (reml_)
    for (Index s = 0; s < m; ++s) {
      const Map<const MatrixXd> P_s(pieces.first.data() + s * size, rank_, rank_);
      for (Index r = 0; r < m; ++r) {
        const Map<const MatrixXd> P_r(pieces.first.data() + r * size, rank_, rank_);
        const Map<const MatrixXd> Q(pieces.second.data() + (s * (m + 1) + r) * size, rank_, rank_);
        traces(r, s) += P_r.cwiseProduct(P_s).sum() - 2.0 * Q.trace();
      }
    }
  const Map<const MatrixXd> quadratics(pieces.quadratics.data(), m + 1, m + 1);
  const MatrixXd J = covariance_jacobian();
  MatrixXd H = J.transpose() * (2.0 * quadratics.topLeftCorner(m, m) - traces) * J;
  for (int term = 0; term < criterion_.covariance().terms(); ++term)
    if (!criterion_.covariance().of(term).linear_factor()) add_bend(theta, term, slope, H);
  for (Index a = 0; a < H.rows(); ++a)
    for (Index b = 0; b < H.rows(); ++b) {
      if (directions_[at(a)].term != directions_[at(b)].term) continue;
      if (directions_[at(a)].parameter >= 0) continue;
      const MatrixXd half = directions_[at(a)].D * directions_[at(b)].D.transpose();
      for (Index r = 0; r < m; ++r)
        if (term_of_[at(r)] == directions_[at(a)].term)
          H(a, b) +=
              slope(r) * 2.0 * basis_[at(r)].cwiseProduct(half).sum() / basis_[at(r)].squaredNorm();
    }
  return H;
}

// The gradient of the profiled criterion in phi.
VectorXd VarianceDerivatives::gradient_at(const VectorXd& theta) {
  evaluate(theta.data(), reml_);
  VectorXd gradient(theta.size());
  criterion_.gradient(gradient.data());
  return theta_of_phi_.transpose() * gradient;
}

// A small part of the scale on which d changes along a direction: what is seen of the effects of a
// level has variance Sigma + J / n I or so, by the estimation error of a level's effects.
double VarianceDerivatives::step(const Direction& direction) const {
  const double levels = static_cast<double>(blocks_[at(block_of_[at(direction.term)])].levels);
  const MatrixXd lambda = lambda_of(direction.term);
  MatrixXd seen = lambda * lambda.transpose();
  seen.diagonal().array() += levels / static_cast<double>(A_.n());
  return kStep / std::sqrt(direction.D.cwiseProduct(seen.llt().solve(direction.D)).sum());
}

// Of the profiled criterion d.
MatrixXd VarianceDerivatives::difference_hessian(const double* theta) {
  const Index m = criterion_.parameters();
  const VectorXd centre = Map<const VectorXd>(theta, m);
  VectorXd steps(m);
  for (Index a = 0; a < m; ++a) {
    steps(a) = step(directions_[at(a)]);
    if (directions_[at(a)].parameter < 0) continue;
    const double room = std::min(centre(a) - criterion_.covariance().lower_bounds()[at(a)],
                                 criterion_.covariance().upper_bounds()[at(a)] - centre(a));
    steps(a) = std::min(steps(a), 0.4 * room);
  }
  MatrixXd H(m, m);
  for (Index a = 0; a < m; ++a) {
    if (steps(a) == 0.0) {  // at a bound: theta_a stays
      H.col(a).setZero();
      continue;
    }
    const VectorXd move = steps(a) * theta_of_phi_.col(a);
    H.col(a) = (8.0 * (gradient_at(centre + move) - gradient_at(centre - move)) -
                (gradient_at(centre + 2.0 * move) - gradient_at(centre - 2.0 * move))) /
               (12.0 * steps(a));
  }
  return 0.5 * (H + H.transpose());
}

Curvature VarianceDerivatives::curvature(const double* theta, bool reml, HessianKind kind) {
  evaluate(theta, reml);
  find_directions(theta);
  find_scores();
  const Index m = criterion_.parameters(), size = rank_ * rank_;
  Curvature out;
  out.parameters = static_cast<int>(m) + 1;
  out.rank = rank_;
  if (kind == HessianKind::exact) check_memory();
  out.exact = kind == HessianKind::exact || (kind == HessianKind::automatic && exact_is_cheaper());

  // Var(beta) changes with V by C^-1 X'V^-1 G_r V^-1 X C^-1, and with sigma^2 in proportion.
  const MatrixXd J = covariance_jacobian();
  out.jacobian.resize(at((m + 1) * size));
  Map<MatrixXd> jacobian(out.jacobian.data(), size, m + 1);
  MatrixXd first(size, J.rows());
  for (Index r = 0; r < J.rows(); ++r)
    Map<MatrixXd>(first.col(r).data(), rank_, rank_) =
        scores_.leftCols(rank_).transpose() * product(r).leftCols(rank_);
  jacobian.leftCols(m) = first * J;
  Map<MatrixXd>(jacobian.col(m).data(), rank_, rank_) = 2.0 * MatrixXd::Identity(rank_, rank_);

  // With tau: D_tau,tau = 4 nu, D_phi,tau = -2 dr2 / sigma^2; the profiled criterion's Hessian is
  // D_phi,phi - D_phi,tau D_tau,phi / D_tau,tau.
  const double nu = criterion_.nu(reml);
  const VectorXd mixed = 2.0 * nu * J.transpose() * quadratic_forms();
  out.hessian.resize(at((m + 1) * (m + 1)));
  Map<MatrixXd> hessian(out.hessian.data(), m + 1, m + 1);
  if (out.exact)
    hessian.topLeftCorner(m, m) = exact_hessian(theta);
  else
    hessian.topLeftCorner(m, m) =
        difference_hessian(theta) + mixed * mixed.transpose() / (4.0 * nu);
  hessian.col(m).head(m) = mixed;
  hessian.row(m).head(m) = mixed.transpose();
  hessian(m, m) = 4.0 * nu;
  if (!criterion_.response().held.empty()) {
    MatrixXd P = MatrixXd::Identity(m + 1, m + 1);
    P.topLeftCorner(m, m) = estimated_directions(J);
    hessian = (P * hessian * P).eval();
    jacobian = (jacobian * P).eval();
  }
  return out;
}

}  // namespace crossnest
