"""Linear hypotheses L beta = rhs: from arrays, tables, weights by name, or text.

In text a coefficient stands for itself, brackets, dots and colons included:
``recipe[T.B] - recipe[T.C] = 0``, ``2 * Days = 20``, ``(a + b) / 2 - c``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..fit.fitted_model import FittedModel
from .estimability import RowSpace

FloatArray = NDArray[np.float64]

_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
#: What follows a coefficient cannot be a longer name.
_WORD_ENDS = re.compile(r"(?![\w\[])")
_UNKNOWN = re.compile(r"[^\s+\-*/=()]+")


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Linear hypotheses on the coefficients of a model.

    Attributes
    ----------
    L : (m, p) array
        Weights of the coefficients that are not aliased.
    rhs : (m,) array
        Values hypothesized.
    labels : tuple of str
        What each is called.
    """

    L: FloatArray
    rhs: FloatArray
    labels: tuple[str, ...]

    @classmethod
    def of(
        cls,
        model: FittedModel,
        L: ArrayLike | Mapping[str, float] | pd.DataFrame | Sequence[str] | str,
        rhs: ArrayLike = 0.0,
    ) -> Hypotheses:
        """Read hypotheses in any of the forms `crossnest.inference.contest.contest` takes.

        Raises
        ------
        ValueError
            If there are no fixed effects, a coefficient is unknown, the shape is wrong, a row has
            no weights, a text cannot be read, or a row is about aliased coefficients and not
            estimable.
        TypeError
            If weights or right sides are no numbers.
        """
        if not len(model.fixef):
            raise ValueError("the model has no fixed effects to test")
        texts = _texts(L)
        if texts is None:
            full, labels = _weights(model, L)
            constants = np.zeros(len(full))
        else:
            forms = [parse(text, model.design.x_names) for text in texts]
            full, labels = np.array([form.weights for form in forms]), tuple(texts)
            constants = np.array([form.constant for form in forms])
            if np.any(_numbers(rhs, "rhs")) and any(form.is_equation for form in forms):
                raise ValueError("give the right sides in the texts or as rhs, not both")
        kept = _on_kept(model, full)
        for label, row in zip(labels, kept, strict=True):
            if not row.any():
                raise ValueError(f"hypothesis '{label}' involves no coefficient")
        return cls(kept, _right_sides(rhs, len(full)) - constants, labels)


def _right_sides(rhs: ArrayLike, m: int) -> FloatArray:
    """Return the values hypothesized, (m,)."""
    values = np.atleast_1d(_numbers(rhs, "rhs"))
    if values.shape not in ((1,), (m,)):
        raise ValueError(f"rhs has {values.size} values for {m} hypotheses")
    if not np.isfinite(values).all():
        raise ValueError("rhs must be finite")
    return np.broadcast_to(values, m)


def _numbers(values: object, name: str) -> FloatArray:
    """Return an array of numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind == "c" or np.ma.is_masked(values):
            raise TypeError("complex or missing")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must hold numbers, not {values!r}") from error


def _texts(L: object) -> list[str] | None:
    """Return hypotheses given as text; None if they are not."""
    if isinstance(L, str):
        return [L]
    if isinstance(L, Sequence) and len(L) and all(isinstance(item, str) for item in L):
        return list(L)
    return None


def _weights(
    model: FittedModel, L: ArrayLike | Mapping[str, float] | pd.DataFrame
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return weights of all coefficients (m, p_all), aliased ones included, and labels."""
    names = model.design.x_names
    if isinstance(L, Mapping | pd.Series):
        named = dict(L)
        numbers = _numbers(list(named.values()), "L")
        if numbers.ndim != 1:
            raise TypeError(f"L must have one number for each coefficient, not {named!r}")
        weights = dict(zip(named, numbers.tolist(), strict=True))
        L = pd.DataFrame([weights], index=[_written(weights)])
    if isinstance(L, pd.DataFrame):
        for name in L.columns:
            if name not in names:
                raise ValueError(_unknown(str(name), names))
        if not L.columns.is_unique:
            raise ValueError(
                f"L has several columns of the same name: {', '.join(map(str, L.columns))}"
            )
        frame = L.reindex(columns=pd.Index(names), fill_value=0.0)
        array, labels = _numbers(frame, "L"), tuple(map(str, L.index))
    else:
        array = np.atleast_2d(_numbers(L, "L"))
        if not array.size:
            raise ValueError("L contains no hypothesis")
        labels = tuple(str(i + 1) for i in range(len(array)))
        if array.ndim != 2 or array.shape[1] not in (len(names), len(model.fixef)):
            wanted = dict.fromkeys((len(model.fixef), len(names)))
            raise ValueError(
                f"L has shape {np.shape(L)}, expected {' or '.join(map(str, wanted))} columns: "
                f"the coefficients are {', '.join(names)}"
            )
        if array.shape[1] < len(names):
            full = np.zeros((len(array), len(names)))
            full[:, model._kept] = array
            array = full
    if not len(array):
        raise ValueError("L contains no hypothesis")
    if not np.isfinite(array).all():
        raise ValueError("L must be finite")
    return array, labels


