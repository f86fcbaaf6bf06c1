"""The bootstrap: what is resampled, what comes of it, and its intervals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import crossnest
from conftest import fitted_model
from crossnest.base.errors import DesignError
from crossnest.inference.bootstrap import Bootstrap
from crossnest.inference.case_resampling import CaseScheme
from crossnest.inference.resampling import (
    BlockScheme,
    ResidualScheme,
    WildScheme,
    reflate,
)
from shared_files import shared

KINDS = [
    ("parametric", None),
    ("residual", None),
    ("case", None),
    ("case", ["Subject", "rows"]),
    ("wild", "hc3"),
    ("reb", "0"),
    ("reb", "1"),
]


def balanced_one_way(groups=12, each=8, seed=4):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), each)
    y = 5 + 1.5 * rng.standard_normal(groups)[g] + rng.standard_normal(groups * each)
    data = pd.DataFrame({"y": y, "g": [f"g{level}" for level in g]})
    return crossnest.lmer("y ~ 1 + (1 | g)", data)


# ------------------------------------------------------------------------------------ replicates


@pytest.mark.parametrize(("kind", "resample"), KINDS)
def test_reproducible_and_independent_of_jobs_and_number(kind, resample):
    model = fitted_model("sleepstudy")
    one = model.bootstrap(12, kind, resample, seed=5, n_jobs=1)
    pd.testing.assert_frame_equal(
        one.replicates, model.bootstrap(12, kind, resample, seed=5, n_jobs=2).replicates
    )
    few = model.bootstrap(4, kind, resample, seed=5).replicates
    pd.testing.assert_frame_equal(one.replicates.iloc[:4], few)
    other = model.bootstrap(4, kind, resample, seed=6).replicates
    assert not np.allclose(few["sigma"], other["sigma"])


def test_parameters_are_those_of_the_fits():
    for name in ("sleepstudy", "sleepstudy_zcp", "pastes", "machines"):
        model = fitted_model(name)
        result = model.bootstrap(3, seed=2)
        y = model.simulate(3, seed=2)["sim_2"]
        single = model.refit(y)
        row = result.replicates.iloc[1]
        frame = single.var_corr.to_frame("lower.tri")
        np.testing.assert_allclose(row.iloc[: len(frame)], frame["sdcor"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(row[single.fixef.index], single.fixef, rtol=1e-5)
        kinds = frame["var2"].isna().map({True: "sd_", False: "cor_"})
        assert all(n.startswith(k) for n, k in zip(row.index, kinds[:-1], strict=False))
        np.testing.assert_allclose(result.observed["sigma"], model.sigma)
    names = ["sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject", "sd_Days|Subject"]
    names += ["sigma", "(Intercept)", "Days"]
    assert fitted_model("sleepstudy").bootstrap(2).replicates.columns.tolist() == names


def test_parametric_errors_are_near_vcov():
    model = fitted_model("sleepstudy")
    result = model.bootstrap(2000, seed=1)
    np.testing.assert_allclose(result.bse[model.fixef.index], model.bse, rtol=0.05)
    assert np.abs(result.bias[model.fixef.index] / model.bse).max() < 0.1


def test_balanced_one_way_follows_theory():
    """Mean squares are chi-squared: sigma^2 on J (k - 1) degrees of freedom, and Var(mean)."""
    model = balanced_one_way()
    n = 4000
    replicates = model.bootstrap(n, seed=1).replicates
    within = 12 * 7
    ratio = replicates["sigma"] ** 2 / model.sigma**2
    usable = replicates["sd_(Intercept)|g"] > 0  # inside, sigma^2 is the mean square within
    assert usable.mean() > 0.99
    assert abs(ratio[usable].mean() - 1) < 5 * np.sqrt(2 / within / n) + 0.01
    assert ratio[usable].var() == pytest.approx(2 / within, rel=0.1)
    assert replicates["(Intercept)"].std() == pytest.approx(model.bse.iloc[0], rel=0.05)
    between = 8 * replicates["sd_(Intercept)|g"] ** 2 + replicates["sigma"] ** 2
    truth = 8 * model.var_corr["g"].iloc[0, 0] + model.sigma**2
    assert between.mean() == pytest.approx(truth, rel=0.03)
    assert between.var() == pytest.approx(2 * truth**2 / 11, rel=0.15)


def test_statistic_may_be_a_number_a_mapping_a_series_or_an_array():
    model = fitted_model("sleepstudy")
    y = model.simulate(3, seed=1)
    refitted = [model.refit(y[column]) for column in y]
    number = model.bootstrap(3, seed=1, statistic=lambda m: m.sigma**2)
    expected = [m.sigma**2 for m in refitted]
    np.testing.assert_allclose(number.replicates["statistic"], expected, rtol=1e-5)
    assert number.observed["statistic"] == pytest.approx(model.sigma**2)
    mapping = model.bootstrap(3, seed=1, statistic=lambda m: {"a": m.llf})
    np.testing.assert_allclose(mapping.replicates["a"], [m.llf for m in refitted])
    series = model.bootstrap(3, seed=1, statistic=lambda m: m.fixef)
    np.testing.assert_allclose(series.replicates, [m.fixef for m in refitted], rtol=1e-6)
    effects = model.bootstrap(2, seed=1, statistic=lambda m: m.ranef()["Subject"].to_numpy())
    assert effects.replicates.shape == (2, 36)
    np.testing.assert_allclose(
        effects.replicates.iloc[0], refitted[0].ranef()["Subject"].to_numpy().ravel(), rtol=1e-3
    )
    cases = model.bootstrap(2, "case", seed=1, statistic=lambda m: m.nobs)
    assert cases.replicates["statistic"].tolist() == [180.0, 180.0]


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_a_statistic_must_give_the_same_numbers_for_every_fit(kind):
    model = fitted_model("sleepstudy")
    with pytest.raises(ValueError, match="gave 1 numbers for the fit but 2 for a refit"):
        model.bootstrap(2, kind, seed=1, statistic=lambda m: [m.sigma] * (1 + (m is not model)))
    with pytest.raises(ValueError, match="gave 'b' for a refit but not for the fit"):
        model.bootstrap(2, kind, seed=1, statistic=lambda m: {"a" if m is model else "b": 1.0})
    turned = model.bootstrap(
        2, kind, seed=1, statistic=lambda m: m.fixef if m is model else m.fixef[::-1]
    )
    plain = model.bootstrap(2, kind, seed=1, statistic=lambda m: m.fixef)
    pd.testing.assert_frame_equal(turned.replicates, plain.replicates)
    twice = model.bootstrap(1, kind, seed=1, statistic=lambda m: pd.Series([1, 2], ["a", "a"]))
    assert twice.replicates.iloc[0].to_dict() == {"a": 1, "a.1": 2}


@pytest.mark.parametrize("value", [None, "text", pd.DataFrame({"a": ["b"]}), {"a": "b"}])
def test_a_statistic_must_give_numbers(value):
    with pytest.raises(TypeError, match=f"statistic must give a number.*{type(value).__name__}"):
        fitted_model("sleepstudy").bootstrap(2, statistic=lambda m: value)


def test_an_error_of_the_statistic_is_the_callers():
    model = fitted_model("sleepstudy")
    for kind in ("parametric", "case"):
        with pytest.raises(ZeroDivisionError):
            model.bootstrap(3, kind, seed=1, statistic=lambda m: m.sigma if m is model else 1 / 0)


def test_failures_are_counted_and_explained():
    model = fitted_model("sleepstudy")
    data = crossnest.datasets.sleepstudy()
    with pytest.warns(crossnest.CrossnestWarning):
        hasty = crossnest.lmer(
            model.formula, data, reml=False, control=crossnest.Control(max_evaluations=2)
        )
    result = hasty.bootstrap(20, seed=1)
    lost = result.replicates["sigma"].isna()
    assert 0 < lost.sum() == len(result.failures)
    assert result.failures["replicate"].tolist() == np.flatnonzero(lost).tolist()
    assert (result.failures["reason"] == "the optimizer stopped before the minimum").all()
    assert f"{lost.sum()} replicates left out: the optimizer stopped" in str(result)
    assert not len(model.bootstrap(20, seed=1).failures)


def test_lost_fixed_effects_are_failures_of_case_resampling():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(6), 5)
    y = rng.standard_normal(6)[g] + rng.standard_normal(30)
    data = pd.DataFrame({"y": y, "g": g.astype(str), "rare": (g == 0).astype(float)})
    result = crossnest.lmer("y ~ rare + (1 | g)", data).bootstrap(40, "case", seed=1)
    counts = result.failures["reason"].value_counts()
    assert counts["fixed effects cannot be estimated: rare"] > 3
    assert result.replicates["rare"].isna().sum() == len(result.failures)


def test_singular_fits_count():
    result = fitted_model("dyestuff2").bootstrap(100, seed=1)
    assert result.n_singular > 30
    assert (result.replicates["sd_(Intercept)|Batch"] == 0).sum() == result.n_singular
    assert f"{result.n_singular} replicates with a singular fit" in str(result)


def test_prints_calmly():
    text = str(fitted_model("sleepstudy").bootstrap(50, "case", ["rows", "Subject"], seed=3))
    lines = text.split("\n")
    assert lines[0] == "Case bootstrap (Subject, rows) of `Reaction ~ Days + (Days | Subject)`"
    assert lines[1] == "50 replicates, seed 3"
    assert lines[2].split() == ["observed", "bias", "std.", "error"]
    assert lines[3].startswith("sd_(Intercept)|Subject")
    result = fitted_model("sleepstudy").bootstrap(1, seed=3)
    assert "\n1 replicate, seed 3\n" in str(result)
    assert result._repr_html_().startswith("<pre>Parametric bootstrap of")


# --------------------------------------------------------------------------------------- schemes


def test_reflated_values_have_the_covariance_asked_for():
    rng = np.random.default_rng(1)
    values, covariance = rng.standard_normal((30, 2)) + 3, np.array([[2.0, 0.5], [0.5, 1.0]])
    out = reflate(values, covariance)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(out.T @ out / 30, covariance)
    flat = reflate(values * [1.0, 0.0], np.diag([2.0, 0.0]))
    np.testing.assert_allclose(flat.T @ flat / 30, np.diag([2.0, 0.0]), atol=1e-12)


def moments(scheme, n=3000):
    """Means and covariances of a scheme's responses."""
    Y = scheme.draw(1, 0, n)
    return Y.mean(axis=1), np.cov(Y)


