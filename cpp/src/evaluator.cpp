#include "crossnest/evaluator.hpp"

#include <Eigen/LU>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "crossnest/prediction.hpp"
#include "crossnest/row_sums.hpp"
#include "crossnest/small_dense.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::isfinite(value); });
}

bool all_finite(const Estimates& estimates) {
  const auto finite = [](const std::vector<double>& values) { return all_finite(values); };
  return std::isfinite(estimates.objective) && std::isfinite(estimates.sigma) &&
         all_finite(estimates.beta) && all_finite(estimates.RX) && all_finite(estimates.fitted) &&
         std::all_of(estimates.u.begin(), estimates.u.end(), finite) &&
         std::all_of(estimates.b.begin(), estimates.b.end(), finite);
}

}  // namespace

Evaluator::Evaluator(const Model& model, InterruptCheck interrupt, int threads)
    : model_(model),
      interrupt_(std::move(interrupt)),
      pool_(threads > 0 ? threads : model.threads(), &interrupt_),
      workspace_(model.blocks(), model.cross_products(), model.structure(), model.kernels(), pool_,
                 interrupt_),
      criterion_(model.design(), model.blocks(), model.coordinates(), model.cross_products(),
                 workspace_) {}

Criterion& Evaluator::criterion(const Response& response) {
  criterion_.use(response);
  return criterion_;
}

double Evaluator::objective(const Response& response, const std::vector<double>& theta, bool reml) {
  model_.check(theta);
  const OneThreadEach kernels(model_.kernels());
  return criterion(response).objective(theta.data(), Scale::user, reml);
}

double Evaluator::gradient(const Response& response, const std::vector<double>& theta, bool reml,
                           std::vector<double>& gradient) {
  const OneThreadEach kernels(model_.kernels());
  const double value = objective(response, theta, reml);
  gradient.resize(theta.size());
  if (std::isfinite(value)) criterion_.gradient(gradient.data());
  return value;
}

void Evaluator::require_finite(const Response& response, const std::vector<double>& theta,
                               bool reml) {
  if (!std::isfinite(objective(response, theta, reml)))
    throw FitError(
        "the criterion cannot be computed at this theta: it is too large for double precision");
}

Estimates Evaluator::estimates(const Response& response, const std::vector<double>& theta,
                               bool reml) {
  const OneThreadEach kernels(model_.kernels());
  require_finite(response, theta, reml);
  Estimates out;
  out.theta = theta;
  out.reml = reml;
  out.nu = criterion_.nu(reml);
  out.log_det_omega = criterion_.elimination().log_det();
  fixed_estimates(response, out);
  random_estimates(response, out);
  residuals(response, out);
  // The criterion again, with r2 summed from residuals instead of differenced.
  out.objective = out.log_det_omega - model_.cross_products().log_weights() +
                  (reml ? out.log_det_C : 0.0) +
                  out.nu * (1.0 + std::log(2.0 * 3.14159265358979323846 * out.pwrss / out.nu));
  out.sigma = std::sqrt(out.pwrss / out.nu);
  if (!(out.pwrss > 0.0))
    throw FitError(
        "the residual variance is zero: fixed and random effects fit the response exactly");
  if (!all_finite(out))
    throw FitError("an estimate is too large for double precision: give the columns other units");
  const std::vector<double> internal = criterion_.to_internal(theta.data());
  for (std::size_t t = 0; t < model_.design().terms.size(); ++t)
    out.singular.push_back(criterion_.is_singular(static_cast<int>(t), internal.data()));
  return out;
}

// beta = T^-1 (beta0 + s R_X^-1 c_beta), and RX'RX = T'C~T.
void Evaluator::fixed_estimates(const Response& response, Estimates& out) {
  const Index r = model_.coordinates().rank();
  const Eigen::Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
  const auto R = F.topLeftCorner(r, r).triangularView<Eigen::Upper>();
  const VectorXd residual = R.solve(F.col(r).head(r));
  const VectorXd internal = response.beta0 + response.scale * residual;
  const MatrixXd& T = model_.coordinates().fixed();
  const VectorXd beta = T.partialPivLu().solve(internal);
  out.beta.assign(beta.data(), beta.data() + r);
  MatrixXd RX = MatrixXd::Zero(r, r);
  if (r > 0) {
    const MatrixXd product = R * T;
    RX = Eigen::HouseholderQR<MatrixXd>(product).matrixQR().triangularView<Eigen::Upper>();
    for (Eigen::Index i = 0; i < r; ++i)
      if (RX(i, i) < 0.0) RX.row(i) = -RX.row(i);
  }
  out.log_det_C = r > 0 ? 2.0 * RX.diagonal().array().log().sum() : 0.0;
  out.RX.assign(RX.data(), RX.data() + r * r);
}

