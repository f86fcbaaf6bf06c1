#include "crossnest/model.hpp"

#include <algorithm>
#include <cmath>
#include <thread>

#include "blocks.hpp"
#include "coordinates.hpp"
#include "covariance_parameters.hpp"
#include "criterion.hpp"
#include "cross_products.hpp"
#include "crossnest/sums.hpp"
#include "identifiability.hpp"
#include "layout.hpp"
#include "response_reader.hpp"
#include "structure.hpp"
#include "thread_pool.hpp"
#include "wide_search.hpp"

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

struct Model::Parts {
  Parts(Design of, const Sums* sums, const ModelOptions& options, InterruptCheck& interrupt);

  std::unique_ptr<CrossProducts> products(const Sums* sums, ThreadPool& pool,
                                          InterruptCheck& interrupt) const;
  void find_confounded(const Sums* sums, ThreadPool& pool, InterruptCheck& interrupt);
  void check_memory(double cross_products, double factor) const;

  Design design;
  const DenseKernels& kernels;
  std::size_t memory_limit;
  int threads;
  CovarianceParameters covariance;
  std::vector<Block> blocks;
  WeightSpread weight_spread;
  std::unique_ptr<Coordinates> coordinates;
  std::unique_ptr<CrossProducts> A;
  Identifiability identifiability;
  std::unique_ptr<Structure> structure;
};

namespace {

Design validated(Design design, InterruptCheck& interrupt) {
  design.validate(&interrupt);
  return design;
}

}  // namespace

Model::Parts::Parts(Design of, const Sums* sums, const ModelOptions& options,
                    InterruptCheck& interrupt)
    : design(sums != nullptr ? std::move(of) : validated(std::move(of), interrupt)),
      kernels(options.kernels != nullptr ? *options.kernels : default_kernels()),
      memory_limit(available_memory(options.memory_limit)),
      threads(thread_count(options.threads)),
      covariance(design.terms),
      blocks(make_blocks(design)),
      weight_spread(sums != nullptr ? sums->weight_spread() : WeightSpread(design, interrupt)) {
  ThreadPool pool(threads, &interrupt);
  coordinates = sums != nullptr ? std::make_unique<Coordinates>(*sums, blocks, covariance)
                                : std::make_unique<Coordinates>(design, blocks, covariance, pool);
  if (coordinates->rank() >= design.n)
    throw FitError(
        "as many fixed effects as observations: there are no residual degrees of freedom");
  check_memory(0.0, 0.0);
  A = products(sums, pool, interrupt);
  find_confounded(sums, pool, interrupt);
  structure = std::make_unique<Structure>(blocks, *A, options.tail, memory_limit, &interrupt);
  check_memory(A->bytes(), structure->bytes());
}

std::unique_ptr<CrossProducts> Model::Parts::products(const Sums* sums, ThreadPool& pool,
                                                      InterruptCheck& interrupt) const {
  if (sums != nullptr) return std::make_unique<CrossProducts>(*sums, blocks, *coordinates);
  return std::make_unique<CrossProducts>(design, blocks, *coordinates, pool, interrupt);
}

// Effects that are not seen come first in their term's coordinates, so that they can be held.
void Model::Parts::find_confounded(const Sums* sums, ThreadPool& pool, InterruptCheck& interrupt) {
  identifiability = identify(design, blocks, covariance, *coordinates, *A, interrupt);
  bool changed = false;
  for (std::size_t t = 0; t < design.terms.size(); ++t) {
    if (identifiability.axes[t].size() == 0) continue;
    coordinates->use(static_cast<int>(t), identifiability.axes[t]);
    changed = true;
  }
  if (changed) A = products(sums, pool, interrupt);
}

