"""Influence of cases and groups on the fixed effects: what changes without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray

from ..base.arguments import check_flag, is_word
from ..base.errors import ConvergenceWarning, DesignError
from ..base.read_only import ReadOnly
from ..base.threads import in_threads
from ..base.warn import warn_user
from ..fit.engine import Engine
from ..fit.refits import thread_count
from ..fit.residuals import leverages, residuals
from ..inference.case_resampling import without
from .case_deletion import delete_cases, delete_groups

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["Influence", "cooks_distance", "influence"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Influence(ReadOnly):
    """Changes of the fit when units are left out, one at a time.

    One row for each of m units, labelled by the rows of the data or the levels of the grouping
    factor. NaN where the remaining rows do not determine all fixed effects.

    Attributes
    ----------
    group : str or None
        The grouping factor whose levels are left out; None for single rows.
    exact : bool
        Whether theta and sigma were estimated anew without each unit, and not held fixed.
    dfbeta : DataFrame
        (m, p) estimates without the unit minus estimates of the fit.
    dfbetas : DataFrame
        (m, p) these divided by the standard errors without the unit.
    cooks_distance : Series
        (m,) d'Var(beta)^-1 d / p, d the change of beta.
    mdffits : Series
        (m,) the same with Var(beta) of the fit without the unit.
    covratio : Series
        (m,) determinant of Var(beta) without the unit over that of the fit.
    covtrace : Series
        (m,) distance of tr(Var(beta)^-1 Var(beta without the unit)) from p.
    theta : DataFrame or None
        (m, n_theta) covariance parameters without the unit, where estimated anew.
    sigma : Series or None
        (m,) residual standard deviations without the unit, where estimated anew.
    """

    group: str | None
    exact: bool
    dfbeta: pd.DataFrame
    dfbetas: pd.DataFrame
    cooks_distance: pd.Series[float]
    mdffits: pd.Series[float]
    covratio: pd.Series[float]
    covtrace: pd.Series[float]
    theta: pd.DataFrame | None = None
    sigma: pd.Series[float] | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return Cook's distance, MDFFITS, COVRATIO and COVTRACE, one row per unit."""
        names = ("cooks_distance", "mdffits", "covratio", "covtrace")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def __repr__(self) -> str:
        """Show `to_frame`, the most influential unit first."""
        unit = "case" if self.group is None else f"level of {self.group}"
        how = "refitted" if self.exact else "theta and sigma held fixed"
        table = self.to_frame().sort_values("cooks_distance", ascending=False)
        return f"Influence of each {unit} ({how})\n{table}"


def influence(
    model: FittedModel,
    group: str | None = None,
    exact: bool = False,
    n_jobs: int | None = None,
) -> Influence:
    """Measure the influence of each case, or of each level of a grouping factor.

    By default theta and sigma are held fixed and the estimates without a unit are downdated from
    the fit, exactly for that theta. With `exact` the model is refitted without each unit, theta and
    sigma included.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        Name of a grouping factor of the model, such as ``"Subject"``; single rows if not given.
    exact : bool
        Whether to refit.
    n_jobs : int, optional
        Threads for the refits; those of the model's `Control` if not given.

    Raises
    ------
    ValueError
        If there is no such grouping factor, the model has no fixed effects, or `n_jobs` is not
        positive.
    TypeError
        If `n_jobs` is not a whole number.
    DesignError
        If the model cannot be refitted without a unit.

    Warns
    -----
    ConvergenceWarning
        A refit stopped before the minimum.

    Notes
    -----
    Cook's distance, MDFFITS, COVRATIO and COVTRACE are those of HLMdiag and Christensen, Pearson
    and Johnson (1992). ``cooks.distance`` and ``dfbetas`` of lme4's ``influence`` are those with
    ``exact=True``, the former multiplied by (m - p) / m.

    References
    ----------
    Christensen, Pearson and Johnson (1992). Case-deletion diagnostics for mixed models.
    Technometrics 34, 38-45. Demidenko and Stukel (2005). Influence analysis for linear
    mixed-effects models. Statistics in Medicine 24, 893-909. Loy and Hofmann (2014). HLMdiag.
    Journal of Statistical Software 56(5).
    """
    check_flag(exact, "exact")
    if not len(model.fixef):
        raise ValueError("influence is measured on the fixed effects, and the model has none")
    codes, labels = _units(model, group)
    threads = thread_count(model, n_jobs)
    if exact:
        refits = _deleted_fits(model, codes, labels, threads, refit=True)
        _warn_unless_converged(refits, labels)
        names = model._theta_names
        theta = pd.DataFrame([one.theta for one in refits], index=labels, columns=names)
        sigma = pd.Series([one.sigma for one in refits], index=labels, name="sigma")
        measures = _measures(model, *_stacked(refits))
        return _collect(model, group, labels, measures, theta, sigma)
    if group is None:
        pieces = [_measures(model, *one.solve()) for one in delete_cases(model)]
        joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        return _collect(model, group, labels, joined)
    downdates = delete_groups(model, codes, len(labels))
    if downdates is None:  # too much to invert: solve the rows that are left, at the same theta
        changes = _stacked(_deleted_fits(model, codes, labels, threads, refit=False))
    else:
        changes = downdates.solve()
    return _collect(model, group, labels, _measures(model, *changes))


def cooks_distance(model: FittedModel) -> pd.Series[float]:
    """Compute Cook's distances as lme4's ``cooks.distance`` defines them.

    (e_i / (1 - h_i))^2 h_i / (p sigma^2), e the Pearson residuals and h the leverages of fixed and
    random effects together: they judge a row's influence on the fitted values. The influence on the
    fixed effects alone is that of `influence`. NaN where a leverage is 1.

    Raises
    ------
    ValueError
        If the model has no fixed effects.
    """
    if not len(model.fixef):
        raise ValueError("Cook's distance needs fixed effects, and the model has none")
    h = leverages(model)
    left = (1 - h).where(h < 1)
    scaled = residuals(model, "scaled")
    return ((scaled / left) ** 2 * h / len(model.fixef)).rename("cooks_distance")


