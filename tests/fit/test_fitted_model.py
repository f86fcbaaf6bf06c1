"""The fitted model's attributes: labels, shapes, and what theory says of them.

Numbers are compared with R's in test_reference.py.
"""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import MODELS
from crossnest.fit.fitted_model import FittedModel


@pytest.fixture(params=sorted(MODELS))
def model(request, fitted):
    return fitted(request.param)


@pytest.fixture(scope="module")
def unusual():
    """Return arguments of lmer with weights, offset, missing rows and a row index of its own."""
    rng = np.random.default_rng(1)
    data = crossnest.datasets.sleepstudy()
    data.index = pd.Index([f"row {i}" for i in range(len(data))])
    data["w"] = rng.uniform(0.5, 2.0, len(data))
    data["known"] = 5.0 * data["Days"]
    data.loc[["row 3", "row 100"], "Reaction"] = np.nan
    data.loc["row 7", "w"] = 0.0
    return {
        "formula": "Reaction ~ Days + (Days | Subject)",
        "data": data,
        "weights": "w",
        "offset": "known",
    }


def test_the_record_has_no_verbs():
    """They are functions in the rooms, and methods of `LinearMixedModel` that call these."""
    assert not [
        name for name, item in vars(FittedModel).items() if callable(item) and name[0] != "_"
    ]


# --- the criterion


def test_information_criteria(model):
    assert model.llf == -model.objective / 2
    assert model.aic == pytest.approx(model.objective + 2 * model.npar)
    assert model.bic == pytest.approx(model.objective + np.log(model.nobs) * model.npar)
    assert model.npar == len(model.fixef) + len(model.theta) + 1
    assert model.df_resid == model.nobs - model.npar


def test_objective_as_a_function_of_theta(model):
    assert model.objective_at(model.theta) == pytest.approx(model.objective, rel=1e-12)
    moved = model.theta + 0.2
    assert model.objective_at(moved) > model.objective
    step = 1e-5
    for name, slope in model.gradient_at(moved).items():
        ahead, behind = moved.copy(), moved.copy()
        ahead[name] += step
        behind[name] -= step
        difference = model.objective_at(ahead) - model.objective_at(behind)
        assert slope == pytest.approx(difference / (2 * step), rel=1e-4, abs=1e-4)


def test_both_criteria_at_one_theta(fitted):
    reml, ml = fitted("sleepstudy"), fitted("sleepstudy_ml")
    assert reml.objective_at(ml.theta, reml=False) == pytest.approx(ml.objective, rel=1e-12)
    assert ml.objective_at(reml.theta, reml=True) == pytest.approx(reml.objective, rel=1e-12)


def test_evaluate_gives_a_model_at_theta(fitted):
    model = fitted("sleepstudy")
    at = model.evaluate([1.0, 0.0, 0.5])
    assert at.objective == pytest.approx(model.objective_at([1.0, 0.0, 0.5]), rel=1e-12)
    assert list(at.theta) == [1.0, 0.0, 0.5]
    assert at.fixef["Days"] == pytest.approx(model.fixef["Days"])  # balanced data
    same = model.evaluate(model.theta)
    np.testing.assert_allclose(same.fittedvalues, model.fittedvalues, rtol=1e-12)


def test_theta_may_be_given_by_name(fitted):
    model = fitted("sleepstudy")
    assert model.objective_at(model.theta[::-1]) == model.objective_at(model.theta)


@pytest.mark.parametrize(
    ("theta", "message"),
    [
        ([1.0], r"has 1 values, the model has 3 covariance parameters: Subject\.\(Intercept\)"),
        (np.ones((3, 1)), r"has shape \(3, 1\)"),
        ([1.0, 0.0, np.nan], r"of Subject\.Days is nan, not a finite number"),
        ([1.0, 0.0, -0.5], r"of Subject\.Days is -0\.5, below its bound 0"),
        (["a", "b", "c"], "must be numbers"),
    ],
)
def test_bad_theta_is_refused(fitted, theta, message):
    with pytest.raises(ValueError, match=f"^theta.*{message}"):
        fitted("sleepstudy").objective_at(theta)


