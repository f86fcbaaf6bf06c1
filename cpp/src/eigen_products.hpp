// Eigen's vectors and matrices. Its kernels of products, and of solves with triangular matrices,
// are instantiated once, in eigen_instances.cpp: compiling them in every file took half of the
// build.
#pragma once

#include <Eigen/Core>

// What eigen_instances.cpp makes empty, to have definitions where others have declarations.
#ifndef CROSSNEST_DECLARED
#define CROSSNEST_DECLARED extern
#endif

namespace Eigen {
namespace internal {

// A B, by how A and B are stored.
#define CROSSNEST_PRODUCT(A, B)                                                             \
  CROSSNEST_DECLARED template struct general_matrix_matrix_product<Index, double, A, false, \
                                                                   double, B, false, ColMajor, 1>;
CROSSNEST_PRODUCT(ColMajor, ColMajor)
CROSSNEST_PRODUCT(ColMajor, RowMajor)
CROSSNEST_PRODUCT(RowMajor, ColMajor)
CROSSNEST_PRODUCT(RowMajor, RowMajor)
#undef CROSSNEST_PRODUCT

// A triangle of A B.
#define CROSSNEST_TRIANGLE(A, B, triangle)                                     \
  CROSSNEST_DECLARED template struct general_matrix_matrix_triangular_product< \
      Index, double, A, false, double, B, false, ColMajor, 1, triangle, 0>;
CROSSNEST_TRIANGLE(ColMajor, RowMajor, Lower)
CROSSNEST_TRIANGLE(ColMajor, RowMajor, Upper)
CROSSNEST_TRIANGLE(RowMajor, ColMajor, Lower)
CROSSNEST_TRIANGLE(RowMajor, ColMajor, Upper)
#undef CROSSNEST_TRIANGLE

// A x, where x is not contiguous (0) or is (1).
#define CROSSNEST_MATRIX_VECTOR(A, x, version)                                   \
  CROSSNEST_DECLARED template struct general_matrix_vector_product<              \
      Index, double, const_blas_data_mapper<double, Index, A>, A, false, double, \
      const_blas_data_mapper<double, Index, x>, false, version>;
CROSSNEST_MATRIX_VECTOR(ColMajor, ColMajor, 0)
CROSSNEST_MATRIX_VECTOR(ColMajor, RowMajor, 0)
CROSSNEST_MATRIX_VECTOR(RowMajor, ColMajor, 0)
CROSSNEST_MATRIX_VECTOR(RowMajor, RowMajor, 0)
CROSSNEST_MATRIX_VECTOR(ColMajor, ColMajor, 1)
CROSSNEST_MATRIX_VECTOR(ColMajor, RowMajor, 1)
CROSSNEST_MATRIX_VECTOR(RowMajor, ColMajor, 1)
CROSSNEST_MATRIX_VECTOR(RowMajor, RowMajor, 1)
#undef CROSSNEST_MATRIX_VECTOR

// T^-1 B or B T^-1, by the shape of T and how it is stored.
#define CROSSNEST_SOLVE(side, shape, T)                                                            \
  CROSSNEST_DECLARED template struct triangular_solve_matrix<double, Index, side, shape, false, T, \
                                                             ColMajor, 1>;
CROSSNEST_SOLVE(OnTheLeft, Lower, ColMajor)
CROSSNEST_SOLVE(OnTheLeft, Upper, ColMajor)
CROSSNEST_SOLVE(OnTheLeft, Lower, RowMajor)
CROSSNEST_SOLVE(OnTheLeft, Upper, RowMajor)
CROSSNEST_SOLVE(OnTheLeft, UnitLower, ColMajor)
CROSSNEST_SOLVE(OnTheRight, Lower, ColMajor)
CROSSNEST_SOLVE(OnTheRight, Upper, ColMajor)
CROSSNEST_SOLVE(OnTheRight, Lower, RowMajor)
CROSSNEST_SOLVE(OnTheRight, Upper, RowMajor)
#undef CROSSNEST_SOLVE

// T B, by the shape of T and how it is stored.
#define CROSSNEST_TRIANGULAR_PRODUCT(shape, T)                         \
  CROSSNEST_DECLARED template struct product_triangular_matrix_matrix< \
      double, Index, shape, true, T, false, ColMajor, false, ColMajor, 1, 0>;
CROSSNEST_TRIANGULAR_PRODUCT(Lower, ColMajor)
CROSSNEST_TRIANGULAR_PRODUCT(Upper, ColMajor)
CROSSNEST_TRIANGULAR_PRODUCT(Upper, RowMajor)
CROSSNEST_TRIANGULAR_PRODUCT(UnitLower, ColMajor)
CROSSNEST_TRIANGULAR_PRODUCT(UnitUpper, RowMajor)
#undef CROSSNEST_TRIANGULAR_PRODUCT

}  // namespace internal
}  // namespace Eigen
