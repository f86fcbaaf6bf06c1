"""The reference grid: the combinations of predictors at which a model's means are estimated.

Every factor of the fixed effects is taken at all of its levels, every covariate at its mean.
Covariates with two distinct values are taken at both. Marginal means average rows of the model
matrix of this grid, each cell with equal weight.

References
----------
Searle, Speed and Milliken (1980). Population marginal means in the linear model: an alternative to
least squares means. The American Statistician 34(4).
Lenth (2023). emmeans: Estimated marginal means, aka least-squares means. R package 1.8.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import ReadOnly, cached_property
from ..data.columns import Column, FactorColumn, NumericColumn
from ..formula.formula import factor_names
from .nested_factors import Nesting, find_nesting

if TYPE_CHECKING:
    from ..design.design import Design
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: A grid with more cells is refused: its model matrix would fill the memory.
MAX_CELLS = 100_000
#: The slope's difference quotient spans this part of the covariate's range.
STEP = 0.001
#: Name of the only "level" when everything is averaged over.
OVERALL = "1"


@dataclass(frozen=True, eq=False)
class Predictor:
    """One variable of the reference grid, taken at k points.

    Attributes
    ----------
    name : str
        The column.
    points : NumericColumn or FactorColumn
        (k,) its values.
    codes : (n,) array of int, or None
        Which of the points each observation has, -1 for none of them; None for a covariate, whose
        points need not be among the data.
    """

    name: str
    points: NumericColumn | FactorColumn
    codes: NDArray[np.intp] | None

    @cached_property
    def labels(self) -> pd.Index:
        """(k,) the points as the user knows them."""
        if isinstance(self.points, FactorColumn):
            return self.points.levels.take(self.points.codes)
        return pd.Index(self.points.values)

    def __len__(self) -> int:
        """Count the points."""
        return len(self.labels)

    def shifted(self, step: float) -> Predictor:
        """Move the points of a covariate."""
        assert isinstance(self.points, NumericColumn)
        return replace(self, points=NumericColumn(self.points.values + step))


# ------------------------------------------------------------------------- points of a predictor


def _positions(name: str, known: pd.Index, asked: Any) -> NDArray[np.intp]:
    """Find the levels asked for among those of a factor."""
    asked = _distinct(name, [asked] if np.ndim(asked) == 0 else list(asked))
    positions = known.get_indexer(pd.Index(asked))
    if not asked or (positions < 0).any():
        unknown = [level for level, i in zip(asked, positions, strict=True) if i < 0]
        raise ValueError(
            f"`at` gives {unknown} for the factor '{name}', whose levels are {list(known)}"
        )
    return positions


def _distinct(name: str, asked: list[Any]) -> list[Any]:
    """Refuse a level or value that stands several times: it would count as often in averages."""
    counts = Counter(map(str, asked))
    repeated = next((text for text, count in counts.items() if count > 1), None)
    if repeated is not None:
        raise ValueError(f"`at` gives {repeated} for '{name}' more than once")
    return asked


def _chosen(codes: NDArray[Any], positions: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """Renumber codes of k levels by their place among the positions chosen, -1 for the others."""
    place = np.full(k, -1, dtype=np.intp)
    place[positions] = np.arange(len(positions))
    return np.asarray(place[codes])


def _factor(name: str, column: FactorColumn, at: Mapping[str, Any]) -> Predictor:
    """Take a factor at its levels, or at those of them in `at`."""
    column = column.without_unused()
    k = len(column.levels)
    positions = _positions(name, column.levels, at[name]) if name in at else np.arange(k)
    points = FactorColumn(positions.astype(np.int32), column.levels, column.ordered)
    return Predictor(name, points, _chosen(column.codes, positions, k))


def _at_its_values(name: str, values: FloatArray, at: Mapping[str, Any]) -> Predictor:
    """Take a numeric column at each of its distinct values, or at those of them in `at`."""
    distinct, codes = np.unique(values, return_inverse=True)
    k = len(distinct)
    positions = _positions(name, pd.Index(distinct), at[name]) if name in at else np.arange(k)
    return Predictor(name, NumericColumn(distinct[positions]), _chosen(codes, positions, k))


def _covariate(name: str, values: FloatArray, at: Mapping[str, Any]) -> Predictor:
    """Take a covariate at its mean, or at its values if there are two, or where `at` says."""
    if name in at:
        asked = pd.to_numeric(np.ravel(at[name]), errors="coerce")
        points = np.asarray(asked, dtype=np.float64)
        if not points.size or not np.isfinite(points).all():
            raise ValueError(f"`at` must give numbers for the covariate '{name}': {at[name]!r}")
        return Predictor(name, NumericColumn(np.array(_distinct(name, points.tolist()))), None)
    if np.all((values == values.min()) | (values == values.max())):
        return _at_its_values(name, values, {})
    return Predictor(name, NumericColumn(np.array([values.mean()])), None)


# --------------------------------------------------------------------- predictors of a model


def _coded_as_factors(design: Design) -> set[str]:
    """Find numeric columns the formula makes factors of, as C(x): the levels are their values."""
    found = set()
    for factor in design.formula.fixed.factors:
        levels = design.encoders.variables[factor.name].levels
        if levels is None or not factor.is_expression:
            continue
        for name in factor_names(factor):
            column = design.variables.get(name)
            if isinstance(column, NumericColumn) and levels.isin(np.unique(column.values)).all():
                found.add(name)
    return found


def _predictor(name: str, column: Column, at: Mapping[str, Any], as_factor: bool) -> Predictor:
    if isinstance(column, FactorColumn):
        return _factor(name, column, at)
    if not isinstance(column, NumericColumn):
        raise ValueError(
            f"column '{name}' holds neither numbers nor labels, so it has no mean: convert it to "
            "numbers in the data"
        )
    return (_at_its_values if as_factor else _covariate)(name, column.values, at)


def _by_column(at: Any) -> Mapping[str, Any]:
    """Return the levels and values asked for, refusing what is no mapping."""
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        kind = type(at).__name__
        raise TypeError(f"at must be a dict of levels and values by column, not {kind}")
    return at


def predictors(model: FittedModel, at: Mapping[str, Any] | None) -> tuple[Predictor, ...]:
    """Return the variables of the fixed effects and the points they are taken at.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    at : mapping, optional
        Levels of factors and values of covariates to take instead, by column.

    Raises
    ------
    ValueError
        If there are no fixed effects, or `at` names what is not a variable of them, or no level.
    TypeError
        If `at` is no mapping.
    """
    design, at = model.design, _by_column(at)
    if not design.x_names:
        raise ValueError("the model has no fixed effects, so there are no marginal means")
    names = dict.fromkeys(n for f in design.formula.fixed.factors for n in factor_names(f))
    variables = {name: design.variables[name] for name in names if name in design.variables}
    for name in at:
        if name not in variables:
            known = ", ".join(variables) or "none"
            raise ValueError(f"`at` gives '{name}'; the variables of the fixed effects are {known}")
    coded = _coded_as_factors(design)
    return tuple(_predictor(name, c, at, name in coded) for name, c in variables.items())


# ----------------------------------------------------------------------------------- the grid


def _model_rows(design: Design, points: Sequence[Predictor]) -> FloatArray:
    """Evaluate the fixed effects in every cell: (k_1, ..., k_d, p_all)."""
    shape = tuple(len(predictor) for predictor in points)
    n_cells = int(np.prod(shape, dtype=np.float64))
    if n_cells > MAX_CELLS:
        raise ValueError(
            f"the reference grid has {n_cells} cells, more than {MAX_CELLS}: take fewer levels of "
            "some factors by `at`"
        )
    cells = np.indices(shape).reshape(len(shape), n_cells)
    columns: dict[str, Column] = {}
    for predictor, cell in zip(points, cells, strict=True):
        columns[predictor.name] = _take(predictor.points, cell)
    return _evaluate(design, columns, n_cells).reshape(*shape, len(design.x_names))


def _evaluate(design: Design, columns: Mapping[str, Column], n: int) -> FloatArray:
    """Evaluate the fixed effects on n new rows with what their functions remember."""
    encoded = design.encoders.encode(design.formula.fixed.factors, columns, n)
    X = design.coding.matrix(encoded).to_array(n)
    if not np.isfinite(X).all():
        j = int(np.argmin(np.isfinite(X).all(axis=0)))
        raise ValueError(
            f"column '{design.x_names[j]}' of the fixed effects is not finite on the grid: choose "
            "other values by `at`"
        )
    return X


def _take(points: NumericColumn | FactorColumn, cells: NDArray[np.intp]) -> Column:
    if isinstance(points, FactorColumn):
        return FactorColumn(points.codes[cells], points.levels, points.ordered)
    return NumericColumn(points.values[cells])


def _occupied(points: Sequence[Predictor]) -> NDArray[np.bool_]:
    """Tell which cells have observations, (k_1, ..., k_d), 1 along the axis of a covariate."""
    coded = [predictor.codes for predictor in points]
    shape = tuple(1 if codes is None else len(p) for p, codes in zip(points, coded, strict=True))
    occupied = np.zeros(shape, dtype=np.bool_)
    zero = np.zeros(1, dtype=np.intp)
    index = np.broadcast_arrays(*(zero if codes is None else codes for codes in coded))
    inside = np.logical_and.reduce([i >= 0 for i in index]) if index else np.ones(1, dtype=bool)
    occupied[tuple(i[inside] for i in index)] = True
    return occupied


def _any(occupied: NDArray[np.bool_], axes: tuple[int, ...]) -> NDArray[np.bool_]:
    """Collapse axes, each to length 1."""
    return np.asarray(occupied.any(axis=axes, keepdims=True))


@dataclass(frozen=True, eq=False)
class ReferenceGrid(ReadOnly):
    """The cells of a reference grid and the linear functions that give their means.

    Attributes
    ----------
    predictors : tuple of d Predictor
        The variables; predictor j has k_j points.
    rows : (k_1, ..., k_d, p_all) array
        Row of the model matrix of each cell, aliased columns included.
    offset : float
        Mean of the model's offset, added to every mean.
    occupied : (k_1, ..., k_d) array of bool
        Which cells have observations; 1 along the axis of a covariate.
    nesting : dict of str to tuple of str
        Factors nested in others.
    """

    predictors: tuple[Predictor, ...]
    rows: FloatArray
    offset: float
    occupied: NDArray[np.bool_]
    nesting: Nesting

    @property
    def names(self) -> tuple[str, ...]:
        """The d variables."""
        return tuple(predictor.name for predictor in self.predictors)

    def with_groups(self, names: Iterable[str]) -> tuple[str, ...]:
        """Add to names what the factors among them are nested in."""
        names = tuple(names)
        groups = (group for name in names for group in self.nesting.get(name, ()))
        return tuple(dict.fromkeys((*names, *groups)))

    def marginal(self, names: Sequence[str]) -> tuple[pd.DataFrame, FloatArray, tuple[str, ...]]:
        """Average over all variables but `names`, with equal weights.

        A nested factor is averaged over the levels that occur within the levels it is nested in;
        combinations of nested levels that do not occur are left out.

        Returns
        -------
        cells : DataFrame
            (m, len(names)) combinations of the variables named, the first varying fastest.
        L : (m, p_all) array
            The linear functions of their means.
        averaged : tuple of str
            Variables with more than one point that were averaged over.
        """
        axes = [self.names.index(name) for name in names if name != OVERALL]
        averaged = [j for j in range(len(self.names)) if j not in axes]
        rows, occupied = self._average_nested([self.names[j] for j in averaged])
        means = rows.mean(axis=tuple(averaged), keepdims=True)
        occupied = _any(occupied, tuple(averaged))
        order = (*reversed(axes), *averaged, len(self.names))
        L = means.transpose(order).reshape(-1, rows.shape[-1])
        shown = self._shown(names, occupied, means.shape[:-1]).transpose(order[:-1]).ravel()
        cells = self._cells(names, axes)
        several = tuple(self.names[j] for j in averaged if len(self.predictors[j]) > 1)
        return cells[shown].reset_index(drop=True), L[shown], several

    def _average_nested(self, averaged: Sequence[str]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Average over nested factors first, each over the levels that occur within its groups."""
        rows, occupied = self.rows, self.occupied
        nested = [name for name in averaged if name in self.nesting]
        for name in sorted(nested, key=lambda n: len(self.nesting[n]))[::-1]:
            within = {name, *self.nesting[name], *nested}
            others = tuple(j for j, other in enumerate(self.names) if other not in within)
            present = _any(occupied, others)
            present = np.broadcast_to(present, rows.shape[:-1])[..., None]
            axis = self.names.index(name)
            with np.errstate(invalid="ignore"):  # 0/0: nothing there to average, not estimable
                total = np.where(present, rows, 0.0).sum(axis, keepdims=True)
                mean = total / present.sum(axis, keepdims=True)
            rows, occupied = mean, _any(occupied, (axis,))
            nested.remove(name)
        return rows, occupied

    def _shown(
        self, names: Sequence[str], occupied: NDArray[np.bool_], shape: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        """Leave out the combinations of nested levels that do not occur."""
        shown = np.ones(shape, dtype=np.bool_)
        for name in names:
            if name in self.nesting:
                within = {name, *self.nesting[name]}
                others = tuple(j for j, other in enumerate(self.names) if other not in within)
                shown &= _any(occupied, others)
        return shown

    def _cells(self, names: Sequence[str], axes: Sequence[int]) -> pd.DataFrame:
        if not axes:
            return pd.DataFrame({OVERALL: ["overall"]})
        sizes = [len(self.predictors[j]) for j in axes]
        index = np.indices(sizes[::-1]).reshape(len(sizes), -1)[::-1]
        chosen = [name for name in names if name != OVERALL]
        return pd.DataFrame(
            {
                name: _values(self.predictors[j], i)
                for name, j, i in zip(chosen, axes, index, strict=True)
            }
        )


def _values(predictor: Predictor, cells: NDArray[np.intp]) -> Any:
    """Return the labels of cells: a categorical for a factor, numbers for a covariate."""
    labels = predictor.labels
    if isinstance(predictor.points, FactorColumn):
        return pd.Categorical.from_codes(cells, categories=labels)
    return labels.to_numpy()[cells]


def _made(
    model: FittedModel, points: tuple[Predictor, ...], rows: FloatArray, offset: float
) -> ReferenceGrid:
    occupied = _occupied(points)
    sizes = {predictor.name: len(predictor) for predictor in points}
    nesting = find_nesting(sizes, occupied, model.design.formula.fixed)
    return ReferenceGrid(points, rows, offset, occupied, nesting)


def reference_grid(model: FittedModel, at: Mapping[str, Any] | None) -> ReferenceGrid:
    """Make the reference grid of a model's fixed effects; parameters as for `predictors`."""
    points = predictors(model, at)
    offset = 0.0 if model.design.offset is None else float(model.design.offset.mean())
    return _made(model, points, _model_rows(model.design, points), offset)


def slope_grid(model: FittedModel, var: str, at: Mapping[str, Any] | None) -> ReferenceGrid:
    """Make the grid whose rows give the slope of the fixed effects in a covariate.

    The slope is the central difference quotient over a thousandth of the covariate's range, exact
    for polynomials up to the second degree.

    Raises
    ------
    ValueError
        If `var` is not a numeric variable of the fixed effects, or is constant.
    """
    if not isinstance(var, str):
        raise TypeError(f"var must be the name of a covariate, not {var!r}")
    points = predictors(model, at)
    position = next((j for j, p in enumerate(points) if p.name == var), None)
    column = model.design.variables.get(var)
    if position is None or not isinstance(column, NumericColumn):
        raise ValueError(f"'{var}' is not a covariate of the fixed effects: it has no slope")
    if var in _coded_as_factors(model.design):
        raise ValueError(f"the formula makes a factor of '{var}': it has no slope")
    step = STEP * float(np.ptp(column.values)) / 2
    before, after = points[:position], points[position + 1 :]
    above, below = (
        _model_rows(model.design, [*before, points[position].shifted(h), *after])
        for h in (step, -step)
    )
    return _made(model, points, (above - below) / (2 * step), 0.0)
