"""Kenward and Roger's tests: an adjusted covariance matrix, a scaled F and its degrees of freedom.

Everything is computed for the fixed effects RX beta, whose covariance matrix is sigma^2 I, and for
the directions of `crossnest._core`'s information: Var(y) = Sigma changes by G_r. There

    P_r = X'Sigma^-1 G_r Sigma^-1 X,   Q_rs = X'Sigma^-1 G_r Sigma^-1 G_s Sigma^-1 X.

References
----------
Kenward and Roger (1997). Small sample inference for fixed effects from restricted maximum
likelihood. Biometrics 53, 983-997.
Halekoh and Hojsgaard (2014). A Kenward-Roger approximation and parametric bootstrap methods for
tests in linear mixed models - the R package pbkrtest. Journal of Statistical Software 59(9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from .. import _core
from ..fit.engine_results import engine_information
from ..formula.covariance_structures import structure_of
from .canonical_rows import Restriction
from .tester import FTest, Tester

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]


class KenwardRogerTest(NamedTuple):
    """A joint test of the rows of L beta = rhs; the names in pbkrtest in parentheses.

    Attributes
    ----------
    num_df, den_df : float
        Degrees of freedom (ndf, ddf).
    statistic, pvalue : float
        The scaled F value and its upper tail probability (Fstat, p.value).
    scaling : float
        What F is multiplied by (F.scaling).
    unscaled, unscaled_pvalue : float
        F before scaling, and its tail probability (FstatU, p.valueU).
    """

    num_df: int
    den_df: float
    statistic: float
    pvalue: float
    scaling: float
    unscaled: float
    unscaled_pvalue: float


@dataclass(frozen=True, eq=False)
class KenwardRogerTester(Tester):
    """Tests by Kenward and Roger (1997), with pbkrtest's formulas.

    Attributes
    ----------
    adjusted : (p, p) array
        Covariance matrix of RX beta / sigma, adjusted for the bias and the uncertainty of the
        estimated variances.
    first : (m, p, p) array
        P_r.
    varpar_vcov : (m, m) array
        W, covariance matrix of the variance parameters: the inverse of the information.
    """

    adjusted: FloatArray
    first: FloatArray
    varpar_vcov: FloatArray

    def covariance_of_RX_beta(self) -> FloatArray:
        """Return the adjusted one of RX beta / sigma (p, p)."""
        return self.adjusted

    def df(self, L: FloatArray) -> FloatArray:
        """Compute the denominator degrees of freedom of each row of L (m, p): (m,)."""
        rows = (self.restriction(row[None, :]).directions for row in L)
        return np.array([self._scaling(directions)[1] for directions in rows])

    def wald(self, restriction: Restriction) -> float:
        """Return F with the adjusted covariance matrix, before it is scaled."""
        directions, values = restriction
        if not len(values):
            return np.nan
        difference = (directions @ (self.RX @ self.beta) - values) / self.sigma
        adjusted = directions @ self.adjusted @ directions.T
        return float(difference @ np.linalg.solve(adjusted, difference)) / len(values)

    def f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> FTest:
        """Test L beta = rhs jointly by the scaled F, L (m, p); redundant rows count once."""
        test = self.modified_f_test(L, rhs)
        return FTest(test.statistic, test.num_df, test.den_df, test.pvalue)

    def modified_f_test(self, L: FloatArray, rhs: FloatArray | float = 0.0) -> KenwardRogerTest:
        """Test L beta = rhs jointly, L (m, p), and give all numbers of the test."""
        restriction = self.restriction(L, rhs)
        directions = restriction.directions
        num_df = len(directions)
        if num_df == 0:
            return KenwardRogerTest(0, *[np.nan] * 6)
        unscaled = self.wald(restriction)
        scaling, den_df = self._scaling(directions)
        statistic = scaling * unscaled
        pvalue, unscaled_pvalue = (
            float(scipy.stats.f.sf(value, num_df, den_df)) for value in (statistic, unscaled)
        )
        return KenwardRogerTest(
            num_df, den_df, statistic, pvalue, scaling, unscaled, unscaled_pvalue
        )

    def _scaling(self, directions: FloatArray) -> tuple[float, float]:
        """Compute the scaling of F and its denominator df (pbkrtest's .KR_adjust)."""
        q = len(directions)
        if q == 0:
            return np.nan, np.nan
        parts = directions @ self.first @ directions.T
        traces = np.trace(parts, axis1=1, axis2=2)
        A1 = traces @ self.varpar_vcov @ traces
        A2 = np.einsum("rs,rij,sji->", self.varpar_vcov, parts, parts)
        B = (A1 + 6 * A2) / (2 * q)
        g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
        c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
        V0, V1, V2 = 1 + c[0] * B, 1 - c[1] * B, 1 - c[2] * B
        V0 = 0.0 if abs(V0) < 1e-10 else V0
        E = 1 - A2 / q
        ratio = 1.0 if abs(E) < 1e-14 and abs(V1) < 1e-14 else E / V1
        rho = ratio**2 * V0 / V2 / q
        den_df = 4 + (q + 2) / (q * rho - 1)
        scaling = 1.0 if abs(den_df - 2) < 0.01 else den_df * E / (den_df - 2)
        return float(scaling), float(den_df)


def kenward_roger_tester(
    model: FittedModel, information: Literal["expected", "observed"]
) -> KenwardRogerTester:
    """Find what Kenward and Roger's tests need of a fitted model.

    Parameters
    ----------
    model : LinearMixedModel
        Fitted by REML.
    information : {"expected", "observed"}
        W is the inverse of the expected information of the REML criterion on the variance
        parameters (Kenward and Roger 1997; pbkrtest), or of the observed one (SAS, JMP). The
        observed one always where Var(y) is not linear in them, as with ``ar1(x | g)``; its second
        derivatives are left out of the adjusted covariance matrix (SAS: ``FIRSTORDER``).

    Raises
    ------
    ValueError
        If the model was fitted by maximum likelihood, or the observed information is not positive
        definite, as it may be where a variance is zero.
    """
    if not model.reml and len(model.fixef) > 0:
        raise ValueError(
            "Kenward and Roger's method requires a fit by REML: this model was fitted by maximum "
            "likelihood; fit it with reml=True, or use ddf='satterthwaite'"
        )
    if not all(structure_of(t.term.covariance, len(t.names)).linear for t in model.design.random):
        information = "observed"
    pieces = engine_information(model)
    try:
        found = _core.kenward_roger(**pieces, observed=information == "observed")
    except _core.FitError as error:
        raise ValueError(f"{error}: use the expected information (ddf='kenward-roger')") from None
    return KenwardRogerTester(
        beta=model._fit.beta,
        RX=model._fit.RX,
        sigma=model.sigma,
        adjusted=found["adjusted"],
        first=pieces["first"],
        varpar_vcov=found["varpar_vcov"],
    )
