"""Densities of bootstrap replicates, with the estimate and the interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from ..base.arguments import as_list
from .style import BLUE, VERMILLION, facets, figure_of, percent, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..inference.bootstrap import Bootstrap

FloatArray = NDArray[np.float64]

#: Points of a density.
N_POINTS = 200


def plot_bootstrap(
    bootstrap: Bootstrap,
    parm: str | Sequence[str] | None = None,
    level: float = 0.95,
    interval: Literal["percentile", "basic", "normal", "bca"] = "percentile",
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw the density of the replicates of each parameter.

    The line is a Gaussian kernel density with Scott's bandwidth over the range of the replicates,
    above their histogram, which also shows replicates heaped at a bound. The vertical line is the
    observed value; the bar on the axis is the interval.

    Parameters
    ----------
    bootstrap : Bootstrap
        Of `LinearMixedModel.bootstrap`.
    parm : str or sequence of str, optional
        Parameters to draw, columns of its replicates; all of them if not given.
    level : float
        Coverage of the intervals.
    interval : {"percentile", "basic", "normal", "bca"}
        Kind of the intervals.
    ax : Axes or sequence of Axes, optional
        Where to draw, one for each parameter; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no such parameter, or an option is unknown.
    ImportError
        If matplotlib is not installed.
    """
    names = _chosen(bootstrap, parm)
    intervals = bootstrap.confint(interval, level)
    panels = facets(ax, names, (2.6, 1.9))
    for name, axes in zip(names, panels, strict=True):
        values = bootstrap.replicates[name].dropna().to_numpy()
        lower, upper = intervals.loc[name].to_numpy(dtype=np.float64)
        tidy(axes, grid="x")
        _draw_density(axes, values)
        axes.axvline(bootstrap.observed[name], color=VERMILLION, linewidth=1.5, label="observed")
        axes.plot(
            [lower, upper],
            [0, 0],
            color="black",
            linewidth=4,
            solid_capstyle="butt",
            clip_on=False,
            zorder=5,
            label=f"{percent(level)} {interval} interval",
        )
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(plain(name), fontsize="small")
    figure = figure_of(panels[0])
    if ax is None:
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=2,
            fontsize="small",
            frameon=False,
        )
    return figure


def _chosen(bootstrap: Bootstrap, parm: str | Sequence[str] | None) -> list[str]:
    known = [str(name) for name in bootstrap.replicates.columns]
    names = known if parm is None else as_list(parm)
    for name in names:
        if name not in known:
            raise ValueError(f"no parameter {name!r}; the parameters are {', '.join(known)}")
    return names


def _draw_density(axes: Axes, values: FloatArray) -> None:
    """Draw histogram and density; the histogram alone where the values do not vary."""
    bins: Any = min(30, max(5, int(np.sqrt(len(values)))))
    axes.hist(values, bins=bins, density=True, color=BLUE, alpha=0.25)
    if len(values) > 1 and np.ptp(values) > 1e-12 * np.abs(values).max():
        at = np.linspace(values.min(), values.max(), N_POINTS)
        axes.plot(at, gaussian_kde(values)(at), color=BLUE, linewidth=1.5)
