#include "crossnest/refits.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "crossnest/moments.hpp"
#include "crossnest/responses.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index kBatch = 16;  // responses read together

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// What all workers read.
struct Shared {
  const Problem& problem;
  const RefitOptions& options;
  MomentEquations moments;
  std::vector<double> start;  // options.start in the engine's coordinates
  MatrixXd inverse_fixed;     // T^-1: beta = T^-1 beta~
};

// Everything that a response changes, and a fit with it.
class Worker {
 public:
  Worker(const Shared& shared, const std::atomic<bool>& stop)
      : shared_(shared),
        interrupt_([&stop] { return stop.load(); }),
        coordinates_(shared.problem.coordinates()),
        A_(shared.problem.cross_products()),
        workspace_(shared.problem.blocks(), A_, shared.problem.structure(),
                   shared.problem.kernels(), pool_, interrupt_),
        criterion_(shared.problem.design(), shared.problem.blocks(), coordinates_, A_, workspace_),
        objective_(criterion_, shared.options.reml, shared.problem.structure().work(), interrupt_),
        optimizer_(objective_, shared.options.optimizer),
        reader_(shared.problem.design(), shared.problem.blocks(), shared.problem.coordinates(),
                interrupt_),
        responses_(at(kBatch)) {
    const WeightSpread& weights = shared.problem.weight_spread();
    if (weights.wide()) objective_.search_widely(shared.problem.blocks(), A_, weights);
  }

  // Fits the responses [begin, end) of Y, at most kBatch of them.
  void fit(const double* Y, Index begin, Index end, Refits& out) {
    reader_.read(Y + begin * shared_.problem.design().n, end - begin, responses_.data());
    for (Index r = begin; r < end; ++r) fit(responses_[at(r - begin)], r, out);
  }

 private:
  void fit(const ResponseProducts& response, Index r, Refits& out);
  std::vector<double> start();
  RefitStatus verdict(const Optimum& optimum) const;
  void estimate(const Optimum& optimum, Index r, Refits& out);

  const Shared& shared_;
  InterruptCheck interrupt_;
  ThreadPool pool_{1, &interrupt_};
  Coordinates coordinates_;
  CrossProducts A_;
  FactorWorkspace workspace_;
  Criterion criterion_;
  ProfiledCriterion objective_;
  Optimizer optimizer_;
  ResponseReader reader_;
  std::vector<ResponseProducts> responses_;
};

void Worker::fit(const ResponseProducts& response, Index r, Refits& out) {
  RefitStatus& status = out.status[at(r)];
  if (response.fault != ResponseProducts::Fault::none) {
    status = response.fault == ResponseProducts::Fault::not_finite ? RefitStatus::not_finite
                                                                   : RefitStatus::no_variation;
    return;
  }
  coordinates_.set_response(response.beta0, response.scale);
  A_.set_response(response);
  criterion_.hold(held_parameters(shared_.problem.identifiability(), shared_.problem.design(),
                                  shared_.problem.blocks(), coordinates_, A_));
  // An optimum inside, reached from moments, is the one the other starts lead to as well.
  const Optimum best = optimizer_.find_minimum(start(), Breadth::in_doubt);
  status = verdict(best);
  out.evaluations[at(r)] = best.evaluations;
  if (status != RefitStatus::not_computable) estimate(best, r, out);
}

// The start from moments, or the one given where the criterion is lower.
std::vector<double> Worker::start() {
  std::vector<double> moments = shared_.moments.solve(A_);
  if (shared_.start.empty()) return moments;
  const auto value = [&](const std::vector<double>& theta) {
    return criterion_.objective(theta.data(), Scale::internal, shared_.options.reml);
  };
  return value(shared_.start) < value(moments) ? shared_.start : moments;
}

RefitStatus Worker::verdict(const Optimum& optimum) const {
  if (!std::isfinite(optimum.value)) return RefitStatus::not_computable;
  if (!optimum.converged()) return RefitStatus::not_converged;
  const Eigen::Map<const VectorXd> theta(optimum.x.data(), criterion_.parameters());
  if (objective_.is_on_boundary(theta)) return RefitStatus::singular;
  return RefitStatus::ok;
}

