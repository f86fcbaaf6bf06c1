"""Values: the one door through which arrays enter, whatever holds them.

Columns, weights, offsets, responses: each is first brought to one of a few plain kinds of array, in
which a value that is missing in any way (masked, None, NaN, NaT, pandas' NA, null) is missing in
one, and then read as float64 numbers or as integer codes and levels. What can be read as neither is
refused by name. Plain numbers pass in one copy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from numbers import Complex, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import DesignError

__all__ = ["codes_and_levels", "inexact", "kind_of", "numbers", "plain", "renumber"]

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

# A table over the range of integer labels is faster than hashing up to this many entries a row.
TABLE_ENTRIES_PER_ROW = 8
SMALL_TABLE = 4096

#: From here on neighbouring whole numbers are one in float64.
INEXACT = 2.0**53

#: How pandas holds text unless told otherwise: as objects before its version 3.
_TEXT = pd.Index(["a"]).dtype


# ------------------------------------------------------------------------------ plain arrays


def plain(values: Any, what: str) -> Any:
    """Return values as one of a few kinds of array, missing values marked in one way.

    Parameters
    ----------
    values
        (n,) any array, Series, list or the like.
    what
        What to call them in a message: ``"column 'x'"``, ``"the weights"``.

    Returns
    -------
    ndarray or ExtensionArray
        NumPy's integers, float32, float64, booleans, text or objects, in the machine's byte order;
        pandas' nullable integers and booleans, only where values are missing; its categoricals,
        text, dates, times, periods and intervals.

    Raises
    ------
    DesignError
        If they are complex, or no single values.
    """
    if isinstance(values, pd.MultiIndex):
        values = values.to_numpy()
    elif isinstance(values, pd.Series | pd.Index):
        values = values.array
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values, what)
    if isinstance(values, pd.arrays.NumpyExtensionArray):
        values = np.asarray(values)
    if isinstance(values, np.ndarray):
        return _plain_numpy(values, what)
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return _plain_pandas(values, what)
    if hasattr(values, "__array__"):
        return plain(np.asarray(values), what)
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise DesignError(f"{what} must be a sequence of values, not {type(values).__name__}")
    items = [None if item is np.ma.masked else item for item in values]
    try:
        series = pd.Series(items, dtype=None if items else np.float64)
    except OverflowError:  # older pandas, for whole numbers beyond floating point
        series = pd.Series(items, dtype=object)
    return plain(series, what)


def _unmasked(values: Any, what: str) -> Any:
    """Return a masked array as one in which what is masked is missing."""
    data = _plain_numpy(np.ma.getdata(values), what)
    mask = np.ma.getmaskarray(values)
    return with_missing(data, mask) if mask.any() else data


def with_missing(values: Any, mask: Mask) -> Any:
    """Return a copy of a plain array in which the values of a mask are missing."""
    if isinstance(values, np.ndarray):
        match values.dtype.kind:
            case "i" | "u":
                return pd.arrays.IntegerArray(values.copy(), mask.copy())
            case "b":
                return pd.arrays.BooleanArray(values.copy(), mask.copy())
            case "f":
                return np.where(mask, np.nan, values)
            case _:
                return _with_none(values, mask)
    values = values.copy()
    values[mask] = None
    return values


def _with_none(values: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """Return values as objects, None where they are missing."""
    out = values.astype(object)
    out[mask] = None
    return out


def _plain_numpy(values: npt.NDArray[Any], what: str) -> Any:
    """Return a NumPy array in the machine's byte order and a type pandas knows."""
    dtype = values.dtype
    match dtype.kind:
        case "c":
            raise _complex(what)
        case "V":
            raise DesignError(
                f"cells in {what} have several fields: make each field a column of its own"
            )
        case "S":
            return _decoded(values, what)
        case "T":  # NumPy's text of variable length
            return np.asarray(values, dtype=object)
        case "M" | "m":
            return _times(values, what)
        case "O":
            return _plain_objects(values, what)
        case "f" if dtype.itemsize not in (4, 8) or not dtype.isnative:
            with np.errstate(over="ignore"):
                return values.astype(np.float64)
        case _:
            return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def _complex(what: str) -> DesignError:
    return DesignError(
        f"complex numbers in {what} are not supported: use their real part or modulus"
    )


