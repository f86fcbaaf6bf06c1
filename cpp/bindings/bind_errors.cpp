#include "crossnest/types.hpp"
#include "pybind11.hpp"

namespace {

using crossnest::RangeError;

const char* name_of(RangeError::Part part) {
  switch (part) {
    case RangeError::Part::response:
      return "response";
    case RangeError::Part::weights:
      return "weights";
    case RangeError::Part::fixed:
      return "fixed";
    default:
      return "random";
  }
}

py::handle range_error_class;  // a subclass of FitError, which lives as long as the interpreter

// Raises the Python exception, which says where the column stands.
void raise(const RangeError& error) {
  py::object raised = range_error_class(error.what());
  raised.attr("part") = name_of(error.part());
  raised.attr("term") = error.term();
  raised.attr("column") = error.column();
  raised.attr("reason") = error.reason();
  PyErr_SetObject(range_error_class.ptr(), raised.ptr());
}

}  // namespace

void bind_errors(py::module_& module) {
  const auto& fit_error =
      py::register_exception<crossnest::FitError>(module, "FitError", PyExc_RuntimeError);
  range_error_class = py::exception<RangeError>(module, "RangeError", fit_error).release();
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const RangeError& error) {
      raise(error);
    } catch (const crossnest::Interrupted&) {
      // The check that stopped the computation has set the exception of the signal's handler.
      if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
}
