"""Caterpillar plots: the random effects of every level with their intervals, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import scipy.stats

from ..base.arguments import check_level
from ..design.grouping import position_of
from ..fit.random_effects import long_ranef
from .style import (
    BLUE,
    MAX_NAMED,
    facets,
    figure_of,
    height_of,
    name_rows,
    percent,
    plain,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..fit.fitted_model import FittedModel


def plot_caterpillar(
    model: FittedModel,
    group: str | None = None,
    effect: str | None = None,
    level: float = 0.95,
    order: Literal["value", "level"] = "value",
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw the random effects of every level with their intervals.

    The points are the conditional modes of the random effects, the lines are these plus and minus
    a normal quantile times their conditional standard deviations (theta and sigma as estimated).
    An interval that does not cover zero is drawn darker.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        The grouping factor; all of them if not given.
    effect : str, optional
        The effect (``"(Intercept)"``, ``"Days"``); all of them if not given.
    level : float
        Coverage of the intervals.
    order : {"value", "level"}
        Whether levels are ordered by their first effect drawn, the largest at the top, or as the
        factor's levels are, the first at the top.
    ax : Axes or sequence of Axes, optional
        Where to draw, one for each effect of each grouping factor; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no such grouping factor or effect, or an option is unknown.
    ImportError
        If matplotlib is not installed.
    """
    check_level(level)
    if order not in ("value", "level"):
        raise ValueError(f"order must be 'value' or 'level', not {order!r}")
    parts = _parts(model, group, effect)
    names = [f"{factor} {name}" for factor, name, _ in parts]
    tallest = max(len(modes) for _, _, modes in parts)
    panels = facets(ax, names, (2.7, height_of(tallest)), n_columns=len(parts))
    ordered: dict[str, pd.Index] = {}
    for axes, (factor, name, modes) in zip(panels, parts, strict=True):
        first = factor not in ordered
        if first:
            ordered[factor] = _order(modes, order)
        modes = modes.loc[ordered[factor]]
        _draw(axes, modes, float(scipy.stats.norm.ppf((1 + level) / 2)))
        name_rows(axes, modes.index, factor, named=first)
        axes.set_title(plain(name), fontsize="medium")
        axes.set_xlabel(
            f"effect on {plain(model.design.response_name)}\nwith {percent(level)} interval",
            fontsize="small",
        )
    return figure_of(panels[0])


def _parts(
    model: FittedModel, group: str | None, effect: str | None
) -> list[tuple[str, str, pd.DataFrame]]:
    """Return factor, effect and ``condval``, ``condsd`` by level, (J, 2), of every panel."""
    table = long_ranef(model)
    if group is not None:
        position_of(model.design.factors, group)  # an error if there is no such factor
        table = table[table["grpvar"] == group]
    effects = list(dict.fromkeys(table["term"]))
    if effect is not None and effect not in effects:
        raise ValueError(
            f"no random effect {effect!r}; the random effects are {', '.join(effects)}"
        )
    table = table if effect is None else table[table["term"] == effect]
    groups = table.groupby(["grpvar", "term"], sort=False)
    return [
        (str(factor), str(name), part.set_index("grp")[["condval", "condsd"]])
        for (factor, name), part in groups
    ]


def _order(modes: pd.DataFrame, order: str) -> pd.Index:
    if order == "level":
        return modes.index
    return modes.sort_values("condval", ascending=False, kind="stable").index


def _draw(axes: Axes, modes: pd.DataFrame, quantile: float) -> None:
    """Draw one row per level, from the top."""
    rows = np.arange(len(modes))
    value, half = modes["condval"].to_numpy(), quantile * modes["condsd"].to_numpy()
    few = len(modes) <= MAX_NAMED
    clear = np.abs(value) > half
    shades = np.where(clear, 1.0, 0.45)
    tidy(axes, grid="both" if few else "x")
    axes.axvline(0, color="0.5", linewidth=0.8)
    width, size = (1.6, 16) if few else (0.8, 5)
    axes.hlines(rows, value - half, value + half, colors=BLUE, linewidth=width, alpha=shades)
    axes.scatter(value, rows, s=size, color=BLUE, zorder=3)
