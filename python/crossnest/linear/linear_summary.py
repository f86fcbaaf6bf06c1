"""The summary of a linear model: the numbers, then R's layout of them."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from ..tables.html import html_table
from ..tables.model_lines import left_out_lines, quantile_lines
from ..tables.r_format import (
    STARS_LEGEND,
    deparse_formula,
    format_coefficients,
    format_numbers,
    format_pvalues,
    matrix_lines,
    vector_lines,
)
from ..tables.tables_of_tests import with_stars

FloatArray = NDArray[np.float64]

_COLUMNS = ("Estimate", "Std. Error", "t value", "Pr(>|t|)")


@dataclass(frozen=True, eq=False)
class LinearSummary(ReadOnly):
    """Everything the printed summary of a linear model shows, as numbers.

    Printing it gives `text`; `to_text` has options.

    Attributes
    ----------
    formula : str
        As the user wrote it.
    data_name, weights, offset : str or None
        What to say of the data, weights and offset given; None leaves the argument out.
    residuals : (n,) Series
        Residuals times the square roots of the weights.
    residual_quantiles : (5,) array
        Their minimum, quartiles and maximum.
    is_weighted : bool
        Whether the weights differ.
    all_names : tuple of str
        All columns of the model matrix.
    coef_names : tuple of str
        The p columns that are not aliased.
    coefficients : (p, 4) array
        Estimates, standard errors, t values and p-values.
    sigma : float
        Residual standard error.
    df_resid, df_model : int
        Degrees of freedom of the residuals, and of the coefficients but the intercept.
    n_missing, n_zero_weight : int
        Rows left out for missing values or a weight of zero.
    rsquared, rsquared_adj : float
        Multiple and adjusted R-squared.
    fvalue, f_pvalue : float
        Test of all coefficients but the intercept.
    """

    formula: str
    data_name: str | None
    weights: str | None
    offset: str | None
    residuals: pd.Series[float]
    residual_quantiles: FloatArray
    is_weighted: bool
    all_names: tuple[str, ...]
    coef_names: tuple[str, ...]
    coefficients: FloatArray
    sigma: float
    df_resid: int
    df_model: int
    n_missing: int
    n_zero_weight: int
    rsquared: float
    rsquared_adj: float
    fvalue: float
    f_pvalue: float

    @property
    def coef_table(self) -> pd.DataFrame:
        """``Estimate``, ``Std. Error``, ``t value`` and ``Pr(>|t|)``, one row per coefficient."""
        return pd.DataFrame(self.coefficients, index=list(self.coef_names), columns=list(_COLUMNS))

    @property
    def text(self) -> str:
        """The summary in R's layout."""
        return self.to_text()

    def to_text(self, digits: int = 4) -> str:
        """Format the summary in R's layout, with R's choice of digits.

        Parameters
        ----------
        digits : int
            Significant digits.
        """
        lines = [
            *self._call(),
            "",
            *self._residual_lines(digits),
            *self._coefficient_lines(digits),
            "",
            *self._goodness_lines(digits),
            "",
        ]
        return "\n".join(lines)

    @property
    def short_text(self) -> str:
        """The few lines R prints for a fit: the call and the coefficients."""
        if not self.all_names:
            return "\n".join([*self._call(), "", "No coefficients", ""])
        cells = dict(zip(self.coef_names, format_numbers(self.coefficients[:, 0], 4), strict=True))
        coefficients = [cells.get(name, "NA") for name in self.all_names]
        table = vector_lines(self.all_names, coefficients, gap=2)
        return "\n".join([*self._call(), "", "Coefficients:", *table, ""])

    def __str__(self) -> str:
        """Return `text`."""
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells, columns, _ = self._cells(4)
        rows = [[name, *row] for name, row in zip(self.all_names, cells, strict=True)]
        parts = [
            html.escape("".join(self._call()[2:])),
            "<b>Coefficients</b>",
            html_table(rows, ["", *columns]),
            "<br>".join(html.escape(line) for line in self._goodness_lines(4)),
        ]
        return "".join(f"<div>{part}</div>" for part in parts)

    def _call(self) -> list[str]:
        given = {"data": self.data_name, "weights": self.weights, "offset": self.offset}
        said = [f"{name} = {value}" for name, value in given.items() if value is not None]
        arguments = ", ".join([f"formula = {self.formula}", *said])
        return ["", "Call:", *deparse_formula(f"lm({arguments})")]

    def _residual_lines(self, digits: int) -> list[str]:
        lines = ["Weighted Residuals:" if self.is_weighted else "Residuals:"]
        if self.df_resid > 5:
            return [*lines, *quantile_lines(self.residual_quantiles, digits), ""]
        if self.df_resid:
            names = [str(label) for label in self.residuals.index]
            return [*lines, *vector_lines(names, format_numbers(self.residuals, digits)), ""]
        n = len(self.residuals)
        return [*lines, f"ALL {n} residuals are 0: no residual degrees of freedom!", ""]

    def _coefficient_lines(self, digits: int) -> list[str]:
        if not self.all_names:
            return ["No Coefficients"]
        n_aliased = len(self.all_names) - len(self.coef_names)
        aliased = f" ({n_aliased} not defined because of singularities)" if n_aliased else ""
        cells, columns, has_stars = self._cells(digits)
        table = matrix_lines(cells, self.all_names, columns, right=True)
        legend = ["---", STARS_LEGEND] if has_stars else []
        return [f"Coefficients:{aliased}", *table, *legend]

    def _cells(self, digits: int) -> tuple[list[list[str]], list[str], bool]:
        """Format the table, aliased coefficients as NA: cells, columns, whether it has stars."""
        formatted = format_coefficients(self.coefficients, digits, pvalues=True)
        known = dict(zip(self.coef_names, formatted, strict=True))
        cells = [known.get(name, ["NA"] * len(_COLUMNS)) for name in self.all_names]
        pvalues = self.coef_table[_COLUMNS[-1]].reindex(list(self.all_names))
        return with_stars(cells, _COLUMNS, pvalues.to_numpy())

    def _goodness_lines(self, digits: int) -> list[str]:
        sigma = format_numbers([float(f"{self.sigma:.{digits}g}")])[0]
        lines = [f"Residual standard error: {sigma} on {self.df_resid} degrees of freedom"]
        lines += left_out_lines(self.n_missing, self.n_zero_weight)
        return [*lines, *self._fit_lines(digits)]

    def _fit_lines(self, digits: int) -> list[str]:
        """Write R-squared and F test; R writes them where a term besides the intercept is."""
        if not self.df_model:
            return []
        r2, adjusted, f = (
            _general(x, digits) for x in (self.rsquared, self.rsquared_adj, self.fvalue)
        )
        p = "NA" if math.isnan(self.f_pvalue) else format_pvalues([self.f_pvalue], digits)[0]
        return [
            f"Multiple R-squared:  {r2},\tAdjusted R-squared:  {adjusted} ",
            f"F-statistic: {f} on {self.df_model} and {self.df_resid} DF,  p-value: {p}",
        ]


def _general(x: float, digits: int) -> str:
    """Format as R's ``formatC(x, digits = digits)``, which is never less than a blank wider."""
    text = "NaN" if math.isnan(x) else f"{x:.{digits}g}"
    return text.rjust(digits + 1)
