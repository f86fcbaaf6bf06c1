"""Design: from a formula and a data frame to response, model matrices and grouping factors.

Every variable of the formula is evaluated on all rows of the data, as in R: the mean that ``scale``
takes off is that of every row in which its argument is known. Then rows are left out: first those
with a missing value in a column used or in a variable, then those of weight zero. What is left is
what is fitted, and nothing that was left out counts: not for n, not for the levels of factors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..base.arguments import is_word
from ..base.errors import ContrastsWarning, DesignError, FormulaError
from ..base.read_only import FrozenArrays, cached_property, frozen, hands_out_copies
from ..base.rows import MayLackRows
from ..base.values import numbers
from ..base.warn import warn_user
from ..data.columns import (
    Column,
    Columns,
    FactorColumn,
    FloatArray,
    Mask,
    NumericColumn,
    as_factor,
    in_order_of,
)
from ..data.data_checks import check_effects
from ..formula.contrasts import Specification, as_specification
from ..formula.covariance_structures import is_restricted
from ..formula.encoders import Encoded, Encoders, evaluate_variables, kind_of, learn_encoder
from ..formula.evaluation import Coded, Variable, is_constant
from ..formula.expression import name_coded_in
from ..formula.formula import DotError, Factor, ParsedFormula, RandomTerm, parse_formula
from ..formula.functions import State
from ..formula.model_matrix import Coding, Matrix, coding_of
from .grouping import GroupingFactor, GroupingFactors

__all__ = ["Design", "GroupingFactor", "RandomEffects", "build_design"]

NaAction = Literal["drop", "raise"]


@dataclass(frozen=True, eq=False, repr=False)
class RandomEffects(
    MayLackRows, FrozenArrays, per_row={"columns": "the model matrix of the random effects"}
):
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


@hands_out_copies("row_labels", "variables")
@dataclass(frozen=True, eq=False, repr=False)
class Design(
    MayLackRows,
    FrozenArrays,
    per_row={
        "X": "the model matrix",
        "y": "the response",
        "offset": "the offset",
        "weights": "the weights",
        "row_labels": "the rows' labels",
        "kept": "the rows fitted",
    },
):
    """Everything a fit needs to know about formula and data.

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
    encoders
        What was learned of the variables: new rows pass through it.
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
    encoders: Encoders = field(repr=False)

    @cached_property
    def n(self) -> int:
        """Number of observations used."""
        return int(self.y.shape[0])

    @property
    def p(self) -> int:
        """Number of columns of X, aliased ones included."""
        return len(self.x_names)

    @property
    def is_weighted(self) -> bool:
        """Whether there are weights."""
        return self.has("weights")

    def has(self, name: Literal["offset", "weights"]) -> bool:
        """Return whether there is an offset, or weights, even where the values are gone."""
        return vars(self).get(name, ()) is not None

    @cached_property
    def triangle(self) -> FloatArray:
        """(min(n, p), p) R of X = QR, aliased columns included: X without its rows."""
        return frozen(np.asarray(np.linalg.qr(self.X, mode="r")))

    @property
    def index(self) -> pd.Index:
        """(n,) labels of the rows used."""
        return self.row_labels if self.kept is None else self.row_labels[self.kept]

    @cached_property
    def coding(self) -> Coding:
        """How the columns of X are made of the variables."""
        return coding_of(self.formula.fixed, self.encoders)

    def coding_of(self, term: RandomTerm) -> Coding:
        """Return how the columns of a random-effects term are made of the variables."""
        return coding_of(term.effects, self.encoders)


# ------------------------------------------------------------------------- columns to be used


def _parse(
    formula: str | ParsedFormula, columns: Columns, mixed: bool, functions: frozenset[str]
) -> ParsedFormula:
    """Parse a formula; its ``.``, if it has one, stands for columns of these data."""
    if isinstance(formula, ParsedFormula):
        return parse_formula(formula.text, formula.columns, mixed, formula.functions | functions)
    if not isinstance(formula, str):
        raise FormulaError(f"the formula must be a string, not {type(formula).__name__}")
    try:
        return parse_formula(formula, None, mixed, functions)
    except DotError:
        names = tuple(str(name) for name in columns.names)
        return parse_formula(formula, names, mixed, functions)


