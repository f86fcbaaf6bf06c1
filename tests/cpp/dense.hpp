// The same things as the engine's, by dense algebra: slow and readable.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/LU>
#include <cmath>
#include <vector>

#include "as_vector.hpp"
#include "criterion.hpp"
#include "designs.hpp"
#include "response_reader.hpp"

namespace dense {

using crossnest::Index;
using crossnest::Level;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// |a - b| / max(1, |b|); NaN when either has one.
inline double difference(const MatrixXd& a, const MatrixXd& b) {
  return (a - b).norm() / std::fmax(1.0, b.norm());
}

inline double log_det(const MatrixXd& A) {
  return 2.0 * MatrixXd(A.llt().matrixL()).diagonal().array().log().sum();
}

// The parts of a model, a response and an evaluator, each to be looked at.
struct Engine {
  designs::Data data;
  designs::View design;
  crossnest::InterruptCheck interrupt;
  crossnest::ThreadPool pool;
  crossnest::CovarianceParameters covariance;
  std::vector<crossnest::Block> blocks;
  crossnest::Coordinates coordinates;
  crossnest::CrossProducts A;
  crossnest::Response response;
  crossnest::Structure structure;
  crossnest::FactorWorkspace workspace;
  crossnest::Criterion criterion;

  explicit Engine(designs::Data source, crossnest::TailKind tail = crossnest::TailKind::automatic,
                  int threads = 1)
      : data(std::move(source)),
        design(data.design()),
        pool(threads),
        covariance(design.terms),
        blocks(crossnest::make_blocks(design)),
        coordinates(design, blocks, covariance, pool),
        A(design, blocks, coordinates, pool, interrupt),
        response(read(*this)),
        structure(blocks, A, tail, 0),
        workspace(blocks, A, structure, crossnest::eigen_kernels(), pool, interrupt),
        criterion(covariance, blocks, coordinates, A, workspace) {
    criterion.use(response);
  }

 private:
  static crossnest::Response read(Engine& engine) {
    crossnest::Response response;
    crossnest::ResponseReader(engine.design, engine.blocks, engine.coordinates, engine.pool)
        .read(engine.design.y, 1, &response);
    return response;
  }
};

// Z, [X y] and w in the engine's coordinates; the columns of Z by block, level, effect.
struct Rows {
  MatrixXd Z, B;
  VectorXd w;

  Rows(const crossnest::Design& design, const std::vector<crossnest::Block>& blocks,
       const crossnest::Coordinates& coordinates, const crossnest::Response& response) {
    const Index n = design.n, width = coordinates.row_width(), rank = coordinates.rank();
    MatrixXd mapped(width, n);
    coordinates.map_rows(design, 0, n, mapped.data());
    Index q = 0;
    for (const auto& block : blocks) q += block.size();
    Z = MatrixXd::Zero(n, q);
    B.resize(n, rank + 1);
    B.leftCols(rank) = mapped.middleRows(width - 1 - rank, rank).transpose();
    B.col(rank) = Eigen::Map<const VectorXd>(response.y, n) / response.unit;
    B.col(rank) -= B.leftCols(rank) * crossnest::as_vector(response.mapped_beta0);
    B.col(rank) /= response.mapped_scale;
    w = mapped.row(width - 1).transpose();
    Index start = 0;
    for (const auto& block : blocks) {
      const Level* codes = design.factors[static_cast<std::size_t>(block.factor)].codes;
      for (Index i = 0; i < n; ++i)
        Z.row(i).segment(start + Index{codes[i]} * block.k, block.k) =
            mapped.col(i).segment(block.first_column, block.k).transpose();
      start += block.size();
    }
  }
};

// Lambda, q x q, from the k x k factors of the blocks.
inline MatrixXd block_diagonal(const std::vector<crossnest::Block>& blocks,
                               const std::vector<std::vector<double>>& lambda) {
  Index q = 0;
  for (const auto& block : blocks) q += block.size();
  MatrixXd Lambda = MatrixXd::Zero(q, q);
  Index start = 0;
  for (std::size_t t = 0; t < blocks.size(); ++t)
    for (Index l = 0; l < blocks[t].levels; ++l, start += blocks[t].k)
      Lambda.block(start, start, blocks[t].k, blocks[t].k) =
          Eigen::Map<const MatrixXd>(lambda[t].data(), blocks[t].k, blocks[t].k);
  return Lambda;
}

// A model on the user's scale, by n x n matrices, at one theta (the terms in the user's order).
struct Model {
  MatrixXd X, Z, Lambda;     // n x p, n x q, q x q; Z by term, level, effect
  MatrixXd V, V_inverse, P;  // n x n: Var(y) / sigma^2, V^-1, V^-1 - V^-1X(X'V^-1X)^-1X'V^-1
  VectorXd y, w, beta, u, b, fitted;
  double r2 = 0.0, nu = 0.0, objective = 0.0;

  Model(const designs::View& design, const std::vector<double>& theta, bool reml) {
    const Index n = design.n;
    X = Eigen::Map<const MatrixXd>(design.X, n, design.p);
    y = Eigen::Map<const VectorXd>(design.y, n);
    w = VectorXd::Ones(n);
    if (design.weights != nullptr) w = Eigen::Map<const VectorXd>(design.weights, n);
    fill_random(design, theta);
    V = Z * Lambda * Lambda.transpose() * Z.transpose();
    V.diagonal() += w.cwiseInverse();
    V_inverse = V.llt().solve(MatrixXd::Identity(n, n));
    const MatrixXd C = X.transpose() * V_inverse * X;
    beta = C.llt().solve(X.transpose() * V_inverse * y);
    P = V_inverse - V_inverse * X * C.llt().solve(X.transpose() * V_inverse);
    u = Lambda.transpose() * Z.transpose() * (V_inverse * (y - X * beta));
    b = Lambda * u;
    fitted = X * beta + Z * b;
    r2 = y.dot(P * y);
    nu = static_cast<double>(n - (reml ? design.p : 0));
    objective =
        log_det(V) + (reml ? log_det(C) : 0.0) + nu * (1.0 + std::log(6.283185307179586 * r2 / nu));
  }

 private:
  void fill_random(const crossnest::Design& design, const std::vector<double>& theta) {
    Index q = 0;
    for (const auto& term : design.terms)
      q += design.factors[static_cast<std::size_t>(term.factor)].levels *
           static_cast<Index>(term.columns.size());
    Z = MatrixXd::Zero(design.n, q);
    Lambda = MatrixXd::Zero(q, q);
    Index start = 0;
    const double* own = theta.data();
    for (const auto& term : design.terms) {
      const auto& factor = design.factors[static_cast<std::size_t>(term.factor)];
      const Index k = static_cast<Index>(term.columns.size());
      const auto structure =
          crossnest::make_covariance_structure(term.covariance, static_cast<int>(k));
      MatrixXd lambda(k, k);
      structure->lambda(own, lambda.data());
      own += structure->parameters();
      for (Index i = 0; i < design.n; ++i)
        for (Index j = 0; j < k; ++j) {
          const double* column = term.columns[static_cast<std::size_t>(j)];
          Z(i, start + factor.codes[i] * k + j) = column == nullptr ? 1.0 : column[i];
        }
      for (Index l = 0; l < factor.levels; ++l, start += k)
        Lambda.block(start, start, k, k) = lambda;
    }
  }
};

}  // namespace dense
