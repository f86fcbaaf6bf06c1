#include "py_problem.hpp"

namespace {

using crossnest::ProfileInterval;
using crossnest::ProfileParameter;
using crossnest::Profiler;
using crossnest::ProfileTrace;

/// A Profiler, the problem it looks into and an evaluator of its own. Refuses two threads at once.
struct PyProfiler {
  std::shared_ptr<const PyProblem> problem;
  std::unique_ptr<crossnest::Evaluator> evaluator;
  std::unique_ptr<Profiler> profiler;
  bool busy = false;  // read and set by threads that have the GIL

  explicit PyProfiler(std::shared_ptr<PyProblem> of) : problem(std::move(of)) {
    const py::gil_scoped_release release;
    evaluator = std::make_unique<crossnest::Evaluator>(problem->model(),
                                                       crossnest::InterruptCheck(&interrupted));
    profiler = std::make_unique<Profiler>(*evaluator, problem->response());
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

// Runs work() without the GIL.
template <class Work>
auto run(PyProfiler& self, Work&& work) {
  if (self.busy) throw std::runtime_error("another thread uses this profiler");
  struct Turn {
    explicit Turn(bool& of) : busy(of) { busy = true; }
    ~Turn() { busy = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    bool& busy;
  } const turn(self.busy);
  const py::gil_scoped_release release;
  return work();
}

// (kind, term, index) of each parameter.
py::list parameters(const PyProfiler& self) {
  py::list list;
  for (const ProfileParameter& parameter : self.profiler->parameters())
    list.append(py::make_tuple(name_of(parameter.kind), parameter.term, parameter.index));
  return list;
}

// zeta (points) and all parameters (points x parameters).
py::tuple trace(PyProfiler& self, int parameter, double cutoff) {
  const ProfileTrace trace = run(self, [&] { return self.profiler->trace(parameter, cutoff); });
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

py::tuple interval(PyProfiler& self, int parameter, double cutoff) {
  const ProfileInterval interval =
      run(self, [&] { return self.profiler->interval(parameter, cutoff); });
  return py::make_tuple(interval.lower, interval.upper, interval.lower_note, interval.upper_note);
}

}  // namespace

void bind_profile(py::module_& module) {
  py::class_<PyProfiler>(module, "Profiler")
      .def(py::init<std::shared_ptr<PyProblem>>(), py::arg("problem").none(false))
      .def_property_readonly("parameters", &parameters)
      .def_property_readonly("deviance",
                             [](const PyProfiler& self) { return self.profiler->deviance(); })
      .def_property_readonly(
          "estimates", [](const PyProfiler& self) { return array_of(self.profiler->estimates()); })
      .def("trace", &trace, py::arg("parameter"), py::arg("cutoff"))
      .def("interval", &interval, py::arg("parameter"), py::arg("cutoff"));
}
