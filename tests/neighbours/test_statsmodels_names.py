"""Attributes and methods by the names they have in statsmodels, next to its MixedLM."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import crossnest

ATTRIBUTES = [
    "params",
    "bse",
    "tvalues",
    "pvalues",
    "llf",
    "aic",
    "bic",
    "nobs",
    "df_resid",
    "resid",
    "fittedvalues",
]


@pytest.fixture(scope="module")
def data():
    return crossnest.datasets.sleepstudy()


@pytest.fixture(scope="module", params=[True, False], ids=["REML", "ML"])
def pair(request, data):
    """Return a random-intercept model by crossnest and by statsmodels."""
    formula_api = pytest.importorskip("statsmodels.formula.api")
    theirs = formula_api.mixedlm("Reaction ~ Days", data, groups=data["Subject"])
    ours = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=request.param)
    return ours, theirs.fit(reml=request.param)


def test_values(pair):
    ours, theirs = pair
    names = theirs.fe_params.index
    tolerance = {"rtol": 1e-4}  # statsmodels stops its search earlier
    assert_allclose(ours.params, theirs.fe_params, **tolerance)
    assert_allclose(ours.bse, theirs.bse_fe, **tolerance)
    assert_allclose(ours.tvalues, theirs.tvalues[names], **tolerance)
    assert_allclose(ours.cov_params(), theirs.cov_params().loc[names, names], **tolerance)
    assert_allclose(ours.sigma**2, theirs.scale, **tolerance)
    assert_allclose(ours.var_corr["Subject"], theirs.cov_re, rtol=1e-3)
    assert_allclose(ours.llf, theirs.llf, rtol=1e-9)
    assert_allclose(ours.resid, theirs.resid, rtol=1e-3, atol=1e-3)
    assert_allclose(ours.fittedvalues, theirs.fittedvalues, **tolerance)
    assert ours.nobs == theirs.nobs
    assert ours.endog_names == theirs.model.endog_names


def test_information_criteria(pair):
    ours, theirs = pair
    if ours.reml:
        assert np.isnan(theirs.aic)  # statsmodels leaves those of REML open; they are lme4's here
        assert_allclose(
            [ours.aic, ours.bic], ours.objective + ours.npar * np.array([2, np.log(180)])
        )
    else:
        assert_allclose([ours.aic, ours.bic], [theirs.aic, theirs.bic], rtol=1e-9)


def test_shapes_and_labels(pair):
    ours, theirs = pair
    for name in ATTRIBUTES:
        assert hasattr(theirs, name)
        assert np.ndim(getattr(ours, name)) == np.ndim(getattr(theirs, name)), name
    for name in ("params", "bse", "tvalues", "pvalues"):
        assert list(getattr(ours, name).index) == ["(Intercept)", "Days"]
    for name in ("resid", "fittedvalues"):
        assert getattr(ours, name).index.equals(getattr(theirs, name).index)
    assert ours.conf_int().shape == (2, theirs.conf_int().shape[1])
    assert ours.cov_params().shape == (2, 2)


def test_intervals_and_tests_have_degrees_of_freedom(pair):
    ours, theirs = pair
    # Those of statsmodels are normal; with 161 degrees of freedom the slope's hardly differ.
    assert_allclose(ours.pvalues["Days"], 0, atol=1e-20)
    assert ours.pvalues["(Intercept)"] > theirs.pvalues["Intercept"]
    for alpha in (0.05, 0.2):
        slope, interval = ours.conf_int(alpha=alpha).loc["Days"], theirs.conf_int(alpha).loc["Days"]
        assert_allclose(slope, interval, rtol=5e-3)
        assert slope.iloc[0] < interval.iloc[0] < interval.iloc[1] < slope.iloc[1]


def test_prediction_of_the_population(pair, data):
    ours, theirs = pair
    new = pd.DataFrame({"Days": [0.0, 2.5, 20.0]}, index=["a", "b", "c"])
    assert_allclose(ours.predict(new, re="none"), theirs.predict(new), rtol=2e-5)
    assert list(ours.predict(new, re="none").index) == ["a", "b", "c"]


def test_params_may_be_relabelled(pair):
    ours, _ = pair
    params = ours.params
    params.index.name = "Coefficient"
    params["Days"] = 0.0
    assert ours.fixef.index.name is None
    assert ours.params["Days"] != 0
