// The one file that includes pybind11, and the functions each binding file provides.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "crossnest/kernels.hpp"

namespace py = pybind11;

void bind_errors(py::module_& module);
void bind_kernels(py::module_& module);
void bind_fit(py::module_& module);
void bind_covariance(py::module_& module);
void bind_problem(py::module_& module);
void bind_profile(py::module_& module);
void bind_refits(py::module_& module);

/// The kernels that problems made from now on will use.
crossnest::DenseKernels current_kernels();
