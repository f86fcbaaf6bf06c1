// What the handles of the C interface hold.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "c_guard.hpp"
#include "crossnest/crossnest.h"
#include "crossnest/fit.hpp"
#include "crossnest/kenward_roger.hpp"
#include "crossnest/sums.hpp"

/// What is told how far a long call has come.
struct cn_progress_report {
  cn_progress function = nullptr;
  void* user = nullptr;

  void operator()(std::int64_t done, std::int64_t total) const { function(user, done, total); }
};

struct cn_options {
  crossnest::ModelOptions model;
  crossnest::OptimizerOptions optimizer;
  bool reml = true;
  const volatile int* cancel = nullptr;
  cn_progress_report progress;
};

struct cn_design {
  crossnest::Design design;
};

struct cn_sums {
  crossnest::Sums sums;
};

struct cn_model {
  std::shared_ptr<const crossnest::Model> model;
};

/// A response, the numbers it looks at where they are not the caller's, and its model.
struct cn_response {
  std::shared_ptr<const crossnest::Model> model;
  std::shared_ptr<const std::vector<double>> numbers;
  std::shared_ptr<const crossnest::Response> response;
};

/// An evaluator, its model, and the criterion it is asked for.
struct cn_evaluator {
  std::shared_ptr<const crossnest::Model> model;
  std::unique_ptr<crossnest::Evaluator> evaluator;
  bool reml;
};

/// What Kenward and Roger's method needs.
struct KenwardRogerPieces {
  crossnest::Information information;
  crossnest::KenwardRoger matrices;
};

/// A fit and what is needed to compute what follows from it.
struct cn_fit {
  cn_response of;
  std::unique_ptr<crossnest::Evaluator> evaluator;
  crossnest::Fit fit;
  // Made when first asked for.
  std::optional<crossnest::Curvature> curvature;
  std::optional<KenwardRogerPieces> kenward_roger;

  const crossnest::Estimates& estimates() const { return fit.estimates; }
  const crossnest::Response& response() const { return *of.response; }
};

namespace crossnest::c {

const cn_options& or_defaults(const cn_options* options);
/// Asks the cancel flag of the options.
InterruptCheck interrupt_of(const cn_options* options);
std::unique_ptr<Evaluator> evaluator_of(const Model& model, const cn_options* options);
inline std::size_t rank_of(const Model& model) { return model.pivot().size(); }

}  // namespace crossnest::c
