#include "crossnest/kenward_roger.hpp"
#include "py_problem.hpp"

namespace {

using crossnest::Curvature;
using crossnest::Evaluator;
using crossnest::HessianKind;
using crossnest::Information;
using crossnest::Response;

HessianKind hessian_kind(const std::string& name) {
  if (name == "auto") return HessianKind::automatic;
  if (name == "exact") return HessianKind::exact;
  if (name == "differences") return HessianKind::differences;
  throw py::value_error("hessian must be 'auto', 'exact' or 'differences', not '" + name + "'");
}

// The matrices of all results are symmetric, so row-major and column-major are the same.
py::dict information(const PyProblem& self, const Numbers& theta, bool reml) {
  const Information found =
      self.run([&, theta = numbers(theta)](Evaluator& evaluator, const Response& response) {
        return evaluator.information(response, theta, reml);
      });
  const py::ssize_t m = found.parameters, p = found.rank;
  py::dict out;
  out["first"] = array_of(found.first, {m, p, p});
  // By s, r, column, row; transposing P_r .. P_s gives that of s and r.
  out["second"] = array_of(found.second, {m, m, p, p});
  out["traces"] = array_of(found.traces, {m, m});
  out["quadratics"] = array_of(found.quadratics, {m, m});
  return out;
}

py::dict curvature(const PyProblem& self, const Numbers& theta, bool reml,
                   const std::string& hessian) {
  const HessianKind kind = hessian_kind(hessian);
  const Curvature found =
      self.run([&, theta = numbers(theta)](Evaluator& evaluator, const Response& response) {
        return evaluator.curvature(response, theta, reml, kind);
      });
  const py::ssize_t m = found.parameters, p = found.rank;
  py::dict out;
  out["hessian"] = array_of(found.hessian, {m, m});
  out["jacobian"] = array_of(found.jacobian, {m, p, p});
  out["exact"] = found.exact;
  return out;
}

// Of the pieces that information() gives.
py::dict kenward_roger(const Numbers& first, const Numbers& second, const Numbers& traces,
                       const Numbers& quadratics, bool observed) {
  if (first.ndim() != 3) throw py::value_error("first must have 3 dimensions");
  const py::ssize_t m = first.shape(0), p = first.shape(1);
  if (first.size() != m * p * p || second.size() != m * m * p * p || traces.size() != m * m ||
      quadratics.size() != m * m)
    throw py::value_error("the pieces of the information do not fit together");
  const Information pieces{static_cast<int>(m), static_cast<int>(p), numbers(first),
                           numbers(second),     numbers(traces),     numbers(quadratics)};
  const crossnest::KenwardRoger found = crossnest::kenward_roger(pieces, observed);
  py::dict out;
  out["varpar_vcov"] = array_of(found.varpar_vcov, {m, m});
  out["adjusted"] = array_of(found.adjusted, {p, p});
  return out;
}

}  // namespace

void bind_information(py::module_& module,
                      py::class_<PyProblem, std::shared_ptr<PyProblem>>& problem) {
  module.def("kenward_roger", &kenward_roger, py::arg("first"), py::arg("second"),
             py::arg("traces"), py::arg("quadratics"), py::arg("observed"));
  problem.def("information", &information, py::arg("theta"), py::arg("reml"))
      .def("curvature", &curvature, py::arg("theta"), py::arg("reml"), py::arg("hessian") = "auto");
}
