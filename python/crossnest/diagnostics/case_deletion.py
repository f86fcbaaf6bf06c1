"""Deletion of units from generalized least squares, theta held fixed, without any n x n matrix.

Write V^-1 = W - W Z Lambda Omega^-1 Lambda'Z'W, R = RX (so that X'V^-1 X = R'R),
Q = V^-1 X R^-1 and v = V^-1 (y - X beta) = W (y - fitted). Without the rows I

    X'V^-1 X  becomes  R'(I - G) R,      G = Q_I'(M_II)^-1 Q_I,    M = V^-1,
    beta      changes by  -R^-1 (I - G)^-1 c,   c = Q_I'(M_II)^-1 v_I,

the downdates of Christensen, Pearson and Johnson (1992), Technometrics 34, 38-45, in coordinates
where the information about beta is the identity. G and c are all that is needed of a unit:

- one row: M_ii = P_ii + |Q_i|^2 with P_ii = w_i (1 - h_i), h the leverages, because
  y - fitted = W^-1 P y;
- a group of rows, c the columns of Z of its levels, C = Lambda Omega^-1 Lambda' among them,
  T = Z_c'W Z_c: M_II = W - W Z_c C Z_c'W has the inverse W^-1 + Z_c (I - C T)^-1 C Z_c', so that
  only sums over the group's rows are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..fit.engine_results import engine_fit
from ..fit.joint_covariance import fixed_part
from ..fit.residuals import leverages, residual_values

if TYPE_CHECKING:
    from ..design.design import Design, RandomEffects
    from ..fit.fitted_model import FittedModel

__all__ = ["Deletions", "delete_cases", "delete_groups"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: Numbers held at a time, in matrices (p, p) of cases or in covariances of groups.
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
class _Rows:
    """What deletion needs of each row.

    Attributes
    ----------
    weights : (n,) array
        Diagonal of W.
    Q : (n, p) array
        V^-1 X R^-1.
    v : (n,) array
        V^-1 (y - X beta - offset).
    """

    weights: FloatArray
    Q: FloatArray
    v: FloatArray

    @classmethod
    def of(cls, model: FittedModel) -> _Rows:
        """Take Z Lambda Omega^-1 Lambda'Z'W X R^-1 off X R^-1, for V^-1 X R^-1."""
        weights = model.design.weights
        w = np.ones(model.nobs) if weights is None else weights
        X = fixed_part(model.design.X[:, model._kept], model._fit.RX)
        fit = engine_fit(model)
        loadings = fit.effect_loadings()
        for term, effects in _effects_of_terms(model.design):
            factor = model.design.factors[term.factor]
            for column, effect in zip(term.columns, effects, strict=True):
                part = loadings[term.factor][factor.codes, effect]
                X -= part if column is None else column[:, None] * part
        return cls(w, w[:, None] * X, w * residual_values(model, "response"))


def _effects_of_terms(design: Design) -> Iterator[tuple[RandomEffects, range]]:
    """Yield each term and where its effects stand among those of its grouping factor."""
    ends = [0] * len(design.factors)
    for term in design.random:
        first = ends[term.factor]
        ends[term.factor] += len(term.names)
        yield term, range(first, ends[term.factor])


def delete_cases(model: FittedModel) -> Iterator[Deletions]:
    """Delete each row, in runs of as many rows as fit in memory."""
    every, h = _Rows.of(model), leverages(model).to_numpy()
    left = every.weights * np.maximum(1 - h, 0)  # P_ii
    diagonal = left + (every.Q**2).sum(axis=1)
    p = every.Q.shape[1]
    step = max(MOST_NUMBERS // (8 * p**2), 1)
    for start in range(0, len(left), step):
        rows = slice(start, start + step)
        Q = every.Q[rows]
        scaled = Q / diagonal[rows, None]
        yield Deletions(scaled[:, :, None] * Q[:, None, :], scaled * every.v[rows, None])


def delete_groups(model: FittedModel, codes: NDArray[np.int32], n_units: int) -> Deletions | None:
    """Delete the rows of each group.

    Parameters
    ----------
    model : FittedModel
        The fitted model.
    codes : (n,) array of int
        Each row's group, 0 ... n_units - 1.
    n_units : int
        Number of groups.

    Returns
    -------
    Deletions or None
        None if a group has more random effects than `MOST_EFFECTS`.
    """
    every = _Rows.of(model)
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(codes, minlength=n_units))[:-1])
    groups = [_Group.of(model.design, rows) for rows in members]
    sizes = np.array([group.Z.shape[1] for group in groups])
    if sizes.max() > MOST_EFFECTS:
        return None
    sums = []
    for batch in _batches(sizes):
        covariances = _covariances(model, groups[batch])
        for group, C in zip(groups[batch], covariances, strict=True):
            sums.append(_group_sums(every, group, C))
    stacked = np.stack(sums)
    return Deletions(stacked[:, :, :-1], stacked[:, :, -1])


@dataclass(frozen=True, eq=False)
class _Group:
    """The rows of a group and the levels they have.

    Attributes
    ----------
    rows : (m,) array of int
        The rows.
    factors, levels : (c,) array of int
        Grouping factor and code of each level that occurs.
    Z : (m, e) array
        The columns of Z of the effects of these levels, level by level.
    """

    rows: IntArray
    factors: IntArray
    levels: IntArray
    Z: FloatArray

    @classmethod
    def of(cls, design: Design, rows: IntArray) -> _Group:
        """Find the levels of some rows."""
        factors, levels, parts = [], [], []
        terms = list(_effects_of_terms(design))
        for f, factor in enumerate(design.factors):
            own = [(term, effects) for term, effects in terms if term.factor == f]
            present, at = np.unique(factor.codes[rows], return_inverse=True)
            k = own[-1][1].stop
            Z = np.zeros((len(rows), len(present), k))
            for term, effects in own:
                for column, effect in zip(term.columns, effects, strict=True):
                    Z[np.arange(len(rows)), at, effect] = 1.0 if column is None else column[rows]
            factors.append(np.full(len(present), f))
            levels.append(present)
            parts.append(Z.reshape(len(rows), -1))
        return cls(rows, np.concatenate(factors), np.concatenate(levels), np.hstack(parts))


def _batches(sizes: IntArray) -> Iterator[slice]:
    """Cut groups into runs whose matrices of squared size have at most `MOST_NUMBERS` entries."""
    run = np.cumsum(sizes.astype(np.int64) ** 2)
    first = 0
    while first < len(sizes):
        before = run[first - 1] if first else 0
        last = max(int(np.searchsorted(run, before + MOST_NUMBERS, side="right")), first + 1)
        yield slice(first, last)
        first = last


def _covariances(model: FittedModel, groups: list[_Group]) -> Iterator[FloatArray]:
    """Yield Lambda Omega^-1 Lambda' among the levels of each group, (e, e)."""
    fit = engine_fit(model)
    numbers = fit.effect_covariances_among(
        np.cumsum([0, *(len(group.levels) for group in groups)]),
        np.concatenate([group.factors for group in groups]),
        np.concatenate([group.levels for group in groups]),
    )
    first = 0
    for group in groups:
        size = group.Z.shape[1]
        yield numbers[first : first + size**2].reshape(size, size)
        first += size**2


def _group_sums(every: _Rows, group: _Group, C: FloatArray) -> FloatArray:
    """Compute Q_I'(M_II)^-1 [Q_I v_I] of a group of rows: (p, p + 1)."""
    w, Z = every.weights[group.rows, None], group.Z
    Qv = np.column_stack([every.Q[group.rows], every.v[group.rows]])
    T, E = Z.T @ (w * Z), Z.T @ Qv
    inner = np.linalg.solve(np.eye(len(C)) - C @ T, C @ E)
    product: FloatArray = (Qv.T @ (Qv / w) + E.T @ inner)[:-1]
    return product