void Evaluator::random_estimates(const Response& response, Estimates& out) {
  const Design& design = model_.design();
  const std::vector<Block>& blocks = model_.blocks();
  const Index q = criterion_.vectors().q(), r = model_.coordinates().rank();
  const double* W = criterion_.elimination().border_solution().data() + r * q;
  const double root = criterion_.elimination().border().back() * response.scale;
  out.u.resize(design.terms.size());
  out.b.resize(design.terms.size());
  for (const Term& term : design.terms)
    out.effects.push_back(static_cast<int>(term.columns.size()));
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j];
      const CovarianceStructure& structure = criterion_.structure(term);
      const int k = structure.size();
      MatrixXd lambda(k, k);
      structure.lambda(out.theta.data() + criterion_.first_parameter(term), lambda.data());
      MatrixXd u(k, block.levels);
      for (Index l = 0; l < block.levels; ++l)
        for (int i = 0; i < k; ++i)
          u(i, l) = root * W[criterion_.vectors().start(static_cast<int>(t)) + l * block.k +
                             block.offsets[j] + i];
      const MatrixXd b = lambda * u;
      out.u[at(term)].assign(u.data(), u.data() + u.size());
      out.b[at(term)].assign(b.data(), b.data() + b.size());
    }
  }
}

// Fitted values and pwrss, row by row.
void Evaluator::residuals(const Response& response, Estimates& out) {
  const Design& design = model_.design();
  const std::vector<Block>& blocks = model_.blocks();
  const Index r = model_.coordinates().rank(), q = criterion_.vectors().q(),
              width = model_.coordinates().row_width();
  const double mapped_s = response.mapped_scale, s = response.scale;
  const double unit = response.unit, inverse_unit = 1.0 / unit;
  const VectorXd& beta0 = response.mapped_beta0;
  const Eigen::Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
  const VectorXd beta =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(F.col(r).head(r));
  const double* W = criterion_.elimination().border_solution().data() + r * q;
  const double root = criterion_.elimination().border().back();
  std::vector<double> b(at(q));
  criterion_.multiply_lambda(W, 1, b.data());
  out.fitted.resize(at(design.n));
  double sum = 0.0;
  sum_over_rows(pool_, design.n, 1, &sum, [&](Index begin, Index end, double* partial) {
    constexpr Index kRows = 256;
    std::vector<double> mapped(at(kRows * width));
    for (Index first = begin; first < end; first += kRows) {
      const Index last = std::min(first + kRows, end);
      model_.coordinates().map_rows(design, first, last, mapped.data());
      for (Index i = first; i < last; ++i) {
        const double* row = mapped.data() + (i - first) * width;
        const double* x = row + width - r - 1;
        double mean = 0.0, ordinary = 0.0;  // X~beta~ + Z~b~, and X~beta0
        for (Index j = 0; j < r; ++j) {
          mean += x[j] * beta(j);
          ordinary += x[j] * beta0(j);
        }
        for (std::size_t t = 0; t < blocks.size(); ++t) {
          const Block& block = blocks[t];
          const Level level = design.factors[at(block.factor)].codes[i];
          mean += root * dot<0>(row + block.first_column,
                                b.data() + criterion_.vectors().start(static_cast<int>(t)) +
                                    Index{level} * block.k,
                                block.k);
        }
        const double y = response.y[i] * inverse_unit - ordinary;
        const double residual = y / mapped_s - mean;
        *partial += x[r] * residual * residual;
        out.fitted[at(i)] = (ordinary + mapped_s * mean) * unit;
      }
    }
  });
  double penalty = 0.0;
  for (Index i = 0; i < q; ++i) penalty += W[i] * W[i];
  out.pwrss = s * s * (sum + root * root * penalty);
}

std::vector<std::vector<double>> Evaluator::conditional_variances(const Response& response,
                                                                  const Estimates& at_theta) {
  const Design& design = model_.design();
  const std::vector<Block>& blocks = model_.blocks();
  const OneThreadEach kernels(model_.kernels());
  require_finite(response, at_theta.theta, at_theta.reml);
  const InverseDiagonal& omega = criterion_.inverse_diagonal();
  std::vector<std::vector<double>> out(design.terms.size());
  const double variance = at_theta.sigma * at_theta.sigma;
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], offset = block.offsets[j];
      const int k = criterion_.structure(term).size();
      MatrixXd lambda(k, k);
      criterion_.structure(term).lambda(at_theta.theta.data() + criterion_.first_parameter(term),
                                        lambda.data());
      out[at(term)].resize(at(block.levels * k * k));
      for (Index l = 0; l < block.levels; ++l) {
        const Eigen::Map<const MatrixXd> inverse(omega.diagonal(static_cast<int>(t), l), block.k,
                                                 block.k);
        Eigen::Map<MatrixXd>(out[at(term)].data() + l * k * k, k, k) =
            variance * (lambda * inverse.block(offset, offset, k, k) * lambda.transpose());
      }
    }
  }
  return out;
}

ConditionalCovariance Evaluator::conditional_covariance(const Response& response,
                                                        const Estimates& at_theta) {
  require_finite(response, at_theta.theta, at_theta.reml);
  return {model_.design(),    model_.blocks(), model_.coordinates(),
          model_.structure(), criterion_,      at_theta.theta.data(),
          model_.kernels(),   pool_,           interrupt_};
}

