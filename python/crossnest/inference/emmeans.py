"""Estimated marginal means: predictions averaged over a balanced grid of the predictors.

With L the averaged rows of the model matrix of the reference grid, the means are L beta + offset.
Standard errors and degrees of freedom are those of the linear functions, by the method asked for.

References
----------
Searle, Speed and Milliken (1980). Population marginal means in the linear model: an alternative to
least squares means. The American Statistician 34(4).
Lenth (2023). emmeans: Estimated marginal means, aka least-squares means. R package 1.8.4.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import as_names, check_level
from ..base.ddf_methods import check_ddf
from ..base.read_only import ReadOnly
from ..formula.formula import factor_names
from .contrast_families import contrast_family, is_pairwise
from .ddf import tester
from .emm_table import EmmTable, rows_of_strata
from .estimability import RowSpace
from .linear_functions import LinearFunctions
from .multiplicity import adjusted_pvalues, check_method
from .reference_grid import OVERALL, ReferenceGrid, reference_grid, slope_grid

if TYPE_CHECKING:
    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel
    from .tester import Tester

FloatArray = NDArray[np.float64]
Contrasts = str | Mapping[str, ArrayLike]


@dataclass(frozen=True, eq=False, repr=False)
class MarginalMeans(ReadOnly):
    """Estimated marginal means, or slopes, and what compares them.

    Printing it gives the layout of R's emmeans.

    Attributes
    ----------
    table : DataFrame
        One row per mean: the factors, ``emmean`` (``x.trend`` for slopes in x), ``SE``, ``df``,
        ``lower.CL`` and ``upper.CL``. NaN where the data do not determine the mean.
    contrasts : DataFrame or None
        The contrasts asked for: ``contrast``, the `by` columns, ``estimate``, ``SE``, ``df``,
        ``t.ratio`` and ``p.value``.
    L : DataFrame
        (m, p) linear functions of the fixed effects that give the means (less the offset), NaN
        where they are not estimable.
    by : tuple of str
        Columns whose combinations are the strata; contrasts are taken within them.
    ddf : str
        Method of the standard errors and degrees of freedom.
    level : float
        Confidence level.
    """

    table: EmmTable
    contrasts: EmmTable | None
    L: pd.DataFrame
    by: tuple[str, ...]
    ddf: str
    level: float
    _functions: LinearFunctions
    _common: tuple[str, ...]  # notes under every table

    def contrast(self, method: Contrasts = "eff", adjust: str = "tukey") -> EmmTable:
        """Compare the means within each stratum.

        Parameters
        ----------
        method : str or mapping
            ``"pairwise"``, ``"trt.vs.ctrl"``, ``"eff"``, ``"poly"``, ``"consec"``, or names of
            contrasts to coefficients: see
            `crossnest.inference.contrast_families.contrast_family`.
        adjust : {"tukey", "holm", "bonferroni", "sidak", "fdr", "none"}
            Adjustment of the p-values within each stratum. Tukey's is for pairwise comparisons;
            other contrasts are then adjusted by Sidak's, as emmeans does, and the table says so.

        Raises
        ------
        ValueError
            If method or adjustment is unknown, or there is nothing to compare.
        """
        adjust = check_method(adjust)
        changed = adjust == "tukey" and not is_pairwise(method)
        adjust = "sidak" if changed else adjust
        tables, sizes = [], []
        for rows in self._strata():
            tables.append(self._family_table(rows, method, adjust))
            sizes.append((len(rows), len(tables[-1])))
        notes = [*self._common, *_adjustment_notes(adjust, changed, sizes)]
        return EmmTable.of(pd.concat(tables, ignore_index=True), self.by, notes)

    def pairs(self, adjust: str = "tukey") -> EmmTable:
        """Compare all pairs of means within each stratum: `contrast` with ``"pairwise"``."""
        return self.contrast("pairwise", adjust)

    def joint_test(self) -> EmmTable:
        """Test that all means of a stratum are equal, by the method's own F test.

        Returns
        -------
        DataFrame
            One row per stratum: the `by` columns, ``df1``, ``df2``, ``F.ratio``, ``p.value``. Where
            some means are not estimable, what is estimable of their differences is tested.
        """
        tables = [self._joint_family(rows) for rows in self._strata()]
        return EmmTable.of(pd.concat(tables, ignore_index=True), self.by, self._common)

    def __repr__(self) -> str:
        """Show the means, and the contrasts if there are any."""
        if self.contrasts is None:
            return repr(self.table)
        kind = "emmeans" if "emmean" in self.table else "emtrends"
        return f"${kind}\n{self.table!r}\n\n$contrasts\n{self.contrasts!r}"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"

    # ------------------------------------------------------------------------- one stratum

    def _strata(self) -> list[NDArray[np.intp]]:
        """Return the rows of each stratum, without strata of a single mean if others have more."""
        strata = rows_of_strata(self.table, self.by)
        return [rows for rows in strata if len(rows) > 1] or strata

    def _family_table(self, rows: NDArray[np.intp], method: Contrasts, adjust: str) -> pd.DataFrame:
        """Return the contrasts of the means in these rows."""
        labels = self._labels()
        family = contrast_family(method, [labels[i] for i in rows])
        tests = self._contrasts_of(rows, family).t_table()
        t, df, p = (tests[c].to_numpy() for c in ("t value", "df", "Pr(>|t|)"))
        table = pd.DataFrame({"contrast": list(family)})
        for name in self.by:
            table[name] = self.table[name].iloc[[rows[0]] * len(family)].array
        table["estimate"], table["SE"] = tests["Estimate"], tests["Std. Error"]
        table["df"], table["t.ratio"] = df, t
        table["p.value"] = adjusted_pvalues(adjust, t, df, p, len(rows))
        return table

    def _contrasts_of(
        self, rows: NDArray[np.intp], family: Mapping[str, FloatArray]
    ) -> LinearFunctions:
        C = np.zeros((len(family), len(self.table)))
        C[:, rows] = list(family.values())
        return self._functions.combined(C)

    def _joint_family(self, rows: NDArray[np.intp]) -> pd.DataFrame:
        """Test that the means in these rows are equal."""
        family = contrast_family("consec", [str(i) for i in rows])
        tested = self._contrasts_of(rows, family).f_test()
        table = self.table.loc[rows[:1], list(self.by)].reset_index(drop=True)
        statistic, df1, df2, pvalue = tested or (np.nan, 0, np.nan, np.nan)
        columns = {"df1": df1, "df2": df2, "F.ratio": statistic, "p.value": pvalue}
        return table.assign(**{name: [value] for name, value in columns.items()})

    def _labels(self) -> list[str]:
        """Name the means as contrasts do: levels side by side, numbers after their column."""
        names = [n for n in self.table.columns[: self._n_factors] if n not in self.by]
        texts = []
        for name in names:
            levels = [_text(level) for level in self.table[name]]
            numeric = all(_is_number(level) for level in levels)
            texts.append([f"{name}{level}" if numeric else level for level in levels])
        labels = [" ".join(parts) for parts in zip(*texts, strict=True)]
        return [f"({label})" if set(label) & set("-+/*") else label for label in labels]

    @property
    def _n_factors(self) -> int:
        return list(self.table.columns).index("SE") - 1


def _text(level: Any) -> str:
    return f"{level:.15g}" if isinstance(level, float) else str(level)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _adjustment_notes(adjust: str, changed: bool, sizes: list[tuple[int, int]]) -> list[str]:
    """Say how p-values were adjusted, and in families of which size."""
    notes = []
    several = len(set(sizes)) > 1
    n_means, n_tests = max(sizes)
    if changed and n_tests > 1:
        notes.append("Tukey's adjustment is for pairwise comparisons only; Sidak's was used")
    if adjust == "tukey" and n_means > 2:
        size = "(varies)" if several else n_means
        family = f"for comparing a family of {size} estimates"
        notes.append(f"P value adjustment: tukey method {family}")
    elif adjust not in ("tukey", "none") and n_tests > 1:
        size = "(varies)" if several else n_tests
        notes.append(f"P value adjustment: {adjust} method for {size} tests")
    return notes


# ------------------------------------------------------------------------------- making them


def _check_names(names: Sequence[str], grid: ReferenceGrid) -> None:
    for name in names:
        if name not in grid.names and name != OVERALL:
            known = ", ".join(grid.names) or "none"
            raise ValueError(
                f"'{name}' is not a variable of the fixed effects: these are {known} "
                "('1' gives the overall mean)"
            )


def _interaction_note(model: FittedModel, names: Sequence[str]) -> list[str]:
    """Warn, in the footer, of terms in which the effects of `names` depend on more variables."""
    asked = set(names)
    for term in model.design.formula.fixed.terms:
        variables = {n for factor in term.factors for n in factor_names(factor)}
        if asked < variables & set(model.design.variables):
            return ["NOTE: Results may be misleading due to involvement in interactions"]
    return []


def _common_notes(model: FittedModel, averaged: Sequence[str], method: str) -> tuple[str, ...]:
    notes = []
    if averaged:
        notes.append(f"Results are averaged over the levels of: {', '.join(averaged)}")
    notes.append(f"Degrees-of-freedom method: {method}")
    response = model.design.response_name
    if response not in model.design.variables:
        notes.append(f"Results are given on the {response} (not the response) scale.")
    return tuple(notes)


def _estimate_table(tests: pd.DataFrame, name: str, level: float) -> pd.DataFrame:
    """Compute estimates with t intervals."""
    estimate, error, df = (tests[c].to_numpy() for c in ("Estimate", "Std. Error", "df"))
    half = scipy.stats.t.ppf((1 + level) / 2, df) * error
    columns = {
        name: estimate,
        "SE": error,
        "df": df,
        "lower.CL": estimate - half,
        "upper.CL": estimate + half,
    }
    return pd.DataFrame(columns)


def _tester(model: FittedModel, ddf: Ddf) -> Tester:
    """Return the method's tester; say what to do where it is refused."""
    try:
        return tester(model, ddf)
    except MemoryError as error:
        hint = "ddf='satterthwaite' needs far less memory"
        raise MemoryError(f"{error}; {hint}") from error