@pytest.mark.parametrize("name", ["sleepstudy", "pastes", "penicillin"])
def test_residual_scheme_has_the_models_moments(name):
    model = fitted_model(name)
    mean, covariance = moments(ResidualScheme(model))
    fixed = model.model_matrix().to_numpy() @ model.fixef.to_numpy()
    Z = model.model_matrix("random").toarray()
    blocks = []
    for term, factor in zip(model.design.random, model._relative_factors, strict=True):
        levels = model.design.factors[term.factor].n_levels
        blocks.append(np.kron(np.eye(levels), model.sigma**2 * factor @ factor.T))
    q = 0
    G = np.zeros((Z.shape[1],) * 2)
    for block in blocks:
        G[q : q + len(block), q : q + len(block)] = block
        q += len(block)
    V = Z @ G @ Z.T + model.sigma**2 * np.eye(model.nobs)
    scale = np.sqrt(np.diag(V))
    assert np.abs((mean - fixed) / scale).max() < 5 / np.sqrt(3000)
    assert np.abs((covariance - V) / np.outer(scale, scale)).max() < 0.2


def test_wild_scheme_keeps_each_groups_own_covariance():
    model = fitted_model("sleepstudy")
    codes = model.design.factors[0].codes.astype(np.intp)
    X = model.design.X
    h = np.diag(X @ np.linalg.solve(X.T @ X, X.T))
    residuals = model.design.y - X @ model.fixef.to_numpy()
    for correction, divisor in (("hc2", np.sqrt(1 - h)), ("hc3", 1 - h)):
        corrected = residuals / divisor
        mean, covariance = moments(WildScheme(model, correction, codes), 6000)
        expected = np.outer(corrected, corrected) * np.equal.outer(codes, codes)
        scale = np.abs(corrected)
        assert np.abs((mean - X @ model.fixef.to_numpy()) / scale).max() < 0.08
        assert np.abs((covariance - expected) / np.outer(scale, scale)).max() < 0.1
    Y = WildScheme(model, "hc2", codes).draw(1, 0, 1)[:, 0] - X @ model.fixef.to_numpy()
    factors = np.unique(np.round(Y / (residuals / np.sqrt(1 - h)), 9))
    np.testing.assert_allclose(factors, [(1 - np.sqrt(5)) / 2, (1 + np.sqrt(5)) / 2])


