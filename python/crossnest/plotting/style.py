"""What the plots share: colours, grids, labels and panels; rcParams are not changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .pyplot import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]

#: The colours of Okabe and Ito, told apart by the colour-blind too, the strongest first.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, VERMILLION = PALETTE[:2]
GREY = "0.45"
#: Up to this many levels of a factor are named on an axis; more would overlap.
MAX_NAMED = 60
#: Inches a named level takes, and the most that a figure is high.
ROW_HEIGHT, MAX_HEIGHT = 0.19, 12.5


def colours(n: int) -> list[Any]:
    """Return n colours: those of the palette, or steps of viridis if there are more."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    return list(pyplot().get_cmap("viridis")(np.linspace(0, 0.95, n)))


def plain(label: Any) -> str:
    """Escape a name for drawing, so that a dollar sign does not start a formula."""
    return str(label).replace("$", r"\$")


def percent(level: float) -> str:
    """Format a coverage as a percentage."""
    return f"{100 * level:.4g}%"


def tidy(axes: Axes, grid: str = "both") -> None:
    """Draw a light grid behind the data, and remove the frame above and to the right."""
    axes.set_axisbelow(True)
    if grid != "none":
        axes.grid(axis=grid, color="0.9", linewidth=0.8)  # type: ignore[arg-type]
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize="small")


def figure_of(axes: Axes) -> Figure:
    """Return the figure Axes are in."""
    figure: Any = axes.get_figure()
    root: Figure = figure.figure  # of a subfigure the figure it is in
    return root


def one_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the Axes to draw in, or those of a new figure of this size (inches)."""
    if ax is not None:
        return ax
    axes: Axes = pyplot().subplots(figsize=size, layout="constrained")[1]
    return axes


def given_axes(ax: Any, names: Sequence[str]) -> list[Axes]:
    """Check the Axes the user passed, one for each name.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    axes = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(axes) != len(names):
        shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        raise ValueError(f"ax must be {len(names)} Axes, one for each of {shown}, not {len(axes)}")
    return axes


def facets(
    ax: Any, names: Sequence[str], size: tuple[float, float], n_columns: int = 0, **options: Any
) -> list[Axes]:
    """Return one Axes for each name: the user's, or those of a new figure.

    Parameters
    ----------
    ax : Axes, sequence of Axes or None
        The user's.
    names : sequence of str
        What is drawn in each.
    size : tuple of float
        Width and height of a panel in inches.
    n_columns : int
        Panels side by side; by default up to three, or as many as make the grid nearly square.
    **options
        Other arguments of `matplotlib.pyplot.subplots`.
    """
    if ax is not None:
        return given_axes(ax, names)
    n = len(names)
    across = n_columns or (n if n < 4 else math.ceil(math.sqrt(n)))
    down = -(-n // across)
    figsize = (0.8 + size[0] * across, 0.7 + size[1] * down)
    made = pyplot().subplots(
        down, across, figsize=figsize, squeeze=False, layout="constrained", **options
    )[1]
    axes = list(made.flat)
    for spare in axes[n:]:
        # The panel above a removed one is the last of its column: it shows the axis they share.
        axes[axes.index(spare) - across].tick_params(labelbottom=True)
        spare.remove()
    return axes[:n]


def legend_beside(axes: Axes, title: str) -> None:
    """Put the legend to the right of Axes, where it covers nothing."""
    axes.legend(
        title=title,
        fontsize="small",
        title_fontsize="small",
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )


def legend_above(axes: Axes, n_columns: int) -> None:
    """Put the legend above Axes, where it covers nothing."""
    axes.legend(
        fontsize="small",
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=n_columns,
    )


def height_of(n: int) -> float:
    """Return the height in inches of Axes with n rows, one per level."""
    return min(max(ROW_HEIGHT * n, 1.2), MAX_HEIGHT if n <= MAX_NAMED else 8.0)


def name_rows(axes: Axes, levels: pd.Index, factor: str, named: bool = True) -> None:
    """Name the rows of Axes, from the top, after levels, if these are few.

    Parameters
    ----------
    axes : Axes
        Where the rows are drawn at 0, 1, ....
    levels : Index
        The level of each row.
    factor : str
        What the levels are of.
    named : bool
        Whether to write names and axis label; Axes beside others need none.
    """
    few = len(levels) <= MAX_NAMED
    rows = range(len(levels)) if few else []
    labels = [plain(level) for level in levels] if few and named else [""] * len(rows)
    axes.set_yticks(rows, labels, fontsize="small" if len(levels) <= 30 else "x-small")
    axes.set_ylim(len(levels) - 0.4, -0.6)
    if not few:
        axes.tick_params(left=False)
    if named:
        axes.set_ylabel(plain(factor) if few else f"{plain(factor)} ({len(levels)} levels)")


def name_points(
    axes: Axes, names: Sequence[Any], points: FloatArray, occupied: FloatArray
) -> list[Any]:
    """Write names beside points where nothing else is; those that find no place are left out.

    Parameters
    ----------
    axes : Axes
        Where the points are drawn already.
    names : sequence
        The k names, the first placed first.
    points : (k, 2) array
        Their points.
    occupied : (m, 2) array
        What must not be written over.

    Returns
    -------
    list of matplotlib.text.Annotation
        Those written.
    """
    figure_of(axes).draw_without_rendering()
    occupied = axes.transData.transform(occupied)
    written: list[Any] = []
    for name, point in zip(names, points, strict=True):
        for (x, y), across, up in _SIDES:
            text = axes.annotate(
                plain(name),
                (float(point[0]), float(point[1])),
                xytext=(x, y),
                textcoords="offset points",
                ha=across,
                va=up,
                fontsize="x-small",
                color="0.3",
            )
            if _free(text, axes, occupied, written):
                written.append(text)
                break
            text.remove()
    return written


#: Offsets in points and alignments of a name: to the right, to the left, above, below.
_SIDES: tuple[tuple[tuple[float, float], Any, Any], ...] = (
    ((6, 0), "left", "center"),
    ((-6, 0), "right", "center"),
    ((0, 6), "center", "bottom"),
    ((0, -6), "center", "top"),
)


def _free(text: Any, axes: Axes, occupied: FloatArray, written: Sequence[Any]) -> bool:
    """Tell whether a text lies in its Axes, over no point (m, 2) in pixels and no other text."""
    box = text.get_window_extent()
    (left, low), (right, high) = box.get_points()
    frame = axes.bbox
    if left < frame.x0 or right > frame.x1 or low < frame.y0 or high > frame.y1:
        return False
    inside = (occupied > (left - 1, low - 1)).all(axis=1)
    inside &= (occupied < (right + 1, high + 1)).all(axis=1)
    return not inside.any() and not any(
        box.overlaps(other.get_window_extent()) for other in written
    )
