"""Single term deletions and backward elimination, against lme4's and lmerTest's tables.

Numbers written here come from R 4.2.2 with lme4 1.1.31, lmerTest 3.1.3 and pbkrtest 0.5.2, fitted
with optCtrl = list(ftol_abs = 1e-12, xtol_abs = 1e-10).
"""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model
from crossnest.formula.formula import parse_formula
from crossnest.inference.submodel import random_parts, subdesign, without
from reference_cases import all_cases, as_array, as_list

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")

CAKE_STEP = "angle ~ recipe * temperature + (1 | recipe:replicate)"


def cases_with(key):
    cases = [case for case in all_cases() if "term" in (case.expected.get(key) or {})]
    return [pytest.param(case, id=case.name) for case in cases]


def assert_table(table, expected, columns):
    """Compare a table with R's, missing values included."""
    for ours, theirs in columns.items():
        reference = as_array(expected[theirs])
        np.testing.assert_allclose(table[ours].to_numpy(float), reference, rtol=0, atol=1e-4)


# ----------------------------------------------------------------------------- random effects


@pytest.mark.parametrize("case", cases_with("ranova"))
def test_ranova_is_lmertests(case):
    table = fitted_model(f"reference/{case.name}").ranova()
    expected = case.expected["ranova"]
    assert list(table.index) == as_list(expected["term"])
    columns = ["npar", "logLik", "AIC", "LRT", "Df", "Pr(>Chisq)"]
    assert list(table.columns) == columns
    assert_table(table, expected, {name: name for name in columns})


def test_ranova_without_reducing_terms(fitted):
    table = fitted("sleepstudy").ranova(reduce_terms=False)
    assert list(table.index) == ["<none>", "(Days | Subject)"]
    np.testing.assert_allclose(table["LRT"].iloc[1], 150.03539151216, atol=1e-4)
    assert table["Df"].iloc[1] == 3


@pytest.mark.parametrize(
    ("random", "labels", "ratios", "df"),
    [
        (
            "(Days + d2 | Subject)",
            ["Days in (Days + d2 | Subject)", "d2 in (Days + d2 | Subject)"],
            [18.070221408738, 13.620586747569],
            3,
        ),
        (
            "(0 + Days + d2 | Subject)",
            ["Days in (0 + Days + d2 | Subject)", "d2 in (0 + Days + d2 | Subject)"],
            [51.678851896513, 18.013857099687],
            2,
        ),
    ],
)
def test_ranova_of_several_effects(random, labels, ratios, df):
    data = crossnest.datasets.sleepstudy().assign(d2=lambda d: d["Days"] ** 2 / 10)
    table = crossnest.lmer(f"Reaction ~ Days + {random}", data).ranova()
    assert list(table.index[1:]) == labels
    np.testing.assert_allclose(table["LRT"].iloc[1:], ratios, atol=1e-4)
    assert (table["Df"].iloc[1:] == df).all()


def test_an_intercept_written_out_is_part_of_the_label():
    data = crossnest.datasets.sleepstudy()
    model = crossnest.lmer("Reaction ~ Days + (1+Days|Subject)", data)
    assert model.ranova().index[1] == "Days in (1 + Days | Subject)"


def test_the_likelihood_without_random_effects_is_that_of_the_linear_model():
    data = crossnest.datasets.sleepstudy()
    data["w"], data["o"] = np.arange(1.0, 181.0), 3.0 * data["Days"]
    model = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w", offset="o")
    X, y, w = model.design.X, data["Reaction"] - data["o"], data["w"].to_numpy()
    beta = np.linalg.solve(X.T * w @ X, X.T * w @ y)
    rss, m = w @ (y - X @ beta) ** 2, 180 - 2
    loglik = -0.5 * (m * (1 + np.log(2 * np.pi * rss / m)) - np.log(w).sum())
    loglik -= 0.5 * np.linalg.slogdet(X.T * w @ X)[1]
    table = model.ranova()
    np.testing.assert_allclose(table["logLik"].iloc[1], loglik, rtol=1e-12)
    np.testing.assert_allclose(table["LRT"].iloc[1], 84.343179107953, atol=1e-4)


