"""Contrasts: how the levels of a factor become columns of a model matrix.

A user names contrasts in many ways (R's names and calls, formulaic's objects, matrices); `bind`
turns each into a `Contrasts`, plain data for the levels given. Coding by dummies, one column for
each level, is the same for every kind and is never left to the contrasts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.errors import DesignError
from .expression import call_name, parse_expression, plain_name
from .formulaic_parts import formulaic_contrasts

__all__ = [
    "CONTRASTS",
    "Contrasts",
    "Specification",
    "as_specification",
    "bind",
    "default_contrasts",
    "dummies",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contrasts:
    """The columns of a factor of k levels.

    Attributes
    ----------
    fields
        The m columns' names within the factor's.
    pattern
        How a column is named, such as ``"{name}[T.{field}]"``.
    matrix
        (k, m) the columns at each level; None for indicators of the levels in `fields`.
    positions
        (m,) which level each indicator is of; None where there is a matrix.
    """

    fields: tuple[Any, ...]
    pattern: str
    matrix: FloatArray | None = None
    positions: tuple[int, ...] | None = None

    def names(self, name: str) -> list[str]:
        """Return the names of the columns of the factor `name`."""
        return [self.pattern.format(name=name, field=field) for field in self.fields]

    def columns(self, codes: NDArray[np.integer[Any]]) -> list[FloatArray]:
        """Return the m columns, (n,) each, of observations with these levels."""
        if self.positions is not None:
            return [(codes == level).astype(np.float64) for level in self.positions]
        assert self.matrix is not None
        return [column[codes] for column in np.ascontiguousarray(self.matrix.T)]

    def dense(self, k: int) -> FloatArray:
        """Return the (k, m) matrix of the columns at each of the k levels."""
        return np.eye(k)[:, list(self.positions)] if self.positions is not None else self._given

    @property
    def _given(self) -> FloatArray:
        assert self.matrix is not None
        return self.matrix


#: From the levels of a factor to its contrasts.
Specification: TypeAlias = Callable[[Sequence[Any]], Contrasts]


def dummies(levels: Sequence[Any]) -> Contrasts:
    """Return the coding with one column for each level."""
    return Contrasts(tuple(levels), "{name}[{field}]", positions=tuple(range(len(levels))))


# ------------------------------------------------------------------------------ the known kinds


def _treatment(levels: Sequence[Any], base: Any = None, last: bool = False) -> Contrasts:
    """Return indicators of all levels but the base."""
    at = _base(levels, base, len(levels) - 1 if last else 0)
    positions = tuple(j for j in range(len(levels)) if j != at)
    fields = tuple(levels[j] for j in positions)
    return Contrasts(fields, "{name}[T.{field}]", positions=positions)


def _base(levels: Sequence[Any], base: Any, default: int) -> int:
    """Return the position of the reference level, given as a label or, from 1, as a position."""
    if base is None:
        return default
    for same in (_same_value, _same_text):
        found = [j for j, level in enumerate(levels) if same(level, base)]
        if found:
            return found[0]
    if isinstance(base, (int, float)) and base == int(base) and 1 <= base <= len(levels):
        return int(base) - 1
    raise DesignError(
        f"{base!r} cannot be the reference level: the levels are "
        f"{', '.join(repr(level) for level in list(levels)[:12])}"
    )


def _same_value(level: Any, base: Any) -> bool:
    return type(level) is not bool and bool(level == base)


def _same_text(level: Any, base: Any) -> bool:
    return isinstance(base, (str, bool)) and str(level) == str(base)


def _by_formulaic(made: Any, levels: Sequence[Any]) -> Contrasts:
    """Return the contrasts a formulaic object describes."""
    known = list(levels)
    if len(known) < 2:
        return Contrasts((), "{name}[{field}]", matrix=np.zeros((len(known), 0)))
    coding = made.get_coding_matrix(known, reduced_rank=True)
    matrix = np.asarray(coding, dtype=np.float64)
    fields = tuple(made.get_coding_column_names(known, reduced_rank=True))
    return Contrasts(fields, made.get_factor_format(known, reduced_rank=True), matrix)


def _by_matrix(matrix: Any, names: Sequence[Any] | None, levels: Sequence[Any]) -> Contrasts:
    """Return contrasts given as a matrix with one row for each level."""
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or len(values) != len(levels) or not values.shape[1]:
        raise DesignError(
            f"a matrix of contrasts of shape {values.shape} does not fit {len(levels)} levels: it "
            "needs one row for each level"
        )
    if not np.isfinite(values).all():
        raise DesignError("a matrix of contrasts must be of finite numbers")
    fields = range(1, values.shape[1] + 1) if names is None else names
    return Contrasts(tuple(fields), "{name}[{field}]", values)


def _by_frame(frame: pd.DataFrame, levels: Sequence[Any]) -> Contrasts:
    """Return contrasts given as a table: its index are the levels, in any order."""
    rows = frame.index.get_indexer(pd.Index(list(levels)))
    if (rows < 0).any() and frame.index.equals(pd.RangeIndex(len(levels))):
        rows = np.arange(len(levels))
    if (rows < 0).any():
        missing = [level for level, row in zip(levels, rows, strict=True) if row < 0]
        raise DesignError(
            f"the table of contrasts has no row for the levels {missing[:5]}: its index must hold "
            "the levels"
        )
    return _by_matrix(frame.to_numpy(dtype=np.float64)[rows], list(frame.columns), levels)


def _treatment_call(*arguments: Any, last: bool = False, **options: Any) -> Specification:
    """Read ``contr.treatment(k, base=2)`` as R does, ``Treatment('b')`` as patsy does."""
    unknown = set(options) - {"base", "reference", "contrasts", "n"}
    if unknown:
        raise TypeError(f"treatment contrasts have no argument '{unknown.pop()}'")
    base = options.get("base", options.get("reference"))
    if base is None and len(arguments) == 1 and "n" not in options:
        base = arguments[0]
    elif len(arguments) == 2:
        base = arguments[1]
    by_position = len(arguments) == (2 if options.get("base") is None else 1) or "n" in options
    if by_position and base is not None:
        return partial(_treatment_at, position=int(base))
    return partial(_treatment, base=base, last=last)


def _treatment_at(levels: Sequence[Any], position: int) -> Contrasts:
    """Return treatment contrasts whose reference is the level at a position, from 1."""
    if not 1 <= position <= len(levels):
        raise DesignError(f"there is no level {position} of {len(levels)} to be the reference")
    return _treatment(levels, levels[position - 1])


def _formulaic_call(kind: type[Any]) -> Callable[..., Specification]:
    def make(*arguments: Any, **options: Any) -> Specification:
        if arguments and isinstance(arguments[0], int):  # R's number of levels
            arguments = arguments[1:]
        options.pop("n", None)
        options.pop("contrasts", None)
        return partial(_by_formulaic, kind(*arguments, **options))

    return make


_SUM = _formulaic_call(formulaic_contrasts.SumContrasts)
_HELMERT = _formulaic_call(formulaic_contrasts.HelmertContrasts)
_POLY = _formulaic_call(formulaic_contrasts.PolyContrasts)
_DIFF = _formulaic_call(formulaic_contrasts.DiffContrasts)
_SAS = partial(_treatment_call, last=True)

#: Contrasts by name: R's, formulaic's and patsy's.
CONTRASTS: Mapping[str, Callable[..., Specification]] = {
    "contr.treatment": _treatment_call,
    "contr.sum": _SUM,
    "contr.helmert": _HELMERT,
    "contr.poly": _POLY,
    "contr.SAS": _SAS,
    "contr.diff": _DIFF,
    "contr.sdif": _DIFF,
    "Treatment": _treatment_call,
    "Sum": _SUM,
    "Helmert": _HELMERT,
    "Poly": _POLY,
    "Diff": _DIFF,
    "SAS": _SAS,
}
_KNOWN = "contr.treatment, contr.sum, contr.helmert, contr.poly, contr.SAS, contr.diff"


# ---------------------------------------------------------------------------- what a user gives


def as_specification(value: Any) -> Specification:
    """Return contrasts however they are given.

    Parameters
    ----------
    value
        R's name (``"contr.sum"``) or call (``"contr.treatment(3, base=2)"``, ``"Treatment('b')"``),
        one of formulaic's contrasts, a matrix with one row for each level, a dict of columns, or a
        data frame whose index are the levels.

    Raises
    ------
    DesignError
        If it is none of these.
    """
    if isinstance(value, str):
        return _by_name(value)
    if callable(value) and not isinstance(value, type):
        return value  # type: ignore[no-any-return]
    if isinstance(value, type) and issubclass(value, formulaic_contrasts.Contrasts):
        value = value()
    if isinstance(value, formulaic_contrasts.TreatmentContrasts):
        base = None if value.base is formulaic_contrasts.UNSET else value.base
        last = isinstance(value, formulaic_contrasts.SASContrasts)
        return partial(_treatment, base=base, last=last)
    if isinstance(value, formulaic_contrasts.CustomContrasts):
        return partial(_by_matrix, value.contrasts, value.contrast_names)
    if isinstance(value, formulaic_contrasts.Contrasts):
        return partial(_by_formulaic, value)
    if isinstance(value, pd.DataFrame):
        return partial(_by_frame, value)
    if isinstance(value, Mapping):
        return partial(_by_matrix, np.array([*value.values()]).T, list(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        return partial(_by_matrix, value, None)
    raise DesignError(
        "contrasts must be a name such as 'contr.sum', a formulaic contrasts object or a matrix, "
        f"not {type(value).__name__}"
    )


def _by_name(text: str) -> Specification:
    """Return contrasts by their name, or by a call with constants."""
    unknown = DesignError(f"unknown contrasts '{text}': use {_KNOWN}")
    try:
        tree = parse_expression(text)
    except ValueError:
        raise unknown from None
    call = tree if isinstance(tree, ast.Call) else None
    if call is None and not isinstance(tree, ast.Name):
        raise unknown
    name = call_name(call) if call is not None else plain_name(text.strip())
    make = CONTRASTS.get(name) or CONTRASTS.get(f"contr.{name}")
    if make is None:
        raise unknown
    try:
        arguments = [ast.literal_eval(part) for part in (call.args if call else ())]
        options = {
            word.arg: ast.literal_eval(word.value) for word in (call.keywords if call else ())
        }
        return make(*arguments, **options)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise DesignError(f"cannot read the contrasts `{text}`: {error}") from error


def bind(specification: Specification, name: str, levels: Sequence[Any]) -> Contrasts:
    """Return the contrasts of a factor with these levels.

    Raises
    ------
    DesignError
        If they do not fit; the message names the factor.
    """
    try:
        return specification(levels)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise DesignError(
            f"the contrasts given for column '{name}' do not fit its {len(levels)} levels: {error}"
        ) from error


def default_contrasts(ordered: bool) -> Specification:
    """Return R's default: polynomial for ordered factors, treatment for the others."""
    return _POLY() if ordered else _treatment