def test_block_scheme_draws_whole_blocks():
    model = fitted_model("sleepstudy")
    X, Z = model.design.X, np.column_stack([np.ones(10), np.arange(10)])
    residuals = (model.design.y - X @ model.fixef.to_numpy()).reshape(18, 10)
    effects = np.linalg.lstsq(Z, residuals.T, rcond=None)[0].T
    rest = residuals - effects @ Z.T
    Y = BlockScheme(model, scaled=False).draw(1, 0, 1)[:, 0] - X @ model.fixef.to_numpy()
    for block in Y.reshape(18, 10):
        fits = [
            (i, k)
            for i in range(18)
            for k in range(18)
            if all(np.abs(rest[k] - value).min() < 1e-9 for value in block - Z @ effects[i])
        ]
        assert len(fits) == 1
    _, covariance = moments(BlockScheme(model, scaled=True), 6000)
    G = model.var_corr["Subject"].to_numpy()
    V = np.kron(np.eye(18), Z @ G @ Z.T + model.sigma**2 * np.eye(10))
    scale = np.sqrt(np.diag(V))
    # Residuals keep the shape of their group's, so only the average over rows is the model's.
    np.testing.assert_allclose((np.diag(covariance) / scale**2).mean(), 1, rtol=0.03)


def test_blocks_are_for_one_grouping_factor_and_groups_must_be_independent():
    with pytest.raises(DesignError, match="exactly one grouping factor, not cask:batch, batch"):
        fitted_model("pastes").bootstrap(2, "reb")
    for kind in ("wild", "case"):
        with pytest.raises(DesignError, match="'sample' and 'plate' are crossed"):
            fitted_model("penicillin").bootstrap(2, kind)


