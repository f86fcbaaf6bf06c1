"""Fitted lines of every group over its data, in facets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..base.arguments import check_count
from .group_lines import Curve, GroupLines, group_lines
from .style import GREY, VERMILLION, colours, facets, figure_of, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..fit.fitted_model import FittedModel


def plot_fitted(
    model: FittedModel,
    group: str | None = None,
    x: str | None = None,
    max_groups: int = 30,
    ax: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the fitted line of each group over its data, one panel per group.

    A line has the random effects of its group, and of grouping factors that do not vary within
    it; others count as zero. Covariates other than `x` are held at their mean in the group; factors
    of the fixed effects that vary within groups make a line for each of their combinations.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        The grouping factor; the first of the model if not given.
    x : str, optional
        The variable to draw against, one of the model's effects. By default the first numeric one
        that varies within groups, else the first factor that does.
    max_groups : int
        Draw only this many levels of the grouping factor, the first; the title says so.
    ax : sequence of Axes, optional
        Where to draw, one for each group drawn; a new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no such grouping factor or variable, or nothing to draw against.
    TypeError
        If `max_groups` is not a whole number.
    NotImplementedError
        If the model has effects of a column that holds neither numbers nor labels, such as dates.
    ImportError
        If matplotlib is not installed.
    """
    max_groups = check_count(max_groups, "max_groups")
    lines = group_lines(model, group, x)
    factor = model.design.factors[lines.group]
    shown = range(min(max_groups, factor.n_levels))
    names = [plain(level) for level in factor.levels[: len(shown)]]
    panels = facets(ax, names, (1.55, 1.4), sharex=True, sharey=True)
    means = lines.means(list(shown))
    for j, axes in zip(shown, panels, strict=True):
        _draw_group(axes, lines, j, means[j])
        axes.set_title(names[j], fontsize="small", pad=3)
    figure = figure_of(panels[0])
    if ax is None:
        part = f"the first {len(shown)} of " if len(shown) < factor.n_levels else ""
        figure.suptitle(
            plain(f"{part}{factor.n_levels} levels of {factor.name}"), fontsize="medium"
        )
        figure.supxlabel(plain(lines.x), fontsize="medium")
        figure.supylabel(plain(model.design.response_name), fontsize="medium")
        _add_legend(figure, panels, lines)
    return figure


def _add_legend(figure: Figure, panels: Sequence[Axes], lines: GroupLines) -> None:
    """Say which combination of the varying factors has which colour, if there are several."""
    if len(lines.labels) == 1:
        return
    handles = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    figure.legend(
        handles=[handles[label] for label in lines.labels if label in handles],
        title=plain(", ".join(lines.varying)),
        loc="outside right upper",
        fontsize="small",
        title_fontsize="small",
        frameon=False,
    )


def _draw_group(axes: Axes, lines: GroupLines, j: int, curves: Sequence[Curve]) -> None:
    """Draw the data of one group and its lines, one a combination of the varying factors."""
    tidy(axes)
    palette = colours(len(lines.labels))
    for curve in curves:
        colour = dots = palette[curve.combination]
        if len(palette) == 1:
            colour, dots = VERMILLION, GREY
        rows, label = lines.rows(j, curve.combination), lines.labels[curve.combination]
        at, y = lines.positions[rows], lines.model.design.y[rows]
        axes.plot(at, y, "o", color=dots, markersize=2.5, alpha=0.7)
        axes.plot(curve.x, curve.mean, color=colour, linewidth=1.4, label=label)
    if lines.ticks is not None:
        rotation = 90 if sum(len(tick) + 2 for tick in lines.ticks) > 16 else 0
        axes.set_xticks(range(len(lines.ticks)), lines.ticks, rotation=rotation)
