"""Satterthwaite's degrees of freedom: R's numbers, n x n matrices, and the other simple methods."""

from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats

import crossnest
from crossnest.inference import satterthwaite
from crossnest.inference.ddf import coefficient_tests
from crossnest.inference.ddf import tester as make_tester
from crossnest.inference.satterthwaite import f_denominator
from marginal import Marginal
from reference_cases import as_array, case_names, load_case
from shared_files import shared

CASES = [name for name in case_names() if load_case(name).expected.get("satterthwaite")]
INTERIOR = ["sleepstudy", "sleepstudy_ml", "pastes", "penicillin", "reference/sleepstudy_w"]


def eye(model):
    return np.eye(len(model.fixef))


def quietly(formula, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


@pytest.mark.parametrize("name", CASES)
def test_reference(fitted, name):
    expected = load_case(name).expected["satterthwaite"]
    model = fitted(f"reference/{name}")
    table = make_tester(model, "satterthwaite").t_table(eye(model))
    for column in ("Estimate", "Std. Error", "df", "t value"):
        np.testing.assert_allclose(table[column], as_array(expected[column]), rtol=5e-6, atol=1e-7)
    np.testing.assert_allclose(table["Pr(>|t|)"], as_array(expected["Pr(>|t|)"]), atol=1e-6)


def brute_force_df(model, L):
    """lmerTest's formula in (theta, sigma), by n x n matrices."""
    marginal = Marginal.of(model)
    values, vectors = np.linalg.eigh(marginal.hessian)
    kept = values > 1e-8
    A = (vectors[:, kept] * (2 / values[kept])) @ vectors[:, kept].T
    gradient = np.einsum("ij,ajk,ik->ia", L, marginal.jacobian, L)
    variance = np.einsum("ij,jk,ik->i", L, marginal.Phi, L)
    return 2 * variance**2 / np.einsum("ia,ab,ib->i", gradient, A, gradient)


@pytest.mark.parametrize("name", [*INTERIOR, "reference/cake_temp", "reference/dyestuff2"])
def test_n_by_n_matrices(fitted, name):
    model = fitted(name)
    p = len(model.fixef)
    L = np.vstack([np.eye(p), np.random.default_rng(2).normal(size=(3, p))])
    found = make_tester(model, "satterthwaite").df(L)
    np.testing.assert_allclose(found, brute_force_df(model, L), rtol=1e-6)


# --- singular fits: lmerTest 3.1.3 at the theta lme4 1.1-31 found ---------------------------------


def test_singular_correlations():
    # Both terms have a correlation of 1 or -1.
    data = load_case("cake_temp").data
    model = quietly("angle ~ recipe + temp + (temp | recipe:replicate) + (temp | replicate)", data)
    assert model.is_singular
    expected = [129.6129967, 28.4970974, 28.4970974, 48.8866189]
    df = make_tester(model, "satterthwaite").df(eye(model))
    np.testing.assert_allclose(df, expected, rtol=1e-4)
    theta = [5.05544844699e-01, -4.67014842819e-03, 0, 3.70733461676e-01, 4.98428904385e-03, 0]
    df = make_tester(model.evaluate(theta), "satterthwaite").df(eye(model))
    np.testing.assert_allclose(df, expected, rtol=5e-7)
    df = make_tester(model, "satterthwaite").df(eye(model))
    np.testing.assert_allclose(df, brute_force_df(model, eye(model)), rtol=1e-6)


def test_singular_joint_tests():
    data = load_case("cake_temp").data.drop(index=[0, 4, 16, 39, 40, 99, 129, 199])
    model = quietly("angle ~ recipe + temp + (temp | recipe:replicate)", data)
    assert model.is_singular
    model = model.evaluate([1.280029368208e-01, 6.367363596837e-03, 0])
    used = make_tester(model, "satterthwaite")
    L = eye(model)[1:]
    test = used.f_test(L)
    assert test.num_df == 3
    np.testing.assert_allclose(test.den_df, 54.44882755424, rtol=5e-7)
    np.testing.assert_allclose(test.statistic, 28.76416683792, rtol=1e-9)
    np.testing.assert_allclose(test.pvalue, 2.793492537314e-11, rtol=1e-5)
    test = used.f_test(L[:2], np.array([1.0, -1.0]))
    np.testing.assert_allclose(test[:3], [0.6193937577655, 2, 42.06172132291], rtol=5e-7)
    # Redundant rows say nothing new; lmerTest's df then depend on them (42.06355907795).
    test = used.f_test(np.vstack([L[:2], L[0] - 2 * L[1]]))
    np.testing.assert_allclose(test[:3], [0.2255052965369, 2, 42.06172132291], rtol=5e-7)


def test_variance_of_zero(fitted):
    # Dyestuff2: the model is that of independent observations.
    df = make_tester(fitted("dyestuff2"), "satterthwaite").df(np.eye(1))
    np.testing.assert_allclose(df, 29, rtol=1e-8)


# --- maximum likelihood --------------------------------------------------------------------------


def test_maximum_likelihood():
    # lmerTest 3.1.3, REML = FALSE
    data = load_case("penicillin").data
    model = crossnest.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data, reml=False)
    line = make_tester(model, "satterthwaite").t_table(np.eye(1)).iloc[0]
    np.testing.assert_allclose(line["df"], 6.68906278896, rtol=1e-5)
    np.testing.assert_allclose(line["Std. Error"], 0.744595921931, rtol=1e-6)
    data = load_case("cake").data
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    model = crossnest.lmer(formula, data, reml=False)
    df = coefficient_tests(model, "satterthwaite")["df"]
    np.testing.assert_allclose(df.iloc[:3], 82.9680213, rtol=1e-5)
    np.testing.assert_allclose(df.iloc[3:], 225, rtol=1e-6)


