#include <crossnest/crossnest.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <vector>

namespace py = pybind11;
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

// The REML criterion of y ~ 1 + (1 | group).
double criterion(const Array<double>& y, const Array<std::int32_t>& group, std::int64_t levels) {
  const std::vector<double> X(static_cast<std::size_t>(y.size()), 1.0);
  const double* constant = nullptr;
  double value = 0.0;
  cn_design* design = nullptr;
  cn_model* model = nullptr;
  cn_response* response = nullptr;
  cn_fit* fit = nullptr;
  const bool failed = cn_design_new(y.size(), 1, X.data(), &design) != CN_OK ||
                      cn_design_add_factor(design, group.data(), levels) != CN_OK ||
                      cn_design_add_term(design, 0, 1, &constant, "unstructured") != CN_OK ||
                      cn_model_new(design, nullptr, &model) != CN_OK ||
                      cn_response_new(model, y.data(), nullptr, &response) != CN_OK ||
                      cn_fit_new(response, nullptr, nullptr, 0, &fit) != CN_OK ||
                      cn_fit_get_double(fit, "objective", &value) != CN_OK;
  cn_fit_free(fit);
  cn_response_free(response);
  cn_model_free(model);
  cn_design_free(design);
  if (failed) throw std::runtime_error(cn_last_error());
  return value;
}

PYBIND11_MODULE(_linked, module) { module.def("criterion", &criterion); }
