"""Intraclass correlations, R2 and variance inflation, against R's performance and car."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import crossnest
from diagnostics_golden import MODELS, answers, model
from reference_cases import case_names, load_case

#: R's insight counts the first effect of ``(Days || Subject)`` alone, and gives NA for a fit with
#: variance zero.
NOT_COMPARED = {"sleepstudy_zcp", "dyestuff2"}


@pytest.mark.parametrize("case", sorted(set(case_names()) - NOT_COMPARED))
def test_reference_cases(case, fitted):
    expected = load_case(case).expected
    fit = fitted(f"reference/{case}")
    for key, shares in (("icc", fit.icc()), ("r2_nakagawa", fit.r2())):
        values = expected.get(key)
        if not isinstance(values, dict) or "error" in values:
            continue
        assert set(values) == set(shares)
        for name, value in values.items():
            assert_allclose(shares[name], value, rtol=1e-4, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_golden_cases(name):
    fit, expected = model(name), answers()[name]
    for shares, values in ((fit.icc(), expected["icc"]), (fit.r2(), expected["r2"])):
        assert_allclose(
            [shares[key] for key in values], list(values.values()), rtol=1e-5, atol=1e-9
        )


def test_every_effect_of_a_double_bar_counts(fitted):
    fit = fitted("sleepstudy_zcp")
    days = crossnest.datasets.load("sleepstudy")["Days"].to_numpy()
    intercept, slope = (term.covariance[0, 0] for term in fit.var_corr.terms)
    between = intercept + slope * np.mean(days**2)
    assert_allclose(fit.icc()["ICC_adjusted"], between / (between + fit.sigma**2))


def test_slopes_that_are_not_fixed_effects_count(fitted):
    """The same model in two parametrizations of its random effects has the same ICC."""
    data = crossnest.datasets.load("machines")
    cells = crossnest.lmer("score ~ Machine + (0 + Machine | Worker)", data)
    treatment = crossnest.lmer("score ~ Machine + (Machine | Worker)", data)
    assert_allclose(cells.icc()["ICC_adjusted"], treatment.icc()["ICC_adjusted"], rtol=1e-5)


def test_shares_by_group_add_up(fitted):
    fit = fitted("pastes")
    shares = fit.icc(by_group=True)
    assert list(shares) == ["cask:batch", "batch"]
    assert_allclose(sum(shares.values()), fit.icc()["ICC_adjusted"])
    assert_allclose(shares["batch"], 0.154, atol=5e-4)  # performance::icc(by_group = TRUE)


def test_a_fit_without_variance_between_groups(fitted):
    fit = fitted("dyestuff2")
    assert fit.icc()["ICC_adjusted"] == 0
    assert_allclose(fit.r2()["R2_conditional"], 0, atol=1e-12)


def test_shares_print_as_in_r(fitted):
    fit = fitted("sleepstudy")
    assert repr(fit.icc()) == (
        "# Intraclass Correlation Coefficient\n\n    Adjusted ICC: 0.722\n  Unadjusted ICC: 0.521"
    )
    assert repr(fit.r2()) == (
        "# R2 for Mixed Models\n\n  Conditional R2: 0.799\n     Marginal R2: 0.279"
    )


@pytest.mark.parametrize("name", ["orthodont", "cake"])
def test_variance_inflation_is_that_of_car(name):
    expected = answers()[name]["vif"]
    table = model(name).vif()
    assert len(table) == len(expected["terms"])
    values = np.reshape(expected["values"], (len(table), -1))
    assert_allclose(table["GVIF"], values[:, 0], rtol=1e-6)
    if values.shape[1] > 1:
        assert_allclose(table["Df"], values[:, 1])
        assert_allclose(table["GVIF^(1/(2*Df))"], values[:, 2], rtol=1e-6)


def test_generalized_variance_inflation_of_a_factor():
    data = crossnest.datasets.load("cake")
    data["warm"] = data["temp"] + 20.0 * (data["recipe"] == "B") * (np.arange(len(data)) % 2)
    table = crossnest.lmer("angle ~ recipe + warm + (1 | recipe:replicate)", data).vif()
    assert list(table["Df"]) == [2, 1]
    assert table.loc["recipe", "GVIF"] == pytest.approx(table.loc["warm", "GVIF"])
    assert_allclose(table["GVIF^(1/(2*Df))"], table["GVIF"] ** (1 / (2 * table["Df"])))
    assert table["GVIF"].min() > 1.003


def test_one_term_has_nothing_to_be_compared_with(fitted):
    with pytest.raises(ValueError, match="at least two terms"):
        fitted("sleepstudy").vif()
