// A Problem as Python holds it, and a Fit that remembers which problem it came from.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "crossnest/problem.hpp"
#include "pybind11.hpp"

/// A float64 array that can be used where it lies; never a copy.
py::array_t<double> doubles(const py::handle& object, const std::string& name,
                            py::ssize_t dimensions);
/// The options of the optimizer as Python names them.
crossnest::OptimizerOptions optimizer_options(const py::dict& control);
/// Runs Python's signal handlers; true when one raised (Ctrl-C).
bool interrupted();

/// A Problem, the arrays it looks at, and a lock: calls from several threads take turns.
class PyProblem {
 public:
  PyProblem(const py::object& X, const py::object& y, const py::object& weights,
            const py::list& factors, const py::list& terms, int threads, std::size_t memory_limit,
            const std::string& tail);

  const crossnest::Problem& problem() const { return *problem_; }

  /// Runs work(problem) without the GIL, one call at a time.
  template <class Work>
  auto run(Work&& work) {
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    return work(*problem_);
  }

  void set_response(const py::object& y);

 private:
  const double* keep(const py::array_t<double>& array);
  crossnest::GroupingFactor factor(const py::tuple& item, crossnest::Index n);
  crossnest::Term term(const py::tuple& item, crossnest::Index n);

  crossnest::DenseKernels kernels_;
  py::list kept_;        // the arrays the design looks at
  py::object response_;  // the response in use, when it was replaced
  py::object previous_response_;
  std::mutex mutex_;
  std::unique_ptr<crossnest::Problem> problem_;
};

/// The results of a fit, with the problem for what is computed only when asked for.
struct PyFit {
  crossnest::Fit fit;
  std::shared_ptr<PyProblem> problem;
};

/// Adds what is computed for tests of the fixed effects to the class Problem.
void bind_information(py::class_<PyProblem, std::shared_ptr<PyProblem>>& problem);
