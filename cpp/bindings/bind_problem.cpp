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

using crossnest::Evaluator;
using crossnest::Fit;
using crossnest::Index;
using crossnest::Model;
using crossnest::Response;

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

PyModel::PyModel(const py::object& X, const py::object& weights, const py::list& factors,
                 const py::list& terms, int threads, std::size_t memory_limit,
                 const std::string& tail)
    : kernels_(current_kernels()) {
  crossnest::Design design;
  const auto matrix = doubles(X, "X", 2);
  design.n = matrix.shape(0);
  design.p = matrix.shape(1);
  design.X = keep(matrix);
  if (!weights.is_none()) design.weights = keep(vector_of(weights, "weights", design.n));
  for (const auto& item : factors)
    design.factors.push_back(factor(item.cast<py::tuple>(), design.n));
  for (const auto& item : terms) design.terms.push_back(term(item.cast<py::tuple>(), design.n));
  crossnest::ModelOptions options;
  options.threads = threads;
  options.memory_limit = memory_limit;
  options.tail = tail_kind(tail);
  options.kernels = &kernels_;
  const py::gil_scoped_release release;
  model_ =
      std::make_unique<Model>(std::move(design), options, crossnest::InterruptCheck(&interrupted));
}

std::unique_ptr<crossnest::Evaluator> PyModel::take() const {
  if (idle_.empty()) {
    const py::gil_scoped_release release;
    return std::make_unique<crossnest::Evaluator>(*model_, crossnest::InterruptCheck(&interrupted));
  }
  auto evaluator = std::move(idle_.back());
  idle_.pop_back();
  return evaluator;
}

PyProblem::PyProblem(std::shared_ptr<PyModel> model, const py::object& y)
    : model_(std::move(model)), y_(vector_of(y, "y", model_->model().design().n)) {
  const auto* values = y_.cast<py::array_t<double>>().data();
  const py::gil_scoped_release release;
  response_ = model_->model().read(values, crossnest::InterruptCheck(&interrupted));
}

const double* PyModel::keep(const py::array_t<double>& array) {
  kept_.append(array);
  return array.data();
}

crossnest::GroupingFactor PyModel::factor(const py::tuple& item, Index n) {
  if (!py::isinstance<py::array_t<crossnest::Level>>(item[0]))
    throw py::type_error("codes of a grouping factor must be an int32 array");
  const auto codes = py::reinterpret_borrow<py::array_t<crossnest::Level>>(item[0]);
  if (codes.ndim() != 1 || codes.shape(0) != n || (codes.flags() & py::array::c_style) == 0)
    throw py::value_error(
        "codes of a grouping factor must be contiguous, one for each observation");
  kept_.append(codes);
  return {codes.data(), item[1].cast<Index>()};
}

crossnest::Term PyModel::term(const py::tuple& item, Index n) {
  crossnest::Term term;
  term.factor = item[0].cast<int>();
  for (const auto& column : item[1].cast<py::list>())
    term.columns.push_back(column.is_none() ? nullptr
                                            : keep(vector_of(column, "a column of Z", n)));
  term.covariance = item[2].cast<std::string>();
  return term;
}

namespace {

double objective(const PyProblem& self, const Numbers& theta, bool reml) {
  return self.run([&, theta = numbers(theta)](Evaluator& evaluator, const Response& response) {
    return evaluator.objective(response, theta, reml);
  });
}

py::tuple gradient(const PyProblem& self, const Numbers& theta, bool reml) {
  std::vector<double> gradient(static_cast<std::size_t>(theta.size()),
                               std::numeric_limits<double>::quiet_NaN());
  const double value =
      self.run([&, theta = numbers(theta)](Evaluator& evaluator, const Response& response) {
        return evaluator.gradient(response, theta, reml, gradient);
      });
  return py::make_tuple(value, array_of(gradient));
}

PyFit fit(const std::shared_ptr<PyProblem>& self, bool reml, const py::object& start,
          const py::dict& control) {
  const auto from = start.is_none() ? std::vector<double>() : numbers(start.cast<Numbers>());
  const auto options = optimizer_options(control);
  return {self->run([&](Evaluator& evaluator, const Response& response) {
            return crossnest::fit(evaluator, response, reml, from, options);
          }),
          self};
}

PyFit estimates(const std::shared_ptr<PyProblem>& self, const Numbers& theta, bool reml) {
  Fit fit;
  fit.start = numbers(theta);
  fit.evaluations = 1;
  fit.converged = true;
  fit.message = "theta as given";
  fit.confounded = self->model().confounded();
  fit.estimates = self->run([&](Evaluator& evaluator, const Response& response) {
    return evaluator.estimates(response, fit.start, reml);
  });
  return {std::move(fit), self};
}

py::list structure(const PyModel& self) {
  py::list lines;
  for (const crossnest::BlockReport& line : self.model().report()) {
    py::dict entry;
    entry["factors"] = py::cast(line.factors);
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
  py::class_<PyModel, std::shared_ptr<PyModel>>(module, "Model")
      .def(py::init<const py::object&, const py::object&, const py::list&, const py::list&, int,
                    std::size_t, const std::string&>(),
           py::arg("X"), py::arg("weights"), py::arg("factors"), py::arg("terms"),
           py::arg("threads") = 0, py::arg("memory_limit") = 0, py::arg("tail") = "auto")
      .def_property_readonly("n", [](const PyModel& self) { return self.model().design().n; })
      .def_property_readonly("p", [](const PyModel& self) { return self.model().design().p; })
      .def_property_readonly("rank",
                             [](const PyModel& self) { return self.model().pivot().size(); })
      .def_property_readonly("pivot",
                             [](const PyModel& self) { return array_of(self.model().pivot()); })
      .def_property_readonly("n_theta",
                             [](const PyModel& self) { return self.model().parameters(); })
      .def_property_readonly(
          "lower_bounds", [](const PyModel& self) { return array_of(self.model().lower_bounds()); })
      .def_property_readonly(
          "upper_bounds", [](const PyModel& self) { return array_of(self.model().upper_bounds()); })
      .def_property_readonly("structure", &structure);
  py::class_<PyProblem, std::shared_ptr<PyProblem>> problem(module, "Problem");
  problem
      .def(py::init<std::shared_ptr<PyModel>, const py::object&>(), py::arg("model").none(false),
           py::arg("y"))
      .def_property_readonly("model", &PyProblem::shared_model)
      .def("objective", &objective, py::arg("theta"), py::arg("reml"))
      .def("gradient", &gradient, py::arg("theta"), py::arg("reml"))
      .def("fit", &fit, py::arg("reml"), py::arg("start") = py::none(),
           py::arg("control") = py::dict())
      .def("estimates", &estimates, py::arg("theta"), py::arg("reml"));
  bind_information(module, problem);
}
