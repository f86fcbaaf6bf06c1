"""Design: from a formula and a data frame to response, model matrices and grouping factors.

Rows are left out in this order: rows with a missing value in any column used, rows of weight zero,
rows in which an expression of the formula gave a missing value. What is left is what is fitted, and
nothing that was left out counts: not for n, not for the levels of factors.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from formulaic import ModelSpec, ModelSpecs
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import Contrasts

from .arguments import is_word
from .columns import (
    Column,
    Columns,
    FactorColumn,
    FloatArray,
    Mask,
    NumericColumn,
    in_order_of,
)
from .data_checks import check_effects
from .errors import DesignError, FormulaError
from .formula import DotError, ParsedFormula, RandomTerm, parse_formula
from .grouping import GroupingFactor, GroupingFactors
from .model_matrix import (
    Matrix,
    PlainMatrices,
    Prototype,
    evaluate,
    evaluate_plain,
    resolve_contrasts,
    to_frame,
)
from .read_only import ReadOnly
from .values import numbers

__all__ = ["Design", "GroupingFactor", "RandomEffects", "build_design"]

NaAction = Literal["drop", "raise"]


@dataclass(frozen=True, eq=False)
class RandomEffects(ReadOnly):
    """The model matrix Z of one random-effects term, stored by columns.

    Attributes
    ----------
    term
        The term of the formula.
    factor
        Position of its grouping factor in `Design.factors`.
    names
        The k columns' names; ``(Intercept)`` for the constant.
    columns
        k arrays, (n,) float64 contiguous; None for the constant 1.
    """

    term: RandomTerm
    factor: int
    names: tuple[str, ...]
    columns: tuple[FloatArray | None, ...]


@dataclass(frozen=True, eq=False)
class Design(ReadOnly):
    """Everything a fit needs to know of formula and data.

    Attributes
    ----------
    formula
        The parsed formula.
    X
        (n, p) fixed-effects model matrix in Fortran order, aliased columns included.
    x_names
        The p columns' names.
    y
        (n,) the response, offset not subtracted.
    response_name
        The response as written.
    offset
        (n,) known part of the linear predictor, or None.
    weights
        (n,) precision weights, all positive, or None.
    factors
        The grouping factors, each once, in the order the random-effects terms use them.
    random
        The random-effects terms in lme4's order: as written if the numbers of levels never
        increase, else by decreasing number of levels.
    row_labels
        (n_rows,) the labels of all rows of the data.
    n_rows
        Rows of the data.
    n_missing
        Rows left out because of missing values.
    n_zero_weight
        Rows left out because their weight is zero.
    kept
        (n_rows,) which rows are used; None for all of them.
    variables
        The columns the response, effects and offsets are made of, by name: (n,) each, the rows
        used (R's model frame).
    offset_source
        What the argument ``offset`` was: a column's name, ``"(array)"`` for values, or None.
    """

    formula: ParsedFormula
    X: FloatArray
    x_names: tuple[str, ...]
    y: FloatArray
    response_name: str
    offset: FloatArray | None
    weights: FloatArray | None
    factors: tuple[GroupingFactor, ...]
    random: tuple[RandomEffects, ...]
    row_labels: pd.Index = field(repr=False)
    n_rows: int
    n_missing: int
    n_zero_weight: int
    kept: Mask | None = field(repr=False)
    variables: Mapping[str, Column] = field(repr=False)
    offset_source: str | None = field(repr=False)
    _term_order: tuple[int, ...] = field(repr=False)
    _specs: ModelSpecs | Prototype = field(repr=False)

    @property
    def n(self) -> int:
        """Number of observations used."""
        return int(self.y.shape[0])

    @property
    def p(self) -> int:
        """Number of columns of X, aliased ones included."""
        return int(self.X.shape[1])

    @property
    def is_weighted(self) -> bool:
        """Whether there are weights."""
        return self.weights is not None

    @cached_property
    def triangle(self) -> FloatArray:
        """(min(n, p), p) R of X = QR, aliased columns included: X without its rows."""
        return np.asarray(np.linalg.qr(self.X, mode="r"))

    @cached_property
    def index(self) -> pd.Index:
        """(n,) labels of the rows used."""
        return self.row_labels if self.kept is None else self.row_labels[self.kept]

    @cached_property
    def specs(self) -> ModelSpecs:
        """Formulaic's model specs of all parts, which remember levels, contrasts and transforms."""
        return self._specs.specs() if isinstance(self._specs, Prototype) else self._specs

    @property
    def fixed_spec(self) -> ModelSpec:
        """Formulaic's model spec of X."""
        return self.specs.fixed

    @property
    def random_specs(self) -> tuple[ModelSpec, ...]:
        """Formulaic's model specs of the random-effects terms, in the order of `random`."""
        return tuple(self.specs.random[i] for i in self._term_order)

    @property
    def offset_specs(self) -> tuple[ModelSpec, ...]:
        """Formulaic's model specs of the ``offset(...)`` terms."""
        return tuple(self.specs.offset)

    def frame(self, data: Any) -> pd.DataFrame:
        """Return new data as a frame the model specs can be applied to.

        Parameters
        ----------
        data
            Whatever `build_design` accepts. Columns of the formula it lacks are left out.
        """
        columns = Columns(data)
        names = [name for name in self.formula.variables if name in columns]
        return to_frame(self.formula, {name: columns.column(name) for name in names})


# ------------------------------------------------------------------------- columns to be used


def _parse(formula: str | ParsedFormula, columns: Columns, mixed: bool) -> ParsedFormula:
    """Parse a formula; its ``.``, if it has one, stands for columns of these data."""
    if isinstance(formula, ParsedFormula):
        return parse_formula(formula.text, formula.columns, mixed)
    if not isinstance(formula, str):
        raise FormulaError(f"the formula must be a string, not {type(formula).__name__}")
    try:
        return parse_formula(formula, mixed=mixed)
    except DotError:
        return parse_formula(formula, tuple(str(name) for name in columns.names), mixed)


def _read_columns(parsed: ParsedFormula, columns: Columns) -> None:
    """Read every column the formula uses; refuse unknown ones."""
    for name in parsed.model_columns:
        columns.require(name, f"used in `{parsed.text}`")
        if name in TRANSFORMS:
            raise DesignError(f"column '{name}' has the name of a function of formulas: rename it")
        columns.column(name)
    for name in parsed.expression_names:
        if name in columns:
            columns.column(name)
        elif name not in TRANSFORMS and not hasattr(builtins, name):
            columns.require(name, f"used in `{parsed.text}`")
    for name in parsed.group_columns:
        columns.require(name, "a grouping factor")
        columns.grouping(name)


def _vector(values: Any, role: str, columns: Columns) -> FloatArray | None:
    """Return weights or offset, given by column name or as values, as (n_rows,) float64."""
    if values is None:
        return None
    if isinstance(values, str):
        columns.require(values, f"the {role}")
        column = columns.peek(values)
        if not isinstance(column, NumericColumn):
            raise DesignError(f"the {role} column '{values}' is not numeric")
        return column.values
    vector = numbers(in_order_of(values, columns.index, role), f"the {role}")
    if vector.shape != (columns.n_rows,):
        size = f"{vector.size} values" if vector.ndim == 1 else f"shape {vector.shape}"
        raise DesignError(
            f"the {role} must have one value for each of the {columns.n_rows} rows of the data, "
            f"not {size}"
        )
    return vector


# ---------------------------------------------------------------------------- rows to be used


@dataclass
class _Rows:
    """Which rows are used, narrowed step by step.

    Attributes
    ----------
    kept
        (n_rows,) mask of the rows still used, or None while that is all of them.
    n_missing
        Rows left out because of missing values so far.
    n_zero_weight
        Rows left out because their weight is zero.
    """

    kept: Mask | None = None
    n_missing: int = 0
    n_zero_weight: int = 0

    def drop(self, dropped: Mask) -> int:
        """Leave out rows among those still used; return how many."""
        if self.kept is None:
            self.kept = ~dropped
        else:
            self.kept[np.flatnonzero(self.kept)[dropped]] = False
        return int(np.count_nonzero(dropped))


@dataclass
class _Given:
    """The data on their way into the design: columns, weights and offset of the rows still used."""

    columns: Columns
    weights: FloatArray | None
    offset: FloatArray | None
    rows: _Rows

    def drop(self, dropped: Mask) -> int:
        """Leave out rows; return how many."""
        kept = ~dropped
        self.columns.take(kept)
        self.weights = None if self.weights is None else self.weights[kept]
        self.offset = None if self.offset is None else self.offset[kept]
        return self.rows.drop(dropped)


def _missing(given: _Given) -> dict[str, Mask]:
    """Return the masks of missing values, by the name of what has them."""
    masks = {}
    for name, columns in given.columns.read().items():
        for column in columns:
            mask = column.missing()
            if mask is not None:
                masks[f"column '{name}'"] = mask
    if given.offset is not None and np.isnan(given.offset).any():
        masks["the offset"] = np.isnan(given.offset)
    return masks


def _drop_missing(given: _Given, na_action: str) -> None:
    """Leave out the rows that miss a value anywhere, or refuse them."""
    masks = _missing(given)
    if not masks:
        return
    counts = ", ".join(f"{name} ({np.count_nonzero(mask)} rows)" for name, mask in masks.items())
    if na_action == "raise":
        raise DesignError(
            f"missing values in {counts}: fill them, or leave the rows out with na_action='drop'"
        )
    dropped = np.logical_or.reduce(list(masks.values()))
    if dropped.all():
        raise DesignError(f"no row is left: every row has a missing value, in {counts}")
    given.rows.n_missing += given.drop(dropped)


def _drop_zero_weights(given: _Given) -> None:
    """Check the weights and leave out the rows whose weight is zero."""
    weights = given.weights
    if weights is None or (np.isfinite(weights).all() and weights.min() > 0):
        return
    for problem, mask in (
        ("missing (NaN)", np.isnan(weights)),
        ("infinite", np.isinf(weights)),
        ("negative", weights < 0),
    ):
        if mask.any():
            raise DesignError(
                f"{np.count_nonzero(mask)} of the weights are {problem}: weights must be numbers "
                "above zero (rows of weight zero are left out)"
            )
    dropped = weights == 0
    if dropped.all():
        raise DesignError("no row is left: every weight is zero")
    given.rows.n_zero_weight = given.drop(dropped)


# ------------------------------------------------------------------------------ model matrices


@dataclass(frozen=True, eq=False)
class _Parts:
    """The evaluated formula: response, matrices, sum of ``offset(...)`` terms, specs."""

    response: FloatArray
    fixed: Matrix
    random: tuple[Matrix, ...]
    offset: FloatArray | None
    groups: dict[str, FactorColumn]
    specs: ModelSpecs | Prototype


def _used_columns(parsed: ParsedFormula, columns: Columns) -> dict[str, Column]:
    """Return the columns of the model, unused levels dropped; refuse factors of one level."""
    used: dict[str, Column] = {}
    for name in parsed.model_columns + parsed.expression_names:
        if name not in columns:
            continue
        column = columns.column(name)
        used[name] = column.without_unused() if isinstance(column, FactorColumn) else column
    for name in parsed.model_columns:
        column = used[name]
        if isinstance(column, FactorColumn) and len(column.levels) < 2:
            raise DesignError(
                f"column '{name}' has one level only ('{column.levels[0]}') in the rows used, so "
                "it has no effect to estimate: leave it out of the formula"
            )
    return used


def _numeric(column: Column, name: str, role: str) -> FloatArray:
    """Return a column that must hold numbers."""
    if isinstance(column, NumericColumn):
        return column.values
    what = "labels" if isinstance(column, FactorColumn) else "neither numbers nor labels"
    raise DesignError(f"the {role} '{name}' is not numeric, it holds {what}: convert it to numbers")


def _plain_parts(
    parsed: ParsedFormula, used: dict[str, Column], contrasts: dict[str, Contrasts]
) -> _Parts | None:
    """Evaluate a formula of data columns and elementwise arithmetic; None if it needs formulaic."""
    columns = evaluate_plain(parsed, used)
    if columns is None:
        return None
    matrices = PlainMatrices(columns, contrasts)
    offsets = [_numeric(columns[f.expr], f.expr, "offset") for f in parsed.offsets]
    return _Parts(
        _numeric(columns[parsed.response_name], parsed.response_name, "response"),
        matrices.make(parsed.fixed),
        tuple(matrices.make(term.effects) for term in parsed.random),
        reduce(np.add, offsets) if offsets else None,
        {},
        Prototype.of(parsed, used, contrasts),
    )


def _evaluated_parts(
    parsed: ParsedFormula, given: _Given, contrasts: dict[str, Contrasts], na_action: str
) -> _Parts:
    """Evaluate a formula by formulaic, leaving out rows in which an expression is missing."""
    evaluated = evaluate(parsed, _used_columns(parsed, given.columns), contrasts)
    groups, at = evaluated.groups, evaluated.dropped
    if at.size:
        if na_action == "raise":
            raise DesignError(
                f"an expression of `{parsed.text}` is missing (NaN) in {at.size} rows: correct the "
                "data, or leave the rows out with na_action='drop'"
            )
        dropped = np.zeros(given.columns.n_used, dtype=np.bool_)
        dropped[at] = True
        if dropped.all():
            raise DesignError(
                f"no row is left: an expression of `{parsed.text}` is missing everywhere"
            )
        given.rows.n_missing += given.drop(dropped)
        groups = {name: column.take(~dropped) for name, column in groups.items()}
    return _Parts(
        evaluated.response,
        evaluated.fixed,
        evaluated.random,
        evaluated.offset,
        groups,
        evaluated.specs,
    )


def _check_finite(named: Iterable[tuple[str, FloatArray | None]]) -> None:
    """Refuse infinite values, which are never dropped."""
    for name, values in named:
        if values is not None and not np.isfinite(values).all():
            n = np.count_nonzero(~np.isfinite(values))
            raise DesignError(
                f"{name} has {n} infinite values: correct them, or make them missing (NaN) to "
                "leave the rows out"
            )


def _check_response(name: str, y: FloatArray) -> None:
    if y.min() == y.max():
        raise DesignError(f"the response '{name}' is constant ({y[0]:g}): there is nothing to fit")


# ----------------------------------------------------------------------------- random effects


def _lme4_order(n_levels: list[int]) -> list[int]:
    """Return lme4's order of terms: rev(order(nl)) where the numbers of levels ever increase."""
    if all(a >= b for a, b in pairwise(n_levels)):
        return list(range(len(n_levels)))
    return sorted(range(len(n_levels)), key=n_levels.__getitem__)[::-1]


def _check_factor(factor: GroupingFactor, n: int) -> None:
    """Refuse a grouping factor with one level, or with a level for every observation."""
    if factor.n_levels < 2:
        raise DesignError(
            f"the grouping factor '{factor.name}' has one level only ('{factor.levels[0]}'): a "
            "random effect needs at least two levels; remove its term"
        )
    if factor.n_levels < n:
        return
    if len(factor.variables) == 1 and factor.variables[0].dtype.kind == "f":
        raise DesignError(
            f"the grouping factor '{factor.name}' is numeric with a different value in each of the "
            f"{n} rows: it looks like a measurement; did you mean `({factor.name} | group)`?"
        )
    raise DesignError(
        f"the grouping factor '{factor.name}' has {factor.n_levels} levels for {n} observations: "
        "it must have fewer, or its effects cannot be told from the residuals"
    )


def _check_term(term: RandomTerm, factor: GroupingFactor, k: int, n: int) -> None:
    """Refuse a term with as many random effects as there are observations (lme4's rule)."""
    if factor.n_levels * k >= n:
        raise DesignError(
            f"the random-effects term `{term}` has {factor.n_levels * k} random effects ({k} for "
            f"each of {factor.n_levels} levels) for {n} observations: it must have fewer; simplify "
            "the term"
        )


def _random_effects(
    parsed: ParsedFormula, given: _Given, parts: _Parts, shared: dict[int, FloatArray], n: int
) -> tuple[tuple[GroupingFactor, ...], tuple[RandomEffects, ...], tuple[int, ...]]:
    """Return the grouping factors, the terms in lme4's order, and that order."""
    columns = {name: given.columns.grouping(name) for name in parsed.group_columns} | parts.groups
    maker = GroupingFactors(columns)
    made = [maker.make(term.factors, term.group) for term in parsed.random]
    for factor in made:
        _check_factor(factor, n)
    order = _lme4_order([factor.n_levels for factor in made])
    factors = {made[i].name: made[i] for i in order}
    position = {name: i for i, name in enumerate(factors)}
    random = []
    for i in order:
        term, matrix = parsed.random[i], parts.random[i]
        _check_term(term, made[i], len(matrix.names), n)
        held = tuple(shared.get(id(column), column) for column in matrix.columns)
        random.append(RandomEffects(term, position[term.group], matrix.names, held))
    return tuple(factors.values()), tuple(random), tuple(order)


def _source(argument: Any) -> str | None:
    """Say where the argument ``offset`` came from: a column, values, or nowhere."""
    return argument if argument is None or isinstance(argument, str) else "(array)"


def _total_offset(parts: _Parts, given: _Given) -> FloatArray | None:
    """Return the sum of the ``offset(...)`` terms and the argument ``offset``."""
    if parts.offset is None or given.offset is None:
        return given.offset if parts.offset is None else parts.offset
    return parts.offset + given.offset


def build_design(
    formula: str | ParsedFormula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: NaAction = "drop",
    mixed: bool = True,
) -> Design:
    """Build the design of a linear mixed model, or of a linear model.

    Parameters
    ----------
    formula
        Model formula in lme4's grammar, or one already parsed.
    data
        A pandas data frame, a dict of columns, or any frame narwhals reads (polars, pyarrow, ...).
        Strings, booleans and categoricals are factors; a grouping factor may also be numeric.
    weights
        (n_rows,) precision weights, or the name of a column: Var(e_i) = sigma^2 / w_i. Rows of
        weight zero are left out before anything is counted.
    offset
        (n_rows,) known part of the linear predictor, or the name of a column; added to the
        ``offset(...)`` terms of the formula.
    contrasts
        Column name to contrasts: R's names (``"contr.sum"``), formulaic's objects, or a matrix.
        Default: treatment contrasts, polynomial ones for ordered pandas categoricals, as in R.
    na_action
        ``"drop"`` leaves out the rows that miss a value in any column used (NaN weights are an
        error); ``"raise"`` refuses them.
    mixed
        Whether the formula must have random-effects terms, or must have none.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        If the formula is malformed.
    DesignError
        If the data do not fit the formula, or give no model that can be fitted; the message names
        the column or term and says what to do.
    """
    if not is_word(na_action, ("drop", "raise")):
        raise DesignError(f"na_action must be 'drop' or 'raise', not {na_action!r}")
    columns = Columns(data)
    parsed = _parse(formula, columns, mixed)
    if not columns.n_rows:
        raise DesignError("the data have no rows")
    _read_columns(parsed, columns)
    chosen = resolve_contrasts(contrasts, parsed.variables)
    given = _Given(
        columns, _vector(weights, "weights", columns), _vector(offset, "offset", columns), _Rows()
    )
    _drop_missing(given, na_action)
    _drop_zero_weights(given)
    check_effects(columns, parsed.model_columns, mixed)
    used = _used_columns(parsed, columns)
    parts = _plain_parts(parsed, used, chosen) if parsed.is_plain else None
    if parts is None:
        parts = _evaluated_parts(parsed, given, chosen, na_action)
    return _assemble(parsed, given, parts, offset)


def _model_frame(parsed: ParsedFormula, columns: Columns) -> dict[str, Column]:
    """Return the columns of response, effects and offsets, by name."""
    names = parsed.model_columns + parsed.expression_names
    return {name: columns.column(name) for name in names if name in columns}


def _assemble(parsed: ParsedFormula, given: _Given, parts: _Parts, offset_given: Any) -> Design:
    """Check the parts of a design and put them together."""
    y, name = parts.response, parsed.response_name
    offset = _total_offset(parts, given)
    _check_finite([(f"the response '{name}'", y), ("the offset", offset)])
    for matrix in (parts.fixed, *parts.random):
        named = zip(matrix.names, matrix.columns, strict=True)
        _check_finite((f"column '{name}' of the model matrix", values) for name, values in named)
    _check_response(name, y)
    X = parts.fixed.to_array(y.size)
    shared = {
        id(column): X[:, j] for j, column in enumerate(parts.fixed.columns) if column is not None
    }
    factors, random, order = _random_effects(parsed, given, parts, shared, y.size)
    rows = given.rows
    return Design(
        formula=parsed,
        X=X,
        x_names=parts.fixed.names,
        y=y,
        response_name=name,
        offset=offset,
        weights=given.weights,
        factors=factors,
        random=random,
        row_labels=given.columns.index,
        n_rows=given.columns.n_rows,
        n_missing=rows.n_missing,
        n_zero_weight=rows.n_zero_weight,
        kept=rows.kept,
        variables=_model_frame(parsed, given.columns),
        offset_source=_source(offset_given),
        _term_order=order,
        _specs=parts.specs,
    )
