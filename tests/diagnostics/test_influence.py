"""Influence of cases and groups, against n x n algebra, refits and R."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import crossnest
from crossnest.diagnostics import case_deletion
from crossnest.diagnostics.influence import Influence
from diagnostics_golden import MODELS, answers, marginal, model
from reference_cases import case_names, load_case

CROSSED = "y ~ x + (x | g) + (1 | h)"


@pytest.fixture(scope="module")
def crossed():
    """A crossed, unbalanced model with weights and offset, and a fixed effect between groups."""
    rng = np.random.default_rng(5)
    n = 150
    data = pd.DataFrame(
        {
            "g": rng.integers(12, size=n).astype(str),
            "h": rng.integers(7, size=n).astype(str),
            "x": rng.normal(3, 1, n),
            "w": rng.uniform(0.5, 3, n),
            "known": rng.normal(0, 5, n),
        }
    )
    effects = rng.normal(0, 1, (19, 2))
    data["y"] = (
        data["known"]
        + 2 * data["x"]
        + effects[data["g"].astype(int), 0]
        + effects[data["g"].astype(int), 1] * data["x"]
        + 2 * effects[12 + data["h"].astype(int), 0]
        + rng.normal(0, 1, n)
    )
    return crossnest.lmer(CROSSED, data, weights="w", offset="known")


def brute_force(model, codes, n_units):
    """Measure deletions with theta and sigma fixed by solving n x n systems."""
    V, X, y = marginal(model)
    beta, vcov = model.fixef.to_numpy(), model.vcov.to_numpy()
    p = len(beta)
    rows = []
    for unit in range(n_units):
        kept = codes != unit
        XV = np.linalg.solve(V[np.ix_(kept, kept)], X[kept]).T
        new = np.linalg.inv(XV @ X[kept]) * model.sigma**2
        d = np.linalg.solve(XV @ X[kept], XV @ y[kept]) - beta
        measures = {
            "cooks_distance": d @ np.linalg.solve(vcov, d) / p,
            "mdffits": d @ np.linalg.solve(new, d) / p,
            "covratio": np.linalg.det(new) / np.linalg.det(vcov),
            "covtrace": np.trace(np.linalg.solve(vcov, new)) - p,
        }
        rows.append((d, d / np.sqrt(np.diag(new)), measures))
    dfbeta, dfbetas, measures = zip(*rows, strict=True)
    return np.array(dfbeta), np.array(dfbetas), pd.DataFrame(measures)


def assert_measures(influence: Influence, expected, rtol=1e-8) -> None:
    dfbeta, dfbetas, measures = expected
    assert_allclose(influence.dfbeta, dfbeta, rtol=rtol, atol=rtol * np.abs(dfbeta).max())
    assert_allclose(influence.dfbetas, dfbetas, rtol=rtol, atol=rtol * np.abs(dfbetas).max())
    for name, values in measures.items():
        assert_allclose(getattr(influence, name), values, rtol=rtol, atol=rtol, err_msg=name)


# ----------------------------------------------------------- downdates against n x n algebra


@pytest.mark.parametrize("name", ["sleep", "sleep_weights", "orthodont", "machines", "pastes"])
def test_cases_are_those_of_n_by_n_algebra(name):
    fit = model(name)
    influence = fit.influence()
    assert_measures(influence, brute_force(fit, np.arange(fit.nobs), fit.nobs))
    assert influence.cooks_distance.index.equals(fit.design.index)
    assert not influence.exact and influence.theta is None


@pytest.mark.parametrize("name", ["sleep", "sleep_weights", "orthodont", "machines", "pastes"])
def test_groups_are_those_of_n_by_n_algebra(name):
    fit = model(name)
    for factor in fit.design.factors:
        influence = fit.influence(factor.name)
        assert_measures(influence, brute_force(fit, factor.codes, factor.n_levels))
        assert list(influence.dfbeta.index) == list(factor.levels)
        assert list(influence.dfbeta.columns) == list(fit.fixef.index)


def test_crossed_factors_with_weights_and_offset(crossed):
    assert_measures(crossed.influence(), brute_force(crossed, np.arange(150), 150))
    for factor in crossed.design.factors:
        expected = brute_force(crossed, factor.codes, factor.n_levels)
        assert_measures(crossed.influence(factor.name), expected)


def test_groups_measured_a_few_at_a_time_give_the_same(crossed, monkeypatch):
    monkeypatch.setattr(case_deletion, "MOST_NUMBERS", 100)
    for factor in crossed.design.factors:
        expected = brute_force(crossed, factor.codes, factor.n_levels)
        assert_measures(crossed.influence(factor.name), expected)
    assert_measures(crossed.influence(), brute_force(crossed, np.arange(150), 150))


def test_groups_of_many_random_effects_give_the_same(crossed, monkeypatch):
    monkeypatch.setattr(case_deletion, "MOST_EFFECTS", 5)
    factor = crossed.design.factors[0]
    assert case_deletion.delete_groups(crossed, factor.codes, factor.n_levels) is None
    expected = brute_force(crossed, factor.codes, factor.n_levels)
    assert_measures(crossed.influence(factor.name, n_jobs=2), expected)


def test_a_singular_fit(fitted):
    fit = fitted("dyestuff2")
    assert_measures(fit.influence(), brute_force(fit, np.arange(30), 30))
    assert_measures(fit.influence("Batch"), brute_force(fit, fit.design.factors[0].codes, 6))


def test_aliased_columns_are_left_out(fitted):
    fit = fitted("reference/rank_deficient")
    assert fit.dropped
    factor = fit.design.factors[0]
    assert_measures(fit.influence("Subject"), brute_force(fit, factor.codes, factor.n_levels))


def test_units_without_which_an_effect_is_lost():
    data = crossnest.datasets.load("sleepstudy")
    data["odd"] = (data["Subject"].astype(str) == "308").astype(float)
    data["one"] = (np.arange(180) == 100).astype(float)
    fit = crossnest.lmer("Reaction ~ Days + odd + one + (1 | Subject)", data)
    by_case, by_group = fit.influence(), fit.influence("Subject")
    assert list(np.flatnonzero(by_case.cooks_distance.isna())) == [100]
    lost = by_group.cooks_distance.isna()
    assert list(by_group.cooks_distance.index[lost]) == ["308", data["Subject"].iloc[100]]
    assert by_group.dfbetas[lost].isna().all(axis=None)
    exact = fit.influence("Subject", exact=True)
    assert (exact.cooks_distance.isna() == lost).all() and exact.sigma.notna().all()


# ------------------------------------------------------------------------------------ refits


@pytest.mark.parametrize("name", ["sleep", "sleep_weights", "orthodont", "machines", "pastes"])
def test_refits_are_those_of_lme4(name):
    expected = answers()[name]["influence"]
    fit = model(name)
    group = {"orthodont": "Subject", "machines": "Worker", "pastes": "batch"}.get(name, "Subject")
    exact = fit.influence(group, exact=True)
    levels = expected["levels"]
    dfbeta = np.reshape(expected["dfbeta"], (len(levels), -1))
    assert_allclose(exact.dfbeta.loc[levels], dfbeta, rtol=1e-4, atol=1e-4 * float(fit.bse.min()))
    dfbetas = np.reshape(expected["dfbetas"], dfbeta.shape)
    assert_allclose(exact.dfbetas.loc[levels], dfbetas, rtol=1e-4, atol=1e-4)
    distances = exact.cooks_distance.loc[levels]
    assert_allclose(distances, expected["cooks_distance"], rtol=1e-3, atol=1e-6)
    assert_allclose(exact.covratio.loc[levels], expected["covratio"], rtol=1e-3)
    assert_allclose(exact.sigma.loc[levels], expected["sigma"], rtol=1e-4)
    theta = np.reshape(expected["theta"], (len(levels), -1))
    assert_allclose(exact.theta.loc[levels], theta, rtol=1e-3, atol=1e-3)


def test_one_step_by_group_is_the_refit_on_sleepstudy(fitted):
    """Balanced, and X within the span of Z: the estimates do not depend on theta at all."""
    fit = fitted("sleepstudy")
    one_step, exact = fit.influence("Subject"), fit.influence("Subject", exact=True)
    assert_allclose(one_step.dfbeta, exact.dfbeta, atol=1e-8 * float(fit.bse.min()))
    assert_allclose(one_step.cooks_distance, exact.cooks_distance, rtol=1e-8)


def test_one_step_by_group_is_near_the_refit_on_unbalanced_data():
    """Without balance the one step is within 5% of a standard error of the refit."""
    fit = model("sleep")
    one_step, exact = fit.influence("Subject"), fit.influence("Subject", exact=True)
    error = (one_step.dfbeta - exact.dfbeta).abs() / fit.bse
    assert error.max(axis=None) < 0.05
    assert error.max(axis=None) > 1e-6  # they are not the same


def test_refits_without_cases(fitted):
    fit = fitted("pastes")
    exact = fit.influence(exact=True, n_jobs=2)
    data = crossnest.datasets.load("pastes")
    for row in (0, 37):
        other = crossnest.lmer(fit.formula, data.drop(index=row))
        assert_allclose(exact.dfbeta.iloc[row], other.fixef - fit.fixef, atol=1e-7)
        assert_allclose(exact.sigma.iloc[row], other.sigma, rtol=1e-5)
    assert exact.exact and exact.group is None


# ---------------------------------------------------------------- lme4's Cook's distances


@pytest.mark.parametrize("case", case_names())
def test_cooks_distances_are_those_of_lme4(case, fitted):
    expected = load_case(case).expected.get("cooks_head")
    if expected is None:
        pytest.skip("not among the case's keys")
    fit = fitted(f"reference/{case}")
    head = fit.cooks_distance().to_numpy()[: len(expected)]
    assert_allclose(head, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_standardized_residuals_and_leverages_are_those_of_r(name):
    fit, expected = model(name), answers()[name]
    assert_allclose(fit.hatvalues(), expected["hatvalues"], rtol=1e-4)
    assert_allclose(fit.cooks_distance(), expected["cooks_distance"], rtol=1e-4, atol=1e-8)
    residuals = fit.residuals("standardized")
    assert_allclose(residuals, expected["rstandard"], rtol=1e-4, atol=1e-5)


def test_marginal_residuals_leave_random_effects_in(crossed):
    X = crossed.model_matrix().to_numpy()
    expected = crossed.design.y - X @ crossed.fixef.to_numpy() - crossed.design.offset
    assert_allclose(crossed.residuals("marginal"), expected, rtol=1e-12)


def test_dfbetas_is_that_of_influence(crossed):
    pd.testing.assert_frame_equal(crossed.dfbetas(), crossed.influence().dfbetas)


# ------------------------------------------------------------------------ errors and printing


def test_unknown_groups_and_options_are_refused(fitted, crossed):
    with pytest.raises(ValueError, match="'g', 'h'"):
        crossed.influence("k")
    for exact in (True, False):
        with pytest.raises(ValueError, match="n_jobs must be at least 1"):
            crossed.influence("g", exact=exact, n_jobs=0)
    with pytest.raises(TypeError, match="n_jobs must be a whole number"):
        crossed.influence("g", exact=True, n_jobs=1.5)
    with pytest.raises(ValueError, match="the model has none"):
        fitted("no_fixed").influence()
    with pytest.raises(ValueError, match="has none"):
        fitted("no_fixed").cooks_distance()
    with pytest.raises(ValueError, match="'marginal'"):
        crossed.residuals("studentized")


def test_control_c_stops_the_refits(interrupted):
    model = crossnest.lmer(
        "Reaction ~ Days + (Days | Subject)",
        pd.concat([crossnest.datasets.sleepstudy()] * 20, ignore_index=True),
    )
    with interrupted(0.3):
        model.influence(exact=True)


def test_the_most_influential_unit_is_printed_first(fitted):
    text = repr(fitted("sleepstudy").influence("Subject"))
    lines = text.splitlines()
    assert lines[0] == "Influence of each level of Subject (theta and sigma held fixed)"
    assert lines[3].split()[0] == "309"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_rows_of_leverage_one_have_no_cooks_distance(scale):
    rng = np.random.default_rng(0)
    n = 60
    data = pd.DataFrame({"g": rng.integers(0, 6, n), "x": scale * rng.normal(size=n) + 1e4 * scale})
    data["f"] = ["a", "b", *rng.choice(["c", "d", "e"], n - 2)]
    data["y"] = rng.normal(size=n) + 3 * rng.normal(size=6)[data["g"]]
    for weights in (None, np.exp(3 * rng.normal(size=n))):
        model = crossnest.lmer("y ~ x + f + (1 | g)", data, weights=weights)
        assert (model.leverages()[:2] == 1).all() and (model.leverages() <= 1).all()
        for measure in (
            model.cooks_distance(),
            model.residuals("standardized"),
            model.influence().cooks_distance,
        ):
            assert measure[:2].isna().all() and measure[2:].notna().all()
