"""What is installed and distributed: one version everywhere, every file in its place."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from scikit_build_core.build import build_sdist

import crossnest
from crossnest import _core

ROOT = Path(__file__).parents[1]
VERSION = importlib.metadata.version("crossnest")


def test_version_is_the_same_everywhere():
    assert crossnest.__version__ == VERSION
    assert _core.__version__ == VERSION
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == VERSION


@pytest.mark.parametrize("name", ["py.typed", "_core.pyi"])
def test_typing_files_are_installed(name):
    assert importlib.resources.files("crossnest").joinpath(name).is_file()


def test_formulaic_is_held_to_versions_its_parser_is_known_in():
    with open(ROOT / "pyproject.toml", "rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    (bounds,) = (Requirement(one).specifier for one in dependencies if "formulaic" in one)
    assert bounds.contains(importlib.metadata.version("formulaic"))
    assert not bounds.contains("1.3.0")
    assert not bounds.contains("2.0.0")


def test_only_the_package_is_installed():
    tops = {file.parts[0] for file in importlib.metadata.files("crossnest")}
    assert tops.isdisjoint({"tests", "benchmarks", "cpp", "include", "lib", "lib64"})


def test_source_distribution_can_be_built_and_tested(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with tarfile.open(tmp_path / build_sdist(str(tmp_path))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "CMakeLists.txt",
        "CMakePresets.json",
        "LICENSE",
        "cmake/crossnestConfig.cmake.in",
        "cpp/include/crossnest/version.hpp",
        "cpp/src/version.cpp",
        "python/crossnest/_core.pyi",
        "tests/cpp/check.hpp",
        "tests/expected/reference/sleepstudy.csv.gz",
        "tests/test_packaging.py",
    }
    assert not [name for name in names if name.startswith(("build/", ".venv/"))]
