// Runs the tests whose full names contain one of the arguments, all of them without arguments.
// Exit status: 0 all passed, 1 some failed, 2 no test has such a name.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "check.hpp"

namespace {

int checks = 0;
int failures = 0;

// "/a/b/kernels.cpp" -> "kernels"
std::string stem(const std::string& path) {
  const auto start = path.find_last_of("/\\") + 1;
  return path.substr(start, path.rfind('.') - start);
}

bool passes(const check::Test& test) {
  const int failures_before = failures;
  try {
    test.body();
  } catch (const std::exception& error) {
    check::report(false, test.name.c_str(), 0, std::string("threw: ") + error.what());
  } catch (...) {
    check::report(false, test.name.c_str(), 0, "threw something that is no std::exception");
  }
  return failures == failures_before;
}

std::vector<check::Test> chosen(const std::vector<std::string>& filters) {
  std::vector<check::Test> result;
  for (const check::Test& test : check::tests()) {
    const auto matches = [&](const std::string& filter) {
      return test.name.find(filter) != std::string::npos;
    };
    if (filters.empty() || std::any_of(filters.begin(), filters.end(), matches)) {
      result.push_back(test);
    }
  }
  return result;
}

}  // namespace

namespace check {

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

Registration::Registration(const char* file, const char* name, void (*body)()) {
  tests().push_back({stem(file) + "." + name, body});
}

void report(bool holds, const char* file, int line, const std::string& message) {
  ++checks;
  if (holds) return;
  ++failures;
  std::printf("%s:%d: %s\n", file, line, message.c_str());
}

}  // namespace check

int main(int argc, char** argv) {
  const std::vector<check::Test> tests = chosen({argv + 1, argv + argc});
  if (tests.empty()) {
    std::puts("no test has such a name");
    return 2;
  }
  int failed = 0;
  for (const check::Test& test : tests) {
    if (!passes(test)) {
      ++failed;
      std::printf("FAILED %s\n", test.name.c_str());
    }
  }
  std::printf("%zu tests, %d failed (%d checks, %d failed)\n", tests.size(), failed, checks,
              failures);
  return failed == 0 ? 0 : 1;
}
