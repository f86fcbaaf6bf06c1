#include "crossnest/refits.hpp"
#include "py_problem.hpp"

namespace {

using crossnest::Index;
using crossnest::RefitOptions;
using crossnest::Refits;

// A (count, width) array of numbers that lie one response after the other.
template <class Number>
py::array rows(const std::vector<Number>& values, Index count) {
  const auto width = count > 0 ? static_cast<py::ssize_t>(values.size()) / count : 0;
  return py::array_t<Number>({static_cast<py::ssize_t>(count), width}, values.data());
}

template <class Number>
py::array vector(const std::vector<Number>& values) {
  return py::array_t<Number>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::dict refit_many(PyProblem& self, const py::object& Y, bool reml, const py::object& start,
                    int threads, const py::dict& control) {
  const auto responses = doubles(Y, "Y", 2);
  if (responses.shape(0) != self.problem().design().n)
    throw py::value_error("Y has " + std::to_string(responses.shape(0)) + " rows for " +
                          std::to_string(self.problem().design().n) + " observations");
  RefitOptions options;
  options.reml = reml;
  options.threads = threads;
  if (!start.is_none()) options.start = start.cast<std::vector<double>>();
  options.optimizer = optimizer_options(control);
  const Index count = responses.shape(1);
  const Refits refits = self.run([&, Y = responses.data()](const crossnest::Problem& problem) {
    crossnest::InterruptCheck interrupt(&interrupted);
    return crossnest::refit_many(problem, Y, count, options, interrupt);
  });
  std::vector<std::uint8_t> status;
  for (const crossnest::RefitStatus one : refits.status)
    status.push_back(static_cast<std::uint8_t>(one));
  py::dict out;
  out["objective"] = vector(refits.objective);
  out["theta"] = rows(refits.theta, count);
  out["beta"] = rows(refits.beta, count);
  out["errors"] = rows(refits.errors, count);
  out["sigma"] = vector(refits.sigma);
  out["evaluations"] = vector(refits.evaluations);
  out["status"] = vector(status);
  return out;
}

}  // namespace

void bind_refits(py::module_& module) {
  module.def("refit_many", &refit_many, py::arg("problem"), py::arg("Y"), py::arg("reml"),
             py::arg("start") = py::none(), py::arg("threads") = 0,
             py::arg("control") = py::dict());
}
