"""Shrinkage: from the estimates of each group alone to those of the mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .group_coefficients import GroupCoefficients, group_coefficients
from .style import (
    BLUE,
    GREY,
    VERMILLION,
    figure_of,
    height_of,
    legend_above,
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

#: So many groups are named, those that move most; fewer where there is no place.
N_NAMES = 30
COMPLETE, MEAN = "complete pooling", "mean of the mixed model"


def plot_shrinkage(
    model: FittedModel,
    group: str | None = None,
    effects: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw how partial pooling moves the coefficients of each group.

    An arrow goes from the least-squares estimates of a group alone (no pooling) to those of the
    mixed model (partial pooling), in the plane of two coefficients. Marked are the estimates
    without regard to groups (complete pooling) and the mean of the mixed model, its fixed effects,
    with the 50% and 95% ellipses of the distribution of groups about it (theta and sigma as
    estimated). A model with one random effect has its groups one below the other. Fixed effects
    that do not vary between groups are held at the mixed model's estimates.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        The grouping factor; the first of the model if not given.
    effects : sequence of str, optional
        One or two of its random effects, for the axes; the first two if not given.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no such grouping factor or effect, or there are more than two.
    ImportError
        If matplotlib is not installed.
    """
    found = group_coefficients(model, group)
    known = list(found.no.columns)
    chosen = known[:2] if effects is None else list(effects)
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"no random effect {name!r}; the random effects are {', '.join(known)}"
            )
    if len(chosen) == 2:
        axes = one_axes(ax, (6.4, 4.8))
        _draw_plane(axes, found, chosen[0], chosen[1])
    elif len(chosen) == 1:
        axes = one_axes(ax, (5.2, 1.2 + height_of(len(found.no))))
        _draw_rows(axes, found, chosen[0])
        axes.set_xlabel(f"{plain(chosen[0])} of {plain(model.design.response_name)}")
    else:
        raise ValueError(f"effects must name one or two random effects, not {len(chosen)}")
    return figure_of(axes)


def _draw_plane(axes: Axes, found: GroupCoefficients, first: str, second: str) -> None:
    """Draw the plane of two coefficients."""
    tidy(axes)
    no, partial = found.no[[first, second]], found.partial[[first, second]]
    _draw_ellipses(axes, found, first, second)
    _draw_arrows(axes, no[first], no[second], partial[first], partial[second])
    x, y = found.complete[[first, second]]
    axes.scatter(x, y, marker="D", s=55, color=VERMILLION, zorder=4, label=COMPLETE)
    x, y = found.mean[[first, second]]
    axes.scatter(x, y, marker="+", s=130, linewidths=2, color="black", zorder=5, label=MEAN)
    axes.set_xlabel(plain(first))
    axes.set_ylabel(plain(second))
    axes.margins(0.07)
    legend_above(axes, 2)
    _name_groups(axes, no, partial)


def _draw_rows(axes: Axes, found: GroupCoefficients, name: str) -> None:
    """Draw one coefficient, the groups one below the other."""
    tidy(axes)
    partial = found.partial[name].sort_values(ascending=False, kind="stable")
    rows = np.arange(len(partial))
    axes.axvline(found.complete[name], color=VERMILLION, linestyle="--", label=COMPLETE)
    axes.axvline(found.mean[name], color="black", linewidth=1, label=MEAN)
    _draw_arrows(axes, found.no[name].reindex(partial.index), rows, partial, rows)
    name_rows(axes, partial.index, str(partial.index.name))
    legend_above(axes, 2)


def _draw_arrows(axes: Axes, x: ArrayLike, y: ArrayLike, to_x: ArrayLike, to_y: ArrayLike) -> None:
    """Draw arrows from the estimates without pooling to those with partial pooling, (J,) each."""
    x, y, to_x, to_y = (np.asarray(values, dtype=np.float64) for values in (x, y, to_x, to_y))
    head: dict[str, Any] = {"headwidth": 5, "headlength": 6, "headaxislength": 5.5}
    exact: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1}
    axes.quiver(x, y, to_x - x, to_y - y, color="0.65", width=0.0025, zorder=2, **exact, **head)
    size = 22.0 if len(x) <= 60 else 9.0
    axes.scatter(x, y, s=size, facecolors="none", edgecolors=GREY, zorder=3, label="no pooling")
    axes.scatter(to_x, to_y, s=size, color=BLUE, zorder=3, label="partial pooling")


def _draw_ellipses(axes: Axes, found: GroupCoefficients, first: str, second: str) -> None:
    """Draw the ellipses that hold 50% and 95% of the groups' distribution."""
    chosen = [first, second]
    values, vectors = np.linalg.eigh(found.covariance.loc[chosen, chosen])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for part in (0.5, 0.95):
        radius = np.sqrt(-2 * np.log1p(-part))  # of the chi-squared distribution with 2 df
        x, y = found.mean[chosen].to_numpy()[:, None] + radius * root @ circle
        axes.plot(x, y, color="0.8", linewidth=1, zorder=1)


def _name_groups(axes: Axes, no: pd.DataFrame, partial: pd.DataFrame) -> None:
    """Name the groups that move most, beside where they come from."""
    no = no.dropna()
    moves = partial.loc[no.index] - no
    scale = 1 / np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    length = (moves * scale).pow(2).sum(axis=1)
    names = length.sort_values(ascending=False).index[:N_NAMES]
    along = np.linspace(0, 1, 12)[:, None, None]
    arrows = (no.to_numpy() + along * moves.to_numpy()).reshape(-1, 2)
    name_points(axes, list(names), no.loc[names].to_numpy(), arrows)
