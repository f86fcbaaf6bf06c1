"""The hypotheses of analysis of variance: L of types I, II and III for each term.

Type I tests a term after those before it, type II after those that do not contain it. Type III
tests functions of the cell means that do not depend on how many observations the cells have: with
estimable functions in their general form, those of a term are made orthogonal to those of the terms
that contain it. The rows are those of lmerTest, and with them the degrees of freedom, which depend
on the rows and not only on what they span.

References
----------
Goodnight (1980). Tests of hypotheses in fixed effects linear models. Communications in Statistics
A9(2), 167-180.
Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
models. Journal of Statistical Software 82(13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .marginality import FixedTerm, FixedTerms, ProductColumns

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: A column is aliased if this part of it, or less, is orthogonal to those before (R's ``qr``).
ALIASED = 1e-7
#: What is this small relative to the numbers it was computed from is zero.
NEGLIGIBLE = 1e-9


def hypothesis_matrices(model: FittedModel, type: int) -> dict[str, FloatArray]:
    """Compute L (m, p) of each term, on the coefficients that are not aliased.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    type : {1, 2, 3}
        The type of the hypotheses.

    Raises
    ------
    NotImplementedError
        For type III where the contrasts of a factor do not tell all its levels apart.
    """
    terms = FixedTerms.of(model.design)
    columns = _Columns.of(model, terms)
    if type == 1 or len(terms.terms) <= 1 or len(columns.kept) <= 1:
        rows = _doolittle(columns.factor)
        return {term.name: rows[columns.by_term[term.name]] for term in terms.terms}
    if type == 2:
        return {term.name: _type2(terms, columns, term) for term in terms.terms}
    return _type3(terms, columns)


@dataclass(frozen=True, eq=False)
class _Columns:
    """The columns of X that are kept.

    Attributes
    ----------
    kept : (p,) array of int
        Their positions in X.
    triangle : (r, p_all) array
        R of X = QR, aliased columns included.
    factor : (p, p) array
        R of the QR decomposition of the columns kept.
    by_term : mapping of str to list of int
        Positions among the columns kept, by term.
    """

    kept: NDArray[np.intp]
    triangle: FloatArray
    factor: FloatArray
    by_term: dict[str, list[int]]

    @classmethod
    def of(cls, model: FittedModel, terms: FixedTerms) -> _Columns:
        kept = model._kept
        triangle = model.design.triangle
        position = {int(j): i for i, j in enumerate(kept)}
        by_term = {
            term.name: [position[j] for j in terms.columns(term) if j in position]
            for term in terms.terms
        }
        return cls(kept, triangle, _triangle(triangle[:, kept]), by_term)


def _triangle(X: FloatArray) -> FloatArray:
    """Compute R (min(n, p), p) of X = QR."""
    return np.asarray(np.linalg.qr(X, mode="r"))


def _doolittle(R: FloatArray) -> FloatArray:
    """Compute U (p, p), unit upper triangular, of the decomposition U'DU of X'X = R'R."""
    return R / np.diag(R)[:, None]


def _type2(terms: FixedTerms, columns: _Columns, term: FixedTerm) -> FloatArray:
    """Test a term as if it and the terms that contain it had come last."""
    p, own = len(columns.kept), columns.by_term[term.name]
    containing = terms.containing(term)
    if not containing:
        return np.eye(p)[own]
    last = [*own, *(j for other in containing for j in columns.by_term[other.name])]
    order = [*(j for j in range(p) if j not in last), *last]
    L = np.zeros((len(own), p))
    rows = slice(p - len(last), p - len(last) + len(own))
    L[:, order] = _doolittle(_triangle(columns.factor[:, order]))[rows]
    return L


# -------------------------------------------------------------------------------------- type III


@dataclass(frozen=True, eq=False)
class _CellColumns:
    """The columns of the overparametrized model: one for each cell of each term.

    Attributes
    ----------
    functions : ProductColumns
        The m columns as functions, the intercept first.
    in_treatment : (m,) array of bool
        Which of them are in X with R's treatment contrasts.
    term : (m,) array of int
        The term of each, -1 for the intercept.
    """

    functions: ProductColumns
    in_treatment: NDArray[np.bool_]
    term: NDArray[np.intp]

    @classmethod
    def of(cls, terms: FixedTerms) -> _CellColumns:
        parts, flags, sizes = [], [], []
        if terms.has_intercept:
            parts.append(ProductColumns.product({}, terms.variables))
            flags.append(np.ones(1, dtype=np.bool_))
        for term in terms.terms:
            dummies = {name: terms.variables[name].dummies for name in term.variables}
            parts.append(ProductColumns.product(dummies, terms.variables))
            flags.append(_treatment_columns(terms, term))
            sizes.append(len(flags[-1]))
        order = np.repeat(np.arange(len(sizes)), sizes)
        term_of = np.r_[np.full(int(terms.has_intercept), -1), order]
        return cls(ProductColumns.join(parts), np.concatenate(flags), term_of)


def _treatment_columns(terms: FixedTerms, term: FixedTerm) -> NDArray[np.bool_]:
    """Tell which cells of a term have a column in R's treatment coding.

    The first level of a factor has none unless the factor is coded by dummies.
    """
    flags = np.ones(1, dtype=np.bool_)
    for name in term.variables:
        variable = terms.variables[name]
        own = np.ones(variable.n_columns, dtype=np.bool_)
        by_dummies = name in term.dummy_coded or (term.name, name) == terms.first_factor
        own[0] = by_dummies or not variable.is_factor
        flags = np.logical_and.outer(own, flags).ravel()  # the first variable varies fastest
    return flags


