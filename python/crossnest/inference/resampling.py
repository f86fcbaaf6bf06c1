"""Resampled responses: residual, wild and random effect block bootstrap.

Each scheme draws responses (n, count) for the rows of the fit; replicate i depends on the seed and
i alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from ..base.read_only import cached_property
from ..design.sparse_z import sparse_z
from ..fit.random_effects import relative_factor, terms_of
from ..fit.residuals import residual_values
from ..prediction.simulate import random_stream

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["BlockScheme", "ResidualScheme", "ResponseScheme", "WildScheme"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


class ResponseScheme(Protocol):
    """Whatever draws responses of the fitted rows."""

    def draw(self, seed: int, first: int, count: int) -> FloatArray:
        """Draw the replicates first, ..., first + count - 1 of a seed: (n, count)."""
        ...


@dataclass(frozen=True, eq=False)
class _OneByOne(ABC):
    """A scheme that draws replicate by replicate.

    Attributes
    ----------
    model : LinearMixedModel
        The fitted model.
    """

    model: FittedModel

    def draw(self, seed: int, first: int, count: int) -> FloatArray:
        """Draw the replicates first, ..., first + count - 1 of a seed: (n, count)."""
        Y = np.empty((self.model.nobs, count), order="F")
        for i in range(count):
            Y[:, i] = self._fixed + self.deviation(random_stream(seed, first + i))
        return Y

    @abstractmethod
    def deviation(self, rng: np.random.Generator) -> FloatArray:
        """Draw one response less its fixed part: (n,)."""

    @cached_property
    def _fixed(self) -> FloatArray:
        """X beta + offset, (n,)."""
        design = self.model.design
        mean = design.X[:, self.model._kept] @ self.model._fit.beta
        return mean if design.offset is None else mean + design.offset

    @cached_property
    def _marginal(self) -> FloatArray:
        """The response less its fixed part, (n,)."""
        return self.model.design.y - self._fixed

    @cached_property
    def _root_weights(self) -> FloatArray | float:
        weights = self.model.design.weights
        return 1.0 if weights is None else np.sqrt(weights)


# ------------------------------------------------------------------------------------ residual


class ResidualScheme(_OneByOne):
    """Random effects and residuals drawn from the predicted ones, centred and reflated.

    Predicted effects and residuals vary less than the true ones. They are centred and multiplied
    so that their empirical covariances are the estimated ones, then drawn with replacement: the
    levels of each grouping factor, all effects of a level together, and the residuals (times the
    square roots of their weights). Carpenter, Goldstein and Rasbash (2003), J. R. Stat. Soc. C 52,
    431-443.
    """

    def deviation(self, rng: np.random.Generator) -> FloatArray:
        """Draw one response less its fixed part: (n,)."""
        pieces: list[FloatArray] = [np.empty(0)] * len(self.model.design.random)
        for terms, effects in self._effects:
            drawn = effects[rng.integers(len(effects), size=len(effects))]
            first = 0
            for t in terms:
                k = len(self.model.design.random[t].names)
                pieces[t] = drawn[:, first : first + k].ravel()
                first += k
        residuals = self._residuals[rng.integers(self.model.nobs, size=self.model.nobs)]
        deviation: FloatArray = self._Z @ np.concatenate(pieces) + residuals / self._root_weights
        return deviation

    @cached_property
    def _Z(self) -> scipy.sparse.csr_array[Any, tuple[int, int]]:
        return sparse_z(self.model.design)

    @cached_property
    def _effects(self) -> list[tuple[list[int], FloatArray]]:
        """For each grouping factor its terms and (J, k) reflated effects, side by side."""
        model = self.model
        made = []
        for j in range(len(model.design.factors)):
            terms = terms_of(model, j)
            modes = np.hstack([model._fit.b[t] for t in terms])
            factor = relative_factor(model, j)
            made.append((terms, reflate(modes, model.sigma**2 * factor @ factor.T)))
        return made

    @cached_property
    def _residuals(self) -> FloatArray:
        """(n,) residuals of weight 1, centred, of mean square sigma^2."""
        residuals = residual_values(self.model, "pearson")
        return reflate(residuals[:, None], np.array([[self.model.sigma**2]]))[:, 0]


def reflate(values: FloatArray, covariance: FloatArray) -> FloatArray:
    """Centre values (J, k) and give them the covariance (k, k): U S^-1/2 R^1/2.

    Directions in which they do not vary stay without variation.
    """
    centred = values - values.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = variances > 1e-10 * max(float(variances.max()), np.finfo(float).tiny)
    inverse = (vectors[:, kept] / np.sqrt(variances[kept])) @ vectors[:, kept].T
    estimated, axes = np.linalg.eigh(covariance)
    root = (axes * np.sqrt(np.maximum(estimated, 0))) @ axes.T
    product: FloatArray = centred @ inverse @ root
    return product


# ---------------------------------------------------------------------------------------- wild


@dataclass(frozen=True, eq=False)
class WildScheme(_OneByOne):
    """Marginal residuals of each independent group times one random number.

    v = (y - X beta) / (1 - h)^(1/2) (HC2) or / (1 - h) (HC3), h the leverages of least squares;
    y* = X beta + v a_g with Mammen's two-point a_g of mean 0, variance and third moment 1, one for
    each group g. Modugno and Giannerini (2015), Comm. Statist. Theory Methods 44, 4812-4825.

    Attributes
    ----------
    correction : {"hc2", "hc3"}
        How residuals are divided.
    groups : (n,) array of int
        The independent group of each row.
    """

    correction: Literal["hc2", "hc3"]
    groups: IntArray

    def deviation(self, rng: np.random.Generator) -> FloatArray:
        """Draw one response less its fixed part: (n,)."""
        root = np.sqrt(5.0)
        low = rng.random(int(self.groups.max()) + 1) < (root + 1) / (2 * root)
        factors = np.where(low, (1 - root) / 2, (1 + root) / 2)
        deviation: FloatArray = self._corrected * factors[self.groups]
        return deviation

    @cached_property
    def _corrected(self) -> FloatArray:
        """(n,) corrected marginal residuals; zero where a row alone fits its fixed effect."""
        X = self.model.design.X[:, self.model._kept] * np.reshape(self._root_weights, (-1, 1))
        leverage = (np.linalg.qr(X)[0] ** 2).sum(axis=1)
        left = np.maximum(1 - leverage, 0)
        divisor = np.sqrt(left) if self.correction == "hc2" else left
        corrected: FloatArray = np.zeros_like(divisor)
        np.divide(self._marginal, divisor, out=corrected, where=left > 1e-10)
        return corrected


# ---------------------------------------------------------------------- random effect blocks


@dataclass(frozen=True, eq=False)
class BlockScheme(_OneByOne):
    """Random effect block bootstrap of a model with one grouping factor.

    Marginal residuals r are split by least squares in each group into r = Z_g u_g + e_g (u_g the
    mean of r for a random intercept). u is drawn over groups with replacement; the residuals of a
    group are drawn with replacement from those of one group, itself drawn with replacement.
    Type 1 centres and scales u and e beforehand to the estimated covariance and sigma. Chambers and
    Chandra (2013), J. Comput. Graph. Statist. 22, 452-470.

    Attributes
    ----------
    scaled : bool
        Type 1, and not type 0.
    """

    scaled: bool

    def deviation(self, rng: np.random.Generator) -> FloatArray:
        """Draw one response less its fixed part: (n,)."""
        effects, residuals = self._split
        groups, rows = self._codes, self._rows
        drawn = effects[rng.integers(len(rows), size=len(rows))]
        source = rng.integers(len(rows), size=len(rows))
        sizes = np.array([len(one) for one in rows])
        within = (rng.random(len(groups)) * sizes[source[groups]]).astype(np.intp)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        at = np.concatenate(rows)[starts[source[groups]] + within]
        between = (self._columns * drawn[groups]).sum(axis=1)
        deviation: FloatArray = between + residuals[at] / self._root_weights
        return deviation

    @cached_property
    def _codes(self) -> IntArray:
        return self.model.design.factors[0].codes.astype(np.intp)

    @cached_property
    def _rows(self) -> list[IntArray]:
        """Rows of each group."""
        order = np.argsort(self._codes, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self._codes))[:-1])

    @cached_property
    def _columns(self) -> FloatArray:
        """(n, k) Z's columns of all terms."""
        n = self.model.nobs
        held = [column for term in self.model.design.random for column in term.columns]
        return np.column_stack([np.ones(n) if one is None else one for one in held])

    @cached_property
    def _split(self) -> tuple[FloatArray, FloatArray]:
        """(J, k) effects and (n,) residuals of weight 1 of each group's least squares."""
        residuals = np.empty(self.model.nobs)
        weights = np.broadcast_to(self._root_weights, (self.model.nobs,))
        effects = np.empty((len(self._rows), self._columns.shape[1]))
        sizes = np.abs(self._columns).max(axis=0)  # which effects a group lacks, in any units
        sizes = np.where(sizes > 0.0, sizes, 1.0)
        for j, rows in enumerate(self._rows):
            Z, r = self._columns[rows] * weights[rows, None], self._marginal[rows] * weights[rows]
            effects[j] = np.linalg.lstsq(Z / sizes, r, rcond=None)[0] / sizes
            residuals[rows] = r - Z @ effects[j]
        if not self.scaled:
            return effects, residuals
        factor = scipy.linalg.block_diag(*self.model._relative_factors)
        covariance = self.model.sigma**2 * factor @ factor.T
        variance = np.array([[self.model.sigma**2]])
        return reflate(effects, covariance), reflate(residuals[:, None], variance)[:, 0]
