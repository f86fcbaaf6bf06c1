"""Columns and grouping factors: levels, their order, interactions."""

from __future__ import annotations

import pickle
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossnest.base.errors import DesignError
from crossnest.data.columns import Columns, FactorColumn, NumericColumn, OtherColumn, as_factor
from crossnest.design.design import build_design
from crossnest.design.grouping import GroupingFactors


def decode(column: FactorColumn) -> list[Any]:
    return [column.levels[code] if code >= 0 else None for code in column.codes]


@given(
    st.lists(st.integers(-100, 100), min_size=1)
    | st.lists(st.integers(-(2**62), 2**62), min_size=1)
    | st.lists(st.floats(-(2.0**53), 2.0**53, exclude_min=True, exclude_max=True), min_size=1)
    | st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=2), min_size=1)
    | st.lists(st.booleans(), min_size=1)
)
def test_levels_are_the_sorted_distinct_values(values: list[Any]) -> None:
    column = as_factor(pd.Series(values).values, "g")
    assert list(column.levels) == sorted(set(values))
    assert decode(column) == values
    assert column.codes.dtype == np.int32


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64"])
def test_integers_of_every_width_keep_their_labels(dtype: str) -> None:
    info = np.iinfo(dtype)
    values = np.array([info.max, info.min, info.max - 1, info.min], dtype=dtype)
    column = as_factor(values, "g")
    assert column.levels.tolist() == [info.min, info.max - 1, info.max]
    assert column.levels.dtype == dtype
    assert column.codes.tolist() == [2, 0, 1, 0]


def test_missing_labels_have_no_level() -> None:
    for values in (["b", None, "a"], [2.0, np.nan, 1.0], [True, None, False]):
        column = as_factor(pd.Series(values).values, "g")
        assert column.codes.tolist() == [1, -1, 0]


def test_a_categorical_keeps_its_order_and_loses_unused_levels() -> None:
    values = pd.Categorical(["c", "a"], categories=["c", "b", "a"])
    assert as_factor(values, "g").without_unused().levels.tolist() == ["c", "a"]


def test_labels_that_cannot_be_sorted_are_refused() -> None:
    with pytest.raises(DesignError, match="column 'g' mixes values that cannot be sorted"):
        as_factor(np.array([date(2020, 1, 1), 1], dtype=object), "g")


CODES = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(3)])
)


@given(CODES, st.booleans())
def test_interactions_order_levels_by_first_variable_then_second(
    columns: tuple[list[int], ...], wide: bool
) -> None:
    names = ("c", "b", "a")
    step = 10**6 if wide else 1
    factors = GroupingFactors(
        {n: as_factor(np.array(v) * step, n) for n, v in zip(names, columns, strict=True)}
    )
    made = factors.make(names, "c:(b:a)")
    rows = [tuple(v * step for v in row) for row in zip(*columns, strict=True)]
    expected = [":".join(map(str, row)) for row in sorted(set(rows))]
    assert made.levels.tolist() == expected
    assert [made.levels[code] for code in made.codes] == [":".join(map(str, r)) for r in rows]
    assert made.n_levels == len(expected)
    assert pickle.loads(pickle.dumps(made)).levels.equals(made.levels)
    assert factors.make(("b", "a"), "b:a").name == "b:a"


def test_interactions_with_far_more_pairs_than_rows() -> None:
    rng = np.random.default_rng(1)
    values = {name: rng.integers(0, 10**5, size=3000) for name in "ab"}
    factors = GroupingFactors({name: as_factor(v, name) for name, v in values.items()})
    made = factors.make(("a", "b"), "a:b")
    pairs = list(zip(values["a"].tolist(), values["b"].tolist(), strict=True))
    assert made.levels.tolist() == [f"{a}:{b}" for a, b in sorted(set(pairs))]
    assert [made.levels[code] for code in made.codes] == [f"{a}:{b}" for a, b in pairs]


def test_whole_numbers_are_labelled_without_a_decimal_point() -> None:
    factors = GroupingFactors(
        {"a": as_factor(np.array([1.0, 2.0]), "a"), "b": as_factor(np.array([0.5, 1.0]), "b")}
    )
    assert factors.make(("a", "b"), "a:b").levels.tolist() == ["1:0.5", "2:1.0"]
    assert factors.make(("a",), "a").levels.tolist() == [1.0, 2.0]


def frame_like(kind: str) -> Any:
    columns = {
        "number": [1.5, None, 2.5],
        "whole": [3, 1, 2],
        "text": ["b", None, "a"],
        "flag": [True, False, True],
    }
    if kind == "dict":
        return columns
    if kind == "pandas":
        return pd.DataFrame(columns)
    if kind == "nullable":
        return pd.DataFrame(columns).convert_dtypes()
    return pytest.importorskip(kind).table(columns) if kind == "pyarrow" else polars(columns)