def _read_columns(parsed: ParsedFormula, columns: Columns, context: Mapping[str, Any]) -> None:
    """Read every column the formula uses; refuse unknown ones."""
    role = f"used in `{parsed.text}`"
    for name in parsed.model_columns:
        columns.require(name, role)
        columns.column(name)
    for name in parsed.expression_names:
        if name in columns:
            columns.column(name)
        elif name not in context and not is_constant(name):
            columns.require(name, role)
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
    """The data on their way into the design: what is known about the rows still used."""

    columns: Columns
    weights: FloatArray | None
    offset: FloatArray | None
    rows: _Rows
    variables: dict[str, Variable] = field(default_factory=dict)
    groups: dict[str, FactorColumn] = field(default_factory=dict)

    def drop(self, dropped: Mask) -> int:
        """Leave out rows; return how many."""
        kept = ~dropped
        self.columns.take(kept)
        self.weights = None if self.weights is None else self.weights[kept]
        self.offset = None if self.offset is None else self.offset[kept]
        self.variables = {name: one.take(kept) for name, one in self.variables.items()}
        self.groups = {name: one.take(kept) for name, one in self.groups.items()}
        return self.rows.drop(dropped)


def _missing(given: _Given) -> dict[str, Mask]:
    """Return the masks of missing values, by the name of what has them."""
    masks = {}
    for name, columns in given.columns.read().items():
        for column in columns:
            mask = column.missing()
            if mask is not None:
                masks[f"column '{name}'"] = mask
    for name, variable in {**given.variables, **given.groups}.items():
        mask = variable.missing()
        if mask is not None:
            masks[f"the expression `{name}`"] = mask
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
        raise DesignError(f"no rows are left: every row has a missing value, in {counts}")
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
        raise DesignError("no rows are left: every weight is zero")
    given.rows.n_zero_weight = given.drop(dropped)


# ------------------------------------------------------------------------------ model matrices


@dataclass(frozen=True, eq=False)
class _Parts:
    """The evaluated formula: response, matrices, sum of ``offset(...)`` terms, encoders."""

    response: FloatArray
    fixed: Matrix
    random: tuple[Matrix, ...]
    offset: FloatArray | None
    encoders: Encoders


def _evaluate(given: _Given, parsed: ParsedFormula, context: Mapping[str, Any]) -> dict[str, State]:
    """Evaluate the expressions of the formula on all rows; return what functions learned."""
    if not parsed.expressions:
        return {}
    columns = {
        name: given.columns.column(name)
        for name in parsed.model_columns + parsed.expression_names
        if name in given.columns
    }
    groups = [Factor(name, True) for name in sorted(parsed.group_calls)]
    factors = [*(f for f in parsed.model_factors if f.is_expression), *groups]
    values, states = evaluate_variables(factors, columns, given.columns.n_rows, context)
    given.groups = {factor.name: grouping_of(factor.name, values[factor.name]) for factor in groups}
    given.variables = {f.name: values[f.name] for f in parsed.model_factors if f.is_expression}
    return states


def grouping_of(name: str, variable: Variable) -> FactorColumn:
    """Return a variable as a grouping factor: its labels, or its distinct numbers."""
    if isinstance(variable, Coded):
        return variable.factor
    if isinstance(variable, FactorColumn):
        return variable
    if not hasattr(variable, "values") or np.ndim(variable.values) != 1:
        raise DesignError(f"`{name}` gives several columns: it cannot be a grouping factor")
    return as_factor(variable.values, name)


def _variable(given: _Given, factor: Factor) -> Variable:
    """Return a variable's values in the rows used, unused levels dropped."""
    one: Variable
    one = (
        given.variables[factor.name] if factor.is_expression else given.columns.column(factor.name)
    )
    if isinstance(one, FactorColumn):
        return one.without_unused()
    if isinstance(one, Coded):
        return Coded(one.factor.without_unused(), one.contrasts)
    return one


def _numeric(variable: Variable, name: str, role: str) -> FloatArray:
    """Return a variable that must be one column of numbers."""
    if isinstance(variable, NumericColumn):
        return variable.values
    labels = isinstance(variable, (FactorColumn, Coded))
    what = "labels" if labels else "something other than one number per row"
    raise DesignError(f"the {role} '{name}' is not numeric, it holds {what}: convert it to numbers")


