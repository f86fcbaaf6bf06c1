"""Other packages are never required."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys

import pytest

import crossnest

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


@pytest.mark.parametrize("module", ["sklearn", "marginaleffects", "maketables"])
def test_examples(module):
    pytest.importorskip(module)
    results = doctest.testmod(importlib.import_module(f"crossnest.neighbours.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