@pytest.mark.parametrize(
    ("levels", "batches", "casks", "rows"),
    [("batch", False, True, True), ("cask:batch", True, False, True), ("rows", True, True, False)],
)
def test_cases_are_drawn_at_the_levels_asked_for(levels, batches, casks, rows):
    """Pastes: 10 batches of 3 casks of 2 rows."""
    design = fitted_model("pastes").design
    drawn = CaseScheme.of(design, levels).draw(np.random.default_rng(1))
    assert drawn.n == 60 and [f.n_levels for f in drawn.factors] == [30, 10]
    source = drawn.index.to_numpy()  # the row of the data each drawn row is
    new_cask, new_batch = (factor.codes for factor in drawn.factors)
    frame = pd.DataFrame({"cask": new_cask, "batch": new_batch, "row": source})
    frame["old_cask"] = design.factors[0].codes[source]
    frame["old_batch"] = design.factors[1].codes[source]
    assert (frame.groupby("batch")["old_batch"].nunique() == 1).all()
    assert (frame.groupby("cask")["old_cask"].nunique() == 1).all()
    assert (frame["old_batch"].nunique() == 10) == batches
    per_batch = frame.groupby("batch")["old_cask"].nunique()
    assert (per_batch == 3).all() == casks
    assert (frame.groupby("cask")["row"].nunique() == 2).all() == rows


def test_case_levels_must_be_known():
    with pytest.raises(ValueError, match=r"among 'Subject' and 'rows', not 'school'"):
        fitted_model("sleepstudy").bootstrap(2, "case", ["school"])
    with pytest.raises(ValueError, match="not none"):
        fitted_model("sleepstudy").bootstrap(2, "case", [])
    with pytest.raises(ValueError, match="not False, True"):
        fitted_model("sleepstudy").bootstrap(2, "case", [True, False])


def test_case_resampling_of_groups_gives_sandwich_errors():
    """In a balanced one-way layout the mean is that of the groups' means."""
    model = balanced_one_way(30, 4)
    means = pd.Series(model.design.y).groupby(model.design.factors[0].codes).mean()
    error = means.std(ddof=0) / np.sqrt(30)
    result = model.bootstrap(600, "case", seed=1)
    assert result.bse["(Intercept)"] == pytest.approx(error, rel=0.12)


