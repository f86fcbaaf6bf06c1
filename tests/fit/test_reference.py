"""Whole fits against R: every case of tests/expected/reference, at its README's tolerances."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest

import crossnest
from reference_cases import as_array, as_list, case_names, load_case

RELATIVE = {"coef": 1e-5, "vcov": 1e-5, "default": 1e-4}
ABSOLUTE = 1e-6


@functools.cache
def fitted(name):
    """Fit a case once for all its keys."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(**load_case(name).fit_arguments())


def assert_close(actual, expected, rtol, scale=None):
    """Compare at `rtol` of each number, or of `scale` where the number itself is near zero."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert actual.shape == expected.shape
    scale = np.abs(expected) if scale is None else np.maximum(np.abs(expected), scale)
    excess = np.abs(actual - expected) - rtol * scale
    assert np.all(excess <= 1e-10), f"\n{actual=}\n{expected=}\n{np.max(excess)=}"


# --- one check a key -----------------------------------------------------------------------------


def check_criterion(model, expected):
    assert model.objective == pytest.approx(expected, rel=0, abs=ABSOLUTE)


def check_logLik(model, expected):
    assert model.llf == pytest.approx(expected, rel=0, abs=ABSOLUTE)


def check_AIC(model, expected):
    assert model.aic == pytest.approx(expected, rel=0, abs=ABSOLUTE)


def check_BIC(model, expected):
    assert model.bic == pytest.approx(expected, rel=0, abs=ABSOLUTE)


def check_df(model, expected):
    assert model.npar == expected
    assert model.df_resid == model.nobs - expected


def check_nobs(model, expected):
    assert model.nobs == expected


def check_singular(model, expected):
    assert model.is_singular == expected


def check_theta(model, expected):
    values = as_array(list(expected.values()))
    assert_close(model.theta, values, RELATIVE["default"], scale=1e-1 * np.max(np.abs(values)))


def check_sigma(model, expected):
    assert_close(model.sigma, expected, RELATIVE["default"])


def numbered(frame: dict) -> dict:
    """Key the rows of a table of variances by group and by the positions of its effects.

    R and formulaic name the columns of a factor differently; their order is the same.
    """
    order: dict[str, list[str]] = {}
    rows = list(zip(*(frame[c] for c in ("grp", "var1", "var2", "vcov", "sdcor")), strict=True))
    for group, effect, _, _, _ in rows:
        names = order.setdefault(group, [])
        if effect not in names:
            names.append(effect)
    return {
        (group, order[group].index(a), order[group].index(b) if isinstance(b, str) else None): (
            v,
            s,
        )
        for group, a, b, v, s in rows
    }


def check_varcorr(model, expected):
    actual, rows = numbered(model.var_corr.to_frame().to_dict("list")), numbered(expected)
    assert actual.keys() == rows.keys()
    for (group, i, j), (variance, sdcor) in rows.items():
        scale = 0.0 if j is None else np.sqrt(rows[group, i, None][0] * rows[group, j, None][0])
        assert_close(actual[group, i, j][0], variance, 2 * RELATIVE["default"], scale)
        if sdcor is not None:
            scale = 0.0 if j is None else 1.0
            assert_close(actual[group, i, j][1], sdcor, RELATIVE["default"], scale)


def check_coef(model, expected):
    se = as_array(expected["se"])
    assert len(model.fixef) == len(as_list(expected["names"]))
    assert_close(model.fixef.to_numpy(), as_array(expected["estimate"]), RELATIVE["coef"], se)
    assert_close(model.bse.to_numpy(), se, RELATIVE["coef"])
    assert_close(model.tvalues.to_numpy(), as_array(expected["t"]), RELATIVE["coef"], 1.0)


def check_vcov(model, expected):
    expected = np.atleast_2d(np.array(expected, dtype=float))
    se = np.sqrt(np.diag(expected))
    assert_close(model.vcov.to_numpy(), expected, RELATIVE["vcov"], np.outer(se, se))


def check_ranef(model, expected):
    modes = model.ranef()
    assert list(modes) == [group["group"] for group in expected]
    for group in expected:
        frame = modes[group["group"]]
        assert len(frame) == group["n_levels"]
        head = frame.iloc[: len(group["values"])]
        assert [str(level) for level in head.index] == group["levels"]
        rms = np.sqrt(as_array(group["sum_sq"]) / group["n_levels"])
        assert_close(head.to_numpy(), group["values"], RELATIVE["default"], rms)
        sum_sq = np.square(frame.to_numpy()).sum(axis=0)
        assert_close(sum_sq, as_array(group["sum_sq"]), 2 * RELATIVE["default"])


def check_cond_var(model, expected):
    """The conditional covariances are a key of each group of `ranef`; lme4 has none for `||`."""
    computed = model.cond_var()
    for group in expected:
        covariances = np.array(group["cond_var"], dtype=float)
        sd = np.sqrt(np.einsum("lii->li", covariances))
        scale = sd[:, :, None] * sd[:, None, :]
        head = computed[group["group"]][: len(covariances)]
        assert_close(head, covariances, RELATIVE["default"], scale)


def check_n_levels(model, expected):
    assert dict(model.n_levels) == expected


def check_scaled_residual_quantiles(model, expected):
    quantiles = np.quantile(model.residuals("scaled"), [0.0, 0.25, 0.5, 0.75, 1.0])
    assert_close(quantiles, expected, RELATIVE["default"], 1.0)


def check_fitted_head(model, expected):
    head = model.fittedvalues.to_numpy()[: len(expected)]
    assert_close(head, expected, RELATIVE["default"])


def check_fitted_sum(model, expected):
    assert_close(model.fittedvalues.sum(), expected, RELATIVE["default"])


def check_hatvalues_head(model, expected):
    head = model._fit.leverages()[: len(expected)]
    assert_close(head, expected, RELATIVE["default"])


CHECKS = {
    name.removeprefix("check_"): f for name, f in globals().items() if name.startswith("check_")
}


def keys_of(name: str) -> list[str]:
    """List the keys of a case that R has a value for."""
    expected = load_case(name).expected
    keys = [key for key in CHECKS if key != "cond_var" and expected.get(key) is not None]
    has_cond_var = all(group.get("cond_var") for group in expected["ranef"])
    return keys + (["cond_var"] if has_cond_var else [])


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in case_names() for key in keys_of(name)]
)
def test_reference(name, key):
    expected = load_case(name).expected["ranef" if key == "cond_var" else key]
    CHECKS[key](fitted(name), expected)


def test_all_cases_are_there():
    assert len(case_names()) == 28


def test_aliased_column_is_named():
    with pytest.warns(crossnest.RankDeficiencyWarning, match="D2"):
        crossnest.lmer(**load_case("rank_deficient").fit_arguments())


def test_singular_fit_is_named():
    with pytest.warns(crossnest.SingularFitWarning, match="Batch"):
        crossnest.lmer(**load_case("dyestuff2").fit_arguments())
