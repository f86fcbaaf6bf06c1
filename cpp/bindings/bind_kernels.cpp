#include <cstdint>
#include <cstring>

#include "crossnest/kernels.hpp"
#include "pybind11.hpp"

namespace {

crossnest::DenseKernels& table() {
  static crossnest::DenseKernels kernels = crossnest::eigen_kernels();
  return kernels;
}

// Points `target` to the routine in a capsule, whose name is the routine's C signature.
template <class Function>
void take(const py::dict& capsules, const char* name, Function& target) {
  if (!capsules.contains(name)) throw py::key_error(std::string("no capsule for ") + name);
  const py::object item = capsules[name];
  if (!PyCapsule_CheckExact(item.ptr()))
    throw py::type_error(std::string(name) + " is not a capsule with a C function pointer");
  const char* signature = PyCapsule_GetName(item.ptr());
  if (signature == nullptr || std::strstr(signature, "int *") == nullptr)
    throw py::value_error(std::string(name) + " does not take 32-bit integers");
  target = reinterpret_cast<Function>(PyCapsule_GetPointer(item.ptr(), signature));
}

// The address of a function that reads or sets the number of threads, or nullptr.
template <class Function>
void take_address(const py::dict& items, const char* name, Function& target) {
  if (items.contains(name)) target = reinterpret_cast<Function>(items[name].cast<std::uintptr_t>());
}

void install(const py::object& capsules) {
  if (capsules.is_none()) {
    table() = crossnest::eigen_kernels();
    return;
  }
  const py::dict dict = capsules.cast<py::dict>();
  crossnest::DenseKernels kernels{};
  kernels.name = "scipy";
  take(dict, "dpotrf", kernels.dpotrf);
  take(dict, "dpotri", kernels.dpotri);
  take(dict, "dtrsm", kernels.dtrsm);
  take(dict, "dsyrk", kernels.dsyrk);
  take(dict, "dgemm", kernels.dgemm);
  take(dict, "dsymm", kernels.dsymm);
  take_address(dict, "get_threads", kernels.get_threads);
  take_address(dict, "set_threads", kernels.set_threads);
  table() = kernels;
}

}  // namespace

crossnest::DenseKernels current_kernels() { return table(); }

void bind_kernels(py::module_& module) {
  module.def("install_kernels", &install, py::arg("capsules"));
  module.def("kernels", [] { return std::string(table().name); });
}
