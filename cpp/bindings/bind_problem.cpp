#include <limits>

#include "py_problem.hpp"

py::array_t<double> doubles(const py::handle& object, const std::string& name,
                            py::ssize_t dimensions) {
  if (!py::isinstance<py::array_t<double>>(object))
    throw py::type_error(name + " must be a float64 array");
  auto array = py::reinterpret_borrow<py::array_t<double>>(object);
  if (array.ndim() != dimensions)
    throw py::value_error(name + " must have " + std::to_string(dimensions) + " dimension(s)");
  if ((array.flags() & py::array::f_style) == 0 ||
      (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0)
    throw py::type_error(name + " must be contiguous (column-major where it is a matrix)");
  return array;
}

bool interrupted() {
  const py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

crossnest::OptimizerOptions optimizer_options(const py::dict& control) {
  crossnest::OptimizerOptions options;
  for (const auto& item : control) {
    const auto name = item.first.cast<std::string>();
    if (name == "tolerance")
      options.tolerance = item.second.cast<double>();
    else if (name == "max_evaluations")
      options.max_evaluations = item.second.cast<int>();
    else
      throw py::value_error("unknown option of the optimizer: " + name);
  }
  return options;
}

namespace {

using crossnest::Fit;
using crossnest::Index;
using crossnest::Problem;

py::array_t<double> vector_of(const py::handle& object, const std::string& name, Index n) {
  auto array = doubles(object, name, 1);
  if (array.shape(0) != n)
    throw py::value_error(name + " has " + std::to_string(array.shape(0)) + " values for " +
                          std::to_string(n) + " observations");
  return array;
}

crossnest::TailKind tail_kind(const std::string& name) {
  if (name == "auto") return crossnest::TailKind::automatic;
  if (name == "dense") return crossnest::TailKind::dense;
  if (name == "sparse") return crossnest::TailKind::sparse;
  throw py::value_error("tail must be 'auto', 'dense' or 'sparse', not '" + name + "'");
}

}  // namespace

PyProblem::PyProblem(const py::object& X, const py::object& y, const py::object& weights,
                     const py::list& factors, const py::list& terms, int threads,
                     std::size_t memory_limit, const std::string& tail)
    : kernels_(current_kernels()) {
  crossnest::Design design;
  const auto matrix = doubles(X, "X", 2);
  design.n = matrix.shape(0);
  design.p = matrix.shape(1);
  design.X = keep(matrix);
  design.y = keep(vector_of(y, "y", design.n));
  if (!weights.is_none()) design.weights = keep(vector_of(weights, "weights", design.n));
  for (const auto& item : factors)
    design.factors.push_back(factor(item.cast<py::tuple>(), design.n));
  for (const auto& item : terms) design.terms.push_back(term(item.cast<py::tuple>(), design.n));
  options_.threads = threads;
  options_.memory_limit = memory_limit;
  options_.tail = tail_kind(tail);
  options_.kernels = &kernels_;
  const py::gil_scoped_release release;
  problem_ = std::make_unique<Problem>(std::move(design), options_,
                                       crossnest::InterruptCheck(&interrupted));
}

// In a child process made by fork() nobody will open a lock that another thread of the parent held,
// nor finish what that thread had begun: both are left as they are, and made anew. The GIL keeps
// this to one thread.
void PyProblem::claim_after_fork() {
  if (process_ == crossnest::process_id()) return;
  static_cast<void>(mutex_.release());
  mutex_ = std::make_unique<std::mutex>();
  if (in_use_) {
    crossnest::Design design = problem_->design();
    static_cast<void>(problem_.release());
    problem_ = std::make_unique<Problem>(std::move(design), options_,
                                         crossnest::InterruptCheck(&interrupted));
    in_use_ = false;
  }
  process_ = crossnest::process_id();
}

void PyProblem::set_response(const py::object& y) {
  const auto array = vector_of(y, "y", problem_->design().n);
  run([&](Problem& problem) {
    problem.set_response(array.data());
    const py::gil_scoped_acquire gil;
    response_ = array;  // the one before is no longer looked at
  });
}

const double* PyProblem::keep(const py::array_t<double>& array) {
  kept_.append(array);
  return array.data();
}

crossnest::GroupingFactor PyProblem::factor(const py::tuple& item, Index n) {
  if (!py::isinstance<py::array_t<crossnest::Level>>(item[0]))
    throw py::type_error("codes of a grouping factor must be an int32 array");
  const auto codes = py::reinterpret_borrow<py::array_t<crossnest::Level>>(item[0]);
  if (codes.ndim() != 1 || codes.shape(0) != n || (codes.flags() & py::array::c_style) == 0)
    throw py::value_error(
        "codes of a grouping factor must be contiguous, one for each observation");
  kept_.append(codes);
  return {codes.data(), item[1].cast<Index>()};
}

crossnest::Term PyProblem::term(const py::tuple& item, Index n) {
  crossnest::Term term;
  term.factor = item[0].cast<int>();
  for (const auto& column : item[1].cast<py::list>())
    term.columns.push_back(column.is_none() ? nullptr
                                            : keep(vector_of(column, "a column of Z", n)));
  term.structure = item[2].cast<std::string>();
  return term;
}

namespace {

py::tuple gradient(PyProblem& self, const Numbers& theta, bool reml) {
  std::vector<double> gradient(static_cast<std::size_t>(theta.size()),
                               std::numeric_limits<double>::quiet_NaN());
  const double value = self.run([&, theta = numbers(theta)](Problem& problem) {
    return problem.gradient(theta, reml, gradient);
  });
  return py::make_tuple(value, array_of(gradient));
}

PyFit fit(const std::shared_ptr<PyProblem>& self, bool reml, const py::object& start,
          const py::dict& control) {
  const auto from = start.is_none() ? std::vector<double>() : numbers(start.cast<Numbers>());
  const auto options = optimizer_options(control);
  return {self->run([&](Problem& problem) { return problem.fit(reml, from, options); }), self};
}

PyFit estimates(const std::shared_ptr<PyProblem>& self, const Numbers& theta, bool reml) {
  Fit fit;
  fit.start = numbers(theta);
  fit.evaluations = 1;
  fit.converged = true;
  fit.message = "theta as given";
  fit.confounded = self->problem().identifiability().confounded;
  fit.estimates = self->run([&](Problem& problem) { return problem.estimates(fit.start, reml); });
  return {std::move(fit), self};
}

py::list structure(const PyProblem& self) {
  py::list lines;
  for (const crossnest::BlockReport& line : self.problem().structure().report()) {
    py::dict entry;
    py::list factors;
    for (const int block : line.blocks)
      factors.append(self.problem().blocks()[static_cast<std::size_t>(block)].factor);
    entry["factors"] = factors;
    entry["kind"] = line.kind;
    entry["size"] = line.size;
    entry["block"] = line.k;
    entry["nonzeros"] = line.nonzeros;
    entry["bytes"] = line.bytes;
    lines.append(entry);
  }
  return lines;
}

}  // namespace

void bind_problem(py::module_& module) {
  py::class_<PyProblem, std::shared_ptr<PyProblem>> problem(module, "Problem");
  problem
      .def(py::init<const py::object&, const py::object&, const py::object&, const py::list&,
                    const py::list&, int, std::size_t, const std::string&>(),
           py::arg("X"), py::arg("y"), py::arg("weights"), py::arg("factors"), py::arg("terms"),
           py::arg("threads") = 0, py::arg("memory_limit") = 0, py::arg("tail") = "auto")
      .def_property_readonly("n", [](const PyProblem& self) { return self.problem().design().n; })
      .def_property_readonly("p", [](const PyProblem& self) { return self.problem().design().p; })
      .def_property_readonly("rank",
                             [](const PyProblem& self) { return self.problem().pivot().size(); })
      .def_property_readonly("pivot",
                             [](const PyProblem& self) { return array_of(self.problem().pivot()); })
      .def_property_readonly(
          "n_theta", [](const PyProblem& self) { return self.problem().criterion().parameters(); })
      .def_property_readonly(
          "lower_bounds",
          [](const PyProblem& self) { return array_of(self.problem().criterion().lower_bounds()); })
      .def_property_readonly("structure", &structure)
      .def(
          "objective",
          [](PyProblem& self, const Numbers& theta, bool reml) {
            return self.run([&, theta = numbers(theta)](Problem& inner) {
              return inner.objective(theta, reml);
            });
          },
          py::arg("theta"), py::arg("reml"))
      .def("gradient", &gradient, py::arg("theta"), py::arg("reml"))
      .def("fit", &fit, py::arg("reml"), py::arg("start") = py::none(),
           py::arg("control") = py::dict())
      .def("estimates", &estimates, py::arg("theta"), py::arg("reml"))
      .def("set_response", &PyProblem::set_response, py::arg("y"));
  bind_information(problem);
}
