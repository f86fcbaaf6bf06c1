"""The C++ engine as Python sees it: made from a design, its parameters named, its results kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..base.errors import DesignError
from ..base.read_only import ReadOnly, frozen
from ..base.rows import MayLackRows
from ..base.values import numbers
from ..data.data_checks import widest_factor
from ..design.design import Design, RandomEffects
from ..formula.covariance_structures import structure_of
from .control import Control
from .var_corr import unique_names

if TYPE_CHECKING:
    from .._core import Fit, Model, Problem, _Confounding

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(MayLackRows, ReadOnly, per_row={"fitted": "the fitted values"}):
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
    converged: bool | None
    predicted_decrease: float
    evaluations: int
    gradient_evaluations: int
    message: str
    start: FloatArray
    seconds: float
    confounded: list[_Confounding]

    @classmethod
    def of(cls, fit: Fit | Estimates) -> Estimates:
        """Copy the results out of the engine."""
        return cls(**{item.name: getattr(fit, item.name) for item in fields(cls)})

    @classmethod
    def without_verdict(cls, fit: Fit | Estimates) -> Estimates:
        """Copy the results at a theta that no search found."""
        # Those of a model without rows do not have every field.
        copied = copy.copy(fit) if isinstance(fit, Estimates) else cls.of(fit)
        object.__setattr__(copied, "converged", None)
        object.__setattr__(copied, "predicted_decrease", float("nan"))
        return copied


class Engine:
    """The engine for one design: its model, made when first used, and problems for responses.

    The model is shared by refits and threads, which work side by side, each with an evaluator of
    its own. Pickling leaves both out; they are made again on demand.

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
        self._model: Model | None = None
        self._last: tuple[FloatArray, Problem] | None = None

    @property
    def model(self) -> Model:
        """The model of the design."""
        model = self._model
        if model is None:
            model = self._model = self._make()
        return model

    def problem(self, y: FloatArray) -> Problem:
        """Return the problem of fitting the response y, (n,); for the same array the same one.

        Raises
        ------
        DesignError
            If design or response cannot be fitted; the message names the column.
        """
        last = self._last
        if last is not None and last[0] is y:
            return last[1]
        with self._blaming_the_design():
            problem = _core.Problem(self.model, self._without_offset(y))
        self._last = y, problem
        return problem

    def _without_offset(self, y: FloatArray) -> FloatArray:
        """Return the response as the engine takes it; nobody may write into what it points at."""
        offset = self._design.offset
        return frozen(y if offset is None else y - offset)

    def _make(self) -> Model:
        design, control = self._design, self._control
        held = [column for term in design.random for column in term.columns]
        for array in (design.X, design.weights, *(f.codes for f in design.factors), *held):
            if array is not None:
                frozen(array)
        with self._blaming_the_design():
            return _core.Model(
                design.X,
                design.weights,
                [(factor.codes, factor.n_levels) for factor in design.factors],
                [(term.factor, list(term.columns), term.term.structure) for term in design.random],
                threads=control.threads or 0,
                memory_limit=control.memory_limit or 0,
            )

    @contextmanager
    def _blaming_the_design(self) -> Iterator[None]:
        """Report a failure as one of the design, since nothing has been fitted yet."""
        try:
            yield
        except _core.RangeError as error:
            text = self._design.formula.text
            column = self._name_of_column(error)
            raise DesignError(f"cannot fit `{text}`: {column} {error.reason}") from error
        except _core.FitError as error:
            design = self._design
            text, hint = design.formula.text, widest_factor(design.variables, design.n, design.p)
            raise DesignError(f"cannot fit `{text}`: {error}{hint}") from error

    def _name_of_column(self, error: _core.RangeError) -> str:
        """Name the column that an error of the engine knows by its position."""
        design = self._design
        if error.part == "fixed":
            return f"the fixed-effects column {design.x_names[error.column]!r}"
        if error.part == "random":
            term = design.random[error.term]
            group = design.factors[term.factor].name
            return f"the random effect {term.names[error.column]!r} of {group!r}"
        if error.part == "weights":
            return "the column of weights"
        return f"the response {design.response_name!r}"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be made again."""
        return {"_design": self._design, "_control": self._control}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Start without a model."""
        self.__init__(state["_design"], state["_control"])  # type: ignore[misc]


