"""Models side by side: estimates with standard errors, variance components, fit statistics."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import as_list, check_flag
from ..base.ddf_methods import METHODS, check_ddf
from ..base.read_only import ReadOnly
from ..diagnostics.goodness import icc, r2
from ..fit.fitted_model import FittedModel
from ..inference.common_rows import on_common_rows
from ..inference.ddf import coefficient_tests
from ..inference.model_names import model_names
from ..linear.linear_model import LinearModel
from ..tables.html import html_table
from ..tables.r_format import (
    STARS_LEGEND,
    format_numbers,
    matrix_lines,
    round_digits,
    significance_stars,
)

if TYPE_CHECKING:
    from ..base.ddf_methods import Ddf

__all__ = ["SideBySide", "compare"]

FloatArray = NDArray[np.float64]
Model: TypeAlias = FittedModel | LinearModel

FIXED, RANDOM, FIT = "Fixed effects", "Random effects", "Fit"
SIGMA = "SD residual"
PARTS = (FIXED, RANDOM, FIT)
#: Decimals of the statistics whose names start so; those of fit are printed in this order.
DECIMALS = {
    "Observations": 0,
    "Groups: ": 0,
    "logLik": 2,
    "AIC": 2,
    "BIC": 2,
    "ICC": 3,
    "R2": 3,
    "Cor ": 2,
}
#: Significant digits of everything else.
DIGITS = 4


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide(ReadOnly):
    """Models side by side, as `crossnest.compare` gives them. Printing it gives `text`.

    Attributes
    ----------
    table : DataFrame
        The numbers, one column per model, NaN for what a model does not have. The rows are labelled
        by ``part`` ("Fixed effects", "Random effects", "Fit"), ``term`` (the coefficient, the
        variance component, the fit statistic) and ``value``: "estimate", "std.error" and
        "p.value" of fixed effects, "sd" and "cor" of random effects, and "statistic".
    stars : bool
        Whether estimates are printed with stars for their p-values.
    notes : tuple of str
        What is to know of the numbers.
    """

    table: pd.DataFrame
    stars: bool
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The table: standard errors in brackets below the estimates."""
        labels, cells = [], []
        for part, rows in self._blocks():
            labels += [part, *(f"  {label}" for label, _ in rows)]
            cells += [[""] * len(self.table.columns), *(row for _, row in rows)]
        # What hangs over to the right of the last digit stands below the stars.
        hanging = " " * self._overhang
        columns = [str(name) + hanging for name in self.table.columns]
        lines = matrix_lines(cells, labels, columns, right=True)
        return "\n".join([*(line.rstrip() for line in lines), *self._footer])

    def __str__(self) -> str:
        """Return `text`."""
        return self.text

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows: list[list[str]] = []
        for part, block in self._blocks():
            rows.append([part, *[""] * len(self.table.columns)])
            rows += [[label, *cells] for label, cells in block]
        table = html_table(rows, ["", *map(str, self.table.columns)])
        footer = "<br>".join(html.escape(line) for line in self._footer)
        return f"<div>{table}</div><div>{footer}</div>"

    @property
    def _overhang(self) -> int:
        """Places right of the last digit: for stars, or for the closing bracket."""
        return 3 if self.stars else 1

    @property
    def _footer(self) -> list[str]:
        blocks = ["---", *([STARS_LEGEND] if self.stars else []), *self.notes]
        return blocks if len(blocks) > 1 else []

    def _blocks(self) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
        """Return each part's heading, and its rows of label and cells."""
        for part in PARTS:
            table = self.table[self.table.index.get_level_values("part") == part]
            if len(table):
                rows = self._fixed_rows(table) if part == FIXED else self._single_rows(table)
                yield part, list(rows)

    def _fixed_rows(self, table: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
        """Format two rows per coefficient: estimate, standard error."""
        for term, values in table.droplevel("part").groupby(level="term", sort=False):
            by_value = values.droplevel("term")
            estimates, errors = _cells(by_value.loc[["estimate", "std.error"]].to_numpy(), DIGITS)
            pvalues = by_value.loc["p.value"].to_numpy() if self.stars else np.full(len(errors), 1)
            stars = significance_stars(np.nan_to_num(pvalues, nan=1.0))
            width = self._overhang
            yield (
                str(term),
                [e and e + s.ljust(width) for e, s in zip(estimates, stars, strict=True)],
            )
            yield "", [e and f"({e})".ljust(len(e) + 1 + width) for e in errors]

    def _single_rows(self, table: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
        """Format one row per component or statistic."""
        terms = table.index.get_level_values("term")
        for term, values in zip(terms, table.to_numpy(), strict=True):
            hanging = " " * self._overhang
            yield str(term), [cell and cell + hanging for cell in _statistic(str(term), values)]


def _cells(numbers: FloatArray, digits: int) -> list[list[str]]:
    """Format rows of numbers with common decimals; blank where one is missing."""
    known = iter(format_numbers(numbers[~np.isnan(numbers)], digits))
    return [["" if np.isnan(v) else next(known).strip() for v in row] for row in numbers]


def _statistic(term: str, values: FloatArray) -> list[str]:
    """Format the values of one statistic, or variance component."""
    decimals = next((k for start, k in DECIMALS.items() if term.startswith(start)), None)
    if decimals is None:
        return _cells(values[None, :], DIGITS)[0]
    return ["" if np.isnan(v) else f"{round_digits(v, decimals):.{decimals}f}" for v in values]


# ------------------------------------------------------------------------------- the numbers

_Rows: TypeAlias = dict[tuple[str, str, str], float]


def _fixed(model: Model, ddf: Ddf | None) -> _Rows:
    """Collect estimates and standard errors, and p-values if a method is given."""
    estimates, errors = model.params, model.bse
    pvalues = None if ddf is None else _pvalues(model, ddf)
    rows: _Rows = {}
    for name in estimates.index:
        rows[FIXED, str(name), "estimate"] = float(estimates[name])
        rows[FIXED, str(name), "std.error"] = float(errors[name])
        if pvalues is not None:
            rows[FIXED, str(name), "p.value"] = float(pvalues[name])
    return rows


def _pvalues(model: Model, ddf: Ddf) -> pd.Series[float]:
    if isinstance(model, LinearModel):
        return model.pvalues
    return coefficient_tests(model, ddf).iloc[:, -1]


def _random(model: Model) -> _Rows:
    """Collect standard deviations and correlations of the random effects, and sigma."""
    if isinstance(model, LinearModel):
        return {(RANDOM, SIGMA, "sd"): model.sigma}
    rows: _Rows = {}
    for group, first, second, _, value in model.var_corr.to_frame().itertuples(index=False):
        if pd.isna(first):
            rows[RANDOM, SIGMA, "sd"] = value
        elif pd.isna(second):
            rows[RANDOM, f"SD {first} | {group}", "sd"] = value
        else:
            rows[RANDOM, f"Cor {first}, {second} | {group}", "cor"] = value
    return rows


def _fit(model: Model) -> _Rows:
    """Collect counts, likelihood, information criteria and goodness of fit."""
    statistics: dict[str, float] = {"Observations": model.nobs}
    if isinstance(model, FittedModel):
        statistics |= {f"Groups: {name}": count for name, count in model.n_levels.items()}
    statistics |= {"logLik": model.llf, "AIC": model.aic, "BIC": model.bic}
    statistics |= _goodness(model)
    return {(FIT, name, "statistic"): float(value) for name, value in statistics.items()}


def _goodness(model: Model) -> dict[str, float]:
    """Compute R2 and the intraclass correlation."""
    if isinstance(model, LinearModel):
        return {"R2": model.rsquared, "R2 adjusted": model.rsquared_adj}
    shares = r2(model)
    return {
        "ICC": icc(model)["ICC_adjusted"],
        "R2 marginal": shares["R2_marginal"],
        "R2 conditional": shares["R2_conditional"],
    }


def _notes(models: Sequence[Model], names: Sequence[str], ddf: Ddf | None) -> Iterator[str]:
    """Say which likelihoods are restricted, and where p-values come from."""
    counts = [model.nobs for model in models]
    if len(set(counts)) > 1:
        yield (
            f"The models were fitted to different rows ({', '.join(map(str, counts))}): "
            "common_rows=True fits all to those they share."
        )
    mixed = [(n, m) for n, m in zip(names, models, strict=True) if isinstance(m, FittedModel)]
    reml = [name for name, model in mixed if model.reml]
    if reml:
        which = "" if len(reml) == len(models) else f" of {', '.join(reml)}"
        yield f"logLik, AIC and BIC{which} are of the restricted likelihood (REML)."
    if ddf is not None and mixed:
        yield f"p-values by {METHODS[ddf]}."


def _table(columns: Sequence[_Rows], names: Sequence[str]) -> pd.DataFrame:
    """Put the models' numbers side by side: fixed effects in the order they first appear in."""
    keys = dict.fromkeys(key for rows in columns for key in rows)
    terms = list(dict.fromkeys(term for _, term, _ in keys))
    ordered = sorted(keys, key=lambda key: (PARTS.index(key[0]), _rank(key), terms.index(key[1])))
    index = pd.MultiIndex.from_tuples(ordered, names=["part", "term", "value"])
    values = [[rows.get(key, np.nan) for rows in columns] for key in ordered]
    return pd.DataFrame(values, index=index, columns=list(names), dtype=np.float64)


def _rank(key: tuple[str, str, str]) -> int:
    """Order statistics alike whatever models come first; sigma stands last in its part."""
    part, term, _ = key
    if part != FIT:
        return int(part == RANDOM and term == SIGMA)
    return next(i for i, name in enumerate(DECIMALS) if term.startswith(name))


def _check_names(names: Iterable[str] | None, models: Sequence[Model]) -> list[str] | None:
    if names is None:
        return None
    names = [str(name) for name in as_list(names)]
    if len(names) != len(models) or len(set(names)) < len(names):
        raise ValueError(f"names must be {len(models)} different names, one per model, not {names}")
    return names


def compare(
    *models: FittedModel | LinearModel,
    names: str | Sequence[str] | None = None,
    stars: bool = False,
    ddf: Ddf = "satterthwaite",
    common_rows: bool = False,
) -> SideBySide:
    """Put models side by side in a table.

    `crossnest.anova` tests one against another.

    Parameters
    ----------
    *models : LinearMixedModel or LinearModel
        Models fitted by `crossnest.lmer` or `crossnest.lm`, one or more.
    names : str or sequence of str, optional
        What to call them; the names of the caller's variables if not given.
    stars : bool
        Whether to test the fixed effects and mark their estimates with stars.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Degrees of freedom of these tests; a linear model has its own.
    common_rows : bool
        Whether to fit the models again to the rows that all of them have, where they were fitted
        to different ones because of missing values.

    Returns
    -------
    SideBySide
        Its `table` has the numbers: estimates, standard errors, standard deviations and
        correlations of the random effects, numbers of observations and groups, log-likelihood,
        AIC, BIC, intraclass correlation (adjusted), and R2 (Nakagawa's, marginal and conditional).

    Raises
    ------
    TypeError
        If something given is not a fitted model.
    ValueError
        If there is no model, or names do not fit.

    Examples
    --------
    >>> import crossnest
    >>> sleepstudy = crossnest.datasets.sleepstudy()
    >>> line = crossnest.lm("Reaction ~ Days", sleepstudy)
    >>> lines = crossnest.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    >>> table = crossnest.compare(line, lines, names=["lm", "lmer"]).table
    >>> print(table.loc[("Fixed effects", "Days", "std.error")].round(3).to_dict())
    {'lm': 1.238, 'lmer': 1.546}
    """
    check_flag(stars, "stars")
    check_flag(common_rows, "common_rows")
    if not models:
        raise ValueError("there is no model to show")
    for model in models:
        if not isinstance(model, FittedModel | LinearModel):
            raise TypeError(f"compare takes fitted models, not {type(model).__name__}")
    found = _check_names(names, models) or model_names(models, sys._getframe(1).f_locals)
    if common_rows:
        models = tuple(on_common_rows(models))
    method = check_ddf(ddf) if stars else None
    table = _table([_fixed(m, method) | _random(m) | _fit(m) for m in models], found)
    return SideBySide(table, stars, tuple(_notes(models, found, method)))
