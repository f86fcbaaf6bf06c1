"""Tables of tests: printed as R prints them, plain data frames otherwise."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from crossnest.tables.tables_of_tests import TestTable
from reference_cases import TESTS, as_array, as_list

CASES = json.loads((TESTS / "anova" / "cases.json").read_text(encoding="utf-8"))["cases"]
LEGEND = (
    "Signif. codes:  0 \u2018***\u2019 0.001 \u2018**\u2019 0.01 \u2018*\u2019 0.05 \u2018.\u2019 "
    "0.1 \u2018 \u2019 1"
)


def table_of(expected: dict, heading: str = "") -> TestTable:
    """Make a table of R's numbers."""
    columns = {name: as_array(values) for name, values in expected.items() if name != "terms"}
    return TestTable(columns, heading=heading, index=as_list(expected["terms"]))


@pytest.fixture
def table() -> TestTable:
    return TestTable(
        {"Chisq": [np.nan, 3.2, 4.0], "Df": [np.nan, 1, 2], "Pr(>Chisq)": [np.nan, 1e-20, 0.04]},
        index=["m0", "m1", "m2"],
        heading="Models:\nthree",
    )


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_text_is_rs(case):
    """R zaps what is small against a column's largest, formats columns alone, shares F's digits."""
    heading = "Type III Analysis of Variance Table with Satterthwaite's method"
    text = table_of(case["tables"][2], heading).to_text()
    if case["case"] == "intercept_alone":  # R prints the names of the columns otherwise
        assert text.split("\n")[0] == heading
    else:
        assert text.split("\n") == as_list(case["text"])


def test_missing_values_are_blank(table):
    assert str(table).split("\n") == [
        "Models:",
        "three",
        "   Chisq Df Pr(>Chisq)    ",
        "m0                        ",
        "m1   3.2  1     <2e-16 ***",
        "m2   4.0  2       0.04 *  ",
        "---",
        LEGEND,
    ]


@pytest.mark.parametrize(
    ("pvalues", "cells"),
    [
        ([0.2, 0.3], ["   0.2", "   0.3"]),
        ([1e-300, 0.0], ["< 2.2e-16 ***", "< 2.2e-16 ***"]),
        ([0.00012, 1e-20, 0.5], ["0.00012 ***", "< 2e-16 ***", "0.50000    "]),
    ],
)
def test_pvalues(pvalues, cells):
    """As R prints the same."""
    table = TestTable({"F value": np.ones(len(pvalues)), "Pr(>F)": pvalues})
    lines = str(table).split("\n")[1 : 1 + len(pvalues)]
    assert [line.endswith(cell) for line, cell in zip(lines, cells, strict=True)] == [True] * len(
        cells
    ), lines
    assert (LEGEND in str(table)) == (min(pvalues) < 0.1)


def test_html(table):
    text = table._repr_html_()
    for piece in ("Models:<br>three", "<td>&lt;2e-16</td><td>***</td>", "<td>m0</td><td></td>"):
        assert piece in text
    assert "Signif. codes" in text


def test_it_is_a_data_frame(table):
    assert table.loc["m1", "Chisq"] == 3.2
    assert type(table["Chisq"]) is pd.Series
    assert (table["Pr(>Chisq)"] < 0.05).sum() == 2
    pd.testing.assert_frame_equal(pd.DataFrame(table) * 2, pd.DataFrame(table * 2))


def test_heading_survives(table):
    for other in (table.copy(), table.loc[["m1"]], pickle.loads(pickle.dumps(table))):
        assert other.heading == "Models:\nthree"
        assert str(other).startswith("Models:\nthree\n")


def test_with_other_columns_it_prints_as_pandas_does(table):
    mixed = table.assign(formula=["a", "b", "c"])
    assert repr(mixed) == repr(pd.DataFrame(mixed))
    assert mixed._repr_html_() == pd.DataFrame(mixed)._repr_html_()


def test_empty():
    assert str(TestTable(columns=["F value", "Pr(>F)"], dtype=float)) == " F value Pr(>F)"
