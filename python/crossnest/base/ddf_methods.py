"""The methods of degrees of freedom, by the names users write and headings print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from .arguments import choice

Ddf = Literal["satterthwaite", "kenward-roger", "residual", "normal", "none"]
Information = Literal["expected", "observed"]

#: How headings name the methods of the degrees of freedom; the first two are lmerTest's words.
METHODS: Mapping[Ddf, str] = {
    "satterthwaite": "Satterthwaite's method",
    "kenward-roger": "Kenward-Roger's method",
    "residual": "residual degrees of freedom",
    "normal": "the normal approximation",
}
#: The words of R and others for them.
DDF_ALIASES: Mapping[str, Ddf] = {
    "kr": "kenward-roger",
    "asymptotic": "normal",
    "z": "normal",
    "lme4": "none",
}
#: What the variance parameters' covariance matrix is the inverse of in Kenward and Roger's method.
INFORMATION: tuple[Information, ...] = ("expected", "observed")
#: The method that is none, for tables without tests.
NO_TEST: tuple[Ddf, ...] = ("none",)


def method_name(ddf: Ddf, information: Information = "expected") -> str:
    """Describe how the degrees of freedom are computed, as headings do.

    Raises
    ------
    ValueError
        If `ddf` is none of the methods, or it does not have this kind of information.
    """
    ddf = check_ddf(ddf)
    observed = check_information(information, ddf) == "observed"
    return METHODS[ddf] + (" (observed information)" if observed else "")


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
        why = "ddf='none' asks for no tests; for a test " if no_test else ""
        raise ValueError(f"{why}ddf must be one of {listed}, not {ddf!r}") from None


def check_information(information: Any, ddf: Ddf) -> Information:
    """Return the kind of information a text stands for; refuse one the method does not have."""
    found = choice(information, "information", INFORMATION)
    if found == "observed" and ddf != "kenward-roger":
        raise ValueError(f"information='observed' is for ddf='kenward-roger', not {ddf!r}")
    return found
