"""Plots of residuals, random effects and influence that check a model's assumptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from ..diagnostics.influence import cooks_distance, influence
from ..fit.engine_results import conditional_covariances
from ..fit.residuals import leverages, residuals
from .style import (
    BLUE,
    GREY,
    VERMILLION,
    colours,
    figure_of,
    height_of,
    name_points,
    name_rows,
    one_axes,
    plain,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..fit.fitted_model import FittedModel

__all__ = ["plot_influence", "plot_qq", "plot_ranef_qq", "plot_residuals", "plot_scale_location"]

FloatArray = NDArray[np.float64]

SIZE = (5.2, 4.0)
#: Points named in plots of influence.
N_NAMED = 3


def plot_residuals(model: FittedModel, ax: Axes | None = None) -> Figure:
    """Draw standardized residuals against fitted values, with a smooth line through them.

    Residuals are those of ``residuals("standardized")``. The line should be flat at zero.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    axes = one_axes(ax, SIZE)
    fitted, residuals = _fitted_and_residuals(model)
    axes.axhline(0, color=GREY, linewidth=1, linestyle="--")
    _scatter_with_line(axes, fitted, residuals)
    axes.set(
        title="Residuals against fitted values",
        xlabel="fitted value",
        ylabel="standardized residual",
    )
    return figure_of(axes)


def plot_scale_location(model: FittedModel, ax: Axes | None = None) -> Figure:
    """Draw the root of the size of standardized residuals against fitted values.

    The smooth line should be flat: the spread of the residuals is then the same everywhere.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    axes = one_axes(ax, SIZE)
    fitted, residuals = _fitted_and_residuals(model)
    _scatter_with_line(axes, fitted, np.sqrt(np.abs(residuals)))
    axes.set_ylim(bottom=0)
    axes.set(title="Scale-location", xlabel="fitted value", ylabel="sqrt(|standardized residual|)")
    return figure_of(axes)


def plot_qq(model: FittedModel, ax: Axes | None = None) -> Figure:
    """Draw the quantiles of standardized residuals against those of the normal distribution.

    The line is where they agree, the band holds each order statistic of independent normal numbers
    with probability 95%.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    axes = one_axes(ax, SIZE)
    _, residuals = _fitted_and_residuals(model)
    normal = _normal_quantiles(len(residuals))
    _normal_band(axes, len(residuals))
    axes.scatter(normal, np.sort(residuals), **_points(len(residuals)))
    tidy(axes)
    axes.set(title="QQ of residuals", xlabel="normal quantile", ylabel="standardized residual")
    return figure_of(axes)


def plot_ranef_qq(model: FittedModel, ax: Axes | None = None) -> Figure:
    """Draw the quantiles of standardized random effects against those of the normal distribution.

    A conditional mode has the variance Var(b) - Var(b | y), beta taken as known; divided by its
    root the modes of an effect should follow the line. Effects without variance are left out. The
    band is that of `plot_qq` for the effect with the fewest levels.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    References
    ----------
    Lange and Ryan (1989). Assessing normality in random effects models. Annals of Statistics 17,
    624-642.
    """
    axes = one_axes(ax, SIZE)
    effects = _standardized_modes(model)
    if effects:
        _normal_band(axes, min(map(len, effects.values())))
    for (name, values), colour in zip(effects.items(), colours(len(effects)), strict=True):
        look = _points(len(values)) | {"color": colour}
        axes.scatter(_normal_quantiles(len(values)), np.sort(values), label=plain(name), **look)
    if effects:
        axes.legend(fontsize="small", frameon=False, loc="upper left")
    else:
        axes.text(0.5, 0.5, "all variances are zero", ha="center", transform=axes.transAxes)
    tidy(axes)
    axes.set(
        title="QQ of random effects", xlabel="normal quantile", ylabel="standardized random effect"
    )
    return figure_of(axes)


