"""Separate linear models, one per group: no pooling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag, check_level
from ..base.errors import SmallGroupWarning
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.read_only import ReadOnly, cached_property
from ..base.warn import warn_user
from ..design.design import Design, build_design
from ..fit.labels import Labels, label_of, name_of
from ..fit.least_squares import LeastSquares, least_squares, weighted_problem
from ..formula.formula import split_groups
from ..tables.r_format import format_numbers, matrix_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class LinearModelList(ReadOnly):
    """Linear models of the same formula, one per group; `crossnest.lm_list` makes it.

    All groups share one model matrix, so that a coefficient means the same in each. J groups,
    k coefficients. A group whose observations do not determine all coefficients has missing ones.

    Attributes
    ----------
    formula : str
        As given, ``"y ~ x | group"``.
    design : Design
        Response, model matrix and the grouping factor.
    labels : Labels
        Names printed in the summary.
    pool : bool
        Whether standard errors use one residual variance for all groups, unless asked otherwise.
    """

    formula: str
    design: Design
    labels: Labels
    pool: bool
    _fits: tuple[LeastSquares | None, ...]  # of each group; None if it cannot be fitted
    _ssr: FloatArray  # (J,) weighted sums of squared residuals, NaN where there is no fit

    @property
    def group(self) -> str:
        """The name of the grouping factor."""
        return self.design.factors[0].name

    @property
    def unfitted(self) -> tuple[Any, ...]:
        """The groups that are too small to fit."""
        return tuple(self._levels[[fit is None for fit in self._fits]])

    # ------------------------------------------------------------------ estimates

    def coef(self) -> pd.DataFrame:
        """Return the estimates, (J, k): one row per group, NaN where it is too small to fit."""
        return self._frame([None if fit is None else fit.beta for fit in self._fits])

    def bse(self, pool: bool | None = None) -> pd.DataFrame:
        """Return the standard errors of `coef`, (J, k).

        Parameters
        ----------
        pool : bool, optional
            Whether one residual variance holds for all groups; as `pool` of the fit if not given.
        """
        return self._unscaled_errors.mul(self._sigma_of(pool), axis=0)

    def intervals(self, level: float = 0.95, pool: bool | None = None) -> pd.DataFrame:
        """Compute t intervals: ``lower``, ``estimate``, ``upper``, a row per group and coefficient.

        Parameters
        ----------
        level : float
            Confidence level of each interval.
        pool : bool, optional
            As for `bse`; the degrees of freedom are the sum over groups, or those of each group.
        """
        check_level(level)
        half = self.bse(pool).mul(scipy.stats.t.ppf((1 + level) / 2, self._df_of(pool)), axis=0)
        estimate = self.coef()
        parts = {"lower": estimate - half, "estimate": estimate, "upper": estimate + half}
        return pd.DataFrame({name: _long(frame) for name, frame in parts.items()})

    def confint(self, level: float = 0.95, pool: bool | None = None) -> pd.DataFrame:
        """Return `intervals` without the estimates."""
        return self.intervals(level, pool)[["lower", "upper"]]

    # ------------------------------------------------------------------ residual variance

    @cached_property
    def sigmas(self) -> pd.Series[float]:
        """Residual standard deviation of each group, (J,); NaN where it has no df."""
        df = self._df_of(pool=False).to_numpy()
        return pd.Series(np.sqrt(self._ssr / df), index=self._levels, name="sigma")

    @property
    def sigma(self) -> float:
        """Residual standard deviation pooled over groups; NaN if there are no df."""
        df = self.df_resid
        return float(np.sqrt(np.nansum(self._ssr) / df)) if df else float("nan")

    @cached_property
    def df_resids(self) -> pd.Series[int]:
        """Observations minus coefficients of each group, (J,); 0 where it is too small to fit."""
        counts = zip(self.nobs, self._fits, strict=True)
        df = [0 if fit is None else n - self.design.p for n, fit in counts]
        return pd.Series(df, index=self._levels, name="df_resid")

    @property
    def df_resid(self) -> int:
        """Residual degrees of freedom of all groups together."""
        return int(self.df_resids.sum())

    @cached_property
    def nobs(self) -> pd.Series[int]:
        """Observations of each group, (J,)."""
        factor = self.design.factors[0]
        counts = np.bincount(factor.codes, minlength=factor.n_levels).tolist()
        return pd.Series(counts, index=self._levels, name="nobs")

    # ------------------------------------------------------------------ shown

    def summary(self, pool: bool | None = None) -> ListSummary:
        """Summarize the fits; printing the result gives nlme's layout.

        Parameters
        ----------
        pool : bool, optional
            As for `bse`.
        """
        check_flag(pool, "pool", optional=True)
        pool = self.pool if pool is None else pool
        estimate, error = self.coef(), self.bse(pool)
        t = estimate / error
        df = np.asarray(self._df_of(pool), dtype=np.float64).reshape(-1, 1)
        p = pd.DataFrame(2 * scipy.stats.t.sf(np.abs(t), df), index=t.index, columns=t.columns)
        columns = {"Estimate": estimate, "Std. Error": error, "t value": t, "Pr(>|t|)": p}
        return ListSummary(
            formula=self.formula,
            data_name=self.labels.data,
            coefficients=pd.DataFrame({name: _long(frame) for name, frame in columns.items()}),
            sigma=self.sigma if pool else None,
            df_resid=self.df_resid if pool else None,
        )

    def plot(
        self, ax: Sequence[Axes] | Axes | None = None, level: float = 0.95, pool: bool | None = None
    ) -> Figure:
        """Draw the intervals of every group, one panel per coefficient.

        Parameters
        ----------
        ax : Axes or sequence of k Axes, optional
            Where to draw; a new figure if not given.
        level, pool
            As for `intervals`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from ..plotting.style import BLUE, facets, figure_of, height_of, name_rows, plain, tidy

        intervals = self.intervals(level, pool)
        names, rows = self.design.x_names, np.arange(len(self._levels))
        panels = facets(ax, names, (2.6, height_of(len(rows))), n_columns=len(names))
        for name, axes in zip(names, panels, strict=True):
            lower, estimate, upper = intervals.xs(name, level="coefficient").to_numpy().T
            axes.hlines(rows, lower, upper, color=BLUE, linewidth=1.5)
            axes.plot(estimate, rows, "o", color=BLUE, markersize=4)
            axes.set_title(plain(name))
            tidy(axes, grid="x")
            name_rows(axes, self._levels, self.group, named=axes is panels[0])
        return figure_of(panels[0])

    def __repr__(self) -> str:
        """Show the coefficients."""
        lines = [f"Linear models by group: {self.formula}", str(self.coef())]
        if self.df_resid:
            sigma = format_numbers([self.sigma])[0]
            lines.append(f"Pooled residual standard error: {sigma} on {self.df_resid} DF")
        return "\n".join(lines)

    # ------------------------------------------------------------------ numbers behind them

    @property
    def _levels(self) -> pd.Index:
        factor = self.design.factors[0]
        return factor.levels.rename(factor.name)

    def _frame(self, rows: Sequence[FloatArray | None]) -> pd.DataFrame:
        """Put a vector (k,) of each group into a data frame, NaN where there is none."""
        missing = np.full(self.design.p, np.nan)
        values = [missing if row is None else row for row in rows]
        return pd.DataFrame(values, index=self._levels, columns=list(self.design.x_names))

    @property
    def _unscaled_errors(self) -> pd.DataFrame:
        """Standard errors for sigma = 1, (J, k)."""
        return self._frame(
            [None if fit is None else np.sqrt(np.diag(fit.unscaled)) for fit in self._fits]
        )

    def _sigma_of(self, pool: bool | None) -> pd.Series[float]:
        check_flag(pool, "pool", optional=True)
        pool = self.pool if pool is None else pool
        return pd.Series(self.sigma, index=self._levels) if pool else self.sigmas

    def _df_of(self, pool: bool | None) -> pd.Series[float]:
        """Degrees of freedom of each group's standard errors, NaN where there are none."""
        pool = self.pool if pool is None else pool
        df = np.full(len(self._fits), self.df_resid) if pool else self.df_resids.to_numpy()
        return pd.Series(np.where(df > 0, df, np.nan), index=self._levels)


