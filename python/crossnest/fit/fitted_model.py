"""The record of a fitted linear mixed model, which every verb takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray

from ..base.read_only import ReadOnly, cached_property
from ..base.rows import no_data
from ..design.design import Design
from .control import Control
from .engine import Engine
from .fit import AnyFit, Fit
from .identifiability import Confounded, confounded_terms
from .known import Known
from .labels import Labels
from .theta import relative_factors, theta_names
from .var_corr import VarCorr

if TYPE_CHECKING:
    from .._core import Problem

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Optimization(ReadOnly):
    """How the optimum was found.

    Attributes
    ----------
    start : Series
        theta the optimizer started from.
    evaluations, gradient_evaluations : int
        How often the criterion and its gradient were evaluated.
    seconds : float
        Time of the optimization, without that of forming cross-products.
    predicted_decrease : float
        Decrease of the criterion that one more Newton step would bring, 1/2 g'H^-1 g: the verdict
        on convergence, free of the data's scale.
    converged : bool or None
        Whether it is as small as asked for; None where nothing was optimized.
    message : str
        Why the optimizer stopped.
    """

    start: pd.Series[float]
    evaluations: int
    gradient_evaluations: int
    seconds: float
    predicted_decrease: float
    converged: bool | None
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class FittedModel(ReadOnly):
    """What is known about a fitted linear mixed model: the data of its fit, and views of them.

    `crossnest.LinearMixedModel` is this with the verbs as methods; the verbs themselves are
    functions of this record, in the rooms above.

    Attributes
    ----------
    design : Design
        Response, model matrices and grouping factors the model was fitted to.
    control : Control
        Options of the fit.
    labels : Labels
        Names printed in the summary.
    _live_engine : Engine or None
        The engine for the design; None where the rows are gone.
    _fit : Fit
        The estimates and how they were found.
    _kept : (p,) array
        Columns of X that are not aliased.
    _known : Known or None
        What a file kept of the fit, in the place of the engine.
    """

    design: Design
    control: Control
    labels: Labels
    _live_engine: Engine | None
    _fit: AnyFit
    _kept: NDArray[np.intp]
    _known: Known | None = None

    # ------------------------------------------------------------------ criterion

    @property
    def formula(self) -> str:
        """The formula as given."""
        return self.design.formula.text

    @property
    def nobs(self) -> int:
        """Number of observations, n."""
        return self.design.n

    @property
    def reml(self) -> bool:
        """Whether the REML criterion was minimised, and not the deviance."""
        return bool(self._fit.reml)

    @property
    def objective(self) -> float:
        """REML criterion, or the deviance for a fit by maximum likelihood."""
        return float(self._fit.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood, restricted if the fit is by REML."""
        return -self.objective / 2

    @property
    def npar(self) -> int:
        """Number of parameters: fixed effects, theta and sigma."""
        return len(self._fit.beta) + len(self._fit.theta) + 1

    @property
    def df_resid(self) -> int:
        """Observations minus parameters."""
        return self.nobs - self.npar

    @property
    def aic(self) -> float:
        """Akaike's information criterion, -2 llf + 2 npar."""
        return self.objective + 2 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, -2 llf + npar log(nobs)."""
        return self.objective + float(np.log(self.nobs)) * self.npar

    # ------------------------------------------------------------------ covariance parameters

    @cached_property
    def theta(self) -> pd.Series[float]:
        """Covariance parameters: lower triangles of the relative covariance factors.

        Of terms with a covariance structure of their own, such as ``cs(x | g)``: standard
        deviations relative to `sigma`, and correlations.
        """
        return pd.Series(self._fit.theta, index=self._theta_names, name="theta")

    @property
    def sigma(self) -> float:
        """Residual standard deviation (of an observation of weight 1)."""
        return float(self._fit.sigma)

    @cached_property
    def var_corr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects."""
        terms = self.design.random
        return VarCorr.from_factors(
            [self.design.factors[term.factor].name for term in terms],
            [term.names for term in terms],
            self._relative_factors,
            [term.term.covariance for term in terms],
            self.sigma,
        )

    @property
    def is_singular(self) -> bool:
        """Whether the covariance matrix of a random-effects term is on its boundary."""
        return any(self._fit.singular)

    # ------------------------------------------------------------------ fixed effects

    @cached_property
    def fixef(self) -> pd.Series[float]:
        """Fixed-effects estimates, (p,); aliased ones left out."""
        return pd.Series(self._fit.beta, index=list(self._coef_names))

    @property
    def params(self) -> pd.Series[float]:
        """Fixed-effects estimates: `fixef` by its name in statsmodels."""
        return self.fixef.copy()  # packages that take it for statsmodels' name its index

    @cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed-effects estimates, (p, p): sigma^2 (RX'RX)^-1."""
        names = list(self._coef_names)
        return pd.DataFrame(self._covariance, index=names, columns=names)

    @cached_property
    def bse(self) -> pd.Series[float]:
        """Standard errors of the fixed effects."""
        return pd.Series(np.sqrt(np.diag(self._covariance)), index=list(self._coef_names))

    @cached_property
    def tvalues(self) -> pd.Series[float]:
        """Estimates divided by their standard errors."""
        return self.fixef / self.bse

    @property
    def dropped(self) -> tuple[str, ...]:
        """Aliased columns of the fixed effects, which were left out of the fit."""
        names = self.design.x_names
        if len(self._kept) == len(names):
            return ()
        kept = set(self._coef_names)
        return tuple(name for name in names if name not in kept)

    # ------------------------------------------------------------------ random effects

    @property
    def n_levels(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {factor.name: factor.n_levels for factor in self.design.factors}

    # ------------------------------------------------------------------ observations

    @cached_property
    def fittedvalues(self) -> pd.Series[float]:
        """X beta + Z b + offset, labelled by the data's row index."""
        return pd.Series(self._mean, index=self.design.index)

    # ------------------------------------------------------------------ the fit

    @cached_property
    def confounded(self) -> tuple[Confounded, ...]:
        """What the data do not determine: terms that cannot be told apart; usually empty."""
        return confounded_terms(self)

    @property
    def converged(self) -> bool | None:
        """Whether the optimizer reached a minimum; None where nothing was optimized."""
        verdict = self._fit.converged
        return None if verdict is None else bool(verdict)

    @cached_property
    def opt(self) -> Optimization:
        """How the optimum was found."""
        fit = self._fit
        return Optimization(
            start=pd.Series(fit.start, index=self._theta_names, name="start"),
            evaluations=int(fit.evaluations),
            gradient_evaluations=int(fit.gradient_evaluations),
            seconds=float(fit.seconds),
            predicted_decrease=float(fit.predicted_decrease),
            converged=self.converged,
            message=str(fit.message),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Copy the results out of the engine; leave out what can be computed again."""
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        fit = self._fit
        return state | {"_fit": fit if isinstance(fit, Fit) else Fit.of(fit)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    # ------------------------------------------------------------------ numbers behind them

    @property
    def _engine(self) -> Engine:
        if self._live_engine is None:
            raise no_data("the model matrices and the response")
        return self._live_engine

    @property
    def _problem(self) -> Problem:
        """The engine's problem with this model's response."""
        return self._engine.problem(self.design.y)

    @cached_property
    def _theta_names(self) -> list[str]:
        return theta_names(self.design)

    @cached_property
    def _coef_names(self) -> tuple[str, ...]:
        names = self.design.x_names
        return tuple(names[j] for j in self._kept)

    @cached_property
    def _covariance(self) -> FloatArray:
        RX = self._fit.RX
        if RX.size == 0:
            return np.zeros((0, 0))
        inverse = scipy.linalg.solve_triangular(RX, np.eye(len(RX)))
        return np.asarray(self.sigma**2 * inverse @ inverse.T, dtype=np.float64)

    @cached_property
    def _relative_factors(self) -> list[FloatArray]:
        """lambda_t (k, k) of each term."""
        return relative_factors(self.design, self._fit.theta)

    @property
    def _mean(self) -> FloatArray:
        offset = self.design.offset
        return self._fit.fitted if offset is None else self._fit.fitted + offset

    @property
    def _population_mean(self) -> FloatArray:
        """X beta + offset, (n,)."""
        mean: FloatArray = self.design.X[:, self._kept] @ self._fit.beta
        return mean if self.design.offset is None else mean + self.design.offset
