"""The methods of degrees of freedom, by the names users write and headings print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .arguments import choice

Ddf = Literal[
    "satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal", "none"
]

#: How headings name the methods of the degrees of freedom; the first two are lmerTest's words.
METHODS: Mapping[Ddf, str] = {
    "satterthwaite": "Satterthwaite's method",
    "kenward-roger": "Kenward-Roger's method",
    "kenward-roger-observed": "Kenward-Roger's method (observed information)",
    "residual": "residual degrees of freedom",
    "normal": "the normal approximation",
}
#: The words of R and others for them.
DDF_ALIASES: Mapping[str, Ddf] = {
    "kr": "kenward-roger",
    "krobserved": "kenward-roger-observed",
    "asymptotic": "normal",
    "z": "normal",
    "lme4": "none",
}
#: Kenward and Roger's, with W the inverse of the expected (pbkrtest) or the observed information.
KENWARD_ROGER: tuple[Ddf, ...] = ("kenward-roger", "kenward-roger-observed")
#: The method that is none, for tables without tests.
NO_TEST: tuple[Ddf, ...] = ("none",)


def method_name(ddf: Ddf) -> str:
    """Return the name of a method as headings print it.

    Raises
    ------
    ValueError
        If `ddf` is none of the methods.
    """
    return METHODS[check_ddf(ddf)]


def check_ddf(ddf: Any, none: bool = False) -> Ddf:
    """Return the method of degrees of freedom a text stands for; "none" only where it may be.

    Raises
    ------
    ValueError
        If it is none of the methods.
    """
    options = (*METHODS, *NO_TEST) if none else tuple(METHODS)
    try:
        return choice(ddf, "ddf", options, DDF_ALIASES)
    except ValueError:
        listed = ", ".join(map(repr, options))
        no_test = not none and isinstance(ddf, str) and ddf in NO_TEST
        why = "ddf='none' means no tests; for a test " if no_test else ""
        raise ValueError(f"{why}ddf must be one of {listed}, not {ddf!r}") from None
