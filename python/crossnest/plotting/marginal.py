"""Marginal predictions: estimated marginal means along a variable, with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import as_list, check_flag, check_level
from ..data.columns import FactorColumn, NumericColumn
from ..inference.emmeans import emmeans
from ..inference.reference_grid import _coded_as_factors
from .style import colours, figure_of, legend_beside, one_axes, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: Points of a line over a covariate.
N_POINTS = 60
MARKERS = "osD^vP*"


def plot_marginal(
    model: FittedModel,
    x: str,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    level: float = 0.95,
    ddf: Ddf = "satterthwaite",
    points: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Draw the estimated marginal means along a variable, with confidence bands.

    The means are those of `LinearMixedModel.emmeans`: random effects at zero, covariates at their
    mean, averaged over the levels of the other factors. A numeric `x` gives lines with pointwise
    bands over its range, a factor points with intervals.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    x : str
        A variable of the fixed effects.
    by : str or sequence of str, optional
        Variables with a line for each of their combinations. A covariate is taken at its mean and
        one standard deviation below and above it, unless `at` says where.
    at : mapping, optional
        Levels of factors and values of covariates to take instead, by column.
    level : float
        Confidence level.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Method of the standard errors and degrees of freedom.
    points : bool
        Whether to draw the observations too.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a name is not a variable of the fixed effects, or an option is unknown.
    ImportError
        If matplotlib is not installed.
    """
    check_flag(points, "points")
    check_level(level)
    strata = [] if by is None else as_list(by)
    covariate = _covariate(model, x)
    chosen = _points_of(model, x, strata, at or {})
    table = pd.DataFrame(emmeans(model, [x], strata, chosen, None, "tukey", ddf, level).table)
    beside = [name for name in table.columns[: list(table.columns).index("emmean")] if name != x]
    lines = _lines(table, beside)
    axes = one_axes(ax, (6.0, 4.2))
    tidy(axes, "y" if covariate is None else "both")
    if points:
        axes.plot(_positions(model, x), model.design.y, "o", color="0.6", markersize=2.5, alpha=0.5)
    (_draw_intervals if covariate is None else _draw_bands)(axes, lines, x)
    axes.set_xlabel(plain(x))
    axes.set_ylabel(plain(model.design.response_name))
    if len(lines) > 1:
        title = plain(", ".join(beside))
        legend_beside(axes, title)
    return figure_of(axes)


def _covariate(model: FittedModel, name: str) -> FloatArray | None:
    """Return the values (n,) of a numeric variable the formula does not make a factor of."""
    column = model.design.variables.get(name)
    if not isinstance(column, NumericColumn) or name in _coded_as_factors(model.design):
        return None
    return column.values


def _points_of(
    model: FittedModel, x: str, strata: Sequence[str], at: Mapping[str, Any]
) -> dict[str, Any]:
    """Say where covariates are taken, the axis over its range, those beside it at a few values."""
    chosen = dict(at)
    for name in (x, *strata):
        values = _covariate(model, name)
        if values is None or name in chosen:
            continue
        grid = np.linspace(values.min(), values.max(), N_POINTS)
        chosen[name] = grid if name == x else _spread(values)
    return chosen


def _positions(model: FittedModel, x: str) -> NDArray[Any]:
    """Return where the observations are on the axis, (n,)."""
    column = model.design.variables[x]
    if isinstance(column, FactorColumn):
        return column.without_unused().codes
    assert isinstance(column, NumericColumn)
    covariate = _covariate(model, x) is not None
    return column.values if covariate else np.unique(column.values, return_inverse=True)[1]


def _spread(values: FloatArray) -> FloatArray:
    """Take a covariate at its mean and a standard deviation to both sides, or at its two values."""
    distinct = np.unique(values)
    if len(distinct) <= 3:
        return distinct
    return np.asarray(values.mean() + values.std(ddof=1) * np.array([-1.0, 0.0, 1.0]))


def _lines(table: pd.DataFrame, beside: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Part the table of means by the variables beside the axis, and name the parts."""
    if not beside:
        return {"": table}
    parts = table.groupby(list(beside), sort=False, observed=True)
    return {", ".join(_text(value) for value in key): part for key, part in parts}


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _draw_bands(axes: Axes, lines: Mapping[str, pd.DataFrame], x: str) -> None:
    for (label, part), colour in zip(lines.items(), colours(len(lines)), strict=True):
        axes.fill_between(
            part[x], part["lower.CL"], part["upper.CL"], color=colour, alpha=0.18, linewidth=0
        )
        axes.plot(part[x], part["emmean"], color=colour, linewidth=1.8, label=label)


def _draw_intervals(axes: Axes, lines: Mapping[str, pd.DataFrame], x: str) -> None:
    first = next(iter(lines.values()))[x]
    levels = list(first.cat.categories) if hasattr(first, "cat") else list(first.unique())
    shifts = 0.4 * (np.arange(len(lines)) - (len(lines) - 1) / 2) / len(lines)
    parts: Any = zip(lines.items(), shifts, colours(len(lines)), strict=True)
    for i, ((label, part), shift, colour) in enumerate(parts):
        position = np.array([levels.index(value) for value in part[x]]) + shift
        mean = part["emmean"].to_numpy()
        ends = np.stack([mean - part["lower.CL"], part["upper.CL"] - mean])
        axes.errorbar(
            position,
            mean,
            yerr=ends,
            fmt=MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=5,
            linewidth=1.5,
            label=label,
        )
    labels = [_text(value) for value in levels]
    rotation = 45 if sum(len(label) + 2 for label in labels) > 60 else 0
    axes.set_xticks(range(len(levels)), labels, rotation=rotation)
    axes.set_xlim(-0.5, len(levels) - 0.5)
