#include "crossnest/kernels.hpp"

#if defined(CROSSNEST_HAVE_BLAS)

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
#if defined(__ELF__)
// Null where the BLAS is no OpenBLAS.
__attribute__((weak)) int openblas_get_num_threads();
__attribute__((weak)) void openblas_set_num_threads(int);
#endif
}

namespace crossnest {

namespace {

DenseKernels linked_kernels() {
  DenseKernels table{"blas", dpotrf_, dpotri_, dtrsm_, dsyrk_, dgemm_, dsymm_, nullptr, nullptr};
#if defined(__ELF__)
  table.get_threads = openblas_get_num_threads;
  table.set_threads = openblas_set_num_threads;
#endif
  return table;
}

}  // namespace

const DenseKernels& default_kernels() {
  static const DenseKernels table = linked_kernels();
  return table;
}

}  // namespace crossnest

#else

namespace crossnest {

const DenseKernels& default_kernels() { return eigen_kernels(); }

}  // namespace crossnest

#endif
