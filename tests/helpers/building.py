"""Running compilers and build tools in tests, and the projects that use the installed library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Strict where CI is set: warnings are errors.
STRICT = "ON" if os.environ.get("CI") else "OFF"


def run(*command, **changes):
    """Run a tool, the environment's own before others; fail with its output where it fails.

    `changes` are environment variables, and `cwd` the folder to run in.
    """
    folder = changes.pop("cwd", None)
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=os.environ | {"PATH": path} | {name: str(value) for name, value in changes.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def tool(name):
    """Return the path of a program, or skip the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def build_elsewhere(source, folder, prefix, *options, target="all"):
    """Build a CMake project that looks for the installed library."""
    run("cmake", "-G", "Ninja", "-S", source, "-B", folder,
        f"-DCMAKE_PREFIX_PATH={prefix}", *options)  # fmt: skip
    run("cmake", "--build", folder, "--target", target)


def build_program(folder, text, prefix, *options, target="crossnest::crossnest", components=""):
    """Build ``folder/program`` from the text of one C or C++ file, and return its path."""
    language = "CXX" if target == "crossnest::crossnest" else "C"
    name = "main.cpp" if language == "CXX" else "main.c"
    (folder / name).write_text(text)
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.22)\n"
        f"project(program LANGUAGES {language})\n"
        f"find_package(crossnest REQUIRED {components})\n"
        f"add_executable(program {name})\n"
        f"target_link_libraries(program PRIVATE {target})\n"
    )
    build_elsewhere(folder, folder / "build", prefix, *options)
    return folder / "build/program"
