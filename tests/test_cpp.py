"""The C++ library: its own tests, and its use from a CMake project that finds it installed."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from building import ROOT, build_elsewhere, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "cpp").is_dir(), reason="the C++ sources are not here"),
]


def test_unit_tests(cpp_build):
    print(run("ctest", "--test-dir", cpp_build, "--output-on-failure", "--no-tests=error"))


def test_installed_library_is_found_by_another_project(prefix, tmp_path):
    build_elsewhere(ROOT / "tests/cpp/consumer", tmp_path, prefix)
    assert run(tmp_path / "consumer").strip() == importlib.metadata.version("crossnest")


def test_first_example_in_c(prefix, tmp_path):
    """The function at the head of docs/embedding.md compiles as C99."""
    page = (ROOT / "docs/embedding.md").read_text()
    (tmp_path / "fit.c").write_text(re.search(r"^```c\n(.*?)^```$", page, re.M | re.S)[1])
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\n"
        "project(first LANGUAGES C CXX)\n"
        "find_package(crossnest REQUIRED)\n"
        "add_library(first OBJECT fit.c)\n"
        "set_target_properties(first PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)\n"
        "target_compile_options(first PRIVATE -Wall -Wextra -Werror)\n"
        "target_link_libraries(first PRIVATE crossnest::crossnest)\n"
    )
    build_elsewhere(tmp_path, tmp_path / "build", prefix)


def test_public_headers_stand_alone(prefix, tmp_path):
    """Each compiles by itself, without Eigen and without the headers beside the sources."""
    headers = sorted(path.name for path in (prefix / "include/crossnest").glob("*.hpp"))
    assert "fit.hpp" in headers
    for name in headers:
        (tmp_path / name.replace(".hpp", ".cpp")).write_text(f"#include <crossnest/{name}>\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\n"
        "project(headers LANGUAGES CXX)\n"
        "find_package(crossnest REQUIRED)\n"
        "file(GLOB sources *.cpp)\n"
        "add_library(headers OBJECT ${sources})\n"
        "target_link_libraries(headers PRIVATE crossnest::crossnest)\n"
    )
    build_elsewhere(tmp_path, tmp_path / "build", prefix)


def test_documented_program(prefix, tmp_path):
    """The program of docs/cpp.md, with the functions that may stand before its main()."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/cpp.md").read_text(), re.M | re.S)
    program, *functions = [text for language, text in blocks if language == "cpp"]
    calls = re.findall(r"^void (print_\w+)", "".join(functions), re.M)
    assert len(calls) == len(functions)
    program = program.replace("int main()", "".join([*functions, "int main()"]))
    called = "".join(f"    {name}(evaluator, response, found);\n" for name in calls)
    program = program.replace("    return found.conv", called + "    return found.conv")
    (tmp_path / "crossed.cpp").write_text(program)
    recipe = next(text for language, text in blocks if language == "cmake")
    (tmp_path / "CMakeLists.txt").write_text(recipe)
    build_elsewhere(tmp_path, tmp_path / "build", prefix)
    printed = run(tmp_path / "build/crossed").split()
    expected = "".join(text for language, text in blocks if language == "text").split()
    assert len(printed) == len(expected)
    number = re.compile(r"-?\d+\.\d+")
    for word, right in zip(printed, expected, strict=True):
        if number.fullmatch(right):
            assert float(word) == pytest.approx(float(right), rel=1e-4, abs=2e-4)
        else:
            assert word == right
