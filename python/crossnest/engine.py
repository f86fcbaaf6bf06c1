"""The C++ engine as Python sees it: made from a design, its parameters named, its results kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from . import _core
from .control import Control
from .design import Design
from .errors import DesignError

if TYPE_CHECKING:
    from ._core import Fit, Problem

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Estimates:
    """A copy of the engine's results that can be pickled; the fields of `_core.Fit`."""

    theta: FloatArray
    objective: float
    sigma: float
    pwrss: float
    logdet_omega: float
    logdet_C: float
    reml: bool
    nu: int
    beta: FloatArray
    RX: FloatArray
    u: list[FloatArray]
    b: list[FloatArray]
    fitted: FloatArray
    singular: list[bool]
    converged: bool
    predicted_decrease: float
    evaluations: int
    gradient_evaluations: int
    message: str
    start: FloatArray
    seconds: float

    @classmethod
    def of(cls, fit: Fit | Estimates) -> Estimates:
        """Copy the results out of the engine."""
        return cls(**{item.name: getattr(fit, item.name) for item in fields(cls)})


class Engine:
    """The engine's problem for one design, made when first used and shared by refits.

    Pickling leaves the problem itself out; it is made again on demand.

    Parameters
    ----------
    design : Design
        Model matrices and grouping factors.
    control : Control
        Options.
    """

    def __init__(self, design: Design, control: Control) -> None:
        self._design = design
        self._control = control
        self._problem: Problem | None = None
        self._y: FloatArray | None = None
        self._lock = threading.RLock()

    @contextmanager
    def using(self, y: FloatArray) -> Iterator[Problem]:
        """Lend the problem with the response y, (n,).

        Models that differ in their response alone share it, so threads take turns.
        """
        with self._lock:
            yield self._with_response(y)

    def _with_response(self, y: FloatArray) -> Problem:
        offset = self._design.offset
        response = y if offset is None else y - offset
        if self._problem is None:
            self._problem = self._make(response)
        elif y is not self._y:
            self._y = None  # until the new response is in place
            with self._blaming_the_design():
                self._problem.set_response(response)
        self._y = y
        return self._problem

    def _make(self, response: FloatArray) -> Problem:
        design, control = self._design, self._control
        with self._blaming_the_design():
            return _core.Problem(
                design.X,
                response,
                design.weights,
                [(factor.codes, factor.n_levels) for factor in design.factors],
                [(term.factor, list(term.columns), term.term.structure) for term in design.random],
                threads=control.threads or 0,
                memory_limit=control.memory_limit or 0,
            )

    @contextmanager
    def _blaming_the_design(self) -> Iterator[None]:
        """Nothing was fitted yet: what fails is the design's fault."""
        try:
            yield
        except _core.FitError as error:
            text = self._design.formula.text
            raise DesignError(f"cannot fit `{text}`: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is not Python's."""
        return {"_design": self._design, "_control": self._control}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without a problem."""
        self.__init__(state["_design"], state["_control"])  # type: ignore[misc]


def theta_names(design: Design) -> list[str]:
    """Name the covariance parameters as lme4 does: ``Subject.Days.(Intercept)``.

    Each is an entry of a relative covariance factor, row before column; on the diagonal the name
    of the effect alone.
    """
    labels = []
    for term, positions in _theta_positions(design):
        group = design.factors[term].name
        for row, column in positions:
            labels.append(".".join((group, row) if row == column else (group, row, column)))
    return labels


def _theta_positions(design: Design) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Give for each term its factor and the (row, column) effects of its theta, in order."""
    for term in design.random:
        names = term.names
        if term.term.structure == "diagonal":
            yield term.factor, [(name, name) for name in names]
        else:
            yield term.factor, [(row, col) for j, col in enumerate(names) for row in names[j:]]


def check_theta(
    values: ArrayLike, names: Sequence[str], lower: FloatArray, what: str = "theta"
) -> FloatArray:
    """Check covariance parameters given by the user.

    Parameters
    ----------
    values : array_like or Series
        (n_theta,) in the model's order. A Series whose labels are the parameters' names may be in
        any order.
    names : sequence of str
        The parameters.
    lower : (n_theta,) array
        Their lower bounds.
    what : str
        What to call them in a message.

    Raises
    ------
    ValueError
        If there are too many or too few, or one is not finite or below its bound.
    """
    if isinstance(values, pd.Series) and set(values.index) == set(names):
        values = values.loc[list(names)].to_numpy()
    try:
        theta = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be numbers, not {values!r}") from error
    if theta.shape != (len(names),):
        given = f"{theta.size} values" if theta.ndim == 1 else f"shape {theta.shape}"
        expected = f"{len(names)} covariance parameters: {', '.join(names)}"
        raise ValueError(f"{what} has {given}, the model has {expected}")
    for name, value, bound in zip(names, theta, lower, strict=True):
        if not np.isfinite(value):
            raise ValueError(f"{what} of {name} is {value}, not a finite number")
        if value < bound:
            raise ValueError(f"{what} of {name} is {value:g}, below its bound {bound:g}")
    return theta
