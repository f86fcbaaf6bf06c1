"""The bundled data sets are those of R: shapes, types, levels and values."""

from __future__ import annotations

import inspect
import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossnest import datasets
from crossnest.datasets import _storage

R_STATISTICS = json.loads(
    (Path(__file__).parents[1] / "expected" / "reference" / "datasets" / "columns.json").read_text(
        encoding="utf-8"
    )
)
NAMES = datasets.names()


def test_names_are_those_exported_from_r() -> None:
    assert sorted(R_STATISTICS) == NAMES
    assert {"sleepstudy", "dyestuff", "dyestuff2", "penicillin", "pastes", "cake"} <= set(NAMES)
    assert {"insteval", "machines", "oxboys", "orthodont"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_types_are_those_of_the_manifest(name: str) -> None:
    frame = datasets.load(name)
    described = _storage.manifest()[name]
    assert list(frame.columns) == list(described["columns"]) == list(R_STATISTICS[name])
    assert len(frame) == described["rows"]
    for column, description in described["columns"].items():
        if isinstance(description, str):
            assert frame[column].dtype == description
        else:
            assert isinstance(frame[column].dtype, pd.CategoricalDtype)
            assert frame[column].cat.ordered == description["ordered"]


@pytest.mark.parametrize("name", NAMES)
def test_columns_have_r_s_means_and_deviations(name: str) -> None:
    frame = datasets.load(name)
    for column, expected in R_STATISTICS[name].items():
        values = _as_in_r(frame[column])
        assert values.isna().sum() == expected["missing"]
        np.testing.assert_allclose(values.mean(), expected["mean"], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(values.std(), expected["sd"], rtol=1e-12)
        np.testing.assert_allclose(values.iloc[0], expected["first"], rtol=1e-13)
        np.testing.assert_allclose(values.iloc[-1], expected["last"], rtol=1e-13)


def _as_in_r(column: pd.Series) -> pd.Series:
    """Integer codes of a factor count from one in R."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column
    codes = column.cat.codes.astype(float) + 1
    return codes.where(codes > 0)


@pytest.mark.parametrize("name", NAMES)
def test_function_gives_what_load_gives_and_documents_it(name: str) -> None:
    function = getattr(datasets, name)
    frame = datasets.load(name)
    pd.testing.assert_frame_equal(function(), frame)
    text = inspect.getdoc(function)
    assert text is not None
    assert f"{len(frame):,} rows, {len(frame.columns)} columns" in text
    assert "From R package" in text
    assert "References" in text
    assert [column for column in frame.columns if f"`{column}`" not in text] == []


@pytest.mark.parametrize(
    ("name", "column", "levels", "ordered"),
    [
        ("cake", "temperature", ["175", "185", "195", "205", "215", "225"], True),
        ("cake", "recipe", ["A", "B", "C"], False),
        ("machines", "Worker", ["6", "2", "4", "1", "3", "5"], True),
        ("orthodont", "Sex", ["Male", "Female"], False),
        ("insteval", "studage", ["2", "4", "6", "8"], True),
        ("insteval", "lectage", ["1", "2", "3", "4", "5", "6"], True),
        ("insteval", "service", ["0", "1"], False),
        ("alfalfa", "Date", ["None", "S1", "S20", "O7"], False),
        ("pixel", "Dog", ["1", "10", "2", "3", "4", "5", "6", "7", "8", "9"], False),
        ("ratpupweight", "Treatment", ["Control", "Low", "High"], True),
    ],
)
def test_levels_are_in_r_s_order(name: str, column: str, levels: list[str], ordered: bool) -> None:
    dtype = datasets.load(name)[column].dtype
    assert isinstance(dtype, pd.CategoricalDtype)
    assert list(dtype.categories) == levels
    assert dtype.ordered is ordered


def test_every_level_of_the_large_factors_occurs() -> None:
    frame = datasets.insteval()
    assert [frame[column].nunique() for column in ("s", "d", "dept")] == [2972, 1128, 14]
    assert datasets.chem97()[["lea", "school", "student"]].nunique().tolist() == [131, 2410, 31022]


def test_names_are_accepted_as_r_writes_them() -> None:
    pd.testing.assert_frame_equal(datasets.load("InstEval"), datasets.insteval())


def test_each_call_gives_a_frame_of_its_own() -> None:
    changed = datasets.sleepstudy()
    changed.loc[0, "Reaction"] = -1.0
    changed["Subject"] = changed["Subject"].cat.rename_categories(str.upper)
    assert datasets.sleepstudy().loc[0, "Reaction"] == 249.56


def test_unknown_name_suggests_a_close_one() -> None:
    with pytest.raises(ValueError, match=r"'sleepstdy'; did you mean 'sleepstudy'\?"):
        datasets.load("sleepstdy")
    with pytest.raises(ValueError, match=r"'zzz'; the data sets are: alfalfa, "):
        datasets.load("zzz")


def test_package_data_stay_below_one_megabyte() -> None:
    files = (resources.files("crossnest.datasets") / "data").iterdir()
    assert sum(len(file.read_bytes()) for file in files) < 1_000_000