def _marginal_means(
    model: FittedModel,
    grid: ReferenceGrid,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None,
    contrasts: Contrasts | None,
    adjust: str,
    ddf: Ddf,
    level: float,
    trend: str | None,
) -> MarginalMeans:
    """Average a grid and estimate; the common part of `emmeans` and `emtrends`."""
    level, adjust, ddf = check_level(level), check_method(adjust), check_ddf(ddf)
    strata = () if by is None else tuple(as_names(by, "by"))
    names = grid.with_groups([*(n for n in as_names(specs, "specs") if n not in strata), *strata])
    _check_names(names, grid)
    if not names:
        raise ValueError("`specs` names no variable: '1' gives the overall mean")
    strata = grid.with_groups(strata)
    if set(names) <= set(strata):
        raise ValueError(
            f"`by` names all of {', '.join(names)}: leave at least one variable to `specs`"
        )
    cells, L, averaged = grid.marginal(names)
    space = RowSpace.of(model)
    functions = LinearFunctions(_tester(model, ddf), space, L, np.full(len(L), grid.offset))
    estimates = _estimate_table(functions.t_table(), f"{trend}.trend" if trend else "emmean", level)
    involved = [*names, trend] if trend else names
    common = (*_interaction_note(model, involved), *_common_notes(model, averaged, ddf))
    notes = (*common, f"Confidence level used: {level:g}")
    means = MarginalMeans(
        table=EmmTable.of(pd.concat([cells, estimates], axis=1), strata, notes),
        contrasts=None,
        L=pd.DataFrame(space.reduce(L), columns=model.fixef.index),
        by=strata,
        ddf=ddf,
        level=level,
        _functions=functions,
        _common=common,
    )
    if contrasts is None:
        return means
    return replace(means, contrasts=means.contrast(contrasts, adjust))