def plot_influence(model: FittedModel, group: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw the influence of each observation, or of each level of a grouping factor.

    Observations: lme4's Cook's distances against leverages, the largest three named. Levels: the
    Cook's distance of the fixed effects when a level is left out (theta and sigma held fixed), the
    most influential at the top.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        The grouping factor whose levels are left out.
    ax : Axes, optional
        Where to draw; a new figure if not given.
    """
    if group is not None:
        return _plot_group_influence(model, group, ax)
    axes = one_axes(ax, SIZE)
    both = pd.DataFrame({"leverage": leverages(model), "distance": cooks_distance(model)})
    both = both.dropna()
    axes.scatter(both["leverage"], both["distance"], **_points(len(both)))
    tidy(axes)
    axes.margins(0.1)
    axes.set_ylim(bottom=0)
    axes.set(title="Influence", xlabel="leverage", ylabel="Cook's distance")
    points = both.to_numpy()
    largest = np.argsort(points[:, 1])[::-1][:N_NAMED]
    name_points(axes, list(both.index[largest]), points[largest], points)
    return figure_of(axes)


def _plot_group_influence(model: FittedModel, group: str, ax: Axes | None) -> Figure:
    distances = influence(model, group).cooks_distance.sort_values(ascending=False)
    axes = one_axes(ax, (SIZE[0], 1 + height_of(len(distances))))
    rows = np.arange(len(distances))
    axes.hlines(rows, 0, distances, color=BLUE, linewidth=1)
    axes.scatter(distances, rows, s=16, color=BLUE, zorder=3)
    tidy(axes, grid="x")
    axes.set_xlim(left=0)
    name_rows(axes, distances.index, group)
    axes.set(title=f"Influence of {plain(group)}", xlabel="Cook's distance without the level")
    return figure_of(axes)


# ------------------------------------------------------------------------------ what is drawn


def _fitted_and_residuals(model: FittedModel) -> tuple[FloatArray, FloatArray]:
    """Return fitted values and standardized residuals, rows of leverage 1 left out."""
    values = np.asarray(residuals(model, "standardized"), dtype=np.float64)
    known = np.isfinite(values)
    return model._mean[known], values[known]


def _standardized_modes(model: FittedModel) -> dict[str, FloatArray]:
    """Divide the conditional modes of each effect by their standard deviations."""
    effects = {}
    terms = zip(model.var_corr.terms, model._fit.b, conditional_covariances(model), strict=True)
    for term, modes, conditional in terms:
        for j, name in enumerate(term.names):
            total = term.covariance[j, j]
            variance = total - conditional[:, j, j]
            known = variance > 1e-10 * total  # the data say nothing of the other levels
            if known.any():
                values = modes[known, j] / np.sqrt(variance[known])
                effects[f"{term.group} {name}"] = values
    return effects


def local_line(x: FloatArray, y: FloatArray, at: FloatArray, span: float = 2 / 3) -> FloatArray:
    """Smooth y by lines fitted around each point with tricube weights (Cleveland, 1979).

    Parameters
    ----------
    x, y : (n,) array
        The points.
    at : (m,) array
        Where to evaluate the lines.
    span : float
        The share of the points each line is fitted to.
    """
    count = max(int(np.ceil(span * len(x))), min(len(x), 3))
    smooth = np.empty(len(at))
    for i, centre in enumerate(at):
        distance = np.abs(x - centre)
        width = max(float(np.partition(distance, count - 1)[count - 1]) * 1.0001, 1e-300)
        weights = np.clip(1 - (distance / width) ** 3, 0, None) ** 3
        total = weights.sum()
        mean_x, mean_y = weights @ x / total, weights @ y / total
        spread = weights @ (x - mean_x) ** 2
        flat = spread <= 1e-12 * total * np.ptp(x) ** 2
        slope = 0.0 if flat else weights @ ((x - mean_x) * (y - mean_y)) / spread
        smooth[i] = mean_y + slope * (centre - mean_x)
    return smooth


def _points(n: int) -> dict[str, Any]:
    """Return the style of n points."""
    if n <= 1000:
        return {"s": 14, "color": BLUE, "alpha": 0.6, "linewidths": 0}
    return {"s": 5, "color": BLUE, "alpha": 0.25, "linewidths": 0, "rasterized": True}


def _scatter_with_line(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    axes.scatter(x, y, **_points(len(x)))
    at = np.linspace(x.min(), x.max(), 60)
    if np.ptp(x) > 0:
        axes.plot(at, local_line(x, y, at), color=VERMILLION, linewidth=1.8)
    tidy(axes)


def _normal_quantiles(n: int) -> FloatArray:
    """Compute the normal quantiles of n order statistics (Blom's plotting positions)."""
    quantiles: FloatArray = scipy.stats.norm.ppf((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    return quantiles


def _normal_band(axes: Axes, n: int) -> None:
    """Draw the line of agreement and the band that holds each of n order statistics with 95%."""
    rank = np.arange(1, n + 1)
    low, high = (
        scipy.stats.norm.ppf(scipy.stats.beta.ppf(q, rank, n + 1 - rank)) for q in (0.025, 0.975)
    )
    at = _normal_quantiles(n)
    axes.fill_between(at, low, high, color="0.85", linewidth=0)
    axes.plot(at, at, color=GREY, linewidth=1)
