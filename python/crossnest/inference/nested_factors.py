"""Nesting: factors whose levels have a meaning within the levels of other factors only.

A factor is nested in another if each of its levels occurs with one level of the other only, or if
the formula has the interaction of the two and the other's main effect but not its own (``a / b``).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..formula.formula import factor_names

if TYPE_CHECKING:
    from ..formula.formula import Effects

#: Factor to the factors it is nested in.
Nesting = dict[str, tuple[str, ...]]


def _nested_in_data(names: Mapping[str, int], occupied: NDArray[np.bool_]) -> dict[str, set[str]]:
    """Find factors each level of which occurs with one level of another only."""
    found: dict[str, set[str]] = {}
    order = list(names)
    for inner, outer in permutations(order, 2):
        if names[inner] < 2 or names[outer] < 2 or inner in found.get(outer, ()):
            continue
        i, j = order.index(inner), order.index(outer)
        others = tuple(k for k in range(len(order)) if k not in (i, j))
        together = occupied.any(axis=others)
        together = together if i < j else together.T
        together = np.broadcast_to(together, (names[inner], names[outer]))
        if together.sum(axis=1).max() == 1:
            found.setdefault(inner, set()).add(outer)
    return found


def _nested_in_formula(names: Mapping[str, int], effects: Effects) -> dict[str, set[str]]:
    """Find factors without a main effect, within those whose main effect is there instead."""
    terms = {
        frozenset(name for factor in term.factors for name in factor_names(factor) if name in names)
        for term in effects.terms
    }
    several = [name for name, size in names.items() if size > 1]
    found: dict[str, set[str]] = {}
    for inner in several:
        if frozenset([inner]) in terms:
            continue
        outer = {
            term - {inner}
            for term in terms
            if inner in term and term - {inner} in terms and term <= set(several)
        }
        minimal = [group for group in outer if not any(other < group for other in outer)]
        if minimal:
            found[inner] = set().union(*minimal)
    return found


def find_nesting(
    names: Mapping[str, int], occupied: NDArray[np.bool_], effects: Effects
) -> Nesting:
    """Find which variables of a reference grid are nested in which others.

    Parameters
    ----------
    names : mapping of str to int
        The d variables and how many points k_j each has.
    occupied : (k_1, ..., k_d) array of bool
        Which cells have observations; 1 along the axis of a covariate.
    effects : Effects
        The terms of the fixed effects.
    """
    found = _nested_in_data(names, occupied)
    for inner, outer in _nested_in_formula(names, effects).items():
        found.setdefault(inner, set()).update(outer)
    for outer in found.values():
        outer.update(*(found.get(name, set()) for name in tuple(outer)))
    return {
        inner: tuple(name for name in names if name in outer)
        for inner, outer in found.items()
        if inner not in outer
    }