def emmeans(
    model: FittedModel,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    contrasts: Contrasts | None = None,
    adjust: str = "tukey",
    ddf: Ddf = "kenward-roger",
    level: float = 0.95,
) -> MarginalMeans:
    """Estimate marginal means (least-squares means).

    Factors are taken at all their levels, covariates at their mean (at both values if there are
    two), transformations of them follow; what is not named in `specs` or `by` is averaged over
    with equal weights. The mean of the model's offset is added. A factor nested in others is
    averaged over the levels that occur, and shown within them. Means that the data do not
    determine, because of empty cells, are NaN.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    specs : str or sequence of str
        Variables of the fixed effects whose combinations have a mean each; ``"1"`` gives the
        overall mean.
    by : str or sequence of str, optional
        Variables that divide the means into strata, within which they are compared.
    at : mapping, optional
        Levels of factors and values of covariates to take instead, by column.
    contrasts : str or mapping, optional
        Contrasts of the means: see `MarginalMeans.contrast`.
    adjust : {"tukey", "holm", "bonferroni", "sidak", "fdr", "none"}
        Adjustment of the contrasts' p-values; intervals are not adjusted.
    ddf : {"kenward-roger", "kenward-roger-observed", "satterthwaite", "residual", "normal"}
        Method of the standard errors and degrees of freedom; Kenward and Roger's with the expected
        information on the variance parameters (pbkrtest) or the observed one (SAS, JMP).
    level : float
        Confidence level.

    Raises
    ------
    ValueError
        If a name is not a variable of the fixed effects, an option is unknown, or Kenward and
        Roger's method is asked for a fit by maximum likelihood.
    MemoryError
        If Kenward and Roger's method needs more memory than `Control.memory_limit`.
    """
    grid = reference_grid(model, at)
    return _marginal_means(model, grid, specs, by, contrasts, adjust, ddf, level, None)


def emtrends(
    model: FittedModel,
    specs: str | Sequence[str],
    var: str,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    contrasts: Contrasts | None = None,
    adjust: str = "tukey",
    ddf: Ddf = "kenward-roger",
    level: float = 0.95,
) -> MarginalMeans:
    """Estimate slopes in a covariate, averaged as marginal means are.

    The slope is a central difference quotient (see
    `crossnest.inference.reference_grid.slope_grid`) at the covariate's mean, or where `at` says;
    R's emmeans takes the forward quotient, which differs where the effect is curved. Offsets count
    as known and have no slope.

    Parameters
    ----------
    var : str
        The covariate. The other parameters are those of `emmeans`.

    Raises
    ------
    ValueError
        If `var` is not a covariate of the fixed effects, and as `emmeans`.
    """
    grid = slope_grid(model, var, at)
    return _marginal_means(model, grid, specs, by, contrasts, adjust, ddf, level, var)
