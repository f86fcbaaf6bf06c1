"""The fitted lines of groups: means of a model along one of its variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.columns import Column, FactorColumn, NumericColumn
from ..design.grouping import position_of
from ..formula.formula import Factor, factor_names
from ..inference.reference_grid import _coded_as_factors
from .style import plain

if TYPE_CHECKING:
    from ..design.design import Design
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: Points of a line over a numeric variable: a curve shall look like one.
N_POINTS = 40


@dataclass(frozen=True, eq=False)
class Curve:
    """One line.

    Attributes
    ----------
    combination : int
        Which combination of the varying factors it is of.
    x, mean : (points,) array
        Positions on the axis, and the fitted means there.
    """

    combination: int
    x: FloatArray
    mean: FloatArray


@dataclass(frozen=True, eq=False)
class GroupLines:
    """What is drawn against what.

    Attributes
    ----------
    model : LinearMixedModel
        The fitted model.
    group : int
        Position of the grouping factor.
    terms : tuple of int
        Random-effects terms whose grouping factor does not vary within groups.
    x : str
        The variable on the axis.
    positions : (n,) array
        Where each observation is on the axis: its value, or the code of its level.
    ticks : list of str or None
        Names of the positions 0, 1, ... of a factor.
    varying : tuple of str
        Factors that vary within groups and are not `x`.
    combinations : (n,) array of int
        Which combination of their levels each observation has.
    labels : list of str
        The combinations' names.
    coded : set of str
        Numeric variables the formula makes factors of.
    """

    model: FittedModel
    group: int
    terms: tuple[int, ...]
    x: str
    positions: FloatArray
    ticks: list[str] | None
    varying: tuple[str, ...]
    combinations: IntArray
    labels: list[str]
    coded: set[str]

    def rows(self, j: int, combination: int) -> IntArray:
        """Return the observations of a group that have a combination of the varying factors."""
        codes = self.model.design.factors[self.group].codes
        return np.flatnonzero((codes == j) & (self.combinations == combination))

    def means(self, groups: Sequence[int]) -> list[list[Curve]]:
        """Compute the lines of the groups."""
        keys, starts, points = [], [], []
        for j in groups:
            codes = self.model.design.factors[self.group].codes
            for c in np.unique(self.combinations[codes == j]):
                rows = self.rows(j, c)
                keys.append((j, int(c)))
                starts.append(rows[0])
                points.append(self._points(rows))
        sizes = [len(p) for p in points]
        mean = self._evaluate(
            np.concatenate(points), np.repeat(starts, sizes), np.repeat([j for j, _ in keys], sizes)
        )
        curves: list[list[Curve]] = [[] for _ in groups]
        parts = np.split(mean, np.cumsum(sizes)[:-1])
        for (j, c), at, part in zip(keys, points, parts, strict=True):
            curves[j].append(Curve(c, at, part))
        return curves

    def _points(self, rows: IntArray) -> FloatArray:
        """Choose where on the axis a line through these observations is evaluated."""
        held = self.positions[rows]
        if self.ticks is not None or self.x in self.coded:
            return np.unique(held)
        return np.linspace(held.min(), held.max(), N_POINTS)

    def _evaluate(self, at: FloatArray, like: IntArray, group: IntArray) -> FloatArray:
        """Compute x beta + z b + offset where x is `at`, (m,).

        Factors are as in the observations `like`, (m,); numbers are means of the groups, (m,).
        """
        model, design = self.model, self.model.design
        columns = {
            name: self._column(name, at, like, group) for name in _variables(design, self.terms)
        }
        factors = _factors(design, self.terms)
        encoded = design.encoders.encode(factors, columns, len(at))
        X = design.coding.matrix(encoded).to_array(len(at))
        mean: FloatArray = X[:, model._kept] @ model.fixef.to_numpy()
        for t in self.terms:
            codes = design.factors[design.random[t].factor].codes[like]
            modes = model._fit.b[t][codes]
            matrix = design.coding_of(design.random[t].term).matrix(encoded)
            for k, column in enumerate(matrix.columns):
                mean = mean + (modes[:, k] if column is None else modes[:, k] * column)
        return mean if design.offset is None else mean + self._group_mean(design.offset)[group]

    def _column(self, name: str, at: FloatArray, like: IntArray, group: IntArray) -> Column:
        column = self.model.design.variables[name]
        if name == self.x:
            if isinstance(column, FactorColumn):
                return replace(column, codes=at.astype(np.int32))
            assert isinstance(column, NumericColumn)
            return replace(column, values=at)
        if isinstance(column, FactorColumn):
            return replace(column, codes=column.codes[like])
        assert isinstance(column, NumericColumn)
        if name in self.coded:
            return replace(column, values=column.values[like])
        return NumericColumn(self._group_mean(column.values)[group])

    def _group_mean(self, values: FloatArray) -> FloatArray:
        """Average over the observations of each group, (J,)."""
        codes = self.model.design.factors[self.group].codes
        return np.bincount(codes, values) / np.bincount(codes)


def _factors(design: Design, terms: Sequence[int]) -> list[Factor]:
    """Return the variables of the fixed effects and of some random-effects terms."""
    factors = list(design.formula.fixed.factors)
    for t in terms:
        factors += design.random[t].term.effects.factors
    return list(dict.fromkeys(factors))


def _variables(design: Design, terms: Sequence[int]) -> list[str]:
    factors = _factors(design, terms)
    names = dict.fromkeys(name for factor in factors for name in factor_names(factor))
    return [name for name in names if name in design.variables]


def _varies(codes: NDArray[Any], values: NDArray[Any]) -> bool:
    """Tell whether values (n,) differ within a group."""
    first = np.unique(codes, return_index=True)[1]
    return bool((values != values[first][codes]).any())


def group_lines(model: FittedModel, group: str | None, x: str | None) -> GroupLines:
    """Find what to draw against what."""
    design = model.design
    position = position_of(design.factors, group)
    codes = design.factors[position].codes
    terms = tuple(
        t
        for t, term in enumerate(design.random)
        if not _varies(codes, design.factors[term.factor].codes)
    )
    columns = {name: design.variables[name] for name in _variables(design, terms)}
    values = {name: _values(name, column) for name, column in columns.items()}
    varying = [name for name in columns if _varies(codes, values[name])]
    x = _axis(design, columns, varying, x)
    column, coded = columns[x], _coded_as_factors(design)
    factors = tuple(
        name
        for name in varying
        if name != x and (name in coded or isinstance(columns[name], FactorColumn))
    )
    combinations, labels = _combine(columns, values, factors)
    return GroupLines(
        model=model,
        group=position,
        terms=terms,
        x=x,
        positions=values[x].astype(np.float64),
        ticks=[plain(v) for v in column.levels] if isinstance(column, FactorColumn) else None,
        varying=factors,
        combinations=combinations,
        labels=labels,
        coded=coded,
    )


def _values(name: str, column: Column) -> NDArray[Any]:
    """Return the numbers of a column, or the codes of its levels, (n,)."""
    if isinstance(column, NumericColumn):
        return column.values
    if isinstance(column, FactorColumn):
        return column.codes
    raise NotImplementedError(
        f"column '{name}' holds neither numbers nor labels, so it cannot be held at a mean: "
        "convert it to numbers in the data"
    )


def _axis(design: Design, columns: dict[str, Column], varying: Sequence[str], x: str | None) -> str:
    """Choose the variable of the axis."""
    if x is not None:
        if x not in columns:
            known = ", ".join(columns) or "none"
            raise ValueError(f"no variable {x!r} in the effects; the variables are {known}")
        return x
    numeric = [name for name in varying if isinstance(columns[name], NumericColumn)]
    for name in (*numeric, *varying):
        return name
    raise ValueError(
        f"no effect of `{design.formula.text}` varies within groups, so there are no lines to "
        "draw: plot_caterpillar draws the groups' effects"
    )


def _combine(
    columns: dict[str, Column], values: dict[str, NDArray[Any]], names: Sequence[str]
) -> tuple[IntArray, list[str]]:
    """Return codes (n,) and names of the combinations of some factors that occur."""
    if not names:
        n = len(next(iter(values.values())))
        return np.zeros(n, dtype=np.intp), ["fitted"]
    table = np.column_stack([values[name] for name in names])
    distinct, codes = np.unique(table, axis=0, return_inverse=True)
    labels = [
        ", ".join(_level(columns[name], value) for name, value in zip(names, row, strict=True))
        for row in distinct
    ]
    return codes.ravel(), labels


def _level(column: Column, value: Any) -> str:
    if isinstance(column, FactorColumn):
        return plain(column.levels[int(value)])
    return f"{value:g}"
