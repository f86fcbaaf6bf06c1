#include "crossnest/version.hpp"
#include "pybind11.hpp"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The C++ engine of crossnest.";
  module.attr("__version__") = crossnest::version();
  bind_errors(module);
  bind_kernels(module);
  bind_fit(module);
  bind_covariance(module);
  bind_problem(module);
  bind_profile(module);
  bind_refits(module);
}
