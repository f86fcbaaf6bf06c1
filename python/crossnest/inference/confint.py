"""Confidence intervals of all parameters, by a choice of methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from ..base.arguments import choice
from ..base.ddf_methods import DDF_ALIASES
from .bootstrap import INTERVALS, bootstrap
from .ddf import tester
from .parameters import choose, normal_quantile, parameter_names, percent_names
from .profile import intervals

if TYPE_CHECKING:
    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel
    from .bootstrap import IntervalKind

#: What each method can be told besides level and parameters.
_OPTIONS = {
    "profile": ("progress",),
    "bootstrap": ("interval", "n", "kind", "resample", "seed", "n_jobs", "progress"),
}

Method = Literal[
    "profile", "wald", "bootstrap", "satterthwaite", "kenward-roger", "kenward-roger-observed"
]


def confint(
    model: FittedModel,
    method: Method = "profile",
    level: float = 0.95,
    parm: Sequence[str] | str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Compute confidence intervals of the parameters.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    method : {"profile", "wald", "bootstrap", "satterthwaite", "kenward-roger", ...}
        ``profile``: where the deviance, all other parameters estimated again, has risen by the
        quantile of chi-squared with one degree of freedom; a REML fit is fitted by maximum
        likelihood first, as in lme4. ``wald``: fixed effects plus or minus normal quantiles of
        their standard errors. ``satterthwaite``, ``kenward-roger``, ``kenward-roger-observed``:
        with quantiles of t (and the adjusted standard errors of the last two). ``bootstrap``: from
        refits to resampled data.
    level : float
        Coverage.
    parm : str or sequence of str, optional
        Parameters, as for `crossnest.inference.profile.profile`. Default: all.
    **options
        For ``profile``: ``progress``. For ``bootstrap``: ``interval``, the kind of interval
        (``"percentile"`` if not given), and the arguments ``n``, ``kind``, ``resample``, ``seed``,
        ``n_jobs`` and ``progress`` of `crossnest.inference.bootstrap.bootstrap`; intervals of a
        statistic are those of `Bootstrap.confint`.

    Returns
    -------
    DataFrame
        One row per parameter: standard deviations and correlations of the random effects, sigma,
        fixed effects. Two columns named by percent. NaN for the covariance parameters where the
        method has no interval for them. For ``profile``, ``attrs["notes"]`` says which ends are
        bounds of the parameter, or NaN, and why.

    Raises
    ------
    ValueError
        If method or parameter are unknown, or `level` is not between 0 and 1.
    TypeError
        If the method has no such option.
    """
    methods: dict[Method, Callable[..., pd.DataFrame]] = {
        "profile": _profile,
        "wald": _wald,
        "bootstrap": _bootstrap,
        "satterthwaite": partial(_by_t, ddf="satterthwaite"),
        "kenward-roger": partial(_by_t, ddf="kenward-roger"),
        "kenward-roger-observed": partial(_by_t, ddf="kenward-roger-observed"),
    }
    method = choice(method, "method", tuple(methods), DDF_ALIASES)
    names = parameter_names(model)
    chosen = [names[j] for j in choose(names, parm, len(model.fixef))]
    normal_quantile(level)  # refuses a level that is none
    known = _OPTIONS.get(method, ())
    for name in options:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise TypeError(f"method {method!r} has no option {name!r}; its options: {listed}")
    return methods[method](model, chosen, level, **options)


def _profile(
    model: FittedModel, chosen: list[str], level: float, progress: bool = True
) -> pd.DataFrame:
    return intervals(model, chosen, level, progress)


def _wald(model: FittedModel, chosen: list[str], level: float) -> pd.DataFrame:
    fixed = pd.DataFrame({"Estimate": model.fixef, "Std. Error": model.bse})
    return _symmetric(model, chosen, level, fixed, normal_quantile(level))


def _by_t(model: FittedModel, chosen: list[str], level: float, ddf: Ddf) -> pd.DataFrame:
    """Estimate plus or minus t quantiles, with the degrees of freedom of a method."""
    table = tester(model, ddf).t_table(np.eye(len(model.fixef)))
    quantile = -stdtrit(table["df"].to_numpy(), (1 - level) / 2)
    return _symmetric(model, chosen, level, table, quantile)


def _symmetric(
    model: FittedModel,
    chosen: list[str],
    level: float,
    table: pd.DataFrame,
    quantile: Any,
) -> pd.DataFrame:
    """Estimate plus or minus a quantile, (p,) or one for all, times the standard error."""
    estimate = table["Estimate"].to_numpy(dtype=np.float64)
    width = quantile * table["Std. Error"].to_numpy(dtype=np.float64)
    names = parameter_names(model)
    values = np.full((len(names), 2), np.nan)
    values[len(names) - len(estimate) :] = np.column_stack([estimate - width, estimate + width])
    return pd.DataFrame(values, index=names, columns=percent_names(level)).loc[chosen]


def _bootstrap(
    model: FittedModel,
    chosen: list[str],
    level: float,
    interval: IntervalKind = "percentile",
    **options: Any,
) -> pd.DataFrame:
    interval = choice(interval, "interval", INTERVALS)
    return bootstrap(model, **options).confint(interval, level).loc[chosen]
