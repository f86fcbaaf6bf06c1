"""Rows to predict at: a fitted formula evaluated on other data.

Transforms that look at their data (``poly``, ``bs``, ``scale``, ``center``, the levels of ``C()``)
are applied as they were fitted. Levels of grouping factors are matched by label.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from formulaic import ModelSpec
from formulaic.parser.types import Factor
from formulaic.transforms import TRANSFORMS

from .columns import (
    CodeArray,
    Column,
    Columns,
    FactorColumn,
    FloatArray,
    Mask,
    NumericColumn,
    in_order_of,
)
from .design import Design
from .errors import DesignError
from .expression import names_in
from .formula import factor_names
from .grouping import GroupingFactor
from .model_matrix import evaluate_groups, evaluate_spec, to_frame
from .values import numbers

__all__ = ["Rows", "fitted_rows", "new_rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to predict at, n_rows of them, of which the m complete ones have numbers.

    Attributes
    ----------
    index
        (n_rows,) the rows' labels.
    complete
        (n_rows,) which rows miss no value; None for all of them.
    X
        (m, p) fixed-effects model matrix in Fortran order, aliased columns included.
    columns
        The columns of each random-effects term, (m,) each; None for the constant 1, and for
        those of a term that is left out.
    codes
        (m,) levels of each grouping factor; -1 where the model was not fitted to the level, and
        everywhere if no term on the factor is included.
    unseen
        Labels of those levels, by the factor's name.
    offset
        (m,) known part of the linear predictor, or None.
    """

    index: pd.Index
    complete: Mask | None
    X: FloatArray
    columns: tuple[tuple[FloatArray | None, ...], ...]
    codes: tuple[CodeArray, ...]
    unseen: dict[str, list[str]]
    offset: FloatArray | None

    def spread(self, values: FloatArray) -> FloatArray:
        """Put (m,) values of the complete rows in their places, NaN elsewhere: (n_rows,)."""
        if self.complete is None:
            return values
        out = np.full(len(self.index), np.nan)
        out[self.complete] = values
        return out


def fitted_rows(design: Design) -> Rows:
    """Return the rows a model was fitted to."""
    return Rows(
        design.index,
        None,
        design.X,
        tuple(term.columns for term in design.random),
        tuple(factor.codes for factor in design.factors),
        {},
        design.offset,
    )


def new_rows(design: Design, data: Any, included: Sequence[bool], offset: Any = None) -> Rows:
    """Evaluate the formula of a fitted design on new data.

    Parameters
    ----------
    design
        The design of the fit.
    data
        Whatever `crossnest.lmer` accepts. It needs the columns of the fixed effects, of the
        included random-effects terms and of the offset, not the response.
    included
        For each term of `Design.random` whether it is wanted.
    offset
        The argument ``offset`` for these rows: a column's name or (n_rows,) values. By default the
        column the model was fitted with.

    Raises
    ------
    DesignError
        If a column is missing, a factor of the fixed effects has a level that was not fitted, or
        the offset of the fit is not known for these rows.
    """
    columns = Columns(data, "newdata")
    names = _read(design, columns, included)
    given_offset = _offset_argument(design, columns, offset)
    complete = _complete(columns, given_offset)
    if complete is not None:
        columns.take(complete)
        given_offset = None if given_offset is None else given_offset[complete]
    used = _coded_as_fitted(design, columns, names)
    frame = to_frame(design.formula, used) if used else pd.DataFrame(index=range(columns.n_used))
    X = _matrix(design, design.fixed_spec, frame)
    random = tuple(
        _term_columns(design, spec, frame, len(term.names)) if wanted else (None,) * len(term.names)
        for term, spec, wanted in zip(design.random, design.random_specs, included, strict=True)
    )
    codes, unseen = _group_codes(design, columns, frame, included)
    total = _sum_offsets(design, frame, given_offset)
    return Rows(columns.index, complete, X, random, codes, unseen, total)


# ------------------------------------------------------------------------------- what is read


def _needed_factors(design: Design, included: Sequence[bool]) -> list[Factor]:
    """Return formulaic's factors of the parts to evaluate."""
    factors = [*design.formula.offsets, *design.formula.fixed.factors]
    for term, wanted in zip(design.random, included, strict=True):
        factors += term.term.effects.factors if wanted else ()
    return factors


def _group_variables(design: Design, included: Sequence[bool]) -> list[str]:
    """Return the variables of the grouping factors of the included terms."""
    wanted = [term for term, one in zip(design.random, included, strict=True) if one]
    return list(dict.fromkeys(name for term in wanted for name in term.term.factors))


def _read(design: Design, columns: Columns, included: Sequence[bool]) -> list[str]:
    """Read every column needed; return the names of those the frame is made of."""
    groups = _group_variables(design, included)
    calls = [name for name in groups if name in design.formula.group_calls]
    names = [name for factor in _needed_factors(design, included) for name in factor_names(factor)]
    read = []
    for name in dict.fromkeys(names + [name for call in calls for name in names_in(call)]):
        if name in columns:
            columns.column(name)
            read.append(name)
        elif name not in TRANSFORMS and not hasattr(builtins, name):
            columns.require(name, f"needed to predict from `{design.formula.text}`")
    for name in groups:
        if name not in calls:
            columns.require(name, "a grouping factor of the model")
            columns.grouping(name)
    return read


