"""What plain values must be: small checks put together to the description of a whole tree.

A check takes a value and where it is, as ``"fit.theta"``, and raises a `Mismatch` that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

__all__ = [
    "Check",
    "Mismatch",
    "array",
    "between",
    "each",
    "finite",
    "flag",
    "has_names",
    "integers",
    "labels",
    "listed",
    "named",
    "number",
    "one_of",
    "optional",
    "record",
    "text",
    "whole",
]

Check: TypeAlias = Callable[[Any, str], None]
_Kind: TypeAlias = type[tuple[Any, ...]] | type[list[Any]]


#: Whole numbers up to here are exact as floating-point numbers.
_EXACT = 2**53


class Mismatch(ValueError):
    """A value is not what it must be."""

    def __init__(self, where: str, expected: str, value: Any) -> None:
        if isinstance(value, np.ndarray):
            found = f"a {value.shape} array of {value.dtype}"
        else:
            found = repr(value) if len(repr(value)) < 40 else f"a {type(value).__name__}"
        super().__init__(f"{where} must be {expected}, not {found}")


def text(value: Any, where: str) -> None:
    """Require text."""
    if type(value) is not str:
        raise Mismatch(where, "text", value)


def flag(value: Any, where: str) -> None:
    """Require True or False."""
    if type(value) is not bool:
        raise Mismatch(where, "true or false", value)


def number(value: Any, where: str) -> None:
    """Require a number; it need not be finite."""
    if type(value) is not float and not (type(value) is int and abs(value) <= _EXACT):
        raise Mismatch(where, "a number", value)


def between(low: float, high: float) -> Check:
    """Require a number between two bounds, both included."""

    def check(value: Any, where: str) -> None:
        number(value, where)
        if not low <= value <= high:
            raise Mismatch(where, f"a number from {low:g} to {high:g}", value)

    return check


def whole(low: int = 0, high: int = _EXACT) -> Check:
    """Require a whole number between two bounds, both included."""

    def check(value: Any, where: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise Mismatch(where, f"a whole number from {low} to {high}", value)

    return check


def one_of(*known: str) -> Check:
    """Require one of some texts."""

    def check(value: Any, where: str) -> None:
        if type(value) is not str or value not in known:
            raise Mismatch(where, f"one of {', '.join(map(repr, known))}", value)

    return check


def optional(check: Check) -> Check:
    """Allow None too."""

    def check_unless_none(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return check_unless_none


def array(*shape: int, kind: str = "f") -> Check:
    """Require an array of a shape, of floating-point numbers or of another kind."""

    def check(value: Any, where: str) -> None:
        if (
            not isinstance(value, np.ndarray)
            or value.dtype.kind != kind
            or (kind == "f" and value.dtype != np.float64)
            or value.shape != shape
        ):
            what = "integers" if kind == "i" else "numbers"
            raise Mismatch(where, f"a {shape} array of {what}", value)

    return check


def finite(*shape: int) -> Check:
    """Require an array of floating-point numbers, none of them infinite or missing."""
    is_array = array(*shape)

    def check(value: Any, where: str) -> None:
        is_array(value, where)
        if not np.isfinite(value).all():
            raise Mismatch(where, f"a {shape} array of finite numbers", value)

    return check


def integers(*shape: int, low: int, high: int) -> Check:
    """Require an array of whole numbers between two bounds, both included."""
    is_array = array(*shape, kind="i")

    def check(value: Any, where: str) -> None:
        is_array(value, where)
        if value.size and not (low <= value.min() and value.max() <= high):
            raise Mismatch(where, f"an array of integers from {low} to {high}", value)

    return check


def labels(value: Any, where: str) -> None:
    """Require labels, no two the same."""
    if not isinstance(value, pd.Index) or isinstance(value, pd.MultiIndex) or not value.is_unique:
        raise Mismatch(where, "labels that differ", value)


def each(check: Check, count: int | None = None, kind: _Kind = tuple) -> Check:
    """Require a tuple, or a list, whose items all pass a check."""

    def check_each(value: Any, where: str) -> None:
        if value.__class__ is not kind or count not in (None, len(value)):
            many = "" if count is None else f" of {count}"
            raise Mismatch(where, f"a {kind.__name__}{many}", value)
        for i, item in enumerate(value):
            check(item, f"{where}[{i}]")

    return check_each


def listed(checks: Sequence[Check], kind: _Kind = tuple) -> Check:
    """Require a tuple, or a list, whose items pass one check each."""

    def check_listed(value: Any, where: str) -> None:
        if value.__class__ is not kind or len(value) != len(checks):
            raise Mismatch(where, f"a {kind.__name__} of {len(checks)}", value)
        for i, check in enumerate(checks):
            check(value[i], f"{where}[{i}]")

    return check_listed


def named(check: Check) -> Check:
    """Require a mapping from text to values that all pass a check."""

    def check_named(value: Any, where: str) -> None:
        if type(value) is not dict:
            raise Mismatch(where, "a mapping", value)
        for name, item in value.items():
            if type(name) not in (str, int):
                raise Mismatch(f"a name in {where}", "text", name)
            check(item, f"{where}[{name!r}]")

    return check_named


def record(**fields: Check) -> Check:
    """Require a mapping with some names and no others, the values passing one check each."""

    def check_record(value: Any, where: str) -> None:
        has_names(fields, value, where)
        for name, check in fields.items():
            check(value[name], f"{where}.{name}")

    return check_record


def has_names(names: Mapping[str, Any] | Sequence[str], value: Any, where: str) -> None:
    """Require a mapping with some names and no others."""
    if type(value) is not dict or value.keys() != set(names):
        raise Mismatch(where, f"a mapping of {', '.join(names)}", value)
