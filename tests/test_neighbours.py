"""Other packages are never required, and the page about them is right."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crossnest

PAGE = Path(__file__).parents[1] / "docs" / "neighbours.md"
PACKAGES = ["sklearn", "marginaleffects", "maketables", "great_tables", "statsmodels", "polars"]


def test_importing_and_fitting_imports_none_of_them():
    program = f"""
import sys, crossnest
model = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff())
model.__maketables_coef_table__
print(*set({PACKAGES}) & set(sys.modules))
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [
        ("sklearn", "sklearn.base", "sklearn"),
        ("marginaleffects", "marginaleffects", "marginaleffects"),
    ],
)
def test_what_to_install_is_said(module, missing, extra, monkeypatch):
    name = f"crossnest.neighbours.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"pip install 'crossnest\[{extra}\]'"):
        importlib.import_module(name)


def test_the_estimator_is_an_attribute_of_the_package():
    pytest.importorskip("sklearn")
    assert crossnest.MixedModelRegressor.__module__ == "crossnest.neighbours.sklearn"


@pytest.mark.filterwarnings("ignore:.*get_categories:DeprecationWarning")
def test_page():
    for package in PACKAGES:
        pytest.importorskip(package)
    text = re.sub("^```.*$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    results = doctest.DocTestRunner().run(test)
    assert results.attempted > 20
    assert results.failed == 0


@pytest.mark.parametrize("module", ["sklearn", "marginaleffects", "maketables"])
def test_examples(module):
    pytest.importorskip(module)
    results = doctest.testmod(importlib.import_module(f"crossnest.neighbours.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
