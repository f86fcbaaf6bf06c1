#include "crossnest/kenward_roger.hpp"

#include <cmath>

#include "crossnest/types.hpp"
#include "eigen_decompositions.hpp"

namespace crossnest {

namespace {

using Eigen::Map, Eigen::MatrixXd, Eigen::VectorXd;

using Square = Map<const MatrixXd>;

Square first(const Information& of, Eigen::Index r) {
  return {of.first.data() + r * of.rank * of.rank, of.rank, of.rank};
}

Square second(const Information& of, Eigen::Index r, Eigen::Index s) {
  const Eigen::Index place = s * of.parameters + r;
  return {of.second.data() + place * of.rank * of.rank, of.rank, of.rank};
}

std::vector<double> numbers(const MatrixXd& matrix) {
  return {matrix.data(), matrix.data() + matrix.size()};
}

// The inverse of a symmetric matrix, directions it is zero in left out.
MatrixXd inverse(const MatrixXd& information) {
  constexpr double kNegative = 1e-8, kZero = 1e-12;
  if (!information.allFinite())
    throw FitError("the information on the variance parameters is not finite");
  const VectorXd scale = information.diagonal().cwiseAbs().unaryExpr(
      [](double size) { return size > 0.0 ? 1.0 / std::sqrt(size) : 0.0; });
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(
      (scale.asDiagonal() * information * scale.asDiagonal()).eval());
  const VectorXd& values = eigen.eigenvalues();
  const Eigen::Index last = values.size() - 1;
  if (values(0) < -kNegative * values.cwiseAbs().maxCoeff())
    throw FitError(
        "the observed information on the variance parameters is not positive definite, which can "
        "happen when a variance is zero");
  const MatrixXd vectors = scale.asDiagonal() * eigen.eigenvectors();
  MatrixXd out = MatrixXd::Zero(information.rows(), information.cols());
  for (Eigen::Index i = 0; i <= last; ++i)
    if (values(i) > kZero * values(last))
      out += vectors.col(i) / values(i) * vectors.col(i).transpose();
  return out;
}

}  // namespace

KenwardRoger kenward_roger(const Information& information, bool observed) {
  const Eigen::Index m = information.parameters, p = information.rank;
  // tr(P G_r P G_s) / 2, P = Sigma^-1 less its part in X; and the observed one from it.
  MatrixXd of_variances = 0.5 * Square(information.traces.data(), m, m);
  for (Eigen::Index s = 0; s < m; ++s)
    for (Eigen::Index r = 0; r < m; ++r)
      of_variances(r, s) += 0.5 * first(information, r).cwiseProduct(first(information, s)).sum() -
                            second(information, r, s).trace();
  if (observed) of_variances = Square(information.quadratics.data(), m, m) - of_variances;
  const MatrixXd W = inverse(of_variances);
  MatrixXd change = MatrixXd::Zero(p, p);
  for (Eigen::Index s = 0; s < m; ++s) {
    MatrixXd weighted = MatrixXd::Zero(p, p);  // sum_r W_rs P_r
    for (Eigen::Index r = 0; r < m; ++r) {
      weighted += W(r, s) * first(information, r);
      change += W(r, s) * second(information, r, s);
    }
    change -= weighted * first(information, s);
  }
  return {numbers(W), numbers(MatrixXd::Identity(p, p) + 2.0 * change)};
}

KenwardRogerContrast contrast(const Information& information, const KenwardRoger& found,
                              const std::vector<double>& c) {
  const Eigen::Index m = information.parameters, p = information.rank;
  const Map<const VectorXd> l(c.data(), p);
  const double length = l.stableNorm();
  const VectorXd direction = l / length;
  VectorXd a(m);
  for (Eigen::Index r = 0; r < m; ++r) a(r) = direction.dot(first(information, r) * direction);
  return {length * std::sqrt(direction.dot(Square(found.adjusted.data(), p, p) * direction)),
          2.0 / a.dot(Square(found.varpar_vcov.data(), m, m) * a)};
}

}  // namespace crossnest