def _parts(
    parsed: ParsedFormula,
    given: _Given,
    contrasts: Mapping[str, Specification],
    states: Mapping[str, State],
    context: Mapping[str, Any],
) -> _Parts:
    """Learn the encoders from the rows used and make the matrices with them."""
    variables = {factor: _variable(given, factor) for factor in parsed.model_factors}
    learned = {f.name: learn_encoder(f, variables[f], contrasts) for f in parsed.effect_factors}
    kinds = {name: kind_of(columns[0]) for name, columns in given.columns.read().items()}
    encoders = Encoders(learned, states, kinds, dict(context))
    encoded: dict[str, Encoded] = {
        f.name: learned[f.name].encode(variables[f]) for f in parsed.effect_factors
    }
    offsets = [_numeric(variables[f], f.name, "offset") for f in parsed.offsets]
    return _Parts(
        _numeric(variables[parsed.response], parsed.response_name, "response"),
        coding_of(parsed.fixed, encoders).matrix(encoded),
        tuple(coding_of(term.effects, encoders).matrix(encoded) for term in parsed.random),
        reduce(np.add, offsets) if offsets else None,
        encoders,
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
    """Refuse a grouping factor with one level, or that is a measurement."""
    if factor.n_levels < 2:
        raise DesignError(
            f"the grouping factor '{factor.name}' has only one level ('{factor.levels[0]}'): a "
            "random effect needs at least two levels; remove its term"
        )
    numeric = len(factor.variables) == 1 and factor.variables[0].dtype.kind == "f"
    if factor.n_levels == n and numeric:
        raise DesignError(
            f"the grouping factor '{factor.name}' is numeric with a different value in each of the "
            f"{n} rows: it looks like a measurement; did you mean `({factor.name} | group)`?"
        )


def _check_term(term: RandomTerm, factor: GroupingFactor, k: int, n: int) -> None:
    """Refuse a term with as many random effects as there are observations (lme4's rule).

    Where a structure ties their variances together, these can be told from the residuals' even so,
    and of one effect for each observation the engine says whether it can.
    """
    tied = is_restricted(term.covariance) and factor.n_levels < n
    if k > 1 and factor.n_levels * k >= n and not tied:
        raise DesignError(
            f"the random-effects term `{term}` has {factor.n_levels * k} random effects ({k} for "
            f"each of {factor.n_levels} levels) for {n} observations: it must have fewer; simplify "
            "the term"
        )


def _random_effects(
    parsed: ParsedFormula, given: _Given, parts: _Parts, shared: dict[int, FloatArray], n: int
) -> tuple[tuple[GroupingFactor, ...], tuple[RandomEffects, ...], tuple[int, ...]]:
    """Return the grouping factors, the terms in lme4's order, and that order."""
    columns = {name: given.columns.grouping(name) for name in parsed.group_columns}
    columns |= given.groups
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
    context: Mapping[str, Any] | None = None,
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
        Column name to contrasts: R's names and calls (``"contr.sum"``,
        ``"contr.treatment(3, base=2)"``, ``"Treatment('b')"``), formulaic's objects, a matrix with
        one row for each level, or a data frame whose index are the levels. Default: treatment
        contrasts, polynomial ones for ordered pandas categoricals, as in R.
    na_action
        ``"drop"`` leaves out the rows that miss a value in any column used (NaN weights are an
        error); ``"raise"`` refuses them.
    mixed
        Whether the formula must have random-effects terms, or must have none.
    context
        Functions and constants of your own that the formula uses, by name. A function gets arrays
        and gives one value for each row, from that row alone.

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
    columns, context = Columns(data), check_context(context)
    parsed = _parse(formula, columns, mixed, frozenset(context))
    if not columns.n_rows:
        raise DesignError("the data have no rows")
    _read_columns(parsed, columns, context)
    chosen = resolve_contrasts(contrasts, parsed)
    given = _Given(
        columns, _vector(weights, "weights", columns), _vector(offset, "offset", columns), _Rows()
    )
    states = _evaluate(given, parsed, context)
    _drop_missing(given, na_action)
    _drop_zero_weights(given)
    check_effects(columns, parsed.model_columns, mixed)
    return _assemble(parsed, given, _parts(parsed, given, chosen, states, context), offset)


def check_context(context: Any) -> dict[str, Any]:
    """Check the user's own functions and constants."""
    if context is None:
        return {}
    names: list[Any] = list(context) if isinstance(context, Mapping) else [None]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("context must be a dict of functions and constants by name")
    return dict(context)


def resolve_contrasts(
    contrasts: Mapping[str, Any] | None, parsed: ParsedFormula
) -> dict[str, Specification]:
    """Return the contrasts of each variable named by the user; warn of those of no variable.

    Raises
    ------
    DesignError
        If contrasts are unknown.
    """
    if contrasts is None:
        return {}
    if not isinstance(contrasts, Mapping):
        raise TypeError(
            "contrasts must be a dict of contrasts by column, such as {'f': 'contr.sum'}, not "
            f"{type(contrasts).__name__}"
        )
    known = {factor.name for factor in parsed.effect_factors}
    known |= {name_coded_in(name) or "" for name in parsed.expressions}
    unused = [str(name) for name in contrasts if name not in known]
    if unused:
        warn_user(
            f"contrasts are given for {', '.join(map(repr, unused))}, which "
            f"{'is' if len(unused) == 1 else 'are'} not a factor of `{parsed.text}`: they are "
            "ignored",
            ContrastsWarning,
        )
    found = {}
    for name in [name for name in contrasts if name in known]:
        try:
            found[name] = as_specification(contrasts[name])
        except DesignError as error:
            raise DesignError(f"contrasts of column '{name}': {error}") from error
    return found


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
        encoders=parts.encoders,
    )
