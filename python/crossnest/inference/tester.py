"""Testers: tests of linear functions of the fixed effects with one method's degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.stats
from numpy.typing import NDArray

from .canonical_rows import Restriction, unit_rows

FloatArray = NDArray[np.float64]


class FTest(NamedTuple):
    """A joint test of the rows of L beta = rhs.

    Attributes
    ----------
    statistic, num_df, den_df, pvalue : float
        F value, its degrees of freedom and its upper tail probability.
    """

    statistic: float
    num_df: int
    den_df: float
    pvalue: float


@dataclass(frozen=True, eq=False)
class Tester:
    """Tests of contrasts of the fixed effects, one at a time or several together.

    Variances are those of functions of RX beta, whose covariance matrix is sigma^2 I: where columns
    of X are nearly collinear, products with the covariance matrix of beta have no digits left.

    Attributes
    ----------
    beta : (p,) array
        Estimates, aliased columns left out.
    RX : (p, p) array
        Their covariance matrix is sigma^2 (RX'RX)^-1, where the method does not adjust it.
    sigma : float
        Residual standard deviation.
    """

    beta: FloatArray
    RX: FloatArray
    sigma: float

    @property
    def vcov(self) -> FloatArray:
        """The covariance matrix (p, p) of beta as the method has it."""
        root = np.linalg.inv(self.RX) * self.sigma
        return np.asarray(root @ self.covariance_of_RX_beta() @ root.T)

    def covariance_of_RX_beta(self) -> FloatArray:
        """Return that of RX beta / sigma (p, p) as the method has it."""
        return np.eye(len(self.beta))

    def weights_of_RX_beta(self, L: FloatArray) -> FloatArray:
        """Write functions L beta, L (m, p), as functions of RX beta: their weights (p, m)."""
        return np.asarray(scipy.linalg.solve_triangular(self.RX, L.T, trans="T"))

    def df(self, L: FloatArray) -> FloatArray:
        """Return the denominator degrees of freedom of each row of L (m, p): (m,)."""
        raise NotImplementedError

    def t_table(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> pd.DataFrame:
        """Test each row of L beta = rhs: Estimate, Std. Error, df, t value, Pr(>|t|)."""
        rows, sizes = unit_rows(L)
        estimate = rows @ self.beta
        Z = self.weights_of_RX_beta(rows)
        error = self.sigma * np.sqrt(np.sum((self.covariance_of_RX_beta() @ Z) * Z, axis=0))
        df = self.df(rows)
        t = (estimate - rhs / sizes) / error
        columns = {
            "Estimate": estimate * sizes,
            "Std. Error": error * sizes,
            "df": df,
            "t value": t,
            "Pr(>|t|)": 2 * scipy.stats.t.sf(np.abs(t), df),
        }
        return pd.DataFrame(columns)

    def f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> FTest:
        """Test L beta = rhs jointly, L (m, p); redundant rows count once."""
        raise NotImplementedError

    def restriction(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> Restriction:
        """Return what L beta = rhs, L (m, p), restricts, redundant rows left out."""
        return Restriction.of(L, rhs, self.RX)

    def wald(self, restriction: Restriction) -> float:
        """Return the F value with `vcov`, not scaled; NaN if there is nothing to test."""
        difference = restriction.directions @ (self.RX @ self.beta) - restriction.values
        if not len(difference):
            return np.nan
        return float(np.mean((difference / self.sigma) ** 2))


@dataclass(frozen=True, eq=False)
class FixedDfTester(Tester):
    """Wald tests with the same degrees of freedom for every contrast.

    Attributes
    ----------
    denominator : float
        n - p, the residual degrees of freedom; or infinity, and the tests are z and chi-square
        tests, which take the variances of random effects and errors as known.
    """

    denominator: float

    def df(self, L: FloatArray) -> FloatArray:
        """Return the same degrees of freedom for each row of L (m, p): (m,)."""
        return np.full(len(L), self.denominator)

    def f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> FTest:
        """Test L beta = rhs jointly, L (m, p); redundant rows count once."""
        restriction = self.restriction(L, rhs)
        num_df = len(restriction.directions)
        statistic = self.wald(restriction)
        if np.isinf(self.denominator):
            pvalue = scipy.stats.chi2.sf(num_df * statistic, num_df)
        else:
            pvalue = scipy.stats.f.sf(statistic, num_df, self.denominator)
        return FTest(statistic, num_df, self.denominator, float(pvalue))

    def t_table(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> pd.DataFrame:
        """Test each row of L beta = rhs; with infinite df the columns are z value, Pr(>|z|)."""
        table = super().t_table(L, rhs)
        if np.isinf(self.denominator):
            table = table.rename(columns={"t value": "z value", "Pr(>|t|)": "Pr(>|z|)"})
        return table
