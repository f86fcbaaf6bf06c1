"""The C++ library: its own tests, and its use from a CMake project that finds it installed."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "cpp").is_dir(), reason="the C++ sources are not here"),
]


def run(*command):
    """Run one of the environment's own tools, and fail the test with its output if it fails."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    result = subprocess.run(
        [str(word) for word in command],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Build the library and its tests once; warnings are errors where CI is set."""
    folder = tmp_path_factory.mktemp("cpp")
    strict = "ON" if os.environ.get("CI") else "OFF"
    run(
        "cmake", "--preset", "dev", "-S", ROOT, "-B", folder,
        f"-DCMAKE_PREFIX_PATH={sysconfig.get_path('purelib')}",
        f"-DCROSSNEST_WARNINGS_AS_ERRORS={strict}",
    )  # fmt: skip
    run("cmake", "--build", folder)
    return folder


def test_unit_tests(build):
    print(run("ctest", "--test-dir", build, "--output-on-failure", "--no-tests=error"))


def test_installed_library_is_found_by_another_project(build, tmp_path):
    run("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    consumer = tmp_path / "consumer"
    run(
        "cmake", "-G", "Ninja", "-S", ROOT / "tests/cpp/consumer", "-B", consumer,
        f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'};{sysconfig.get_path('purelib')}",
    )  # fmt: skip
    run("cmake", "--build", consumer)
    assert run(consumer / "consumer").strip() == importlib.metadata.version("crossnest")
