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
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.errors import NoDataError
from ..base.read_only import ReadOnly
from ..data.columns import CodeArray, FloatArray
from ..design.design import RandomEffects
from .engine import Engine

if TYPE_CHECKING:
    from .._core import Fit
    from ..design.grouping import GroupingFactor
    from .model import FittedModel

__all__ = ["Between", "JointCovariance", "measure"]

Levels: TypeAlias = NDArray[np.int64]

#: Blocks of crossed factors are kept for all pairs of levels up to this many.
MAX_PAIRS = 100_000
#: Variances taken at once.
CHUNK = 100_000


@dataclass(frozen=True, eq=False)
class Between(ReadOnly):
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
    partner: Levels | None
    blocks: FloatArray

    def of(self, inner: CodeArray, outer: CodeArray) -> FloatArray:
        """Return the blocks of pairs of levels, (m, K_f, K_g).

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
class JointCovariance(ReadOnly):
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


def measure(model: FittedModel) -> JointCovariance:
    """Take the covariances out of a fitted model's factor.

    V has the conditional modes of a model without fixed effects to the columns of X R^-1 as
    responses, G is that model's covariance matrix.
    """
    design, fit = model.design, model._fit
    alone = replace(design, X=np.empty((design.n, 0), order="F"), offset=None)
    engine = Engine(alone, model.control)
    columns = list(fixed_part(design.X[:, model._kept], fit.RX).T)
    modes = []
    for column in columns or [design.y]:
        with engine.using(np.ascontiguousarray(column)) as problem:
            without_fixed = problem.estimates(fit.theta, False)
        modes.append(without_fixed.b)
    V = [np.zeros((*b.shape, 0)) for b in fit.b]
    if columns:
        V = [np.stack(b, axis=2) for b in zip(*modes, strict=True)]
    blocks = _Blocks(model, without_fixed)
    n_factors = range(len(design.factors))
    between = (blocks.between(f, g) for f, g in combinations(n_factors, 2))
    return JointCovariance(
        tuple(np.concatenate([V[t] for t in model._terms_of(f)], axis=1) for f in n_factors),
        tuple(blocks.within(f) for f in n_factors),
        tuple(block for block in between if block is not None),
    )


class _Blocks:
    """Blocks of G. Those of one term the engine has; the others follow from variances of sums.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    fit : Fit
        Estimates of the model without fixed effects, at the same theta.
    """

    def __init__(self, model: FittedModel, fit: Fit) -> None:
        self._fit = fit
        self._design = model.design
        self._terms_of = model._terms_of
        self._own = model._conditional_covariances
        self._unit = model.sigma**2 / fit.sigma**2
        self._probes = [_probes(*one) for one in zip(model.design.random, self._own, strict=True)]

    def within(self, f: int) -> FloatArray:
        """Return the diagonal blocks of a factor, (J, K, K)."""
        levels = np.arange(self._design.factors[f].n_levels)
        return self._assemble(f, levels, f, levels)

    def between(self, f: int, g: int) -> Between | None:
        """Return the blocks of two factors; None where they are crossed and have too many pairs."""
        factors = self._design.factors
        for inner, outer in ((f, g), (g, f)):
            partner = _partner(factors[inner], factors[outer])
            if partner is not None:
                levels = np.arange(len(partner))
                blocks = self._assemble(inner, levels, outer, partner)
                return Between((inner, outer), partner, blocks)
        shape = factors[f].n_levels, factors[g].n_levels
        if shape[0] * shape[1] > MAX_PAIRS:
            return None
        at_f, at_g = (at.ravel() for at in np.indices(shape))
        blocks = self._assemble(f, at_f, g, at_g)
        return Between((f, g), None, blocks.reshape(*shape, *blocks.shape[1:]))

    def _assemble(self, f: int, at_f: Levels, g: int, at_g: Levels) -> FloatArray:
        """Put the blocks of all terms on two factors together, (m, K_f, K_g)."""
        rows = [
            np.concatenate([self._block(t, at_f, u, at_g) for u in self._terms_of(g)], axis=2)
            for t in self._terms_of(f)
        ]
        return np.concatenate(rows, axis=1)

    def _block(self, t: int, at_t: Levels, u: int, at_u: Levels) -> FloatArray:
        """Return the block of two terms at pairs of levels, (m, k_t, k_u)."""
        if t == u:
            return self._own[t]
        left, right = self._probes[t][at_t], self._probes[u][at_u]
        own_left = np.einsum("mij,mjk,mik->mi", left, self._own[t][at_t], left)
        own_right = np.einsum("mij,mjk,mik->mi", right, self._own[u][at_u], right)
        covariances = np.empty((len(at_t), left.shape[1], right.shape[1]))
        for i in range(left.shape[1]):
            for j in range(right.shape[1]):
                both = self._variances({t: (at_t, left[:, i]), u: (at_u, right[:, j])})
                covariances[:, i, j] = (both - own_left[:, i] - own_right[:, j]) / 2
        half = np.linalg.solve(left, covariances)
        return np.linalg.solve(right, half.transpose(0, 2, 1)).transpose(0, 2, 1)

    def _variances(self, terms: Mapping[int, tuple[Levels, FloatArray]]) -> FloatArray:
        """Compute the variance of the sum of some terms' effects: levels (m,), weights (m, k)."""
        m = len(next(iter(terms.values()))[0])
        parts = []
        for i in range(0, m, CHUNK):
            at = slice(i, i + CHUNK)
            parts.append(self._chunk({t: (levels[at], z[at]) for t, (levels, z) in terms.items()}))
        return np.concatenate(parts) * self._unit

    def _chunk(self, terms: Mapping[int, tuple[Levels, FloatArray]]) -> FloatArray:
        random = self._design.random
        m = len(next(iter(terms.values()))[0])
        codes = [np.full(m, -1, dtype=np.int32) for _ in self._design.factors]
        columns: list[list[FloatArray | None]] = [[None] * len(term.names) for term in random]
        for t, (levels, z) in terms.items():
            codes[random[t].factor][:] = levels
            columns[t] = [np.ascontiguousarray(column) for column in z.T]
        included = [t in terms for t in range(len(random))]
        return self._fit.prediction_variances(np.empty((m, 0), order="F"), codes, columns, included)


