// Eigen's decompositions of MatrixXd, instantiated once, in eigen_instances.cpp.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <Eigen/QR>

#include "eigen_products.hpp"

namespace Eigen {
namespace internal {

CROSSNEST_DECLARED template struct partial_lu_impl<double, ColMajor, int, Dynamic>;
CROSSNEST_DECLARED template void tridiagonalization_inplace<MatrixXd, VectorXd>(MatrixXd&,
                                                                                VectorXd&);
CROSSNEST_DECLARED template ComputationInfo
computeFromTridiagonal_impl<MatrixXd, VectorXd, VectorXd>(VectorXd&, VectorXd&, Index, bool,
                                                          MatrixXd&);
CROSSNEST_DECLARED template struct householder_qr_inplace_blocked<MatrixXd, VectorXd, double, true>;

}  // namespace internal

CROSSNEST_DECLARED template void HouseholderSequence<MatrixXd, VectorXd, 1>::evalTo(
    MatrixXd&, VectorXd&) const;
CROSSNEST_DECLARED template class SelfAdjointEigenSolver<MatrixXd>;
CROSSNEST_DECLARED template SelfAdjointEigenSolver<MatrixXd>&
SelfAdjointEigenSolver<MatrixXd>::compute(const EigenBase<MatrixXd>&, int);
CROSSNEST_DECLARED template class HouseholderQR<MatrixXd>;
CROSSNEST_DECLARED template class ColPivHouseholderQR<MatrixXd>;
CROSSNEST_DECLARED template class PartialPivLU<MatrixXd>;
CROSSNEST_DECLARED template class LLT<MatrixXd, Lower>;

}  // namespace Eigen
