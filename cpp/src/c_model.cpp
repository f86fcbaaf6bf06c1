#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_handles.hpp"

using namespace crossnest::c;
using crossnest::Design;
using crossnest::Index;
using crossnest::Model;
using crossnest::Response;

int32_t cn_model_new(const cn_design* design, const cn_options* options, cn_model** model) {
  return guarded([&] {
    hand_out(
        model,
        std::make_unique<cn_model>(cn_model{std::make_shared<const Model>(
            given(design, "design").design, or_defaults(options).model, interrupt_of(options))}));
  });
}

int32_t cn_model_from_sums(const cn_sums* sums, const cn_options* options, cn_model** model) {
  return guarded([&] {
    hand_out(model,
             std::make_unique<cn_model>(cn_model{std::make_shared<const Model>(
                 given(sums, "sums").sums, or_defaults(options).model, interrupt_of(options))}));
  });
}

void cn_model_free(cn_model* model) { delete model; }

int32_t cn_model_get_int(const cn_model* model, const char* name, int64_t* value) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    const std::string what = &given(name, "name");
    int64_t& out = given(value, "value");
    if (what == "n")
      out = of.design().n;
    else if (what == "p")
      out = of.design().p;
    else if (what == "rank")
      out = static_cast<int64_t>(rank_of(of));
    else if (what == "parameters")
      out = of.parameters();
    else if (what == "terms")
      out = static_cast<int64_t>(of.design().terms.size());
    else if (what == "factors")
      out = static_cast<int64_t>(of.design().factors.size());
    else
      refuse("a model has no integer '" + what + "'");
  });
}

int32_t cn_model_term(const cn_model* model, int64_t term, int64_t* k, int64_t* J) {
  return guarded([&] {
    const Design& design = given(model, "model").model->design();
    const crossnest::Term& one = design.terms[at(in_range(term, design.terms.size(), "term"))];
    given(k, "k") = static_cast<int64_t>(one.columns.size());
    given(J, "J") = design.factors[at(one.factor)].levels;
  });
}

int32_t cn_model_pivot(const cn_model* model, int64_t* columns, int64_t length) {
  return guarded([&] {
    const std::vector<Index>& pivot = given(model, "model").model->pivot();
    check_length("columns", length, pivot.size());
    if (!pivot.empty()) std::copy(pivot.begin(), pivot.end(), &given(columns, "columns"));
  });
}

int32_t cn_model_bounds(const cn_model* model, double* lower, double* upper, int64_t length) {
  return guarded([&] {
    const Model& of = *given(model, "model").model;
    check_length("lower and upper", length, of.lower_bounds().size());
    given(lower, "lower");
    given(upper, "upper");
    std::copy(of.lower_bounds().begin(), of.lower_bounds().end(), lower);
    std::copy(of.upper_bounds().begin(), of.upper_bounds().end(), upper);
  });
}

int32_t cn_response_new(const cn_model* model, const double* y, const double* offset,
                        cn_response** response) {
  return guarded([&] {
    cn_response made;
    made.model = given(model, "model").model;
    const double* values = &given(y, "y");
    if (offset != nullptr) {
      std::vector<double> numbers = copied(y, made.model->design().n);
      for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] -= offset[i];
      made.numbers = std::make_shared<const std::vector<double>>(std::move(numbers));
      values = made.numbers->data();
    }
    made.response = std::make_shared<const Response>(made.model->read(values));
    hand_out(response, std::make_unique<cn_response>(std::move(made)));
  });
}

int32_t cn_response_from_sums(const cn_model* model, const cn_sums* sums, cn_response** response) {
  return guarded([&] {
    cn_response made;
    made.model = given(model, "model").model;
    made.response = std::make_shared<const Response>(made.model->read(given(sums, "sums").sums));
    hand_out(response, std::make_unique<cn_response>(std::move(made)));
  });
}

void cn_response_free(cn_response* response) { delete response; }

int32_t cn_evaluator_new(const cn_model* model, const cn_options* options,
                         cn_evaluator** evaluator) {
  return guarded([&] {
    const std::shared_ptr<const Model>& of = given(model, "model").model;
    hand_out(evaluator, std::make_unique<cn_evaluator>(cn_evaluator{of, evaluator_of(*of, options),
                                                                    or_defaults(options).reml}));
  });
}

void cn_evaluator_free(cn_evaluator* evaluator) { delete evaluator; }

int32_t cn_evaluator_objective(cn_evaluator* evaluator, const cn_response* response,
                               const double* theta, int64_t length, double* value,
                               double* gradient) {
  return guarded([&] {
    cn_evaluator& with = given(evaluator, "evaluator");
    const cn_response& of = given(response, "response");
    given(value, "value");
    if (of.model != with.model) refuse("the response is one to another model");
    const std::vector<double> there = copied(&given(theta, "theta"), length);
    if (gradient == nullptr) {
      *value = with.evaluator->objective(*of.response, there, with.reml);
      return;
    }
    std::vector<double> slopes;
    const double objective = with.evaluator->gradient(*of.response, there, with.reml, slopes);
    if (!std::isfinite(objective))
      std::fill(slopes.begin(), slopes.end(), std::numeric_limits<double>::quiet_NaN());
    *value = objective;
    std::copy(slopes.begin(), slopes.end(), gradient);
  });
}
