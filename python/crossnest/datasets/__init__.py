"""Data sets of the mixed-models literature, as data frames.

Every data set is a function (``sleepstudy()``) whose docstring describes the columns and cites the
source; ``load("sleepstudy")`` gives the same by name and ``names()`` lists them. Columns are named
as in R; factors are categoricals with R's order of levels, ordered where R has them so.
"""

from __future__ import annotations

import difflib

import pandas as pd

from crossnest.datasets import _storage
from crossnest.datasets.catalog import (
    alfalfa,
    arabidopsis,
    beets,
    bodyweight,
    cake,
    carrots,
    chem97,
    dyestuff,
    dyestuff2,
    egsingle,
    ergostool,
    exam,
    ham,
    hsb82,
    insteval,
    machines,
    oats,
    orthodont,
    oxboys,
    oxide,
    pastes,
    penicillin,
    pixel,
    rail,
    ratpupweight,
    scotssec,
    sleepstudy,
    tvbo,
)

__all__ = [
    "alfalfa",
    "arabidopsis",
    "beets",
    "bodyweight",
    "cake",
    "carrots",
    "chem97",
    "dyestuff",
    "dyestuff2",
    "egsingle",
    "ergostool",
    "exam",
    "ham",
    "hsb82",
    "insteval",
    "load",
    "machines",
    "names",
    "oats",
    "orthodont",
    "oxboys",
    "oxide",
    "pastes",
    "penicillin",
    "pixel",
    "rail",
    "ratpupweight",
    "scotssec",
    "sleepstudy",
    "tvbo",
]


def names() -> list[str]:
    """Names of the bundled data sets, sorted."""
    return sorted(_storage.manifest())


def load(name: str) -> pd.DataFrame:
    """Load a bundled data set by its name, in upper or lower case.

    Parameters
    ----------
    name
        One of `names()`, such as ``"sleepstudy"`` or ``"InstEval"``.

    Returns
    -------
    pandas.DataFrame
        A new data frame at each call.

    Raises
    ------
    ValueError
        If there is no such data set.
    """
    key = name.lower()
    if key not in _storage.manifest():
        close = difflib.get_close_matches(key, names(), n=1)
        hint = (
            f"did you mean {close[0]!r}?" if close else f"the data sets are: {', '.join(names())}"
        )
        raise ValueError(f"no bundled data set is called {name!r}; {hint}")
    return _storage.read(key)
