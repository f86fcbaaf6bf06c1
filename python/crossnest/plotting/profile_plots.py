"""Profiles of the deviance: zeta of each parameter, and contours of pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import check_flag
from ..inference.parameters import normal_quantile
from .profile_contours import contour, radius, smooth_trace
from .pyplot import pyplot
from .style import BLUE, GREY, VERMILLION, facets, figure_of, given_axes, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..inference.profile import Profile

FloatArray = NDArray[np.float64]

#: Coverages of the intervals and regions drawn.
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)


def plot_profile(
    profile: Profile, absolute: bool = False, ax: Axes | Sequence[Axes] | None = None
) -> Figure:
    """Draw zeta, the signed root of the rise of the deviance, against each parameter.

    A straight line says that intervals of estimate plus and minus a multiple of a standard error
    are right, a bend how they are wrong. Vertical lines are the ends of the 50, 80, 90, 95 and 99%
    intervals, as far as the profile reaches; those of 95% are dark.

    Parameters
    ----------
    profile : Profile
        Of `LinearMixedModel.profile`.
    absolute : bool
        Whether to draw the absolute value of zeta, and the intervals across.
    ax : Axes or sequence of Axes, optional
        Where to draw, one for each parameter profiled; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    check_flag(absolute, "absolute")
    names = list(profile.notes.index)
    panels = facets(ax, names, (2.5, 2.1), sharey=True)
    for name, axes in zip(names, panels, strict=True):
        tidy(axes)
        value, zeta = profile.points(name)
        curve_value, curve_zeta = _curve(profile, name)
        shape = np.abs if absolute else np.positive
        _draw_ends(axes, profile, name, absolute)
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.plot(curve_value, shape(curve_zeta), color=BLUE, linewidth=1.5)
        axes.plot(value, shape(zeta), "o", color=BLUE, markersize=2.5)
        axes.set_xlabel(plain(name), fontsize="small")
    figure = figure_of(panels[0])
    if ax is None:
        figure.supylabel("|zeta|" if absolute else "zeta", fontsize="medium")
    return figure


def _curve(profile: Profile, name: str) -> tuple[FloatArray, FloatArray]:
    """Compute values and zetas of a smooth line through the points, if zeta increases."""
    value, zeta = profile.points(name)
    try:
        spline = profile.spline(name)
    except ValueError:
        return value, zeta
    dense = np.linspace(value.min(), value.max(), 120)
    return dense, np.asarray(spline(dense))


def _ends(profile: Profile, name: str, quantile: float) -> FloatArray:
    """Find the values where zeta is minus and plus a quantile, NaN where it never is."""
    zeta = profile.points(name)[1]
    wanted = np.array([-quantile, quantile])
    reached = (wanted >= zeta.min()) & (wanted <= zeta.max())
    if not reached.any():
        return np.full(2, np.nan)
    try:
        return np.where(reached, profile.interpolate(name, wanted), np.nan)
    except ValueError:
        return np.full(2, np.nan)


def _draw_ends(axes: Axes, profile: Profile, name: str, absolute: bool) -> None:
    """Draw the ends of the intervals, those of 95% dark."""
    for level in LEVELS:
        quantile = normal_quantile(level)
        ends = _ends(profile, name, quantile)
        style: dict[str, Any] = {"color": "0.35" if level == 0.95 else "0.78", "linewidth": 1.0}
        tops = quantile * (np.ones(2) if absolute else np.array([-1.0, 1.0]))
        reached = np.isfinite(ends)
        axes.vlines(ends[reached], 0, tops[reached], **style)
        if absolute and reached.all():
            axes.hlines(quantile, *ends, **style)


def plot_profile_pairs(
    profile: Profile,
    levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    ax: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the profile traces of all pairs of parameters, and contours of their joint regions.

    Below the diagonal both parameters are on the scale of zeta, above it on their own. Lines are
    the traces: where the parameter of the column is held, the best value of that of the row
    (blue), and the other way round (orange). Contours interpolate the regions of the coverages
    given (chi-squared with 2 df) from the traces; a region that the profiles do not reach, because
    a parameter meets its bound or the level of the profile is lower, has none.

    Parameters
    ----------
    profile : Profile
        Of `LinearMixedModel.profile`, of at least two parameters.
    levels : sequence of float
        Coverages of the regions.
    ax : sequence of Axes, optional
        Where to draw: (k, k) for k parameters profiled; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If fewer than two parameters were profiled.
    ImportError
        If matplotlib is not installed.

    References
    ----------
    Bates and Watts (1988). Nonlinear Regression Analysis and Its Applications, section 6.1.3 and
    appendix A.6.
    """
    names = list(profile.notes.index)
    k = len(names)
    if k < 2:
        raise ValueError(f"pairs need at least two parameters; the profile has {', '.join(names)}")
    radii = [radius(level) for level in levels]
    panels = np.array(_pair_axes(ax, names), dtype=object).reshape(k, k)
    for row in range(k):
        for column in range(k):
            if row == column:
                _draw_name(panels[row, row], names[row])
            else:
                _draw_pair(
                    panels[row, column],
                    profile,
                    names[column],
                    names[row],
                    radii,
                    on_zeta=row > column,
                )
    _label_edges(panels)
    return figure_of(panels[0, 0])


def _pair_axes(ax: Sequence[Axes] | None, names: Sequence[str]) -> list[Axes]:
    k = len(names)
    if ax is not None:
        return given_axes(ax, [f"{row} and {column}" for row in names for column in names])
    size = (0.6 + 1.45 * k, 0.6 + 1.3 * k)
    return list(pyplot().subplots(k, k, figsize=size, layout="constrained")[1].flat)


def _draw_name(axes: Axes, name: str) -> None:
    """Write the name of a parameter on the diagonal, in lines that fit."""
    lines = plain(name).replace("sd_", "sd\n", 1).replace("cor_", "cor\n", 1).replace("|", "\n| ")
    axes.text(0.5, 0.5, lines, ha="center", va="center", transform=axes.transAxes, fontsize="small")
    axes.set_axis_off()


def _draw_pair(
    axes: Axes, profile: Profile, x: str, y: str, radii: Sequence[float], on_zeta: bool
) -> None:
    """Draw the traces of two parameters and their contours, on the scale of zeta or their own."""
    tidy(axes)
    axes.tick_params(labelsize="x-small")
    for held, free, colour in ((x, y, BLUE), (y, x, VERMILLION)):
        trace = dict(zip((held, free), smooth_trace(profile, held, free, on_zeta), strict=True))
        axes.plot(trace[x], trace[y], color=colour, linewidth=1)
    for one in radii:
        curve = contour(profile, x, y, one)
        if curve is None:
            continue
        if not on_zeta:
            curve = np.stack(
                [profile.interpolate(name, zeta) for name, zeta in zip((x, y), curve, strict=True)]
            )
        axes.plot(*curve, color=GREY, linewidth=0.9)


def _label_edges(panels: NDArray[np.object_]) -> None:
    """Write numbers at the outer panels only: zeta left and below, values right and above."""
    k = len(panels)
    for row in range(k):
        for column in range(k):
            if row == column:
                continue
            axes = panels[row, column]
            below = row > column
            axes.tick_params(
                left=column == 0,
                labelleft=below and column == 0,
                bottom=row == k - 1,
                labelbottom=below and row == k - 1,
                right=not below and column == k - 1,
                labelright=not below and column == k - 1,
                top=not below and row == 0,
                labeltop=not below and row == 0,
                length=2,
            )
