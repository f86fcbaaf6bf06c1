"""Estimability: which linear functions of the fixed effects the data determine.

Where X (n, p) lacks full column rank, beta is not unique, and l'beta is the same for every solution
if and only if l lies in the row space of X, that is if l is orthogonal to its null space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: l is estimable if |N'l|^2 is below this part of |l|^2 (the tolerance of R's estimability).
TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class RowSpace:
    """The row space of X, aliased columns included.

    Attributes
    ----------
    null_basis : (p_all, d) array
        Orthonormal basis N of the null space of X with columns of length 1; d is the number of
        aliased columns.
    kept : (p,) array of int
        Columns of X that are not aliased.
    lengths : (p_all,) array
        The lengths of the columns of X, 1 for columns of zeros. Functions are measured in units of
        the columns: a covariate with large values must not hide what else is in a function.

    References
    ----------
    Lenth (2015). estimability: Estimability tools for linear models. R package.
    """

    null_basis: FloatArray
    kept: NDArray[np.intp]
    lengths: FloatArray

    @classmethod
    def of(cls, model: FittedModel) -> RowSpace:
        """Find the null space of a model's X = QR: with R_a = R_k C it is that of [-C; I]."""
        kept, p = np.sort(model._kept), model.design.p
        aliased = np.setdiff1d(np.arange(p), kept)
        null, lengths = np.zeros((p, len(aliased))), np.ones(p)
        if len(aliased):
            R, lengths = _unit_columns(model.design.triangle)
            null[kept] = -scipy.linalg.lstsq(R[:, kept], R[:, aliased])[0]
            null[aliased] = np.eye(len(aliased))
        basis = np.asarray(scipy.linalg.qr(null, mode="economic")[0], dtype=np.float64)
        return cls(basis, model._kept, lengths)

    def contains(self, L: FloatArray) -> NDArray[np.bool_]:
        """Tell which rows of L (m, p_all) are estimable; one with NaN is not."""
        functions = L / self.lengths
        outside = np.sum((functions @ self.null_basis) ** 2, axis=1)
        size = np.sum(functions**2, axis=1)
        inside = outside <= TOLERANCE * size
        return np.asarray(inside & ~np.isnan(size))

    def reduce(self, L: FloatArray) -> FloatArray:
        """Return L on the columns kept, (m, p): rows that are not estimable are NaN."""
        reduced = L[:, self.kept]
        reduced[~self.contains(L)] = np.nan
        return reduced

    def estimable_part(self, L: FloatArray) -> FloatArray:
        """Return combinations (r, p_all) of the rows of L that span what is estimable of them."""
        functions = L / self.lengths
        outside = functions @ self.null_basis
        if np.sum(outside**2) <= TOLERANCE * np.sum(functions**2):
            return L
        return np.asarray(scipy.linalg.null_space(outside.T, rcond=TOLERANCE).T @ L)


def _unit_columns(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Divide columns by their lengths; columns of zeros stay. Return the lengths too."""
    largest = np.abs(X).max(axis=0)
    largest = np.where(largest > 0.0, largest, 1.0)  # squares of these are finite
    lengths = np.linalg.norm(X / largest, axis=0) * largest
    lengths = np.where(lengths > 0.0, lengths, 1.0)
    return X / lengths, lengths