# --- what follows from the definition ------------------------------------------------------------


@pytest.mark.parametrize("change", ["(x - 3) * 1e-5", "x * 1e5", "x + 1e4"])
def test_units_do_not_matter(change):
    data = crossnest.datasets.sleepstudy().rename(columns={"Days": "x"}).iloc[5:]
    data = data.drop(index=[20, 33, 34, 35, 90])
    base = quietly("Reaction ~ x + (x | Subject)", data)
    changed = data.assign(x=data.eval(change), Reaction=1e-3 * data["Reaction"])
    other = quietly("Reaction ~ x + (x | Subject)", changed)
    L = np.array([[0.0, 1.0]])
    df = [make_tester(model, "satterthwaite").df(L)[0] for model in (base, other)]
    np.testing.assert_allclose(df[1], df[0], rtol=1e-5)


def test_a_joint_test_does_not_depend_on_how_it_is_written(fitted):
    model = fitted("machines")
    used = make_tester(model, "satterthwaite")
    rotation = scipy.linalg.qr(np.random.default_rng(3).normal(size=(2, 2)))[0]
    L = eye(model)[1:]
    np.testing.assert_allclose(used.f_test(rotation @ L), used.f_test(L), rtol=1e-8)


def test_f_denominator():
    assert f_denominator(np.array([7.0])) == 7.0
    assert f_denominator(np.array([7.0, 7.0])) == 7.0
    assert f_denominator(np.array([1.5, 30.0])) == 2.0
    # E F = nu / (nu - 2) is the mean of those of the squared t's.
    nu = f_denominator(np.array([5.0, 12.0]))
    np.testing.assert_allclose(nu / (nu - 2), np.mean([5 / 3, 12 / 10]))


def test_without_fixed_effects(fitted):
    used = make_tester(fitted("no_fixed"), "satterthwaite")
    assert used.t_table(np.zeros((0, 0))).empty
    assert used.f_test(np.zeros((0, 0))).num_df == 0


def test_pickled_models_give_the_same(fitted):
    model = fitted("sleepstudy")
    expected = coefficient_tests(model, "satterthwaite")
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(coefficient_tests(again, "satterthwaite"), expected, rtol=1e-9)


def test_instructor_evaluations():
    # lmerTest 3.1.3 at the theta lme4 1.1-31 found (its criterion is 2.5e-7 above the minimum).
    data = crossnest.datasets.insteval()
    model = crossnest.lmer("y ~ 1 + (1 | s) + (1 | d) + (1 | dept:service)", data)
    there = model.evaluate([0.2758913575543, 0.4354664297086, 0.0951935080541])
    np.testing.assert_allclose(
        make_tester(there, "satterthwaite").df(np.eye(1)), 51.0406949097, rtol=2e-6
    )
    df = make_tester(model, "satterthwaite").df(np.eye(1))
    np.testing.assert_allclose(df, 51.0406949097, rtol=1e-3)


@pytest.mark.parametrize(
    ("key", "file", "formula"),
    [
        ("read_satterthwaite", "childread", "reading_age ~ hrs_week + (1 + hrs_week | school)"),
        ("gp_random_intercept", "gp_cholesterol", "chol ~ age + (1 | doctor)"),
        ("gp_random_slope", "gp_cholesterol", "chol ~ age + (age | doctor)"),
        ("gp_group_covariate", "gp_cholesterol", "chol ~ age + agedoc + (1 | doctor)"),
    ],
)
def test_teaching_data(key, file, formula):
    data = pd.read_csv(shared(f"seeds/{file}.csv"))
    expected = json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))[key]
    model = quietly(formula, data)
    there = model.evaluate(np.atleast_1d(expected["theta"]))
    for fit, tolerance in (there, 1e-6), (model, 1e-3):
        table = coefficient_tests(fit, "satterthwaite")
        for column in ("Estimate", "Std. Error", "df", "t value"):
            np.testing.assert_allclose(table[column], expected["coef"][column], rtol=tolerance)
        pvalues = expected["coef"]["Pr(>|t|)"]
        np.testing.assert_allclose(table["Pr(>|t|)"], pvalues, rtol=100 * tolerance)


