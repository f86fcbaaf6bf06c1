"""Canonical rows: one matrix L for a linear hypothesis L beta = rhs, however it was written.

L and A L, A invertible, are the same hypothesis. The F value does not tell them apart, but
Satterthwaite's degrees of freedom of a joint test do: they are those of the eigenvectors of
L Var(beta) L', which depend on the rows and not only on what they span. So whatever is given is
first replaced by rows that depend on its span alone: lmerTest's, where the hypothesis is one of a
type III, II or I table, and else the echelon form, whose rows are those of the identity where
coefficients are left out, as in pbkrtest and lmerTest's `drop1`.

References
----------
Fai and Cornelius (1996). Approximate F-tests of multiple degree of freedom hypotheses in
generalized least squares analyses of unbalanced split-plot experiments. Journal of Statistical
Computation and Simulation 54, 363-378.
Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
models. Journal of Statistical Software 82(13).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.read_only import cached_property
from .anova_hypotheses import hypothesis_matrices

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["CanonicalRows", "Restriction", "no_rounding_errors", "unit_rows"]

FloatArray = NDArray[np.float64]

#: A row this small relative to the largest, in units of the columns of X, is rounding errors.
ROUNDING = 1e-14
#: Rows of variance 1 are redundant in directions of a singular value below this part of the first.
REDUNDANT = 1e-8
#: Two hypotheses whose directions differ by no more than this are the same.
SAME = 1e-7


def unit_rows(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Divide the rows of L (m, p) by their largest entries, against overflow of their squares.

    Returns
    -------
    scaled : (m, p) array
        Rows of zeros are left as they are.
    sizes : (m,) array
        What they were divided by.
    """
    largest = np.abs(L).max(axis=1, initial=0.0)
    sizes = np.where(largest > 0, largest, 1.0)
    return L / sizes[:, None], sizes


def no_rounding_errors(L: FloatArray, RX: FloatArray) -> NDArray[np.bool_]:
    """Say which rows of L (m, p) are more than rounding errors beside the others."""
    largest = np.abs(L / np.linalg.norm(RX, axis=0)).max(axis=1)
    return np.asarray(largest > ROUNDING * largest.max())


class Restriction(NamedTuple):
    """Restrictions D gamma = c on gamma = RX beta, whose estimates have variance sigma^2 I.

    Attributes
    ----------
    directions : (q, p) array
        D, with orthonormal rows; q is the number of restrictions that are not redundant.
    values : (q,) array
        c.
    """

    directions: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, L: FloatArray, rhs: FloatArray | float, RX: FloatArray) -> Restriction:
        """Orthonormalize L beta = rhs, L (m, p), Var(beta) = sigma^2 (RX'RX)^-1."""
        if not L.any():
            return cls(np.zeros((0, L.shape[1])), np.zeros(0))
        known = no_rounding_errors(L, RX)
        scaled, sizes = unit_rows(L[known])
        right = np.broadcast_to(rhs, len(L))[known] / sizes
        Z = scipy.linalg.solve_triangular(RX, scaled.T, trans="T")
        lengths = np.linalg.norm(Z, axis=0)
        U, s, Vt = np.linalg.svd(Z / lengths, full_matrices=False)
        q = int(np.sum(s > REDUNDANT * s[0]))
        return cls(U[:, :q].T, Vt[:q] @ (right / lengths) / s[:q])

    def spans(self, other: Restriction) -> bool:
        """Whether the other one restricts the same directions."""
        D, E = self.directions, other.directions
        return len(D) == len(E) and bool(np.abs(D - (D @ E.T) @ E).max(initial=0.0) < SAME)


@dataclass(frozen=True, eq=False)
class CanonicalRows:
    """The rows that stand for hypotheses on the fixed effects of a model.

    Attributes
    ----------
    model : LinearMixedModel
        The fitted model.
    """

    model: FittedModel

    def of(self, restriction: Restriction) -> FloatArray:
        """Return L (q, p) on the coefficients that are not aliased."""
        for rows, candidate in self._lmertests(len(restriction.directions)):
            if restriction.spans(candidate):
                return rows
        return self._echelon(restriction.directions)

    def _lmertests(self, q: int) -> Iterator[tuple[FloatArray, Restriction]]:
        """Run through the hypotheses of q rows of types III, II and I."""
        for type in (3, 2, 1):
            if type not in self._known:
                self._known[type] = self._of_type(type)
            yield from (pair for pair in self._known[type] if len(pair[0]) == q)

    @cached_property
    def _known(self) -> dict[int, list[tuple[FloatArray, Restriction]]]:
        return {}

    def _of_type(self, type: int) -> list[tuple[FloatArray, Restriction]]:
        """Return lmerTest's rows of several degrees of freedom, and what they restrict."""
        try:
            matrices = hypothesis_matrices(self.model, type)
        except NotImplementedError:  # type III needs full sets of contrasts
            return []
        RX = self.model._fit.RX
        return [(L, Restriction.of(L, 0.0, RX)) for L in matrices.values() if len(L) > 1]

    def _echelon(self, directions: FloatArray) -> FloatArray:
        """Reduce rows to echelon form: each has a 1 where the others have zeros, from the left."""
        lengths = np.linalg.norm(self.model._fit.RX, axis=0)  # whatever the units of the columns
        Q = np.linalg.qr((directions @ self.model._fit.RX / lengths).T)[0].T
        pivots = _pivots(Q)
        rows = np.linalg.solve(Q[:, pivots], Q) / lengths[pivots][:, None] * lengths
        return np.asarray(rows, dtype=np.float64)


def _pivots(Q: FloatArray) -> list[int]:
    """Return the first q columns of Q (q, p) that are independent of those before them."""
    basis = np.zeros((len(Q), 0))
    found: list[int] = []
    for j, column in enumerate(Q.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > SAME and len(found) < len(Q):
            basis = np.column_stack([basis, rest / size])
            found.append(j)
    return found
