"""Variances, standard deviations and correlations of the random effects (lme4's ``VarCorr``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import Immutable, ReadOnly
from ..formula.covariance_structures import UNSTRUCTURED, components, independent, word_of
from ..tables.html import html_table
from ..tables.r_format import format_numbers, matrix_lines, round_digits

FloatArray = NDArray[np.float64]
Measure = Literal["Variance", "Std.Dev."]


@dataclass(frozen=True)
class CovarianceTerm(ReadOnly):
    """The covariance matrix of one random-effects term.

    Attributes
    ----------
    group : str
        Grouping factor; further terms on the same factor are called ``g.1``, ``g.2``, ...
    names : tuple of str
        The k effects.
    covariance : (k, k) array
        Var(b) of one level, on the response's scale squared.
    covariance_structure : str
        Its name, see `crossnest.formula.covariance_structures`.
    """

    group: str
    names: tuple[str, ...]
    covariance: FloatArray
    covariance_structure: str = UNSTRUCTURED

    @property
    def stddev(self) -> FloatArray:
        """(k,) standard deviations."""
        return np.asarray(np.sqrt(np.diag(self.covariance)), dtype=np.float64)

    @property
    def correlation(self) -> FloatArray:
        """(k, k) correlations; NaN where a standard deviation is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = self.covariance / self.stddev[:, None] / self.stddev
        np.fill_diagonal(scaled, 1.0)
        return scaled

    def pairs(self) -> list[tuple[int, int]]:
        """Return (row, column) of each covariance reported, column by column."""
        k = len(self.names)
        if independent(self.covariance_structure, k):
            return []
        return [(i, j) for j in range(k) for i in range(j + 1, k)]


class VarCorr(Immutable):
    """Covariance matrices of all random-effects terms and the residual standard deviation.

    Printing it shows lme4's table. ``var_corr["Subject"]`` is one term's covariance matrix as a
    data frame, iterating gives the terms' names.

    Parameters
    ----------
    terms : sequence of CovarianceTerm
        In lme4's order.
    sigma : float
        Residual standard deviation.
    """

    terms: tuple[CovarianceTerm, ...]
    sigma: float

    def __init__(self, terms: Sequence[CovarianceTerm], sigma: float) -> None:
        vars(self).update(terms=tuple(terms), sigma=float(sigma))

    @classmethod
    def from_factors(
        cls,
        groups: Sequence[str],
        names: Sequence[tuple[str, ...]],
        factors: Sequence[FloatArray],
        structures: Sequence[str],
        sigma: float,
    ) -> VarCorr:
        """Make it from the relative covariance factors lambda_t, (k, k) each.

        Var(b) = sigma^2 lambda_t lambda_t' for one level of term t.
        """
        scaled = [sigma * factor for factor in factors]
        parts = zip(unique_names(groups), names, scaled, structures, strict=True)
        return cls([CovarianceTerm(g, n, s @ s.T, kind) for g, n, s, kind in parts], sigma)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the terms."""
        return (term.group for term in self.terms)

    def __len__(self) -> int:
        """Count the terms."""
        return len(self.terms)

    def __getitem__(self, group: str) -> pd.DataFrame:
        """Return the covariance matrix of one term, by its name in the printed table."""
        for term in self.terms:
            if term.group == group:
                return pd.DataFrame(
                    term.covariance, index=list(term.names), columns=list(term.names)
                )
        raise KeyError(f"no random-effects term {group!r}; there are {', '.join(self)}")

    def to_frame(self, order: Literal["cov.last", "lower.tri"] = "cov.last") -> pd.DataFrame:
        """Return one row per variance, covariance and residual variance (``as.data.frame``).

        Parameters
        ----------
        order : {"cov.last", "lower.tri"}
            Within a term: variances before covariances, or the lower triangle column by column.

        Returns
        -------
        DataFrame
            ``grp``, ``var1``, ``var2`` (missing for variances), ``vcov`` (variance or
            covariance), ``sdcor`` (standard deviation or correlation).
        """
        if order not in ("cov.last", "lower.tri"):
            raise ValueError(f"order must be 'cov.last' or 'lower.tri', not {order!r}")
        rows = [row for term in self.terms for row in _term_rows(term, order)]
        rows.append(("Residual", None, None, self.sigma**2, self.sigma))
        return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])

    def table(
        self, digits: int, components: Sequence[Measure]
    ) -> tuple[list[list[str]], list[str]]:
        """Format the table of the random effects: its cells, row by row, and its column names.

        Parameters
        ----------
        digits : int
            Significant digits of variances and standard deviations; correlations have two
            fewer decimals, at least 2.
        components : sequence of {"Variance", "Std.Dev."}
            Columns wanted.
        """
        shown = [_rows_shown(term) for term in self.terms]
        stddev = np.concatenate(
            [
                *(t.stddev[: len(names)] for t, names in zip(self.terms, shown, strict=True)),
                [self.sigma],
            ]
        )
        columns = {
            "Groups": [
                *(
                    group
                    for t, names in zip(self.terms, shown, strict=True)
                    for group in [t.group, *[""] * (len(names) - 1)]
                ),
                "Residual",
            ],
            "Name": [*(name for names in shown for name in names), ""],
        }
        for component in components:
            values = stddev**2 if component == "Variance" else stddev
            columns[component] = format_numbers(values, digits)
        cells = [list(row) for row in zip(*columns.values(), strict=True)]
        correlations = [row for term in self.terms for row in _correlation_cells(term, digits)]
        n_correlations = max(map(len, correlations), default=0)
        for row, texts in zip(cells, [*correlations, []], strict=True):
            row += [*texts, *[""] * n_correlations][:n_correlations]
        return cells, [*columns, *["Corr", *[""] * n_correlations][:n_correlations]]

    def to_text(self, digits: int = 5, components: Sequence[Measure] = ("Std.Dev.",)) -> str:
        """Format lme4's table as text."""
        cells, columns = self.table(digits, components)
        return "\n".join(matrix_lines(cells, [""] * len(cells), columns))

    def __str__(self) -> str:
        """Return lme4's table with standard deviations."""
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(*self.table(5, ("Variance", "Std.Dev.")))


