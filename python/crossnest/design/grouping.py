"""Grouping factors: which level each observation belongs to.

Interactions are combined through integer codes; their labels are made only for the levels that
occur, and only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..base.errors import DesignError
from ..base.read_only import FrozenArrays, cached_property, hands_out_copies
from ..base.rows import MayLackRows
from ..base.values import SMALL_TABLE, TABLE_ENTRIES_PER_ROW
from ..data.columns import CodeArray, FactorColumn

__all__ = ["GroupingFactor", "GroupingFactors", "position_of"]

Positions = npt.NDArray[np.intp]


@hands_out_copies("variables")
@dataclass(frozen=True, eq=False, repr=False)
class GroupingFactor(MayLackRows, FrozenArrays, per_row={"codes": "the observations' levels"}):
    """A grouping factor of the random effects; every level occurs.

    Attributes
    ----------
    name
        lme4's name: ``"batch"``, or ``"cask:batch"`` for an interaction.
    codes
        (n,) the observations' levels, 0 ... J-1.
    n_levels
        J, the number of levels.
    variables
        The labels of each variable the factor is made of.
    positions
        For each variable, (J,) which of its labels a level has; None where level j has label j.
    """

    name: str
    codes: CodeArray
    n_levels: int
    variables: tuple[pd.Index, ...]
    positions: tuple[Positions | None, ...]

    @property
    def levels(self) -> pd.Index:
        """(J,) the levels' labels in the user's order; ``"a:A"`` for interactions, as in lme4.

        Parts with a colon in them are quoted where two levels would be called the same:
        ``"'a:b':c"`` and ``"a:'b:c'"``.
        """
        return self._levels.view()

    @cached_property
    def _levels(self) -> pd.Index:
        if len(self.variables) == 1:
            return _take(self.variables[0], self.positions[0]).rename(self.name)
        labels = self._joined(_text)
        if not labels.is_unique:
            twice = labels.duplicated(keep=False)
            labels = labels.where(~twice, self._joined(_quoted))
        return labels

    def _joined(self, text: Callable[[pd.Index], pd.Index]) -> pd.Index:
        """Join the labels of the variables by colons, (J,)."""
        parts = [
            _take(text(labels), at).to_numpy(dtype=object)
            for labels, at in zip(self.variables, self.positions, strict=True)
        ]
        return pd.Index(reduce(lambda left, right: left + ":" + right, parts), name=self.name)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the labels made on demand."""
        return {key: value for key, value in self.__dict__.items() if key != "_levels"}


def position_of(factors: Sequence[GroupingFactor], name: str | None) -> int:
    """Return the position of the grouping factor of a name, of the first if none is given.

    Raises
    ------
    ValueError
        If there is no such grouping factor.
    """
    names = [factor.name for factor in factors]
    if name is not None and name not in names:
        raise ValueError(
            f"no grouping factor {name!r}; the grouping factors are {', '.join(names)}"
        )
    return 0 if name is None else names.index(name)


def _take(labels: pd.Index, positions: Positions | None) -> pd.Index:
    return labels if positions is None else labels[positions]


def _text(labels: pd.Index) -> pd.Index:
    """Return labels as text; whole numbers without a decimal point, as R prints them."""
    if labels.dtype.kind == "f" and (np.mod(labels, 1) == 0).all():
        labels = labels.astype(np.int64)
    return pd.Index([str(label) for label in labels], dtype=object)


def _quoted(labels: pd.Index) -> pd.Index:
    """Return labels as text, quoted where a colon is in them."""
    return pd.Index([repr(one) if ":" in one else one for one in _text(labels)], dtype=object)


def _from_column(name: str, column: FactorColumn) -> GroupingFactor:
    """Return the grouping factor of one column, unused levels dropped."""
    used = column.without_unused()
    return GroupingFactor(name, used.codes, len(used.levels), (used.levels,), (None,))


def _occurring(pairs: npt.NDArray[np.int64], n_pairs: int) -> tuple[CodeArray, Positions]:
    """Return codes and distinct values, increasing, of `pairs`, all of them below `n_pairs`."""
    if n_pairs <= TABLE_ENTRIES_PER_ROW * pairs.size + SMALL_TABLE:
        present = np.zeros(n_pairs, dtype=np.bool_)
        present[pairs] = True
        return (np.cumsum(present) - 1).astype(np.int32)[pairs], np.flatnonzero(present)
    codes, distinct = pd.factorize(pairs)
    order = np.argsort(distinct)
    rank = np.empty(order.size, dtype=np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    return rank[codes], distinct[order]


def _interaction(name: str, first: GroupingFactor, second: GroupingFactor) -> GroupingFactor:
    """Return ``first:second``, levels ordered by the first and then by the second, as in lme4."""
    pairs = first.codes.astype(np.int64) * second.n_levels + second.codes
    codes, occurring = _occurring(pairs, first.n_levels * second.n_levels)
    at_first, at_second = np.divmod(occurring, second.n_levels)
    positions = [_compose(at, at_first) for at in first.positions]
    positions += [_compose(at, at_second) for at in second.positions]
    return GroupingFactor(
        name, codes, occurring.size, first.variables + second.variables, tuple(positions)
    )


def _compose(inner: Positions | None, outer: Positions) -> Positions:
    return outer if inner is None else inner[outer]


class GroupingFactors:
    """The grouping factors of a formula, each made once; interactions share their parts.

    Parameters
    ----------
    columns
        The complete columns of the grouping variables, by name.
    """

    def __init__(self, columns: dict[str, FactorColumn]) -> None:
        self._columns = columns
        self._made: dict[tuple[str, ...], GroupingFactor] = {}
        self._variables: dict[str, tuple[str, ...]] = {}  # of each name given out

    def make(self, variables: tuple[str, ...], name: str) -> GroupingFactor:
        """Return the factor of one variable, or of an interaction of several.

        Raises
        ------
        DesignError
            If a factor of other variables has this name.
        """
        known = self._variables.setdefault(name, variables)
        if known != variables:
            parts = " and ".join(map(repr, known if len(known) > 1 else variables))
            raise DesignError(
                f"the column '{name}' has the name of the interaction of {parts}, and both are "
                "grouping factors: rename the column"
            )
        return self._make(variables, name)

    def _make(self, variables: tuple[str, ...], name: str) -> GroupingFactor:
        factor = self._made.get(variables)
        if factor is None:
            first, rest = variables[0], variables[1:]
            if rest:
                factor = _interaction(name, self._make((first,), first), self._make(rest, name))
            else:
                factor = _from_column(name, self._columns[first])
            self._made[variables] = factor
        if factor.name == name:
            return factor
        return GroupingFactor(
            name, factor.codes, factor.n_levels, factor.variables, factor.positions
        )
