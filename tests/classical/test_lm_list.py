"""Separate linear models and their combination, compared with `lmList` of lme4 and nlme."""

from __future__ import annotations

import builtins
import json
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_lm import assert_every_digit

import crossnest
from crossnest import datasets
from shared_files import shared

plt.switch_backend("Agg")

GOLDEN = Path(__file__).parents[1] / "expected" / "golden" / "lm" / "lm.json"
LISTS = json.loads(GOLDEN.read_text(encoding="utf-8"))["lm_list"]
by_pooling = pytest.mark.parametrize("case", LISTS, ids=["pooled", "each its own"])


@pytest.fixture(scope="module")
def fits():
    data = datasets.sleepstudy()
    data.attrs["name"] = "sleepstudy"
    return crossnest.lm_list("Reaction ~ Days | Subject", data)


@by_pooling
def test_numbers_are_rs(fits, case):
    pool = case["pool"]
    assert fits.coef().index.tolist() == case["levels"] and fits.coef().index.name == "Subject"
    np.testing.assert_allclose(fits.coef(), case["coef"], rtol=1e-10)
    np.testing.assert_allclose(fits.bse(pool), case["se"], rtol=1e-10)
    np.testing.assert_allclose([fits.sigma, fits.df_resid], [case["sigma"], case["df"]], rtol=1e-12)
    np.testing.assert_allclose(fits.sigmas, case["sigmas"], rtol=1e-10)
    intervals = fits.confint(pool=pool)
    for j, name in enumerate(["(Intercept)", "Days"]):
        ours = intervals.xs(name, level="coefficient")
        np.testing.assert_allclose(ours, case["confint"][j], rtol=1e-9)


@by_pooling
def test_summary_is_nlmes_line_by_line(fits, case):
    summary = fits.summary(pool=case["pool"])
    p = summary.coefficients["Pr(>|t|)"].to_numpy().reshape(18, 2)
    np.testing.assert_allclose(p, case["p"], rtol=1e-8)
    assert summary.text.split("\n") == case["summary_text"]


def test_intervals_have_the_estimates_in_their_middle(fits):
    intervals = fits.intervals(0.9, pool=False)
    assert intervals.index.names == ["Subject", "coefficient"]
    middle = (intervals["lower"] + intervals["upper"]) / 2
    np.testing.assert_allclose(middle, intervals["estimate"])
    half = scipy.stats.t.ppf(0.95, 8) * fits.bse(pool=False).loc["309", "Days"]
    low, _, high = intervals.loc["309", "Days"]
    np.testing.assert_allclose(high - low, 2 * half)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fits.intervals(95)


def test_each_group_is_the_linear_model_of_its_rows():
    data = datasets.machines().assign(w=lambda d: 1 + np.arange(len(d)) % 3, o=np.arange(54.0))
    fits = crossnest.lm_list("score ~ Machine | Worker", data, weights="w", offset="o")
    for worker, rows in data.groupby("Worker", observed=True):
        alone = crossnest.lm("score ~ Machine", rows, weights="w", offset="o")
        np.testing.assert_allclose(fits.coef().loc[worker], alone.params, rtol=1e-10)
        np.testing.assert_allclose(fits.bse(pool=False).loc[worker], alone.bse, rtol=1e-10)
        np.testing.assert_allclose(fits.sigmas[worker], alone.sigma, rtol=1e-10)
    assert fits.nobs.eq(9).all() and fits.df_resids.eq(6).all()


def test_groups_too_small_to_fit_are_missing():
    data = datasets.sleepstudy()
    data = data[~((data["Subject"] == "310") & (data["Days"] > 0))]
    data = data[~((data["Subject"] == "335") & (data["Days"] > 1))]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits = crossnest.lm_list("Reaction ~ Days | Subject", data)
    assert [w.category for w in caught] == [crossnest.SmallGroupWarning]
    assert "1 of the 18 groups of Subject" in str(caught[0].message)
    assert str(caught[0].message).endswith(": 310") and caught[0].filename == __file__
    assert fits.unfitted == ("310",)
    assert fits.coef().loc["310"].isna().all() and fits.coef().drop("310").notna().all(axis=None)
    assert fits.df_resid == 16 * 8  # subject 335 is fitted without residuals
    assert np.isnan(fits.sigmas["335"]) and fits.bse().loc["335"].notna().all()
    assert fits.bse(pool=False).loc["335"].isna().all()
    assert "310        NA" in fits.summary().text
    plt.close(fits.plot())


def test_the_course_data():
    data = pd.read_csv(shared("seeds/gp_cholesterol.csv"))
    expected = json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))["gp_separate"]
    fits = crossnest.lm_list("chol ~ age | doctor", data, pool=False)
    assert fits.coef().index.astype(str).tolist() == expected["doctor"]
    assert_every_digit(fits.coef(), expected["coef"])
    assert_every_digit(fits.bse(), expected["se"])


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("Reaction ~ Days", "one grouping factor"),
        ("Reaction ~ Days | Subject | Days", "one grouping factor"),
        ("Reaction ~ Days || Subject", "one grouping factor"),
        ("Reaction ~ Days + (Days | Subject)", "without brackets"),
        ("Reaction ~ Days |", "no grouping factor"),
        ("Reaction ~ Days | Sbject", "Subject"),
        (3, "string"),
    ],
)
def test_formulas_that_name_no_groups(formula, message):
    with pytest.raises((crossnest.FormulaError, crossnest.DesignError), match=message):
        crossnest.lm_list(formula, datasets.sleepstudy())


