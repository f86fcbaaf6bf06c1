"""Complete, no and partial pooling of grouped data, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import ReadOnly, cached_property
from ..data.columns import NumericColumn
from ..fit.least_squares import least_squares, weighted_problem
from ..formula.formula import parse_formula
from ..linear.linear_model import LinearModel
from ..lmer import lmer
from ..tables.html import html_table
from ..tables.r_format import format_numbers, matrix_lines
from .lm_list import LinearModelList, lm_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..model import LinearMixedModel

FloatArray = NDArray[np.float64]

#: The three ways, in the order of columns and lines.
WAYS = ("complete", "no", "partial")


@dataclass(frozen=True, eq=False, repr=False)
class PoolingComparison(ReadOnly):
    """Three fits of one formula to the same rows; `crossnest.compare_pooling` makes it.

    J groups, k coefficients.

    Attributes
    ----------
    complete : LinearModel
        Complete pooling: the groups are ignored.
    no : LinearModelList
        No pooling: each group by itself.
    partial : LinearMixedModel
        Partial pooling: coefficients that vary between groups about a common mean.
    """

    complete: LinearModel
    no: LinearModelList
    partial: LinearMixedModel

    @property
    def group(self) -> str:
        """The name of the grouping factor."""
        return self.no.group

    @cached_property
    def table(self) -> pd.DataFrame:
        """The coefficients: one row per group, columns (coefficient, way of pooling), (J, 3 k)."""
        coefficients = self._coefficients
        names = list(coefficients["no"].columns)
        columns = {(name, way): coefficients[way][name] for name in names for way in WAYS}
        table = pd.DataFrame(columns)
        table.columns.names = ["coefficient", "pooling"]
        return table

    @cached_property
    def text(self) -> str:
        """The table, a block per coefficient."""
        lines = [f"Coefficients by complete, no and partial pooling over {self.group}"]
        lines += [f"Formula: {self.complete.formula}"]
        labels = [str(level) for level in self.table.index]
        for name in self._coefficients["no"].columns:
            lines += ["", name, *matrix_lines(self._cells(name), labels, WAYS, right=True)]
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return `text`."""
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names = list(self._coefficients["no"].columns)
        blocks = [self._cells(name) for name in names]
        header = [self.group, *(f"{name}, {way}" for name in names for way in WAYS)]
        rows = [
            [str(level), *(cell for block in blocks for cell in block[i])]
            for i, level in enumerate(self.table.index)
        ]
        return html_table(rows, header)

    def plot(self, ax: Sequence[Axes] | None = None) -> Figure:
        """Draw the data in facets by group, with the line of each way of pooling.

        Parameters
        ----------
        ax : sequence of J Axes, optional
            Where to draw; a new figure if not given.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        NotImplementedError
            If the formula has not exactly one variable, a numeric one, to draw against.
        ImportError
            If matplotlib is not installed.
        """
        from ..plotting.style import BLUE, GREY, VERMILLION, facets, figure_of, plain, tidy

        design = self.no.design
        x_name, x = self._covariate
        points, rows = np.unique(x, return_index=True)
        codes = design.factors[0].codes
        names = [plain(f"{self.group} {level}") for level in self.table.index]
        panels = facets(ax, names, (1.9, 1.7), sharex=True, sharey=True)
        for j, (name, axes) in enumerate(zip(names, panels, strict=True)):
            tidy(axes)
            axes.plot(x[codes == j], design.y[codes == j], "o", color=GREY, markersize=3)
            for way, colour in zip(WAYS, (GREY, BLUE, VERMILLION), strict=True):
                line = design.X[rows] @ self._coefficients[way].iloc[j].to_numpy()
                look = "--" if way == "complete" else "-"
                axes.plot(points, line, look, color=colour, linewidth=1.4, label=f"{way} pooling")
            axes.set_title(name, fontsize="medium")
        figure = figure_of(panels[0])
        if ax is None:
            figure.supxlabel(plain(x_name))
            figure.supylabel(plain(design.response_name))
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside upper center", ncols=len(WAYS), frameon=False)
        return figure

    # ------------------------------------------------------------------ numbers behind them

    @cached_property
    def _coefficients(self) -> dict[str, pd.DataFrame]:
        """Coefficients (J, k) of each way of pooling."""
        no = self.no.coef()
        pooled = self.complete.params.reindex(no.columns)
        complete = pd.DataFrame([pooled] * len(no), index=no.index)
        partial = self.partial.coef()[self.group].reindex(index=no.index, columns=no.columns)
        return {"complete": complete, "no": no, "partial": partial}

    def _cells(self, name: str) -> list[list[str]]:
        """Format one coefficient (J, 3), NA where a group has none."""
        values = self.table[name].to_numpy()
        known = iter(format_numbers(values[~np.isnan(values)], 4))
        return [["NA" if np.isnan(v) else next(known) for v in row] for row in values]

    @property
    def _covariate(self) -> tuple[str, FloatArray]:
        """The variable lines are drawn against and its values (n,)."""
        design = self.complete.design
        names = [name for name in design.variables if name != design.response_name]
        columns = [design.variables[name] for name in names]
        if len(names) == 1 and isinstance(columns[0], NumericColumn):
            return names[0], columns[0].values
        what = "no variable" if not names else f"the variables {', '.join(names)}"
        raise NotImplementedError(
            f"lines are drawn against one numeric variable; `{self.complete.formula}` has {what}: "
            "use `table`"
        )


def compare_pooling(formula: str, data: Any, group: str) -> PoolingComparison:
    """Fit a formula with complete, no and partial pooling over the groups.

    Complete pooling is `crossnest.lm` without regard to the groups, no pooling is
    `crossnest.lm_list`, partial pooling is `crossnest.lmer` by REML with all coefficients random:
    ``chol ~ age`` becomes ``chol ~ age + (1 + age | doctor)``. All are fitted to the same rows.

    Parameters
    ----------
    formula : str
        A linear model's formula, such as ``"chol ~ age"``.
    data : DataFrame
        The data: a pandas data frame, a dict of columns, or any frame narwhals reads.
    group : str
        The grouping factor, a column's name.

    Returns
    -------
    PoolingComparison
        Printing it gives the coefficients of each group, three times; `plot` draws them.

    Raises
    ------
    FormulaError, DesignError
        If formula or data do not make a model; the message names the culprit.

    Warns
    -----
    SmallGroupWarning, SingularFitWarning, ConvergenceWarning
        As `crossnest.lm_list` and `crossnest.lmer` do.

    References
    ----------
    Gelman and Hill (2007). Data Analysis Using Regression and Multilevel/Hierarchical Models.
    Cambridge University Press, section 12.2.

    Examples
    --------
    >>> import crossnest
    >>> sleepstudy = crossnest.datasets.sleepstudy()
    >>> pooling = crossnest.compare_pooling("Reaction ~ Days", sleepstudy, "Subject")
    >>> print(pooling.table.loc["335", "Days"].round(2).to_dict())
    {'complete': 10.47, 'no': -2.88, 'partial': -0.28}
    """
    parsed = parse_formula(formula, mixed=False)
    separate = lm_list(f"{formula} | {group}", data)
    partial = lmer(f"{formula} + ({parsed.fixed.text} | {group})", data)
    design = replace(separate.design, formula=parsed, factors=(), random=())
    complete = LinearModel(design, separate.labels, least_squares(*weighted_problem(design)))
    return PoolingComparison(complete, separate, partial)
