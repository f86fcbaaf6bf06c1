"""Rows to predict at: a fitted formula evaluated on other data.

Transforms that look at their data (``poly``, ``bs``, ``scale``, ``center``, the levels of ``C()``)
are applied as they were fitted. Levels of grouping factors are matched by label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..base.errors import DesignError
from ..base.values import numbers
from ..data.columns import (
    CodeArray,
    Column,
    Columns,
    FactorColumn,
    FloatArray,
    Mask,
    NumericColumn,
    in_order_of,
)
from ..formula.evaluation import Variable, is_constant
from ..formula.formula import Factor, factor_names
from ..formula.model_matrix import coding_of
from .design import Design, grouping_of
from .grouping import GroupingFactor

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
    used = _read(design, columns, included)
    given = _offset_argument(design, columns, offset)
    values = _evaluate(design, used, columns.n_rows, included)
    complete = _complete(columns, values, given)
    if complete is not None:
        columns.take(complete)
        values = {factor: one.take(complete) for factor, one in values.items()}
        given = None if given is None else given[complete]
    encoders = design.encoders
    effects = _effect_factors(design, included)
    encoded = {f.name: encoders.variables[f.name].encode(values[f]) for f in effects}
    random = tuple(
        coding_of(term.term.effects, encoders).matrix(encoded).columns
        if wanted
        else (None,) * len(term.names)
        for term, wanted in zip(design.random, included, strict=True)
    )
    codes, unseen = _group_codes(design, columns, values, included)
    X = design.coding.matrix(encoded).to_array(columns.n_used)
    total = _sum_offsets(design, values, given)
    return Rows(columns.index, complete, X, random, codes, unseen, total)


# ------------------------------------------------------------------------------- what is read


def _effect_factors(design: Design, included: Sequence[bool]) -> list[Factor]:
    """Return the variables of the model matrices to evaluate."""
    factors = list(design.formula.fixed.factors)
    for term, wanted in zip(design.random, included, strict=True):
        factors += term.term.effects.factors if wanted else ()
    return list(dict.fromkeys(factors))


def _group_variables(design: Design, included: Sequence[bool]) -> list[str]:
    """Return the variables of the grouping factors of the included terms."""
    wanted = [term for term, one in zip(design.random, included, strict=True) if one]
    return list(dict.fromkeys(name for term in wanted for name in term.term.factors))


def _group_calls(design: Design, included: Sequence[bool]) -> list[Factor]:
    """Return the grouping variables of the included terms that are expressions."""
    calls = design.formula.group_calls
    return [Factor(name, True) for name in _group_variables(design, included) if name in calls]


def _read(design: Design, columns: Columns, included: Sequence[bool]) -> dict[str, Column]:
    """Read every column needed; return those the variables are made of."""
    factors = [*design.formula.offsets, *_effect_factors(design, included)]
    factors += _group_calls(design, included)
    read = {}
    for name in dict.fromkeys(name for factor in factors for name in factor_names(factor)):
        if name in columns:
            read[name] = columns.column(name)
        elif name not in design.encoders.context and not is_constant(name):
            columns.require(name, f"needed to predict from `{design.formula.text}`")
    for name in _group_variables(design, included):
        if name not in design.formula.group_calls:
            columns.require(name, "a grouping factor of the model")
            columns.grouping(name)
    return read


def _evaluate(
    design: Design, used: dict[str, Column], n: int, included: Sequence[bool]
) -> dict[Factor, Variable]:
    """Evaluate effects, offsets and grouping expressions on all rows."""
    factors = [*_effect_factors(design, included), *design.formula.offsets]
    factors += _group_calls(design, included)
    values = design.encoders.evaluate(factors, used, n)
    return {factor: values[factor.name] for factor in factors}


def _offset_argument(design: Design, columns: Columns, offset: Any) -> FloatArray | None:
    """Return the part of the offset that is not in the formula, (n_rows,)."""
    source = design.offset_source if offset is None else offset
    if source is None:
        return None
    if isinstance(source, str):
        if source == "(array)":
            raise DesignError(
                "the model was fitted with an offset given as values, which are unknown for the "
                "new data: pass theirs with offset="
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


def _complete(
    columns: Columns, values: Mapping[Factor, Variable], offset: FloatArray | None
) -> Mask | None:
    """Return the mask of rows that miss no value, or None if none does."""
    masks = [column.missing() for read in columns.read().values() for column in read]
    masks += [one.missing() for factor, one in values.items() if factor.is_expression]
    missing = [mask for mask in masks if mask is not None]
    if offset is not None:
        missing.append(np.isnan(offset))
    incomplete = reduce(np.logical_or, missing, np.zeros(columns.n_rows, dtype=np.bool_))
    return ~incomplete if incomplete.any() else None


# ------------------------------------------------------------------------------------ offsets


def _sum_offsets(
    design: Design, values: Mapping[Factor, Variable], given: FloatArray | None
) -> FloatArray | None:
    """Add up the ``offset(...)`` terms and the argument."""
    parts = [] if given is None else [given]
    for factor in design.formula.offsets:
        variable = values[factor]
        if not isinstance(variable, NumericColumn):
            raise DesignError(f"the offset '{factor.name}' is not numeric in newdata: convert it")
        parts.append(variable.values)
    return reduce(np.add, parts) if parts else None


# --------------------------------------------------------------------------- grouping factors


def _group_codes(
    design: Design,
    columns: Columns,
    values: Mapping[Factor, Variable],
    included: Sequence[bool],
) -> tuple[tuple[CodeArray, ...], dict[str, list[str]]]:
    """Return the fitted levels of the rows by factor, and the labels of those not fitted."""
    used = {
        term.factor: term.term.factors
        for term, wanted in zip(design.random, included, strict=True)
        if wanted
    }
    variables = _group_variables(design, included)
    calls = _group_calls(design, included)
    made = {call.name: grouping_of(call.name, values[call]) for call in calls}
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
