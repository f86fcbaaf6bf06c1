"""The parametric bootstrap of likelihood ratios."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from conftest import fitted_model
from crossnest.inference.pb_modcomp import _linear_simulator, pb_modcomp
from shared_files import shared


def pair(large="Reaction ~ Days + (1 | Subject)", small="Reaction ~ 1 + (1 | Subject)", reml=False):
    data = crossnest.datasets.sleepstudy()
    return crossnest.lmer(large, data, reml=reml), crossnest.lmer(small, data, reml=reml)


def test_reference_is_that_of_single_fits():
    large, small = pair()
    test = pb_modcomp(large, small, n=5, seed=4)
    assert test.statistic == pytest.approx(small.objective - large.objective)
    assert test.df == 1
    for j, y in enumerate(small.simulate(5, seed=4).to_numpy().T):
        single = small.refit(y).objective - large.refit(y).objective
        assert test.reference[j] == pytest.approx(single, abs=1e-7)


def test_pvalues_follow_their_definitions():
    data = crossnest.datasets.sleepstudy()
    data["x"] = np.random.default_rng(6).standard_normal(len(data))
    large = crossnest.lmer("Reaction ~ Days + x + (Days | Subject)", data, reml=False)
    small = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False)
    test = pb_modcomp(large, small, n=300, seed=2)
    t, reference = test.statistic, test.reference
    assert test.n_extreme == np.sum(reference >= t) > 3
    assert test.pvalue == (1 + test.n_extreme) / 301
    assert test.error == pytest.approx(np.sqrt(test.pvalue * (1 - test.pvalue) / 300))
    mean, variance = reference.mean(), reference.var(ddof=1)
    expected = {
        "LRT": scipy.stats.chi2.sf(t, 1),
        "PBtest": test.pvalue,
        "Bartlett": scipy.stats.chi2.sf(t / mean, 1),
        "Gamma": scipy.stats.gamma.sf(t, mean**2 / variance, scale=variance / mean),
    }
    np.testing.assert_allclose(test["Pr(>Chisq)"], list(expected.values()))
    assert test.index.tolist() == list(expected)
    # The reference distribution is nearly chi-squared here.
    assert scipy.stats.kstest(reference, scipy.stats.chi2(1).cdf).pvalue > 0.001


def test_independent_of_jobs_and_reml():
    one = pb_modcomp(*pair(), n=40, seed=1, n_jobs=1)
    two = pb_modcomp(*pair(reml=True), n=40, seed=1, n_jobs=2)
    np.testing.assert_allclose(one.reference, two.reference, atol=1e-6)
    assert one.pvalue == two.pvalue


def test_variance_components_have_ties_at_zero():
    data = crossnest.datasets.dyestuff2()
    data["half"] = np.tile(["a", "b"], 15)
    large = fitted_model("dyestuff2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        two = crossnest.lmer("Yield ~ 1 + (1 | Batch) + (1 | half)", data)
    test = pb_modcomp(two, large, n=100, seed=1)
    assert test.statistic == pytest.approx(0, abs=1e-6)
    assert test.pvalue == 1
    assert 0.3 < np.mean(test.reference < 1e-6) <= 1


def test_prints_like_pbkrtest():
    test = pb_modcomp(*pair(), n=30, seed=1)
    lines = repr(test).split("\n")
    assert lines[0] == "Parametric bootstrap test; samples: 30; extremes: 0"
    assert lines[1] == "large: Reaction ~ Days + (1 | Subject)"
    assert lines[2] == "small: Reaction ~ 1 + (1 | Subject)"
    assert lines[5].split() == ["Chisq", "Df", "Pr(>Chisq)"]
    assert lines[7].split() == ["PBtest", "116.462", "0.03226", "*"]
    assert "PBtest" in test._repr_html_()


def test_a_small_model_outside_the_large_one_is_refused():
    data = crossnest.datasets.sleepstudy()
    data["noise"] = np.random.default_rng(1).standard_normal(len(data))
    data["other"] = np.random.default_rng(2).standard_normal(len(data))
    large = crossnest.lmer("Reaction ~ noise + other + (1 | Subject)", data)
    small = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    with pytest.raises(ValueError, match="does not lie within the large one"):
        crossnest.pb_modcomp(large, small, n=10)
    with pytest.raises(ValueError, match="does not lie within the large one"):
        crossnest.pb_modcomp(large, crossnest.lm("Reaction ~ Days", data), n=10)
    with pytest.raises(TypeError, match="small must be a model fitted by lmer or lm, not str"):
        crossnest.pb_modcomp(large, "Reaction ~ noise", n=10)


def test_a_small_model_without_random_effects():
    """Balanced, one factor: the ratio rises with F, so p is that of the analysis of variance."""
    data = crossnest.datasets.dyestuff()
    large = fitted_model("reference/dyestuff")
    small = crossnest.lm("Yield ~ 1", data)
    test = pb_modcomp(large, small, n=1000, seed=3)
    F = scipy.stats.f_oneway(*(group["Yield"] for _, group in data.groupby("Batch", observed=True)))
    assert test.df == 1
    np.testing.assert_allclose(test.pvalue, F.pvalue, atol=4 * test.error)
    deviances = [-2 * crossnest.lmer("Yield ~ 1 + (1 | Batch)", data, reml=False).llf]
    np.testing.assert_allclose(test.statistic, -2 * small.llf - deviances[0], rtol=1e-6)


def test_a_linear_model_with_weights_and_an_offset():
    """Its ratios are those of single fits."""
    data = crossnest.datasets.sleepstudy()
    data["w"], data["known"] = 1.0 + data["Days"] % 3, 2.0 * data["Days"]
    arguments = {"data": data, "weights": "w", "offset": "known"}
    large = crossnest.lmer("Reaction ~ Days + (1 | Subject)", reml=False, **arguments)
    small = crossnest.lm("Reaction ~ Days", **arguments)
    test = pb_modcomp(large, small, n=5, seed=1)
    Y = _linear_simulator(small).draw(1, 0, 5)
    for y, found in zip(Y.T, test.reference, strict=True):
        arguments["data"] = data.assign(Reaction=y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", crossnest.CrossnestWarning)
            one = crossnest.lmer("Reaction ~ Days + (1 | Subject)", reml=False, **arguments)
        two = crossnest.lm("Reaction ~ Days", **arguments)
        np.testing.assert_allclose(found, max(2 * (one.llf - two.llf), 0), atol=1e-6)


def test_models_that_cannot_be_compared_are_refused():
    large, small = pair()
    with pytest.raises(ValueError, match="must have more parameters"):
        pb_modcomp(small, large, n=5)
    with pytest.raises(ValueError, match="n must be at least 1"):
        pb_modcomp(large, small, n=0)
    data = crossnest.datasets.sleepstudy()
    fewer = crossnest.lmer("Reaction ~ 1 + (1 | Subject)", data.iloc[:170])
    with pytest.raises(ValueError, match="`large` has 180 observations, `small` 170"):
        pb_modcomp(large, fewer, n=5)
    other = crossnest.lmer("log(Reaction) ~ 1 + (1 | Subject)", data)
    with pytest.raises(ValueError, match="differ in their response"):
        pb_modcomp(large, other, n=5)
    weights = 1.0 + data["Days"].to_numpy()
    weighted = crossnest.lmer("Reaction ~ 1 + (1 | Subject)", data, weights=weights)
    with pytest.raises(ValueError, match="differ in their weights"):
        pb_modcomp(large, weighted, n=5)


def test_hours_of_reading_matter():
    data = pd.read_csv(shared("seeds/childread.csv"))
    models = [
        crossnest.lmer(f"reading_age ~ {x} + (1 + hrs_week | school)", data)
        for x in ("hrs_week", "1")
    ]
    test = pb_modcomp(*models, n=2000, seed=1)
    assert test.statistic == pytest.approx(11.857, abs=5e-4)
    assert abs(test.pvalue - 0.002) < 4 * test.error


def test_the_result_is_a_table():
    test = pb_modcomp(*pair(), n=20, seed=1)
    assert isinstance(test, pd.DataFrame)
    assert test.loc["LRT", "Chisq"] == test.statistic
    again = pickle.loads(pickle.dumps(test))
    assert repr(again) == repr(test) and again.seed == 1
    assert type(test[["Chisq"]]) is not type(test)  # a part is a plain table
