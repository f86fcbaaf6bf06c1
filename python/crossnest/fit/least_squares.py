"""Least squares by a QR decomposition whose pivoting is that of R's `lm`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from ..design.design import Design

FloatArray = NDArray[np.float64]

#: R's `lm` calls a column aliased if this part of its length, or less, is new (`lm.fit`'s `tol`).
TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False)
class LeastSquares(ReadOnly):
    """The solution of min |y - X beta|^2 over the columns of X that are not aliased.

    Attributes
    ----------
    kept : (p,) array of int
        The columns of X that are linearly independent of those before them.
    beta : (p,) array
        Their coefficients.
    effects : (p,) array
        Q'y: the square of each is the part of y'y its column explains after those before it.
    R_inverse : (p, p) array
        Inverse of the upper triangular factor: (X'X)^-1 is R_inverse R_inverse'.
    """

    kept: NDArray[np.intp]
    beta: FloatArray
    effects: FloatArray
    R_inverse: FloatArray

    @property
    def unscaled(self) -> FloatArray:
        """(X'X)^-1, (p, p)."""
        with np.errstate(over="ignore", invalid="ignore"):  # variances beyond 1e308 are infinite
            return self.R_inverse @ self.R_inverse.T


def independent_columns(R: FloatArray) -> NDArray[np.intp]:
    """Find the columns of X (n, k) that are independent of those before them, as R's `lm` does.

    A column is left out if at most `TOLERANCE` of its length is orthogonal to the columns kept
    before it; the order of the columns never changes.

    Parameters
    ----------
    R : (min(n, k), k) array
        Triangular factor of X, whose columns have the lengths and angles of those of X.
    """
    lengths = np.linalg.norm(R, axis=0)
    kept = np.arange(R.shape[1])
    while True:
        diagonal = np.abs(np.diagonal(np.linalg.qr(R[:, kept]).R))
        aliased = np.flatnonzero(diagonal <= TOLERANCE * lengths[kept[: len(diagonal)]])
        if not aliased.size:
            return kept[: len(diagonal)]
        kept = np.delete(kept, aliased[0])


def least_squares(X: FloatArray, y: FloatArray) -> LeastSquares:
    """Solve min |y - X beta|^2.

    Parameters
    ----------
    X : (n, k) array
        Model matrix, rows multiplied by the square roots of the weights.
    y : (n,) array
        Response, likewise.
    """
    Q, R = np.linalg.qr(X)
    kept = independent_columns(R)
    if len(kept) < X.shape[1]:
        Q, R = np.linalg.qr(X[:, kept])
    effects = Q.T @ y
    if not kept.size:
        return LeastSquares(kept, effects, effects, R)
    beta = scipy.linalg.solve_triangular(R, effects)
    inverse = scipy.linalg.solve_triangular(R, np.eye(len(R)))
    return LeastSquares(kept, beta, effects, inverse)


def weighted_problem(design: Design) -> tuple[FloatArray, FloatArray]:
    """Return X (n, k) and y - offset (n,), rows multiplied by the square roots of the weights."""
    y = design.y if design.offset is None else design.y - design.offset
    if design.weights is None:
        return design.X, y
    roots = np.sqrt(design.weights)
    return design.X * roots[:, None], y * roots
