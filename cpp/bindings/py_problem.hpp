// A model and a response as Python holds them, and a fit that remembers what it came from.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crossnest/fit.hpp"
#include "crossnest/model.hpp"
#include "pybind11.hpp"

/// A float64 array that can be used where it lies; never a copy.
py::array_t<double> doubles(const py::handle& object, const std::string& name,
                            py::ssize_t dimensions);
/// Numbers of a caller's array, copied, and an array of numbers of ours, likewise.
using Numbers = py::array_t<double, py::array::c_style | py::array::forcecast>;
inline std::vector<double> numbers(const Numbers& array) {
  return {array.data(), array.data() + array.size()};
}
template <class Number>
py::array_t<Number> array_of(const std::vector<Number>& values) {
  return py::array_t<Number>(static_cast<py::ssize_t>(values.size()), values.data());
}
template <class Number>
py::array_t<Number> array_of(const std::vector<Number>& values, std::vector<py::ssize_t> shape) {
  return py::array_t<Number>(std::move(shape), values.data());
}
/// The options of the optimizer as Python names them.
crossnest::OptimizerOptions optimizer_options(const py::dict& control);
/// Runs Python's signal handlers; true when one raised (Ctrl-C).
bool interrupted();

/// A Model, the arrays it looks at, and evaluators that nobody uses at the moment.
///
/// An evaluator is taken and put back by a thread that has the GIL, so that there is no lock: in a
/// child process made by fork() those that were in use are lost, and the others are as good as new.
class PyModel {
 public:
  PyModel(const py::object& X, const py::object& weights, const py::list& factors,
          const py::list& terms, int threads, std::size_t memory_limit, const std::string& tail);

  const crossnest::Model& model() const { return *model_; }

  /// Runs work(evaluator) without the GIL.
  template <class Work>
  auto run(Work&& work) const {
    const Lent lent(*this);
    const py::gil_scoped_release release;
    return work(lent.evaluator());
  }

 private:
  class Lent {
   public:
    explicit Lent(const PyModel& owner) : owner_(owner), evaluator_(owner.take()) {}
    ~Lent() { owner_.idle_.push_back(std::move(evaluator_)); }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    crossnest::Evaluator& evaluator() const { return *evaluator_; }

   private:
    const PyModel& owner_;
    std::unique_ptr<crossnest::Evaluator> evaluator_;
  };

  std::unique_ptr<crossnest::Evaluator> take() const;
  const double* keep(const py::array_t<double>& array);
  crossnest::GroupingFactor factor(const py::tuple& item, crossnest::Index n);
  crossnest::Term term(const py::tuple& item, crossnest::Index n);

  crossnest::DenseKernels kernels_;
  py::list kept_;  // the arrays the design looks at
  std::unique_ptr<crossnest::Model> model_;
  mutable std::vector<std::unique_ptr<crossnest::Evaluator>> idle_;
};

/// A model and a response: what is fitted.
class PyProblem {
 public:
  PyProblem(std::shared_ptr<PyModel> model, const py::object& y);

  const crossnest::Model& model() const { return model_->model(); }
  const crossnest::Response& response() const { return response_; }
  const std::shared_ptr<PyModel>& shared_model() const { return model_; }

  /// Runs work(evaluator, response) without the GIL.
  template <class Work>
  auto run(Work&& work) const {
    return model_->run([&](crossnest::Evaluator& evaluator) { return work(evaluator, response_); });
  }

 private:
  std::shared_ptr<PyModel> model_;
  py::object y_;  // the array the response looks at
  crossnest::Response response_;
};

/// The results of a fit, with the problem for what is computed only when asked for.
struct PyFit {
  crossnest::Fit fit;
  std::shared_ptr<const PyProblem> problem;
};

/// Adds what is computed for tests of the fixed effects to the module and the class Problem.
void bind_information(py::module_& module,
                      py::class_<PyProblem, std::shared_ptr<PyProblem>>& problem);
