"""Satterthwaite's degrees of freedom, as lmerTest computes them, by exact derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from .._core import FitError
from ..fit.engine_results import engine_curvature
from .canonical_rows import CanonicalRows, unit_rows
from .tester import FTest, Tester

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]

#: Eigenvalues of the Hessian up to this are taken for zero, as in lmerTest.
ZERO_CURVATURE = 1e-8
#: Rows whose standard deviations differ by more than this are compared in units of their own.
UNITS = np.finfo(np.float64).eps ** 0.25


@dataclass(frozen=True, eq=False)
class SatterthwaiteTester(Tester):
    """t tests whose degrees of freedom match two moments of the estimated variance.

    For a contrast l with variance v = l'Var(beta) l, a function of the m + 1 variance parameters
    with gradient g,

        df = 2 v^2 / (g'A g),   A = 2 H^-1,

    H the Hessian of the criterion in these parameters (Satterthwaite 1946; Fai and Cornelius 1996
    for several rows; Kuznetsova, Brockhoff and Christensen 2017).

    Attributes
    ----------
    jacobian : (m + 1, p, p) array
        RX dVar(beta) RX' / sigma^2 for each parameter.
    varpar_vcov : (m + 1, m + 1) array
        A, the covariance matrix of the variance parameters.
    canonical : CanonicalRows
        The rows that stand for a joint hypothesis.
    """

    jacobian: FloatArray
    varpar_vcov: FloatArray
    canonical: CanonicalRows

    def df(self, L: FloatArray) -> FloatArray:
        """Compute the denominator degrees of freedom of each row of L (m, p): (m,)."""
        rows, _ = unit_rows(L)
        return self._df_of(self.weights_of_RX_beta(rows))

    def _df_of(self, Z: FloatArray) -> FloatArray:
        """Return the degrees of freedom of the columns of Z (p, m), weights of RX beta."""
        # They do not depend on the length of a column, whose fourth power may be no finite number.
        Z = np.ldexp(Z, -np.frexp(np.abs(Z).max(axis=0, initial=0.0))[1])
        gradient = np.einsum("ji,ajk,ki->ia", Z, self.jacobian, Z, optimize=True)
        spread = np.einsum("ia,ab,ib->i", gradient, self.varpar_vcov, gradient)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * np.sum(Z**2, axis=0) ** 2 / spread, dtype=np.float64)

    def f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> FTest:
        """Test L beta = rhs jointly, L (m, p); redundant rows count once.

        The canonical rows of the hypothesis are turned into q uncorrelated contrasts, and the
        degrees of freedom of the F value are those of the mean of their squared t values.
        """
        restriction = self.restriction(L, rhs)
        num_df = len(restriction.directions)
        if num_df == 0:
            return FTest(np.nan, 0, np.nan, np.nan)
        contrasts = restriction.directions.T
        if num_df > 1:
            contrasts = self._uncorrelated(self.canonical.of(restriction))
        statistic, den_df = self.wald(restriction), f_denominator(self._df_of(contrasts))
        return FTest(statistic, num_df, den_df, float(scipy.stats.f.sf(statistic, num_df, den_df)))

    def _uncorrelated(self, rows: FloatArray) -> FloatArray:
        """Return the eigenvectors of L vcov L', L (q, p), as weights of RX beta: (p, q)."""
        Z = self.weights_of_RX_beta(rows)
        vectors, values, _ = np.linalg.svd(Z, full_matrices=False)
        if values[-1] <= UNITS * values[0]:
            vectors = np.linalg.svd(Z / np.linalg.norm(Z, axis=0), full_matrices=False)[0]
        return np.asarray(vectors, dtype=np.float64)


def f_denominator(df: FloatArray) -> float:
    """Compute the df nu of F from those of q independent t's (Fai and Cornelius).

    The mean of an F with q and nu degrees of freedom, nu / (nu - 2), is set equal to that of the
    mean of the squared t's: with E = sum of df_m / (df_m - 2), nu = 2 E / (E - q).
    """
    if np.all(np.abs(np.diff(df)) < 1e-8):
        return float(np.mean(df))
    if np.any(df <= 2):
        return 2.0
    expected = np.sum(df / (df - 2))
    return float(2 * expected / (expected - len(df)))


def satterthwaite_tester(model: FittedModel) -> SatterthwaiteTester:
    """Find what Satterthwaite's degrees of freedom need of a fitted model."""
    curvature = engine_curvature(model)
    return SatterthwaiteTester(
        beta=model._fit.beta,
        RX=model._fit.RX,
        sigma=model.sigma,
        jacobian=curvature["jacobian"],
        varpar_vcov=_twice_inverse(curvature["hessian"]),
        canonical=CanonicalRows(model),
    )


def _twice_inverse(hessian: FloatArray) -> FloatArray:
    """Compute 2 H^-1, directions without curvature left out."""
    if not np.isfinite(hessian).all():
        raise FitError(
            "the curvature of the criterion at the estimates is not finite, so Satterthwaite's "
            "degrees of freedom cannot be computed: use ddf='residual' or ddf='none'"
        )
    values, vectors = np.linalg.eigh(hessian)
    curved = values > ZERO_CURVATURE
    return np.asarray((vectors[:, curved] * (2 / values[curved])) @ vectors[:, curved].T)
