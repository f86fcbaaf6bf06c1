"""The summary of a fitted model: the numbers, then lme4's layout of them."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._core import FitError
from ..base.arguments import check_flag
from ..base.ddf_methods import check_ddf, method_name
from ..base.errors import InferenceWarning
from ..base.read_only import ReadOnly
from ..base.warn import warn_user
from ..fit.convergence import verdict_line
from ..fit.fitting import explains_divergence, singular_terms
from ..fit.var_corr import VarCorr
from ..tables.html import html_table
from ..tables.model_lines import counted, left_out_lines, quantile_lines
from ..tables.r_format import (
    LINE_WIDTH,
    STARS_LEGEND,
    abbreviate,
    deparse_formula,
    fill_lines,
    format_coefficients,
    format_numbers,
    matrix_lines,
    number_format,
    round_digits,
    vector_lines,
)
from ..tables.tables_of_tests import with_stars

if TYPE_CHECKING:
    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: With more fixed effects than this their correlations are printed on request only.
MAX_CORRELATIONS = 12


@dataclass(frozen=True)
class Summary(ReadOnly):
    """Everything a printed summary shows, as numbers.

    Printing it gives `text`; `to_text` has options.

    Attributes
    ----------
    formula : str
        As the user wrote it.
    data_name, weights, offset : str or None
        What to say of the data, weights and offset given; None leaves the line out.
    reml : bool
        Whether the REML criterion was minimised, and not the deviance.
    objective : float
        The REML criterion or the deviance.
    llf, aic, bic : float
        Log-likelihood (restricted for REML) and information criteria.
    df_resid : int
        Observations minus parameters.
    residual_quantiles : (5,) array or None
        Minimum, quartiles and maximum of the scaled residuals.
    var_corr : VarCorr
        Random effects.
    nobs, n_missing, n_zero_weight : int
        Rows used, and rows left out for missing values or a weight of zero.
    n_levels : mapping of str to int
        Levels of each grouping factor.
    coef_names : tuple of str
        The p fixed effects.
    coef_columns : tuple of str
        Columns of `coefficients`: the test statistic is the last, or the last before the p-value.
    coefficients : (p, m) array
        Estimates, standard errors, degrees of freedom, t values and p-values, as far as `ddf` has
        them.
    correlation : (p, p) array
        Correlations of the fixed effects' estimates.
    dropped : tuple of str
        Aliased columns of the fixed effects.
    messages : tuple of str
        What is to say of the optimization; empty when all went well.
    show_correlation : bool or None
        Whether `text` shows the correlations; None for up to `MAX_CORRELATIONS` fixed effects.
    ddf : {"none", "satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", ...}
        How the fixed effects were tested.
    """

    formula: str
    data_name: str | None
    weights: str | None
    offset: str | None
    reml: bool
    objective: float
    llf: float
    aic: float
    bic: float
    df_resid: int
    residual_quantiles: FloatArray | None
    var_corr: VarCorr
    nobs: int
    n_missing: int
    n_zero_weight: int
    n_levels: Mapping[str, int]
    coef_names: tuple[str, ...]
    coef_columns: tuple[str, ...]
    coefficients: FloatArray
    correlation: FloatArray
    dropped: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    show_correlation: bool | None = None
    ddf: Ddf = "none"

    @property
    def coef_table(self) -> pd.DataFrame:
        """Fixed effects, one row per coefficient.

        ``Estimate``, ``Std. Error``, ``df``, ``t value`` and ``Pr(>|t|)``; no ``df`` and no
        p-value without a method for the degrees of freedom, ``z value`` and ``Pr(>|z|)`` and no
        ``df`` for the normal approximation.
        """
        return pd.DataFrame(
            self.coefficients, index=list(self.coef_names), columns=list(self.coef_columns)
        )

    @property
    def text(self) -> str:
        """The summary in the layout of lme4 and lmerTest."""
        return self.to_text()

    @property
    def title(self) -> str:
        """The first line, or the first two: criterion, and how the fixed effects were tested."""
        if self.ddf == "none":
            return f"{self._fitted_by} ['lmerMod']"
        kind = "z" if self.ddf == "normal" else "t"
        title = f"{self._fitted_by}. {kind}-tests use {method_name(self.ddf)}"
        in_lmertest = self.ddf not in ("residual", "normal")
        title = title if in_lmertest else title.replace(" .", ".")
        lines = textwrap.wrap(title, LINE_WIDTH - 3, subsequent_indent="  ")
        if in_lmertest:
            lines = fill_lines([*lines, " [", "lmerModLmerTest", "]"], separator="")
        return "\n".join(lines)

    @property
    def _fitted_by(self) -> str:
        # R has the blank at the end too.
        criterion = "REML" if self.reml else "maximum likelihood "
        return f"Linear mixed model fit by {criterion}"

    def to_text(self, digits: int = 4, correlation: bool | None = None) -> str:
        """Format the summary in the layout of lme4 and lmerTest, with R's choice of digits.

        Parameters
        ----------
        digits : int
            Significant digits of the table of fixed effects and of the random effects.
        correlation : bool, optional
            Whether to show the correlations of the fixed effects; None does what
            `show_correlation` says.
        """
        check_flag(correlation, "correlation", optional=True)
        if correlation is None:
            correlation = self.show_correlation
        lines = [
            *self._header(self.title),
            "",
            *self._criterion(decimals=1),
            "",
            *self._residual_lines(digits),
            "Random effects:",
            *_random_effects(self.var_corr, digits),
            *self._groups(),
            *self._fixed_effects(digits),
            *self._correlations(correlation),
            *self._closing(),
        ]
        return "\n".join(lines)

    @property
    def short_text(self) -> str:
        """The few lines lme4 prints for a fit: criterion, standard deviations, coefficients."""
        cells = format_numbers(self.coefficients[:, 0], 4)
        title = f"{self._fitted_by} ['lmerMod']"
        lines = [*self._header(title), *self._criterion(decimals=4), "Random effects:"]
        lines += self.var_corr.to_text(4).split("\n")
        lines += self._groups()
        lines += ["Fixed Effects:", *vector_lines(self.coef_names, cells, gap=2)]
        if not cells:
            lines[-1:] = ["No fixed effect coefficients"]
        return "\n".join([*lines, *self._closing()])

    def __str__(self) -> str:
        """Return `text`."""
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        fixed, columns, has_stars = self._coefficient_cells(4)
        rows = [[name, *cells] for name, cells in zip(self.coef_names, fixed, strict=True)]
        lines = [*self._header(self.title), *self._criterion(decimals=1)]
        legend = [STARS_LEGEND] if has_stars else []
        parts = [
            "<br>".join(html.escape(line) for line in lines),
            "<b>Random effects</b>",
            html_table(*self.var_corr.table(4, ("Variance", "Std.Dev."))),
            "<br>".join(html.escape(line) for line in self._groups()),
            "<b>Fixed effects</b>",
            html_table(rows, ["", *columns]),
            "<br>".join(html.escape(line) for line in [*legend, *self._closing()]),
        ]
        return "".join(f"<div>{part}</div>" for part in parts)

    def _header(self, title: str) -> list[str]:
        lines = title.split("\n")
        lines += fill_lines(["Formula:", *deparse_formula(self.formula)])
        said = {"   Data:": self.data_name, "Weights:": self.weights, " Offset:": self.offset}
        return lines + [f"{label} {name}" for label, name in said.items() if name is not None]

    def _criterion(self, decimals: int) -> list[str]:
        if self.reml:
            rounded = round_digits(self.objective, decimals)
            return [f"REML criterion at convergence: {format_numbers([rounded])[0]}"]
        values = [self.aic, self.bic, self.llf, self.objective, float(self.df_resid)]
        cells = format_numbers([round_digits(v, decimals) for v in values])
        cells[-1] = str(self.df_resid)
        return vector_lines(["AIC", "BIC", "logLik", "deviance", "df.resid"], cells)

    def _residual_lines(self, digits: int) -> list[str]:
        if self.residual_quantiles is None:
            return []
        return ["Scaled residuals: ", *quantile_lines(self.residual_quantiles, digits), ""]

    def _groups(self) -> list[str]:
        groups = "; ".join(f"{name}, {count}" for name, count in self.n_levels.items())
        lines = fill_lines([f"Number of obs: {self.nobs}, groups: ", groups])
        return lines + left_out_lines(self.n_missing, self.n_zero_weight)

    def _fixed_effects(self, digits: int) -> list[str]:
        if not self.coef_names:
            return []
        cells, columns, has_stars = self._coefficient_cells(digits)
        table = matrix_lines(cells, self.coef_names, columns, right=True)
        return ["", "Fixed effects:", *table, *(["---", STARS_LEGEND] if has_stars else [])]

    def _coefficient_cells(self, digits: int) -> tuple[list[list[str]], list[str], bool]:
        has_p = self.coef_columns[-1].startswith("Pr(")
        cells = format_coefficients(self.coefficients, digits, pvalues=has_p)
        return with_stars(cells, self.coef_columns, self.coefficients[:, -1] if has_p else None)

    def _correlations(self, wanted: bool | None) -> list[str]:
        p = len(self.coef_names)
        if wanted is None and p > MAX_CORRELATIONS:
            return [
                "",
                f"Correlation matrix not shown by default, as p = {p} > {MAX_CORRELATIONS}.",
                "Use summary(correlation=True)  or",
                "    vcov        if you need it",
                "",
            ]
        if wanted is False or p < 2:
            return []
        return ["", "Correlation of Fixed Effects:", *self._correlation_lines()]

    def _correlation_lines(self) -> list[str]:
        p = len(self.coef_names)
        rounded = np.array([round_digits(float(r), 3) for r in self.correlation.ravel()])
        form = number_format(rounded, nsmall=3)
        texts = [form(r) for r in rounded]
        cells = [[texts[i * p + j] if j < i else "" for j in range(p - 1)] for i in range(1, p)]
        rows, columns = abbreviate(self.coef_names, 11), abbreviate(self.coef_names, 6)
        return matrix_lines(cells, rows[1:], columns[:-1])

    def _closing(self) -> list[str]:
        lines = []
        if self.dropped:
            columns = counted(len(self.dropped), "column / coefficient", "columns / coefficients")
            lines += [
                "fit warnings:",
                f"fixed-effect model matrix is rank deficient so dropping {columns}",
            ]
        return [*lines, *self.messages, ""] if self.messages else lines


def _random_effects(var_corr: VarCorr, digits: int) -> list[str]:
    cells, columns = var_corr.table(digits, ("Variance", "Std.Dev."))
    return matrix_lines(cells, [""] * len(cells), columns)


def correlation_matrix(covariance: FloatArray) -> FloatArray:
    """Scale a (p, p) covariance matrix to correlations."""
    stddev = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(stddev, stddev), dtype=np.float64)


def coefficient_table(model: FittedModel, ddf: Ddf) -> pd.DataFrame:
    """Estimate and test the fixed effects: the columns of `Summary.coef_table`, (p, m).

    Where the degrees of freedom are unavailable, they and the p-values are NaN, and a warning says
    why.

    Raises
    ------
    ValueError
        If `ddf` is none of the methods.
    """
    ddf = check_ddf(ddf, none=True)
    if ddf == "none":
        return _untested(model)
    from ..inference.ddf import coefficient_tests  # scipy.stats takes long to import

    try:
        table = coefficient_tests(model, ddf) if model._coef_names else _untested(model)
    except (ValueError, NotImplementedError, MemoryError, FitError) as error:
        text = f"degrees of freedom and p-values are unavailable by the method {ddf!r}: {error}"
        warn_user(text, InferenceWarning)
        table = _untested(model)
    if ddf == "normal":
        table = table.rename(columns={"t value": "z value", "Pr(>|t|)": "Pr(>|z|)"})
        return table.reindex(columns=["Estimate", "Std. Error", "z value", "Pr(>|z|)"])
    return table.reindex(columns=["Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"])


def _untested(model: FittedModel) -> pd.DataFrame:
    """Return estimates, standard errors and their ratios."""
    return pd.DataFrame(
        {"Estimate": model.fixef, "Std. Error": model.bse, "t value": model.tvalues}
    )


def summarize(
    model: FittedModel,
    quantiles: FloatArray | None = None,
    correlation: bool | None = None,
    ddf: Ddf = "none",
) -> Summary:
    """Collect the numbers of a summary.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    quantiles : (5,) array, optional
        Quantiles of the scaled residuals, if they are to be printed.
    correlation, ddf
        As for `LinearMixedModel.summary`.
    """
    design, labels = model.design, model.labels
    coefficients = coefficient_table(model, ddf)
    return Summary(
        formula=model.formula,
        data_name=labels.data,
        weights=labels.weights,
        offset=labels.offset,
        reml=model.reml,
        objective=model.objective,
        llf=model.llf,
        aic=model.aic,
        bic=model.bic,
        df_resid=model.df_resid,
        residual_quantiles=quantiles,
        var_corr=model.var_corr,
        nobs=model.nobs,
        n_missing=design.n_missing,
        n_zero_weight=design.n_zero_weight,
        n_levels=model.n_levels,
        coef_names=model._coef_names,
        coef_columns=tuple(coefficients.columns),
        coefficients=coefficients.to_numpy(),
        correlation=correlation_matrix(model._covariance),
        dropped=model.dropped,
        messages=_messages(model),
        show_correlation=correlation,
        ddf=ddf,
    )


def _messages(model: FittedModel) -> tuple[str, ...]:
    """Report problems of the optimization; nothing if all is well."""
    lines = [f"not identifiable: {one}" for one in model.confounded]
    verdict = None if explains_divergence(model) else verdict_line(model._fit)
    if verdict is not None:
        lines.append(verdict)
    if singular_terms(model):
        lines.append("boundary (singular) fit: see `is_singular`")
    if lines and verdict is None and model.converged:
        lines.insert(0, "optimizer convergence code: 0 (OK)")
    return tuple(lines)