// beta = T^-1 (beta0 + s R_X^-1 c_beta), Var(beta) = sigma^2 T^-1 (R_X'R_X)^-1 T'^-1.
void Worker::estimate(const Optimum& optimum, Index r, Refits& out) {
  const bool reml = shared_.options.reml;
  const Index rank = coordinates_.rank();
  out.objective[at(r)] = optimum.value;
  if (!criterion_.is_at(optimum.x)) criterion_.objective(optimum.x.data(), Scale::internal, reml);
  const std::vector<double> theta = criterion_.to_user(optimum.x.data());
  std::copy(theta.begin(), theta.end(),
            out.theta.begin() + static_cast<std::ptrdiff_t>(at(r) * theta.size()));
  const double s = coordinates_.scale();
  const double sigma = s * std::sqrt(criterion_.pwrss() / criterion_.nu(reml));
  out.sigma[at(r)] = sigma;
  const Eigen::Map<const MatrixXd> F(criterion_.elimination().border().data(), rank + 1, rank + 1);
  const auto R = F.topLeftCorner(rank, rank).triangularView<Eigen::Upper>();
  const MatrixXd& T_inverse = shared_.inverse_fixed;
  const MatrixXd root = R.solve<Eigen::OnTheRight>(T_inverse);  // T^-1 R_X^-1
  Eigen::Map<VectorXd>(out.beta.data() + r * rank, rank) =
      T_inverse * coordinates_.beta0() + s * (root * F.col(rank).head(rank));
  Eigen::Map<VectorXd>(out.errors.data() + r * rank, rank) = sigma * root.rowwise().norm();
}

// Threads that take batches of responses while the calling thread waits and polls.
class Team {
 public:
  Team(const Shared& shared, const double* Y, Index count, Refits& out)
      : shared_(shared), Y_(Y), count_(count), out_(out) {}

  void run(int threads, InterruptCheck& interrupt) {
    std::vector<std::thread> members;
    running_ = threads;
    try {
      for (int i = 0; i < threads; ++i) members.emplace_back([this] { work(); });
      std::unique_lock<std::mutex> lock(mutex_);
      while (!done_.wait_for(lock, std::chrono::milliseconds(20), [this] { return running_ == 0; }))
        interrupt.poll();
    } catch (...) {
      failed(std::current_exception());
    }
    for (std::thread& member : members) member.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() {
    try {
      Worker worker(shared_, stop_);
      while (!stop_) {
        const Index begin = next_.fetch_add(kBatch);
        if (begin >= count_) break;
        worker.fit(Y_, begin, std::min(begin + kBatch, count_), out_);
      }
    } catch (...) {
      failed(std::current_exception());
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }

  // The first failure is the one reported: the others follow from it.
  void failed(std::exception_ptr failure) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
    stop_ = true;
  }

  const Shared& shared_;
  const double* Y_;
  Index count_;
  Refits& out_;
  std::atomic<bool> stop_{false};
  std::atomic<Index> next_{0};
  std::mutex mutex_;
  std::condition_variable done_;
  int running_ = 0;
  std::exception_ptr failure_;
};

// As many as asked for, as there is work for, and as fit into memory with a factor, cross-products
// and a batch of responses each.
int team_size(const Problem& problem, Index count, int asked) {
  const CrossProducts& A = problem.cross_products();
  std::size_t q = 0;
  for (const Block& block : problem.blocks()) q += at(block.size());
  // Of q numbers: a response's products, and Z'W[X y] and its solution.
  std::size_t bytes = 8 * (A.numbers() + q * (at(kBatch) + 2 * at(A.border())));
  for (const BlockReport& block : problem.structure().report()) bytes += block.bytes;
  const std::size_t fitting = problem.memory_limit() / bytes;
  const Index batches = (count + kBatch - 1) / kBatch;
  Index size = std::min<Index>(asked > 0 ? asked : problem.threads(), batches);
  if (problem.memory_limit() > 0) size = std::min(size, static_cast<Index>(fitting));
  return static_cast<int>(std::max<Index>(size, 1));
}

}  // namespace

Refits refit_many(const Problem& problem, const double* Y, Index count, const RefitOptions& options,
                  InterruptCheck& interrupt) {
  if (options.threads < 0) throw std::invalid_argument("threads must not be negative");
  const OneThreadEach kernels(problem.kernels());
  const Criterion& criterion = problem.criterion();
  const MatrixXd& T = problem.coordinates().fixed();
  Shared shared{problem,
                options,
                MomentEquations(problem.blocks(), problem.cross_products(), criterion, interrupt),
                {},
                T.partialPivLu().solve(MatrixXd::Identity(T.rows(), T.cols()))};
  if (!options.start.empty()) {
    problem.check(options.start);
    shared.start = criterion.to_internal(options.start.data());
  }
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  Refits out;
  out.objective.assign(at(count), kNaN);
  out.theta.assign(at(count * criterion.parameters()), kNaN);
  out.beta.assign(at(count * T.rows()), kNaN);
  out.errors.assign(at(count * T.rows()), kNaN);
  out.sigma.assign(at(count), kNaN);
  out.evaluations.assign(at(count), 0);
  out.status.assign(at(count), RefitStatus::not_computable);
  Team(shared, Y, count, out).run(team_size(problem, count, options.threads), interrupt);
  return out;
}

}  // namespace crossnest
