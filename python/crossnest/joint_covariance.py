"""Covariances of fixed and random effects: what standard errors of predictions need of a fit.

The error of x beta^ + z b^ as a prediction of x beta + z b has the variance

    sigma^2 |x R^-1 - z V|^2 + z G z',    R = RX,  V = Lambda U_X R^-1,

where U_X solves Omega U_X = Lambda'Z'WX and G = sigma^2 Lambda Omega^-1 Lambda' is the covariance
matrix of b given y if beta were known. z has the effects of one level of each grouping factor, so
of G only the blocks of levels that are met together are needed: O(q) numbers in all, unless
factors are crossed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .columns import CodeArray, FloatArray
from .errors import NoDataError

if TYPE_CHECKING:
    from .grouping import GroupingFactor
    from .model import LinearMixedModel

__all__ = ["Between", "JointCovariance", "measure"]

#: Blocks of crossed factors are kept for all pairs of levels up to this many.
MAX_PAIRS = 100_000
#: Rows measured at once.
CHUNK = 100_000


@dataclass(frozen=True, eq=False)
class Between:
    """Blocks of G between the levels of two grouping factors f and g.

    Attributes
    ----------
    factors : (int, int)
        Their positions f and g in `Design.factors`.
    partner : (J_f,) array of int, or None
        The level of g that each level of f is nested in; None for crossed factors.
    blocks : (J_f, K_f, K_g) or (J_f, J_g, K_f, K_g) array
        Blocks of each level of f with its partner, or of all pairs of levels.
    """

    factors: tuple[int, int]
    partner: NDArray[np.int64] | None
    blocks: FloatArray

    def of(self, inner: CodeArray, outer: CodeArray) -> FloatArray:
        """Give the blocks of pairs of levels, (m, K_f, K_g).

        Raises
        ------
        NoDataError
            If a level of the inner factor is not with the one it is nested in.
        """
        if self.partner is None:
            return np.asarray(self.blocks[inner, outer])
        if np.any(self.partner[inner] != outer):
            raise NoDataError(
                "the standard error of levels that were not together in the data needs the data, "
                "and the file the model was loaded from does not hold them"
            )
        return np.asarray(self.blocks[inner])


@dataclass(frozen=True, eq=False)
class JointCovariance:
    """Covariances of the random effects among each other and with the fixed effects.

    K effects of all terms on a grouping factor stand side by side, J is the number of its levels.

    Attributes
    ----------
    V : tuple of (J, K, p) array
        Rows of V, by grouping factor.
    within : tuple of (J, K, K) array
        Diagonal blocks of G, by grouping factor.
    between : tuple of Between
        Blocks of G between two factors, where there are not too many.
    """

    V: tuple[FloatArray, ...]
    within: tuple[FloatArray, ...]
    between: tuple[Between, ...]

    def add_random(
        self, fixed: FloatArray, effects: Sequence[FloatArray], codes: Sequence[CodeArray]
    ) -> FloatArray:
        """Take z V from x R^-1, in place, and give z G z'.

        Parameters
        ----------
        fixed : (m, p) array
            x R^-1.
        effects : sequence of (m, K) array
            z, by grouping factor.
        codes : sequence of (m,) array
            Levels, by grouping factor; -1 where there is none.
        """
        total = np.zeros(len(fixed))
        for z, levels, V, within in zip(effects, codes, self.V, self.within, strict=True):
            at = np.flatnonzero((levels >= 0) & z.any(axis=1))
            for j in range(z.shape[1]):
                fixed[at] -= z[at, j, None] * V[levels[at], j]
            total[at] += np.einsum("ij,ijk,ik->i", z[at], within[levels[at]], z[at])
        for f, g in combinations(range(len(codes)), 2):
            at = np.flatnonzero(_is_met(effects[f], codes[f]) & _is_met(effects[g], codes[g]))
            if at.size:
                between = self._between(f, g)
                f, g = between.factors
                blocks = between.of(codes[f][at], codes[g][at])
                total[at] += 2 * np.einsum("ij,ijk,ik->i", effects[f][at], blocks, effects[g][at])
        return total

    def _between(self, f: int, g: int) -> Between:
        for between in self.between:
            if set(between.factors) == {f, g}:
                return between
        raise NoDataError(
            "the standard error of a prediction with the random effects of two crossed grouping "
            "factors needs the covariances of all pairs of their levels, too many for the file "
            "the model was loaded from: predict with re='none' or with those of one factor, or "
            "pickle the fitted model"
        )


def _is_met(z: FloatArray, codes: CodeArray) -> NDArray[np.bool_]:
    return np.asarray((codes >= 0) & z.any(axis=1))


# --------------------------------------------------------------------------------- measuring


def measure(model: LinearMixedModel) -> JointCovariance:
    """Take the covariances out of a fitted model's factor.

    The engine gives variances of linear functions, so covariances come from those of sums,
    2 cov(a, b) = var(a + b) - var(a) - var(b), every function scaled to variance sigma^2.
    """
    return _Measurement(model).result()


class _Measurement:
    """The engine's variances at made-up rows."""

    def __init__(self, model: LinearMixedModel) -> None:
        self._model = model
        self._fit = model._live_fit
        design = model.design
        self._factors = design.factors
        self._terms = [model._terms_of(f) for f in range(len(design.factors))]
        self._widths = [sum(len(design.random[t].names) for t in terms) for terms in self._terms]
        self._unit = model.sigma**2 or 1.0
        self._scales = [self._scale(f) for f in range(len(design.factors))]
        self._V = [self._with_fixed(f) for f in range(len(design.factors))]

    def result(self) -> JointCovariance:
        pairs = combinations(range(len(self._factors)), 2)
        between = [self._between(f, g) for f, g in pairs]
        return JointCovariance(
            tuple(self._V),
            tuple(self._within(f) for f in range(len(self._factors))),
            tuple(one for one in between if one is not None),
        )

    def _variances(
        self, x: FloatArray | None, effects: Mapping[int, tuple[NDArray[Any], FloatArray]]
    ) -> FloatArray:
        """Give variances over sigma^2.

        Parameters
        ----------
        x : (p,) array or None
            Weights of the fixed effects, in every row.
        effects : mapping
            For some grouping factors the (m,) levels and the (m, K) weights of their effects.
        """
        rows = len(next(iter(effects.values()))[0])
        parts = [
            self._chunk(
                x,
                {f: (codes[i : i + CHUNK], z[i : i + CHUNK]) for f, (codes, z) in effects.items()},
            )
            for i in range(0, rows, CHUNK)
        ]
        return np.concatenate(parts) / self._unit

    def _chunk(
        self, x: FloatArray | None, effects: Mapping[int, tuple[NDArray[Any], FloatArray]]
    ) -> FloatArray:
        design = self._model.design
        m = len(next(iter(effects.values()))[0])
        X = np.zeros((m, design.p), order="F")
        if x is not None:
            X[:, self._model._kept] = x
        codes = [np.full(m, -1, dtype=np.int32) for _ in self._factors]
        zero = np.zeros(m)
        columns: list[list[FloatArray | None]] = [[zero] * len(t.names) for t in design.random]
        for f, (levels, z) in effects.items():
            codes[f][:] = levels
            first = 0
            for t in self._terms[f]:
                k = len(design.random[t].names)
                columns[t] = [np.ascontiguousarray(z[:, first + j]) for j in range(k)]
                first += k
        return self._fit.prediction_variances(X, codes, columns, [True] * len(columns))

    def _weights(self, f: int, levels: NDArray[Any], j: int) -> FloatArray:
        """Give the weight that makes effect j of some levels have variance sigma^2, (m, K)."""
        z = np.zeros((len(levels), self._widths[f]))
        z[:, j] = self._scales[f][levels, j]
        return z

    def _scale(self, f: int) -> FloatArray:
        """Give (J, K) scales; 1 for effects without variance."""
        levels = np.arange(self._factors[f].n_levels)
        out = np.empty((len(levels), self._widths[f]))
        for j, unit in enumerate(np.eye(self._widths[f])):
            out[:, j] = self._variances(None, {f: (levels, np.tile(unit, (len(levels), 1)))})
        with np.errstate(divide="ignore"):
            return np.where(out > 0, 1 / np.sqrt(out), 1.0)

    def _own(self, f: int, levels: NDArray[Any], j: int) -> FloatArray:
        """Give the scaled variance of effect j: 1, or 0."""
        return self._variances(None, {f: (levels, self._weights(f, levels, j))})

    def _with_fixed(self, f: int) -> FloatArray:
        """Give V of a factor: |e_i - z V|^2 + z G z' = 1 - 2 z V e_i' + var(z b), e_i = x R^-1."""
        levels = np.arange(self._factors[f].n_levels)
        RX = self._model._fit.RX
        V = np.empty((len(levels), self._widths[f], len(RX)))
        for j in range(self._widths[f]):
            z, own = self._weights(f, levels, j), self._own(f, levels, j)
            for i, row in enumerate(RX):
                V[:, j, i] = (1 + own - self._variances(row, {f: (levels, z)})) / 2
        return V / self._scales[f][:, :, None]

    def _covariance(
        self, f: int, j: int, at_f: NDArray[Any], g: int, k: int, at_g: NDArray[Any]
    ) -> FloatArray:
        """Give entries of G: effect j of levels of f with effect k of levels of g, (m,)."""
        z_f, z_g = self._weights(f, at_f, j), self._weights(g, at_g, k)
        both = {f: (at_f, z_f + z_g)} if f == g else {f: (at_f, z_f), g: (at_g, z_g)}
        joint = self._variances(None, both) - self._own(f, at_f, j) - self._own(g, at_g, k)
        scaled = joint / (2 * self._scales[f][at_f, j] * self._scales[g][at_g, k])
        fixed = np.sum(self._V[f][at_f, j] * self._V[g][at_g, k], axis=1)
        return np.asarray(self._unit * (scaled - fixed))

    def _within(self, f: int) -> FloatArray:
        """Give the diagonal blocks of a factor; those of one term the engine has itself."""
        levels = np.arange(self._factors[f].n_levels)
        out = np.zeros((len(levels), self._widths[f], self._widths[f]))
        given = self._model._conditional_covariances
        term_of = np.repeat(self._terms[f], [given[t].shape[1] for t in self._terms[f]])
        first = 0
        for t in self._terms[f]:
            last = first + given[t].shape[1]
            out[:, first:last, first:last] = given[t]
            first = last
        for j, k in combinations(range(self._widths[f]), 2):
            if term_of[j] != term_of[k]:
                out[:, j, k] = out[:, k, j] = self._covariance(f, j, levels, f, k, levels)
        return out

    def _between(self, f: int, g: int) -> Between | None:
        """Give the blocks of two factors; None where they are crossed and have too many pairs."""
        for inner, outer in ((f, g), (g, f)):
            partner = _partner(self._factors[inner], self._factors[outer])
            if partner is not None:
                levels = np.arange(len(partner))
                return Between((inner, outer), partner, self._blocks(inner, levels, outer, partner))
        shape = self._factors[f].n_levels, self._factors[g].n_levels
        if shape[0] * shape[1] > MAX_PAIRS:
            return None
        at_f, at_g = (at.ravel() for at in np.indices(shape))
        blocks = self._blocks(f, at_f, g, at_g)
        return Between((f, g), None, blocks.reshape(*shape, *blocks.shape[1:]))

    def _blocks(self, f: int, at_f: NDArray[Any], g: int, at_g: NDArray[Any]) -> FloatArray:
        out = np.empty((len(at_f), self._widths[f], self._widths[g]))
        for j in range(self._widths[f]):
            for k in range(self._widths[g]):
                out[:, j, k] = self._covariance(f, j, at_f, g, k, at_g)
        return out


def _partner(inner: GroupingFactor, outer: GroupingFactor) -> NDArray[np.int64] | None:
    """Give the level of `outer` each level of `inner` is in; None if it is in several."""
    partner = np.zeros(inner.n_levels, dtype=np.int64)
    partner[inner.codes] = outer.codes
    return partner if np.array_equal(partner[inner.codes], outer.codes) else None


def fixed_part(X: FloatArray, RX: FloatArray) -> FloatArray:
    """Give x R^-1 of rows x on the columns kept, (m, p)."""
    if not RX.size:
        return np.zeros((len(X), 0))
    return np.asarray(scipy.linalg.solve_triangular(RX, X.T, trans="T").T.copy())
