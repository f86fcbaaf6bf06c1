"""Labels: what a summary prints of arguments whose names the fit itself does not need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Labels:
    """Names of the arguments of a fit, as its summary prints them.

    Attributes
    ----------
    data, weights, offset : str or None
        Name of the data, and how weights and offset were given; None says nothing.
    """

    data: str | None = None
    weights: str | None = None
    offset: str | None = None


def name_of(data: Any) -> str | None:
    """Find the name a data frame was given: pandas keeps one in ``attrs``."""
    name = getattr(data, "attrs", {}).get("name")
    return name if isinstance(name, str) else None


def label_of(column: str | ArrayLike | None) -> str | None:
    """Say how weights or an offset were given."""
    if column is None or isinstance(column, str):
        return column
    name = getattr(column, "name", None)
    return name if isinstance(name, str) else "(array)"
