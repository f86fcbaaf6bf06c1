"""The exact distribution of the likelihood ratio of one variance component.

y = X beta + Z b + e,   b ~ N(0, sigma^2 lambda I),   e ~ N(0, sigma^2 W^-1),   null: lambda = 0.

With X and Z multiplied by the roots of the weights, P the projection on what is orthogonal to X,
mu_s the eigenvalues of Z'PZ, xi_s those of Z'Z, and w_s, u_s independent standard normal numbers,

    N(lambda) = sum_s lambda mu_s w_s^2 / (1 + lambda mu_s)
    D(lambda) = sum_s w_s^2 / (1 + lambda mu_s)                       (s = 1, ..., n - p)
    RLRT = sup_lambda (n - p) log(1 + N / D) - sum_s log(1 + lambda mu_s)
    LRT = n log(1 + sum_s u_s^2 / sum_s w_s^2) + sup_lambda n log(1 + N / D)
          - sum_s log(1 + lambda xi_s)                                (q numbers u_s)

where q coefficients are zero under the null too. Eigenvalues that are equal share a chi-squared
number, so nothing is as long as the data.

References
----------
Crainiceanu and Ruppert (2004). Likelihood ratio tests in linear mixed models with one variance
component. Journal of the Royal Statistical Society B 66(1), 165-185, theorems 1 and 2.
Scheipl, Greven and Kuechenhoff (2008). Size and power of tests for a zero random effect variance or
polynomial regression in additive and linear mixed models. Computational Statistics & Data Analysis
52(7), 3283-3299; R package RLRsim.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from ..design.design import Design
from ..fit.least_squares import independent_columns, weighted_problem

__all__ = ["MAX_LEVELS", "LrtDistribution"]

FloatArray = NDArray[np.float64]

#: Eigenvalues closer than this part of the largest are taken for equal, or for zero.
EQUAL = 1e-10
#: log(lambda max(mu_1, xi_1)) at which the supremum is sought; a parabola finds what is between.
GRID = np.linspace(-10.0, 10.0, 250)
#: Numbers drawn at once.
_NUMBERS = 4_000_000
#: Most eigenvalues that are computed by a dense decomposition (of a matrix of 800 MB).
MAX_LEVELS = 10_000


@dataclass(frozen=True, eq=False)
class Spectrum(ReadOnly):
    """Eigenvalues, each once, with their multiplicities.

    Attributes
    ----------
    values : (k,) array
        Positive, different from each other.
    counts : (k,) array
        How often each occurs.
    """

    values: FloatArray
    counts: FloatArray

    @classmethod
    def of(cls, values: FloatArray, counts: FloatArray) -> Spectrum:
        """Put equal eigenvalues together and leave out zeros."""
        order = np.argsort(values)
        values, counts = values[order], counts[order]
        positive = values > EQUAL * values[-1] if len(values) else np.zeros(0, dtype=np.bool_)
        values, counts = values[positive], counts[positive]
        if not len(values):
            return cls(values, counts)
        first = np.r_[True, np.diff(values) > EQUAL * values[-1]]
        return cls(values[first], np.add.reduceat(counts, np.flatnonzero(first)))


@dataclass(frozen=True, eq=False)
class LrtDistribution(ReadOnly):
    """The distribution under the null hypothesis of the likelihood ratio of a variance component.

    Attributes
    ----------
    mu, xi : Spectrum
        Eigenvalues of Z'PZ and of Z'Z.
    n, p : int
        Observations and fixed effects.
    q : int
        Fixed effects that are zero under the null hypothesis too.
    reml : bool
        Whether the likelihoods are restricted.
    """

    mu: Spectrum
    xi: Spectrum
    n: int
    p: int
    q: int
    reml: bool

    @classmethod
    def of(cls, design: Design, term: int, q: int, reml: bool) -> LrtDistribution:
        """Find the eigenvalues for a random-effects term with one effect.

        Parameters
        ----------
        design : Design
            The design.
        term : int
            Position of the term in `design.random`.
        q : int
            Fixed effects that are zero under the null hypothesis too.
        reml : bool
            Whether the likelihoods are restricted.

        Raises
        ------
        MemoryError
            If the eigenvalues would take more than a few gigabytes.
        """
        sizes, C = _cross_products(design, term)
        mu = Spectrum.of(*_eigenvalues(sizes, C))
        return cls(mu, Spectrum.of(sizes, np.ones(len(sizes))), design.n, C.shape[1], q, reml)

    def draw(self, n: int, seed: int) -> FloatArray:
        """Draw n statistics, (n,)."""
        rng = np.random.default_rng(seed)
        drawn = np.empty(n)
        for piece in self._pieces(n):
            drawn[piece] = self._draw(rng, piece.stop - piece.start)
        return drawn

    def _pieces(self, n: int) -> Iterator[slice]:
        """Cut n draws into pieces of bounded memory."""
        width = max(1, _NUMBERS // max(len(self.mu.values), len(GRID)))
        yield from (slice(first, min(first + width, n)) for first in range(0, n, width))

    def _draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        others = self.n - self.p - float(self.mu.counts.sum())
        squares = rng.chisquare(self.mu.counts, (n, len(self.mu.counts)))
        rest = rng.chisquare(others, n) if others > 0.5 else np.zeros(n)
        total = squares.sum(axis=1) + rest
        ratio = self._supremum(squares, rest, total)
        if self.q:
            ratio += self.n * np.log1p(rng.chisquare(self.q, n) / total)
        return ratio

    def _supremum(self, squares: FloatArray, rest: FloatArray, total: FloatArray) -> FloatArray:
        """Maximize the ratio over lambda >= 0, (n,); it is zero at lambda = 0."""
        largest = max(np.r_[self.mu.values, self.xi.values], default=1.0)
        lam = np.exp(GRID) / largest
        factor = self.n - self.p if self.reml else self.n
        spectrum = self.mu if self.reml else self.xi
        penalty = spectrum.counts @ np.log1p(np.outer(spectrum.values, lam))
        left = squares @ (1 / (1 + np.outer(self.mu.values, lam))) + rest[:, None]
        values = factor * np.log(total[:, None] / left) - penalty
        return np.maximum(_peak(values), 0.0)


def _peak(values: FloatArray) -> FloatArray:
    """Return the largest of each row (n, m), by a parabola through it and its neighbours."""
    at = np.clip(np.argmax(values, axis=1), 1, values.shape[1] - 2)
    rows = np.arange(len(values))
    before, middle, after = (values[rows, at + step] for step in (-1, 0, 1))
    bend, slope = before - 2 * middle + after, (after - before) / 2
    inside = (bend < 0) & (np.abs(slope) <= -bend)
    rise = np.divide(slope**2, -2 * bend, out=np.zeros(len(bend)), where=inside)
    return np.asarray(np.maximum(np.max(values, axis=1), middle + rise), dtype=np.float64)


def _cross_products(design: Design, term: int) -> tuple[FloatArray, FloatArray]:
    """Return the diagonal of Z'WZ, (J,), and C = Z'W^1/2 Q, (J, p), with W^1/2 X = QR."""
    effects = design.random[term]
    factor = design.factors[effects.factor]
    codes, z = factor.codes, effects.columns[0]
    z = np.ones(design.n) if z is None else z
    z = z if design.weights is None else z * np.sqrt(design.weights)
    X, _ = weighted_problem(design)
    Q, R = np.linalg.qr(X)
    kept = independent_columns(R)
    if len(kept) < X.shape[1]:
        Q = np.linalg.qr(X[:, kept])[0]
    J = factor.n_levels
    sizes = np.bincount(codes, z**2, J).astype(np.float64)
    sums = [np.bincount(codes, z * column, J) for column in Q.T]
    return sizes, np.array(sums, dtype=np.float64).reshape(len(sums), J).T


def _eigenvalues(sizes: FloatArray, C: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the eigenvalues of diag(sizes) - CC', C (J, p), and how often each occurs.

    Of m levels of equal size, m - rank(C there) eigenvalues are that size, and the levels count
    by the triangle of C there for the others.
    """
    rounded = np.round(sizes / max(sizes.max(initial=0.0), 1e-300), 12)
    _, group = np.unique(rounded, return_inverse=True)
    values, counts, left, triangles = [], [], [], []
    for g in range(int(group.max(initial=-1)) + 1):
        rows = np.flatnonzero(group == g)
        size, part = float(sizes[rows].mean()), C[rows]
        if len(rows) > C.shape[1]:
            values.append(size)
            counts.append(float(len(rows) - C.shape[1]))
            part = np.asarray(np.linalg.qr(part, mode="r"))
        left.append(np.full(len(part), size))
        triangles.append(part)
    diagonal, reduced = np.concatenate(left), np.vstack(triangles)
    if len(diagonal) > MAX_LEVELS:
        raise MemoryError(
            f"the exact distribution needs the eigenvalues of a matrix of {len(diagonal)} rows, "
            f"more than {MAX_LEVELS}, since the groups have many different sizes: use "
            "crossnest.pb_modcomp"
        )
    rest = np.linalg.eigvalsh(np.diag(diagonal) - reduced @ reduced.T)
    return np.r_[values, np.maximum(rest, 0.0)], np.r_[counts, np.ones(len(rest))]
