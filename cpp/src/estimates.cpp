#include "estimates.hpp"

#include <algorithm>
#include <cmath>

#include "as_vector.hpp"
#include "eigen_decompositions.hpp"
#include "row_sums.hpp"
#include "small_dense.hpp"

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

// beta = T^-1 (beta0 + s R_X^-1 c_beta), and RX'RX = T'C~T.
void fixed_estimates(const Model& model, const Criterion& criterion, Estimates& out) {
  const Response& response = criterion.response();
  const Index r = model.coordinates().rank();
  const Eigen::Map<const MatrixXd> F(criterion.elimination().border().data(), r + 1, r + 1);
  const auto R = F.topLeftCorner(r, r).triangularView<Eigen::Upper>();
  const VectorXd residual = R.solve(F.col(r).head(r));
  const VectorXd internal = as_vector(response.beta0) + response.scale * residual;
  const MatrixXd& T = model.coordinates().fixed();
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

void random_estimates(const Model& model, const Criterion& criterion, Estimates& out) {
  const Design& design = model.design();
  const std::vector<Block>& blocks = model.blocks();
  const Index q = criterion.vectors().q(), r = model.coordinates().rank();
  const double* U_F = criterion.elimination().border_solution().data() + r * q;
  const double root = criterion.elimination().border().back() * criterion.response().scale;
  out.u.resize(design.terms.size());
  out.b.resize(design.terms.size());
  for (const Term& term : design.terms)
    out.effects.push_back(static_cast<int>(term.columns.size()));
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j];
      const CovarianceStructure& covariance = criterion.covariance().of(term);
      const int k = covariance.size();
      MatrixXd lambda(k, k);
      covariance.lambda(out.theta.data() + criterion.covariance().first(term), lambda.data());
      MatrixXd u(k, block.levels);
      for (Index l = 0; l < block.levels; ++l)
        for (int i = 0; i < k; ++i)
          u(i, l) = root * U_F[criterion.vectors().start(static_cast<int>(t)) + l * block.k +
                               block.offsets[j] + i];
      const MatrixXd b = lambda * u;
      out.u[at(term)].assign(u.data(), u.data() + u.size());
      out.b[at(term)].assign(b.data(), b.data() + b.size());
    }
  }
}

// Fitted values and pwrss, row by row where there are rows.
void residuals(const Model& model, const Criterion& criterion, ThreadPool& pool, Estimates& out) {
  const Response& response = criterion.response();
  const Design& design = model.design();
  const std::vector<Block>& blocks = model.blocks();
  const Index r = model.coordinates().rank(), q = criterion.vectors().q(),
              width = model.coordinates().row_width();
  const double mapped_s = response.mapped_scale, s = response.scale;
  const double unit = response.unit, inverse_unit = 1.0 / unit;
  const std::vector<double>& beta0 = response.mapped_beta0;
  const Eigen::Map<const MatrixXd> F(criterion.elimination().border().data(), r + 1, r + 1);
  const VectorXd beta =
      F.topLeftCorner(r, r).triangularView<Eigen::Upper>().solve(F.col(r).head(r));
  const double* U_F = criterion.elimination().border_solution().data() + r * q;
  const double root = criterion.elimination().border().back();
  std::vector<double> b(at(q));
  criterion.multiply_lambda(U_F, 1, b.data());
  if (!model.has_rows()) {
    out.pwrss = s * s * criterion.pwrss();
    return;
  }
  out.fitted.resize(at(design.n));
  double sum = 0.0;
  sum_over_rows(pool, design.n, 1, &sum, [&](Index begin, Index end, double* partial) {
    constexpr Index kRows = 256;
    std::vector<double> mapped(at(kRows * width));
    for (Index first = begin; first < end; first += kRows) {
      const Index last = std::min(first + kRows, end);
      model.coordinates().map_rows(design, first, last, mapped.data());
      for (Index i = first; i < last; ++i) {
        const double* row = mapped.data() + (i - first) * width;
        const double* x = row + width - r - 1;
        double mean = 0.0, ordinary = 0.0;  // X~beta~ + Z~b~, and X~beta0
        for (Index j = 0; j < r; ++j) {
          mean += x[j] * beta(j);
          ordinary += x[j] * beta0[at(j)];
        }
        for (std::size_t t = 0; t < blocks.size(); ++t) {
          const Block& block = blocks[t];
          const Level level = design.factors[at(block.factor)].codes[i];
          mean += root * dot<0>(row + block.first_column,
                                b.data() + criterion.vectors().start(static_cast<int>(t)) +
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
  for (Index i = 0; i < q; ++i) penalty += U_F[i] * U_F[i];
  out.pwrss = s * s * (sum + root * root * penalty);
}

}  // namespace

Estimates estimates_at(const Model& model, Criterion& criterion, const std::vector<double>& theta,
                       bool reml, ThreadPool& pool) {
  Estimates out;
  out.theta = theta;
  out.reml = reml;
  out.nu = criterion.nu(reml);
  out.log_det_omega = criterion.elimination().log_det();
  fixed_estimates(model, criterion, out);
  random_estimates(model, criterion, out);
  residuals(model, criterion, pool, out);
  // The criterion again, with r2 summed from residuals instead of differenced.
  out.objective = out.log_det_omega - model.cross_products().log_weights() +
                  (reml ? out.log_det_C : 0.0) +
                  out.nu * (1.0 + std::log(2.0 * 3.14159265358979323846 * out.pwrss / out.nu));
  out.sigma = std::sqrt(out.pwrss / out.nu);
  if (!(out.pwrss > 0.0))
    throw FitError(
        "the residual variance is zero: fixed and random effects fit the response exactly");
  if (!all_finite(out))
    throw FitError("an estimate is too large for double precision: give the columns other units");
  const std::vector<double> internal = criterion.to_internal(theta.data());
  for (int term = 0; term < criterion.covariance().terms(); ++term)
    out.singular.push_back(criterion.is_singular(term, internal.data()));
  return out;
}

}  // namespace crossnest