# --- parameters


def test_theta_is_labelled_as_lme4s(fitted):
    assert list(fitted("sleepstudy").theta.index) == [
        "Subject.(Intercept)",
        "Subject.Days.(Intercept)",
        "Subject.Days",
    ]
    assert list(fitted("sleepstudy_zcp").theta.index) == ["Subject.(Intercept)", "Subject.Days"]
    assert list(fitted("pastes").theta.index) == ["cask:batch.(Intercept)", "batch.(Intercept)"]


def test_var_corr_follows_from_theta(fitted):
    model = fitted("sleepstudy")
    a, b, c = model.theta
    factor = np.array([[a, 0.0], [b, c]])
    expected = model.sigma**2 * factor @ factor.T
    np.testing.assert_allclose(model.var_corr["Subject"], expected, rtol=1e-12)
    assert model.var_corr.sigma == model.sigma


def test_fixed_effects_solve_generalized_least_squares(fitted):
    """beta = (X'V^-1 X)^-1 X'V^-1 y, and its covariance, with V written out."""
    for name in ("sleepstudy", "machines", "pastes"):
        model = fitted(name)
        X, Z = model.model_matrix().to_numpy(), model.model_matrix("random").toarray()
        blocks = [
            np.kron(np.eye(count), model.var_corr[group])
            for group, count in zip(model.var_corr, model.n_levels.values(), strict=True)
        ]
        V = model.sigma**2 * np.eye(model.nobs)
        at = 0
        for block in blocks:
            part = Z[:, at : at + len(block)]
            V += part @ block @ part.T
            at += len(block)
        information = X.T @ np.linalg.solve(V, X)
        beta = np.linalg.solve(information, X.T @ np.linalg.solve(V, model.design.y))
        np.testing.assert_allclose(model.fixef, beta, rtol=1e-9)
        np.testing.assert_allclose(model.vcov, np.linalg.inv(information), rtol=1e-8)


def test_names_of_statsmodels(model):
    assert model.params.equals(model.fixef)
    assert model.cov_params().equals(model.vcov)
    np.testing.assert_allclose(model.bse, np.sqrt(np.diag(model.vcov)))
    np.testing.assert_allclose(model.tvalues, model.params / model.bse)
    assert list(model.vcov.index) == list(model.vcov.columns) == list(model.bse.index)


def test_without_fixed_effects(fitted):
    model = fitted("no_fixed")
    assert model.reml is False
    assert len(model.fixef) == 0
    assert model.vcov.shape == (0, 0)
    assert model.objective_at(model.theta, reml=True) == pytest.approx(model.objective)


# --- random effects


def test_ranef_is_labelled_by_level_and_effect(fitted):
    modes = fitted("sleepstudy").ranef()
    assert list(modes) == ["Subject"]
    frame = modes["Subject"]
    assert list(frame.columns) == ["(Intercept)", "Days"]
    assert frame.index.name == "Subject"
    assert list(frame.index[:3]) == ["308", "309", "310"]


def test_terms_on_one_factor_stand_side_by_side(fitted):
    model = fitted("sleepstudy_zcp")
    assert list(model.ranef()["Subject"].columns) == ["(Intercept)", "Days"]
    assert list(model.cond_var()) == ["Subject", "Subject.1"]
    assert model.n_levels == {"Subject": 18}


def test_ranef_with_conditional_standard_deviations(fitted):
    model = fitted("sleepstudy")
    long = model.ranef(cond_var=True)
    assert list(long.columns) == ["grpvar", "term", "grp", "condval", "condsd"]
    assert len(long) == 36
    days = long[long["term"] == "Days"].set_index("grp")
    modes = model.ranef()["Subject"]["Days"]
    np.testing.assert_array_equal(days["condval"], modes)
    assert list(days.index) == list(modes.index)
    variances = model.cond_var()["Subject"][:, 1, 1]
    np.testing.assert_allclose(days["condsd"], np.sqrt(variances))
    both = fitted("penicillin").ranef(cond_var=True)
    assert list(both["grpvar"].unique()) == ["plate", "sample"]
    assert len(both) == 30


