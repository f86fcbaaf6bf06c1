// A test harness of one header:
//
//     TEST(adds) {
//         CHECK(1 + 1 == 2);
//         CHECK_NEAR(0.1 + 0.2, 0.3, 1e-15);
//         CHECK_THROWS(parse(""), std::invalid_argument);
//     }
//
// A test's full name is the file's and its own: "arithmetic.adds". A failed check is reported with
// its file and line, and the test goes on; an exception that leaves a test fails it.

#pragma once

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

namespace check {

// One test: its full name and its body.
struct Test {
  std::string name;
  void (*body)();
};

// All tests of the program, in the order their files were linked.
std::vector<Test>& tests();

// Adds a test at start-up; `file` is __FILE__ of the test.
struct Registration {
  Registration(const char* file, const char* name, void (*body)());
};

// Counts a check, and prints and counts a failure with `message` if it did not hold.
void report(bool holds, const char* file, int line, const std::string& message);

// |value - expected| <= tolerance * max(1, |expected|): absolute near zero, relative elsewhere.
// Equal infinities agree; NaN agrees with nothing.
inline bool near(double value, double expected, double tolerance) {
  if (value == expected) return true;
  return std::abs(value - expected) <= tolerance * std::fmax(1.0, std::abs(expected));
}

inline std::string describe_near(const char* expression, double value, double expected,
                                 double tolerance) {
  std::ostringstream out;
  out.precision(17);
  out << expression << " is " << value << ", not " << expected << " within " << tolerance;
  return out.str();
}

}  // namespace check

#define TEST(name)                                                                    \
  static void test_##name();                                                          \
  static const check::Registration registration_##name(__FILE__, #name, test_##name); \
  static void test_##name()

// Variadic, since the preprocessor splits an expression at the commas of its template arguments.
#define CHECK(...) check::report(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)

#define CHECK_NEAR(value, expected, tolerance)                                                   \
  do {                                                                                           \
    const double check_value = (value), check_expected = (expected);                             \
    const double check_tolerance = (tolerance);                                                  \
    check::report(check::near(check_value, check_expected, check_tolerance), __FILE__, __LINE__, \
                  check::describe_near(#value, check_value, check_expected, check_tolerance));   \
  } while (false)

#define CHECK_THROWS(expression, exception)                                                \
  do {                                                                                     \
    bool check_thrown = false;                                                             \
    try {                                                                                  \
      static_cast<void>(expression);                                                       \
    } catch (const exception&) {                                                           \
      check_thrown = true;                                                                 \
    }                                                                                      \
    check::report(check_thrown, __FILE__, __LINE__, #expression " throws no " #exception); \
  } while (false)
