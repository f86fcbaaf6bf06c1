#include "crossnest/model.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace crossnest {

namespace {

int thread_count(int asked) {
  if (asked < 0) throw std::invalid_argument("threads must not be negative");
  // Asked once: the system opens a file to answer, which takes longer than a small fit's moments.
  static const int here = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return asked > 0 ? asked : here;
}

std::size_t available_memory(std::size_t asked) {
  if (asked > 0) return asked;
#if defined(_SC_PHYS_PAGES)
  const double bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
  return static_cast<std::size_t>(0.9 * bytes);
#else
  return 0;
#endif
}

}  // namespace

void Model::set_bounds() {
  for (const Term& term : design_.terms) {
    const auto structure = make_structure(term.structure, static_cast<int>(term.columns.size()));
    const std::size_t first = lower_bounds_.size();
    lower_bounds_.resize(first + static_cast<std::size_t>(structure->parameters()));
    upper_bounds_.resize(lower_bounds_.size());
    structure->lower_bounds(lower_bounds_.data() + first);
    structure->upper_bounds(upper_bounds_.data() + first);
  }
}

Model::Model(Design design, const ModelOptions& options, InterruptCheck interrupt)
    : design_(std::move(design)),
      kernels_(options.kernels != nullptr ? *options.kernels : eigen_kernels()),
      memory_limit_(available_memory(options.memory_limit)),
      threads_(thread_count(options.threads)) {
  design_.validate(&interrupt);
  ThreadPool pool(threads_, &interrupt);
  weight_spread_ = WeightSpread(design_, interrupt);
  blocks_ = make_blocks(design_);
  set_bounds();
  coordinates_ = std::make_unique<Coordinates>(design_, blocks_, pool);
  if (coordinates_->rank() >= design_.n)
    throw FitError(
        "as many fixed effects as observations: there are no residual degrees of freedom");
  check_memory(0.0, 0.0);
  A_ = std::make_unique<CrossProducts>(design_, blocks_, *coordinates_, pool, interrupt);
  find_confounded(pool, interrupt);
  structure_ = std::make_unique<Structure>(blocks_, *A_, options.tail, memory_limit_, &interrupt);
  check_memory(A_->bytes(), structure_->bytes());
}

// Effects that are not seen come first in their term's coordinates, so that they can be held.
void Model::find_confounded(ThreadPool& pool, InterruptCheck& interrupt) {
  identifiability_ = identify(design_, blocks_, *coordinates_, *A_, interrupt);
  bool changed = false;
  for (std::size_t t = 0; t < design_.terms.size(); ++t) {
    if (identifiability_.axes[t].size() == 0) continue;
    coordinates_->use(static_cast<int>(t), identifiability_.axes[t]);
    changed = true;
  }
  if (changed)
    A_ = std::make_unique<CrossProducts>(design_, blocks_, *coordinates_, pool, interrupt);
}

// Throws when what is known so far of the memory needed passes the limit: all that depends on the
// numbers of levels, effects and parameters alone, and what the two arguments say.
void Model::check_memory(double cross_products, double factor) const {
  if (memory_limit_ == 0) return;
  const int border = static_cast<int>(coordinates_->rank()) + 1;
  double diagonal = 0.0;
  Index q = 0;
  for (const Block& block : blocks_) {
    q += block.size();
    diagonal += 8.0 * static_cast<double>(block.size()) * (block.k + border);
  }
  const double workspace = Criterion::workspace_bytes(q, border, parameters());
  // The cross-products hold the blocks on the diagonal, the factor them and their inverse.
  const double known = std::max(cross_products, diagonal) + std::max(factor, 2.0 * diagonal);
  if (known + workspace > static_cast<double>(memory_limit_))
    throw MemoryLimitError("this model needs about " + readable_bytes(known + workspace) +
                           ", of which " + readable_bytes(workspace) + " for the derivatives of " +
                           std::to_string(q) + " random effects in " +
                           std::to_string(parameters()) +
                           " covariance parameters, more than the limit of " +
                           readable_bytes(static_cast<double>(memory_limit_)));
}

// As rows of different weights speak for different theta, and as the variance of an effect that
// terms share may go to either.
bool Model::may_have_several_minima() const {
  const auto shared = [](const Confounding& one) { return one.kind == Confounding::Kind::shared; };
  return weight_spread_.wide() || std::any_of(identifiability_.confounded.begin(),
                                              identifiability_.confounded.end(), shared);
}

Response Model::read(const double* y, InterruptCheck interrupt) const {
  ThreadPool pool(threads_, &interrupt);
  Response response;
  ResponseReader(design_, blocks_, *coordinates_, pool).read(y, 1, &response);
  require_fittable(response, *coordinates_);
  response.held = held(response);
  return response;
}

std::vector<HeldParameter> Model::held(const Response& response) const {
  return held_parameters(identifiability_, design_, blocks_, *coordinates_, *A_, response);
}

void Model::check(const std::vector<double>& theta) const {
  if (theta.size() != lower_bounds_.size())
    throw std::invalid_argument("theta has " + std::to_string(theta.size()) +
                                " values where the model has " +
                                std::to_string(lower_bounds_.size()) + " covariance parameters");
  for (std::size_t i = 0; i < theta.size(); ++i)
    if (!std::isfinite(theta[i]) || theta[i] < lower_bounds_[i] || theta[i] > upper_bounds_[i])
      throw std::invalid_argument("theta[" + std::to_string(i) +
                                  "] is not finite or not within its bounds");
}

}  // namespace crossnest
