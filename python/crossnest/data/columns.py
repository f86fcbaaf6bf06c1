"""Data columns: whatever data frame the user gives, read one column at a time.

Only the columns a model uses are touched, and each is converted once: numbers to float64, all that
R would call a factor (strings, booleans, categoricals) to integer codes and levels.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import DesignError
from ..base.read_only import FrozenArrays, ReadOnly, hands_out_copies
from ..base.rows import MayLackRows
from ..base.values import (
    CodeArray,
    FloatArray,
    Mask,
    codes_and_levels,
    kind_of,
    numbers,
    plain,
    renumber,
)
from .frames import in_order_of, open_frame

__all__ = [
    "CodeArray",
    "Column",
    "Columns",
    "FactorColumn",
    "FloatArray",
    "Mask",
    "NumericColumn",
    "OtherColumn",
    "as_factor",
    "in_order_of",
]


@dataclass(frozen=True, eq=False, repr=False)
class NumericColumn(MayLackRows, FrozenArrays, per_row={"values": "the values of a variable"}):
    """A numeric column.

    Attributes
    ----------
    values
        (n,) contiguous float64, missing values NaN.
    integer
        Whether they were integers, which matters for the names of levels only.
    """

    values: FloatArray
    integer: bool = False

    def missing(self) -> Mask | None:
        """Return the mask of missing values, or None if there are none."""
        if np.isfinite(self.values).all():
            return None
        mask = np.isnan(self.values)
        return mask if mask.any() else None

    def take(self, kept: Mask) -> NumericColumn:
        """Return the rows of a mask."""
        return NumericColumn(self.values[kept], self.integer)


@hands_out_copies("levels")
@dataclass(frozen=True, eq=False, repr=False)
class FactorColumn(MayLackRows, FrozenArrays, per_row={"codes": "the observations' levels"}):
    """A categorical column.

    Attributes
    ----------
    codes
        (n,) positions in `levels`, -1 where missing.
    levels
        The labels: in the user's order for categoricals, sorted for everything else.
    ordered
        Whether the levels are ordered, which decides the default contrasts.
    categorical
        Whether the user declared the levels, as R's factors do and text does not.
    """

    codes: CodeArray
    levels: pd.Index
    ordered: bool = False
    categorical: bool = False

    def missing(self) -> Mask | None:
        """Return the mask of missing values, or None if there are none."""
        if not self.codes.size or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, kept: Mask) -> FactorColumn:
        """Return the rows of a mask."""
        return FactorColumn(self.codes[kept], self.levels, self.ordered, self.categorical)

    def without_unused(self) -> FactorColumn:
        """Drop the levels that no row has (there must be no missing value)."""
        present = np.zeros(len(self.levels), dtype=np.bool_)
        present[self.codes] = True
        if present.all():
            return self
        codes = renumber(present)[self.codes]
        return FactorColumn(codes, self.levels[present], self.ordered, self.categorical)


@dataclass(frozen=True, eq=False, repr=False)
class OtherColumn(MayLackRows, ReadOnly, per_row={"values": "the values of a variable"}):
    """A column that is neither, such as dates: usable in expressions and for grouping only.

    Attributes
    ----------
    values
        (n,) the values as pandas holds them.
    """

    values: Any

    def missing(self) -> Mask | None:
        """Return the mask of missing values, or None if there are none."""
        mask = np.asarray(pd.isna(self.values))
        return mask if mask.any() else None

    def take(self, kept: Mask) -> OtherColumn:
        """Return the rows of a mask."""
        return OtherColumn(self.values[kept])


Column = NumericColumn | FactorColumn | OtherColumn


def as_factor(values: Any, name: str) -> FactorColumn:
    """Return the codes and levels of a column as R's ``factor()`` does.

    Parameters
    ----------
    values
        (n,) any array-like.
    name
        The column's name, for messages.

    Raises
    ------
    DesignError
        If the values cannot be sorted, or two levels cannot be told apart.
    """
    what = f"column '{name}'"
    return FactorColumn(*codes_and_levels(plain(values, what), what))


def _read(values: Any, name: str) -> Column:
    """Convert the raw values of a column."""
    what = f"column '{name}'"
    values = plain(values, what)
    match kind_of(values):
        case "numbers":
            # A new array, so that a fitted model does not change when the user's data do.
            return NumericColumn(numbers(values, what), values.dtype.kind in "iu")
        case "labels":
            declared = isinstance(values, pd.Categorical)
            return FactorColumn(*codes_and_levels(values, what), categorical=declared)
        case _:
            return OtherColumn(values)


def _near(name: str, names: list[str]) -> str:
    """Suggest the names that are near one, or list them."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    near += [other for other in names if other.lower() == name.lower() and other not in near]
    if near:
        return "did you mean " + " or ".join(f"'{other}'" for other in near) + "?"
    if not names:
        return "there are no columns"
    return "the columns are " + ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


