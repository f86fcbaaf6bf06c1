#if defined(CROSSNEST_HAVE_BLAS)

#include "crossnest/kernels.hpp"

// Fortran's symbols, as every BLAS and LAPACK on Unix names them.
extern "C" {
void dpotrf_(char*, int*, double*, int*, int*);
void dpotri_(char*, int*, double*, int*, int*);
void dtrsm_(char*, char*, char*, char*, int*, int*, double*, double*, int*, double*, int*);
void dsyrk_(char*, char*, int*, int*, double*, double*, int*, double*, double*, int*);
void dgemm_(char*, char*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*,
            int*);
void dsymm_(char*, char*, int*, int*, double*, double*, int*, double*, int*, double*, double*,
            int*);
}

namespace crossnest {

const DenseKernels& blas_kernels() {
  static const DenseKernels table{"blas", dpotrf_, dpotri_, dtrsm_, dsyrk_,
                                  dgemm_, dsymm_,  nullptr, nullptr};
  return table;
}

}  // namespace crossnest

#endif
