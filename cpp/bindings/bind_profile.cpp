#include "py_problem.hpp"

namespace {

using crossnest::Problem;
using crossnest::ProfileInterval;
using crossnest::ProfileParameter;
using crossnest::Profiler;
using crossnest::ProfileTrace;

/// A Profiler and the problem it looks into.
struct PyProfiler {
  std::shared_ptr<PyProblem> problem;
  std::unique_ptr<Profiler> profiler;

  explicit PyProfiler(std::shared_ptr<PyProblem> of) : problem(std::move(of)) {
    problem->run([&](Problem& inner) { profiler = std::make_unique<Profiler>(inner.profiler()); });
  }
};

const char* name_of(ProfileParameter::Kind kind) {
  switch (kind) {
    case ProfileParameter::Kind::sd:
      return "sd";
    case ProfileParameter::Kind::correlation:
      return "correlation";
    case ProfileParameter::Kind::sigma:
      return "sigma";
    default:
      return "fixed";
  }
}

// (kind, term, first, second) of each parameter.
py::list parameters(const PyProfiler& self) {
  py::list list;
  for (const ProfileParameter& parameter : self.profiler->parameters())
    list.append(
        py::make_tuple(name_of(parameter.kind), parameter.term, parameter.first, parameter.second));
  return list;
}

// zeta (points) and all parameters (points x parameters).
py::tuple trace(const PyProfiler& self, int parameter, double cutoff) {
  const ProfileTrace trace =
      self.problem->run([&](Problem&) { return self.profiler->trace(parameter, cutoff); });
  const auto count = static_cast<py::ssize_t>(trace.points.size());
  const auto width = static_cast<py::ssize_t>(self.profiler->estimates().size());
  py::array_t<double> zeta(count), values({count, width});
  for (py::ssize_t i = 0; i < count; ++i) {
    const auto& point = trace.points[static_cast<std::size_t>(i)];
    zeta.mutable_at(i) = point.zeta;
    std::copy(point.parameters.begin(), point.parameters.end(), values.mutable_data(i, 0));
  }
  return py::make_tuple(zeta, values, trace.lower_note, trace.upper_note);
}

py::tuple interval(const PyProfiler& self, int parameter, double cutoff) {
  const ProfileInterval interval =
      self.problem->run([&](Problem&) { return self.profiler->interval(parameter, cutoff); });
  return py::make_tuple(interval.lower, interval.upper, interval.lower_note, interval.upper_note);
}

}  // namespace

void bind_profile(py::module_& module) {
  py::class_<PyProfiler>(module, "Profiler")
      .def(py::init<std::shared_ptr<PyProblem>>(), py::arg("problem").none(false))
      .def_property_readonly("parameters", &parameters)
      .def_property_readonly(
          "deviance",
          [](const PyProfiler& self) {
            return self.problem->run([&](Problem&) { return self.profiler->deviance(); });
          })
      .def_property_readonly("estimates",
                             [](const PyProfiler& self) {
                               // A trace in another thread may replace them.
                               return array_of(self.problem->run(
                                   [&](Problem&) { return self.profiler->estimates(); }));
                             })
      .def("trace", &trace, py::arg("parameter"), py::arg("cutoff"))
      .def("interval", &interval, py::arg("parameter"), py::arg("cutoff"));
}
