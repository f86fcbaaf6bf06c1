#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "as_vector.hpp"
#include "blocks.hpp"
#include "crossnest/fit.hpp"
#include "eigen_decompositions.hpp"
#include "moments.hpp"
#include "one_thread_each.hpp"
#include "optimizer.hpp"
#include "profiled_criterion.hpp"
#include "response_reader.hpp"
#include "wide_search.hpp"

namespace crossnest {

namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr Index kBatch = 16;  // responses read together

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// What all workers read.
struct Shared {
  const Model& model;
  const RefitOptions& options;
  MomentEquations moments;
  std::vector<double> start;  // options.start in the engine's coordinates
  MatrixXd inverse_fixed;     // T^-1: beta = T^-1 beta~
};

// Fits one response after the other with an evaluator of its own.
class Worker {
 public:
  Worker(const Shared& shared, const std::atomic<bool>& stop)
      : shared_(shared),
        interrupt_([&stop] { return stop.load(); }),
        responses_(at(kBatch)),
        evaluator_(shared.model, interrupt_, 1),
        criterion_(evaluator_.criterion(responses_.front())),
        objective_(criterion_, shared.options.reml, shared.model.structure().work(), interrupt_),
        optimizer_(objective_, shared.options.optimizer),
        reader_(shared.model.design(), shared.model.blocks(), shared.model.coordinates(), pool_) {
    if (shared.model.may_have_several_minima())
      objective_.search_widely(shared.model.blocks(), shared.model.cross_products(),
                               shared.model.weight_spread());
  }

  // Fits the responses [begin, end) of Y, at most kBatch of them.
  void fit(const double* Y, Index begin, Index end, Refits& out) {
    reader_.read(Y + begin * shared_.model.design().n, end - begin, responses_.data());
    for (Index r = begin; r < end; ++r) fit(responses_[at(r - begin)], r, out);
  }

 private:
  void fit(Response& response, Index r, Refits& out);
  std::vector<double> start(const Response& response);
  RefitStatus verdict(const Optimum& optimum) const;
  void estimate(const Optimum& optimum, Index r, Refits& out);

  const Shared& shared_;
  InterruptCheck interrupt_;
  ThreadPool pool_{1, &interrupt_};
  std::vector<Response> responses_;
  Evaluator evaluator_;
  Criterion& criterion_;
  ProfiledCriterion objective_;
  Optimizer optimizer_;
  ResponseReader reader_;
};

void Worker::fit(Response& response, Index r, Refits& out) {
  RefitStatus& status = out.status[at(r)];
  if (response.fault != Response::Fault::none) {
    status = response.fault == Response::Fault::no_variation ? RefitStatus::no_variation
                                                             : RefitStatus::not_finite;
    return;
  }
  response.held = shared_.model.held(response);
  criterion_.use(response);
  // An optimum inside, reached from moments, is the one the other starts lead to as well.
  const Optimum best = optimizer_.find_minimum(start(response), Breadth::in_doubt);
  status = verdict(best);
  out.evaluations[at(r)] = best.evaluations;
  if (status != RefitStatus::not_computable) estimate(best, r, out);
}

// The start from moments, or the one given where the criterion is lower.
std::vector<double> Worker::start(const Response& response) {
  std::vector<double> moments = shared_.moments.solve(response);
  if (shared_.start.empty()) return moments;
  const auto value = [&](const std::vector<double>& theta) {
    return criterion_.objective(theta.data(), Frame::engine, shared_.options.reml);
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
  const Response& response = criterion_.response();
  const auto rank = static_cast<Index>(response.beta0.size());
  out.objective[at(r)] = optimum.value;
  if (!criterion_.is_at(optimum.x)) criterion_.objective(optimum.x.data(), Frame::engine, reml);
  const std::vector<double> theta = criterion_.to_user(optimum.x.data());
  std::copy(theta.begin(), theta.end(),
            out.theta.begin() + static_cast<std::ptrdiff_t>(at(r) * theta.size()));
  const double s = response.scale;
  const double sigma = s * std::sqrt(criterion_.pwrss() / criterion_.nu(reml));
  out.sigma[at(r)] = sigma;
  const Eigen::Map<const MatrixXd> F(criterion_.elimination().border().data(), rank + 1, rank + 1);
  const auto R = F.topLeftCorner(rank, rank).triangularView<Eigen::Upper>();
  const MatrixXd& T_inverse = shared_.inverse_fixed;
  const MatrixXd root = R.solve<Eigen::OnTheRight>(T_inverse);  // T^-1 R_X^-1
  Eigen::Map<VectorXd>(out.beta.data() + r * rank, rank) =
      T_inverse * as_vector(response.beta0) + s * (root * F.col(rank).head(rank));
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
      while (!over()) {
        report();
        interrupt.poll();
      }
      report();
    } catch (...) {
      failed(std::current_exception());
    }
    for (std::thread& member : members) member.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Waits a while for the last member to leave, and returns whether it has.
  bool over() {
    std::unique_lock<std::mutex> lock(mutex_);
    return done_.wait_for(lock, std::chrono::milliseconds(20), [this] { return running_ == 0; });
  }

  void report() {
    const Index fitted = fitted_;
    if (!shared_.options.progress || fitted == reported_) return;
    reported_ = fitted;
    shared_.options.progress(fitted, count_);
  }

  void work() {
    try {
      Worker worker(shared_, stop_);
      while (!stop_) {
        const Index begin = next_.fetch_add(kBatch);
        if (begin >= count_) break;
        const Index end = std::min(begin + kBatch, count_);
        worker.fit(Y_, begin, end, out_);
        fitted_ += end - begin;
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
  std::atomic<Index> next_{0}, fitted_{0};
  Index reported_ = 0;  // of fitted_
  std::mutex mutex_;
  std::condition_variable done_;
  int running_ = 0;
  std::exception_ptr failure_;
};

// As many as asked for, as there is work for, and as fit into memory with a factor and a batch of
// responses each.
int team_size(const Model& model, Index count, int asked) {
  std::size_t q = 0;
  for (const Block& block : model.blocks()) q += at(block.size());
  // Of q numbers: the products of a batch, and the solution of the border.
  std::size_t bytes = 8 * q * (at(kBatch) + at(model.coordinates().rank()) + 1);
  for (const BlockReport& block : model.report()) bytes += block.bytes;
  const std::size_t fitting = model.memory_limit() / bytes;
  const Index batches = (count + kBatch - 1) / kBatch;
  Index size = std::min<Index>(asked > 0 ? asked : model.threads(), batches);
  if (model.memory_limit() > 0) size = std::min(size, static_cast<Index>(fitting));
  return static_cast<int>(std::max<Index>(size, 1));
}

}  // namespace

Refits refit_many(Evaluator& evaluator, const double* Y, Index count, const RefitOptions& options) {
  if (options.threads < 0) throw std::invalid_argument("threads must not be negative");
  const Model& model = evaluator.model();
  model.require_rows();
  InterruptCheck& interrupt = evaluator.interrupt();
  const OneThreadEach kernels(model.kernels());
  const Criterion& criterion = evaluator.criterion();
  const MatrixXd& T = model.coordinates().fixed();
  Shared shared{
      model,
      options,
      MomentEquations(model.blocks(), model.cross_products(), model.covariance(), interrupt),
      {},
      T.partialPivLu().solve(MatrixXd::Identity(T.rows(), T.cols()))};
  if (!options.start.empty()) {
    model.check(options.start);
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
  Team(shared, Y, count, out).run(team_size(model, count, options.threads), interrupt);
  return out;
}

}  // namespace crossnest
