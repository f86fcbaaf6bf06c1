"""Designs of resampled cases: groups at the levels of a nested design, and rows within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import as_list
from ..base.errors import DesignError
from ..design.design import Design, RandomEffects
from ..design.grouping import GroupingFactor

__all__ = ["ROWS", "CaseScheme", "highest_groups", "without"]

IntArray = NDArray[np.intp]

#: What `resample` calls the rows of the data.
ROWS = "rows"


@dataclass(frozen=True, eq=False)
class CaseScheme:
    """Cases drawn with replacement at some levels of a design of nested grouping factors.

    From the highest level down, the units within each unit drawn so far are drawn with replacement
    where their level is resampled, and else all kept. A unit drawn twice counts as two. Davison and
    Hinkley (1997), Bootstrap Methods and their Application, 3.8; Van der Leeden, Meijer and Busing
    (2008), Handbook of Multilevel Analysis, ch. 11.

    Attributes
    ----------
    design : Design
        The design of the fit.
    order : tuple of int
        The grouping factors (positions in ``design.factors``) from the highest level down.
    resampled : frozenset of str
        Names of the levels that are resampled; ``"rows"`` for the rows.
    """

    design: Design
    order: tuple[int, ...]
    resampled: frozenset[str]

    @classmethod
    def of(cls, design: Design, resample: Sequence[str] | str | None) -> CaseScheme:
        """Check the levels to resample; the highest alone by default.

        Raises
        ------
        DesignError
            If the grouping factors are not nested.
        ValueError
            If a level is unknown.
        """
        order = _nesting(design)
        names = [design.factors[j].name for j in order]
        if resample is None:
            resample = names[0]
        wanted = frozenset(as_list(resample))
        unknown = wanted - {*names, ROWS}
        if unknown or not wanted:
            raise ValueError(
                f"resample must name levels among {', '.join(map(repr, names))} and '{ROWS}', not "
                f"{', '.join(sorted(map(repr, unknown))) or 'none'}"
            )
        return cls(design, order, wanted)

    def draw(self, rng: np.random.Generator) -> Design:
        """Draw a design."""
        rows = np.arange(self.design.n)
        unit = np.zeros(self.design.n, dtype=np.intp)
        codes: dict[int, IntArray] = {}
        for j in self.order:
            factor = self.design.factors[j]
            own = factor.codes[rows].astype(np.intp)
            rows, taken, unit = _draw_units(rng, rows, unit, own, factor.name in self.resampled)
            codes = {held: old[taken] for held, old in codes.items()} | {j: unit}
        if ROWS in self.resampled:
            rows, taken, _ = _draw_units(rng, rows, unit, np.arange(len(rows)), True)
            codes = {held: old[taken] for held, old in codes.items()}
        return sliced(self.design, rows, [codes[j] for j in range(len(self.design.factors))])


def _draw_units(
    rng: np.random.Generator, rows: IntArray, unit: IntArray, codes: IntArray, resampled: bool
) -> tuple[IntArray, IntArray, IntArray]:
    """Draw the units coded by `codes` within each unit, or keep them.

    Returns
    -------
    tuple
        Rows of the data; their places among the rows given; the new unit of each.
    """
    _, inner = np.unique(unit * (int(codes.max()) + 1) + codes, return_inverse=True)
    order = np.argsort(inner, kind="stable")
    sizes = np.bincount(inner)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    outer = unit[order[starts]]  # nondecreasing
    chosen = np.arange(len(sizes))
    if resampled:
        count = np.bincount(outer)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        chosen = first[outer] + (rng.random(len(sizes)) * count[outer]).astype(np.intp)
    length = sizes[chosen]
    new = np.repeat(np.arange(len(chosen)), length)
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    taken = order[starts[chosen][new] + within]
    return rows[taken], taken, new


def sliced(design: Design, rows: IntArray, codes: Sequence[IntArray]) -> Design:
    """Return the design of some rows, with new levels: codes (rows,) of each grouping factor."""
    factors = tuple(
        _relabelled(factor, one) for factor, one in zip(design.factors, codes, strict=True)
    )
    random = tuple(
        RandomEffects(
            term.term,
            term.factor,
            term.names,
            tuple(None if column is None else column[rows] for column in term.columns),
        )
        for term in design.random
    )
    return replace(
        design,
        X=np.asfortranarray(design.X[rows]),
        y=design.y[rows],
        offset=None if design.offset is None else design.offset[rows],
        weights=None if design.weights is None else design.weights[rows],
        factors=factors,
        random=random,
        row_labels=design.index[rows],
        n_rows=len(rows),
        n_missing=0,
        n_zero_weight=0,
        kept=None,
    )


def without(design: Design, dropped: NDArray[np.bool_]) -> Design:
    """Return the design without some rows; levels that are left without rows disappear."""
    rows = np.flatnonzero(~dropped)
    codes = [np.unique(f.codes[rows], return_inverse=True)[1] for f in design.factors]
    return sliced(design, rows, codes)


def highest_groups(design: Design) -> IntArray:
    """Return each row's independent group: its level of the factor the others are nested in.

    Raises
    ------
    DesignError
        If the grouping factors are not nested.
    """
    return design.factors[_nesting(design)[0]].codes.astype(np.intp)


def _nesting(design: Design) -> tuple[int, ...]:
    """Return the grouping factors from the highest level down."""
    factors = design.factors
    order = sorted(range(len(factors)), key=lambda j: factors[j].n_levels)
    for outer, inner in pairwise(order):
        high, low = factors[outer], factors[inner]
        pairs = np.unique(low.codes.astype(np.int64) * high.n_levels + high.codes)
        if len(pairs) != low.n_levels:
            raise DesignError(
                f"the grouping factors '{high.name}' and '{low.name}' are "
                "crossed, so there are no independent groups to resample: use the parametric or "
                "the residual bootstrap"
            )
    return tuple(order)


def _relabelled(factor: GroupingFactor, codes: IntArray) -> GroupingFactor:
    n_levels = int(codes.max()) + 1
    labels = pd.RangeIndex(1, n_levels + 1)
    return GroupingFactor(factor.name, codes.astype(np.int32), n_levels, (labels,), (None,))
