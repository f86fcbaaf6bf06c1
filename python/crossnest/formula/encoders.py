"""Encoders: from a variable of a formula to columns, the same for the fit and for new rows.

A variable is a column of the data or an expression. Its encoder holds, as plain data, what was
learned of it in the fit: whether it gives numbers or labels, its levels and contrasts, and what its
functions remember (means, knots, polynomials). All columns of all model matrices come from here, so
predicting at rows of the data gives the fitted values by construction.

References
----------
Chambers and Hastie (1992). Statistical Models in S, section 6.3: safe prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..base.errors import DesignError
from ..base.read_only import cached_property
from ..data.columns import (
    CodeArray,
    Column,
    FactorColumn,
    FloatArray,
    NumericColumn,
    OtherColumn,
    as_factor,
)
from ..data.data_checks import same_but_for_type
from .contrasts import Contrasts, Specification, bind, default_contrasts, dummies
from .evaluation import Coded, Evaluator, MatrixColumn, Variable
from .expression import name_coded_in
from .functions import State
from .grammar import Factor

__all__ = ["Encoded", "Encoder", "Encoders", "evaluate_variables", "kind_of", "learn_encoder"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """What is known about one variable of a model matrix.

    Attributes
    ----------
    name
        The variable as the formula writes it: a column's name or an expression.
    n_columns
        Columns of numbers; 0 for labels.
    is_matrix
        Whether the numbers are a matrix, such as ``poly(x, 2)``, whose columns are numbered.
    levels
        Labels in their order; None for numbers.
    ordered
        Whether the labels are ordered.
    contrasts
        How the labels are coded where the intercept or a margin is in the model; None for numbers.
    """

    name: str
    n_columns: int
    is_matrix: bool = False
    levels: pd.Index | None = None
    ordered: bool = False
    contrasts: Contrasts | None = None

    @property
    def is_factor(self) -> bool:
        """Whether the variable holds labels."""
        return self.levels is not None

    @cached_property
    def dummies(self) -> Contrasts:
        """One column for each level."""
        assert self.levels is not None
        return dummies(self.levels.tolist())

    def coding(self, reduced: bool) -> Contrasts:
        """Return how labels are coded: by contrasts (reduced) or by dummies."""
        assert self.contrasts is not None
        return self.contrasts if reduced else self.dummies

    def names(self, reduced: bool) -> list[str]:
        """Return the names of the variable's columns."""
        if self.is_factor:
            return self.coding(reduced).names(self.name)
        if self.is_matrix:
            return [f"{self.name}[{j + 1}]" for j in range(self.n_columns)]
        return [self.name]

    def encode(self, variable: Variable) -> Encoded:
        """Return a variable's values as this encoder codes them.

        Raises
        ------
        DesignError
            If there are levels it was not fitted with, or numbers for labels or labels for numbers.
        """
        if isinstance(variable, Coded):
            variable = variable.factor
        if self.levels is not None:
            return Encoded(self, self._codes(variable), None)
        if isinstance(variable, NumericColumn) and not self.is_matrix:
            return Encoded(self, None, (variable.values,))
        if isinstance(variable, MatrixColumn) and variable.values.shape[1] == self.n_columns:
            return Encoded(self, None, tuple(variable.values.T))
        raise DesignError(f"`{self.name}` does not hold numbers as it did in the fit: convert it")

    def _codes(self, variable: Variable) -> CodeArray:
        assert self.levels is not None
        factor = _labels_of(variable, self.name)
        if factor is None:
            raise DesignError(
                f"`{self.name}` does not hold labels as it did in the fit: convert it"
            )
        if factor.levels.is_(self.levels):
            return factor.codes
        places = np.append(self.levels.get_indexer(factor.levels), -1).astype(np.int32)
        codes = places[factor.codes]
        self._check_levels(factor, codes)
        return codes

    def _check_levels(self, factor: FactorColumn, codes: CodeArray) -> None:
        """Refuse levels that were not fitted."""
        assert self.levels is not None
        unknown = (codes < 0) & (factor.codes >= 0)
        if not unknown.any():
            return
        found = factor.levels[np.unique(factor.codes[unknown])]
        labels = ", ".join(repr(label) for label in found[:5].tolist())
        known = ", ".join(repr(label) for label in self.levels[:12].tolist())
        known += ", ..." if len(self.levels) > 12 else ""
        hint = ""
        if same_but_for_type(map(str, found), self.levels):
            hint = (
                f"; they differ in type only: the model has {type(self.levels[0]).__name__}, the "
                f"new data {type(found[0]).__name__}"
            )
        raise DesignError(
            f"'{self.name}' has levels the model was not fitted to: {labels} in "
            f"{np.count_nonzero(unknown)} rows; a fixed effect cannot be predicted for them "
            f"(the model has {known}){hint}"
        )


def _labels_of(variable: Variable, name: str) -> FactorColumn | None:
    """Return labels; the distinct numbers of a numeric column."""
    if isinstance(variable, FactorColumn):
        return variable
    if isinstance(variable, NumericColumn):
        return as_factor(variable.values, name)
    return None


@dataclass(frozen=True, eq=False)
class Encoded:
    """A variable's rows, ready to be columns.

    Attributes
    ----------
    encoder
        What is known about the variable.
    codes
        (n,) levels; None for numbers.
    numbers
        The columns of numbers, (n,) each; None for labels.
    """

    encoder: Encoder
    codes: CodeArray | None
    numbers: tuple[FloatArray, ...] | None

    @cached_property
    def _reduced(self) -> list[FloatArray]:
        return self._coded(True)

    @cached_property
    def _full(self) -> list[FloatArray]:
        return self._coded(False)

    def columns(self, reduced: bool) -> list[FloatArray]:
        """Return the columns, (n,) each: of labels by contrasts (reduced) or by dummies."""
        return self._reduced if reduced else self._full

    def _coded(self, reduced: bool) -> list[FloatArray]:
        if self.numbers is not None:
            return list(self.numbers)
        assert self.codes is not None
        return self.encoder.coding(reduced).columns(self.codes)


