"""Tables of types I, II and III: against lmerTest's, and against each other where they agree."""

from __future__ import annotations

import functools
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.linalg

import crossnest
from crossnest.inference.anova_hypotheses import hypothesis_matrices
from crossnest.tables.tables_of_tests import TestTable
from reference_cases import TESTS, all_cases, as_array, as_list, load_case, translate_formula

FILE = json.loads((TESTS / "anova" / "cases.json").read_text(encoding="utf-8"))
CASES = {case["case"]: case for case in FILE["cases"]}
COLUMNS = ["Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"]


@functools.cache
def data_set(name: str) -> pd.DataFrame:
    """Read a data set of the cases."""
    levels = FILE["factors"][name]
    data = pd.read_csv(TESTS / "anova" / f"{name}.csv.gz", dtype=dict.fromkeys(levels, str))
    for column, categories in levels.items():
        ordered = column in FILE["ordered"]
        data[column] = pd.Categorical(data[column], categories, ordered=ordered)
    return data


@functools.cache
def model_of(name: str) -> crossnest.LinearMixedModel:
    """Fit a case, and take it at R's theta."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        formula = translate_formula(case["formula"])
        contrasts = case["contrasts"] or None
        model = crossnest.lmer(
            formula, data_set(case["data"]), reml=case["REML"], contrasts=contrasts
        )
    np.testing.assert_allclose(model.theta, case["theta"], rtol=2e-4, atol=1e-5)
    return model.evaluate(case["theta"])


def comparable(names: list[str]) -> list[str]:
    """Write names as R and formulaic both do: ``I(x ** 2)`` is ``I(x^2)``."""
    return [name.replace("**", "^").replace(" ", "") for name in names]


def check_table(table: TestTable, expected: dict, p_atol: float = 1e-4) -> None:
    """Compare as tests/expected/reference/README.md says: DenDF relatively by 1e-3, p by 1e-4."""
    assert comparable(table.index) == comparable(as_list(expected["terms"]))
    assert list(table.columns) == COLUMNS
    for column in COLUMNS[:-1]:
        close = {"rtol": 1e-3 if column == "DenDF" else 1e-5, "atol": 1e-7, "err_msg": column}
        np.testing.assert_allclose(table[column], as_array(expected[column]), **close)
    np.testing.assert_allclose(table["Pr(>F)"], as_array(expected["Pr(>F)"]), atol=p_atol)


#: R codes x:b of `0 + x + x:b` by dummies, formulaic by contrasts: type II tests other slopes.
CODED_DIFFERENTLY = ("slopes_without_intercept", 2)


@pytest.mark.parametrize(
    ("name", "type"),
    [(name, type) for name in CASES for type in (1, 2, 3) if (name, type) != CODED_DIFFERENTLY],
)
def test_tables_are_lmertests(name, type):
    check_table(model_of(name).anova(type), CASES[name]["tables"][type - 1])


@pytest.mark.parametrize("name", [name for name in CASES if "kenward_roger" in CASES[name]])
def test_kenward_roger_is_lmertests(name):
    check_table(model_of(name).anova(ddf="kenward-roger"), CASES[name]["kenward_roger"])


@pytest.mark.parametrize(
    ("name", "type"), [("cells", 3), ("two_factors", 1), ("empty_cell", 2), ("polynomial", 3)]
)
def test_hypotheses_are_lmertests(name, type):
    """Rows and all, where the coefficients are the same as R's."""
    matrices = hypothesis_matrices(model_of(name), type)
    expected = CASES[name]["hypotheses"][type - 1]
    for ours, theirs in zip(matrices.values(), expected.values(), strict=True):
        theirs = np.atleast_2d(np.array(theirs, dtype=float))
        if name == "cells":  # R has cell means, formulaic differences: compare what they span
            assert len(ours) == len(theirs)
        else:
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


TABLES = [
    (1, "satterthwaite", "anova1_satterthwaite"),
    (2, "satterthwaite", "anova2_satterthwaite"),
    (3, "satterthwaite", "anova3_satterthwaite"),
    (3, "kenward-roger", "anova3_kr"),
]


def reference_tables() -> list[tuple[str, int, str, str]]:
    """List the tables of tests/expected/reference R did not refuse."""
    found = []
    for case in all_cases("reference"):
        for type, ddf, key in TABLES:
            expected = case.expected.get(key)
            if isinstance(expected, dict) and "term" in expected:
                found.append((case.name, type, ddf, key))
    return found


@pytest.mark.parametrize(("name", "type", "ddf", "key"), reference_tables())
def test_reference_tables(fitted, name, type, ddf, key):
    model = fitted(f"reference/{name}")
    expected = load_case(name).expected[key]
    table = model.anova(type, ddf)
    terms = as_list(expected["term"])
    assert len(table) == len(terms)
    np.testing.assert_array_equal(table["NumDF"], as_array(expected["NumDF"]))
    np.testing.assert_allclose(table["F value"], as_array(expected["F value"]), rtol=2e-4)
    np.testing.assert_allclose(table["Sum Sq"], as_array(expected["Sum Sq"]), rtol=2e-4)
    np.testing.assert_allclose(table["DenDF"], as_array(expected["DenDF"]), rtol=1e-3)
    np.testing.assert_allclose(table["Pr(>F)"], as_array(expected["Pr(>F)"]), atol=1e-4)