def theta_names(design: Design) -> list[str]:
    """Name the covariance parameters as lme4 does: ``Subject.Days.(Intercept)``.

    Each is an entry of a relative covariance factor, row before column; on the diagonal the name
    of the effect alone. What all effects of a term share is called ``Subject.*``, a standard
    deviation, and ``Subject.rho``, a correlation. Where a further term on the same factor has the
    same effects its group is called ``Subject.1``, as in `VarCorr`, so that no two parameters share
    a name.
    """
    groups = [design.factors[term.factor].name for term in design.random]
    labels: list[str] = []
    for term, group, own in zip(design.random, groups, unique_names(groups), strict=True):
        effects = _theta_effects(term)
        plain = [".".join((group, *names)) for names in effects]
        seen = set(labels)
        labels += [
            ".".join((own, *names)) if label in seen else label
            for label, names in zip(plain, effects, strict=True)
        ]
    return unique_names(labels)


def _theta_effects(term: RandomEffects) -> list[tuple[str, ...]]:
    """Return the effects each of a term's theta is about, in order."""
    names = term.names
    found: list[tuple[str, ...]] = []
    for kind, row, column in structure_of(term.term.structure, len(names)).labels:
        if row is None or column is None:
            found.append(("*",) if kind == "sd" else ("rho",))
        else:
            found.append((names[row],) if row == column else (names[row], names[column]))
    return found


def theta_bounds(design: Design) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper bounds of the covariance parameters."""
    terms = [structure_of(term.term.structure, len(term.names)) for term in design.random]
    lower = np.concatenate([np.empty(0), *(term.lower_bounds for term in terms)])
    return lower, np.concatenate([np.empty(0), *(term.upper_bounds for term in terms)])


def check_theta(
    values: ArrayLike,
    names: Sequence[str],
    bounds: tuple[FloatArray, FloatArray],
    what: str = "theta",
) -> FloatArray:
    """Check covariance parameters given by the user.

    Parameters
    ----------
    values : array_like or Series
        (n_theta,) in the model's order. A Series goes by its labels, the parameters' names.
    names : sequence of str
        The parameters.
    bounds : tuple of (n_theta,) arrays
        Their lower and upper bounds, see `theta_bounds`.
    what : str
        What to call them in a message.

    Raises
    ------
    ValueError
        If there are too many or too few, one is not finite or out of its bounds, or the labels of a
        Series are not the parameters' names.
    """
    if isinstance(values, pd.Series):
        values = _by_label(values, names, what)
    theta = numbers(values, what)
    if theta.shape != (len(names),):
        given = f"{theta.size} values" if theta.ndim == 1 else f"shape {theta.shape}"
        expected = f"{len(names)} covariance parameters: {', '.join(names)}"
        raise ValueError(f"{what} has {given}, the model has {expected}")
    for name, value, bound, most in zip(names, theta, *bounds, strict=True):
        if not np.isfinite(value):
            raise ValueError(f"{what} of {name} is {value}, not a finite number")
        if value < bound:
            raise ValueError(f"{what} of {name} is {value:g}, below its bound {bound:g}")
        if value > most:
            raise ValueError(f"{what} of {name} is {value:g}, above its bound {most:g}")
    return theta


def _by_label(values: pd.Series[Any], names: Sequence[str], what: str) -> NDArray[Any]:
    """Put a Series in the order of the parameters."""
    labels = list(values.index)
    if len(labels) != len(names) or set(labels) != set(names):
        raise ValueError(
            f"{what} is a Series with the labels {', '.join(map(repr, labels))}, the model's "
            f"covariance parameters are {', '.join(map(repr, names))}: label it with these "
            "names, or pass .to_numpy() to take the values in this order"
        )
    return values.loc[list(names)].to_numpy()
