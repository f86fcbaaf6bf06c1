"""The linear model: least squares with the results of R's `lm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_level
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.read_only import ReadOnly, cached_property
from ..design.design import Design
from ..fit.labels import Labels
from ..fit.least_squares import LeastSquares
from ..fit.residuals import residual_quantiles
from ..formula.formula import INTERCEPT
from .linear_anova import anova
from .linear_predict import predict, t_quantile
from .linear_summary import LinearSummary

if TYPE_CHECKING:
    from ..tables.tables_of_tests import TestTable

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class LinearModel(ReadOnly):
    """A fitted linear model; `crossnest.lm` makes it.

    y = X beta + offset + e with e ~ N(0, sigma^2 W^-1). n observations, p coefficients, aliased
    columns of X left out.

    Attributes
    ----------
    design : Design
        Response and model matrix the model was fitted to.
    labels : Labels
        Names printed in the summary.

    References
    ----------
    Chambers (1992). Linear models. In Chambers and Hastie, eds, Statistical Models in S, chapter 4.
    """

    design: Design
    labels: Labels
    _fit: LeastSquares

    # ------------------------------------------------------------------ coefficients

    @property
    def formula(self) -> str:
        """The formula as given."""
        return self.design.formula.text

    @cached_property
    def params(self) -> pd.Series[float]:
        """Estimates, (p,); aliased ones left out."""
        return pd.Series(self._fit.beta, index=self._names)

    @cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the estimates, (p, p): sigma^2 (X'WX)^-1."""
        covariance = self.sigma**2 * self._fit.unscaled
        return pd.DataFrame(covariance, index=self._names, columns=self._names)

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, by its name in statsmodels."""
        return self.vcov

    @cached_property
    def bse(self) -> pd.Series[float]:
        """Standard errors of the estimates, (p,)."""
        return pd.Series(np.sqrt(np.diag(self.vcov)), index=self._names)

    @cached_property
    def tvalues(self) -> pd.Series[float]:
        """Estimates divided by their standard errors, (p,)."""
        return self.params / self.bse

    @cached_property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values by the t distribution with `df_resid` degrees of freedom, (p,)."""
        tails = scipy.stats.t.sf(np.abs(self.tvalues), self.df_resid)
        return pd.Series(2 * tails, index=self._names)

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Compute confidence intervals of a level: ``lower`` and ``upper``, (p, 2)."""
        half = t_quantile(check_level(level), self.df_resid) * self.bse
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Compute `confint` of level 1 - alpha, by the name in statsmodels."""
        return self.confint(1 - check_level(alpha, "alpha"))

    @property
    def dropped(self) -> tuple[str, ...]:
        """Aliased columns of X, which were left out of the fit."""
        kept = set(self._names)
        return tuple(name for name in self.design.x_names if name not in kept)

    # ------------------------------------------------------------------ observations

    @property
    def nobs(self) -> int:
        """Number of observations, n."""
        return self.design.n

    @cached_property
    def fittedvalues(self) -> pd.Series[float]:
        """X beta + offset, labelled by the data's row index, (n,)."""
        return pd.Series(self._mean, index=self.design.index)

    @cached_property
    def resid(self) -> pd.Series[float]:
        """Response minus fitted values, labelled by the data's row index, (n,)."""
        return pd.Series(self.design.y - self._mean, index=self.design.index)

    @explain_unknown_arguments
    def predict(
        self,
        newdata: Any = None,
        se: bool = False,
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
        offset: str | ArrayLike | None = None,
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict the response; see `crossnest.linear.linear_predict.predict`."""
        return predict(self, newdata, se, interval, level, offset)

    # ------------------------------------------------------------------ goodness of fit

    @property
    def df_model(self) -> int:
        """Coefficients, the intercept not counted."""
        return len(self._fit.beta) - self._has_intercept

    @property
    def df_resid(self) -> int:
        """Observations minus coefficients."""
        return self.nobs - len(self._fit.beta)

    @cached_property
    def ssr(self) -> float:
        """Weighted sum of squared residuals."""
        return float(self._weighted_residuals @ self._weighted_residuals)

    @property
    def sigma(self) -> float:
        """Residual standard deviation (of an observation of weight 1); NaN if it has no df."""
        return float(np.sqrt(self.ssr / self.df_resid)) if self.df_resid else float("nan")

    @property
    def rsquared(self) -> float:
        """Share of the sum of squares explained, about the mean if there is an intercept."""
        explained = self._explained
        return explained / (explained + self.ssr) if self.df_model else 0.0

    @property
    def rsquared_adj(self) -> float:
        """`rsquared`, corrected for the number of coefficients."""
        if not self.df_model:
            return 0.0
        if not self.df_resid:
            return float("nan")
        return 1 - (1 - self.rsquared) * (self.nobs - self._has_intercept) / self.df_resid

    @property
    def fvalue(self) -> float:
        """F statistic of all coefficients but the intercept; NaN if there is none other."""
        if not (self.df_model and self.df_resid):
            return float("nan")
        if not self.sigma:  # fitted exactly
            return float("inf") if self._explained else float("nan")
        return self._explained / self.df_model / self.sigma**2

    @property
    def f_pvalue(self) -> float:
        """Upper tail probability of `fvalue`."""
        return float(scipy.stats.f.sf(self.fvalue, self.df_model, self.df_resid))

    @cached_property
    def llf(self) -> float:
        """Log-likelihood at the estimates by maximum likelihood (R's ``logLik``)."""
        n, weights = self.nobs, self.design.weights
        log_weights = 0.0 if weights is None else float(np.log(weights).sum())
        return 0.5 * (log_weights - n * (float(np.log(2 * np.pi * self.ssr / n)) + 1))

    @property
    def npar(self) -> int:
        """Number of parameters: coefficients and sigma."""
        return len(self._fit.beta) + 1

    @property
    def aic(self) -> float:
        """Akaike's information criterion, -2 llf + 2 npar."""
        return -2 * self.llf + 2 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, -2 llf + npar log(nobs)."""
        return -2 * self.llf + float(np.log(self.nobs)) * self.npar

    def anova(self) -> TestTable:
        """Test the terms one after the other, in the order of the formula (type I)."""
        return anova(self)

    def summary(self) -> LinearSummary:
        """Summarize the fit; printing the result gives R's layout."""
        weights = self.design.weights
        residuals = pd.Series(self._weighted_residuals, index=self.design.index)
        table = [self.params, self.bse, self.tvalues, self.pvalues]
        return LinearSummary(
            formula=self.formula,
            data_name=self.labels.data,
            weights=self.labels.weights,
            offset=self.labels.offset,
            residuals=residuals,
            residual_quantiles=residual_quantiles(self._weighted_residuals),
            is_weighted=weights is not None and float(np.ptp(weights)) > 0,
            all_names=self.design.x_names,
            coef_names=tuple(self._names),
            coefficients=np.column_stack([column.to_numpy() for column in table]),
            sigma=self.sigma,
            df_resid=self.df_resid,
            df_model=self.df_model,
            n_missing=self.design.n_missing,
            n_zero_weight=self.design.n_zero_weight,
            rsquared=self.rsquared,
            rsquared_adj=self.rsquared_adj,
            fvalue=self.fvalue,
            f_pvalue=self.f_pvalue,
        )

    def __repr__(self) -> str:
        """Show what R prints for a fit: call and coefficients."""
        return self.summary().short_text

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # ------------------------------------------------------------------ numbers behind them

    @cached_property
    def _names(self) -> list[str]:
        names = self.design.x_names
        return [names[j] for j in self._fit.kept]

    @property
    def _has_intercept(self) -> bool:
        return INTERCEPT in self.design.formula.fixed.terms

    @cached_property
    def _mean(self) -> FloatArray:
        mean = self.design.X[:, self._fit.kept] @ self._fit.beta
        offset = self.design.offset
        return np.asarray(mean if offset is None else mean + offset, dtype=np.float64)

    @cached_property
    def _weighted_residuals(self) -> FloatArray:
        residuals = self.design.y - self._mean
        weights = self.design.weights
        return residuals if weights is None else residuals * np.sqrt(weights)

    @cached_property
    def _explained(self) -> float:
        """Weighted sum of squares of the fitted values, about their mean if there is an intercept.

        As in R, an offset counts as explained.
        """
        weights = self.design.weights
        center = np.average(self._mean, weights=weights) if self._has_intercept else 0.0
        with np.errstate(over="ignore"):  # beyond 1e308 they are infinite
            squares = (self._mean - center) ** 2
        return float(squares.sum() if weights is None else weights @ squares)