RawKind = Literal["numbers", "labels", "other"]


@dataclass(frozen=True, eq=False)
class Encoders:
    """All that a fitted formula knows about its data, for encoding new rows.

    Attributes
    ----------
    variables
        The encoder of each variable of the effects, by name.
    states
        What functions learned, by the text of their calls.
    kinds
        What each column of the data held that the formula reads.
    context
        The user's own functions and constants.
    """

    variables: Mapping[str, Encoder]
    states: Mapping[str, State] = field(default_factory=dict)
    kinds: Mapping[str, RawKind] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Copy the mappings and make them read-only."""
        for name, value in self._mappings().items():
            object.__setattr__(self, name, MappingProxyType(value))

    def _mappings(self) -> dict[str, dict[str, Any]]:
        return {name: dict(getattr(self, name)) for name in self.__dataclass_fields__}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle copies of the mappings."""
        return Encoders, tuple(self._mappings().values())

    @cached_property
    def factors(self) -> frozenset[str]:
        """The variables that hold labels."""
        return frozenset(name for name, one in self.variables.items() if one.is_factor)

    def evaluate(
        self, factors: Iterable[Factor], columns: Mapping[str, Column], n: int
    ) -> dict[str, Variable]:
        """Evaluate variables on n other rows, with what was learned in the fit.

        Raises
        ------
        DesignError
            If a column has another kind than in the fit, or an expression cannot be evaluated.
        """
        as_fitted = {name: self._as_fitted(name, column) for name, column in columns.items()}
        evaluator = Evaluator(as_fitted, n, dict(self.states), self.context)
        return {factor.name: _variable(factor, evaluator) for factor in factors}

    def encode(
        self, factors: Iterable[Factor], columns: Mapping[str, Column], n: int
    ) -> dict[str, Encoded]:
        """Encode variables of n other rows; those that only group or shift are left out.

        Raises
        ------
        DesignError
            As `evaluate`, and if a factor has levels it was not fitted with.
        """
        variables = self.evaluate(factors, columns, n)
        return {name: self.variables[name].encode(one) for name, one in variables.items()}

    def _as_fitted(self, name: str, column: Column) -> Column:
        """Return a column of the kind it had in the fit."""
        fitted = self.kinds.get(name)
        if fitted == "labels" and isinstance(column, NumericColumn):
            return _labels_of(column, name) or column
        if fitted == "numbers" and isinstance(column, FactorColumn):
            if column.levels.dtype == np.bool_:
                values = np.append(column.levels.to_numpy(np.float64), np.nan)[column.codes]
                return NumericColumn(values)
            raise DesignError(
                f"column '{name}' holds labels in the new data and numbers in those the model was "
                "fitted to: convert it"
            )
        return column


def kind_of(column: Column) -> RawKind:
    """Say what a column of the data holds."""
    if isinstance(column, NumericColumn):
        return "numbers"
    return "labels" if isinstance(column, FactorColumn) else "other"


def _variable(factor: Factor, evaluator: Evaluator) -> Variable:
    """Return a column as it is, or the value of an expression."""
    if not factor.is_expression:
        return evaluator.columns[factor.name]
    return evaluator.variable(factor.name)


def evaluate_variables(
    factors: Iterable[Factor],
    columns: Mapping[str, Column],
    n: int,
    context: Mapping[str, Any],
) -> tuple[dict[str, Variable], dict[str, State]]:
    """Evaluate variables on the n rows of the data, and return what their functions learned.

    Functions learn from all rows in which their own argument is known, as in R, whose model frame
    is evaluated before rows with missing values in other columns are left out.
    """
    evaluator = Evaluator(columns, n, {}, context, learning=True)
    variables = {factor.name: _variable(factor, evaluator) for factor in factors}
    return variables, evaluator.states


# ------------------------------------------------------------------------------- from the fit


def learn_encoder(
    factor: Factor, variable: Variable, contrasts: Mapping[str, Specification]
) -> Encoder:
    """Return the encoder of a variable from the rows used in the fit.

    Parameters
    ----------
    factor
        The variable in the formula.
    variable
        Its values, unused levels dropped.
    contrasts
        Contrasts by variable, or by the column an expression ``C(column)`` codes.

    Raises
    ------
    DesignError
        If it has only one level, contrasts that do not fit, or holds neither numbers nor labels.
    """
    name = factor.name
    if isinstance(variable, NumericColumn):
        return Encoder(name, 1)
    if isinstance(variable, MatrixColumn):
        return Encoder(name, variable.values.shape[1], is_matrix=True)
    if isinstance(variable, OtherColumn):
        raise DesignError(
            f"column '{name}' holds neither numbers nor labels: convert it, or use it in an "
            "expression that gives numbers or labels, such as factor(...)"
        )
    own = variable.contrasts if isinstance(variable, Coded) else None
    labels = variable.factor if isinstance(variable, Coded) else variable
    if len(labels.levels) < 2:
        raise DesignError(
            f"column '{name}' has only one level ('{labels.levels[0]}') in the rows used, so "
            "it has no effect to estimate: leave it out of the formula"
        )
    chosen = contrasts.get(name) or own
    if chosen is None and factor.is_expression:
        chosen = contrasts.get(name_coded_in(name) or "")
    bound = bind(chosen or default_contrasts(labels.ordered), name, labels.levels.tolist())
    return Encoder(name, 0, False, labels.levels, labels.ordered, bound)
