"""Covariances of fixed and random effects: what standard errors of predictions need of a fit.

The error of x beta^ + z b^ as a prediction of x beta + z b has the variance

    sigma^2 |x R^-1 - z V|^2 + z G z',    R = RX,  V = Lambda U_X R^-1,

where U_X solves Omega U_X = Lambda'Z'WX and G = sigma^2 Lambda Omega^-1 Lambda' is the covariance
matrix of b given y if beta were known. z has the effects of one level of each grouping factor, so
of G only the blocks of levels that are met together are needed: O(q) numbers in all, unless
factors are crossed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ..base.errors import NoDataError
from ..base.read_only import ReadOnly
from ..data.columns import CodeArray, FloatArray
from .engine_results import engine_fit

if TYPE_CHECKING:
    from .._core import Fit
    from ..design.grouping import GroupingFactor
    from .fitted_model import FittedModel

__all__ = ["Between", "JointCovariance", "measure"]

Levels: TypeAlias = NDArray[np.int64]

#: Blocks of crossed factors are kept for all pairs of levels up to this many.
MAX_PAIRS = 100_000


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
                "standard errors for combinations of levels that do not occur together need the "
                "data, which the file the model was loaded from does not contain"
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
    """Read the covariances off a fitted model's factor."""
    variance = model.sigma**2
    fit = engine_fit(model)
    within = [variance * blocks for blocks in fit.effect_covariances()]
    sizes = [blocks.shape[1] for blocks in within]
    between = []
    for f, g in combinations(range(len(sizes)), 2):
        pairs = _pairs(model.design.factors, f, g)
        if pairs is not None:
            between.append(pairs.measure(fit, sizes, variance))
    return JointCovariance(tuple(fit.effect_loadings()), tuple(within), tuple(between))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of levels of two grouping factors: a level of f each with its partner, or all.

    Attributes
    ----------
    factors : (int, int)
        The positions f and g of the factors.
    levels : (m, 2) array of int
        The pairs.
    partner : (J_f,) array of int, or None
        As in `Between`.
    shape : tuple of int
        (J_f,) or (J_f, J_g).
    """

    factors: tuple[int, int]
    levels: Levels
    partner: Levels | None
    shape: tuple[int, ...]

    def measure(self, fit: Fit, sizes: Sequence[int], variance: float) -> Between:
        """Return the blocks of G of the pairs; `sizes` are the effects of each factor's levels."""
        m, (f, g) = len(self.levels), self.factors
        size = sizes[f] + sizes[g]
        matrices = fit.effect_covariances_among(
            2 * np.arange(m + 1), np.tile(self.factors, m), self.levels.ravel()
        ).reshape(*self.shape, size, size)
        return Between(self.factors, self.partner, variance * matrices[..., : sizes[f], sizes[f] :])


def _pairs(factors: Sequence[GroupingFactor], f: int, g: int) -> _Pairs | None:
    """Return the pairs to measure; None where factors are crossed and have too many."""
    for inner, outer in ((f, g), (g, f)):
        partner = _partner(factors[inner], factors[outer])
        if partner is not None:
            levels = np.stack([np.arange(len(partner)), partner], axis=1)
            return _Pairs((inner, outer), levels, partner, partner.shape)
    shape = factors[f].n_levels, factors[g].n_levels
    if shape[0] * shape[1] > MAX_PAIRS:
        return None
    every = np.stack([at.ravel() for at in np.indices(shape)], axis=1)
    return _Pairs((f, g), every, None, shape)


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
