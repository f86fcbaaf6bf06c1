"""Profiles of the deviance: how it rises when one parameter is held away from its estimate."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import _core
from ..base.arguments import check_flag
from ..base.errors import ProfileWarning
from ..base.progress import track
from ..base.read_only import ReadOnly
from ..base.warn import warn_user
from .parameters import (
    choose,
    normal_quantile,
    parameter_names,
    percent_names,
    undetermined_parameters,
)

if TYPE_CHECKING:
    from scipy.interpolate import CubicSpline

    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]
Result = TypeVar("Result")
#: What `_core.Profiler.trace` returns.
_Trace: TypeAlias = tuple[FloatArray, FloatArray, str, str]

# What one more refit may gain on a fit that converged, in deviance.
_ROUNDING = 1e-6
# Points closer than this in zeta are level.
_FLAT = 1e-7


@dataclass(frozen=True, eq=False)
class Profile(ReadOnly):
    """The profiled deviance of the parameters of a model; `LinearMixedModel.profile` makes it.

    zeta is the signed square root of the rise of the deviance from its minimum when a parameter is
    held at a value and all others are estimated again. Where it is a straight line in the value,
    intervals of estimate plus or minus a multiple of a standard error are exact.

    Attributes
    ----------
    zeta : DataFrame
        One row per constrained refit: ``.par`` (the parameter held), ``value`` (where), ``zeta``,
        then the values of all parameters. Within a parameter by increasing value; the estimate,
        where zeta is 0, is among them.
    estimates : Series
        Maximum-likelihood estimates of all parameters: standard deviations and correlations of the
        random effects, sigma, fixed effects.
    deviance : float
        The minimum of the deviance. It is below that of the fit where a constrained refit found a
        better optimum (a `ProfileWarning` says so).
    level : float
        Coverage up to which was profiled.
    notes : DataFrame
        Why a profile ends before its cutoff, one row per parameter profiled: ``lower``, ``upper``;
        empty where it does not.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software 67(1), section 5.1. Bates and Watts (1988). Nonlinear Regression
    Analysis and Its Applications, section 6.1.
    """

    zeta: pd.DataFrame
    estimates: pd.Series[float]
    deviance: float
    level: float
    notes: pd.DataFrame
    _model: FittedModel

    def __str__(self) -> str:
        """Return a line per parameter: its estimate, how far it was followed, and notes."""
        names = list(self.notes.index)
        ends = [self.points(name)[0][[0, -1]] for name in names]
        table = pd.DataFrame(ends, index=names, columns=["from", "to"])
        table.insert(0, "estimate", self.estimates[names])
        lines = [
            f"Profile of `{self._model.formula}`, deviance {self.deviance:.4f}, to "
            f"{100 * self.level:g} %",
            table.to_string(float_format=lambda x: f"{x:.5g}"),
        ]
        for name in names:
            kept = self.notes.loc[name]
            lines += [f"{name}, {end} end: {note}" for end, note in kept.items() if note]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def points(self, parm: str) -> tuple[FloatArray, FloatArray]:
        """Return the values and zetas of one parameter, (points,) each.

        Raises
        ------
        ValueError
            If it was not profiled.
        """
        names = list(self.notes.index)
        if parm not in names:
            raise ValueError(f"no profile of {parm!r}; the parameters are {', '.join(names)}")
        rows = self.zeta[self.zeta[".par"] == parm]
        return rows["value"].to_numpy(), rows["zeta"].to_numpy()

    def spline(self, parm: str) -> CubicSpline:
        """Return zeta as a function of one parameter: the natural cubic spline through the points.

        Raises
        ------
        ValueError
            If it was not profiled, or at its estimate alone.
        """
        value, zeta = self.points(parm)
        return _natural_spline(value, zeta, f"value of {parm!r}")

    def backspline(self, parm: str) -> CubicSpline:
        """Return one parameter as a function of zeta: the natural cubic spline through the points.

        Where zeta no longer changes (a correlation when a standard deviation has become zero) the
        point nearest to the estimate counts.

        Raises
        ------
        ValueError
            If it was not profiled, or zeta does not increase from point to point.
        """
        value, zeta = self.points(parm)
        steps = np.diff(zeta)
        flat = np.where(zeta < 0, np.append(steps, 1.0), np.insert(steps, 0, 1.0))
        value, zeta = value[abs(flat) > _FLAT], zeta[abs(flat) > _FLAT]
        return _natural_spline(zeta, value, f"zeta of {parm!r}")

    def interpolate(self, parm: str, zeta: float | FloatArray) -> FloatArray:
        """Interpolate the value of a parameter at one zeta or several, by `backspline`."""
        return np.asarray(self.backspline(parm)(zeta), dtype=np.float64)

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Compute the interval of each parameter profiled.

        The ends are found by constrained refits, not interpolated, so `level` may be beyond that
        of the profile; see `crossnest.inference.confint.confint`.
        """
        return intervals(self._model, list(self.notes.index), level, progress=False)


