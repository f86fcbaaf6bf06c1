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

}  // namespace

void bind_information(py::class_<PyProblem, std::shared_ptr<PyProblem>>& problem) {
  problem.def("information", &information, py::arg("theta"), py::arg("reml"))
      .def("curvature", &curvature, py::arg("theta"), py::arg("reml"), py::arg("hessian") = "auto");
}
