"""Principal components of the random effects, against lme4's rePCA."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from diagnostics_golden import MODELS, answers, model


@pytest.mark.parametrize("name", MODELS)
def test_standard_deviations_are_those_of_lme4(name):
    expected = answers()[name]["pca_sdev"]
    pca = model(name).rand_pca()
    assert len(pca) == len(expected)
    for group, sdev in zip(pca.values(), expected.values(), strict=True):
        assert_allclose(group.sdev, np.atleast_1d(sdev), rtol=1e-4)


@pytest.mark.parametrize("name", ["sleep", "machines", "pastes"])
def test_the_summary_has_r_numbers(name):
    expected = [line for line in answers()[name]["pca_text"] if line]
    lines = [line for line in repr(model(name).rand_pca()).splitlines() if line]
    assert len(lines) == len(expected)
    for ours, theirs in zip(lines, expected, strict=True):
        if theirs.startswith((" ", "$")):  # names of columns and groups
            continue
        assert ours.split() == theirs.split()


@pytest.mark.parametrize("name", MODELS)
def test_components_make_up_the_covariance(name):
    fit = model(name)
    for t, group in enumerate(fit.rand_pca().values()):
        covariance = fit.sigma**2 * (group.rotation * group.sdev**2) @ group.rotation.T
        assert_allclose(covariance, fit.var_corr.terms[t].covariance, rtol=1e-8, atol=1e-8)
        assert group.names == fit.var_corr.terms[t].names


def test_terms_on_one_factor_are_taken_together(fitted):
    fit = fitted("sleepstudy_zcp")
    pca = fit.rand_pca()
    assert list(pca) == ["Subject"]
    assert_allclose(pca["Subject"].sdev, np.sort(fit.theta)[::-1])
    assert_allclose(pca["Subject"].importance.iloc[2, -1], 1)


def test_dimensions_that_are_missing(fitted):
    pca = fitted("golden/singular_correlation").rand_pca()
    (group,) = pca.values()
    assert group.sdev[-1] < 1e-4 * group.sdev[0]
    assert_allclose(group.importance.iloc[2, -2], 1, rtol=1e-6)


def test_no_variance_at_all(fitted):
    pca = fitted("dyestuff2").rand_pca()
    assert pca["Batch"].sdev[0] == 0
    assert np.isnan(pca["Batch"].importance.loc["Proportion of Variance", "PC1"])
    assert "NaN" in repr(pca)
