"""The examples in other languages are built against the installed library and print one fit."""

from __future__ import annotations

import re
import sys

import pytest

import crossnest
from building import ROOT, build_elsewhere, run, tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "cpp").is_dir(), reason="the C++ sources are not here"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The file that the examples read."""
    path = tmp_path_factory.mktemp("data") / "sleepstudy.csv"
    columns = ["Reaction", "Days", "Subject"]
    crossnest.datasets.sleepstudy()[columns].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def table():
    """What docs/embedding.md says that the examples print."""
    page = (ROOT / "docs/embedding.md").read_text()
    return re.search(r"^```text\n(REML criterion 1743.628.*?)^```$", page, re.M | re.S)[1]


def without_df(table):
    """Leave out the column of degrees of freedom."""
    *head, names, first, second = table.splitlines()
    return [*head, *(line[:32] + line[40:] for line in (names, first, second))]


def test_c(prefix, data, table, tmp_path):
    build_elsewhere(ROOT / "examples/c", tmp_path, prefix)
    assert run(tmp_path / "sleepstudy", data) == table


def test_cpp(prefix, data, table, tmp_path):
    build_elsewhere(ROOT / "examples/cpp", tmp_path, prefix)
    assert run(tmp_path / "sleepstudy", data).splitlines() == without_df(table)


def test_fortran(prefix, data, table, tmp_path):
    tool("gfortran")
    build_elsewhere(ROOT / "examples/fortran", tmp_path, prefix)
    assert run(tmp_path / "sleepstudy", data) == table


def test_rust(prefix, data, table, tmp_path):
    manifest = tmp_path / "Cargo.toml"
    for file in ("Cargo.toml", "build.rs", "src/main.rs"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text((ROOT / "examples/rust" / file).read_text())
    printed = run(tool("cargo"), "run", "--quiet", "--offline", "--manifest-path", manifest, "--",
                  data, CROSSNEST_PREFIX=prefix)  # fmt: skip
    assert printed == table


def test_go(prefix, data, table, tmp_path):
    tool("pkg-config")
    places = {
        "PKG_CONFIG_PATH": prefix / "lib/pkgconfig",
        "LD_LIBRARY_PATH": prefix / "lib",
        "GOCACHE": tmp_path / "cache",
    }
    run(tool("go"), "build", "-o", tmp_path / "sleepstudy", cwd=ROOT / "examples/go", **places)
    assert run(tmp_path / "sleepstudy", data, **places) == table


@pytest.mark.parametrize(
    ("module", "script"), [("pyarrow", "arrow/sleepstudy.py"), ("duckdb", "duckdb/from_sql.py")]
)
def test_arrow(module, script, prefix, data, table):
    pytest.importorskip("pyarrow")
    pytest.importorskip(module)
    library = prefix / "lib/libcrossnest_c.so"
    assert run(sys.executable, ROOT / "examples" / script, library, data) == table


def test_examples_are_short():
    suffixes = {".c", ".cpp", ".f90", ".go", ".py", ".rs"}
    files = [path for path in (ROOT / "examples").rglob("*") if path.suffix in suffixes]
    assert {path.suffix for path in files} == suffixes
    assert not [path for path in files if len(path.read_text().splitlines()) > 120]
