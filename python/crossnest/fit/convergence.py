"""The verdict on convergence, with the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from ..formula.covariance_structures import structure_of
from .theta import theta_bounds

if TYPE_CHECKING:
    from .._core import Problem
    from ..design.design import Design
    from .fit import AnyFit
    from .fitted_model import FittedModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Convergence(ReadOnly):
    """Whether a fit is at a minimum; `LinearMixedModel.convergence` makes it.

    The verdict is that of the optimizer. The other numbers are computed afterwards, at the
    estimates, from the exact gradient g of the criterion in theta and its Hessian H, differences of
    that gradient; a parameter is free unless it is at its bound of zero.

    Attributes
    ----------
    converged : bool or None
        The verdict: one more Newton step would lower the criterion by no more than
        `Control.tolerance`, or by less than its rounding error where the search can lower it no
        further. None for a model at a theta of your choice, where nothing was optimized.
    predicted_decrease : float
        What that step would bring, 1/2 g'H^-1 g.
    gradient : float
        The largest component of the gradient in a free parameter, in absolute value, each in the
        unit in which its own second derivative is one. 0 where no parameter is free.
    smallest_eigenvalue : float
        Of the Hessian in the free parameters, in the same units: positive at a minimum, near zero
        where a combination of parameters is hardly determined. NaN where no parameter is free, or
        where the gradient cannot be computed beside the estimates.
    multipliers : Series
        Derivative of the criterion in the square of each parameter that is at its bound of zero,
        by name: positive where zero is the minimum. Empty inside the bounds.
    evaluations : int
        How often the criterion was evaluated.
    message : str
        Why the optimizer stopped.
    """

    converged: bool | None
    predicted_decrease: float
    gradient: float
    smallest_eigenvalue: float
    multipliers: pd.Series[float]
    evaluations: int
    message: str

    def __str__(self) -> str:
        """Return one line with the verdict, and one line for each of its numbers."""
        verdict = {True: "converged", False: "not converged", None: "nothing optimized"}
        lines = [
            f"{verdict[self.converged]} ({self.message}; evaluations: {self.evaluations})",
            f"predicted decrease: {self.predicted_decrease:.3g}",
            f"scaled gradient: {self.gradient:.3g}",
            f"smallest eigenvalue of the scaled Hessian: {self.smallest_eigenvalue:.3g}",
        ]
        lines += [f"multiplier of {name}: {x:.3g}" for name, x in self.multipliers.items()]
        return "\n".join(lines)

    __repr__ = __str__


def check_convergence(model: FittedModel) -> Convergence:
    """Compute the numbers behind the verdict on a model's convergence."""
    problem, fit, design = model._problem, model._fit, model.design
    theta = np.asarray(fit.theta, dtype=np.float64)
    lower, upper = theta_bounds(design)
    gradient, hessian = _derivatives(problem, fit.reml, theta, (lower, upper), _units(design))
    bound = (theta == lower) | (theta == upper)
    scaled, eigenvalue = _in_unit_scale(gradient[~bound], hessian[np.ix_(~bound, ~bound)])
    return Convergence(
        converged=None if fit.converged is None else bool(fit.converged),
        predicted_decrease=float(fit.predicted_decrease),
        gradient=scaled,
        smallest_eigenvalue=eigenvalue,
        multipliers=pd.Series(
            np.where(lower == 0, 0.5 * np.diag(hessian), np.abs(gradient))[bound],
            index=np.asarray(model._theta_names, dtype=object)[bound],
            dtype=np.float64,
        ),
        evaluations=int(fit.evaluations),
        message=str(fit.message),
    )


def verdict_line(fit: AnyFit) -> str | None:
    """Say in one line what is doubtful about a fit's convergence, or nothing."""
    if fit.converged is None:
        return "evaluated at a given theta: nothing was optimized"
    if fit.converged:
        return None
    return (
        f"not converged: one more step would lower the criterion by {fit.predicted_decrease:.3g} "
        f"({fit.message})"
    )


def _units(design: Design) -> FloatArray:
    """Return, for each theta, the relative standard deviation that is one of its effect's column.

    That of the row of lambda it stands in: one over the root mean square of the column of Z.
    """
    weights = np.ones(len(design.y)) if design.weights is None else design.weights
    units = []
    for term in design.random:
        squares = [1.0 if z is None else np.average(z * z, weights=weights) for z in term.columns]
        rows = [1.0 / np.sqrt(x) if x > 0 else 1.0 for x in squares]
        for kind, row, _ in structure_of(term.term.covariance, len(rows)).labels:
            unit = float(np.mean(rows)) if row is None else rows[row]
            units.append(1.0 if kind == "correlation" else unit)
    return np.array(units, dtype=np.float64)


def _derivatives(
    problem: Problem,
    reml: bool,
    theta: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    units: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the exact gradient in theta, and the Hessian by differences of it.

    The differences are central; at a bound of zero, where the gradient in an empty column of lambda
    is odd, those to one side are as good.
    """
    centre = problem.gradient(theta, reml)[1]
    hessian = np.empty((theta.size, theta.size))
    for a, unit in enumerate(units):
        step = np.zeros(theta.size)
        step[a] = 1e-4 * max(abs(theta[a]), 0.1 * unit)
        if theta[a] + step[a] > bounds[1][a]:
            step = -step
        above = problem.gradient(theta + step, reml)[1]
        if step[a] < 0 or theta[a] - step[a] < bounds[0][a]:
            hessian[a] = (above - centre) / step[a]
        else:
            hessian[a] = (above - problem.gradient(theta - step, reml)[1]) / (2.0 * step[a])
    return centre, 0.5 * (hessian + hessian.T)


def _in_unit_scale(gradient: FloatArray, hessian: FloatArray) -> tuple[float, float]:
    """Return the largest component of a gradient and the smallest eigenvalue of a Hessian.

    Both in units of the parameters in which the Hessian has diagonals of one (minus one where it
    curves down).
    """
    if gradient.size == 0:
        return 0.0, float("nan")
    curvature = np.abs(np.diag(hessian))
    unit = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
    scaled = float(np.abs(gradient * unit).max())
    if not np.isfinite(hessian).all():
        return scaled, float("nan")
    return scaled, float(np.linalg.eigvalsh(unit[:, None] * hessian * unit)[0])
