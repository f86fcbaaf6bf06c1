"""Reading the bundled data sets: compressed CSV files and a manifest of their columns."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, cast

import pandas as pd

_FILES = resources.files(__package__) / "data"


@functools.cache
def manifest() -> dict[str, dict[str, Any]]:
    """Return for every data set its source, licence, number of rows and columns.

    A column is either ``"int64"``, ``"float64"`` or an object with the levels of a factor, where
    ``"1:n"`` stands for the levels "1", ..., "n", and whether they are ordered.
    """
    text = (_FILES / "manifest.json").read_text(encoding="utf-8")
    return cast(dict[str, dict[str, Any]], json.loads(text))


def read(name: str) -> pd.DataFrame:
    """Read a data set, each call a data frame of its own; ``attrs["name"]`` is its name."""
    # The copy is cheap (the levels of a factor are shared) and the file is parsed once.
    data = _parse(name).copy()
    data.attrs["name"] = name
    return data


@functools.cache
def _parse(name: str) -> pd.DataFrame:
    columns = manifest()[name]["columns"]
    dtypes = {column: _dtype(description) for column, description in columns.items()}
    with (_FILES / f"{name}.csv.xz").open("rb") as file:
        # "None" is a level of alfalfa's Date, not a missing value.
        return pd.read_csv(
            file,
            compression="xz",
            dtype=dtypes,
            keep_default_na=False,
            na_values=[""],
        )


def _dtype(description: str | dict[str, Any]) -> str | pd.CategoricalDtype:
    if isinstance(description, str):
        return description
    levels = description["levels"]
    if isinstance(levels, str):
        last = int(levels.removeprefix("1:"))
        levels = [str(level) for level in range(1, last + 1)]
    return pd.CategoricalDtype(levels, ordered=description["ordered"])
