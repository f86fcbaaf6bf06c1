"""R's formatting: against R's own results (tests/expected/rformat) and by what must always hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the hypothesis profile)
from crossnest.tables import r_format as _rformat

CASES = json.loads(
    (Path(__file__).parents[1] / "expected" / "rformat" / "cases.json").read_text(encoding="utf-8")
)
numbers = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


def floats(texts):
    """Read numbers written with 17 digits; a vector of length one is a scalar."""
    return [float(text) for text in ([texts] if isinstance(texts, str) else texts)]


@pytest.mark.parametrize("case", CASES["numbers"])
def test_format_numbers(case):
    result = _rformat.format_numbers(floats(case["x"]), case["digits"], case["nsmall"])
    assert result == case["text"]


@pytest.mark.parametrize("case", CASES["rounded"])
def test_round_and_zapsmall(case):
    x = floats(case["x"])
    assert [_rformat.round_digits(v, case["digits"]) for v in x] == floats(case["round"])
    assert _rformat.zapsmall(x, case["digits"] + 1) == floats(case["zapsmall"])


@pytest.mark.parametrize("case", CASES["coefficients"])
def test_format_coefficients(case):
    table = np.array([floats(row) for row in case["table"]])
    cells = _rformat.format_coefficients(table, case["digits"])
    names = [f"x{i + 1}" for i in range(len(table))]
    columns = ["Estimate", "Std. Error", "t value"]
    assert _rformat.matrix_lines(cells, names, columns, right=True) == case["text"]


@pytest.mark.parametrize("case", CASES["abbreviated"])
def test_abbreviate(case):
    assert _rformat.abbreviate(case["names"], case["minlength"]) == case["short"]


@pytest.mark.parametrize("case", CASES["tables"])
def test_tables(case):
    rows, columns, cells = case["rows"], case["columns"], case["cells"]
    assert _rformat.matrix_lines(cells, rows, columns, case["right"]) == case["text"]
    assert _rformat.vector_lines(columns, cells[0], case["gap"]) == case["vector"]


@pytest.mark.parametrize("case", CASES["formulas"])
def test_deparse_formula(case):
    pieces = ["Formula:", *_rformat.deparse_formula(case["formula"])]
    assert _rformat.fill_lines(pieces) == case["text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y~x+(1|g)", "y ~ x + (1 | g)"),
        ("np.log(y) ~ 0+x**2 + (x||g/h)", "np.log(y) ~ 0 + x**2 + (x || g/h)"),
        ("y ~ -1 + I(-x) + bs(x,df=3) + (1|`a b`)", "y ~ -1 + I(-x) + bs(x, df = 3) + (1 | `a b`)"),
        ("y ~ I(x*1e-6) + {x+z} + (1|g)", "y ~ I(x * 1e-6) + {x + z} + (1 | g)"),
        ("y ~ a %in% b + I(x if z else 0) + (1|g)", "y ~ a %in% b + I(x if z else 0) + (1 | g)"),
    ],
)
def test_deparse_formula_knows_python(text, expected):
    assert _rformat.deparse_formula(text) == [expected]


def test_not_finite():
    cells = _rformat.format_numbers([1.5, np.nan, np.inf, -np.inf])
    assert cells == [" 1.5", " NaN", " Inf", "-Inf"]
    assert _rformat.format_numbers([np.nan]) == ["NaN"]
    table = np.array([[1.0, np.nan, np.nan]])
    assert _rformat.format_coefficients(table) == [["  1", "NaN", "NaN"]]
    assert np.isnan(_rformat.round_digits(np.nan, 2))


def test_negative_zero_has_no_sign():
    assert _rformat.format_numbers([-0.0, 1.25]) == ["0.00", "1.25"]


def test_wide_characters_take_two_columns():
    lines = _rformat.matrix_lines([["a"], ["b"]], ["数", "x"], ["c"])
    assert lines == ["   c", "数 a", "x  b"]


@given(st.lists(numbers, min_size=1, max_size=8), st.integers(1, 15))
def test_digits_asked_for_are_shown(x, digits):
    cells = _rformat.format_numbers(x, digits)
    assert len({len(cell) for cell in cells}) == 1
    for value, cell in zip(x, cells, strict=True):
        assert abs(float(cell) - value) <= 0.500001 * 10.0 ** (1 - digits) * abs(value)


@given(numbers, st.integers(0, 8))
def test_round_digits_is_near(x, digits):
    off = abs(_rformat.round_digits(x, digits) - x)
    assert off <= 0.500001 * 10.0**-digits + abs(x) * 1e-15


@given(
    st.lists(st.text(st.sampled_from("abcdeiouXYZ123:. "), min_size=1, max_size=25), unique=True),
    st.integers(1, 12),
)
def test_abbreviations_stay_distinct(names, minlength):
    distinct = list(dict.fromkeys(name.strip(" ") for name in names if name.strip(" ")))
    assert len(set(_rformat.abbreviate(distinct, minlength))) == len(distinct)