def _on_kept(model: FittedModel, full: FloatArray) -> FloatArray:
    """Restrict L (m, p_all) to the coefficients kept; refuse what is not estimable.

    A row without weights on aliased coefficients is about the coefficients as they were fitted.
    """
    if not model.dropped:
        return full[:, model._kept]
    names = model.design.x_names
    aliased = [j for j, name in enumerate(names) if name in model.dropped]
    wrong = full[:, aliased].any(axis=1) & ~RowSpace.of(model).contains(full)
    if wrong.any():
        listed = ", ".join(names[j] for j in aliased if full[wrong, j].any())
        raise ValueError(
            f"not estimable: the model was fitted without {listed}, aliased with other columns"
        )
    return full[:, model._kept]


def _written(weights: Mapping[str, float]) -> str:
    """Write weights as a sum."""
    text = ""
    for name, weight in weights.items():
        factor = "" if abs(weight) == 1 else f"{abs(weight):g} * "
        text += f" {'-' if weight < 0 else '+'} {factor}{name}"
    return text.removeprefix(" + ").strip()


def _unknown(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f", did you mean '{close[0]}'? The" if close else ": the"
    return f"unknown coefficient '{name}'{hint} coefficients are {', '.join(names)}"


# ------------------------------------------------------------------------------------- text


@dataclass(frozen=True, eq=False)
class LinearForm:
    """weights'beta + constant, and whether it was written as an equation (to zero).

    Attributes
    ----------
    weights : (p_all,) array
        Weights of the coefficients.
    constant : float
        What is added.
    is_equation : bool
        Whether the text had an equals sign.
    """

    weights: FloatArray
    constant: float
    is_equation: bool = False

    def plus(self, other: LinearForm, sign: float) -> LinearForm:
        """Add or subtract."""
        weights = self.weights + sign * other.weights
        return LinearForm(weights, self.constant + sign * other.constant)

    def times(self, factor: float) -> LinearForm:
        """Multiply by a number."""
        return LinearForm(factor * self.weights, factor * self.constant)

    @property
    def is_number(self) -> bool:
        """Whether no coefficient has a weight."""
        return not self.weights.any()


def parse(text: str, names: Sequence[str]) -> LinearForm:
    """Read a linear form, or an equation of two, of coefficients.

    Raises
    ------
    ValueError
        If a name is no coefficient, or the text is not linear in them.
    """
    reader = _Reader(text, names)
    form = reader.sum()
    if reader.accept("==", "="):
        form = form.plus(reader.sum(), -1.0)
        form = LinearForm(form.weights, form.constant, is_equation=True)
    reader.expect_end()
    return form


class _Reader:
    """Recursive descent over the text of a hypothesis.

    sum = product {(+|-) product};  product = atom {(*|/) atom};
    atom = coefficient | number | ( sum ) | (+|-) atom.
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text = text
        self._at = 0
        self._names = names
        self._longest_first = sorted(names, key=len, reverse=True)

    def accept(self, *symbols: str) -> str | None:
        """Move past a symbol if it is next."""
        self._skip()
        for symbol in symbols:
            if self._text.startswith(symbol, self._at):
                self._at += len(symbol)
                return symbol
        return None

    def sum(self) -> LinearForm:
        form = self._product()
        while (sign := self.accept("+", "-")) is not None:
            form = form.plus(self._product(), -1.0 if sign == "-" else 1.0)
        return form

    def expect_end(self) -> None:
        self._skip()
        if self._at < len(self._text):
            raise self._error(f"cannot read '{self._text[self._at :]}'")

    def _product(self) -> LinearForm:
        form = self._atom()
        while (symbol := self.accept("*", "/")) is not None:
            other = self._atom()
            if symbol == "/":
                if not other.is_number or other.constant == 0:
                    raise self._error("it divides by something that is not a number")
                form = form.times(1 / other.constant)
            elif other.is_number:
                form = form.times(other.constant)
            elif form.is_number:
                form = other.times(form.constant)
            else:
                raise self._error("it multiplies coefficients, which is not linear")
        return form

    def _atom(self) -> LinearForm:
        weights = np.zeros(len(self._names))
        name = self._coefficient()
        if name is not None:
            weights[self._names.index(name)] = 1.0
            return LinearForm(weights, 0.0)
        number = _NUMBER.match(self._text, self._at)
        if number:
            self._at = number.end()
            return LinearForm(weights, float(number.group()))
        if (sign := self.accept("+", "-")) is not None:
            return self._atom().times(-1.0 if sign == "-" else 1.0)
        if self.accept("("):
            form = self.sum()
            if not self.accept(")"):
                raise self._error("a bracket is not closed")
            return form
        unknown = _UNKNOWN.match(self._text, self._at)
        what = _unknown(unknown.group(), self._names) if unknown else "a coefficient is missing"
        raise self._error(what)

    def _coefficient(self) -> str | None:
        """Move past the longest coefficient that is next; it may stand between backticks."""
        self._skip()
        for name in self._longest_first:
            if self._text.startswith(f"`{name}`", self._at):
                self._at += len(name) + 2
                return name
            end = self._at + len(name)
            if self._text.startswith(name, self._at) and _WORD_ENDS.match(self._text, end):
                self._at = end
                return name
        return None

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _error(self, what: str) -> ValueError:
        return ValueError(f"cannot read the hypothesis `{self._text}`: {what}")
