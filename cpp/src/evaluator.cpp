#include "crossnest/evaluator.hpp"

#include <cmath>

#include "blocks.hpp"
#include "criterion.hpp"
#include "eigen_products.hpp"
#include "estimates.hpp"
#include "information.hpp"
#include "leverages.hpp"
#include "one_thread_each.hpp"
#include "prediction.hpp"
#include "thread_pool.hpp"

namespace crossnest {

struct Evaluator::Parts {
  Parts(const Model& of, InterruptCheck check, int threads)
      : model(of),
        interrupt(std::move(check)),
        pool(threads > 0 ? threads : of.threads(), &interrupt),
        workspace(of.blocks(), of.cross_products(), of.structure(), of.kernels(), pool, interrupt),
        criterion(of.covariance(), of.blocks(), of.coordinates(), of.cross_products(), workspace) {}

  // Evaluates the criterion where it must be finite.
  void evaluate(const Response& response, const std::vector<double>& theta, bool reml) {
    model.check(theta);
    criterion.use(response);
    if (!std::isfinite(criterion.objective(theta.data(), Frame::user, reml)))
      throw FitError(
          "the criterion cannot be computed at this theta: it is too large for double precision");
  }

  VarianceDerivatives& derivatives() {
    if (!variance_derivatives)
      variance_derivatives = std::make_unique<VarianceDerivatives>(
          model.design(), model.blocks(), model.coordinates(), model.cross_products(),
          model.structure(), criterion, model.kernels(), pool, interrupt, model.memory_limit());
    return *variance_derivatives;
  }

  const Model& model;
  InterruptCheck interrupt;
  ThreadPool pool;
  FactorWorkspace workspace;
  Criterion criterion;
  std::unique_ptr<VarianceDerivatives> variance_derivatives;  // made when first asked for
};

Evaluator::Evaluator(const Model& model, InterruptCheck interrupt, int threads)
    : parts_(std::make_unique<Parts>(model, std::move(interrupt), threads)) {}

Evaluator::~Evaluator() = default;

const Model& Evaluator::model() const { return parts_->model; }
InterruptCheck& Evaluator::interrupt() { return parts_->interrupt; }
const Criterion& Evaluator::criterion() const { return parts_->criterion; }

Criterion& Evaluator::criterion(const Response& response) {
  parts_->criterion.use(response);
  return parts_->criterion;
}

double Evaluator::objective(const Response& response, const std::vector<double>& theta, bool reml) {
  model().check(theta);
  const OneThreadEach kernels(model().kernels());
  return criterion(response).objective(theta.data(), Frame::user, reml);
}

double Evaluator::gradient(const Response& response, const std::vector<double>& theta, bool reml,
                           std::vector<double>& gradient) {
  const OneThreadEach kernels(model().kernels());
  const double value = objective(response, theta, reml);
  gradient.resize(theta.size());
  if (std::isfinite(value)) parts_->criterion.gradient(gradient.data());
  return value;
}

Estimates Evaluator::estimates(const Response& response, const std::vector<double>& theta,
                               bool reml) {
  const OneThreadEach kernels(model().kernels());
  parts_->evaluate(response, theta, reml);
  return estimates_at(model(), parts_->criterion, theta, reml, parts_->pool);
}

std::vector<std::vector<double>> Evaluator::conditional_variances(const Response& response,
                                                                  const Estimates& at_theta) {
  const Model& model = this->model();
  Criterion& criterion = parts_->criterion;
  const Design& design = model.design();
  const std::vector<Block>& blocks = model.blocks();
  const OneThreadEach kernels(model.kernels());
  parts_->evaluate(response, at_theta.theta, at_theta.reml);
  const InverseDiagonal& omega = criterion.inverse_diagonal();
  std::vector<std::vector<double>> out(design.terms.size());
  const double variance = at_theta.sigma * at_theta.sigma;
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Block& block = blocks[t];
    for (std::size_t j = 0; j < block.terms.size(); ++j) {
      const int term = block.terms[j], offset = block.offsets[j];
      const int k = criterion.covariance().of(term).size();
      Eigen::MatrixXd lambda(k, k);
      criterion.covariance().of(term).lambda(
          at_theta.theta.data() + criterion.covariance().first(term), lambda.data());
      out[static_cast<std::size_t>(term)].resize(static_cast<std::size_t>(block.levels * k * k));
      for (Index l = 0; l < block.levels; ++l) {
        const Eigen::Map<const Eigen::MatrixXd> inverse(omega.diagonal(static_cast<int>(t), l),
                                                        block.k, block.k);
        Eigen::Map<Eigen::MatrixXd>(out[static_cast<std::size_t>(term)].data() + l * k * k, k, k) =
            variance * (lambda * inverse.block(offset, offset, k, k) * lambda.transpose());
      }
    }
  }
  return out;
}

ConditionalCovariance Evaluator::conditional_covariance(const Response& response,
                                                        const Estimates& at) {
  parts_->evaluate(response, at.theta, at.reml);
  const Model& of = model();
  return {of.design(),     of.blocks(),  of.coordinates(), of.structure(),   parts_->criterion,
          at.theta.data(), of.kernels(), parts_->pool,     parts_->interrupt};
}

std::vector<double> Evaluator::leverages(const Response& response, const Estimates& at) {
  model().require_rows();
  const OneThreadEach kernels(model().kernels());
  parts_->evaluate(response, at.theta, at.reml);
  return leverages_at(model(), parts_->criterion, parts_->pool);
}

Information Evaluator::information(const Response& response, const std::vector<double>& theta,
                                   bool reml) {
  model().check(theta);
  parts_->criterion.use(response);
  const OneThreadEach kernels(model().kernels());
  return parts_->derivatives().information(theta.data(), reml);
}

Curvature Evaluator::curvature(const Response& response, const std::vector<double>& theta,
                               bool reml, HessianKind kind) {
  model().check(theta);
  parts_->criterion.use(response);
  const OneThreadEach kernels(model().kernels());
  return parts_->derivatives().curvature(theta.data(), reml, kind);
}

std::vector<double> Evaluator::prediction_variances(const Response& response, const Estimates& at,
                                                    const Design& rows,
                                                    const std::vector<bool>& included) {
  const Coordinates& coordinates = model().coordinates();
  check_new_rows(model().design(), coordinates, rows, included);
  const OneThreadEach kernels(model().kernels());
  parts_->evaluate(response, at.theta, at.reml);
  PredictionVariances variances(rows, included, model().blocks(), coordinates, parts_->criterion,
                                parts_->pool);
  std::vector<double> out = variances.compute(parts_->interrupt);
  const double sigma = at.sigma / coordinates.root_weight_unit();
  for (double& variance : out) variance *= sigma * sigma;
  return out;
}

}  // namespace crossnest
