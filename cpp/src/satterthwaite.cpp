#include "satterthwaite.hpp"

#include <limits>

#include "eigen_decompositions.hpp"

namespace crossnest {

double satterthwaite_df(const Curvature& curvature, const Eigen::VectorXd& c) {
  using Eigen::Map, Eigen::MatrixXd, Eigen::VectorXd;
  constexpr double kZeroCurvature = 1e-8;  // as in lmerTest
  const Eigen::Index m = curvature.parameters, p = curvature.rank;
  const Map<const MatrixXd> H(curvature.hessian.data(), m, m);
  if (!H.allFinite()) return std::numeric_limits<double>::quiet_NaN();
  // They do not depend on the length of the contrast, whose fourth power may be no finite number.
  const VectorXd l = c / c.cwiseAbs().maxCoeff();
  VectorXd gradient(m);
  for (Eigen::Index a = 0; a < m; ++a)
    gradient(a) = l.dot(Map<const MatrixXd>(curvature.jacobian.data() + a * p * p, p, p) * l);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(H);
  double spread = 0.0;  // g'H^-1 g
  for (Eigen::Index i = 0; i < m; ++i) {
    const double value = eigen.eigenvalues()(i), along = eigen.eigenvectors().col(i).dot(gradient);
    if (value > kZeroCurvature) spread += along * along / value;
  }
  const double v = l.squaredNorm();
  return v * v / spread;
}

}  // namespace crossnest