def polars(columns: dict[str, list[Any]]) -> Any:
    return pytest.importorskip("polars").DataFrame(columns)


@pytest.mark.parametrize("kind", ["dict", "pandas", "nullable", "pyarrow", "polars"])
def test_every_kind_of_frame_reads_the_same(kind: str) -> None:
    columns = Columns(frame_like(kind))
    number, whole = columns.column("number"), columns.column("whole")
    assert isinstance(number, NumericColumn) and isinstance(whole, NumericColumn)
    np.testing.assert_array_equal(number.values, [1.5, np.nan, 2.5])
    np.testing.assert_array_equal(whole.values, [3.0, 1.0, 2.0])
    text, flag = columns.column("text"), columns.column("flag")
    assert isinstance(text, FactorColumn) and isinstance(flag, FactorColumn)
    assert decode(text) == ["b", None, "a"]
    assert decode(flag) == [True, False, True]
    assert columns.grouping("whole").levels.tolist() == [1, 2, 3]
    assert columns.n_rows == 3
    assert "text" in columns and "other" not in columns


def test_polars_categories_keep_their_order() -> None:
    pl = pytest.importorskip("polars")
    values = pl.Series(["b", "a", None], dtype=pl.Enum(["b", "c", "a"]))
    column = Columns(pl.DataFrame({"g": values})).column("g")
    assert isinstance(column, FactorColumn)
    assert column.levels.tolist() == ["b", "c", "a"]
    assert column.codes.tolist() == [0, 2, -1]


def test_dates_are_neither_numbers_nor_labels() -> None:
    columns = Columns(pd.DataFrame({"day": pd.to_datetime(["2020-01-02", None, "2020-01-01"])}))
    day = columns.column("day")
    assert isinstance(day, OtherColumn)
    missing = day.missing()
    assert missing is not None and missing.tolist() == [False, True, False]
    assert columns.grouping("day").codes.tolist() == [1, -1, 0]


def test_numbers_held_as_objects_are_numbers() -> None:
    column = Columns({"x": np.array([1, 2.5, None], dtype=object)}).column("x")
    assert isinstance(column, NumericColumn)
    np.testing.assert_array_equal(column.values, [1, 2.5, np.nan])


def test_numbers_are_copied() -> None:
    values = np.arange(3.0)
    column = Columns({"x": values}).column("x")
    assert isinstance(column, NumericColumn)
    assert not np.shares_memory(column.values, values)


def test_columns_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(DesignError, match="complex numbers in column 'x'"):
        Columns({"x": np.array([1j])}).column("x")
    with pytest.raises(DesignError, match="'x' must be one-dimensional"):
        Columns({"y": [1.0], "x": np.ones((1, 2))}).column("x")
    with pytest.raises(DesignError, match="differ in length: 'y' has 2 values, 'x' has 1"):
        Columns({"y": [1, 2], "x": [1]})
    with pytest.raises(DesignError, match="more than one column named 'x'"):
        Columns(pd.DataFrame([[1, 2]], columns=["x", "x"])).column("x")
    with pytest.raises(DesignError, match=r"must be a data frame .* not int"):
        Columns(3)


def test_levels_of_an_interaction_that_would_be_called_the_same_are_told_apart() -> None:
    data: dict[str, list[Any]] = {"a": ["x", "x:y", "z"] * 8, "b": ["y:1", "1", "1", "2"] * 6}
    data["y"] = [value**2 % 7 for value in range(24)]
    factor = build_design("y ~ 1 + (1 | a:b)", data).factors[0]
    assert factor.levels.is_unique
    labels = set(factor.levels)
    assert {"x:'y:1'", "'x:y':1", "x:y:y:1", "x:1"} <= labels and "x:y:1" not in labels


def test_a_column_with_the_name_of_an_interaction_is_not_taken_for_it() -> None:
    data = {"a": [0, 0, 1, 1] * 6, "b": [0, 1] * 12, "a:b": list(range(8)) * 3}
    data["y"] = [value**2 % 7 for value in range(24)]
    message = "'a:b' has the name of the interaction of 'a' and 'b', and both are grouping factors"
    for terms in ("(1 | a:b) + (1 | `a:b`)", "(1 | `a:b`) + (1 | a:b)"):
        with pytest.raises(DesignError, match=message):
            build_design(f"y ~ 1 + {terms}", data)
    assert build_design("y ~ 1 + (1 | `a:b`)", data).factors[0].n_levels == 8