// Throws when what is known so far of the memory needed passes the limit: all that depends on the
// numbers of levels, effects and parameters alone, and what the two arguments say.
void Model::Parts::check_memory(double cross_products, double factor) const {
  if (memory_limit == 0) return;
  const int border = static_cast<int>(coordinates->rank()) + 1;
  double diagonal = 0.0;
  Index q = 0;
  for (const Block& block : blocks) {
    q += block.size();
    diagonal += 8.0 * static_cast<double>(block.size()) * (block.k + border);
  }
  const double workspace = Criterion::workspace_bytes(q, border, covariance.size());
  // The cross-products hold the blocks on the diagonal, the factor them and their inverse.
  const double known = std::max(cross_products, diagonal) + std::max(factor, 2.0 * diagonal);
  if (known + workspace > static_cast<double>(memory_limit))
    throw MemoryLimitError("this model needs about " + readable_bytes(known + workspace) +
                           ", of which " + readable_bytes(workspace) + " for the derivatives of " +
                           std::to_string(q) + " random effects in " +
                           std::to_string(covariance.size()) +
                           " covariance parameters, more than the limit of " +
                           readable_bytes(static_cast<double>(memory_limit)));
}

Model::Model(Design design, const ModelOptions& options, InterruptCheck interrupt)
    : parts_(std::make_unique<const Parts>(std::move(design), nullptr, options, interrupt)) {}

Model::Model(const Sums& sums, const ModelOptions& options, InterruptCheck interrupt)
    : parts_(std::make_unique<const Parts>(sums.layout(), &sums, options, interrupt)) {}

Model::Model(Model&&) noexcept = default;
Model::~Model() = default;

const Design& Model::design() const { return parts_->design; }
const std::vector<Block>& Model::blocks() const { return parts_->blocks; }
const CovarianceParameters& Model::covariance() const { return parts_->covariance; }
const Coordinates& Model::coordinates() const { return *parts_->coordinates; }
const CrossProducts& Model::cross_products() const { return *parts_->A; }
const Structure& Model::structure() const { return *parts_->structure; }
const Identifiability& Model::identifiability() const { return parts_->identifiability; }
const WeightSpread& Model::weight_spread() const { return parts_->weight_spread; }
const DenseKernels& Model::kernels() const { return parts_->kernels; }
std::size_t Model::memory_limit() const { return parts_->memory_limit; }
int Model::threads() const { return parts_->threads; }
const std::vector<Index>& Model::pivot() const { return coordinates().pivot(); }
const std::vector<double>& Model::lower_bounds() const { return covariance().lower_bounds(); }
const std::vector<double>& Model::upper_bounds() const { return covariance().upper_bounds(); }
int Model::parameters() const { return covariance().size(); }
void Model::check(const std::vector<double>& theta) const { covariance().check(theta); }
const std::vector<Confounding>& Model::confounded() const { return identifiability().confounded; }
std::vector<BlockReport> Model::report() const { return structure().report(); }

// As rows of different weights speak for different theta, and as the variance of an effect that
// terms share may go to either.
bool Model::may_have_several_minima() const {
  const auto shared = [](const Confounding& one) { return one.kind == Confounding::Kind::shared; };
  return weight_spread().wide() || std::any_of(confounded().begin(), confounded().end(), shared);
}

bool Model::has_rows() const { return design().factors.front().codes != nullptr; }

void Model::require_rows() const {
  if (!has_rows())
    throw std::invalid_argument("the model was made from sums over rows, and has none itself");
}

Response Model::read(const Sums& sums) const {
  if (has_rows()) throw std::invalid_argument("the model has rows, and was not made from sums");
  if (!(Layout(sums.layout()) == Layout(design())))
    throw std::invalid_argument("the sums are not over the rows of the model");
  Response response = response_of(sums, blocks(), coordinates(), cross_products());
  require_fittable(response, coordinates());
  response.held = held(response);
  return response;
}

Response Model::read(const double* y, InterruptCheck interrupt) const {
  require_rows();
  ThreadPool pool(threads(), &interrupt);
  Response response;
  ResponseReader(design(), blocks(), coordinates(), pool).read(y, 1, &response);
  require_fittable(response, coordinates());
  response.held = held(response);
  return response;
}

std::vector<HeldParameter> Model::held(const Response& response) const {
  return held_parameters(identifiability(), design(), blocks(), coordinates(), cross_products(),
                         response);
}

}  // namespace crossnest