@dataclass(frozen=True, eq=False)
class ListSummary(ReadOnly):
    """The coefficients of every group and their tests; printing it gives nlme's layout.

    Attributes
    ----------
    formula : str
        As given.
    data_name : str or None
        What to say of the data; None says nothing.
    coefficients : DataFrame
        ``Estimate``, ``Std. Error``, ``t value``, ``Pr(>|t|)``, a row per group and coefficient.
    sigma, df_resid : float, int, or None
        The pooled residual standard deviation and its degrees of freedom, if it was used.
    """

    formula: str
    data_name: str | None
    coefficients: pd.DataFrame
    sigma: float | None
    df_resid: int | None

    @property
    def text(self) -> str:
        """The summary in nlme's layout."""
        lines = ["Call:", f"  Model: {self.formula} "]
        lines += [f"   Data: {self.data_name} "] if self.data_name is not None else []
        lines += ["", "Coefficients:"]
        columns = [str(column) for column in self.coefficients]
        for name in self.coefficients.index.unique("coefficient"):
            table = self.coefficients.xs(name, level="coefficient")
            cells = zip(*(_column(table[column]) for column in columns), strict=True)
            labels = [str(label) for label in table.index]
            lines += [f"   {name} ", *matrix_lines(list(cells), labels, columns, right=True)]
        if self.sigma is not None:
            sigma = format_numbers([self.sigma])[0]
            lines += ["", f"Residual standard error: {sigma} on {self.df_resid} degrees of freedom"]
        return "\n".join([*lines, ""])

    def __str__(self) -> str:
        """Return `text`."""
        return self.text

    __repr__ = __str__


