"""Data frames: whatever holds columns, as names, row labels and a way to each column's values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import DesignError
from ..base.values import with_missing

__all__ = ["Frame", "in_order_of", "open_frame"]


@dataclass(frozen=True, eq=False)
class Frame:
    """The columns of some data, none of them read.

    Attributes
    ----------
    names
        The columns' names; ``in`` says whether there is one.
    n_rows
        Number of rows.
    index
        (n_rows,) the rows' labels.
    raw
        Takes a name to the column's values, (n_rows,).
    """

    names: Collection[Any]
    n_rows: int
    index: pd.Index
    raw: Callable[[str], Any]


def open_frame(data: Any, what: str) -> Frame:
    """Open a data frame.

    Parameters
    ----------
    data
        A pandas data frame, a mapping of names to columns, or any frame narwhals reads (polars,
        pyarrow, ...).
    what
        What to call it in a message: ``"the data"``.

    Raises
    ------
    DesignError
        If it is something else, or its columns differ in length.
    """
    if isinstance(data, pd.DataFrame):
        return _from_pandas(data, what)
    if isinstance(data, Mapping):
        return _from_mapping(data, what)
    return _from_narwhals(data, what)


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
            f"the {type(values).__name__} given as {role} does not have the index of the data: "
            "give it that index, or pass .to_numpy() to match it row by row"
        )
    return values.reindex(index)


# ------------------------------------------------------------------------------------- pandas


def _from_pandas(data: pd.DataFrame, what: str) -> Frame:
    if data.columns.nlevels > 1:
        raise DesignError(
            f"the columns of {what} have names of {data.columns.nlevels} levels: join them into "
            "one, as in data.columns = ['_'.join(name) for name in data.columns]"
        )

    def raw(name: str) -> Any:
        column = data[name]
        if column.ndim != 1:
            raise DesignError(f"{what} have more than one column named '{name}': rename one")
        return column

    return Frame(data.columns, len(data), data.index, raw)


# ------------------------------------------------------------------------------------ mappings


def _from_mapping(data: Mapping[str, Any], what: str) -> Frame:
    lengths = {name: len(values) for name, values in data.items() if _is_sequence(values)}
    n_rows = next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != n_rows:
            first = next(iter(lengths))
            raise DesignError(
                f"columns differ in length: '{first}' has {n_rows} values, '{name}' has {length}"
            )

    labels = next((values.index for values in data.values() if isinstance(values, pd.Series)), None)

    def raw(name: str) -> Any:
        values = data[name]
        if not _is_sequence(values):
            raise DesignError(
                f"column '{name}' of {what} is a single value ({values!r:.40}): give a list with "
                "one value for each row"
            )
        if getattr(values, "ndim", 1) != 1:
            raise DesignError(f"column '{name}' must be one-dimensional, with {n_rows} values")
        return values if labels is None else in_order_of(values, labels, f"column '{name}'")

    return Frame(data, n_rows, pd.RangeIndex(n_rows), raw)


def _is_sequence(values: Any) -> bool:
    """Say whether there is a value for each row."""
    if isinstance(values, str | bytes | Mapping) or getattr(values, "ndim", 1) == 0:
        return False
    return hasattr(values, "__len__")


# ------------------------------------------------------------------------------ other packages


def _from_narwhals(data: Any, what: str) -> Frame:
    import narwhals.stable.v1 as nw

    try:
        frame = nw.from_native(data, eager_only=True)
    except TypeError:
        raise DesignError(_no_frame(data, what)) from None

    def raw(name: str) -> Any:
        return _native_values(frame[name])

    return Frame(frame.columns, len(frame), pd.RangeIndex(len(frame)), raw)


_INTEGERS = frozenset(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))


def _native_values(series: Any) -> Any:
    """Return the values of a narwhals column as NumPy's or pandas', missing values marked."""
    import narwhals.stable.v1 as nw

    kind = type(series.dtype).__name__
    if kind in ("Categorical", "Enum"):
        return _categorical(series)
    if kind == "Decimal":
        return series.cast(nw.Float64()).to_numpy()
    if kind in _INTEGERS or kind == "Boolean":
        return _with_nulls(series, False if kind == "Boolean" else 0)
    if kind in ("Float32", "Float64", "Date", "Duration"):
        return series.to_numpy()
    return pd.Series(series.to_list(), dtype=object)  # text, and what NumPy lacks


def _with_nulls(series: Any, fill: Any) -> Any:
    """Return integers or truth values, which stay what they are next to missing ones."""
    missing = series.is_null().to_numpy().astype(np.bool_)
    if not missing.any():
        return series.to_numpy()
    return with_missing(series.fill_null(fill).to_numpy(), missing)


def _categorical(series: Any) -> pd.Categorical:
    """Return a categorical narwhals column with its categories in their order.

    It is never an ordered factor: polars marks every Enum as ordered, only to give it an order.
    """
    import narwhals.stable.v1 as nw

    if series.implementation is nw.Implementation.PYARROW:
        column = series.to_native().unify_dictionaries().combine_chunks()
        # Older pyarrow does not turn unsigned indices, which are polars', into pandas'.
        codes = column.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=column.dictionary.to_pandas())
    levels = pd.Index(series.cat.get_categories().to_list())
    return pd.Categorical(series.to_list(), categories=levels)


def _no_frame(data: Any, what: str) -> str:
    """Say what to do with something that is not a data frame."""
    kind = type(data).__name__
    text = f"{what} must be a data frame (pandas, polars, pyarrow, ...) or a dict of columns, not "
    if isinstance(data, str | PathLike):
        return text + f"{_path_or_name(data)}"
    if isinstance(data, pd.Series):
        return text + "a Series: use .to_frame(), or give the columns as a dict"
    if isinstance(data, np.ndarray):
        names = "" if data.dtype.names else ", columns=[...]"
        return text + f"an array: name its columns by pandas.DataFrame(array{names})"
    if isinstance(data, list | tuple):
        return text + f"a {kind}: make one by pandas.DataFrame(...)"
    if data is None:
        return text + "None"
    hint = "; collect a lazy frame first" if hasattr(data, "collect") else ""
    return text + kind + hint


def _path_or_name(source: Any) -> str:
    """Say how to read a file, or load a bundled data set."""
    from .. import datasets  # seldom needed

    if "~" in str(source):
        return "a formula: give the formula first, then the data"
    if source in datasets.names():
        return f"the name of a data set: use crossnest.datasets.{source}()"
    return f"a path or text ({str(source)!r}): read the file first, as in pandas.read_csv(...)"
