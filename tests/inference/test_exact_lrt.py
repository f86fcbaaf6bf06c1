"""Exact tests of a variance component: closed forms, brute force, and RLRsim's example."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from crossnest.fit.refits import refit_columns
from crossnest.inference.lrt_distribution import LrtDistribution, _eigenvalues
from crossnest.prediction.simulate import Simulator


def quietly(formula, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


def test_dyestuff(fitted):
    test = crossnest.exact_rlrt(fitted("reference/dyestuff"), n=50_000, seed=1)
    assert test.statistic == pytest.approx(6.369, abs=5e-4)
    assert test.n == len(test.reference) == 50_000
    # In a balanced design with one factor the ratio rises with F.
    data = crossnest.datasets.dyestuff()
    F = scipy.stats.f_oneway(*(group["Yield"] for _, group in data.groupby("Batch", observed=True)))
    np.testing.assert_allclose(test.pvalue, F.pvalue, atol=4 * test.error)


def test_no_variance_has_a_p_value_of_one(fitted):
    test = crossnest.exact_rlrt(fitted("dyestuff2"), n=2000, seed=1)
    assert (test.statistic, test.pvalue) == (0.0, 1.0)
    assert 0.3 < np.mean(test.reference == 0) < 0.9


def test_eigenvalues_of_equal_groups_are_counted_and_not_computed():
    rng = np.random.default_rng(1)
    sizes = np.repeat([3.0, 7.0, 2.0], [9, 6, 1])
    C = rng.normal(size=(16, 2)) * 0.2
    values, counts = _eigenvalues(sizes, C)
    assert counts.sum() == 16
    assert counts.max() == 7
    found = np.sort(np.repeat(values, counts.astype(int)))
    np.testing.assert_allclose(found, np.linalg.eigvalsh(np.diag(sizes) - C @ C.T), rtol=1e-12)


def unbalanced():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=60), "w": rng.uniform(0.5, 3, 60)})
    data["g"] = rng.choice(list("abcdefg"), 60, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    data["y"] = data["x"] + rng.normal(size=60)
    return data


@pytest.mark.parametrize(
    ("reml", "null", "random"),
    [(True, "y ~ x", "(1 | g)"), (False, "y ~ 1", "(1 | g)"), (False, "y ~ x", "(0 + x | g)")],
)
def test_the_distribution_is_that_of_refits(reml, null, random):
    """Simulate the null model and fit both: the quantiles are those of the exact distribution."""
    data = unbalanced()
    model = quietly(f"y ~ x + {random}", data, weights="w", reml=reml)
    small = crossnest.lm(null, data, weights="w")
    scale = 1 / np.sqrt(data["w"].to_numpy())
    Y = Simulator(np.zeros(60), None, scale).draw(7, 0, 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        large = refit_columns(model, Y).objective
    X = small.design.X / scale[:, None]
    Q = np.linalg.qr(X)[0]
    white = Y / scale[:, None]
    rss = np.sum((white - Q @ (Q.T @ white)) ** 2, axis=0)
    factor = 60 - (X.shape[1] if reml else 0)
    at_zero = factor * (1 + np.log(2 * np.pi * rss / factor)) - np.log(data["w"]).sum()
    if reml:
        at_zero += np.linalg.slogdet(X.T @ X)[1]
    simulated = np.maximum(at_zero - large, 0.0)
    q = model.design.p - small.design.p
    exact = LrtDistribution.of(model.design, 0, q, reml).draw(20_000, 1)
    np.testing.assert_allclose(np.mean(exact < 1e-6), np.mean(simulated < 1e-6), atol=0.03)
    levels = [0.9, 0.95]
    for level, value in zip(levels, np.quantile(exact, levels), strict=True):
        assert np.mean(simulated <= value + 1e-6) == pytest.approx(level, abs=0.02)


def test_fixed_effects_are_tested_too():
    data = crossnest.datasets.sleepstudy()
    model = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    alone = crossnest.exact_lrt(model, n=500, seed=1)
    both = crossnest.exact_lrt(model, crossnest.lm("Reaction ~ 1", data), n=500, seed=1)
    by_ml = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    for test, formula in ((alone, "Reaction ~ Days"), (both, "Reaction ~ 1")):
        expected = 2 * (by_ml.llf - crossnest.lm(formula, data).llf)
        np.testing.assert_allclose(test.statistic, expected, rtol=1e-7)
    assert "and 1 fixed effect\n" in repr(both)
    assert np.mean(both.reference) > np.mean(alone.reference) + 0.5


def test_one_of_several_components():
    data = crossnest.datasets.sleepstudy()
    null = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    model = crossnest.lmer("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", data)
    test = crossnest.exact_rlrt(model, null, n=500, seed=1)
    np.testing.assert_allclose(test.statistic, null.objective - model.objective, rtol=1e-6)
    assert "as if it were the only random effect" in test.method
    alone = crossnest.lmer("Reaction ~ Days + (0 + Days | Subject)", data)
    reference = crossnest.exact_rlrt(alone, n=500, seed=1).reference
    np.testing.assert_array_equal(test.reference, reference)
    with pytest.raises(ValueError, match=r"known for one variance component.*pass it as null="):
        crossnest.exact_rlrt(model)
    with pytest.raises(ValueError, match=r"known for one variance component.*pb_modcomp"):
        crossnest.exact_lrt(model)
    correlated = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data)
    with pytest.raises(ValueError, match="one random-effects term more"):
        crossnest.exact_rlrt(correlated, null)


def test_the_seed_decides(fitted):
    model = fitted("reference/dyestuff")
    first, again, other = (crossnest.exact_rlrt(model, n=200, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.reference, again.reference)
    assert not np.array_equal(first.reference, other.reference)
    with pytest.raises(ValueError, match="read-only"):
        first.reference[0] = 1.0
    by_ml = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff(), reml=False)
    np.testing.assert_allclose(
        crossnest.exact_rlrt(by_ml, n=10, seed=1).statistic, first.statistic, atol=1e-6
    )


def test_prints_what_was_tested(fitted):
    lines = repr(crossnest.exact_rlrt(fitted("reference/dyestuff"), n=100, seed=1)).split("\n")
    assert lines[0] == "Exact restricted likelihood-ratio test of (1 | Batch)"
    assert lines[1:3] == ["model: Yield ~ 1 + (1 | Batch)", "null:  Yield ~ 1"]
    assert lines[3].startswith("RLRT = 6.369, p-value = 0.0")


def test_what_cannot_be_tested(fitted):
    model, data = fitted("reference/dyestuff"), crossnest.datasets.dyestuff()
    line = crossnest.lm("Yield ~ Batch", data)
    with pytest.raises(TypeError, match="model must be one fitted by lmer, not LinearModel"):
        crossnest.exact_rlrt(line)
    with pytest.raises(TypeError, match="null must be a model fitted by lmer or lm, not str"):
        crossnest.exact_lrt(model, "Yield ~ 1")
    with pytest.raises(TypeError, match="null must be a model without random effects"):
        crossnest.exact_lrt(model, model)
    with pytest.raises(ValueError, match="do not lie within"):
        crossnest.exact_rlrt(model, line)
    with pytest.raises(ValueError, match="`model` has 30 observations, `null` 29"):
        crossnest.exact_rlrt(model, crossnest.lm("Yield ~ 1", data.iloc[1:]))
    sleepstudy = crossnest.datasets.sleepstudy()
    days = crossnest.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    with pytest.raises(ValueError, match=r"fixed effects .* differ.*exact_lrt"):
        crossnest.exact_rlrt(days, crossnest.lm("Reaction ~ 1", sleepstudy))
    for n in (0, 1.5, "many"):
        with pytest.raises((TypeError, ValueError), match="n must be"):
            crossnest.exact_rlrt(model, n=n)