def test_with_covariates_alone_f_is_t_squared(fitted):
    """Whatever their units: here 1e-6 and 1e6."""
    model = fitted("golden/sleepstudy_extreme_units")
    for type in (2, 3):
        np.testing.assert_allclose(model.anova(type)["F value"], model.tvalues[1:] ** 2, rtol=1e-8)


def test_types_agree_where_the_design_is_balanced(fitted):
    model = fitted("reference/cake")
    tables = [model.anova(type, ddf="residual") for type in ("I", "II", "III")]
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-8)
    np.testing.assert_allclose(tables[0], tables[2], rtol=1e-8)


def test_type_three_does_not_depend_on_contrasts():
    """Compare with the F test of contrasts that sum to zero, where coefficients are the effects."""
    model = model_of("sum_contrasts")
    table = model_of("two_factors").anova(3, ddf="residual")
    columns = {"a": [1], "b": [2, 3], "a:b": [4, 5]}
    theta = model_of("two_factors").theta.to_numpy()
    for term, own in columns.items():
        joint = model.evaluate(theta).contest(np.eye(6)[own], ddf="residual")
        np.testing.assert_allclose(table.loc[term, "F value"], joint["F value"].iloc[0], rtol=1e-8)


@pytest.mark.parametrize("units", [1e-60, 1e-8, 1e20, 1e69])
def test_tables_do_not_depend_on_units_of_covariates(units):
    """Type III of `z` with both covariates times 1e-8 had p = .128 for .386."""
    rng = np.random.default_rng(1)
    n = 120
    data = pd.DataFrame({name: rng.normal(size=n) for name in "yxz"})
    data = data.assign(f=rng.choice(list("abc"), n), g=np.arange(n) % 8)
    data["y"] += rng.normal(size=8)[data["g"]]
    in_units = data.assign(x=data["x"] * units, z=data["z"] * units)
    formula = "y ~ f*x*z + poly(x, 2):f + (1 | g)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.RankDeficiencyWarning)
        one, other = crossnest.lmer(formula, data), crossnest.lmer(formula, in_units)
    for type in (1, 2, 3):
        tables = [model.anova(type=type)[COLUMNS[2:]] for model in (one, other)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-6)


def test_type_one_adds_up():
    """Sequential sums of squares are those of whitened X: brute force with n x n matrices."""
    model = model_of("two_factors")
    X, Z = model.design.X, model.model_matrix("random").toarray()
    V = np.eye(model.nobs) + model.theta.iloc[0] ** 2 * Z @ Z.T
    root = scipy.linalg.cholesky(V, lower=True)
    white = scipy.linalg.solve_triangular(root, np.column_stack([X, model.design.y]), lower=True)
    L = hypothesis_matrices(model, 1)
    beta, vcov = model.fixef.to_numpy(), model.vcov.to_numpy()
    np.testing.assert_allclose(
        np.linalg.lstsq(white[:, :-1], white[:, -1], rcond=None)[0], beta, rtol=1e-8
    )
    table = model.anova(1, ddf="normal")
    for term, rows in L.items():
        statistic = rows @ beta @ np.linalg.solve(rows @ vcov @ rows.T, rows @ beta) / len(rows)
        np.testing.assert_allclose(table.loc[term, "F value"], statistic, rtol=1e-8)


def test_methods_without_theory(fitted):
    model = fitted("reference/cake")
    residual, normal = model.anova(ddf="residual"), model.anova(ddf="normal")
    assert (residual["DenDF"] == 252).all()
    assert np.isinf(normal["DenDF"]).all()
    np.testing.assert_allclose(residual["F value"], normal["F value"])
    assert "residual degrees of freedom" in residual.heading
    assert "the normal approximation" in normal.heading


def test_text(fitted):
    text = str(fitted("reference/cake").anova())
    assert text.startswith("Type III Analysis of Variance Table with Satterthwaite's method\n")
    assert "\ntemperature        2100.30  420.06     5   210 20.5199 <2e-16 ***\n" in text


def test_no_fixed_effects(fitted):
    table = fitted("no_fixed").anova()
    assert table.shape == (0, 6)


def test_wrong_arguments(fitted):
    model = fitted("sleepstudy")
    with pytest.raises(ValueError, match="type must be 1, 2 or 3, or 'I', 'II' or 'III', not 4"):
        model.anova(4)
    with pytest.raises(ValueError, match=r"ddf must be one of 'satterthwaite'.* not 'none'"):
        model.anova(ddf="none")


def test_too_few_contrasts_are_refused():
    data = data_set("trial")
    one = np.array([[1.0], [0.0], [0.0]])
    model = crossnest.lmer("y ~ a * b + (1 | g)", data, contrasts={"b": one})
    with pytest.raises(NotImplementedError, match="one contrast fewer"):
        model.anova(3)
    assert list(model.anova(2, ddf="residual")["NumDF"]) == [1, 1, 1]