def _long(frame: pd.DataFrame) -> pd.Series[float]:
    """Stack the coefficients (J, k) of the groups: (J k,), indexed by group and coefficient."""
    index = pd.MultiIndex.from_product(
        [frame.index, frame.columns], names=[frame.index.name, "coefficient"]
    )
    return pd.Series(frame.to_numpy().ravel(), index=index)


def _column(values: pd.Series[float]) -> list[str]:
    """Format a column of a matrix as R prints it, NA where a group has no estimate."""
    known = iter(format_numbers(values.dropna()))
    return ["NA" if missing else next(known) for missing in values.isna()]


def _fit_group(X: FloatArray, y: FloatArray) -> tuple[LeastSquares | None, float]:
    """Fit one group; None if its rows do not determine all coefficients."""
    fit = least_squares(X, y)
    if len(fit.kept) < X.shape[1]:
        return None, float("nan")
    return fit, float(np.sum((y - X @ fit.beta) ** 2))


@explain_unknown_arguments
def lm_list(
    formula: str,
    data: Any,
    pool: bool = True,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: Literal["drop", "raise"] = "drop",
) -> LinearModelList:
    """Fit a linear model to each group by itself.

    Parameters
    ----------
    formula : str
        The model and, after a bar, the grouping factor: ``"chol ~ age | doctor"``.
    data : DataFrame
        The data: a pandas data frame, a dict of columns, or any frame narwhals reads.
    pool : bool
        Whether standard errors, intervals and tests use one residual variance for all groups
        (with all their degrees of freedom) or each group's own.
    weights, offset, contrasts, na_action
        As for `crossnest.lm`.

    Returns
    -------
    LinearModelList

    Raises
    ------
    FormulaError, DesignError
        If formula or data do not make a model; the message names the culprit.

    Warns
    -----
    SmallGroupWarning
        Groups whose observations do not determine all coefficients; theirs are NaN.

    Notes
    -----
    Estimates are those of ``lmList`` of R's lme4 and nlme for covariates as they stand. Levels of
    factors and bases such as ``poly(x, 2)`` are those of all the data here, of each group there.

    Examples
    --------
    >>> import crossnest
    >>> fits = crossnest.lm_list("Reaction ~ Days | Subject", crossnest.datasets.sleepstudy())
    >>> print(fits.coef().round(2).loc["308"].to_dict())
    {'(Intercept)': 244.19, 'Days': 21.76}
    """
    check_flag(pool, "pool")
    model, group = split_groups(formula)
    design = build_design(
        f"{model} + (1 | {group})",
        data,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        na_action=na_action,
    )
    X, y = weighted_problem(design)
    factor = design.factors[0]
    order = np.argsort(factor.codes, kind="stable")
    ends = np.cumsum(np.bincount(factor.codes, minlength=factor.n_levels))
    groups = np.split(order, ends[:-1])
    fits, ssr = zip(*(_fit_group(X[rows], y[rows]) for rows in groups), strict=True)
    labels = Labels(name_of(data), label_of(weights), label_of(offset))
    result = LinearModelList(formula, design, labels, pool, fits, np.array(ssr))
    if result.unfitted:
        _warn_of_small_groups(result)
    return result


def _warn_of_small_groups(result: LinearModelList) -> None:
    names = [str(level) for level in result.unfitted]
    shown = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
    text = (
        f"{len(names)} of the {len(result.nobs)} groups of {result.group} do not determine all "
        f"{result.design.p} coefficients and have none: {shown}"
    )
    warn_user(text, SmallGroupWarning)
