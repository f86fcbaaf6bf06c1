"""Data columns: whatever data frame the user gives, read one column at a time.

Only the columns a model uses are touched, and each is converted once: numbers to float64, all that
R would call a factor (strings, booleans, categoricals) to integer codes and levels.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import DesignError

__all__ = [
    "Columns",
    "FactorColumn",
    "NumericColumn",
    "OtherColumn",
    "Use",
    "as_factor",
    "in_order_of",
]

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

# A table over the range of integer labels is faster than hashing up to this many entries a row.
TABLE_ENTRIES_PER_ROW = 8
SMALL_TABLE = 4096

#: What formulaic does with a column: takes it as it is, computes with it, or codes its levels.
Use = Literal["column", "numbers", "levels"]


@dataclass(frozen=True, eq=False)
class NumericColumn:
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

    def to_pandas(self, use: Use) -> Any:
        """Return the values for formulaic; levels of integers are named as such."""
        if use == "levels" and self.integer and self.missing() is None:
            return self.values.astype(np.int64)
        return self.values


@dataclass(frozen=True, eq=False)
class FactorColumn:
    """A categorical column.

    Attributes
    ----------
    codes
        (n,) positions in `levels`, -1 where missing.
    levels
        The labels: in the user's order for categoricals, sorted for everything else.
    ordered
        Whether the levels are ordered, which decides the default contrasts.
    """

    codes: CodeArray
    levels: pd.Index
    ordered: bool = False

    def missing(self) -> Mask | None:
        """Return the mask of missing values, or None if there are none."""
        if not self.codes.size or self.codes.min() >= 0:
            return None
        return self.codes < 0

    def take(self, kept: Mask) -> FactorColumn:
        """Return the rows of a mask."""
        return FactorColumn(self.codes[kept], self.levels, self.ordered)

    def without_unused(self) -> FactorColumn:
        """Drop the levels that no row has (there must be no missing value)."""
        present = np.zeros(len(self.levels), dtype=np.bool_)
        present[self.codes] = True
        if present.all():
            return self
        return FactorColumn(_renumber(present)[self.codes], self.levels[present], self.ordered)

    def to_pandas(self, use: Use) -> Any:
        """Return a categorical for formulaic; booleans to be computed with stay booleans."""
        if use != "column" and self.levels.dtype == np.bool_:
            return np.asarray(self.levels)[self.codes]
        dtype = pd.CategoricalDtype(self.levels, self.ordered)
        return pd.Categorical.from_codes(self.codes, dtype=dtype)


@dataclass(frozen=True, eq=False)
class OtherColumn:
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

    def to_pandas(self, use: Use) -> Any:
        """Return the values for formulaic, the same whether they are computed with or not."""
        return self.values


Column = NumericColumn | FactorColumn | OtherColumn


def _renumber(present: Mask) -> CodeArray:
    """Return new codes of the present entries, in their order."""
    return (np.cumsum(present) - 1).astype(np.int32)


def _factor_of_integers(values: npt.NDArray[Any]) -> FactorColumn | None:
    """Code integers through a table over their range; None if the range is too wide."""
    if not values.size:
        return None
    low, high = int(values.min()), int(values.max())
    width = high - low + 1
    if width > TABLE_ENTRIES_PER_ROW * values.size + SMALL_TABLE:
        return None
    wide = values if values.dtype.itemsize == 8 else values.astype(np.int64)
    shifted = wide - wide.dtype.type(low)
    present = np.zeros(width, dtype=np.bool_)
    present[shifted] = True
    levels = np.flatnonzero(present).astype(wide.dtype) + wide.dtype.type(low)
    return FactorColumn(_renumber(present)[shifted], pd.Index(levels.astype(values.dtype)))


def as_factor(values: Any, name: str) -> FactorColumn:
    """Return the codes and levels of a column as R's ``factor()`` does.

    Parameters
    ----------
    values
        (n,) NumPy or pandas array.
    name
        The column's name, for messages.

    Raises
    ------
    DesignError
        If the values cannot be sorted.
    """
    if isinstance(values, pd.Categorical):
        return FactorColumn(values.codes.astype(np.int32), values.categories, bool(values.ordered))
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        table = _factor_of_integers(values)
        if table is not None:
            return table
    try:
        codes, levels = pd.factorize(values, sort=True, use_na_sentinel=True)
    except TypeError as error:
        raise DesignError(
            f"column '{name}' mixes values that cannot be sorted: make it strings or a categorical"
        ) from error
    return FactorColumn(codes.astype(np.int32), pd.Index(levels))


def _read(values: Any, name: str) -> Column:
    """Convert the raw values of a column."""
    dtype = values.dtype
    if isinstance(values, np.ndarray) and dtype.kind in "fiu":
        # A copy, so that a fitted model does not change when the user's data do.
        return NumericColumn(np.array(values, dtype=np.float64), dtype.kind in "iu")
    if isinstance(values, pd.Categorical) or pd.api.types.is_bool_dtype(dtype):
        return as_factor(values, name)
    if dtype.kind == "O" and isinstance(values, np.ndarray):
        kind = pd.api.types.infer_dtype(values, skipna=True)
        if kind in ("floating", "integer", "mixed-integer-float", "decimal"):
            numbers = pd.to_numeric(pd.Series(values)).to_numpy(np.float64)
            return NumericColumn(numbers, kind == "integer")
        return as_factor(values, name)
    if pd.api.types.is_complex_dtype(dtype):
        raise DesignError(f"column '{name}' is complex: use its real part or its modulus")
    if pd.api.types.is_numeric_dtype(dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return NumericColumn(numbers, pd.api.types.is_integer_dtype(dtype))
    if pd.api.types.is_string_dtype(dtype):
        return as_factor(values, name)
    return OtherColumn(values)


def in_order_of(values: Any, index: pd.Index, role: str) -> Any:
    """Put a Series or DataFrame in the order of the data's row labels; leave all else as it is.

    Raises
    ------
    DesignError
        If its labels are not those of the data.
    """
    if not isinstance(values, pd.Series | pd.DataFrame) or values.index.equals(index):
        return values
    same = len(values) == len(index) and values.index.is_unique and values.index.isin(index).all()
    if not (same and index.is_unique):
        raise DesignError(
            f"the {type(values).__name__} given as {role} has another index than the data: "
            "give it the data's index, or pass .to_numpy() to take it row by row"
        )
    return values.reindex(index)


def _from_pandas(data: pd.DataFrame) -> tuple[Callable[[str], Any], int, pd.Index]:
    def raw(name: str) -> Any:
        column = data[name]
        if column.ndim != 1:
            raise DesignError(f"the data have more than one column named '{name}': rename one")
        return column.values

    return raw, len(data), data.index


def _from_mapping(data: Mapping[str, Any]) -> tuple[Callable[[str], Any], int, pd.Index]:
    lengths = {name: len(values) for name, values in data.items() if np.ndim(values)}
    n_rows = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != n_rows:
            first = next(iter(lengths))
            raise DesignError(
                f"columns differ in length: '{first}' has {n_rows} values, '{name}' has {length}"
            )

    def raw(name: str) -> Any:
        values = data[name]
        if np.ndim(values) != 1:
            raise DesignError(f"column '{name}' must be one-dimensional, with {n_rows} values")
        return values if isinstance(values, np.ndarray) else pd.Series(values).values

    return raw, n_rows, pd.RangeIndex(n_rows)


def _narwhals_categorical(series: Any) -> pd.Categorical:
    """Return a categorical narwhals column with its categories in their order.

    It is never an ordered factor: polars marks every Enum as ordered, only to give it an order.
    """
    import narwhals.stable.v1 as nw

    if series.implementation is nw.Implementation.PYARROW:
        values = series.to_native().to_pandas()
        return pd.Categorical(values).as_unordered()
    levels = pd.Index(series.cat.get_categories().to_list())
    return pd.Categorical(series.to_list(), categories=levels)


def _from_narwhals(data: Any) -> tuple[Callable[[str], Any], int, pd.Index, Iterable[str]]:
    import narwhals.stable.v1 as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError as error:
        raise DesignError(
            f"the data must be a data frame (pandas, polars, pyarrow, ...) or a dict of columns, "
            f"not {type(data).__name__}; collect a lazy frame first"
        ) from error

    def raw(name: str) -> Any:
        series = frame[name]
        if series.dtype.is_numeric():
            return (series.cast(nw.Float64()) if series.is_null().any() else series).to_numpy()
        if isinstance(series.dtype, (nw.Categorical, nw.Enum)):
            return _narwhals_categorical(series)
        return pd.Series(series.to_list()).values

    return raw, len(frame), pd.RangeIndex(len(frame)), frame.columns


class Columns:
    """The columns of a data frame, each read when it is first asked for.

    Parameters
    ----------
    data
        A pandas data frame, a mapping of names to columns, or any frame narwhals reads.

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

    def __init__(self, data: Any) -> None:
        self.names: Any
        if isinstance(data, pd.DataFrame):
            self.names = data.columns
            self._raw, self.n_rows, self.index = _from_pandas(data)
        elif isinstance(data, Mapping):
            self.names = data
            self._raw, self.n_rows, self.index = _from_mapping(data)
        else:
            self._raw, self.n_rows, self.index, self.names = _from_narwhals(data)
        self.n_used = self.n_rows
        self._columns: dict[str, Column] = {}
        self._groupings: dict[str, FactorColumn] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the data have a column of this name."""
        return name in self.names

    def require(self, name: str, role: str) -> None:
        """Raise a DesignError, suggesting near names, unless there is a column `name`."""
        if name in self.names:
            return
        names = [str(column) for column in self.names]
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        near += [other for other in names if other.lower() == name.lower() and other not in near]
        if near:
            hint = "did you mean " + " or ".join(f"'{other}'" for other in near) + "?"
        else:
            hint = "the columns are " + ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DesignError(f"there is no column '{name}' in the data ({role}): {hint}")

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