# ------------------------------------------------------------------------------ fixed effects


@pytest.mark.parametrize("case", cases_with("drop1_chisq"))
def test_drop1_chisq_is_lme4s(case):
    table = fitted_model(f"reference/{case.name}").drop1(test="chisq")
    expected = case.expected["drop1_chisq"]
    terms = as_list(expected["term"])
    if terms == ["1"]:  # R's name of the row of a model without terms to drop
        terms = ["<none>"]
    assert [name.replace(" ** ", "^") for name in table.index] == terms
    assert list(table.columns) == ["npar", "AIC", "LRT", "Pr(>Chisq)"]
    assert_table(
        table, expected, {"npar": "npar", "AIC": "AIC", "LRT": "LRT", "Pr(>Chisq)": "Pr(Chi)"}
    )


HAM = "Informed.liking ~ Product * Information + Gender + (1 | Consumer) + (1 | Consumer:Product)"


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_drop1_f_is_lmertests(ddf):
    table = crossnest.lmer(HAM, crossnest.datasets.load("ham")).drop1(test="F", ddf=ddf)
    expected = {
        "Gender": [1.46560876884, 1.46560876884, 1, 79, 0.878938007325, 0.351350092612],
        "Product:Information": [
            10.38734567901,
            3.46244855967,
            3,
            320,
            2.076459763483,
            0.103212892060,
        ],
    }
    assert list(table.columns) == ["Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)"]
    assert list(table.index) == list(expected)
    np.testing.assert_allclose(table.to_numpy(), list(expected.values()), rtol=1e-5)


def test_drop1_f_of_beets(fitted):
    table = fitted("reference/beets").drop1(test="F")
    np.testing.assert_allclose(table["F value"], [2.57894736773, 101.0, 15.21052631170], rtol=1e-5)
    np.testing.assert_allclose(table["DenDF"], [2, 20, 2], rtol=1e-3)
    np.testing.assert_allclose(
        table["Pr(>F)"], [0.279411764769, 5.74116091848e-13, 0.0598978518789], rtol=1e-3
    )


def test_drop1_f_has_sums_of_squares_before_the_scaling():
    # lmerTest's figures; F is scaled by 0.966 here.
    data = crossnest.datasets.sleepstudy().iloc[[*range(25), *range(30, 58)]]
    model = crossnest.lmer("Reaction ~ C(Days) + (Days | Subject)", data)
    table = model.drop1(test="F", ddf="kenward-roger")
    expected = [13186.308758, 1465.1454175, 9, 28.988449396, 1.5804849575, 0.16789198945]
    np.testing.assert_allclose(table.iloc[0], expected, rtol=2e-5)


def test_drop1_f_without_an_intercept_drops_columns():
    cake = crossnest.datasets.load("cake")
    model = crossnest.lmer("angle ~ 0 + recipe + temperature + (1 | replicate)", cake)
    table = model.drop1(test="F")
    np.testing.assert_allclose(table["NumDF"], [3, 5])
    np.testing.assert_allclose(table["F value"], [129.36725783148, 18.26561309739], rtol=1e-5)
    with pytest.raises(NotImplementedError, match="coded differently"):
        model.drop1(test="chisq")


def test_aliased_terms_have_no_test(fitted):
    table = fitted("reference/rank_deficient").drop1(test="F")
    assert list(table.index) == ["Days", "D2"]
    assert table.isna().all(axis=None)


