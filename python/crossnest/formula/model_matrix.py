"""Model matrices: which columns a set of terms has, by R's rule of margins, and those columns.

A factor in a term is coded by contrasts if what is left of the term without it, its margin, is
empty or part of a term before; else by dummies, one column for each level. Without an intercept the
first factor of the first term that has one is coded by dummies. This is R's rule to the letter,
also where it gives aliased columns (``y ~ f:h``), which the fit then drops and names.

References
----------
Chambers and Hastie (1992). Statistical Models in S, page 38; ``TermCode`` and ``modelmatrix`` in
R's stats/src/model.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np

from ..base.errors import DesignError
from ..data.columns import FloatArray
from .encoders import Encoded, Encoder, Encoders
from .formula import Effects, Factor, Term

__all__ = [
    "INTERCEPT_NAME",
    "CodedTerm",
    "Coding",
    "Matrix",
    "code_by_margins",
    "coding_of",
    "margins_present",
]

INTERCEPT_NAME = "(Intercept)"
#: More columns than this are a mistake, or need another method.
MAX_COLUMNS = 100_000


# --------------------------------------------------------------------------------- R's rule


#: A term as the factors it is a product of, in their order (terms compare without regard to it).
Product: TypeAlias = tuple[Factor, ...]


@lru_cache(maxsize=1024)
def margins_present(products: tuple[Product, ...]) -> tuple[tuple[bool, ...], ...]:
    """Tell for each term and each of its variables whether the margin is in the model.

    The margin of a variable is the term without it; it is in the model if it is empty or part of a
    term that comes before.
    """
    before: dict[frozenset[Factor], None] = {}  # a set in the order of the terms
    present = []
    for product in products:
        factors = frozenset(product)
        present.append(tuple(_has_margin(factors - {factor}, before) for factor in product))
        before[factors] = None
    return tuple(present)


def _has_margin(margin: frozenset[Factor], before: Mapping[frozenset[Factor], None]) -> bool:
    # Most margins are terms themselves, which is quick to see among thousands of them.
    return not margin or margin in before or any(margin <= other for other in before)


@lru_cache(maxsize=1024)
def code_by_margins(
    products: tuple[Product, ...], factors: frozenset[str]
) -> tuple[tuple[bool, ...], ...]:
    """Tell how R codes the variables of each term.

    Parameters
    ----------
    products
        The terms in the order of their columns.
    factors
        The variables that hold labels.

    Returns
    -------
    tuple
        For each term and each of its variables whether it is coded by contrasts; a variable that
        holds numbers counts as coded so too.
    """
    flags = [
        [flag or factor.name not in factors for factor, flag in zip(product, own, strict=True)]
        for product, own in zip(products, margins_present(products), strict=True)
    ]
    if () not in products:
        _code_first_factor_fully(products, factors, flags)
    return tuple(map(tuple, flags))


def _code_first_factor_fully(
    products: Sequence[Product], factors: frozenset[str], flags: list[list[bool]]
) -> None:
    """Code the first factor found by dummies, variables in the order of the formula."""
    order = dict.fromkeys(factor for product in products for factor in product)
    for i, product in enumerate(products):
        for factor in order:
            if factor in product and factor.name in factors:
                flags[i][product.index(factor)] = False
                return


# ---------------------------------------------------------------------------------- the columns


class CodedTerm(NamedTuple):
    """A term and where its columns stand.

    Attributes
    ----------
    term
        The term.
    variables
        Its variables' names, each with whether it is coded by contrasts (or holds numbers).
    start, stop
        Its columns in the model matrix, the end not included.
    """

    term: Term
    variables: tuple[tuple[str, bool], ...]
    start: int
    stop: int

    @property
    def columns(self) -> range:
        """The positions of its columns."""
        return range(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Coding:
    """How the columns of one model matrix are made of encoded variables.

    Attributes
    ----------
    terms
        The terms in the order of their columns.
    names
        The columns' names; ``(Intercept)`` for the constant.
    """

    terms: tuple[CodedTerm, ...]
    names: tuple[str, ...]

    def of(self, term: Term) -> CodedTerm:
        """Return the columns of one of the terms."""
        return next(coded for coded in self.terms if coded.term == term)

    def matrix(self, encoded: Mapping[str, Encoded]) -> Matrix:
        """Return the columns for rows whose variables are encoded."""
        columns: list[FloatArray | None] = []
        for coded in self.terms:
            columns += _products(coded, encoded) if coded.variables else [None]
        return Matrix(self.names, tuple(columns))


def _products(coded: CodedTerm, encoded: Mapping[str, Encoded]) -> list[FloatArray]:
    """Multiply the columns of a term's variables out, the first one's varying fastest, as R."""
    (first, reduced), *others = coded.variables
    out = encoded[first].columns(reduced)
    for name, reduced in others:
        out = [values * more for more in encoded[name].columns(reduced) for values in out]
    return out


def coding_of(effects: Effects, encoders: Encoders) -> Coding:
    """Return the columns of a set of terms.

    Raises
    ------
    DesignError
        If they are too many to be meant.
    """
    flags = code_by_margins(effects.products, encoders.factors & effects.names)
    terms: list[CodedTerm] = []
    names: list[str] = []
    for term, coded_by in zip(effects.terms, flags, strict=True):
        own = tuple((f.name, flag) for f, flag in zip(term.factors, coded_by, strict=True))
        _check_size(term, own, encoders.variables, len(names))
        more = _product_names(own, encoders.variables)
        terms.append(CodedTerm(term, own, len(names), len(names) + len(more)))
        names += more
    return Coding(tuple(terms), tuple(names))


def _check_size(
    term: Term, own: Sequence[tuple[str, bool]], variables: Mapping[str, Encoder], before: int
) -> None:
    """Refuse a term of more columns than can be meant, before they are made."""
    size = 1.0
    for name, _ in own:
        encoder = variables[name]
        size *= encoder.n_columns if encoder.levels is None else len(encoder.levels)
    if before + size > MAX_COLUMNS:
        raise DesignError(
            f"the term `{term}` has about {size:.0f} columns, more than the {MAX_COLUMNS} a model "
            "matrix may have: use fewer levels, or make it a random effect"
        )


def _product_names(own: Sequence[tuple[str, bool]], variables: Mapping[str, Encoder]) -> list[str]:
    """Return the names of a term's columns."""
    if not own:
        return [INTERCEPT_NAME]
    (first, reduced), *others = own
    names = variables[first].names(reduced)
    for name, reduced in others:
        names = [f"{a}:{b}" for b in variables[name].names(reduced) for a in names]
    return names


@dataclass(frozen=True, eq=False)
class Matrix:
    """A model matrix by columns.

    Attributes
    ----------
    names
        The k columns' names; ``(Intercept)`` for the constant.
    columns
        k arrays, (n,) float64 contiguous; None for the constant 1.
    """

    names: tuple[str, ...]
    columns: tuple[FloatArray | None, ...]

    def to_array(self, n: int) -> FloatArray:
        """Return the (n, k) matrix in Fortran order."""
        out = np.empty((n, len(self.names)), order="F")
        for j, column in enumerate(self.columns):
            out[:, j] = 1.0 if column is None else column
        return out
