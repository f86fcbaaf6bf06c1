"""Degrees of freedom of tests on the fixed effects: one `Tester` a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..model import LinearMixedModel

FloatArray = NDArray[np.float64]

Ddf = Literal["satterthwaite", "kenward-roger", "residual", "normal", "none"]


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
    """Tests of contrasts of the fixed effects with one method's degrees of freedom.

    Attributes
    ----------
    beta : (p,) array
        Estimates, aliased columns left out.
    vcov : (p, p) array
        Their covariance matrix as the method has it (Kenward and Roger adjust it).
    """

    beta: FloatArray
    vcov: FloatArray

    def df(self, L: FloatArray) -> FloatArray:
        """Give the denominator degrees of freedom of each row of L (m, p): (m,)."""
        raise NotImplementedError

    def f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> FTest:
        """Test L beta = rhs jointly, L (m, p); redundant rows count once."""
        raise NotImplementedError

    def t_table(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> pd.DataFrame:
        """Test each row of L beta = rhs: Estimate, Std. Error, df, t value, Pr(>|t|)."""
        estimate = L @ self.beta
        error = np.sqrt(np.einsum("ij,jk,ik->i", L, self.vcov, L))
        df = self.df(L)
        t = (estimate - rhs) / error
        columns = {
            "Estimate": estimate,
            "Std. Error": error,
            "df": df,
            "t value": t,
            "Pr(>|t|)": 2 * scipy.stats.t.sf(np.abs(t), df),
        }
        return pd.DataFrame(columns)


def tester(model: LinearMixedModel, ddf: Ddf) -> Tester:
    """Give the tester of a method, made once for each model."""
    raise NotImplementedError(ddf)


def coefficient_tests(model: LinearMixedModel, ddf: Ddf) -> pd.DataFrame:
    """Test each fixed effect: the columns of `Tester.t_table`, one row a coefficient."""
    table = tester(model, ddf).t_table(np.eye(len(model.fixef)))
    return table.set_index(model.fixef.index)