def test_coef_adds_fixed_and_random_effects(fitted):
    model = fitted("sleepstudy")
    coef = model.coef()["Subject"]
    np.testing.assert_allclose(coef, model.ranef()["Subject"] + model.fixef)
    assert list(coef.columns) == ["(Intercept)", "Days"]


def test_coef_counts_random_only_effects_as_zero(fitted):
    model = fitted("no_fixed")
    np.testing.assert_allclose(model.coef()["Subject"], model.ranef()["Subject"])
    machines = fitted("machines")
    coef = machines.coef()["Worker"]
    only_random = [c for c in machines.ranef()["Worker"].columns if c not in machines.fixef.index]
    assert list(coef.columns) == [*only_random, *machines.fixef.index]


def test_coef_of_terms_on_one_factor(fitted):
    model = fitted("sleepstudy_zcp")
    expected = model.ranef()["Subject"] + model.fixef
    np.testing.assert_allclose(model.coef()["Subject"], expected)


# --- observations


def test_fitted_values_are_the_linear_predictor(model):
    X, Z = model.model_matrix("fixed").to_numpy(), model.model_matrix("random")
    by_term = len(model.var_corr) > len(model.n_levels)  # || on one factor
    modes = [frame.to_numpy().ravel("F" if by_term else "C") for frame in model.ranef().values()]
    expected = X @ model.fixef.to_numpy() + Z @ np.concatenate(modes)
    np.testing.assert_allclose(model.fittedvalues, expected, rtol=1e-9)
    np.testing.assert_allclose(model.resid, model.design.y - model.fittedvalues)


def test_rows_keep_their_labels(unusual):
    model = crossnest.lmer(**unusual)
    left_out = {"row 3", "row 100", "row 7"}
    expected = [label for label in unusual["data"].index if label not in left_out]
    for series in (model.fittedvalues, model.resid, model.leverages(), model.residuals("scaled")):
        assert list(series.index) == expected
    text = str(model.summary())
    assert "  (2 observations deleted due to missingness)" in text
    assert "  (1 observation of weight zero left out)" in text
    assert "\nWeights: w\n Offset: known\n" in text


def test_weights_and_offset_in_residuals(unusual):
    model = crossnest.lmer(**unusual)
    data = unusual["data"].loc[model.resid.index]
    X = model.model_matrix().to_numpy() @ model.fixef.to_numpy()
    random = model.model_matrix("random") @ model.ranef()["Subject"].to_numpy().ravel()
    np.testing.assert_allclose(model.fittedvalues, X + random + data["known"], rtol=1e-9)
    pearson = model.resid * np.sqrt(data["w"])
    np.testing.assert_allclose(model.residuals("pearson"), pearson)
    np.testing.assert_allclose(model.residuals("scaled"), pearson / model.sigma)


def test_an_offset_is_the_same_as_subtracting_it(unusual):
    model = crossnest.lmer(**unusual)
    data = unusual["data"].assign(Reaction=lambda d: d["Reaction"] - d["known"])
    subtracted = crossnest.lmer(unusual["formula"], data, weights="w")
    assert model.objective == pytest.approx(subtracted.objective, rel=1e-12)
    np.testing.assert_allclose(model.resid, subtracted.resid, atol=1e-6)


def test_leverages_sum_to_the_effective_number_of_parameters(fitted):
    model = fitted("sleepstudy")
    leverages = model.leverages()
    assert ((leverages > 0) & (leverages < 1)).all()
    assert 2 < leverages.sum() < 38


def test_unknown_kinds_are_refused(fitted):
    with pytest.raises(ValueError, match="'deviance'"):
        fitted("sleepstudy").residuals("deviance")
    with pytest.raises(ValueError, match="'both'"):
        fitted("sleepstudy").model_matrix("both")


# --- the fit


