"""Checks that columns are what they look like, before they use up all degrees of freedom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from ..base.errors import DataWarning, DesignError
from ..base.memory import check_memory
from ..base.warn import warn_user
from .columns import Column, Columns, FactorColumn

__all__ = [
    "check_effects",
    "in_another_type",
    "same_but_for_type",
    "widest_factor",
]

#: Labels of a text column that are numbers or dates are noticed from this many, and this share of
#: them, on.
FEWEST_NOTICED, SHARE_NOTICED = 12, 0.8

#: Bytes of a factor's columns from which the machine's memory is asked for.
MUCH = 2**30

_DATE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[./]\d\d?[./]\d{2,4}|\d{4}/\d\d?/\d\d?")


def check_effects(columns: Columns, names: Iterable[str], mixed: bool) -> None:
    """Refuse factors with too many levels, and warn of numbers and dates that are held as text.

    Parameters
    ----------
    columns
        The data, rows that are not used left out.
    names
        The columns that are effects by themselves.
    mixed
        Whether there are random effects, and so must be residual degrees of freedom.
    """
    for name in names:
        column = columns.column(name)
        if not isinstance(column, FactorColumn):
            continue
        if len(column.levels) < min(FEWEST_NOTICED, columns.n_used):
            continue
        levels = column.without_unused().levels
        if mixed and len(levels) >= columns.n_used > 1:
            raise DesignError(_one_for_each_row(name, levels))
        if not column.categorical:
            _notice_text(name, levels)
        needed = 8 * len(levels) * columns.n_used
        if needed > MUCH:
            check_memory(needed, f"the {len(levels):,} columns of the factor '{name}'")


def _one_for_each_row(name: str, levels: pd.Index) -> str:
    labels = [str(label) for label in levels[:20]]
    if all(_DATE.match(label) for label in labels):
        hint = (
            f"its labels look like dates ('{labels[0]}'): convert them to numbers, such as days: "
            f"(pandas.to_datetime(data['{name}']) - start).dt.days"
        )
    elif _is_number(labels[0]):
        hint = f"its labels look like numbers: convert it by pandas.to_numeric(data['{name}'])"
    else:
        hint = "leave it out, or merge levels"
    return (
        f"the factor '{name}' has a level for each of the {len(levels)} rows used, which leaves no "
        f"residual degrees of freedom; {hint}"
    )


def _notice_text(name: str, levels: pd.Index) -> None:
    """Warn of a column of text most labels of which are numbers or dates."""
    if len(levels) < FEWEST_NOTICED or not all(isinstance(label, str) for label in levels):
        return
    for held, test, advice in (
        ("numbers", _is_number, f"pandas.to_numeric(data['{name}'], errors='coerce')"),
        ("dates", _DATE.match, f"pandas.to_datetime(data['{name}']) and count days from a start"),
    ):
        if not any(map(test, levels[:: len(levels) // FEWEST_NOTICED])):  # a cheap look
            continue
        others = [label for label in levels if not test(label)]
        found = len(levels) - len(others)
        if found < SHARE_NOTICED * len(levels):
            continue
        but = f" but {', '.join(map(repr, others[:3]))}" + ", ..." * (len(others) > 3)
        warn_user(
            f"column '{name}' is text, so it is a factor with {len(levels)} levels, although "
            f"{found} of them are {held}{but if others else ''}: to use its values, apply "
            f"{advice}; to keep it a factor, make it a categorical",
            DataWarning,
        )
        return


def widest_factor(variables: Mapping[str, Column], n: int, p: int) -> str:
    """Name the factor with most levels where there are as many columns as rows; else nothing."""
    factors = {
        name: len(column.without_unused().levels)
        for name, column in variables.items()
        if isinstance(column, FactorColumn)
    }
    if p < n or not factors:
        return ""
    name = max(factors, key=factors.__getitem__)
    return f"; of the {p} columns, {factors[name] - 1} belong to '{name}' alone"


def _is_number(label: str) -> bool:
    """Say whether a text is a number, with a decimal point or comma."""
    try:
        float(label.replace(",", ".", 1))
    except ValueError:
        return False
    return True


def in_another_type(name: str, labels: Iterable[str], fitted: pd.Index) -> str | None:
    """Say which labels are among the fitted ones except for their type, as 308 and "308"; or None.

    Parameters
    ----------
    name
        The grouping factor.
    labels
        Labels that were not found, as text.
    fitted
        The labels of the fit.
    """
    alike = same_but_for_type(labels, fitted)
    if not alike:
        return None
    shown = ", ".join(alike[:5]) + ", ..." * (len(alike) > 5)
    as_text = isinstance(fitted[0], str)
    held, hint = ("text", "str") if as_text else (fitted.dtype, f"'{fitted.dtype}'")
    return (
        f"the grouping factor '{name}' has the levels {shown} in a different type than the "
        f"model was fitted to (as {held}), so their random effects are not found: convert them, "
        "for example by "
        f".astype({hint})"
    )


def same_but_for_type(labels: Iterable[str], fitted: pd.Index) -> list[str]:
    """Return the labels, as text, that are among the fitted ones except for their type."""
    known = {_bare(str(label)) for label in fitted}
    return [label for label in labels if _bare(label) in known]


def _bare(label: str) -> str:
    return label.removesuffix(".0").strip()
