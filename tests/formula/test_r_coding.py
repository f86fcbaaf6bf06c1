"""Model matrices against R's: the coding of factors by margins, transforms, missing values.

`reference_r_coding/make_cases.R` made the cases. A model matrix agrees with R's when it has as many
columns and they span the same space, term by term; where the names are R's, so are the columns.
"""

from __future__ import annotations

import functools
import json
import re
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest.formula.formula import Factor
from crossnest.formula.model_matrix import margins_present

DIRECTORY = Path(__file__).parents[1] / "expected" / "reference_r_coding"
REFERENCE = json.loads((DIRECTORY / "cases.json").read_text())
CASES = {f"{case['formula'][4:]} [{case['coding']}]": case for case in REFERENCE["cases"]}
assert len(CASES) == len(REFERENCE["cases"])


@functools.cache
def data() -> pd.DataFrame:
    """Return the frame of the R script, its ordered factor declared."""
    frame = pd.read_csv(DIRECTORY / "frame.csv")
    frame["o"] = pd.Categorical(frame["o"], ["low", "mid", "high"], ordered=True)
    return frame


def contrasts(case):
    """Return the argument `contrasts` of a case."""
    if case["contrasts"] is None:
        return None
    return {
        name: coding["named"] if "named" in coding else np.array(coding["matrix"], dtype=float)
        for name, coding in case["contrasts"].items()
    }


def reference_matrix(case) -> np.ndarray:
    """Return R's model matrix of a case."""
    columns = [REFERENCE["pool"][at] for at in case["columns"]]
    return np.array(columns, dtype=float).T.reshape(-1, len(columns))


def our_matrix(case) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Return our model matrix of a case, its names and the rows used."""
    formula = case["formula"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        design = crossnest.build_design(
            formula, data(), contrasts=contrasts(case), mixed="|" in formula
        )
    rows = np.asarray(design.index)
    if case["kind"] == "fixed":
        return design.X, tuple(design.x_names), rows
    (term,) = design.random
    ones = np.ones(design.n)
    return np.column_stack([ones if c is None else c for c in term.columns]), term.names, rows


def as_in_r(name: str) -> str:
    """Rewrite a column's name as R writes it: `f[T.b]` as `fb`, `I(x ** 2)` as `I(x^2)`."""
    name = re.sub(r"\[(?:T\.)?([^\]]*)\]", r"\1", name)
    name = name.replace(" ** ", "^").replace("**", "^")
    return name.replace("True", "TRUE").replace("False", "FALSE")


def residual(of: np.ndarray, on: np.ndarray) -> float:
    """Return how far the worst column of a matrix lies from the span of another's."""
    if not of.size:
        return 0.0
    fitted = on @ np.linalg.lstsq(on, of, rcond=1e-10)[0]
    lengths = np.linalg.norm(of, axis=0)
    lengths[lengths == 0] = 1.0  # a cell that no row is in
    return float((np.linalg.norm(of - fitted, axis=0) / lengths).max())


@pytest.fixture(autouse=True)
def as_many_random_effects_as_there_are(monkeypatch):
    """Let terms have more random effects than the few rows of the example allow to fit."""
    monkeypatch.setattr(crossnest.design.design, "_check_term", lambda *_: None)


@pytest.mark.parametrize("name", CASES)
def test_model_matrix_is_r_s(name):
    case = CASES[name]
    expected = reference_matrix(case)
    matrix, names, rows = our_matrix(case)
    assert rows.tolist() == case["rows"]
    assert matrix.shape == expected.shape, (names, case["names"])
    assert np.linalg.matrix_rank(matrix) == case["rank"]
    assert residual(matrix, expected) < 1e-7, (names, case["names"])
    assert residual(expected, matrix) < 1e-7, (names, case["names"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["kind"] == "fixed"])
def test_terms_span_the_same_columns_one_after_the_other(name):
    case = CASES[name]
    expected, assign = reference_matrix(case), case["assign"]
    matrix, names, _ = our_matrix(case)
    for term in sorted(set(assign)):
        upto = sum(a <= term for a in assign)
        assert residual(expected[:, :upto], matrix[:, :upto]) < 1e-7, (names, case["names"])


def test_columns_of_r_s_names_are_r_s_columns():
    different, shared = [], 0
    for label, case in CASES.items():
        matrix, names, _ = our_matrix(case)
        expected = dict(zip(case["names"], reference_matrix(case).T, strict=True))
        for name, column in zip(names, matrix.T, strict=True):
            theirs = expected.get(as_in_r(name))
            shared += theirs is not None
            if theirs is not None and not np.allclose(column, theirs, rtol=1e-9, atol=1e-9):
                different.append(f"{label}: {name}")
    assert not different
    assert shared > 700


def test_margins_of_thousands_of_interactions_are_found_at_once():
    """Each pair of terms was compared: minutes for the interactions of fifteen factors."""
    factors = [Factor(name) for name in "abcdefghijklm"]
    products = tuple(product for order in range(14) for product in combinations(factors, order))
    assert len(products) == 2**13
    began = time.perf_counter()
    assert all(map(all, margins_present(products)))
    assert time.perf_counter() - began < 5.0


def test_margins_may_be_part_of_a_term_before():
    a, b, c = map(Factor, "abc")
    assert margins_present(((a, b, c), (a, b), (b, c))) == (
        (False, False, False),
        (True, True),
        (True, True),
    )
