// Factorization and inverse of the dense tail, by panels over the kernel table.
#pragma once

#include <vector>

#include "crossnest/interrupt.hpp"
#include "crossnest/kernels.hpp"
#include "crossnest/types.hpp"

namespace crossnest {

/// S = U'U in place. S is n x n, column-major, leading dimension n; only its upper triangle is read and
/// written. False, with S spoilt, when S is not positive definite.
///
/// Right-looking by panels of columns: most of the work is in dsyrk on the trailing matrix, which uses
/// the machine better than a LAPACK dpotrf does, and the caller can interrupt between panels.
bool factor_dense(double* S, Index n, const DenseKernels& kernels, InterruptCheck& interrupt);

/// U := (U'U)^-1 in place, upper triangle only. `panel` is workspace, resized as needed.
///
/// Backwards by panels, from X = inverse of the trailing part: with Y = U_jj^-1 U_j,rest,
///   X_j,rest = -Y X_rest,rest,   X_jj = U_jj^-1 U_jj'^-1 - X_j,rest Y'.
void invert_dense(double* U, Index n, const DenseKernels& kernels, InterruptCheck& interrupt,
                  std::vector<double>& panel);

/// B := U'^-1 B (transposed) or U^-1 B, B n x columns with leading dimension n.
void solve_dense(const double* U, Index n, bool transposed, double* B, int columns,
                 const DenseKernels& kernels);

/// Copies the upper triangle to the lower one.
void mirror_upper(double* S, Index n);

}  // namespace crossnest
