"""Tables of marginal means and contrasts, printed as R's emmeans prints them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..tables.r_format import format_numbers, matrix_lines, round_digits, zapsmall

_RATIOS = ("t.ratio", "F.ratio")


class EmmTable(pd.DataFrame):
    """A data frame that prints by strata with notes below it; slices of it are plain data frames.

    Attributes
    ----------
    by : tuple of str
        Columns whose combinations are the strata.
    notes : tuple of str
        Lines printed under the table.
    """

    _metadata: ClassVar[list[str]] = ["by", "notes"]
    by: tuple[str, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, table: pd.DataFrame, by: Sequence[str], notes: Sequence[str]) -> EmmTable:
        """Add strata and notes to a data frame."""
        made = cls(table)
        made.by, made.notes = tuple(by), tuple(notes)
        return made

    def copy(self, deep: bool = True) -> EmmTable:  # type: ignore[misc]  # pandas-stubs say final
        """Copy the table with its strata and notes."""
        return EmmTable.of(super().copy(deep), self.by, self.notes)

    def __repr__(self) -> str:
        """Lay the table out as emmeans does."""
        if self.empty:
            return super().__repr__()
        names = [name for name in self.columns if name not in self.by]
        digits = _digits(self)
        cells = {name: _cells(self[name], str(name), digits) for name in self.columns}
        lines: list[str] = []
        for rows in rows_of_strata(self, self.by):
            if self.by:
                stratum = ", ".join(f"{name} = {cells[name][rows[0]].strip()}" for name in self.by)
                lines.append(f"{stratum}:")
            body = [[cells[name][i] for name in names] for i in rows]
            heads = [_head(self[name], str(name), len(cells[name][0])) for name in names]
            lines += [*matrix_lines(body, [""] * len(body), heads, right=True), ""]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def _digits(table: pd.DataFrame) -> int:
    """Choose significant digits that tell the ends of estimate -+ 2 SE apart in every row."""
    if "SE" not in table:
        return 3
    name = table.columns[list(table.columns).index("SE") - 1]
    estimate, error = table[name].to_numpy(np.float64), table["SE"].to_numpy(np.float64)
    return max((_row_digits(e, s) for e, s in zip(estimate, error, strict=True)), default=3)


def _row_digits(estimate: float, error: float) -> int:
    ends = np.array([estimate - 2 * error, estimate + 2 * error])
    size = float(np.abs(ends).max())
    if not np.isfinite(size) or size == 0:
        return 3
    low, high = ends / size
    width = zapsmall([high - low, low, high], 8)[0]
    return max(3, round(1.51 - float(np.log10(width)))) if width > 0 else 3


def _cells(column: pd.Series[float], name: str, digits: int) -> list[str]:
    """Format one column, each cell to the same width."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        texts = [str(value) for value in column]
    elif name in _RATIOS:
        texts = [_fixed(value, 3) for value in column]
    elif name == "p.value":
        texts = [_fixed(value, 4) if not value < 5e-5 else "<.0001" for value in column]
    else:
        values = zapsmall(column.tolist())
        rounded = [round_digits(v, 2) for v in values] if name.startswith("df") else values
        missing = "nonEst" if _is_estimate(name) else "NA"
        shown = zip(format_numbers(rounded, digits), rounded, strict=True)
        texts = [missing if np.isnan(v) else text.strip() for text, v in shown]
    width = max(map(len, [name, *texts]))
    left = not pd.api.types.is_numeric_dtype(column.dtype)
    return [text.ljust(width) if left else text.rjust(width) for text in texts]


def _is_estimate(name: str) -> bool:
    return name in ("emmean", "estimate") or name.endswith(".trend")


def _fixed(value: float, decimals: int) -> str:
    return "NA" if np.isnan(value) else f"{round_digits(value, decimals) + 0.0:.{decimals}f}"


def _head(column: pd.Series[float], name: str, width: int) -> str:
    return name if pd.api.types.is_numeric_dtype(column.dtype) else name.ljust(width)


def rows_of_strata(table: pd.DataFrame, by: Sequence[str]) -> list[NDArray[np.intp]]:
    """Return the positions of the rows of each combination of `by`, in order of appearance."""
    if not by:
        return [np.arange(len(table))]
    number = table.groupby(list(by), sort=False, observed=True).ngroup().to_numpy()
    return [np.flatnonzero(number == g) for g in range(int(number.max()) + 1)]
