#include <cmath>
#include <cstdio>
#include <string>

#include "c_handles.hpp"
#include "crossnest/version.hpp"

using namespace crossnest::c;

namespace {

// Of fixed length, so that an error of a thread that is out of memory needs none.
thread_local char last_error[1024] = "";

}  // namespace

namespace crossnest::c {

int32_t failed(int32_t code, const char* message) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", message);
  return code;
}

const cn_options& or_defaults(const cn_options* options) {
  static const cn_options defaults;
  return options != nullptr ? *options : defaults;
}

InterruptCheck interrupt_of(const cn_options* options) {
  const volatile int* cancel = or_defaults(options).cancel;
  if (cancel == nullptr) return InterruptCheck();
  return InterruptCheck([cancel] { return *cancel != 0; });
}

std::unique_ptr<Evaluator> evaluator_of(const Model& model, const cn_options* options) {
  return std::make_unique<Evaluator>(model, interrupt_of(options),
                                     or_defaults(options).model.threads);
}

}  // namespace crossnest::c

int32_t cn_abi_version(void) { return 1; }
const char* cn_version(void) { return crossnest::version(); }
const char* cn_last_error(void) { return last_error; }

int32_t cn_options_new(cn_options** options) {
  return guarded([&] { hand_out(options, std::make_unique<cn_options>()); });
}

void cn_options_free(cn_options* options) { delete options; }

int32_t cn_options_set_int(cn_options* options, const char* name, int64_t value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name");
    if (option == "threads") {
      to.model.threads = as_int(value, name, 0);
    } else if (option == "memory_limit") {
      if (value < 0) refuse("memory_limit must not be negative");
      to.model.memory_limit = at(value);
    } else if (option == "reml") {
      to.reml = as_int(value, name, 0) != 0;
    } else if (option == "max_evaluations") {
      to.optimizer.max_evaluations = as_int(value, name, 1);
    } else {
      refuse("there is no option '" + option + "' with an integer value");
    }
  });
}

int32_t cn_options_set_double(cn_options* options, const char* name, double value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name");
    if (option != "tolerance") refuse("there is no option '" + option + "' with a real value");
    if (!(value > 0.0 && std::isfinite(value))) refuse("tolerance must be positive");
    to.optimizer.tolerance = value;
  });
}

int32_t cn_options_set_string(cn_options* options, const char* name, const char* value) {
  return guarded([&] {
    cn_options& to = given(options, "options");
    const std::string option = &given(name, "name"), kind = &given(value, "value");
    if (option != "tail") refuse("there is no option '" + option + "' with a string value");
    if (kind == "automatic")
      to.model.tail = crossnest::TailKind::automatic;
    else if (kind == "dense")
      to.model.tail = crossnest::TailKind::dense;
    else if (kind == "sparse")
      to.model.tail = crossnest::TailKind::sparse;
    else
      refuse("tail must be 'automatic', 'dense' or 'sparse', not '" + kind + "'");
  });
}

int32_t cn_options_set_cancel(cn_options* options, const volatile int* flag) {
  return guarded([&] { given(options, "options").cancel = flag; });
}

int32_t cn_options_set_progress(cn_options* options, cn_progress progress, void* user) {
  return guarded([&] { given(options, "options").progress = {progress, user}; });
}
