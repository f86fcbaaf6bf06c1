#include "crossnest/types.hpp"
#include "pybind11.hpp"

void bind_errors(py::module_& module) {
  py::register_exception<crossnest::FitError>(module, "FitError", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const crossnest::Interrupted&) {
      // The check that stopped the computation has set the exception of the signal's handler.
      if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
    }
  });
}
