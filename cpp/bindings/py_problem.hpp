// A Problem as Python holds it, and a Fit that remembers which problem it came from.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "crossnest/problem.hpp"
#include "crossnest/process.hpp"
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
    claim_after_fork();
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(*mutex_);
    const Use use(in_use_);
    return work(*problem_);
  }

  void set_response(const py::object& y);

 private:
  // While it lives, a call is under way.
  struct Use {
    explicit Use(std::atomic<bool>& flag) : in_use(flag) { in_use = true; }
    ~Use() { in_use = false; }
    std::atomic<bool>& in_use;
  };

  void claim_after_fork();
  const double* keep(const py::array_t<double>& array);
  crossnest::GroupingFactor factor(const py::tuple& item, crossnest::Index n);
  crossnest::Term term(const py::tuple& item, crossnest::Index n);

  crossnest::DenseKernels kernels_;
  py::list kept_;        // the arrays the design looks at
  py::object response_;  // the response in use, when it was replaced
  crossnest::ProblemOptions options_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::atomic<bool> in_use_{false};
  long process_ = crossnest::process_id();  // the one that takes turns by the mutex
  std::unique_ptr<crossnest::Problem> problem_;
};

/// The results of a fit, with the problem for what is computed only when asked for.
struct PyFit {
  crossnest::Fit fit;
  std::shared_ptr<PyProblem> problem;
};

/// Adds what is computed for tests of the fixed effects to the class Problem.
void bind_information(py::class_<PyProblem, std::shared_ptr<PyProblem>>& problem);