// z Lambda Omega^-1 Lambda' z' of one row; `mapped` is the row in the engine's coordinates.
double Evaluator::leverage_of_random(const Inverse& omega, Index row, const double* mapped) const {
  const Design& design = model_.design();
  const std::vector<Block>& blocks = model_.blocks();
  double sum = 0.0;
  std::vector<double> left, right, inverse;
  const auto scaled = [&](std::size_t t, std::vector<double>& out) {
    out.resize(at(blocks[t].k));
    multiply_transposed(criterion_.lambda(static_cast<int>(t)).data(),
                        mapped + blocks[t].first_column, blocks[t].k, blocks[t].k, 1, out.data());
  };
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Level level_t = design.factors[at(blocks[t].factor)].codes[row];
    const int k = blocks[t].k;
    scaled(t, left);
    const double* own = omega.diagonal(static_cast<int>(t), level_t);
    for (int j = 0; j < k; ++j)
      for (int i = 0; i < k; ++i) sum += left[at(i)] * own[j * k + i] * left[at(j)];
    for (std::size_t s = 0; s < t; ++s) {
      const Level level_s = design.factors[at(blocks[s].factor)].codes[row];
      scaled(s, right);
      inverse.resize(at(blocks[s].k * k));
      omega.block(static_cast<int>(s), level_s, static_cast<int>(t), level_t, inverse.data());
      for (int j = 0; j < k; ++j)
        sum +=
            2.0 * left[at(j)] * dot<0>(right.data(), inverse.data() + j * blocks[s].k, blocks[s].k);
    }
  }
  return sum;
}

// h_i = w_i (z Lambda Omega^-1 Lambda' z' + |(x - z Lambda U_X) R_X^-1|^2).
std::vector<double> Evaluator::leverages(const Response& response, const Estimates& at_theta) {
  const Design& design = model_.design();
  const std::vector<Block>& blocks = model_.blocks();
  const OneThreadEach kernels(model_.kernels());
  require_finite(response, at_theta.theta, at_theta.reml);
  const Inverse& omega = criterion_.inverse();
  const std::vector<double>& W = omega.border_solution();
  const Index r = model_.coordinates().rank(), q = criterion_.vectors().q(),
              width = model_.coordinates().row_width();
  const Eigen::Map<const MatrixXd> F(criterion_.elimination().border().data(), r + 1, r + 1);
  const MatrixXd inverse =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(MatrixXd::Identity(r, r));
  std::vector<double> out(at(design.n));
  pool_.for_pieces(design.n, 4096, [&](Index begin, Index end, int) {
    std::vector<double> row(at(width)), left;
    for (Index i = begin; i < end; ++i) {
      model_.coordinates().map_rows(design, i, i + 1, row.data());
      const double* x = row.data() + width - r - 1;
      Eigen::RowVectorXd fixed = Eigen::Map<const Eigen::RowVectorXd>(x, r) * inverse;
      for (std::size_t t = 0; t < blocks.size(); ++t) {
        const Block& block = blocks[t];
        const Index start = criterion_.vectors().start(static_cast<int>(t)) +
                            Index{design.factors[at(block.factor)].codes[i]} * block.k;
        left.resize(at(block.k));
        multiply_transposed(criterion_.lambda(static_cast<int>(t)).data(),
                            row.data() + block.first_column, block.k, block.k, 1, left.data());
        for (Index j = 0; j < r; ++j)
          fixed(j) -= dot<0>(left.data(), W.data() + j * q + start, block.k);
      }
      out[at(i)] = x[r] * (leverage_of_random(omega, i, row.data()) + fixed.squaredNorm());
    }
  });
  return out;
}

VarianceDerivatives& Evaluator::derivatives() {
  if (!derivatives_)
    derivatives_ = std::make_unique<VarianceDerivatives>(
        model_.design(), model_.blocks(), model_.coordinates(), model_.cross_products(),
        model_.structure(), criterion_, model_.kernels(), pool_, interrupt_, model_.memory_limit());
  return *derivatives_;
}

Information Evaluator::information(const Response& response, const std::vector<double>& theta,
                                   bool reml) {
  model_.check(theta);
  criterion_.use(response);
  const OneThreadEach kernels(model_.kernels());
  return derivatives().information(theta.data(), reml);
}

Curvature Evaluator::curvature(const Response& response, const std::vector<double>& theta,
                               bool reml, HessianKind kind) {
  model_.check(theta);
  criterion_.use(response);
  const OneThreadEach kernels(model_.kernels());
  return derivatives().curvature(theta.data(), reml, kind);
}

std::vector<double> Evaluator::prediction_variances(const Response& response,
                                                    const Estimates& at_theta, const Design& rows,
                                                    const std::vector<bool>& included) {
  check_new_rows(model_.design(), model_.coordinates(), rows, included);
  const OneThreadEach kernels(model_.kernels());
  require_finite(response, at_theta.theta, at_theta.reml);
  PredictionVariances variances(rows, included, model_.blocks(), model_.coordinates(), criterion_,
                                pool_);
  std::vector<double> out = variances.compute(interrupt_);
  const double sigma = at_theta.sigma / model_.coordinates().root_weight_unit();
  for (double& variance : out) variance *= sigma * sigma;
  return out;
}

}  // namespace crossnest