def test_scope(fitted):
    cake = fitted("reference/cake")
    assert list(cake.drop1().index) == ["<none>", "recipe:temperature"]
    temp = fitted("reference/cake_temp")
    assert list(temp.drop1(scope=["temp"]).index) == ["<none>", "temp"]
    with pytest.raises(ValueError, match="'recipe' cannot be left out"):
        cake.drop1(scope=["recipe"])
    with pytest.raises(ValueError, match=r"'oven' is not a term .* recipe, temp"):
        temp.drop1(scope=["oven"])
    with pytest.raises(ValueError, match="test must be"):
        temp.drop1(test="t")


# ---------------------------------------------------------------------------------- submodels


SUBMODELS = [
    ("sleepstudy", "Reaction ~ Days + I(Days**2) + offset(2 * Days) + (Days || Subject)", {}),
    (
        "sleepstudy",
        "np.log(Reaction) ~ bs(Days, df=4) + center(Days) + (center(Days) | Subject)",
        {},
    ),
    ("pastes", "strength ~ 1 + (1 | batch/cask)", {}),
    ("cake", "angle ~ recipe * temperature + (1 | replicate) + (1 | recipe:replicate)", {}),
    ("cake", "angle ~ C(recipe) + temp + (0 + recipe | replicate)", {"weights": "temp"}),
    ("machines", "score ~ Machine + (Machine || Worker)", {}),
    ("machines", "score ~ Machine + (1 | C(Worker)) + (1 | C(Worker):Machine)", {}),
]


@pytest.mark.parametrize(("dataset", "formula", "arguments"), SUBMODELS)
def test_submodels_are_the_models_of_their_formulas(dataset, formula, arguments):
    data = crossnest.datasets.load(dataset)
    design = crossnest.build_design(formula, data, **arguments)
    fixed = design.formula.fixed
    parts = random_parts(design)
    choices = [(without(fixed, term), None) for term in fixed.terms[-1:] if len(fixed.terms) > 1]
    choices += [(None, parts[1:])] if len(parts) > 1 else []
    choices += [(None, [parts[0].without(parts[0].term.effects.terms[-1]), *parts[1:]])]
    for effects, terms in choices:
        sub = subdesign(design, effects, terms)
        again = crossnest.build_design(sub.formula.text, data, **arguments)
        assert parse_formula(sub.formula.text) == sub.formula
        assert [term.term for term in sub.random] == [term.term for term in again.random]
        assert sub.x_names == again.x_names
        np.testing.assert_array_equal(sub.X, again.X)
        assert [f.name for f in sub.factors] == [f.name for f in again.factors]
        for ours, theirs in zip(sub.random, again.random, strict=True):
            assert (ours.factor, ours.names) == (theirs.factor, theirs.names)
            for column, expected in zip(ours.columns, theirs.columns, strict=True):
                np.testing.assert_array_equal(column, expected)
        assert sub.x_names == again.x_names == sub.coding.names
        assert [t.names for t in sub.random] == [t.names for t in again.random]


def test_nested_groups_keep_lme4s_names():
    ham = crossnest.datasets.load("ham")
    design = crossnest.build_design("Age ~ 1 + (1 | Gender/Information/Product)", ham)
    sub = subdesign(design, parts=random_parts(design)[:2])
    names = ["Product:(Information:Gender)", "Information:Gender"]
    assert [factor.name for factor in sub.factors] == names
    assert [term.term.group for term in sub.random] == names
    assert sub.formula.text == (
        "Age ~ 1 + (1 | Product:Information:Gender) + (1 | Information:Gender)"
    )


def test_terms_that_would_be_coded_anew_are_refused():
    cake = crossnest.datasets.cake()
    model = crossnest.lmer("angle ~ recipe * temp + (1 | replicate)", cake)
    fixed = model.design.formula.fixed
    recipe, temp = fixed.terms[1], fixed.terms[2]
    # recipe:temp has a slope for each recipe, coded by contrasts of a slope that is gone
    with pytest.raises(NotImplementedError, match=r"coded differently.*fit that formula"):
        subdesign(model.design, without(fixed, temp))
    # without recipe it is read as temp:recipe, coded by contrasts as before
    smaller = subdesign(model.design, without(fixed, recipe))
    again = crossnest.lmer(f"angle ~ {smaller.formula.fixed.text} + (1 | replicate)", cake)
    np.testing.assert_array_equal(smaller.X, again.design.X)


