"""Results as polars data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import pandas as pd

if TYPE_CHECKING:
    import polars as pl

__all__ = ["to_polars"]


@overload
def to_polars(result: pd.Series[Any] | pd.DataFrame) -> pl.DataFrame: ...


@overload
def to_polars(result: Mapping[str, pd.DataFrame]) -> dict[str, pl.DataFrame]: ...


def to_polars(
    result: pd.Series[Any] | pd.DataFrame | Mapping[str, pd.DataFrame],
) -> pl.DataFrame | dict[str, pl.DataFrame]:
    """Return a result as a polars data frame.

    Parameters
    ----------
    result : Series, DataFrame or mapping of DataFrame
        Whatever a method of a model returns: ``model.predict(...)``, ``model.tidy()``,
        ``model.fixef``, ``model.ranef()``, ...

    Returns
    -------
    polars.DataFrame or dict of polars.DataFrame
        Labels of rows, unless they are the rows' numbers, are the first column, by their name or
        ``index``. A Series without a name is the column ``value``. Factors with text labels are
        Enums with their levels in order. NaN is null.

    Raises
    ------
    TypeError
        If it is none of these, or has a column that polars cannot hold.
    ImportError
        If polars is not installed; the message says how to install it.
    """
    if isinstance(result, Mapping):
        return {name: to_polars(frame) for name, frame in result.items()}
    pl = _polars()
    frame = _as_frame(result)
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        frame = frame.reset_index()
    levels = {
        name: list(column.cat.categories)
        for name, column in frame.items()
        if isinstance(column.dtype, pd.CategoricalDtype)
    }
    plain = frame.astype({name: frame[name].cat.categories.dtype for name in levels})
    texts = {name: labels for name, labels in levels.items() if _are_text(labels)}
    try:
        table = pl.from_pandas(plain.rename(columns=str))
    except (TypeError, ValueError, NotImplementedError, pl.exceptions.PolarsError) as error:
        raise TypeError(f"result has a column that polars cannot hold: {error}") from error
    return table.cast({str(name): pl.Enum(labels) for name, labels in texts.items()})


def _as_frame(result: Any) -> pd.DataFrame:
    """Return a Series as a column, and a data frame as it is."""
    if isinstance(result, pd.Series):
        return result.to_frame("value" if result.name is None else result.name)
    if isinstance(result, pd.DataFrame):
        return result
    kind = type(result).__name__
    raise TypeError(f"result must be a Series, a DataFrame or a dict of these, not {kind}")


def _are_text(labels: list[Any]) -> bool:
    return all(isinstance(label, str) for label in labels)


def _polars() -> Any:
    """Import polars, and pyarrow, which it reads pandas' text with."""
    try:
        import polars
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "this needs polars and pyarrow, which are not installed: "
            "pip install 'crossnest[polars]'"
        ) from error
    return polars
