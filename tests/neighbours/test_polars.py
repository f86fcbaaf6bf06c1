"""Results as polars data frames."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import crossnest

pl = pytest.importorskip("polars")
pytest.importorskip("pyarrow")

to_polars = crossnest.to_polars


def test_polars_in_and_out(fitted):
    new = pl.DataFrame({"Days": [0, 12], "Subject": ["308", "309"]})
    model = fitted("sleepstudy")
    table = to_polars(model.predict(new, interval="prediction"))
    assert table.columns == ["fit", "se", "lower", "upper"]
    assert_array_equal(table["fit"], model.predict(new))
    augmented = to_polars(model.augment(new))
    assert augmented.columns == ["Days", "Subject", ".fitted", ".fixed"]
    assert augmented["Subject"].to_list() == ["308", "309"]


@pytest.mark.parametrize("method", ["tidy", "glance", "augment", "anova", "confint"])
def test_tables_of_a_model(method, fitted):
    model = fitted("sleepstudy")
    arguments = {"confint": {"method": "wald"}}.get(method, {})
    table = getattr(model, method)(**arguments)
    frame = to_polars(table)
    assert frame.columns[-table.shape[1] :] == list(table.columns)
    assert frame.height == len(table)
    for name in table.columns:
        if pd.api.types.is_float_dtype(table[name]):
            assert_array_equal(frame[name].cast(pl.Float64).to_numpy(), table[name])


def test_labels_are_a_column(fitted):
    model = fitted("sleepstudy")
    assert to_polars(model.fixef).rows() == list(model.fixef.items())
    assert to_polars(model.fixef).columns == ["index", "value"]
    modes = to_polars(model.ranef())["Subject"]
    assert modes.columns == ["Subject", "(Intercept)", "Days"]
    assert modes["Subject"][0] == "308"


def test_factors_keep_the_order_of_their_levels():
    levels = ["low", "high", "none"]
    frame = pd.DataFrame(
        {
            "text": pd.Categorical(["high", None, "low"], levels),
            "number": pd.Categorical([3, 1, 3], [3, 1]),
        }
    )
    table = to_polars(frame)
    assert table["text"].dtype == pl.Enum(levels)
    assert table["text"].to_list() == ["high", None, "low"]
    assert table["number"].to_list() == [3, 1, 3]


def test_nan_is_null():
    assert to_polars(pd.Series([1.0, np.nan], name="x"))["x"].null_count() == 1


def test_without_polars(monkeypatch, fitted):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"crossnest\[polars\]"):
        to_polars(fitted("sleepstudy").fixef)


def test_columns_polars_cannot_hold_are_refused_in_our_words():
    with pytest.raises(TypeError, match="result has a column that polars cannot hold"):
        to_polars(pd.DataFrame({"x": [object(), object()]}))
    assert to_polars(pd.DataFrame({1: [2.0]})).columns == ["1"]