def test_a_submodel_that_does_not_converge_is_told_of():
    hurried = crossnest.Control(max_evaluations=1)
    data = crossnest.datasets.sleepstudy()
    with pytest.warns(crossnest.ConvergenceWarning):
        model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data, control=hurried)
    with pytest.warns(crossnest.ConvergenceWarning, match=r"`Reaction ~ Days \+ \(1 \| Subject\)`"):
        model.ranova()


def test_a_reduced_model_can_be_pickled():
    cake = crossnest.datasets.load("cake")
    step = crossnest.lmer(CAKE_STEP, cake).step()
    again = pickle.loads(pickle.dumps(step.model))
    assert again.formula == step.formula
    pd.testing.assert_series_equal(again.fixef, step.model.fixef)
    assert again.objective_at(again.theta) == pytest.approx(step.model.objective, rel=1e-12)


# ------------------------------------------------------------------------ backward elimination


HAM_STEP = (
    "Informed.liking ~ Product * Information * Gender + Age + (1 | Consumer) "
    "+ (1 | Product:Consumer)"
)
HAM_FIXED = {
    "Age": (1, 0.0250903077572, 78, 0.0150677225409, 0.9026202841225),
    "Product:Information:Gender": (2, 5.9915415161096, 316, 1.1993855295987, 0.3100961341798),
    "Product:Gender": (3, 1.7435717936058, 237, 0.3483747568815, 0.7903597470196),
    "Information:Gender": (4, 1.4074535155074, 319, 0.8436494035080, 0.3590490777098),
    "Gender": (5, 1.4656087688393, 79, 0.8789380073251, 0.3513500926112),
    "Product:Information": (6, 10.3873456790123, 320, 2.0764596876027, 0.1032129022091),
    "Product": (0, 19.3465650004249, 240, 3.8291489992173, 0.0104758882703),
    "Information": (0, 6.5200617283950, 323, 3.8714295547924, 0.0499699954474),
}


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_step_of_ham_is_lmertests(ddf):
    step = crossnest.lmer(HAM_STEP, crossnest.datasets.load("ham")).step(ddf=ddf)
    assert list(step.random.index) == ["<none>", "(1 | Consumer)", "(1 | Product:Consumer)"]
    np.testing.assert_array_equal(step.random["Eliminated"], [np.nan, 0, 0])
    np.testing.assert_allclose(
        step.random["LRT"].iloc[1:], [3.23501941364, 164.26275446565], atol=1e-4
    )
    assert list(step.fixed.index) == list(HAM_FIXED)
    columns = ["Eliminated", "Sum Sq", "DenDF", "F value", "Pr(>F)"]
    np.testing.assert_allclose(step.fixed[columns], list(HAM_FIXED.values()), rtol=1e-4)
    assert step.formula == (
        "Informed.liking ~ Product + Information + (1 | Consumer) + (1 | Product:Consumer)"
    )
    assert step.get_model() is step.model
    fresh = crossnest.lmer(step.formula, crossnest.datasets.load("ham"))
    np.testing.assert_allclose(step.model.objective, fresh.objective, rtol=1e-12)


def test_step_simplifies_a_random_term(fitted):
    step = fitted("reference/orthodont").step()
    assert list(step.random.index) == ["<none>", "age in (age | Subject)", "(1 | Subject)"]
    np.testing.assert_array_equal(step.random["Eliminated"], [np.nan, 1, 0])
    np.testing.assert_allclose(step.random["npar"], [8, 6, 5])
    np.testing.assert_allclose(
        step.random["logLik"], [-216.290830751304, -216.878624601, -241.779558730], atol=1e-4
    )
    np.testing.assert_allclose(step.fixed["F value"], [6.30270894649], rtol=1e-4)
    np.testing.assert_allclose(step.fixed["DenDF"], [79], rtol=1e-3)
    assert step.formula == "distance ~ age + Sex + age:Sex + (1 | Subject)"