def unique_names(names: Sequence[str]) -> list[str]:
    """Tell repeated names apart as R does: ``g``, ``g.1``, ``g.2``."""
    taken = set(names)
    seen: set[str] = set()
    result = []
    for name in names:
        new, count = name, 0
        while new in seen or (count and new in taken):
            count += 1
            new = f"{name}.{count}"
        seen.add(new)
        result.append(new)
    return result


def _term_rows(
    term: CovarianceTerm, order: str
) -> list[tuple[str, str | None, str | None, float, float]]:
    k = len(term.names)
    positions = [*((i, i) for i in range(k)), *term.pairs()]
    if order == "lower.tri":
        positions.sort(key=lambda position: position[::-1])
    correlation, stddev = term.correlation, term.stddev
    rows: list[tuple[str, str | None, str | None, float, float]] = []
    for i, j in positions:
        sdcor = stddev[i] if i == j else correlation[i, j]
        other = None if i == j else term.names[i]
        rows.append((term.group, term.names[j], other, float(term.covariance[i, j]), float(sdcor)))
    return rows


def _correlation_cells(term: CovarianceTerm, digits: int) -> list[list[str]]:
    """Format the correlations of a term below the diagonal, blank elsewhere."""
    k = len(term.names)
    if not term.pairs():
        return [[] for _ in _rows_shown(term)]
    decimals = max(2, digits - 2)
    if any(one == ("correlation", None, None) for one in components(term.covariance_structure, k)):
        rho = format_numbers(
            [round_digits(float(term.correlation[1, 0]), decimals)], nsmall=decimals
        )
        text = f"{rho[0]} ({word_of(term.covariance_structure)})"
        rows = len(_rows_shown(term))
        return [[text] if i == min(1, rows - 1) else [] for i in range(rows)]
    rounded = [round_digits(float(r), decimals) for r in term.correlation.ravel()]
    cells = format_numbers(rounded, nsmall=decimals)
    return [[cells[i * k + j] if j < i else "" for j in range(k - 1)] for i in range(k)]


def _rows_shown(term: CovarianceTerm) -> tuple[str, ...]:
    """Return the effects that have a row of their own: one where all share a standard deviation."""
    k = len(term.names)
    shared = k > 1 and ("sd", None, None) in components(term.covariance_structure, k)
    return ("*",) if shared else term.names
