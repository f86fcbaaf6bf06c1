// What every function of the C interface does with errors and arguments.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "crossnest/crossnest.h"
#include "crossnest/types.hpp"

namespace crossnest::c {

/// Keeps the message for cn_last_error() of this thread, and returns the code.
int32_t failed(int32_t code, const char* message) noexcept;

/// Runs the body of a function; what it throws becomes a code and a message.
template <class Body>
int32_t guarded(Body&& body) noexcept {
  try {
    body();
    return CN_OK;
  } catch (const Interrupted& error) {
    return failed(CN_ERROR_INTERRUPTED, error.what());
  } catch (const FitError& error) {
    return failed(CN_ERROR_FIT, error.what());
  } catch (const std::bad_alloc& error) {
    const auto* limit = dynamic_cast<const MemoryLimitError*>(&error);
    return failed(CN_ERROR_MEMORY, limit != nullptr ? limit->what() : "out of memory");
  } catch (const std::system_error& error) {
    return error.code() == std::errc::resource_unavailable_try_again
               ? failed(CN_ERROR_MEMORY, "the system gives no more threads")
               : failed(CN_ERROR_INTERNAL, error.what());
  } catch (const std::logic_error& error) {
    return failed(CN_ERROR_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return failed(CN_ERROR_INTERNAL, error.what());
  } catch (...) {
    return failed(CN_ERROR_INTERNAL, "unknown error");
  }
}

[[noreturn]] inline void refuse(const std::string& message) {
  throw std::invalid_argument(message);
}

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Refuses NULL for an argument.
template <class T>
T& given(T* pointer, const char* name) {
  if (pointer == nullptr) refuse(std::string(name) + " is NULL");
  return *pointer;
}

inline void check_length(const char* name, std::int64_t length, std::size_t right) {
  if (length < 0 || at(length) != right)
    refuse(std::string(name) + " has length " + std::to_string(length) + " where it takes " +
           std::to_string(right));
}

inline std::int64_t in_range(std::int64_t index, std::size_t count, const char* name) {
  if (index < 0 || at(index) >= count)
    refuse(std::string(name) + " " + std::to_string(index) + " is not there: there are " +
           std::to_string(count));
  return index;
}

inline int as_int(std::int64_t value, const char* name, std::int64_t least) {
  if (value < least || value > std::numeric_limits<int>::max())
    refuse(std::string(name) + " must not be " + std::to_string(value));
  return static_cast<int>(value);
}

inline std::vector<double> copied(const double* values, std::int64_t length) {
  if (values == nullptr) return {};
  if (length < 0) refuse("a length is negative");
  return {values, values + length};
}

inline void copy_out(const std::vector<double>& from, double* to, std::int64_t length,
                     const char* name) {
  check_length(name, length, from.size());
  std::copy(from.begin(), from.end(), &given(to, name));
}

/// Makes a handle and hands it out where nothing threw.
template <class Handle>
void hand_out(Handle** out, std::unique_ptr<Handle> made) {
  Handle*& place = given(out, "the place for the handle");  // before release()
  place = made.release();
}

}  // namespace crossnest::c
