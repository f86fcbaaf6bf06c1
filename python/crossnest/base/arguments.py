"""Checks of the arguments that many functions take: counts, coverages, flags, names, options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import pandas as pd

__all__ = [
    "MOST_THREADS",
    "as_list",
    "as_names",
    "check_count",
    "check_flag",
    "check_level",
    "check_path",
    "check_share",
    "choice",
    "is_word",
]

Option = TypeVar("Option", bound=str)


def as_list(value: Any) -> list[Any]:
    """Return one thing (a text is one) or several as a list."""
    if isinstance(value, np.ndarray):
        value = value.tolist()  # of no dimension: one thing
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


#: Threads that can be asked for.
MOST_THREADS = 1024


def is_word(value: Any, words: Iterable[str]) -> bool:
    """Whether a value is one of some words: False too for what compares element by element."""
    return isinstance(value, str) and value in words


def as_names(value: Any, name: str) -> list[str]:
    """Return one name or several as a list of texts, each once.

    Raises
    ------
    TypeError
        If it is something else.
    """
    names = [] if isinstance(value, pd.DataFrame) else as_list(value)
    if isinstance(value, pd.DataFrame) or not all(isinstance(one, str) for one in names):
        raise TypeError(f"{name} must be given by name or as a sequence of names, not {value!r}")
    return list(dict.fromkeys(map(str, names)))


def check_count(value: Any, name: str, most: int | None = None) -> int:
    """Return a number of things, refusing what is not a whole number of at least 1.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is less than 1, or more than `most`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    if most is not None and int(value) > most:
        raise ValueError(f"{name} must be at most {most}, not {value}")
    return int(value)


def check_flag(value: Any, name: str, optional: bool = False) -> None:
    """Refuse what is neither True nor False: any text would count as True.

    Raises
    ------
    TypeError
        If it is something else; None counts if it is `optional`.
    """
    if isinstance(value, bool | np.bool_) or (optional and value is None):
        return
    meaning = " (True is REML, False is maximum likelihood)" if name == "reml" else ""
    raise TypeError(f"{name} must be True or False, not {value!r}{meaning}")


def check_share(value: Any, name: str) -> None:
    """Refuse what is not a number from 0 to 1, both included.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is below 0 or above 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number from 0 to 1, not {value!r}")
    if not 0 <= _as_float(value) <= 1:
        raise ValueError(f"{name} must be from 0 to 1, not {value!r}")


def check_path(value: Any, name: str = "path") -> None:
    """Refuse what is not the name of a file.

    Raises
    ------
    TypeError
        If it is neither text nor a path.
    ValueError
        If it has a null character in it.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be the name of a file, not {type(value).__name__}")
    if "\0" in os.fsdecode(value):
        raise ValueError(f"{name} contains a null character: {value!r}")


def check_level(value: Any, name: str = "level") -> float:
    """Return the coverage of an interval; refuse what is not a number between 0 and 1.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is not between 0 and 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number between 0 and 1, not {value!r}")
    level = _as_float(value)
    if not 0 < level < 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value!r}")
    return level


def _as_float(value: Real) -> float:
    """Return a number as floating point, infinite if it is too large for that."""
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def choice(
    value: Any,
    name: str,
    options: Sequence[Option],
    aliases: Mapping[str, str] | None = None,
) -> Option:
    """Return the option that a text names, written as in R or abbreviated.

    Case and punctuation do not matter, and the beginning of an option will do where no other begins
    so, or only longer forms of it: ``"Kenward-Roger"``, ``"kenward_roger"`` and ``"ken"`` are
    ``"kenward-roger"``, not ``"kenward-roger-observed"``.

    Parameters
    ----------
    value : str
        What the user gave.
    name : str
        The argument, for messages.
    options : sequence of str
        What it may be.
    aliases : mapping of str to str, optional
        Other words for the options, in small letters without punctuation; those of other options
        do not count.

    Raises
    ------
    ValueError
        If it is none of the options, or the beginning of several.
    """
    if is_word(value, options):
        return options[options.index(value)]
    words = {_letters(option): option for option in options}
    words |= {
        word: options[options.index(option)]
        for word, option in (aliases or {}).items()
        if option in options
    }
    word = _letters(value) if isinstance(value, str) else ""
    if word in words:
        return words[word]
    begun = {option for known, option in words.items() if word and known.startswith(word)}
    shortest = min(begun, key=len, default=None)
    if shortest is not None and all(option.startswith(shortest) for option in begun):
        return shortest
    raise ValueError(f"{name} must be one of {', '.join(options)}, not {value!r}")


def _letters(text: str) -> str:
    """Return the letters and digits of a text, in small letters."""
    return "".join(letter for letter in text.lower() if letter.isalnum())
