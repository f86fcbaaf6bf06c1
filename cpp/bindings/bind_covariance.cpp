#include "crossnest/covariance.hpp"
#include "py_problem.hpp"

namespace {

using crossnest::CovarianceLabel;
using crossnest::CovarianceStructure;

// (kind, row, column) of each number; None for an effect that is all effects.
py::list labels(const std::vector<CovarianceLabel>& all) {
  const auto effect = [](int index) -> py::object {
    if (index == CovarianceLabel::kAll) return py::none();
    return py::int_(index);
  };
  const auto name = [](CovarianceLabel::Kind kind) {
    if (kind == CovarianceLabel::Kind::entry) return "entry";
    return kind == CovarianceLabel::Kind::sd ? "sd" : "correlation";
  };
  py::list list;
  for (const CovarianceLabel& label : all)
    list.append(py::make_tuple(name(label.kind), effect(label.row), effect(label.column)));
  return list;
}

py::array_t<double> bounds(const CovarianceStructure& self, bool lower) {
  std::vector<double> values(static_cast<std::size_t>(self.parameters()));
  if (lower)
    self.lower_bounds(values.data());
  else
    self.upper_bounds(values.data());
  return array_of(values);
}

void check_parameters(const CovarianceStructure& self, py::ssize_t given) {
  if (given != self.parameters())
    throw py::value_error("theta has " + std::to_string(given) +
                          " values where the structure has " + std::to_string(self.parameters()) +
                          " parameters");
}

py::array_t<double> factor(const CovarianceStructure& self, const Numbers& theta) {
  check_parameters(self, theta.size());
  const py::ssize_t k = self.size();
  py::array_t<double, py::array::f_style> lambda({k, k});
  self.lambda(theta.data(), lambda.mutable_data());
  return py::array_t<double, py::array::c_style>::ensure(lambda);
}

// Of many theta, one in each row.
py::array_t<double> component_values(const CovarianceStructure& self, const Numbers& theta) {
  if (theta.ndim() != 2) throw py::value_error("theta must have 2 dimensions");
  check_parameters(self, theta.shape(1));
  const auto count = static_cast<py::ssize_t>(self.components().size());
  py::array_t<double> values({theta.shape(0), count});
  for (py::ssize_t i = 0; i < theta.shape(0); ++i)
    self.component_values(theta.data() + i * theta.shape(1), values.mutable_data() + i * count);
  return values;
}

py::list structures() {
  py::list list;
  for (const crossnest::CovarianceStructureName& one : crossnest::covariance_structures())
    list.append(py::make_tuple(one.name, one.word, one.homogeneous, one.preferred));
  return list;
}

}  // namespace

void bind_covariance(py::module_& module) {
  py::class_<CovarianceStructure>(module, "CovarianceStructure")
      .def(py::init(&crossnest::make_covariance_structure), py::arg("name"), py::arg("size"))
      .def_property_readonly("n_theta", &CovarianceStructure::parameters)
      .def_property_readonly("lower_bounds",
                             [](const CovarianceStructure& self) { return bounds(self, true); })
      .def_property_readonly("upper_bounds",
                             [](const CovarianceStructure& self) { return bounds(self, false); })
      .def_property_readonly("linear", &CovarianceStructure::linear)
      .def_property_readonly("labels",
                             [](const CovarianceStructure& self) { return labels(self.labels()); })
      .def_property_readonly(
          "components", [](const CovarianceStructure& self) { return labels(self.components()); })
      .def("factor", &factor, py::arg("theta"))
      .def("component_values", &component_values, py::arg("theta"));
  module.def("covariance_structures", &structures);
}
