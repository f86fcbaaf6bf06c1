"""What a statistic of a fitted model returns: numbers with names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..fit.var_corr import unique_names

__all__ = ["Statistic", "in_order", "named"]

Statistic = Callable[[Any], Any]  # of a fitted model


def named(value: Any) -> dict[str, float]:
    """Name the numbers of a statistic: a number, mapping, Series or array.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    try:
        if isinstance(value, pd.Series | Mapping):
            names = unique_names([str(name) for name, _ in value.items()])
            return dict(zip(names, (float(number) for _, number in value.items()), strict=True))
        if value is None or isinstance(value, str):
            raise TypeError(repr(value))
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "statistic must give a number, or a mapping, Series or array of numbers, not "
            f"{type(value).__name__}: {error}"
        ) from error
    if array.ndim == 0:
        return {"statistic": float(array)}
    return {f"statistic_{j}": float(number) for j, number in enumerate(array.ravel())}


def in_order(values: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """Return the numbers of a refit in the order of those of the fit.

    Raises
    ------
    ValueError
        If they are not the same ones.
    """
    if len(values) != len(names):
        raise ValueError(
            f"statistic gave {len(names)} numbers for the fit but {len(values)} for a refit: it "
            "must give the same ones for every model"
        )
    new = [name for name in values if name not in names]
    if new:
        raise ValueError(
            f"statistic gave {new[0]!r} for a refit but not for the fit: it must give the same "
            "numbers for every model"
        )
    return [values[name] for name in names]
