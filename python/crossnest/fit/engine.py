"""The C++ engine as Python sees it: made from a design, its errors in the words of the design."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..base.errors import DesignError
from ..base.read_only import frozen
from ..data.data_checks import widest_factor
from ..design.design import Design
from .control import Control

if TYPE_CHECKING:
    from .._core import Model, Problem

FloatArray = NDArray[np.float64]


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
                [(term.factor, list(term.columns), term.term.covariance) for term in design.random],
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