def _type3(terms: FixedTerms, columns: _Columns) -> dict[str, FloatArray]:
    """Orthogonalize the general form of the estimable functions, higher terms first.

    Columns are written in the basis Q of X = QR, so that nothing here is as long as the data, and
    in units in which covariates are about 1.
    """
    cells = _CellColumns.of(terms)
    X_columns = _model_columns(terms)
    combinations = _in_terms_of(X_columns, cells.functions)
    units = _units(X_columns, terms, columns.triangle)
    triangle = columns.triangle / units
    on_data = triangle @ combinations
    noise = NEGLIGIBLE * (np.linalg.norm(triangle, axis=0) @ np.abs(combinations))
    treatment = np.flatnonzero(cells.in_treatment)
    basis = treatment[_independent(on_data[:, treatment], noise[treatment])]
    if len(basis) != len(columns.kept):
        raise NotImplementedError(
            "columns of the fixed effects are too nearly collinear for type III hypotheses, as a "
            "covariate far from zero and its square are: centre the covariate, as in center(x), or "
            "ask for type 1 or 2"
        )
    X = on_data[:, basis]
    # Each cell's column as a combination of the basis: the general form, one row per cell.
    general = _solve(X, on_data).T
    columns_of = [np.flatnonzero(cells.term[basis] == i) for i in range(len(terms.terms))]
    position = {term.name: i for i, term in enumerate(terms.terms)}
    for i in sorted(position.values(), key=lambda i: -len(terms.terms[i].variables)):
        containing = [columns_of[position[t.name]] for t in terms.containing(terms.terms[i])]
        if containing:
            others, own = general[:, np.concatenate(containing)], columns_of[i]
            general[:, own] -= others @ np.linalg.lstsq(others, general[:, own], rcond=ALIASED)[0]
    to_kept = _solve(X, triangle[:, columns.kept]) * units[columns.kept]
    units_of_cells = units[np.abs(combinations).argmax(axis=0)]
    hypotheses = {}
    for i, term in enumerate(terms.terms):
        own = columns_of[i]
        rows, kept = _clean(general[np.ix_(basis, own)].T)
        hypotheses[term.name] = rows @ to_kept / units_of_cells[basis][own][kept, None]
    return hypotheses


def _units(X: ProductColumns, terms: FixedTerms, triangle: FloatArray) -> FloatArray:
    """Return the size (p_all,) of the largest column of X that has the same covariates.

    Cells are combinations of such columns only, which a common unit leaves as they are.
    """
    largest = np.abs(triangle).max(axis=0)
    covariates = [X.codes[name] for name, one in terms.variables.items() if not one.is_factor]
    if not covariates:
        return np.ones(len(largest))
    _, product = np.unique(np.vstack(covariates), axis=1, return_inverse=True)
    sizes = np.zeros(product.max() + 1)
    np.maximum.at(sizes, product.ravel(), largest)
    return np.asarray(np.where(sizes > 0.0, sizes, 1.0)[product.ravel()])


def _in_terms_of(X: ProductColumns, cells: ProductColumns) -> FloatArray:
    """Write the columns of the cells as combinations (p_all, m) of the columns of X.

    Raises
    ------
    NotImplementedError
        If they are none, as the contrasts of some factor are too few.
    """
    cross = X.inner(cells)
    combinations = np.linalg.lstsq(X.inner(X), cross, rcond=NEGLIGIBLE)[0]
    left = np.diag(cells.inner(cells)) - np.sum(cross * combinations, axis=0)
    if np.any(left > 1e-6):
        raise NotImplementedError(
            "type III hypotheses need contrasts that tell all levels of a factor apart: give "
            "each factor one contrast fewer than it has levels, or ask for type 1 or 2"
        )
    largest = np.abs(combinations).max(axis=0)
    return np.where(np.abs(combinations) < NEGLIGIBLE * largest, 0.0, combinations)


def _model_columns(terms: FixedTerms) -> ProductColumns:
    """Describe the columns of X as functions."""
    parts = []
    for coded in terms.design.coding.terms:
        factors = {name: terms.variables[name].coded(reduced) for name, reduced in coded.variables}
        parts.append(ProductColumns.product(factors, terms.variables))
    return ProductColumns.join(parts)


def _solve(X: FloatArray, Y: FloatArray) -> FloatArray:
    """Write the columns of Y as combinations of the independent columns of X, whatever units."""
    scale = np.linalg.norm(X, axis=0)
    return np.asarray(np.linalg.lstsq(X / scale, Y, rcond=None)[0] / scale[:, None])


def _independent(X: FloatArray, noise: FloatArray) -> list[int]:
    """Return the columns R keeps: larger than `noise` and not aliased with columns before them."""
    Q = np.zeros((X.shape[0], 0))
    kept = []
    for j, column in enumerate(X.T):
        rest = column - Q @ (Q.T @ column)
        rest -= Q @ (Q.T @ rest)
        size = np.linalg.norm(rest)
        if size > max(ALIASED * np.linalg.norm(column), noise[j]):
            Q = np.column_stack([Q, rest / size])
            kept.append(j)
    return kept


def _clean(L: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Leave out rows that are nothing but rounding errors, and say which are kept."""
    kept = np.abs(L).sum(axis=1) > 1e-8
    return L[kept], kept