def profile(
    model: FittedModel,
    parm: Sequence[str] | str | None = None,
    level: float = 0.99,
    progress: bool = True,
) -> Profile:
    """Profile the deviance of a model, in steps of about 0.5 in zeta.

    The profile is that of the deviance: a model fitted by REML is fitted by maximum likelihood
    first, as in lme4. Every point is an exact constrained refit computed from cross-products.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    parm : str or sequence of str, optional
        Parameters to profile, by name (``"sd_Days|Subject"``, ``"cor_Days.(Intercept)|Subject"``,
        ``"sigma"``, a coefficient's name); ``"theta_"`` stands for all of the covariance and
        ``"beta_"`` for all fixed effects. Default: all.
    level : float
        Profile until zeta passes the standard normal quantile of this coverage.
    progress : bool
        Whether to show a progress bar if it takes longer than a second on a terminal.

    Raises
    ------
    ValueError
        If there is no such parameter, or `level` is not between 0 and 1.

    Warns
    -----
    ProfileWarning
        If a constrained refit found a lower deviance than the fit, or a parameter cannot be
        profiled; its profile is then the estimate alone.
    """
    check_flag(progress, "progress")
    names, chosen = _chosen(model, parm)
    cutoff = normal_quantile(level)
    profiler = _core.Profiler(model._problem)

    def failed(note: str) -> _Trace:
        return np.zeros(1), profiler.estimates[None, :], note, note

    traces = _for_each(
        profiler, model, chosen, lambda j: profiler.trace(j, cutoff), failed, progress
    )
    estimates, deviance = profiler.estimates, profiler.deviance
    frames = [
        pd.DataFrame({".par": names[j], "value": values[:, j], "zeta": zeta}).join(
            pd.DataFrame(values, columns=names)
        )
        for j, (zeta, values, _, _) in zip(chosen, traces, strict=True)
    ]
    return Profile(
        zeta=pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(),
        estimates=pd.Series(estimates, index=names),
        deviance=deviance,
        level=level,
        notes=pd.DataFrame(
            [trace[2:] for trace in traces],
            index=[names[j] for j in chosen],
            columns=["lower", "upper"],
        ),
        _model=model,
    )


def intervals(
    model: FittedModel,
    parm: Sequence[str] | str | None,
    level: float,
    progress: bool,
) -> pd.DataFrame:
    """Find the profile interval of each parameter by Newton's method on zeta.

    An end is a bound of the parameter (0 for a standard deviation, -1 and 1 for a correlation)
    where zeta does not reach its quantile before it, and NaN where the deviance cannot be followed
    that far or the parameter cannot be profiled; ``attrs["notes"]`` of the result says which and
    why. Parameters and warnings are those of `profile`.
    """
    check_flag(progress, "progress")
    names, chosen = _chosen(model, parm)
    cutoff = normal_quantile(level)
    profiler = _core.Profiler(model._problem)
    found = _for_each(
        profiler,
        model,
        chosen,
        lambda j: profiler.interval(j, cutoff),
        lambda note: (np.nan, np.nan, note, note),
        progress,
    )
    rows = [names[j] for j in chosen]
    frame = pd.DataFrame([ends[:2] for ends in found], index=rows, columns=percent_names(level))
    notes = {
        name: {end: note for end, note in zip(("lower", "upper"), ends[2:], strict=True) if note}
        for name, ends in zip(rows, found, strict=True)
    }
    frame.attrs["notes"] = {name: note for name, note in notes.items() if note}
    return frame.astype(np.float64)


def _chosen(model: FittedModel, parm: Sequence[str] | str | None) -> tuple[list[str], list[int]]:
    """Return the names of all parameters, and the positions of those asked for."""
    names = parameter_names(model)
    return names, choose(names, parm, len(model.fixef))


def _natural_spline(x: FloatArray, y: FloatArray, what: str) -> CubicSpline:
    from scipy.interpolate import CubicSpline

    if x.size < 2 or not (np.diff(x) > 0).all():
        raise ValueError(f"cannot interpolate: the {what} does not increase from point to point")
    return CubicSpline(x, y, bc_type="natural")


def _for_each(
    profiler: _core.Profiler,
    model: FittedModel,
    chosen: Sequence[int],
    work: Callable[[int], Result],
    failed: Callable[[str], Result],
    progress: bool,
) -> list[Result]:
    """Do the work for each parameter, and again for those done before a better fit was found.

    A parameter whose work cannot be done has the result of `failed`, called with the reason; the
    others are not the worse for it.

    Raises
    ------
    ValueError
        If the deviance has no minimum.
    """
    for one in model.confounded:
        if one.kind == "exact":
            raise ValueError(f"the deviance has no minimum, so there is no profile: {one}")
    undetermined = undetermined_parameters(model)
    fitted = profiler.deviance if model.reml else model.objective
    results: dict[int, Result] = {}
    against: dict[int, float] = {}
    failures: dict[int, str] = {}
    todo = list(chosen)
    while todo:
        for j in track(todo, "profile", progress):
            failures.pop(j, None)
            try:
                if j in undetermined:
                    raise _core.FitError("the data do not determine it (see `confounded`)")
                results[j] = work(j)
            except _core.FitError as error:
                failures[j] = str(error)
                results[j] = failed(failures[j])
            against[j] = profiler.deviance
        todo = [j for j in chosen if against[j] > profiler.deviance]
    names = parameter_names(model)
    for reason in dict.fromkeys(failures.values()):
        failing = [names[j] for j in sorted(failures) if failures[j] == reason]
        text = f"{', '.join(failing)} cannot be profiled: {reason}"
        warn_user(text, ProfileWarning)
    if profiler.deviance < fitted - _ROUNDING:
        warn_user(
            f"a constrained refit found a lower deviance than the fit ({profiler.deviance:.6f}, "
            f"not {fitted:.6f}): the profile is that of the better optimum",
            ProfileWarning,
        )
    return [results[j] for j in chosen]
