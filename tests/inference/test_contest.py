"""Contrast tests: against lmerTest's, and all the ways to write a hypothesis."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_anova_of_terms import model_of

import crossnest
import strategies  # noqa: F401  (loads the hypothesis profile)
from crossnest.inference.hypotheses import Hypotheses, parse
from reference_cases import TESTS

CASES = json.loads((TESTS / "anova" / "cases.json").read_text(encoding="utf-8"))["cases"]
CONTESTS = [(case["case"], i) for case in CASES for i in range(len(case["contests"] or []))]
SINGLE = ["Estimate", "Std. Error", "df", "t value", "lower", "upper", "Pr(>|t|)"]


def contest_of(name: str, number: int) -> dict:
    return next(case for case in CASES if case["case"] == name)["contests"][number]


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize(("name", "number"), CONTESTS)
def test_joint_tests_are_lmertests(name, number, ddf):
    case = contest_of(name, number)
    table = model_of(name).contest(np.array(case["L"]), case["rhs"], ddf=ddf)
    expected = case[ddf.replace("-", "_")]["joint"]
    assert list(table.columns) == list(expected)
    for column in table.columns:
        rtol = 1e-3 if column in ("DenDF", "Pr(>F)") else 1e-5
        np.testing.assert_allclose(table[column], expected[column], rtol=rtol, err_msg=column)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize(("name", "number"), CONTESTS)
def test_single_tests_are_lmertests(name, number, ddf):
    case = contest_of(name, number)
    table = model_of(name).contest(np.array(case["L"]), case["rhs"], joint=False, ddf=ddf)
    assert list(table.columns) == SINGLE
    for (_, row), expected in zip(
        table.iterrows(), case[ddf.replace("-", "_")]["single"], strict=True
    ):
        np.testing.assert_allclose(row, list(expected.values()), rtol=1e-3, atol=1e-6)


def test_a_coefficient_is_tested_as_in_the_summary(fitted):
    model = fitted("sleepstudy")
    single = model.contest("Days", joint=False)
    coef_table = model.summary().coef_table.loc[["Days"]]
    pd.testing.assert_frame_equal(pd.DataFrame(single[list(coef_table.columns)]), coef_table)
    joint = model.contest("Days = 0")
    assert joint["F value"].iloc[0] == pytest.approx(model.tvalues["Days"] ** 2)
    assert joint["Pr(>F)"].iloc[0] == pytest.approx(model.pvalues["Days"])


def test_limits_hold_the_values_that_are_not_rejected(fitted):
    model = fitted("sleepstudy")
    limits = model.contest("Days", joint=False)[["lower", "upper"]].to_numpy()[0]
    for limit in limits:
        assert model.contest("Days", limit)["Pr(>F)"].iloc[0] == pytest.approx(0.05)


def test_redundant_rows_count_once(fitted):
    model = fitted("sleepstudy")
    once, twice = model.contest("Days"), model.contest(["Days", "2 * Days"])
    assert twice["NumDF"].iloc[0] == 1
    np.testing.assert_allclose(once, twice, rtol=1e-6)


def test_normal_approximation(fitted):
    table = fitted("sleepstudy").contest("Days", joint=False, ddf="normal")
    assert np.isinf(table["df"].iloc[0])
    half = 1.959963984540054 * table["Std. Error"]
    np.testing.assert_allclose(table["upper"] - table["Estimate"], half)


def test_forms_of_the_same_hypothesis(fitted):
    model = fitted("reference/cake")
    names = list(model.fixef.index)
    row = np.zeros(len(names))
    row[names.index("recipe[T.B]")], row[names.index("recipe[T.C]")] = 1, -1
    forms = [
        row,
        row[None],
        row.tolist(),
        {"recipe[T.B]": 1, "recipe[T.C]": -1},
        pd.Series({"recipe[T.B]": 1.0, "recipe[T.C]": -1.0}),
        pd.DataFrame({"recipe[T.B]": [1], "recipe[T.C]": [-1]}),
        "recipe[T.B] - recipe[T.C]",
        "recipe[T.B] = recipe[T.C]",
        ["recipe[T.B] - recipe[T.C] == 0"],
        "`recipe[T.B]`-`recipe[T.C]`",
    ]
    for form in forms:
        hypotheses = Hypotheses.of(model, form)
        np.testing.assert_array_equal(hypotheses.L, row[None])
        np.testing.assert_array_equal(hypotheses.rhs, [0])


def test_labels(fitted):
    model = fitted("sleepstudy")
    frame = pd.DataFrame({"Days": [1, 2]}, index=["one", "two"])
    assert list(model.contest(frame, joint=False).index) == ["one", "two"]
    weights = {"Days": -1, "(Intercept)": 0.5}
    assert list(model.contest(weights).index) == ["- Days + 0.5 * (Intercept)"]
    texts = ["Days = 10", "(Intercept) = 250"]
    assert list(model.contest(texts, joint=False).index) == texts
    assert list(model.contest(texts).index) == ["Days = 10; (Intercept) = 250"]


# ------------------------------------------------------------------------------------- text

NAMES = ("(Intercept)", "a", "a:b", "a[T.x-y]", "bs(x, df=4)[1]", "np.log(z)", "I(x ** 2)", "e1")


@pytest.mark.parametrize(
    ("text", "weights", "constant"),
    [
        ("a", {"a": 1}, 0),
        ("-a + 2*a:b", {"a": -1, "a:b": 2}, 0),
        ("a:b*3 - a / 4", {"a": -0.25, "a:b": 3}, 0),
        ("2 * (a - (Intercept)) = 4", {"a": 2, "(Intercept)": -2}, -4),
        ("a[T.x-y] = bs(x, df=4)[1] + 1", {"a[T.x-y]": 1, "bs(x, df=4)[1]": -1}, -1),
        ("np.log(z) - I(x ** 2) == .5", {"np.log(z)": 1, "I(x ** 2)": -1}, -0.5),
        ("1e1 * e1 = 1e-2", {"e1": 10}, -0.01),
        ("3 = a - 1 - 1", {"a": -1}, 5),
        ("(a + a) / 2", {"a": 1}, 0),
        ("a - -1 * a", {"a": 2}, 0),
    ],
)
def test_parse(text, weights, constant):
    form = parse(text, NAMES)
    assert {name: w for name, w in zip(NAMES, form.weights, strict=True) if w} == weights
    assert form.constant == constant
    assert form.is_equation == ("=" in text.replace("df=4", ""))


@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(1, 9), st.sampled_from("+-")), min_size=1
    )
)
def test_parse_sums(parts):
    text = " ".join(f"{sign} {weight} * {name}" for name, weight, sign in parts)
    expected = dict.fromkeys(NAMES, 0)
    for name, weight, sign in parts:
        expected[name] += weight if sign == "+" else -weight
    np.testing.assert_array_equal(parse(text, NAMES).weights, list(expected.values()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b = 0", "unknown coefficient 'b'"),
        ("a[T.x] = 0", r"unknown coefficient 'a\[T.x\]', did you mean 'a\[T.x-y\]'"),
        ("a * a:b", "multiplies coefficients"),
        ("1 / a", "divides by something that is not a number"),
        ("a / 0", "divides by something that is not a number"),
        ("(a + a:b", "a bracket is not closed"),
        ("a +", "a coefficient is missing"),
        ("a = 0 = 1", "cannot read '= 1'"),
        ("a a", "cannot read 'a'"),
        ("__import__('os')", "unknown coefficient"),
        ("", "a coefficient is missing"),
    ],
)
def test_parse_errors(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text, NAMES)


# ----------------------------------------------------------------------------- wrong, aliased


@pytest.mark.parametrize(
    ("L", "rhs", "message"),
    [
        ([1.0, 2.0, 3.0], 0, r"L has shape \(3,\), expected 2 columns"),
        ({"Dayz": 1}, 0, "unknown coefficient 'Dayz', did you mean 'Days'?"),
        (pd.DataFrame({"x": [1]}), 0, "unknown coefficient 'x'"),
        ([0.0, np.nan], 0, "L must be finite"),
        (np.zeros((0, 2)), 0, "L contains no hypothesis"),
        ([0.0, 0.0], 0, "hypothesis '1' involves no coefficient"),
        ("Days - Days", 0, "hypothesis 'Days - Days' involves no coefficient"),
        ([0.0, 1.0], [1, 2], "rhs has 2 values for 1 hypotheses"),
        ([0.0, 1.0], np.nan, "rhs must be finite"),
        ("Days = 3", 1, "not both"),
    ],
)
def test_wrong_hypotheses(fitted, L, rhs, message):
    with pytest.raises(ValueError, match=message):
        fitted("sleepstudy").contest(L, rhs)


def test_right_sides(fitted):
    model = fitted("sleepstudy")
    np.testing.assert_allclose(model.contest("Days = 3"), model.contest("Days", 3))
    np.testing.assert_allclose(model.contest("Days - 1 = 2"), model.contest("Days", 3))
    np.testing.assert_allclose(model.contest("Days - 1", 2), model.contest("Days", 3))


def test_aliased_coefficients(fitted):
    """`twice` is 2 * Days and `plus` is Days + 1; both were dropped."""
    model = fitted("golden/rank_deficient")
    assert model.dropped == ("twice", "plus")
    days = model.contest("Days")
    np.testing.assert_allclose(model.contest([0, 1]), days)
    np.testing.assert_allclose(model.contest([0, 1, 0, 0]), days)
    # What a change of one day does is estimable however it is shared out.
    np.testing.assert_allclose(model.contest("Days + 2 * twice + plus"), days)
    with pytest.raises(ValueError, match="not estimable: the model was fitted without twice, al"):
        model.contest("Days - twice = 0")
    with pytest.raises(ValueError, match="not estimable: the model was fitted without twice, plus"):
        model.contest({"twice": 1, "plus": 1})
    with pytest.raises(ValueError, match="expected 2 or 4 columns"):
        model.contest([0, 1, 0])


def test_no_fixed_effects(fitted):
    with pytest.raises(ValueError, match="no fixed effects"):
        fitted("no_fixed").contest(np.zeros((1, 0)))


def test_ddf_none_is_refused(fitted):
    with pytest.raises(ValueError, match="for a test ddf must be one of"):
        fitted("sleepstudy").contest("Days", ddf="none")


def test_hypotheses_that_contradict_each_other_are_tested_one_by_one_only(fitted):
    model = fitted("sleepstudy")
    texts = ["Days = 10", "2 * Days = 0"]
    for ddf in ("satterthwaite", "kenward-roger"):
        with pytest.raises(ValueError, match="contradict each other"):
            model.contest(texts, ddf=ddf)
    assert len(model.contest(texts, joint=False)) == 2
    same = model.contest(["Days = 10", "2 * Days = 20"])
    np.testing.assert_allclose(same, model.contest("Days = 10"), rtol=1e-6)


def test_hypotheses_in_other_units_count_and_do_not_contradict_each_other(fitted):
    model = fitted("sleepstudy")
    for ddf in ("satterthwaite", "kenward-roger", "residual", "normal"):
        days = model.contest(["(Intercept) = 250", "Days = 10"], ddf=ddf)
        table = model.contest([[1, 0], [0, 1e-7]], [250, 1e-6], ddf=ddf)  # ten millions of days
        assert table["NumDF"].iloc[0] == 2
        np.testing.assert_allclose(table["F value"], days["F value"], rtol=1e-6)
        np.testing.assert_allclose(table["DenDF"], days["DenDF"], rtol=0.01)


def test_a_hypothesis_in_small_units_counts(fitted):
    """Of two rows one was left out without a word where its weights were below 1e-10."""
    model = fitted("sleepstudy")
    both = model.contest([[1, 0], [0, 1]], ddf="residual")
    np.testing.assert_allclose(model.contest([[1, 0], [0, 1e-12]], ddf="residual"), both, rtol=1e-6)
    modcomp = crossnest.sat_modcomp(model, [[1, 0], [0, 1e-12], [0, 2e-12]])
    np.testing.assert_allclose(modcomp["NumDF"], 2)


def test_a_row_of_rounding_errors_does_not_count(fitted):
    model = fitted("sleepstudy")
    table = model.contest([[0, 1], [1e-17, -1e-17]])
    np.testing.assert_allclose(table, model.contest("Days"))


@pytest.mark.parametrize(
    ("L", "rhs", "message"),
    [
        ({"Days"}, 0, "L must hold numbers, not"),
        ({"Days": "one"}, 0, "L must hold numbers, not"),
        (["Days", 1], 0, "L must hold numbers, not"),
        ("Days", "one", "rhs must hold numbers, not 'one'"),
    ],
)
def test_what_is_no_number_is_told(fitted, L, rhs, message):
    with pytest.raises(TypeError, match=message):
        fitted("sleepstudy").contest(L, rhs)


def test_there_must_be_hypotheses(fitted):
    for empty in ([], np.zeros((0, 2)), pd.DataFrame({"Days": []})):
        with pytest.raises(ValueError, match="L contains no hypothesis"):
            fitted("sleepstudy").contest(empty)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_the_size_of_the_weights_does_not_matter(fitted, size):
    model = fitted("sleepstudy")
    for L in (np.array([0.0, size]), np.array([[0.0, size], [size, 0.0]])):
        plain = np.where(size == L, 1.0, L)
        np.testing.assert_allclose(model.contest(L), model.contest(plain), rtol=1e-10)
    single = model.contest([0.0, size], joint=False)
    expected = model.contest([0.0, 1.0], joint=False)
    scaled = ["Estimate", "Std. Error", "lower", "upper"]
    np.testing.assert_allclose(single[scaled] / size, expected[scaled], rtol=1e-10)
    np.testing.assert_allclose(
        single.drop(columns=scaled), expected.drop(columns=scaled), rtol=1e-10
    )