def test_opt_tells_how_it_went(fitted):
    model = fitted("sleepstudy")
    assert model.converged
    assert model.opt.converged
    assert 0 <= model.opt.predicted_decrease < 1e-6
    assert model.opt.evaluations > 0
    assert list(model.opt.start.index) == list(model.theta.index)
    with pytest.raises(AttributeError):
        model.opt.evaluations = 0


def test_structure_lists_the_blocks(fitted):
    structure = fitted("penicillin").structure
    assert list(structure.columns) == ["groups", "kind", "size", "block", "nonzeros", "bytes"]
    assert structure["size"].sum() == 30
    assert set(structure["groups"]) == {"plate", "sample"}


def test_singular_fits(fitted):
    assert fitted("dyestuff2").is_singular
    assert not fitted("sleepstudy").is_singular
    assert fitted("dyestuff2").theta.iloc[0] == 0.0
    assert "boundary (singular) fit" in repr(fitted("dyestuff2"))


# --- refits


def test_refit_is_a_fit_to_the_other_response(fitted):
    model = fitted("sleepstudy")
    other = np.random.default_rng(2).permutation(model.design.y)
    data = crossnest.datasets.sleepstudy().assign(Reaction=other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        refitted = model.refit(other)
        expected = crossnest.lmer(model.formula, data)
    assert refitted.objective == pytest.approx(expected.objective, abs=1e-8)
    np.testing.assert_array_equal(refitted.design.y, other)


def test_refits_share_an_engine_and_stay_apart(fitted):
    model = fitted("sleepstudy")
    before = model.objective_at(model.theta)
    doubled = model.refit(2 * model.design.y)
    assert doubled.sigma == pytest.approx(2 * model.sigma, rel=1e-5)
    shift = 2 * (180 - 2) * np.log(2)  # the density of 2 y
    assert doubled.objective == pytest.approx(model.objective + shift, abs=1e-8)
    assert model.objective_at(model.theta) == before
    assert doubled.objective_at(doubled.theta) == pytest.approx(doubled.objective, rel=1e-12)
    np.testing.assert_allclose(
        doubled.cond_var()["Subject"], 4 * model.cond_var()["Subject"], rtol=1e-4
    )


def test_refit_keeps_offset_and_takes_all_rows(unusual):
    model = crossnest.lmer(**unusual)
    again = model.refit(unusual["data"]["Reaction"])  # every row, the missing ones too
    assert again.objective == pytest.approx(model.objective, abs=1e-9)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(3), r"shape \(3,\), expected 180 values"),
        (np.full(180, np.inf), "not finite in row 0"),
        (["a"] * 180, "must be numbers, not text"),
    ],
)
def test_bad_responses_are_refused(fitted, y, message):
    with pytest.raises(crossnest.DesignError, match=message):
        fitted("sleepstudy").refit(y)


# --- as an object


def test_pickles(model):
    copy = pickle.loads(pickle.dumps(model))
    assert str(copy.summary()) == str(model.summary())
    assert copy.objective_at(copy.theta) == pytest.approx(model.objective, rel=1e-12)
    pd.testing.assert_frame_equal(copy.ranef(cond_var=True), model.ranef(cond_var=True), rtol=1e-10)
    pd.testing.assert_series_equal(copy.fittedvalues, model.fittedvalues)
    pd.testing.assert_series_equal(copy.leverages(), model.leverages(), rtol=1e-10)


def test_a_pickled_model_can_be_refitted(fitted):
    model = fitted("sleepstudy")
    y = 2 * model.design.y
    copy = pickle.loads(pickle.dumps(model))
    assert copy.refit(y).objective == pytest.approx(model.refit(y).objective, abs=1e-9)


def test_repr_and_html(fitted):
    text = repr(fitted("sleepstudy"))
    assert text.startswith("Linear mixed model fit by REML ['lmerMod']\nFormula: Reaction ~ Days")
    assert text.endswith("     251.41        10.47  ")
    assert "<table>" in fitted("sleepstudy")._repr_html_()


def test_is_frozen(fitted):
    with pytest.raises(AttributeError):
        fitted("sleepstudy").design = None