def _decoded(values: Any, what: str) -> npt.NDArray[Any]:
    """Return bytes as text, None where they are missing."""
    missing = pd.isna(values)
    try:
        text = [
            None if absent else bytes(value).decode()
            for value, absent in zip(values, missing, strict=True)
        ]
    except UnicodeDecodeError:
        raise DesignError(f"bytes in {what} are not UTF-8 text: decode them") from None
    return np.array(text, dtype=object)


def _times(values: Any, what: str) -> Any:
    """Return NumPy's or Python's dates and times as pandas' own."""
    try:
        return pd.array(values)
    except (ValueError, TypeError, OverflowError) as error:  # a unit or a year pandas lacks
        raise DesignError(f"dates in {what} cannot be read by pandas: {error}") from None


def _plain_objects(values: npt.NDArray[Any], what: str) -> Any:
    """Return Python objects as the kind of array they belong in; mixed ones as they are."""
    if values.ndim != 1 or pd.api.types.infer_dtype(values, skipna=True) == "string":
        return values
    missing = np.asarray(pd.isna(values))
    present = values[~missing]
    match pd.api.types.infer_dtype(present, skipna=False):
        case "empty":
            return np.full(len(values), np.nan)
        case "boolean":
            return _spread(present.astype(np.bool_), missing)
        case "integer":
            return _spread(_integers(present, what), missing)
        case "floating" | "mixed-integer-float" | "decimal":
            return _spread(_floats(present, what), missing)
        case "complex":
            raise _complex(what)
        case "bytes":
            return _decoded(values, what)
        case "datetime" | "datetime64" | "date":
            return _as_dates(_with_none(values, missing))
        case "timedelta" | "timedelta64" | "period" | "interval":
            return pd.array(_with_none(values, missing).tolist())
    return _mixed(present, missing, what)


def _spread(present: npt.NDArray[Any], missing: Mask) -> Any:
    """Put values in the places that are not missing."""
    if not missing.any():
        return present
    out = np.zeros(len(missing), dtype=present.dtype)
    out[~missing] = present
    return with_missing(out, missing)