def test_bad_options_are_refused():
    model = fitted_model("sleepstudy")
    with pytest.raises(ValueError, match="kind must be one of parametric, residual"):
        model.bootstrap(2, "nonparametric")
    with pytest.raises(ValueError, match="resample does not apply to kind 'parametric'"):
        model.bootstrap(2, resample="rows")
    with pytest.raises(
        ValueError, match="resample of kind 'wild' must be 'hc2' or 'hc3', not 'hc4'"
    ):
        model.bootstrap(2, "wild", "hc4")
    with pytest.raises(ValueError, match="must be '1' or '0', not 1"):
        model.bootstrap(2, "reb", 1)
    with pytest.raises(TypeError, match=r"n must be a whole number, not 2\.5"):
        model.bootstrap(2.5)
    with pytest.raises(ValueError, match="n must be at least 1"):
        model.bootstrap(0)


# ------------------------------------------------------------------------------------- intervals


def artificial(values, observed=1.0, acceleration=0.1) -> Bootstrap:
    result = Bootstrap(
        "parametric",
        "",
        0,
        pd.Series({"a": observed}),
        pd.DataFrame({"a": values}),
        pd.DataFrame(columns=["replicate", "reason"]),
        0,
        fitted_model("sleepstudy"),
        lambda model: 0.0,
    )
    result.__dict__["_acceleration"] = pd.Series({"a": acceleration})
    return result


def test_intervals_are_those_computed_by_hand():
    values = np.append(np.random.default_rng(1).gamma(4, 0.3, 999), np.nan)
    kept = values[:-1]
    result = artificial(values)
    low, high = np.quantile(kept, [0.05, 0.95])
    assert result.confint("percentile", 0.9).columns.tolist() == ["5 %", "95 %"]
    np.testing.assert_allclose(result.confint("percentile", 0.9).loc["a"], [low, high])
    np.testing.assert_allclose(result.confint("basic", 0.9).loc["a"], [2 - high, 2 - low])
    centre = 1 - (kept.mean() - 1)
    width = norm.ppf(0.95) * kept.std(ddof=1)
    expected = [centre - width, centre + width]
    np.testing.assert_allclose(result.confint("normal", 0.9).loc["a"], expected)
    z0 = norm.ppf((kept < 1).mean())
    z = z0 + norm.ppf([0.05, 0.95])
    levels = norm.cdf(z0 + z / (1 - 0.1 * z))
    np.testing.assert_allclose(result.confint("bca", 0.9).loc["a"], np.quantile(kept, levels))
    assert result.confint().columns.tolist() == ["2.5 %", "97.5 %"]
    for bad in ({"interval": "t"}, {"level": 95}):
        with pytest.raises(ValueError, match="must be"):
            result.confint(**bad)


def test_acceleration_is_the_jackknifes_over_groups():
    model = balanced_one_way(10, 4)
    result = model.bootstrap(5, seed=1)
    codes = model.design.factors[0].codes
    values = []
    for group in range(10):
        left = pd.DataFrame({"y": model.design.y, "g": codes})[codes != group]
        values.append(crossnest.lmer("y ~ 1 + (1 | g)", left).sigma)
    left = np.mean(values) - values
    expected = (left**3).sum() / (6 * (left**2).sum() ** 1.5)
    assert result._acceleration["sigma"] == pytest.approx(expected, rel=1e-3)
    crossed = fitted_model("penicillin").bootstrap(20, seed=1)
    assert np.isfinite(crossed.confint("bca")).all(axis=None)


def test_intervals_of_childread_are_near_those_of_lme4():
    data = pd.read_csv(shared("seeds/childread.csv"))
    expected = json.loads(shared("seeds/expected.json").read_text())
    assert "hrs_week (0.557, 1.752)" in str(expected["read_lattice_note"])
    model = crossnest.lmer("reading_age ~ hrs_week + (1 + hrs_week | school)", data)
    intervals = model.bootstrap(500, seed=1).confint()
    np.testing.assert_allclose(intervals.loc["hrs_week"], [0.557, 1.752], atol=0.12)
    np.testing.assert_allclose(intervals.loc["(Intercept)"], [-0.121, 3.371], atol=0.4)
    np.testing.assert_allclose(intervals.loc["sigma"], [1.792, 2.350], atol=0.08)
    np.testing.assert_allclose(intervals.loc["sd_hrs_week|school"], [0.393, 1.377], atol=0.2)


# ------------------------------------------------------------------------------------- interrupts


@pytest.mark.parametrize("kind", ["parametric", "residual", "case"])
def test_control_c_stops(interrupted, kind):
    model = fitted_model("machines")
    with interrupted(0.2):
        model.bootstrap(10**6, kind, seed=1)
    assert not len(model.bootstrap(2, kind, seed=1).failures)
