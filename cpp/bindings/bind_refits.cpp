#include "crossnest/fit.hpp"
#include "py_problem.hpp"

namespace {

using crossnest::Index;
using crossnest::RefitOptions;
using crossnest::Refits;

py::dict refit_many(const PyModel& self, const py::object& Y, bool reml, const py::object& start,
                    int threads, const py::dict& control) {
  const auto responses = doubles(Y, "Y", 2);
  if (responses.shape(0) != self.model().design().n)
    throw py::value_error("Y has " + std::to_string(responses.shape(0)) + " rows for " +
                          std::to_string(self.model().design().n) + " observations");
  RefitOptions options;
  options.reml = reml;
  options.threads = threads;
  if (!start.is_none()) options.start = start.cast<std::vector<double>>();
  options.optimizer = optimizer_options(control);
  const Index count = responses.shape(1);
  const Refits refits = self.run([&, Y = responses.data()](crossnest::Evaluator& evaluator) {
    return crossnest::refit_many(evaluator, Y, count, options);
  });
  std::vector<std::uint8_t> status;
  for (const crossnest::RefitStatus one : refits.status)
    status.push_back(static_cast<std::uint8_t>(one));
  const py::ssize_t m = self.model().parameters();
  const auto rank = static_cast<py::ssize_t>(self.model().pivot().size());
  py::dict out;
  out["objective"] = array_of(refits.objective);
  out["theta"] = array_of(refits.theta, {count, m});
  out["beta"] = array_of(refits.beta, {count, rank});
  out["errors"] = array_of(refits.errors, {count, rank});
  out["sigma"] = array_of(refits.sigma);
  out["evaluations"] = array_of(refits.evaluations);
  out["status"] = array_of(status);
  return out;
}

}  // namespace

void bind_refits(py::module_& module) {
  module.def("refit_many", &refit_many, py::arg("model"), py::arg("Y"), py::arg("reml"),
             py::arg("start") = py::none(), py::arg("threads") = 0,
             py::arg("control") = py::dict());
}