def _integers(values: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Return Python's integers as NumPy's if they fit, else as float64."""
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(values.tolist(), dtype=dtype)
        except OverflowError:
            continue
    return _floats(values, what)


def _floats(values: npt.NDArray[Any], what: str) -> FloatArray:
    """Return Python's numbers, decimals among them, as float64."""
    try:
        return np.array([float(value) for value in values], dtype=np.float64)
    except (OverflowError, ValueError):
        raise DesignError(f"a number in {what} is too large for floating point") from None


def _as_dates(values: npt.NDArray[Any]) -> Any:
    """Return dates as pandas'; as they are where it has no type for all of them."""
    try:
        return pd.to_datetime(pd.Series(values, dtype=object)).array
    except (ValueError, TypeError, OverflowError):
        return values


def _mixed(present: npt.NDArray[Any], missing: Mask, what: str) -> Any:
    """Return a mixture of objects: numbers if all are, else labels; refuse what is no value."""
    if all(isinstance(value, Real | Decimal | np.bool_) for value in present):
        return _spread(_floats(present, what), missing)
    for value in present:
        if isinstance(value, Complex) and not isinstance(value, Real):
            raise _complex(what)
        if isinstance(value, Iterable) and not isinstance(value, str | bytes):
            kind = type(value).__name__
            raise DesignError(
                f"a cell in {what} holds a {kind} ({_short(value)}): each must hold one number or "
                "one label"
            )
    out = np.full(len(missing), None, dtype=object)
    out[~missing] = present
    return out


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else text[:37] + "..."


def _plain_pandas(values: Any, what: str) -> Any:
    """Return pandas' arrays: those of NumPy's types without missing values as NumPy's."""
    dtype = values.dtype
    if isinstance(values, pd.Categorical):
        return values
    if isinstance(dtype, pd.SparseDtype):
        return _plain_numpy(np.asarray(values), what)
    if isinstance(dtype, pd.ArrowDtype):
        return _plain_arrow(values, what)
    if isinstance(values, pd.arrays.FloatingArray):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if isinstance(values, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        return values if values.isna().any() else values.to_numpy(dtype=dtype.numpy_dtype)
    if isinstance(dtype, pd.StringDtype | pd.DatetimeTZDtype | pd.PeriodDtype | pd.IntervalDtype):
        return values
    if dtype.kind in "Mm" and isinstance(dtype, np.dtype):
        return values
    return _plain_numpy(np.asarray(values), what)  # another package's


def _plain_arrow(values: Any, what: str) -> Any:
    """Return the arrays of pandas that Arrow backs."""
    import pyarrow as pa

    kind = values.dtype.pyarrow_dtype
    missing = np.asarray(values.isna())
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        fill = False if pa.types.is_boolean(kind) else 0
        filled = values.to_numpy(dtype=kind.to_pandas_dtype(), na_value=fill)
        return with_missing(filled, missing) if missing.any() else filled
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if pa.types.is_dictionary(kind):
        return pd.Categorical(values.to_numpy(dtype=object, na_value=None))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_duration(kind):
        dates = values.to_numpy(dtype=object, na_value=None)
        return plain(pd.Series(dates, dtype=object), what)
    return _plain_objects(values.to_numpy(dtype=object, na_value=None), what)


# ------------------------------------------------------------------------------------ numbers


def kind_of(values: Any) -> str:
    """Say whether a plain array holds ``"numbers"``, ``"labels"`` or ``"times"``."""
    if isinstance(values, pd.arrays.IntegerArray):
        return "numbers"
    kind = values.dtype.kind
    if isinstance(values, np.ndarray) and kind in "fiu":
        return "numbers"
    if kind in "Mm" or isinstance(values.dtype, pd.PeriodDtype):
        return "times"
    if isinstance(values, np.ndarray) and kind == "O" and values.ndim == 1:
        first = next((value for value in values if not _is_missing(value)), None)
        return "times" if isinstance(first, dt.date | dt.time | dt.timedelta) else "labels"
    return "labels"


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or bool(value != value)


def numbers(values: Any, what: str) -> FloatArray:
    """Return an array of one or two dimensions as float64, missing values NaN: a new array.

    Parameters
    ----------
    values
        Any array-like, or a data frame.
    what
        What to call them in a message: ``"the weights"``.

    Raises
    ------
    DesignError
        If they are not numbers.
    """
    if isinstance(values, pd.DataFrame):
        columns = [numbers(values.iloc[:, j], what) for j in range(values.shape[1])]
        return np.column_stack(columns) if columns else np.zeros(values.shape)
    if getattr(values, "ndim", 1) == 1 and not _is_nested(values):
        return _numbers(plain(values, what), what)
    if isinstance(values, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(values), np.nan, numbers(np.ma.getdata(values), what))
    array = _rectangle(values, what)
    flat = _numbers(plain(array.ravel(order="F"), what), what)
    return flat.reshape(array.shape, order="F")


def _is_nested(values: Any) -> bool:
    """Say whether a sequence holds sequences, as the rows of a matrix."""
    return isinstance(values, list | tuple) and any(
        isinstance(item, list | tuple | np.ndarray | pd.Series) and item is not np.ma.masked
        for item in values
    )


def _rectangle(values: Any, what: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise DesignError(f"{what} must be numbers, in rows of the same length") from None


def _numbers(values: Any, what: str) -> FloatArray:
    """Return a plain array of numbers or truth values as a new one of float64."""
    if isinstance(values, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        nullable: FloatArray = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return nullable
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return np.array(values, dtype=np.float64)
    held = {"labels": "text or labels", "times": "dates or times"}[kind_of(values)]
    raise DesignError(f"{what} must be numbers, not {held}")


# ----------------------------------------------------------------------------- codes and levels


def codes_and_levels(values: Any, what: str) -> tuple[CodeArray, pd.Index, bool]:
    """Return the codes (-1 where missing) and levels of a plain array, and if these are ordered.

    Levels are those of a categorical, or the sorted distinct values. The ordered intervals that
    pandas' ``cut`` and ``qcut`` make are a factor without order, as R's ``cut`` gives it.

    Raises
    ------
    DesignError
        If the values cannot be sorted, if two levels are spelled alike, or if they are whole
        numbers that float64 does not tell apart.
    """
    ordered = False
    if isinstance(values, pd.Categorical):
        codes, levels = values.codes, values.categories
        ordered = bool(values.ordered) and not isinstance(levels, pd.IntervalIndex)
    else:
        codes, levels = _coded(values, what)
    levels = _plain_levels(levels)
    _check_levels(levels, what)
    return codes.astype(np.int32), levels, ordered


def renumber(present: Mask) -> CodeArray:
    """Return the position of each level among those that are present."""
    return (np.cumsum(present) - 1).astype(np.int32)


def _coded(values: Any, what: str) -> tuple[npt.NDArray[Any], pd.Index]:
    """Return codes and sorted levels."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        table = _coded_by_table(values)
        if table is not None:
            return table
    try:
        codes, levels = pd.factorize(values, sort=True, use_na_sentinel=True)
    except TypeError as error:
        raise DesignError(
            f"{what} mixes values that cannot be sorted: make it text or a categorical"
        ) from error
    return codes, pd.Index(levels)


def _coded_by_table(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], pd.Index] | None:
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
    return renumber(present)[shifted], pd.Index(levels.astype(values.dtype))


def _plain_levels(levels: pd.Index) -> pd.Index:
    """Return levels in NumPy's types, or as pandas' own text, whatever the column was held in."""
    dtype: Any = levels.dtype
    held: Any = levels
    if isinstance(dtype, pd.StringDtype) and dtype != _TEXT:
        held = levels.to_numpy(dtype=object).tolist()
    elif isinstance(dtype, pd.CategoricalDtype | pd.SparseDtype | pd.ArrowDtype):
        held = plain(levels, "the levels")
    elif not isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        held = levels.to_numpy()
    elif isinstance(dtype, np.dtype) and dtype.kind == "f":
        held = levels.to_numpy(dtype=np.float64)
    index: pd.Index = levels if held is levels else pd.Index(held)
    return index


def inexact(values: FloatArray) -> Mask:
    """Say which numbers may stand for several whole ones."""
    return np.isfinite(values) & (np.abs(values) >= INEXACT)


def _check_levels(levels: pd.Index, what: str) -> None:
    """Refuse levels that cannot be told apart, in print or in float64."""
    if levels.dtype.kind == "f" and inexact(levels.to_numpy()).any():
        largest = f"{levels[inexact(levels.to_numpy())].max():.17g}"
        raise DesignError(
            f"the labels of {what} are floating-point numbers beyond 2^53 (as {largest}), where "
            "different whole numbers become equal: read them as text or as integers (pandas' "
            "'Int64' keeps them exact next to missing values)"
        )
    if levels.dtype != object or pd.api.types.infer_dtype(levels, skipna=False) == "string":
        return
    seen: dict[str, Any] = {}
    for level in levels:
        other = seen.setdefault(str(level), level)
        if other is not level:
            kinds = " and ".join(sorted({type(other).__name__, type(level).__name__}))
            raise DesignError(
                f"{what} has the label {level} in two types ({kinds}), which would be two "
                "levels that look the same: convert them to one type, such as text by .astype(str)"
            )