def _probes(term: RandomEffects, own: FloatArray) -> FloatArray:
    """Choose k independent weights of a term's effects of similar variance by level, (J, k, k).

    The engine centres the columns of a term that has the constant, so that its rows must have the
    constant too.
    """
    deviations = np.sqrt(np.diagonal(own, axis1=1, axis2=2))
    scales = 1 / np.where(deviations > 0, deviations, 1.0)
    constant = next((j for j, column in enumerate(term.columns) if column is None), None)
    if constant is not None:
        scales = scales / scales[:, [constant]]
    probes = np.zeros_like(own)
    diagonal = np.arange(own.shape[1])
    probes[:, diagonal, diagonal] = scales
    if constant is not None:
        probes[:, :, constant] = 1.0
    return probes


def _partner(inner: GroupingFactor, outer: GroupingFactor) -> Levels | None:
    """Find the level of `outer` each level of `inner` is in; None if it is in several."""
    partner = np.zeros(inner.n_levels, dtype=np.int64)
    partner[inner.codes] = outer.codes
    return partner if np.array_equal(partner[inner.codes], outer.codes) else None


def fixed_part(X: FloatArray, RX: FloatArray) -> FloatArray:
    """Compute x R^-1 of rows x on the columns kept, (m, p)."""
    if not RX.size:
        return np.zeros((len(X), 0))
    return np.asarray(scipy.linalg.solve_triangular(RX, X.T, trans="T").T.copy())
