// A model, a response and a fit by the C interface, in handles that free themselves.
#pragma once

#include <crossnest/crossnest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "designs.hpp"

namespace fitted {

using designs::Data;

// Handles that free themselves.
template <class T, void (*free)(T*)>
struct Handle {
  T* pointer = nullptr;
  Handle() = default;
  Handle(Handle&& other) noexcept : pointer(std::exchange(other.pointer, nullptr)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { free(pointer); }
  operator T*() const { return pointer; }
  T** place() { return &pointer; }
};
using Options = Handle<cn_options, cn_options_free>;
using CDesign = Handle<cn_design, cn_design_free>;
using CModel = Handle<cn_model, cn_model_free>;
using CResponse = Handle<cn_response, cn_response_free>;
using CFit = Handle<cn_fit, cn_fit_free>;
using CSums = Handle<cn_sums, cn_sums_free>;
using CEvaluator = Handle<cn_evaluator, cn_evaluator_free>;
using CLevels = Handle<cn_levels, cn_levels_free>;

inline CDesign c_design(const designs::View& view) {
  CDesign design;
  CHECK(cn_design_new(view.n, view.p, view.X, design.place()) == CN_OK);
  if (view.weights != nullptr) CHECK(cn_design_set_weights(design, view.weights) == CN_OK);
  for (const auto& factor : view.factors)
    CHECK(cn_design_add_factor(design, factor.codes, factor.levels) == CN_OK);
  for (const auto& term : view.terms)
    CHECK(cn_design_add_term(design, term.factor, static_cast<int64_t>(term.columns.size()),
                             term.columns.data(), term.covariance.c_str()) == CN_OK);
  return design;
}

// A model, a response and a fit in C.
struct Fitted {
  CDesign design;
  CModel model;
  CResponse response;
  CFit fit;

  explicit Fitted(const Data& data, const cn_options* options = nullptr)
      : design(c_design(data.design())) {
    CHECK(cn_model_new(design, options, model.place()) == CN_OK);
    CHECK(cn_response_new(model, data.y.data(), nullptr, response.place()) == CN_OK);
    CHECK(cn_fit_new(response, options, nullptr, 0, fit.place()) == CN_OK);
  }

  std::vector<double> array(const char* name) const {
    int64_t length = -1;
    CHECK(cn_fit_length(fit, name, &length) == CN_OK);
    std::vector<double> out(static_cast<std::size_t>(length));
    CHECK(cn_fit_get_array(fit, name, out.data(), length) == CN_OK);
    return out;
  }
  double number(const char* name) const {
    double value = 0.0;
    CHECK(cn_fit_get_double(fit, name, &value) == CN_OK);
    return value;
  }
  int64_t integer(const char* name) const {
    int64_t value = 0;
    CHECK(cn_fit_get_int(fit, name, &value) == CN_OK);
    return value;
  }
};

inline bool says(const char* part) {
  return std::string(cn_last_error()).find(part) != std::string::npos;
}

}  // namespace fitted