def test_a_dot_leaves_out_the_groups():
    fits = crossnest.lm_list("Reaction ~ . | Subject", datasets.sleepstudy())
    assert list(fits.coef().columns) == ["(Intercept)", "Days"]


# -------------------------------------------------------------------------------------- drawing


def test_plot_draws_every_interval(fits):
    figure = fits.plot(level=0.8)
    assert [axes.get_title() for axes in figure.axes] == ["(Intercept)", "Days"]
    segments = figure.axes[1].collections[0].get_segments()
    drawn = np.array([segment[:, 0] for segment in segments])
    expected = fits.confint(0.8).xs("Days", level="coefficient")
    np.testing.assert_allclose(drawn, expected)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [str(level) for level in fits.coef().index]
    figure.canvas.draw()
    plt.close(figure)


def test_many_groups_fit_on_a_figure():
    data = pd.concat(
        [
            datasets.sleepstudy().assign(g=lambda d, i=i: d["Subject"].astype(str) + f"$_{i}")
            for i in range(5)
        ],
        ignore_index=True,
    )
    figure = crossnest.lm_list("Reaction ~ Days | g", data).plot()
    assert figure.get_size_inches()[1] < 13
    assert figure.axes[0].get_ylabel() == "g (90 levels)"
    figure.canvas.draw()
    plt.close(figure)


def test_plot_on_axes_given(fits):
    figure, axes = plt.subplots(1, 2)
    assert fits.plot(axes) is figure
    with pytest.raises(ValueError, match="2 Axes"):
        fits.plot(axes[0])
    plt.close(figure)


def test_plot_without_matplotlib_says_what_to_install(fits, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"crossnest\[plot\]"):
        fits.plot()


# ------------------------------------------------------------------- inverse-variance weighting


def test_ivw_is_weighted_least_squares():
    rng = np.random.default_rng(2)
    theta, variance = rng.normal(size=9), rng.uniform(0.5, 3, size=9)
    combined = crossnest.ivw(theta, variance)
    model = crossnest.lm("y ~ 1", {"y": theta}, weights=1 / variance)
    np.testing.assert_allclose(combined.estimate, model.params.iloc[0])
    np.testing.assert_allclose(combined.se, model.bse.iloc[0] / model.sigma)
    np.testing.assert_allclose(combined.q, model.ssr)
    assert combined.df == 8
    np.testing.assert_allclose(combined.pvalue, scipy.stats.chi2.sf(model.ssr, 8))
    np.testing.assert_allclose(combined.weights.sum(), 1)
    low, high = combined.confint(0.9)
    np.testing.assert_allclose(
        [low, high], scipy.stats.norm(combined.estimate, combined.se).ppf([0.05, 0.95])
    )


def test_ivw_matches_series_by_label():
    estimates = pd.Series([1.0, 2.0], index=["a", "b"])
    turned = pd.Series([0.25, 1.0], index=["b", "a"])
    assert crossnest.ivw(estimates, turned).estimate == pytest.approx(1.8)
    with pytest.raises(ValueError, match="the variances and the estimates have different labels"):
        crossnest.ivw(estimates, turned.set_axis(["b", "c"]))


def test_ivw_heterogeneity_by_hand():
    combined = crossnest.ivw([0.0, 4.0], [1.0, 1.0])
    assert (combined.estimate, combined.q, combined.i2) == (2.0, 8.0, 1 - 1 / 8)
    assert crossnest.ivw([1.0, 1.0], [1.0, 2.0]).i2 == 0.0
    assert crossnest.ivw([1.0, 1.1, 1.0], [1.0, 2.0, 3.0]).i2 == 0.0
    assert str(combined).split("\n")[2] == (
        "Heterogeneity: Q = 8 on 1 DF, p-value = 0.00468, I2 = 87.5%"
    )
    single = crossnest.ivw([3.0], [4.0])
    assert (single.estimate, single.se) == (3.0, 2.0) and np.isnan(single.pvalue)
    assert "Heterogeneity" not in repr(single)


def test_ivw_of_balanced_groups_is_the_fixed_effect(fits):
    combined = crossnest.ivw(fits.coef()["Days"], fits.bse()["Days"] ** 2)
    model = crossnest.lm("Reaction ~ 0 + Subject + Days", datasets.sleepstudy())
    np.testing.assert_allclose(combined.estimate, model.params["Days"])


@pytest.mark.parametrize(
    ("estimates", "variances", "message"),
    [
        ([1.0, 2.0], [1.0], "2 estimates but 1 variances"),
        ([1.0, 2.0], [1.0, 0.0], "positive"),
        ([1.0, 2.0], [1.0, -1.0], "positive"),
        (pd.Series([1.0, np.nan], ["a", "b"]), [1.0, 1.0], r"estimates are missing .* at b"),
        ([1.0, 2.0], [1.0, np.inf], "variances are missing or infinite at 1"),
        ([], [], "vector"),
        ([[1.0]], [1.0], "vector"),
        (["a"], [1.0], "numbers"),
    ],
)
def test_ivw_refuses(estimates, variances, message):
    with pytest.raises(ValueError, match=message):
        crossnest.ivw(estimates, variances)
