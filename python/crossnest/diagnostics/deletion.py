"""Deletion of units from generalized least squares, theta held fixed, without any n x n matrix.

Write V^-1 = W - W Zt Omega^-1 Zt'W with Zt = Z Lambda, R = RX (so that X'V^-1 X = R'R),
Q = V^-1 X R^-1 and v = V^-1 (y - X beta) = W (y - fitted). Without the rows I

    X'V^-1 X  becomes  R'(I - G) R,      G = Q_I'(M_II)^-1 Q_I,    M = V^-1,
    beta      changes by  -R^-1 (I - G)^-1 c,   c = Q_I'(M_II)^-1 v_I,

the downdates of Christensen, Pearson and Johnson (1992), Technometrics 34, 38-45, in coordinates
where the information about beta is the identity. G and c are all that is needed of a unit:

- one row: M_ii = P_ii + |Q_i|^2 with P_ii = w_i (1 - h_i), h the leverages, because
  y - fitted = W^-1 P y;
- a group of rows, c the columns in which its Zt is not zero, S = (Omega^-1)_cc, T = Zt_c'W Zt_c:
  M_II = W - W Zt_c S Zt_c'W has the inverse W^-1 + Zt_c (I - S T)^-1 S Zt_c', so that only sums
  over the group's rows are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg
from numpy.typing import NDArray

from ..fit.model import _sparse_z

if TYPE_CHECKING:
    from ..fit.model import FittedModel

__all__ = ["Deletions", "delete_cases", "delete_groups"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
SparseArray: TypeAlias = "scipy.sparse.csr_array[Any, tuple[int, int]]"

#: Numbers held at a time, in matrices (p, p) of cases or in blocks of Omega^-1.
MOST_NUMBERS = 50_000_000
#: Random effects a deleted group may touch: beyond, its dense systems cost more than to solve for
#: the rows that are left.
MOST_EFFECTS = 1000
#: Below this smallest eigenvalue of I - G a fixed effect is known from the deleted rows alone.
LOST = 1e-9


@dataclass(frozen=True, eq=False)
class Deletions:
    """Deletion of m units, one at a time.

    Attributes
    ----------
    information : (m, p, p) array
        G: the part of the information about beta that is lost, the whole being the identity.
    score : (m, p) array
        c, so that R beta changes by -(I - G)^-1 c.
    """

    information: FloatArray
    score: FloatArray

    def solve(self) -> tuple[FloatArray, FloatArray]:
        """Compute the changes of R beta, (m, p), and R Var(beta) R' / sigma^2 after, (m, p, p).

        NaN for a unit without which the fixed effects cannot be estimated.
        """
        left = np.eye(self.score.shape[1]) - self.information
        left[np.linalg.eigvalsh(left)[:, 0] < LOST] = np.nan
        covariance = np.asarray(np.linalg.inv(left), dtype=np.float64)
        return -(covariance @ self.score[:, :, None])[:, :, 0], covariance


@dataclass(frozen=True, eq=False)
class _Blocks:
    """What a fitted model is made of, rows whitened.

    Attributes
    ----------
    Z : sparse (n, q) array
        Z Lambda.
    omega : sparse (q, q) array
        Lambda'Z'WZ Lambda + I.
    weights : (n,) array
        Diagonal of W.
    Q : (n, p) array
        V^-1 X R^-1.
    v : (n,) array
        V^-1 (y - X beta - offset).
    """

    Z: SparseArray
    omega: SparseArray
    weights: FloatArray
    Q: FloatArray
    v: FloatArray

    @classmethod
    def of(cls, model: FittedModel) -> _Blocks:
        """Solve for V^-1 X with a sparse factor of Omega."""
        weights = model.design.weights
        w = np.ones(model.nobs) if weights is None else weights
        Z = _relative_z(model)
        WZ = Z.multiply(w[:, None]).tocsr()
        omega = (Z.T @ WZ + scipy.sparse.eye_array(Z.shape[1])).tocsr()
        X = scipy.linalg.solve_triangular(
            model._fit.RX, model.design.X[:, model._kept].T, trans="T"
        ).T
        factor = scipy.sparse.linalg.splu(omega.tocsc(), permc_spec="MMD_AT_PLUS_A")
        Q = w[:, None] * (X - Z @ factor.solve(np.ascontiguousarray(WZ.T @ X)))
        return cls(Z, omega, w, Q, w * model._residuals("response"))


def _relative_z(model: FittedModel) -> SparseArray:
    """Assemble Z Lambda, sparse (n, q)."""
    terms = zip(model.design.random, model._relative_factors, strict=True)
    levels = [model.design.factors[term.factor].n_levels for term in model.design.random]
    blocks = [
        scipy.sparse.kron(scipy.sparse.eye_array(count), factor)
        for (_, factor), count in zip(terms, levels, strict=True)
    ]
    product = scipy.sparse.csr_array(
        _sparse_z(model.design) @ scipy.sparse.block_diag(blocks, format="csr")
    )
    product.eliminate_zeros()
    return product


def delete_cases(model: FittedModel) -> Iterator[Deletions]:
    """Delete each row, in runs of as many rows as fit in memory."""
    blocks, leverages = _Blocks.of(model), model.leverages().to_numpy()
    left = blocks.weights * np.maximum(1 - leverages, 0)  # P_ii
    diagonal = left + (blocks.Q**2).sum(axis=1)
    p = blocks.Q.shape[1]
    step = max(MOST_NUMBERS // (8 * p**2), 1)
    for start in range(0, len(left), step):
        rows = slice(start, start + step)
        Q = blocks.Q[rows]
        scaled = Q / diagonal[rows, None]
        yield Deletions(scaled[:, :, None] * Q[:, None, :], scaled * blocks.v[rows, None])


def delete_groups(model: FittedModel, codes: NDArray[np.int32], n_units: int) -> Deletions | None:
    """Delete the rows of each group.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    codes : (n,) array of int
        Each row's group, 0 ... n_units - 1.
    n_units : int
        Number of groups.

    Returns
    -------
    Deletions or None
        None if the random effects are connected in blocks too large for their dense inverses, or
        a group has too many of them.
    """
    blocks = _Blocks.of(model)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes, minlength=n_units))[:-1])
    if any(len(np.unique(blocks.Z[rows].indices)) > MOST_EFFECTS for rows in members):
        return None
    inverse = _BlockInverse.of(blocks.omega)
    if inverse is None:
        return None
    sums = np.stack([_group_sums(blocks, inverse, rows) for rows in members])
    return Deletions(sums[:, :, :-1], sums[:, :, -1])


def _group_sums(blocks: _Blocks, inverse: _BlockInverse, rows: IntArray) -> FloatArray:
    """Compute Q_I'(M_II)^-1 [Q_I v_I] of a group of rows: (p, p + 1)."""
    w, Z = blocks.weights[rows, None], blocks.Z[rows]
    columns, at = np.unique(Z.indices, return_inverse=True)
    dense = np.zeros((len(rows), len(columns)))
    dense[np.repeat(np.arange(len(rows)), np.diff(Z.indptr)), at] = Z.data
    Qv = np.column_stack([blocks.Q[rows], blocks.v[rows]])
    S, T, E = inverse.entries(columns), dense.T @ (w * dense), dense.T @ Qv
    inner = np.linalg.solve(np.eye(len(columns)) - S @ T, S @ E)
    product: FloatArray = (Qv.T @ (Qv / w) + E.T @ inner)[:-1]
    return product


