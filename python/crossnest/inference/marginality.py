"""Terms of the fixed effects as R sees them: variables, columns, and which term contains which.

A term contains another if it has all its variables and more, and the same covariates; lmerTest
reads this off R's table of terms, and so do we, down to two details. A variable whose margin is not
in the model (``b`` in ``b + a:b``) does not count, as R marks it differently there. A covariate of
several columns, such as ``poly(x, 2)``, counts as a factor, as R calls it a matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..base.read_only import cached_property
from ..formula.formula import Term
from ..formula.model_matrix import margins_present
from .submodel import fixed_terms

if TYPE_CHECKING:
    from ..design.design import Design
    from ..formula.encoders import Encoder

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Variable:
    """A factor or covariate of the fixed effects.

    Attributes
    ----------
    name : str
        The column or expression.
    levels : tuple, or None
        Levels of a factor; None for a covariate.
    n_columns : int
        Levels, or columns of the covariate.
    is_matrix : bool
        Whether it is a covariate given as a matrix, such as ``poly(x, 2)``.
    codings : mapping of bool to array
        How a factor's columns are coded, (levels, columns): contrasts (True) and dummies (False).
    """

    name: str
    levels: tuple[object, ...] | None
    n_columns: int
    is_matrix: bool
    codings: Mapping[bool, FloatArray]

    @property
    def dummies(self) -> FloatArray:
        """One column per level, or the columns of a covariate, as linear functions."""
        k = self.n_columns
        return np.eye(k) if self.is_factor else np.eye(k + 1)[:, 1:]

    def coded(self, reduced: bool) -> FloatArray:
        """Return its columns in X: contrasts (reduced) or dummies, or those of a covariate."""
        return self.codings[reduced] if self.is_factor else self.dummies

    @property
    def is_factor(self) -> bool:
        """Whether it has levels."""
        return self.levels is not None

    @property
    def is_numeric(self) -> bool:
        """Whether lmerTest counts it as a covariate."""
        return not (self.is_factor or self.is_matrix)


@dataclass(frozen=True, eq=False)
class FixedTerm:
    """A term of the fixed effects other than the intercept.

    Attributes
    ----------
    name : str
        As in the formula.
    term : Term
        The term itself.
    variables : tuple of str
        Names of its variables.
    dummy_coded : frozenset of str
        Variables R codes by dummies and not contrasts in it, as their margin is not in the model.
    """

    name: str
    term: Term
    variables: tuple[str, ...]
    dummy_coded: frozenset[str]


@dataclass(frozen=True, eq=False)
class FixedTerms:
    """The terms of the fixed effects and how X is made of them.

    Attributes
    ----------
    design : Design
        The model's design.
    terms : tuple of FixedTerm
        The terms in the order of the columns, the intercept left out.
    """

    design: Design
    terms: tuple[FixedTerm, ...]

    @classmethod
    def of(cls, design: Design) -> FixedTerms:
        """Take the terms of a design."""
        present = margins_present(design.formula.fixed.products)
        flags = dict(zip(design.formula.fixed.terms, present, strict=True))
        terms = []
        for name, term in fixed_terms(design).items():
            own = tuple(factor.name for factor in term.factors)
            dummy = (v for v, margin in zip(own, flags[term], strict=True) if not margin)
            terms.append(FixedTerm(name, term, own, frozenset(dummy)))
        return cls(design, tuple(terms))

    @property
    def has_intercept(self) -> bool:
        """Whether the model has one."""
        return self.design.formula.fixed.has_intercept

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """The variables of all terms by name."""
        encoders = self.design.encoders.variables
        names = dict.fromkeys(name for term in self.terms for name in term.variables)
        return {name: _variable(encoders[name]) for name in names}

    def columns(self, term: FixedTerm) -> list[int]:
        """Return the columns of X that belong to a term, aliased ones included."""
        return list(self.design.coding.of(term.term).columns)

    def containing(self, term: FixedTerm) -> list[FixedTerm]:
        """Return the terms that contain a term."""
        own, numeric = self._margins(term)
        found = []
        for other in self.terms:
            theirs, numeric_theirs = self._margins(other)
            if own < theirs and numeric == numeric_theirs:
                found.append(other)
        return found

    def _margins(self, term: FixedTerm) -> tuple[frozenset[str], frozenset[str]]:
        """Return the variables of a term that count, and the covariates among them."""
        own = frozenset(term.variables) - term.dummy_coded
        return own, frozenset(name for name in own if self.variables[name].is_numeric)

    @cached_property
    def first_factor(self) -> tuple[str, str] | None:
        """The term and the factor in it that R codes by dummies when there is no intercept."""
        for term in self.terms:
            for name, reduced in self.design.coding.of(term.term).variables:
                if not (reduced or name in term.dummy_coded):
                    return term.name, name
        return None


def _variable(encoder: Encoder) -> Variable:
    """Collect what is known about a variable."""
    if encoder.levels is None:
        return Variable(encoder.name, None, encoder.n_columns, encoder.is_matrix, {})
    k = len(encoder.levels)
    codings = {reduced: encoder.coding(reduced).dense(k) for reduced in (True, False)}
    return Variable(encoder.name, tuple(encoder.levels.tolist()), k, False, codings)


# ------------------------------------------------------------------------- columns as functions


@dataclass(frozen=True, eq=False)
class ProductColumns:
    """Columns that are products of variables, as functions and not as data.

    The value of a column is the product over variables of a linear function of the variable's
    dummies (a factor) or of 1 and its columns (a covariate).

    Attributes
    ----------
    codes : mapping of str to array
        For each variable (k, m): these linear functions, one per column.
    """

    codes: Mapping[str, FloatArray]

    @classmethod
    def product(
        cls, factors: Mapping[str, FloatArray], variables: Mapping[str, Variable]
    ) -> ProductColumns:
        """Multiply coded variables out, the first one's columns varying fastest."""
        sizes = [codes.shape[1] for codes in factors.values()]
        at = np.unravel_index(np.arange(prod(sizes)), sizes, order="F") if sizes else ()
        positions = dict(zip(factors, at, strict=True))
        codes = {}
        for name, variable in variables.items():
            if name in factors:
                codes[name] = factors[name][:, positions[name]]
            else:
                codes[name] = np.tile(_constant(variable)[:, None], (1, prod(sizes)))
        return cls(codes)

    @classmethod
    def join(cls, parts: Sequence[ProductColumns]) -> ProductColumns:
        """Put columns side by side."""
        names = parts[0].codes
        return cls({name: np.hstack([part.codes[name] for part in parts]) for name in names})

    def inner(self, other: ProductColumns) -> FloatArray:
        """Compute inner products (m, m') of functions: means over cells, covariates orthonormal.

        They multiply over variables.
        """
        parts = (codes.T @ other.codes[name] / len(codes) for name, codes in self.codes.items())
        return np.asarray(reduce(np.multiply, parts))


def _constant(variable: Variable) -> FloatArray:
    """Return the constant 1 as a function of a variable."""
    k = variable.n_columns
    return np.ones(k) if variable.is_factor else np.r_[1.0, np.zeros(k)]
