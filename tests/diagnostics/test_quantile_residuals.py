"""Simulated quantile residuals and their tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.testing import assert_allclose

import crossnest
from crossnest.diagnostics.quantile_residuals import randomized_quantiles


@pytest.fixture(scope="module")
def right():
    """A large sample from the model that is fitted."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(150), 6)
    y = rng.normal(0, 1, 150)[group] + rng.normal(0, 1, 900)
    return crossnest.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group}))


@pytest.fixture(scope="module")
def skewed():
    """A sample whose errors are skewed with heavy tails."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(150), 6)
    y = rng.normal(0, 0.1, 150)[group] + rng.lognormal(0, 1.2, 900)
    return crossnest.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group}))


def test_residuals_are_shares_of_simulated_values(fitted):
    fit = fitted("sleepstudy")
    result = fit.quantile_residuals(n=40, seed=3)
    simulated = fit.simulate(40, seed=3)
    below = simulated.lt(fit.design.y, axis=0).mean(axis=1)
    pd.testing.assert_series_equal(result.residuals, below, check_names=False)
    assert result.n_simulations == 40 and result.seed == 3
    assert result.residuals.index.equals(fit.design.index)


def test_a_seed_repeats_the_residuals(fitted):
    fit = fitted("sleepstudy")
    first = fit.quantile_residuals(seed=7)
    again = fit.quantile_residuals(seed=7)
    pd.testing.assert_series_equal(first.residuals, again.residuals)
    assert not fit.quantile_residuals(seed=8).residuals.equals(first.residuals)
    new = fit.quantile_residuals(n=5)
    assert fit.quantile_residuals(n=5, seed=new.seed).residuals.equals(new.residuals)


def test_kept_random_effects_are_those_of_conditional_simulations(fitted):
    fit = fitted("sleepstudy")
    result = fit.quantile_residuals(n=30, seed=3, re="conditional")
    assert_allclose(result.simulated, fit.simulate(30, seed=3, re="conditional"))


def test_ties_are_broken_within_their_range():
    simulated = np.array([[1.0, 2.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0, 4.0]])
    observed = np.array([2.0, 0.0, 2.5])
    for u in (0.0, 0.4, 1.0):
        found = randomized_quantiles(simulated, observed, np.full(3, u))
        assert_allclose(found, [0.25 + 0.5 * u, u, 0.5])


def test_a_right_model_passes_every_test(right):
    result = right.quantile_residuals(n=500, seed=1)
    for test in (result.uniformity(), result.dispersion(), result.outliers()):
        assert test.pvalue > 0.05, test
    assert_allclose(result.dispersion().statistic, 1, atol=0.1)


def test_skewed_errors_are_not_uniform(skewed):
    result = skewed.quantile_residuals(seed=1)
    assert result.uniformity().pvalue < 1e-6
    assert result.outliers("greater").pvalue < 1e-3
    assert result.outliers("less").pvalue > 0.5


def test_too_large_and_too_small_a_variance_is_seen(right):
    result = right.quantile_residuals(seed=1)
    for factor, alternative in ((1.5, "less"), (0.6, "greater")):
        wrong = type(result)(
            result.residuals,
            result.observed,
            result.fitted,
            result.fitted[:, None] + factor * (result.simulated - result.fitted[:, None]),
            result.seed,
            result.re,
        )
        test = wrong.dispersion(alternative)
        assert_allclose([test.pvalue, wrong.dispersion().pvalue], [1 / 251, 2 / 251])
        assert_allclose(test.statistic, result.dispersion().statistic / factor**2)
    other = {"less": "greater", "greater": "less"}[alternative]
    assert wrong.dispersion(other).pvalue == 1


def test_statistics_are_those_of_their_definitions(skewed):
    result = skewed.quantile_residuals(n=99, seed=4)
    values = np.sort(result.residuals.to_numpy())
    steps = np.arange(1, 901) / 900
    expected = max((steps - values).max(), (values - steps + 1 / 900).max())
    assert_allclose(result.uniformity().statistic, expected)
    limit = scipy.stats.kstwobign.sf(np.sqrt(900) * expected)
    assert_allclose(result.uniformity().pvalue, limit, rtol=1e-6)
    outside = int(np.sum((values == 0) | (values == 1)))
    assert result.outliers().statistic == outside
    assert_allclose(result.outliers().pvalue, scipy.stats.binomtest(outside, 900, 0.02).pvalue)


def test_what_is_printed(fitted):
    text = repr(fitted("sleepstudy").quantile_residuals(seed=1))
    assert text.startswith("Quantile residuals of 180 observations, 250 simulations (seed 1)")
    assert all(word in text for word in ("uniformity", "dispersion = ", "outliers = "))


def test_a_test_prints_as_two_lines(fitted):
    test = fitted("sleepstudy").quantile_residuals(seed=1).dispersion("less")
    first, second = repr(test).split("\n")
    assert first == test.method
    assert second.startswith("dispersion = 0.987") and second.endswith("(less)")


def test_options_are_checked(fitted):
    fit = fitted("sleepstudy")
    result = fit.quantile_residuals(n=20, seed=1)
    for test in (result.uniformity, result.dispersion, result.outliers):
        with pytest.raises(ValueError, match="'two-sided', 'greater', 'less'"):
            test("lower")
    for n in (2.5, True):
        with pytest.raises(TypeError, match="n must be a whole number"):
            fit.quantile_residuals(n=n)
    with pytest.raises(ValueError, match="at least 1"):
        fit.quantile_residuals(n=0)
    with pytest.raises(ValueError, match="conditional"):
        fit.quantile_residuals(re="none")
    with pytest.raises(ValueError, match="negative"):
        fit.quantile_residuals(seed=-1)
