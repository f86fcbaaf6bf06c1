#include <algorithm>
#include <vector>

#include "c_handles.hpp"
#include "profile_parameters.hpp"

using namespace crossnest::c;
using crossnest::Evaluator;
using crossnest::Index;
using crossnest::Model;

int32_t cn_profile_length(const cn_response* response, int64_t* parameters) {
  return guarded([&] {
    const Model& model = *given(response, "response").model;
    const auto rank = static_cast<Index>(rank_of(model));
    given(parameters, "parameters") =
        static_cast<int64_t>(crossnest::profile_parameters(model.covariance(), rank).size());
  });
}

int32_t cn_profile_intervals(const cn_response* response, const cn_options* options, double cutoff,
                             double* lower, double* upper, int64_t length) {
  return guarded([&] {
    const cn_response& of = given(response, "response");
    given(lower, "lower");
    given(upper, "upper");
    const cn_progress_report& progress = or_defaults(options).progress;
    const auto evaluator = evaluator_of(*of.model, options);
    crossnest::Profiler profiler(*evaluator, *of.response, or_defaults(options).optimizer);
    check_length("lower and upper", length, profiler.parameters().size());
    std::vector<crossnest::ProfileInterval> ends;
    for (int j = 0; j < static_cast<int>(length); ++j) {
      ends.push_back(profiler.interval(j, cutoff));
      if (progress.function != nullptr) progress(j + 1, length);
    }
    for (std::size_t j = 0; j < ends.size(); ++j) {
      lower[j] = ends[j].lower;
      upper[j] = ends[j].upper;
    }
  });
}

int32_t cn_refit_many(const cn_model* model, const cn_options* options, const double* Y,
                      int64_t count, double* objective, double* sigma, double* theta, double* beta,
                      double* errors, int32_t* status) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    if (count < 0) refuse("count must not be negative");
    crossnest::RefitOptions refit;
    refit.reml = or_defaults(options).reml;
    refit.threads = or_defaults(options).model.threads;
    refit.optimizer = or_defaults(options).optimizer;
    const cn_progress_report& progress = or_defaults(options).progress;
    if (progress.function != nullptr) refit.progress = progress;
    Evaluator evaluator(of, interrupt_of(options), 1);
    const crossnest::Refits found = crossnest::refit_many(evaluator, &given(Y, "Y"), count, refit);
    const auto copy = [](const std::vector<double>& from, double* to) {
      if (to != nullptr) std::copy(from.begin(), from.end(), to);
    };
    copy(found.objective, objective);
    copy(found.sigma, sigma);
    copy(found.theta, theta);
    copy(found.beta, beta);
    copy(found.errors, errors);
    for (std::size_t r = 0; status != nullptr && r < found.status.size(); ++r)
      status[r] = static_cast<int32_t>(found.status[r]);
  });
}
