"""The C library within the installed package, and extensions that are built against it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

import pytest

import crossnest
from building import ROOT, run
from crossnest import embedding

FUNCTIONS = (crossnest.get_cmake_dir, crossnest.get_include, crossnest.get_library)
installed = pytest.mark.skipif(
    not (Path(crossnest._core.__file__).parent / "lib").is_dir(),
    reason="crossnest runs from its sources",
)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sources_have_no_library(function, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding._core, "__file__", str(tmp_path / "_core.so"))
    told = f"{re.escape(str(tmp_path))} has no .*: this crossnest runs from its sources"
    with pytest.raises(FileNotFoundError, match=told):
        function()


@installed
def test_files_are_where_they_are_said_to_be():
    assert Path(crossnest.get_include(), "crossnest/crossnest.h").is_file()
    assert Path(crossnest.get_cmake_dir(), "crossnestConfig.cmake").is_file()
    library = ctypes.CDLL(crossnest.get_library())
    library.cn_version.restype = ctypes.c_char_p
    assert library.cn_version().decode() == crossnest.__version__


@installed
def test_cmake_is_told_by_an_entry_point():
    (entry,) = importlib.metadata.entry_points(group="cmake.root", name="crossnest")
    assert Path(crossnest.get_cmake_dir()).is_relative_to(Path(entry.load().__file__).parent)


@installed
def test_wheel_is_small():
    """What is installed would make a wheel of less than 3 MB; nothing is in it twice."""
    files = importlib.metadata.files("crossnest")
    files = [file.locate() for file in files if "__pycache__" not in str(file)]
    assert sum(len(zlib.compress(file.read_bytes())) for file in files) < 3e6
    libraries = [file for file in files if re.search(r"crossnest_c\.(so|dll|.*dylib)", file.name)]
    assert libraries == [Path(crossnest.get_library())]


@installed
@pytest.mark.slow
@pytest.mark.parametrize("tool", ["pybind11", "cython"])
def test_extensions_link_the_library(tool, tmp_path):
    pytest.importorskip("Cython" if tool == "cython" else tool)
    shutil.copytree(ROOT / f"tests/extensions/by_{tool}", tmp_path / "source")
    run(
        sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index",
        "--target", tmp_path / "target", tmp_path / "source",
    )  # fmt: skip
    program = (
        "import crossnest, numpy\n"
        f"from linked_by_{tool} import criterion\n"
        "data = crossnest.datasets.dyestuff()\n"
        "codes = data['Batch'].astype('category').cat.codes.to_numpy(numpy.int32)\n"
        "print(criterion(data['Yield'].to_numpy(float), codes, 6).hex())\n"
        "print(float(crossnest.lmer('Yield ~ 1 + (1 | Batch)', data).objective).hex())\n"
    )
    path = os.pathsep.join([str(tmp_path / "target"), os.environ.get("PYTHONPATH", "")])
    printed = run(sys.executable, "-c", program, PYTHONPATH=path)
    by_extension, by_python = (float.fromhex(line) for line in printed.split())
    assert by_extension == pytest.approx(by_python, rel=1e-12)