@dataclass(frozen=True, eq=False)
class _BlockInverse:
    """The inverse of a symmetric matrix whose rows fall into blocks that are not connected.

    Attributes
    ----------
    block : (q,) array of int
        Each row's block.
    place : (q,) array of int
        Its position within the block.
    size : (q,) array of int
        The size of its block.
    first : (q,) array of int
        Where the inverse of its block begins in `values`.
    values : array
        The inverses of the blocks, one after the other.
    """

    block: IntArray
    place: IntArray
    size: IntArray
    first: IntArray
    values: FloatArray

    @classmethod
    def of(cls, matrix: SparseArray) -> _BlockInverse | None:
        """Invert block by block; None if there are more than `MOST_NUMBERS` entries."""
        n_blocks, labels = scipy.sparse.csgraph.connected_components(matrix, directed=False)
        block = labels.astype(np.intp)
        sizes = np.bincount(block, minlength=n_blocks)
        ends = np.cumsum(sizes.astype(np.int64) ** 2)
        if ends[-1] > MOST_NUMBERS:
            return None
        order = np.argsort(block, kind="stable")
        place = np.empty_like(block)
        place[order] = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        size, first = sizes[block], (ends - sizes**2)[block]
        values = np.zeros(ends[-1])
        entries = matrix.tocoo()
        rows, columns = entries.row, entries.col
        values[first[rows] + place[rows] * size[rows] + place[columns]] = entries.data
        for s in np.unique(sizes):  # blocks of one size together
            starts = (ends - sizes**2)[sizes == s]
            at = starts[:, None] + np.arange(s * s)
            values[at] = np.linalg.inv(values[at].reshape(-1, s, s)).reshape(at.shape)
        return cls(block, place, size, first, values)

    def entries(self, at: NDArray[np.integer[Any]]) -> FloatArray:
        """Return the entries of the inverse in some rows and the same columns."""
        i, j = at[:, None], at[None, :]
        same = self.block[i] == self.block[j]
        position = self.first[i] + self.place[i] * self.size[i] + np.where(same, self.place[j], 0)
        return np.where(same, self.values[position], 0.0)
