"""Inverse-variance weighted combination of independent estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_level
from ..base.errors import DesignError
from ..base.read_only import ReadOnly
from ..base.values import numbers
from ..data.columns import in_order_of

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CombinedEstimate(ReadOnly):
    """The weighted mean of k independent estimates of one quantity; `crossnest.ivw` makes it.

    Attributes
    ----------
    estimate : float
        Mean of the estimates, weighted by the inverses of their variances.
    se : float
        Its standard error if all estimates are of the same quantity: sum(1 / variances)^(-1/2).
    q : float
        Cochran's Q, the weighted sum of squared deviations from `estimate`.
    df : int
        k - 1, the degrees of freedom of `q` as a chi-squared under homogeneity.
    weights : (k,) array
        Weight of each estimate; they sum to 1.
    """

    estimate: float
    se: float
    q: float
    df: int
    weights: FloatArray

    @property
    def pvalue(self) -> float:
        """Upper tail probability of `q`; NaN for a single estimate."""
        return float(scipy.stats.chi2.sf(self.q, self.df)) if self.df else float("nan")

    @property
    def i2(self) -> float:
        """Share of the estimates' variation that their variances do not explain, 0 to 1.

        Higgins and Thompson's max(0, (Q - df) / Q).
        """
        return max(0.0, 1 - self.df / self.q) if self.q > 0 else 0.0

    def confint(self, level: float = 0.95) -> tuple[float, float]:
        """Compute the normal confidence interval of a level."""
        half = float(scipy.stats.norm.ppf((1 + check_level(level)) / 2)) * self.se
        return self.estimate - half, self.estimate + half

    def __str__(self) -> str:
        """Return a summary in three lines."""
        lower, upper = self.confint()
        k = self.df + 1
        lines = [
            f"Inverse-variance weighted mean of {k} estimate{'s' * (k > 1)}",
            f"Estimate {self.estimate:.5g}, standard error {self.se:.4g}, "
            f"95% interval {lower:.5g} to {upper:.5g}",
        ]
        if self.df:
            lines.append(
                f"Heterogeneity: Q = {self.q:.4g} on {self.df} DF, p-value = {self.pvalue:.3g}, "
                f"I2 = {100 * self.i2:.1f}%"
            )
        return "\n".join(lines)

    __repr__ = __str__


def _vector(values: ArrayLike, name: str) -> FloatArray:
    """Return one of the arguments as (k,) finite floats."""
    vector = numbers(values, f"the {name}")
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"the {name} must be a vector of numbers, not of shape {vector.shape}")
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        index = values.index if isinstance(values, pd.Series) else range(vector.size)
        labels = ", ".join(str(index[i]) for i in bad[:5]) + ", ..." * (bad.size > 5)
        raise ValueError(
            f"the {name} are missing or infinite at {labels}: leave these out of "
            "estimates and variances"
        )
    return vector


def _matched(variances: pd.Series[Any], estimates: pd.Series[Any]) -> pd.Series[Any]:
    """Put the variances in the order of the estimates' labels."""
    if len(variances) != len(estimates):
        return variances
    try:
        matched: pd.Series[Any] = in_order_of(variances, estimates.index, "the variances")
    except DesignError:
        raise ValueError(
            "the variances and the estimates have different labels: give them the same index, "
            "or pass .to_numpy() to match them by position"
        ) from None
    return matched


def ivw(estimates: ArrayLike, variances: ArrayLike) -> CombinedEstimate:
    """Combine independent estimates of one quantity, weighting by the inverse of their variance.

    Parameters
    ----------
    estimates : (k,) array_like
        The estimates, such as a slope of each group.
    variances : (k,) array_like
        Their squared standard errors, taken as known; all positive. Where both are Series they go
        together by their labels.

    Returns
    -------
    CombinedEstimate

    Raises
    ------
    ValueError
        If the lengths or labels differ, a value is missing or infinite, or a variance is not
        positive.

    References
    ----------
    Cochran (1954). The combination of estimates from different experiments. Biometrics 10.
    Higgins and Thompson (2002). Quantifying heterogeneity in a meta-analysis. Statistics in
    Medicine 21, equation 10.

    Examples
    --------
    >>> import crossnest
    >>> combined = crossnest.ivw([1.0, 2.0], [1.0, 0.25])
    >>> print(round(combined.estimate, 3), round(combined.se, 3))
    1.8 0.447
    """
    if isinstance(estimates, pd.Series) and isinstance(variances, pd.Series):
        variances = _matched(variances, estimates)
    theta, variance = _vector(estimates, "estimates"), _vector(variances, "variances")
    if theta.size != variance.size:
        raise ValueError(f"there are {theta.size} estimates but {variance.size} variances")
    if variance.min() <= 0:
        raise ValueError(f"the variances must be positive; the smallest is {variance.min():g}")
    precision = 1 / variance
    total = precision.sum()
    estimate = precision @ theta / total
    return CombinedEstimate(
        estimate=float(estimate),
        se=float(total**-0.5),
        q=float(precision @ (theta - estimate) ** 2),
        df=theta.size - 1,
        weights=precision / total,
    )