def _units(model: FittedModel, group: str | None) -> tuple[NDArray[np.int32], pd.Index]:
    """Return each row's unit and the labels of the units."""
    design = model.design
    if group is None:
        return np.arange(design.n, dtype=np.int32), design.index
    for factor in design.factors:
        if is_word(group, [factor.name]):
            return factor.codes, factor.levels
    names = ", ".join(repr(factor.name) for factor in design.factors)
    raise ValueError(f"group must be a grouping factor of the model ({names}), not {group!r}")


# --------------------------------------------------------------------------- the measures


def _measures(
    model: FittedModel, change: FloatArray, covariance: FloatArray
) -> dict[str, FloatArray]:
    """Measure m deletions.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    change : (m, p) array
        Changes of R beta, R = RX.
    covariance : (m, p, p) array
        R Var(beta) R' / sigma^2 without the unit, the identity with it.
    """
    p, sigma, R = change.shape[1], model.sigma, model._fit.RX
    inverse = scipy.linalg.solve_triangular(R, np.eye(p))
    dfbeta = change @ inverse.T
    variances = np.einsum("ij,mjk,ik->mi", inverse, covariance, inverse)
    with np.errstate(invalid="ignore"):  # NaN where effects are lost
        solved = np.linalg.solve(covariance, change[:, :, None])[:, :, 0]
        determinants = np.linalg.det(covariance)
    return {
        "dfbeta": dfbeta,
        "dfbetas": dfbeta / (sigma * np.sqrt(variances)),
        "cooks_distance": (change**2).sum(axis=1) / (p * sigma**2),
        "mdffits": (change * solved).sum(axis=1) / (p * sigma**2),
        "covratio": determinants,
        "covtrace": np.abs(np.trace(covariance, axis1=1, axis2=2) - p),
    }


def _collect(
    model: FittedModel,
    group: str | None,
    labels: pd.Index,
    measures: dict[str, FloatArray],
    theta: pd.DataFrame | None = None,
    sigma: pd.Series[float] | None = None,
) -> Influence:
    """Label the measures."""
    names = list(model._coef_names)

    def frame(name: str) -> pd.DataFrame:
        return pd.DataFrame(measures[name], index=labels, columns=names)

    def series(name: str) -> pd.Series[float]:
        return pd.Series(measures[name], index=labels, name=name)

    return Influence(
        group=group,
        exact=sigma is not None,
        dfbeta=frame("dfbeta"),
        dfbetas=frame("dfbetas"),
        cooks_distance=series("cooks_distance"),
        mdffits=series("mdffits"),
        covratio=series("covratio"),
        covtrace=series("covtrace"),
        theta=theta,
        sigma=sigma,
    )


# ------------------------------------------------------------- fits of the rows that are left


@dataclass(frozen=True, eq=False)
class _DeletedFit:
    """The fit without a unit.

    Attributes
    ----------
    change : (p,) array
        Change of R beta.
    covariance : (p, p) array
        R Var(beta) R' / sigma^2 without the unit.
    theta : (n_theta,) array
        Covariance parameters.
    sigma : float
        Residual standard deviation.
    converged : bool
        Whether the optimizer reached a minimum.
    """

    change: FloatArray
    covariance: FloatArray
    theta: FloatArray
    sigma: float
    converged: bool


def _deleted_fits(
    model: FittedModel,
    codes: NDArray[np.int32],
    labels: pd.Index,
    threads: int,
    refit: bool,
) -> list[_DeletedFit]:
    """Fit the model without each unit, or solve it at the theta and sigma of the model."""

    def fit(unit: int) -> _DeletedFit:
        try:
            return _deleted_fit(model, codes == unit, refit)
        except DesignError as error:
            raise DesignError(f"without {labels[unit]!r}: {error}") from error

    return list(in_threads(fit, len(labels), threads))


def _deleted_fit(model: FittedModel, dropped: NDArray[np.bool_], refit: bool) -> _DeletedFit:
    design, control = without(model.design, dropped), replace(model.control, threads=1)
    problem = Engine(design, control).problem(design.y)
    theta = model._fit.theta
    if refit:
        found = problem.fit(model.reml, theta, control.optimizer_options())
    else:
        found = problem.estimates(theta, model.reml)
    determined = problem.model.rank == len(model._kept)
    sigma = float(found.sigma) if refit else model.sigma
    if determined:
        R = model._fit.RX
        whitened = scipy.linalg.solve_triangular(found.RX, R.T, trans="T").T * sigma / model.sigma
        change, covariance = R @ (found.beta - model._fit.beta), whitened @ whitened.T
    else:
        p = len(model._kept)
        change, covariance = np.full(p, np.nan), np.full((p, p), np.nan)
    return _DeletedFit(change, covariance, found.theta, sigma, found.converged is not False)


def _stacked(fits: Iterable[_DeletedFit]) -> tuple[FloatArray, FloatArray]:
    """Return the changes (m, p) and covariances (m, p, p) of all fits."""
    changes, covariances = zip(*((one.change, one.covariance) for one in fits), strict=True)
    return np.stack(changes), np.stack(covariances)


def _warn_unless_converged(fits: Iterable[_DeletedFit], labels: pd.Index) -> None:
    failed = [str(label) for one, label in zip(fits, labels, strict=True) if not one.converged]
    if failed:
        text = f"the fits without these units did not converge: {', '.join(failed)}"
        warn_user(text, ConvergenceWarning)
