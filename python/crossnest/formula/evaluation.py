"""Evaluation of expressions: from data columns to the values of a variable of the model.

An expression is evaluated by walking its syntax tree. What a stateful function learned stands in
`Evaluator.states` under the text of its call, so that rows to predict at pass through the functions
as the rows of the fit did.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..base.errors import DesignError, FormulaError
from ..base.values import inexact
from ..data.columns import (
    Column,
    FactorColumn,
    FloatArray,
    Mask,
    NumericColumn,
    OtherColumn,
    as_factor,
)
from ..data.columns import _read as read_column
from .contrasts import CONTRASTS, Specification, as_specification
from .expression import call_name, parse_expression, plain_name, unparse
from .functions import CONSTANTS, ELEMENTWISE, STATEFUL, State

__all__ = ["Coded", "Evaluator", "MatrixColumn", "Variable", "is_constant", "is_function"]


@dataclass(frozen=True, eq=False)
class MatrixColumn:
    """A variable of several numeric columns, such as ``poly(x, 2)``.

    Attributes
    ----------
    values
        (n, k) in Fortran order, missing values NaN.
    """

    values: FloatArray

    def missing(self) -> Mask | None:
        """Return the mask of rows with a missing value, or None if there are none."""
        mask: Mask = np.asarray(np.isnan(self.values).any(axis=1))
        return mask if mask.any() else None

    def take(self, kept: Mask) -> MatrixColumn:
        """Return the rows of a mask."""
        return MatrixColumn(np.asfortranarray(self.values[kept]))


@dataclass(frozen=True, eq=False)
class Coded:
    """A factor with contrasts of its own: ``C(f, contr.sum)``.

    Attributes
    ----------
    factor
        The labels.
    contrasts
        How they are coded.
    """

    factor: FactorColumn
    contrasts: Specification

    def missing(self) -> Mask | None:
        """Return the mask of missing labels, or None if there are none."""
        return self.factor.missing()

    def take(self, kept: Mask) -> Coded:
        """Return the rows of a mask."""
        return replace(self, factor=self.factor.take(kept))


#: What an expression can give: numbers, labels, a matrix, labels with contrasts.
Variable = NumericColumn | FactorColumn | OtherColumn | MatrixColumn | Coded


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass
class Evaluator:
    """Evaluates expressions on columns of one length.

    Attributes
    ----------
    columns
        (n,) columns by name.
    n
        Number of rows.
    states
        What stateful functions learned, by the text of the call. While `learning`, calls that are
        not among them are added.
    context
        The user's own functions and constants by name.
    learning
        Whether these are the rows of the fit.
    """

    columns: Mapping[str, Column]
    n: int
    states: dict[str, State] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    learning: bool = False

    def variable(self, expression: str) -> Variable:
        """Evaluate an expression to a variable of the model.

        Raises
        ------
        DesignError
            If it cannot be evaluated on these columns; the message says which part.
        """
        try:
            with np.errstate(all="ignore"):
                value = self._value(parse_expression(expression))
                return self._as_variable(value)
        except (DesignError, FormulaError):
            raise
        except _EXPECTED as error:
            raise DesignError(f"cannot evaluate `{expression}`: {_reason(error)}") from error

    def _as_variable(self, value: Any) -> Variable:
        """Spread a value over every row."""
        if isinstance(value, (NumericColumn, FactorColumn, OtherColumn, MatrixColumn, Coded)):
            return value
        if callable(value) or isinstance(value, (str, list)) or value is None:
            raise TypeError("it does not give one value for each row")
        array = np.asarray(value)
        if array.ndim == 0:
            array = np.full(self.n, array)
        if array.dtype == np.bool_:
            return _logical(array)
        return NumericColumn(np.array(array, dtype=np.float64))

    # ---------------------------------------------------------------------------- the tree

    def _value(self, node: ast.expr) -> Any:
        """Evaluate a part of an expression."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._name(plain_name(node.id))
            case ast.List() | ast.Tuple():
                return [self._value(part) for part in node.elts]
            case ast.BinOp():
                return _BINARY[type(node.op)](self._number(node.left), self._number(node.right))
            case ast.UnaryOp(op=ast.Not()):
                return ~self._truth(node.operand)
            case ast.UnaryOp():
                value = self._number(node.operand)
                return -value if isinstance(node.op, ast.USub) else value
            case ast.BoolOp():
                combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                return reduce(combine, [self._truth(part) for part in node.values])
            case ast.Compare():
                return self._compare(node)
            case ast.Subscript():
                return self._one_column(node)
            case ast.Call():
                return self._call(node)
        raise TypeError(f"`{unparse(node)}` has no value")

    def _name(self, name: str) -> Any:
        """Return a column, what the user passed, or a constant, in this order."""
        if name in self.columns:
            return self.columns[name]
        if name in self.context:
            return self.context[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        if name in CONTRASTS:
            return CONTRASTS[name]()
        raise DesignError(f"there is no column '{name}' in the data")

    def _number(self, node: ast.expr) -> Any:
        """Evaluate to numbers, (n,) or one."""
        return _as_number(self._value(node), unparse(node))

    def _truth(self, node: ast.expr) -> Any:
        """Evaluate to truth values."""
        return np.asarray(self._number(node)).astype(np.bool_)

    def _one_column(self, node: ast.Subscript) -> Any:
        """Return one column of a matrix, counted from 1 as R does."""
        assert isinstance(node.slice, ast.Tuple) and isinstance(node.slice.elts[1], ast.Constant)
        value, which = self._value(node.value), node.slice.elts[1].value
        columns = value.values.T if isinstance(value, MatrixColumn) else [_as_number(value, "it")]
        if not isinstance(which, int) or not 1 <= which <= len(columns):
            raise ValueError(
                f"`{unparse(node.value)}` has {len(columns)} columns, no [, {which!r}]"
            )
        return columns[which - 1]

    def _compare(self, node: ast.Compare) -> Any:
        """Compare row by row; chains such as ``1 < x < 3`` hold where each link does."""
        sides = [node.left, *node.comparators]
        links = zip(node.ops, sides, sides[1:], strict=False)
        return reduce(np.logical_and, [self._link(op, a, b) for op, a, b in links])

    def _link(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        a, b = self._value(left), self._value(right)
        if isinstance(op, (ast.In, ast.NotIn)):
            among = _is_among(a, b if isinstance(b, list) else [b])
            return ~among if isinstance(op, ast.NotIn) else among
        if isinstance(op, (ast.Eq, ast.NotEq)):
            same = _equal(a, b)
            return same if isinstance(op, ast.Eq) else ~same
        return _COMPARE[type(op)](_as_number(a, unparse(left)), _as_number(b, unparse(right)))

    # ------------------------------------------------------------------------------- calls

    def _call(self, node: ast.Call) -> Any:
        name = call_name(node)
        if name in self.context:
            return self._own(self.context[name], node)
        if name in STATEFUL:
            return self._stateful(name, node)
        arguments = [self._value(part) for part in node.args]
        options = {_argument(word): self._value(word.value) for word in node.keywords}
        if name in _SPECIAL:
            return _SPECIAL[name](self, node, *arguments, **options)
        if name in CONTRASTS:
            return CONTRASTS[name](*arguments, **options)
        numbers = [
            _as_number(v, unparse(part)) for v, part in zip(arguments, node.args, strict=True)
        ]
        return ELEMENTWISE[name](*numbers, **options)

    def _stateful(self, name: str, node: ast.Call) -> Any:
        """Learn from these rows if they are those of the fit; apply what was learned."""
        function, key = STATEFUL[name], unparse(node)
        if not node.args:
            raise TypeError(f"`{key}` needs an argument")
        x = np.asarray(self._number(node.args[0]), dtype=np.float64)
        if x.shape != (self.n,):
            raise TypeError(f"`{unparse(node.args[0])}` is not one number for each row")
        if self.learning and key not in self.states:
            arguments = [self._value(part) for part in node.args[1:]]
            options = {_argument(word): self._value(word.value) for word in node.keywords}
            known = x[~np.isnan(x)]
            if not known.size:
                raise ValueError(f"`{unparse(node.args[0])}` is missing in every row")
            if not np.isfinite(known).all():
                raise ValueError(f"`{unparse(node.args[0])}` has infinite values")
            self.states[key] = function.learn(known, *arguments, **options)
        return _spread(x, lambda known: function.apply(known, self.states[key]))

    def learned(self, node: ast.Call, learn: Callable[[], State]) -> State:
        """Return what a call learned, learning it where these are the rows of the fit."""
        key = unparse(node)
        if self.learning and key not in self.states:
            self.states[key] = learn()
        return self.states[key]

    def _own(self, function: Any, node: ast.Call) -> Any:
        """Call a function the user passed; it gets arrays and gives one value for each row."""
        if not callable(function):
            raise TypeError(f"`{call_name(node)}` of the context is not a function")
        arguments = [_for_user(self._value(part)) for part in node.args]
        options = {_argument(word): self._value(word.value) for word in node.keywords}
        result = function(*arguments, **options)
        values = getattr(result, "values", result)
        shape = np.shape(values)
        if len(shape) not in (1, 2) or shape[0] != self.n:
            raise ValueError(
                f"`{call_name(node)}` returns values of shape {shape}, not one for each of the "
                f"{self.n} rows"
            )
        if len(shape) == 2:
            return MatrixColumn(np.asfortranarray(values, dtype=np.float64))
        return read_column(values, unparse(node))


#: Errors of functions on data that do not suit them; the message is passed on with the expression.
_EXPECTED = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, np.linalg.LinAlgError
)  # fmt: skip


def _reason(error: Exception) -> str:
    """Return the first line of a message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _argument(word: ast.keyword) -> str:
    assert word.arg is not None
    return plain_name(word.arg)


def is_function(name: str) -> bool:
    """Whether formulas have a function of this name."""
    return name in STATEFUL or name in ELEMENTWISE or name in _SPECIAL or name in CONTRASTS


def is_constant(name: str) -> bool:
    """Whether a name has a meaning in formulas where the data have no such column."""
    return name in CONSTANTS or name in CONTRASTS


# ------------------------------------------------------------------------------------- values


def _spread(x: FloatArray, apply: Callable[[FloatArray], FloatArray]) -> Any:
    """Apply a function to the values that are not missing; NaN for the others."""
    missing = np.isnan(x)
    if not missing.any():
        out = np.asarray(apply(x))
    else:
        known = np.asarray(apply(x[~missing]))
        out = np.full((x.size, *known.shape[1:]), np.nan)
        out[~missing] = known
    return MatrixColumn(np.asfortranarray(out)) if out.ndim == 2 else out


def _logical(values: npt.NDArray[np.bool_]) -> FactorColumn:
    """Return truth values as R's factor of FALSE and TRUE."""
    return FactorColumn(values.astype(np.int32), pd.Index([False, True]))


def _is_logical(column: FactorColumn) -> bool:
    return column.levels.dtype == np.bool_


def _as_number(value: Any, text: str) -> Any:
    """Return numbers, float (n,) or one; truth values count as 0 and 1."""
    if isinstance(value, NumericColumn):
        return value.values
    if isinstance(value, FactorColumn) and _is_logical(value):
        return _at_levels(value, value.levels.to_numpy(np.float64))
    if isinstance(value, MatrixColumn) and value.values.shape[1] == 1:
        return value.values[:, 0]
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype == np.bool_ else value
    if isinstance(value, (bool, int, float)):
        return np.float64(value)
    what = {
        FactorColumn: "labels",
        Coded: "labels",
        OtherColumn: "neither numbers nor labels",
        MatrixColumn: "several columns",
        str: "text",
    }.get(type(value), "no numbers")
    hint = ": use as.numeric() or a column of numbers" if what == "labels" else ""
    raise TypeError(f"`{text}` holds {what}, where numbers are needed{hint}")


def _at_levels(column: FactorColumn, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return for each row the value of its level, NaN where there is none."""
    return np.append(values, np.nan)[column.codes]


def _is_among(value: Any, wanted: list[Any]) -> Any:
    """Tell which rows have one of some labels or numbers."""
    if isinstance(value, Coded):
        value = value.factor
    if isinstance(value, FactorColumn):
        return np.append(value.levels.isin(wanted), False)[value.codes]
    return np.isin(_as_number(value, "it"), [float(one) for one in wanted])


def _equal(a: Any, b: Any) -> Any:
    """Compare numbers with numbers, labels with a label or with labels."""
    if isinstance(b, FactorColumn) and not isinstance(a, FactorColumn):
        a, b = b, a
    if isinstance(a, FactorColumn) and isinstance(b, FactorColumn):
        return (b.levels.get_indexer(a.levels)[a.codes] == b.codes) & (a.codes >= 0)
    if isinstance(a, FactorColumn):
        return _is_among(a, [b])
    return _as_number(a, "it") == _as_number(b, "it")


def _for_user(value: Any) -> Any:
    """Return a value as the user's own function gets it: an array, categorical or constant."""
    if isinstance(value, Coded):
        value = value.factor
    if isinstance(value, FactorColumn):
        if _is_logical(value):
            return np.asarray(value.levels)[value.codes]
        return pd.Categorical.from_codes(value.codes, value.levels, value.ordered)
    if isinstance(value, OtherColumn):
        return pd.Series(value.values)
    return value.values.copy() if isinstance(value, (NumericColumn, MatrixColumn)) else value


# ------------------------------------------------------------------- functions of labels and more


def _to_factor(value: Any, text: str) -> FactorColumn:
    """Return labels; the distinct numbers of a column of numbers."""
    if isinstance(value, Coded):
        return value.factor
    if isinstance(value, FactorColumn):
        return value
    if isinstance(value, OtherColumn):
        return as_factor(value.values, text)
    if isinstance(value, NumericColumn) and value.integer and value.missing() is None:
        # Whole numbers that float64 does not hold exactly are left to `as_factor` to refuse.
        exact = not inexact(value.values).any()
        return as_factor(value.values.astype(np.int64) if exact else value.values, text)
    numbers = np.asarray(_as_number(value, text))
    if numbers.ndim != 1:
        raise TypeError(f"`{text}` is not one value for each row")
    return as_factor(numbers, text)


def _with_levels(factor: FactorColumn, levels: Any, labels: Any = None) -> FactorColumn:
    """Put levels in a given order, under other labels if asked; other values are missing."""
    wanted = pd.Index(levels if isinstance(levels, list) else [levels])
    codes = np.append(wanted.get_indexer(factor.levels), -1)[factor.codes].astype(np.int32)
    if labels is not None:
        names = labels if isinstance(labels, list) else [labels]
        if len(names) != len(wanted):
            raise ValueError(f"there are {len(names)} labels for {len(wanted)} levels")
        wanted = pd.Index(names)
    if not wanted.is_unique:
        raise ValueError("a level is given twice")
    return FactorColumn(codes, wanted, factor.ordered, categorical=True)


def _factor(
    evaluator: Evaluator,
    node: ast.Call,
    x: Any,
    levels: Any = None,
    labels: Any = None,
    ordered: bool = False,
) -> FactorColumn:
    factor = _to_factor(x, unparse(node.args[0]))
    if levels is not None or labels is not None:
        known = evaluator.learned(
            node, lambda: {"levels": factor.levels.tolist() if levels is None else levels}
        )
        factor = _with_levels(factor, known["levels"], labels)
    return replace(
        factor, categorical=True, ordered=bool(ordered) or (factor.ordered and levels is None)
    )


def _coded(
    _: Evaluator, node: ast.Call, x: Any, contr: Any = None, levels: Any = None, **options: Any
) -> FactorColumn | Coded:
    """Return ``C(x, contrasts, levels=)``."""
    contr = options.pop("contrasts", contr)
    if options:
        raise TypeError(f"C has no argument '{next(iter(options))}'")
    factor = _to_factor(x, unparse(node.args[0]))
    if levels is not None:
        factor = _with_levels(factor, levels)
    if contr is None:
        return x if isinstance(x, Coded) and levels is None else factor
    return Coded(factor, as_specification(contr))


def _as_numeric(evaluator: Evaluator, node: ast.Call, x: Any) -> Any:
    """Return numbers: those a text holds, or the positions of a factor's levels, as in R."""
    if isinstance(x, Coded):
        x = x.factor
    if not isinstance(x, FactorColumn) or _is_logical(x):
        return _as_number(x, unparse(node.args[0]))
    state = evaluator.learned(
        node, lambda: {"levels": x.levels.tolist() if x.categorical else None}
    )
    if state["levels"] is not None:
        positions = pd.Index(state["levels"]).get_indexer(x.levels)
        if (positions < 0).any():
            label = x.levels[int(np.argmin(positions))]
            raise ValueError(f"`{unparse(node.args[0])}` was fitted without the level {label!r}")
        return _at_levels(x, positions + 1.0)
    numbers = pd.to_numeric(pd.Series(x.levels.astype(str)), errors="coerce").to_numpy(np.float64)
    if np.isnan(numbers).any():
        label = x.levels[int(np.isnan(numbers).argmax())]
        raise ValueError(f"`{unparse(node.args[0])}` has the text '{label}', which is not a number")
    return _at_levels(x, numbers)


def _relevel(evaluator: Evaluator, node: ast.Call, x: Any, ref: Any) -> FactorColumn:
    text = unparse(node.args[0])
    factor = _to_factor(x, text)
    levels = evaluator.learned(node, lambda: {"levels": factor.levels.tolist()})["levels"]
    if ref not in levels:
        raise ValueError(f"{ref!r} is not a level of `{text}`: it has {levels[:12]}")
    levels = [*levels, *(level for level in factor.levels if level not in levels)]
    return _with_levels(factor, [ref, *(level for level in levels if level != ref)])


def _interaction(
    _: Evaluator, node: ast.Call, *factors: Any, sep: str = ".", **options: Any
) -> FactorColumn:
    """Combine labels, the first factor's varying fastest, as R's ``interaction`` does."""
    options.pop("drop", None)
    if options or not factors:
        raise TypeError("interaction takes factors, `sep` and `drop`")
    parts = [_to_factor(f, unparse(n)) for f, n in zip(factors, node.args, strict=True)]
    codes, labels = parts[0].codes.astype(np.int64), parts[0].levels.astype(str)
    for part in parts[1:]:
        known = (codes >= 0) & (part.codes >= 0)
        codes = np.where(known, codes + len(labels) * part.codes.astype(np.int64), -1)
        labels = pd.Index([f"{a}{sep}{b}" for b in part.levels.astype(str) for a in labels])
        if len(labels) > _MAX_LEVELS:
            raise ValueError(f"there are more combinations of levels than {_MAX_LEVELS}")
    return FactorColumn(codes.astype(np.int32), labels, categorical=True)


_MAX_LEVELS = 1_000_000


def _cut(
    evaluator: Evaluator,
    node: ast.Call,
    x: Any,
    breaks: Any,
    labels: Any = None,
    right: bool = True,
    **options: Any,
) -> Any:
    """Cut numbers into intervals, labelled as R labels them; the factor is not ordered."""
    lowest = bool(options.pop("include.lowest", options.pop("include_lowest", False)))
    digits = int(options.pop("dig.lab", 3))
    if options:
        raise TypeError(f"cut has no argument '{next(iter(options))}'")
    values = np.asarray(_as_number(x, unparse(node.args[0])), dtype=np.float64)
    edges = np.asarray(evaluator.learned(node, lambda: _breaks(values, breaks))["breaks"])
    side = "left" if right else "right"
    codes = np.searchsorted(edges, values, side=side) - 1  # type: ignore[call-overload]
    if lowest:
        edge, code = (edges[0], 0) if right else (edges[-1], len(edges) - 2)
        codes = np.where(values == edge, code, codes)
    codes = np.where((codes >= 0) & (codes < len(edges) - 1) & ~np.isnan(values), codes, -1)
    if labels is False:
        return np.where(codes >= 0, codes + 1.0, np.nan)
    names = _interval_labels(edges, right, lowest, digits) if labels is None else labels
    if len(names) != len(edges) - 1:
        raise ValueError(f"there are {len(names)} labels for {len(edges) - 1} intervals")
    return FactorColumn(codes.astype(np.int32), pd.Index(names), categorical=True)


def _breaks(values: FloatArray, breaks: Any) -> State:
    """Return the edges of intervals; a number of them cuts the range evenly, as in R."""
    if isinstance(breaks, list):
        return {"breaks": sorted(float(one) for one in breaks)}
    count = int(breaks)
    if count < 2:
        raise ValueError("`breaks` must be edges, or a number of intervals of at least 2")
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    edges = np.linspace(low, high, count + 1)
    edges[[0, -1]] = low - (high - low) / 1000, high + (high - low) / 1000
    return {"breaks": edges.tolist()}


def _interval_labels(edges: FloatArray, right: bool, lowest: bool, digits: int) -> list[str]:
    for precision in range(digits, 16):
        texts = [f"{edge:.{precision}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            break
    opened, closed = ("(", "]") if right else ("[", ")")
    names = [f"{opened}{a},{b}{closed}" for a, b in pairwise(texts)]
    if lowest and right:
        names[0] = "[" + names[0][1:]
    elif lowest:
        names[-1] = names[-1][:-1] + "]"
    return names


def _identity(_: Evaluator, node: ast.Call, x: Any) -> Any:
    return x


def _combine(_: Evaluator, node: ast.Call, *values: Any) -> list[Any]:
    return list(values)


def _is_in(_: Evaluator, node: ast.Call, x: Any, values: Any) -> Any:
    return _is_among(x, values if isinstance(values, list) else [values])


_SPECIAL: Mapping[str, Callable[..., Any]] = {
    "I": _identity,
    "C": _coded,
    "factor": _factor,
    "as.factor": _factor,
    "ordered": lambda e, node, x, levels=None: _factor(e, node, x, levels, ordered=True),
    "as.numeric": _as_numeric,
    "as.integer": lambda e, node, x: np.trunc(_as_numeric(e, node, x)),
    "as.logical": lambda e, node, x: np.asarray(_as_number(x, "it")) != 0,
    "relevel": _relevel,
    "interaction": _interaction,
    "cut": _cut,
    "c": _combine,
    "np.isin": _is_in,
}