def test_sas_on_pastry_dough():
    # SAS's Satterthwaite: the derivatives and the observed information are exact there too.
    formula = "LEI ~ FR + MC + SS + FR:MC + FR:SS + MC:SS + I(FR**2) + I(MC**2) + I(SS**2)"
    data = pd.read_csv(shared("reference_sas/pastry_dough.csv"))
    names = {"Flow Rate": "FR", "Moisture Content": "MC", "Screw Speed": "SS"}
    data = data.rename(columns=names | {"Longitudinal Expansion Index": "LEI"})
    for name in names.values():
        data[name] -= (data[name].min() + data[name].max()) / 2
        data[name] /= data[name].max()
    model = crossnest.lmer(formula + " + (1 | Day)", data)
    table = coefficient_tests(model, "satterthwaite")[:4]
    df = [17.9117348654385, 12.5049351013861, 12.4684849005296, 12.5049351013861]
    np.testing.assert_allclose(table["df"], df, rtol=1e-6)
    np.testing.assert_allclose(table["Std. Error"].iloc[1], 0.20481823508938, rtol=1e-7)


# --- the other methods ---------------------------------------------------------------------------


def test_residual_degrees_of_freedom(fitted):
    model = fitted("machines")
    used = make_tester(model, "residual")
    table = used.t_table(eye(model))
    assert (table["df"] == 54 - 3).all()
    np.testing.assert_allclose(table["t value"], model.tvalues, rtol=1e-12)
    L = np.vstack([eye(model)[1:], eye(model)[1] + eye(model)[2]])
    test = used.f_test(L)
    beta, vcov = model.fixef.to_numpy()[1:], model.vcov.to_numpy()[1:, 1:]
    assert test.num_df == 2
    np.testing.assert_allclose(test.statistic, beta @ np.linalg.solve(vcov, beta) / 2)
    np.testing.assert_allclose(test.pvalue, scipy.stats.f.sf(test.statistic, 2, 51))


def test_normal_is_called_by_its_name(fitted):
    model = fitted("machines")
    used = make_tester(model, "normal")
    table = used.t_table(eye(model))
    assert list(table) == ["Estimate", "Std. Error", "df", "z value", "Pr(>|z|)"]
    assert np.isinf(table["df"]).all()
    np.testing.assert_allclose(table["Pr(>|z|)"], 2 * scipy.stats.norm.sf(abs(table["z value"])))
    test = used.f_test(eye(model)[1:])
    np.testing.assert_allclose(test.pvalue, scipy.stats.chi2.sf(2 * test.statistic, 2))


def test_testers_are_made_once(fitted):
    model = fitted("pastes")
    assert make_tester(model, "satterthwaite") is make_tester(model, "satterthwaite")
    observed = make_tester(model, "kenward-roger-observed")
    assert observed is not make_tester(model, "kenward-roger")
    assert make_tester(model.evaluate([1.0, 0.5]), "satterthwaite") is not make_tester(
        model, "satterthwaite"
    )


@pytest.mark.parametrize(
    ("ddf", "message"),
    [
        ("none", "means no tests"),
        ("exact", "ddf must be one of 'satterthwaite'"),
        ("kenward-roger-average", "ddf must be one of .*'kenward-roger-observed'"),
        ("satterthwaite-observed", "ddf must be one of"),
    ],
)
def test_unknown_methods(fitted, ddf, message):
    with pytest.raises(ValueError, match=message):
        make_tester(fitted("pastes"), ddf)


def test_a_curvature_that_is_not_finite_is_refused(monkeypatch):
    """LAPACK's "Eigenvalues did not converge" came through."""
    model = crossnest.lmer("diameter ~ 1 + (1 | plate)", crossnest.datasets.penicillin())
    unknown = {"hessian": np.full((2, 2), np.nan), "jacobian": np.zeros((2, 1, 1))}
    monkeypatch.setattr(satterthwaite, "engine_curvature", lambda model: unknown)
    with pytest.raises(crossnest.FitError, match="the estimates is not finite"):
        model.anova()
    with pytest.warns(crossnest.InferenceWarning, match="is not finite"):
        assert model.summary().coef_table["df"].isna().all()
