"""Restriction matrices: a model within a larger one as linear restrictions L beta = 0."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

__all__ = ["is_within", "restriction_matrix"]

FloatArray = NDArray[np.float64]

#: Length, relative to its column's, below which what a projection leaves of a column is rounding.
TOLERANCE = 1e-10


def is_within(X0: FloatArray, X: FloatArray) -> bool:
    """Whether every column of X0 (n, p0) is a combination of those of X (n, p)."""
    return bool(np.all(_lengths(_residual(_scaled(X0), X)) <= TOLERANCE))


def restriction_matrix(X: FloatArray, X0: FloatArray) -> FloatArray:
    """Return the restrictions under which a model has the expectations of a smaller one.

    L beta = 0 if and only if X beta is a combination of the columns of X0: the row space of L is
    that of (I - P0) X, where P0 projects on the columns of X0. It is given in echelon form, so
    that leaving out columns of X gives rows of the identity.

    Parameters
    ----------
    X : (n, p) array
        Model matrix of the large model, of full rank.
    X0 : (n, p0) array
        Model matrix of the small model, perhaps with aliased columns.

    Returns
    -------
    (m, p) array
        m = p - rank(X0) restrictions.

    Raises
    ------
    ValueError
        If X0 does not lie within X.

    References
    ----------
    Halekoh and Hojsgaard (2014). A Kenward-Roger approximation and parametric bootstrap methods
    for tests in linear mixed models: the R package pbkrtest. Journal of Statistical Software
    59(9), section 3.
    """
    if not is_within(X0, X):
        raise ValueError("the columns of the small model's X do not lie within the large one's")
    lengths = _lengths(X)
    R, pivot = scipy.linalg.qr(_residual(X, X0) / lengths, mode="r", pivoting=True)
    m = int(np.sum(np.abs(np.diag(R)) > TOLERANCE))
    rest = scipy.linalg.solve_triangular(R[:m, :m], R[:m, m:])
    rest[np.abs(rest) < TOLERANCE] = 0
    L = np.zeros((m, X.shape[1]))
    L[:, pivot[:m]] = np.eye(m)
    L[:, pivot[m:]] = rest * lengths[pivot[m:]] / lengths[pivot[:m], np.newaxis]
    return L[np.argsort(pivot[:m])]


def _lengths(X: FloatArray) -> FloatArray:
    """Lengths of the columns, (p,)."""
    return np.asarray(np.linalg.norm(X, axis=0), dtype=np.float64)


def _scaled(X: FloatArray) -> FloatArray:
    """Columns of length 1; those of zeros left out."""
    lengths = _lengths(X)
    return X[:, lengths > 0] / lengths[lengths > 0]


def _residual(X: FloatArray, X0: FloatArray) -> FloatArray:
    """Compute the part of X orthogonal to X0; projected twice against rounding."""
    scaled = _scaled(X0)
    if not scaled.shape[1]:
        return X
    Q, R, _ = scipy.linalg.qr(scaled, mode="economic", pivoting=True)
    Q = Q[:, np.abs(np.diag(R)) > TOLERANCE]
    once = X - Q @ (Q.T @ X)
    return np.asarray(once - Q @ (Q.T @ once), dtype=np.float64)
