"""Nested models: the restrictions on the fixed effects that reduce a model to one within it."""

from __future__ import annotations

import re

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

from ..design.design import Design
from ..fit.fitted_model import FittedModel
from ..formula.covariance_structures import UNSTRUCTURED
from ..formula.formula import ParsedFormula, RandomTerm, parse_formula
from .canonical_rows import no_rounding_errors, unit_rows
from .common_rows import check_same_data
from .restriction import is_within, restriction_matrix
from .submodel import effects_text, random_parts, subdesign

__all__ = ["check_large", "restrictions"]

FloatArray = NDArray[np.float64]

_SMALL = "the small model must be a model, a formula or a matrix of restrictions"


def restrictions(
    large: FittedModel, small: FittedModel | str | ArrayLike
) -> tuple[FloatArray, str]:
    """Return the restrictions L beta = 0 that reduce a large model to a small one.

    Parameters
    ----------
    large : LinearMixedModel
        The large model.
    small : LinearMixedModel, str or array_like
        A model with the same random effects fitted to the same data; or a formula of terms of the
        large model, ``"~ recipe"``, in which ``.`` stands for all of them, ``"~ . - recipe"``; or
        L itself, (m, p) or (p,).

    Returns
    -------
    (m, p) array
        L, of full row rank.
    str
        What to call the small model.

    Raises
    ------
    TypeError
        If the large model is no mixed model, or the small one none of these.
    ValueError
        If the small model does not lie within the large one or is as large, has other random
        effects or other data, or L has another number of columns.
    """
    check_large(large)
    if isinstance(small, str):
        formula = _small_formula(large.design, small)
        smaller = subdesign(large.design, formula.fixed)
        small_X, text = smaller.X, smaller.formula.text
    elif isinstance(small, FittedModel):
        check_same_data(large.design, small.design, "large", "small")
        _check_same_random(large.design.formula, small.design.formula)
        small_X, text = small.design.X, small.formula
    else:
        return _given_restrictions(large, small), "L beta = 0"
    X = large.design.X[:, large._kept]
    if not is_within(small_X, X):
        raise ValueError(
            f"the fixed effects of `{text}` do not lie within those of `{large.formula}`: models "
            "must be nested, and the larger one comes first"
        )
    L = restriction_matrix(X, small_X)
    if not len(L):
        raise ValueError(f"`{text}` and `{large.formula}` have the same fixed effects")
    return L, text


def check_large(large: object) -> None:
    """Refuse a large model that is no mixed model."""
    if not isinstance(large, FittedModel):
        raise TypeError(f"the large model must be one fitted by lmer, not {type(large).__name__}")


def _given_restrictions(large: FittedModel, L: ArrayLike) -> FloatArray:
    """Check a restriction matrix; leave out rows that follow from the others."""
    if L is None:
        raise TypeError(_SMALL)
    try:
        if np.iscomplexobj(L):
            raise TypeError(_SMALL)
        matrix = np.atleast_2d(np.array(L, dtype=np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(_SMALL) from error
    p = len(large.fixef)
    if matrix.ndim != 2 or matrix.shape[1] != p:
        raise ValueError(f"L has shape {matrix.shape}, expected {p} columns, one per fixed effect")
    if not np.isfinite(matrix).all() or not matrix.any():
        raise ValueError("L must hold finite numbers, not all of them zero")
    RX = large._fit.RX
    matrix = matrix[no_rounding_errors(matrix, RX)]
    scaled, _ = unit_rows(matrix / np.linalg.norm(RX, axis=0))  # whatever units and sizes
    rank = np.linalg.matrix_rank(scaled)
    if rank == len(matrix):
        return matrix
    _, _, pivot = scipy.linalg.qr(scaled.T, mode="economic", pivoting=True)
    return np.asarray(matrix[np.sort(pivot[:rank])], dtype=np.float64)


def _small_formula(design: Design, text: str) -> ParsedFormula:
    """Parse the formula of a small model; ``.`` stands for the fixed effects of the design."""
    right = text.rpartition("~")[2].strip()
    dot = f"({effects_text(design.formula.fixed)})"
    right = re.sub(r"(?<![\w.)\]`])\.(?![\w(`])", lambda _: dot, right)
    has_random = "|" in right
    if not has_random:
        right = " + ".join([right, *(str(part.label) for part in random_parts(design))])
    response = design.formula.text.partition("~")[0].strip()
    parsed = parse_formula(f"{response} ~ {right}")
    if has_random:
        _check_same_random(design.formula, parsed)
    return parsed


def _check_same_random(large: ParsedFormula, small: ParsedFormula) -> None:
    """Refuse models whose random effects differ."""
    first, second = (
        sorted((term.factors, term.effects.text, _covariance(term)) for term in formula.random)
        for formula in (large, small)
    )
    if first != second:
        raise ValueError(
            f"the random effects of `{small.text}` and `{large.text}` differ: this test compares "
            "fixed effects; use anova to compare random effects"
        )


def _covariance(term: RandomTerm) -> str:
    """Return the covariance structure of a term that may have several effects."""
    return UNSTRUCTURED if term.effects.text == "1" else term.covariance
