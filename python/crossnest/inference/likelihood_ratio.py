"""Likelihood ratios: checked, and with their p-values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from ..base.errors import InferenceWarning
from ..base.warn import warn_user
from ..fit.fitted_model import FittedModel
from ..linear.linear_model import LinearModel
from .submodel import refitted

__all__ = ["BOUNDARY", "ROUNDING", "by_ml", "checked_ratios", "upper_tail"]

FloatArray = NDArray[np.float64]

#: What optima of a model and one within it may differ by the wrong way, in deviance.
ROUNDING = 1e-4
#: What is printed below a table that tests variances by likelihood ratios.
BOUNDARY = (
    "Chi-squared p-values are conservative for variances: zero lies on their boundary\n"
    "(crossnest.exact_rlrt, pb_modcomp)"
)


@overload
def by_ml(model: FittedModel) -> FittedModel: ...


@overload
def by_ml(model: FittedModel | LinearModel) -> FittedModel | LinearModel: ...


def by_ml(model: FittedModel | LinearModel) -> FittedModel | LinearModel:
    """Return a model fitted by maximum likelihood, itself if it is."""
    return refitted(model, reml=False) if isinstance(model, FittedModel) else model


def checked_ratios(ratios: FloatArray, larger: Sequence[str], smaller: Sequence[str]) -> FloatArray:
    """Return likelihood ratios, zero where they are rounding and NaN where they are negative.

    Parameters
    ----------
    ratios : (m,) array
        Twice the differences of the log-likelihoods.
    larger, smaller : sequence of str
        What the models are called.

    Warns
    -----
    InferenceWarning
        The larger model has the lower likelihood, which a model cannot have that contains the
        other one.
    """
    for ratio, large, small in zip(ratios, larger, smaller, strict=True):
        if ratio < -ROUNDING:
            warn_user(
                f"the log-likelihood of {large} is below that of {small} by {-ratio / 2:.3g}, "
                "though it has more parameters: either the models are not nested, or the larger "
                "fit has not reached the maximum; no test is made",
                InferenceWarning,
            )
    checked = np.where(ratios < -ROUNDING, np.nan, ratios)
    return np.where(np.abs(checked) < 1e-8, 0.0, np.maximum(checked, 0.0))


def upper_tail(chisq: FloatArray, df: FloatArray) -> FloatArray:
    """Compute the p-values of likelihood ratios; NaN where there is no degree of freedom."""
    p = scipy.stats.chi2.sf(chisq, np.where(df > 0, df, np.nan))
    return np.asarray(p, dtype=np.float64)