def test_step_may_end_with_a_linear_model(fitted):
    step = fitted("reference/beets").step()
    assert list(step.random.index) == ["<none>", "(1 | block:harvest)"]
    np.testing.assert_allclose(step.random["LRT"].iloc[1], 1.0118508392, atol=1e-4)
    expected = {
        "block": [
            0,
            2,
            0.0326666666667,
            0.0953333333333,
            -160.5471941548,
            5.73404255319,
            9.90170486691e-03,
        ],
        "sow": [0, 4, 1.01, 1.0726666666667, -91.9314886528, 88.64361702128, 3.07303481850e-13],
        "harvest": [
            0,
            1,
            0.0963333333333,
            0.159,
            -143.2014537527,
            33.81914893617,
            7.50794682394e-06,
        ],
    }
    assert list(step.fixed.columns) == [
        "Eliminated",
        "Df",
        "Sum of Sq",
        "RSS",
        "AIC",
        "F value",
        "Pr(>F)",
    ]
    assert list(step.fixed.index) == list(expected)
    np.testing.assert_allclose(step.fixed, list(expected.values()), rtol=1e-8)
    assert step.formula == "sugpct ~ block + sow + harvest"
    assert not isinstance(step.model, crossnest.LinearMixedModel)


def test_step_without_anything_to_test():
    step = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.load("dyestuff2")).step()
    np.testing.assert_allclose(step.random["Pr(>Chisq)"].iloc[1], 1)
    assert step.random["LRT"].iloc[1] == 0
    assert len(step.fixed) == 0
    assert step.formula == "Yield ~ 1"
    assert "Model found:\nYield ~ 1" in repr(step)


def test_step_keeps_what_it_is_told_to(fitted):
    ham = crossnest.lmer(HAM_STEP, crossnest.datasets.load("ham"))
    step = ham.step(alpha_random=0.05, reduce_fixed=False)
    np.testing.assert_array_equal(step.random["Eliminated"], [np.nan, 1, 0])
    np.testing.assert_allclose(step.random["LRT"].iloc[2], 197.86471903, atol=1e-4)
    np.testing.assert_allclose(step.fixed["F value"], [0.01902, 1.19939], atol=1e-5)
    kept = ham.step(keep=["Product:Gender", "Age"])
    assert {"Product:Gender", "Age", "Gender"} <= set(
        map(str, kept.model.design.formula.fixed.terms)
    )
    unchanged = ham.step(reduce_fixed=False, reduce_random=False)
    assert unchanged.model is ham
    with pytest.raises(ValueError, match="'Weight' is not a term"):
        ham.step(keep=["Weight"])


def test_step_prints_as_in_r(fitted):
    step = fitted("sleepstudy").step()
    assert "Model found: Reaction ~ Days" in step._repr_html_()
    lines = repr(step).split("\n")
    assert lines[0] == "Backward reduced random-effect table:"
    assert "Backward reduced fixed-effect table:" in lines
    assert "Degrees of freedom method: Satterthwaite" in lines
    assert lines[-2:] == ["Model found:", "Reaction ~ Days + (Days | Subject)"]


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("(Days - 1|Subject)", "(Days - 1 | Subject)"),
        ("(1+Days | Subject)", "(1 + Days | Subject)"),
        ("(-1 + Days | Subject)", "(-1 + Days | Subject)"),
        ("(0 + Days | Subject)", "(0 + Days | Subject)"),
    ],
)
def test_a_term_is_printed_as_the_user_wrote_it(written, printed):
    design = crossnest.build_design(f"Reaction ~ Days + {written}", crossnest.datasets.sleepstudy())
    assert [part.label for part in random_parts(design)] == [printed]