def _offset_argument(design: Design, columns: Columns, offset: Any) -> FloatArray | None:
    """Return the part of the offset that is not in the formula, (n_rows,)."""
    source = design.offset_source if offset is None else offset
    if source is None:
        return None
    if isinstance(source, str):
        if source == "(array)":
            raise DesignError(
                "the model was fitted with an offset given as values, which are not known for the "
                "new data: give theirs with offset="
            )
        columns.require(source, "the offset of the model")
        column = columns.peek(source)
        if not isinstance(column, NumericColumn):
            raise DesignError(f"the offset column '{source}' is not numeric")
        return column.values
    values = numbers(in_order_of(source, columns.index, "the offset"), "the offset of the new rows")
    if values.shape != (columns.n_rows,):
        raise DesignError(
            f"the offset must have one value for each of the {columns.n_rows} new rows, not shape "
            f"{values.shape}"
        )
    return values


def _complete(columns: Columns, offset: FloatArray | None) -> Mask | None:
    """Return the mask of rows that miss no value, or None if none does."""
    masks = [column.missing() for read in columns.read().values() for column in read]
    missing = [mask for mask in masks if mask is not None]
    if offset is not None:
        missing.append(np.isnan(offset))
    incomplete = reduce(np.logical_or, missing, np.zeros(columns.n_rows, dtype=np.bool_))
    return ~incomplete if incomplete.any() else None


# ----------------------------------------------------------------------------- model matrices


def _coded_as_fitted(design: Design, columns: Columns, names: list[str]) -> dict[str, Column]:
    """Return columns, each of the kind it had in the fit: numbers or labels."""
    used = {}
    for name in names:
        column, fitted = columns.column(name), design.variables.get(name)
        if isinstance(fitted, FactorColumn) and isinstance(column, NumericColumn):
            levels, codes = np.unique(column.values, return_inverse=True)
            column = FactorColumn(codes.astype(np.int32), pd.Index(levels))
        elif isinstance(fitted, NumericColumn) and isinstance(column, FactorColumn):
            raise DesignError(
                f"column '{name}' holds labels in the new data and numbers in those the model was "
                "fitted to: convert it"
            )
        used[name] = column
    return used


def _matrix(design: Design, spec: ModelSpec, frame: pd.DataFrame) -> FloatArray:
    """Evaluate a model matrix, (m, columns)."""
    if not len(frame):
        return np.zeros((0, len(spec.column_names)), order="F")
    return evaluate_spec(design.formula, spec, frame).to_array(len(frame))


def _term_columns(
    design: Design, spec: ModelSpec, frame: pd.DataFrame, k: int
) -> tuple[FloatArray | None, ...]:
    """Evaluate the columns of a random-effects term."""
    if not len(frame):
        return (None,) * k
    return evaluate_spec(design.formula, spec, frame).columns


def _sum_offsets(
    design: Design, frame: pd.DataFrame, given: FloatArray | None
) -> FloatArray | None:
    """Add up the ``offset(...)`` terms and the argument."""
    parts = [_matrix(design, spec, frame)[:, 0] for spec in design.offset_specs]
    parts += [] if given is None else [given]
    return reduce(np.add, parts) if parts else None


# --------------------------------------------------------------------------- grouping factors


def _group_codes(
    design: Design, columns: Columns, frame: pd.DataFrame, included: Sequence[bool]
) -> tuple[tuple[CodeArray, ...], dict[str, list[str]]]:
    """Return the fitted levels of the rows by factor, and the labels of those not fitted."""
    used = {
        term.factor: term.term.factors
        for term, wanted in zip(design.random, included, strict=True)
        if wanted
    }
    variables = _group_variables(design, included)
    made = _called_groups(design, frame, variables)
    labels = {name: made[name] if name in made else columns.grouping(name) for name in variables}
    codes, unseen = [], {}
    for j, factor in enumerate(design.factors):
        if j not in used:
            codes.append(np.full(columns.n_used, -1, dtype=np.int32))
            continue
        parts = [labels[name] for name in used[j]]
        codes.append(match_levels(factor, parts))
        if (codes[-1] < 0).any():
            unseen[factor.name] = _labels(parts, codes[-1] < 0)
    return tuple(codes), unseen


def _called_groups(
    design: Design, frame: pd.DataFrame, variables: Iterable[str]
) -> dict[str, FactorColumn]:
    """Evaluate the grouping variables that are expressions, if any is wanted."""
    if not design.formula.group_calls.intersection(variables):
        return {}
    return evaluate_groups(design.formula, frame)


def match_levels(factor: GroupingFactor, columns: Sequence[FactorColumn]) -> CodeArray:
    """Return which level of a fitted grouping factor each row has, -1 if none.

    Parameters
    ----------
    factor
        The fitted factor.
    columns
        For each of its variables the rows' labels, (m,).
    """
    wanted = np.zeros(len(columns[0].codes), dtype=np.int64)
    fitted = np.zeros(factor.n_levels, dtype=np.int64)
    known = np.ones(len(wanted), dtype=np.bool_)
    for labels, positions, column in zip(factor.variables, factor.positions, columns, strict=True):
        place = _positions_of(column.levels, labels)[column.codes]
        known &= place >= 0
        wanted = wanted * len(labels) + place
        fitted = fitted * len(labels) + (np.arange(len(labels)) if positions is None else positions)
    order = np.argsort(fitted)
    at = np.minimum(np.searchsorted(fitted, wanted, sorter=order), factor.n_levels - 1)
    found = order[at]
    return np.where(known & (fitted[found] == wanted), found, -1).astype(np.int32)


def _positions_of(labels: pd.Index, fitted: pd.Index) -> npt.NDArray[np.intp]:
    """Return where each label stands among the fitted ones, -1 if nowhere."""
    return fitted.get_indexer(labels)


def _labels(columns: Sequence[FactorColumn], rows: Mask) -> list[str]:
    """Return the distinct labels of some rows, those of several variables joined by a colon."""
    parts = [column.levels[column.codes[rows]].astype(str) for column in columns]
    joined = reduce(lambda left, right: left + ":" + right, parts)
    return joined.unique().tolist()