class Columns:
    """The columns of a data frame, each read when it is first asked for.

    Parameters
    ----------
    data
        A pandas data frame, a mapping of names to columns, or any frame narwhals reads.
    what
        What to call them in a message.

    Attributes
    ----------
    names
        The columns' names.
    n_rows
        Number of rows of the data.
    n_used
        Number of rows kept by `take`.
    index
        (n_rows,) the rows' labels.
    """

    def __init__(self, data: Any, what: str = "the data") -> None:
        frame = open_frame(data, what)
        self._what = what
        self._open = frame.raw
        self._numbered: dict[str, Any] | None = None
        self.names = frame.names
        self.n_rows = frame.n_rows
        self.index = frame.index
        self.n_used = self.n_rows
        self._columns: dict[str, Column] = {}
        self._groupings: dict[str, FactorColumn] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the data have a column of this name."""
        return self._label(name) is not None

    def _label(self, name: str) -> Any:
        """Return the data's own name of a column, which may be a number; None if there is none."""
        if name in self.names:
            return name
        if self._numbered is None:
            self._numbered = {str(n): n for n in self.names if not isinstance(n, str)}
        return self._numbered.get(name)

    def _raw(self, name: str) -> Any:
        return self._open(self._label(name))

    def require(self, name: str, role: str) -> None:
        """Raise a DesignError, saying where it may be, unless there is a column `name`."""
        if name in self:
            return
        if name in self.index.names:
            hint = f"it is the index: use {self._what.split()[-1]}.reset_index()"
        else:
            hint = _near(name, [str(column) for column in self.names])
        raise DesignError(f"there is no column '{name}' in {self._what} ({role}): {hint}")

    def column(self, name: str) -> Column:
        """Return a column as a variable of the model."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _read(self._raw(name), name)
        return column

    def peek(self, name: str) -> Column:
        """Return a column without making it one of the model's variables."""
        return self._columns.get(name) or _read(self._raw(name), name)

    def grouping(self, name: str) -> FactorColumn:
        """Return a column as a grouping factor, whatever its type."""
        column = self._columns.get(name)
        if isinstance(column, FactorColumn):
            return column
        if name not in self._groupings:
            self._groupings[name] = as_factor(self._raw(name), name)
        return self._groupings[name]

    def read(self) -> dict[str, list[Column]]:
        """Return what has been read so far, by name."""
        every: dict[str, list[Column]] = {name: [col] for name, col in self._columns.items()}
        for name, factor in self._groupings.items():
            every.setdefault(name, []).append(factor)
        return every

    def take(self, kept: Mask) -> None:
        """Keep the rows of a mask over those still used, in what has been read."""
        self.n_used = int(np.count_nonzero(kept))
        self._columns = {name: column.take(kept) for name, column in self._columns.items()}
        self._groupings = {name: column.take(kept) for name, column in self._groupings.items()}
