"""Covariance structures of the random effects, as the engine's registry has them.

The engine owns the structures: their names, the words that stand for them in formulas, what their
parameters are, and the matrices these give. Here it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from .._core import CovarianceStructure, covariance_structures
from ..base.errors import FormulaError

__all__ = [
    "UNSTRUCTURED",
    "WORDS",
    "Component",
    "components",
    "independent",
    "is_restricted",
    "named",
    "structure_named",
    "structure_of",
    "word_of",
    "written",
]


class _Entry(NamedTuple):
    """A structure in the registry: see `crossnest::StructureName`."""

    name: str
    word: str
    homogeneous: bool
    preferred: bool


class Component(NamedTuple):
    """A standard deviation or correlation of a term, or an entry of its lambda.

    Attributes
    ----------
    kind : {"sd", "correlation", "entry"}
        Which of them it is.
    row, column : int or None
        The effects it is of, the same for a standard deviation and on a diagonal; None where it is
        of all alike.
    """

    kind: str
    row: int | None
    column: int | None


_REGISTRY = {entry.name: entry for entry in map(_Entry._make, covariance_structures())}
#: The words of formulas, as in ``cs(x | g)``.
WORDS = frozenset(entry.word for entry in _REGISTRY.values())
#: The structure of ``(x | g)``: any covariance matrix.
UNSTRUCTURED = next(e.name for e in _REGISTRY.values() if e.preferred and e.word == "us")
#: That of the terms ``(x || g)`` stands for.
INDEPENDENT = next(e.name for e in _REGISTRY.values() if e.preferred and e.word == "diag")


@lru_cache(maxsize=256)
def structure_of(name: str, size: int) -> CovarianceStructure:
    """Return the structure of a name for terms of `size` effects."""
    return CovarianceStructure(name, size)


def structure_named(word: str, homogeneous: bool | None) -> str:
    """Return the name of what ``word(x | g, hom=...)`` means.

    Raises
    ------
    FormulaError
        If the structure has no such variant.
    """
    for entry in _REGISTRY.values():
        wanted = entry.preferred if homogeneous is None else entry.homogeneous == homogeneous
        if entry.word == word and wanted:
            return entry.name
    raise FormulaError(
        f"`{word}(... | group, hom = {'TRUE' if homogeneous else 'FALSE'})` does not exist: leave "
        "out `hom`"
    )


def written(name: str, term: str) -> str:
    """Write a term, ``(x | g)``, with its structure: ``cs(x | g)``, ``cs(x | g, hom = TRUE)``."""
    if name == UNSTRUCTURED:
        return term
    entry = _REGISTRY[name]
    if entry.preferred:
        return f"{entry.word}{term}"
    return f"{entry.word}{term[:-1]}, hom = {'TRUE' if entry.homogeneous else 'FALSE'})"


def word_of(name: str) -> str:
    """Return the word that stands for a structure in formulas."""
    return _REGISTRY[name].word


def independent(name: str, size: int) -> bool:
    """Whether a structure has no covariances, though there are several effects."""
    return size > 1 and not any(one.kind == "correlation" for one in components(name, size))


def is_restricted(name: str) -> bool:
    """Whether the effects of a term have parameters in common.

    Without one of its effects, such a term is not a simpler one of the same kind.
    """
    return any(one.row is None for one in components(name, 2))


@lru_cache(maxsize=256)
def components(name: str, size: int) -> tuple[Component, ...]:
    """Return the standard deviations and correlations that describe a structure."""
    return tuple(Component(*one) for one in structure_of(name, size).components)


def named(one: Component, effects: Iterable[str]) -> str:
    """Name a component by its effects, the row first, as lme4 does: ``*`` and ``rho`` for all."""
    names = list(effects)
    if one.row is None or one.column is None:
        return "*" if one.kind == "sd" else "rho"
    return names[one.row] if one.row == one.column else f"{names[one.row]}.{names[one.column]}"
