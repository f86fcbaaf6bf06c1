"""Forest plots: estimates of fixed effects with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from ..base.arguments import check_flag, check_level
from ..inference.ddf import coefficient_tests
from .style import colours, figure_of, legend_above, one_axes, percent, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel

INTERCEPT = "(Intercept)"
#: Points of different shape too, for those who do not see the colours.
MARKERS = "osD^vP*"
#: Part of the distance between two rows that the models of one row take.
SPREAD = 0.6


def plot_forest(
    models: FittedModel | Sequence[FittedModel] | Mapping[str, FittedModel],
    level: float = 0.95,
    ddf: Ddf = "satterthwaite",
    intercept: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Draw the fixed effects of one model, or several side by side, with their intervals.

    The intervals are estimate plus and minus t quantile times standard error, with the standard
    errors and degrees of freedom of the method.

    Parameters
    ----------
    models : LinearMixedModel, or sequence or mapping of them
        The fitted models; a mapping gives their names.
    level : float
        Confidence level.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Method of the degrees of freedom.
    intercept : bool
        Whether to draw the intercept, which is often far from all others; it is drawn anyway if
        there is nothing else.
    ax : Axes, optional
        Where to draw; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no model or no fixed effect, or an option is unknown.
    ImportError
        If matplotlib is not installed.
    """
    check_flag(intercept, "intercept")
    check_level(level)
    tables = {name: _intervals(model, level, ddf) for name, model in _named(models).items()}
    names = list(dict.fromkeys(name for table in tables.values() for name in table.index))
    if not names:
        raise ValueError("there are no fixed effects to draw")
    if not intercept and names != [INTERCEPT]:
        names = [name for name in names if name != INTERCEPT]
    n = len(names)
    axes = one_axes(ax, (5.6, 1.2 + min((0.2 + 0.08 * len(tables)) * n, 12)))
    _draw(axes, tables, names)
    axes.set_xlabel(f"estimate with {percent(level)} interval")
    return figure_of(axes)


def _named(
    models: FittedModel | Sequence[FittedModel] | Mapping[str, FittedModel],
) -> dict[str, FittedModel]:
    """Return the models by name."""
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    elif isinstance(models, Sequence):
        named = {f"model {i}": model for i, model in enumerate(models, start=1)}
    else:
        named = {"model": models}
    if not named:
        raise ValueError("there is no model to draw")
    return named


def _intervals(model: FittedModel, level: float, ddf: Ddf) -> pd.DataFrame:
    """Return ``estimate`` and ``half``, half the interval's length, one row per coefficient."""
    table = coefficient_tests(model, ddf)
    quantile = scipy.stats.t.ppf((1 + level) / 2, table["df"])
    return pd.DataFrame({"estimate": table["Estimate"], "half": quantile * table["Std. Error"]})


def _draw(axes: Axes, tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> None:
    tidy(axes)
    axes.axvline(0, color="0.5", linewidth=0.8)
    shifts = SPREAD * (np.arange(len(tables)) - (len(tables) - 1) / 2) / len(tables)
    parts: Any = zip(tables.items(), shifts, colours(len(tables)), strict=True)
    for i, ((label, table), shift, colour) in enumerate(parts):
        present = [name for name in names if name in table.index]
        rows = np.array([names.index(name) for name in present]) + shift
        estimate, half = table.loc[present].to_numpy().T
        axes.errorbar(
            estimate,
            rows,
            xerr=half,
            fmt=MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=4.5,
            linewidth=1.5,
            label=plain(label),
        )
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    if len(tables) > 1:
        legend_above(axes, min(len(tables), 4))
