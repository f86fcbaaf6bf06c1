#include "crossnest/kernels.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "eigen_decompositions.hpp"
#include "one_thread_each.hpp"
#include "process.hpp"

namespace crossnest {

namespace {

using Eigen::Index;
using Matrix = Eigen::Map<Eigen::MatrixXd, 0, Eigen::OuterStride<>>;

Matrix view(double* a, int rows, int columns, int lda) {
  return Matrix(a, rows, columns, Eigen::OuterStride<>(lda));
}

void eigen_dpotrf(char*, int* n, double* a, int* lda, int* info) {
  Matrix A = view(a, *n, *n, *lda);
  const Index failed = Eigen::internal::llt_inplace<double, Eigen::Upper>::blocked(A);
  *info = static_cast<int>(failed + 1);  // -1 (success) becomes 0
}

void eigen_dpotri(char*, int* n, double* a, int* lda, int* info) {
  Matrix A = view(a, *n, *n, *lda);
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(*n, *n);
  A.triangularView<Eigen::Upper>().transpose().solveInPlace(inverse);
  A.triangularView<Eigen::Upper>().solveInPlace(inverse);
  A.triangularView<Eigen::Upper>() = inverse;
  *info = 0;
}

void eigen_dtrsm(char*, char*, char* transa, char*, int* m, int* n, double* alpha, double* a,
                 int* lda, double* b, int* ldb) {
  const Matrix A = view(a, *m, *m, *lda);
  Matrix B = view(b, *m, *n, *ldb);
  if (*alpha != 1.0) B *= *alpha;
  if (*transa == 'T')
    A.triangularView<Eigen::Upper>().transpose().solveInPlace(B);
  else
    A.triangularView<Eigen::Upper>().solveInPlace(B);
}

void eigen_dsyrk(char*, char* trans, int* n, int* k, double* alpha, double* a, int* lda,
                 double* beta, double* c, int* ldc) {
  Matrix C = view(c, *n, *n, *ldc);
  if (*beta != 1.0) C.triangularView<Eigen::Upper>() = *beta * C;
  if (*trans == 'T')
    C.selfadjointView<Eigen::Upper>().rankUpdate(view(a, *k, *n, *lda).transpose(), *alpha);
  else
    C.selfadjointView<Eigen::Upper>().rankUpdate(view(a, *n, *k, *lda), *alpha);
}

template <class A, class B>
void gemm(const A& a, const B& b, double alpha, double beta, Matrix c) {
  if (beta == 0.0)
    c.noalias() = alpha * a * b;
  else {
    if (beta != 1.0) c *= beta;
    c.noalias() += alpha * a * b;
  }
}

void eigen_dgemm(char* transa, char* transb, int* m, int* n, int* k, double* alpha, double* a,
                 int* lda, double* b, int* ldb, double* beta, double* c, int* ldc) {
  Matrix C = view(c, *m, *n, *ldc);
  const bool ta = *transa == 'T', tb = *transb == 'T';
  const Matrix A = ta ? view(a, *k, *m, *lda) : view(a, *m, *k, *lda);
  const Matrix B = tb ? view(b, *n, *k, *ldb) : view(b, *k, *n, *ldb);
  if (ta && tb)
    gemm(A.transpose(), B.transpose(), *alpha, *beta, C);
  else if (ta)
    gemm(A.transpose(), B, *alpha, *beta, C);
  else if (tb)
    gemm(A, B.transpose(), *alpha, *beta, C);
  else
    gemm(A, B, *alpha, *beta, C);
}

void eigen_dsymm(char*, char*, int* m, int* n, double* alpha, double* a, int* lda, double* b,
                 int* ldb, double* beta, double* c, int* ldc) {
  const Matrix A = view(a, *n, *n, *lda);
  const Matrix B = view(b, *m, *n, *ldb);
  gemm(B, A.selfadjointView<Eigen::Upper>(), *alpha, *beta, view(c, *m, *n, *ldc));
}

}  // namespace

const DenseKernels& eigen_kernels() {
  static const DenseKernels table{"eigen",     eigen_dpotrf, eigen_dpotri, eigen_dtrsm, eigen_dsyrk,
                                  eigen_dgemm, eigen_dsymm,  nullptr,      nullptr};
  return table;
}

// Who holds the numbers of threads of this process: one count for each BLAS.
class OneThreadEach::Holders {
 public:
  static Holders& of_this_process();

  bool is_here() const { return process_ == process_id(); }
  void acquire(int (*get_threads)(), void (*set_threads)(int));
  void release(int (*get_threads)(), void (*set_threads)(int));

 private:
  struct Setting {
    void (*set_threads)(int);  // tells one BLAS from another
    int holders;
    int before;  // to be put back
  };
  Setting& setting_of(void (*set_threads)(int));

  const long process_ = process_id();
  std::mutex mutex_;
  std::vector<Setting> settings_;
};

// A child process made by fork() counts anew: its holders are other threads, and it must not wait
// for a lock that a thread of the parent held.
OneThreadEach::Holders& OneThreadEach::Holders::of_this_process() {
  static std::atomic<Holders*> current{nullptr};
  Holders* known = current.load();
  while (known == nullptr || !known->is_here()) {
    Holders* made = new Holders;
    if (current.compare_exchange_strong(known, made))
      return *made;  // the parent's is left as it is
    delete made;
  }
  return *known;
}

OneThreadEach::Holders::Setting& OneThreadEach::Holders::setting_of(void (*set_threads)(int)) {
  const auto found = std::find_if(settings_.begin(), settings_.end(), [&](const Setting& one) {
    return one.set_threads == set_threads;
  });
  if (found != settings_.end()) return *found;
  settings_.push_back({set_threads, 0, 1});
  return settings_.back();
}

void OneThreadEach::Holders::acquire(int (*get_threads)(), void (*set_threads)(int)) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Setting& setting = setting_of(set_threads);
  const int now = get_threads();
  if (setting.holders == 0 || now != 1) setting.before = now;
  if (now != 1) set_threads(1);
  ++setting.holders;
}

void OneThreadEach::Holders::release(int (*get_threads)(), void (*set_threads)(int)) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Setting& setting = setting_of(set_threads);
  if (--setting.holders == 0 && setting.before != 1 && get_threads() == 1)
    set_threads(setting.before);
}

OneThreadEach::OneThreadEach(const DenseKernels& kernels)
    : get_threads_(kernels.get_threads), set_threads_(kernels.set_threads) {
  if (get_threads_ == nullptr || set_threads_ == nullptr) return;
  Holders& holders = Holders::of_this_process();
  holders.acquire(get_threads_, set_threads_);
  holders_ = &holders;
}

OneThreadEach::~OneThreadEach() {
  if (holders_ != nullptr && holders_->is_here()) holders_->release(get_threads_, set_threads_);
}

}  // namespace crossnest
