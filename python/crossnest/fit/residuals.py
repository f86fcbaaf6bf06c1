"""Residuals of a fitted model, of each kind, and leverages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import is_word
from .engine_results import engine_fit

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = [
    "ResidualKind",
    "leverages",
    "residual_quantiles",
    "residual_values",
    "residuals",
    "scaled_quantiles",
]

FloatArray = NDArray[np.float64]
ResidualKind = Literal["response", "pearson", "scaled", "standardized", "marginal"]
#: Below this 1 - h has no correct digit, h the leverage of a row.
_UNDETERMINED = 1e-10


def residuals(model: FittedModel, kind: ResidualKind = "response") -> pd.Series[float]:
    """Return the residuals.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    kind : {"response", "pearson", "scaled", "standardized", "marginal"}
        Response minus fitted values; these times the square root of the weights; the latter
        divided by sigma; these divided by sqrt(1 - h), h the leverages, which gives them
        variance 1 (NaN where h is 1); and the response minus X beta and offset, random effects
        left in.
    """
    if not is_word(kind, get_args(ResidualKind)):
        kinds = ", ".join(map(repr, get_args(ResidualKind)))
        raise ValueError(f"kind must be one of {kinds}, not {kind!r}")
    if kind == "marginal":
        values = model.design.y - model._population_mean
    elif kind == "standardized":
        left = 1 - leverages(model).to_numpy()
        values = residual_values(model, "scaled") / np.sqrt(np.where(left > 0, left, np.nan))
    else:
        values = residual_values(model, kind)
    return pd.Series(values, index=model.design.index)


def residual_values(
    model: FittedModel, kind: Literal["response", "pearson", "scaled"]
) -> FloatArray:
    """Return the residuals about the fitted values, (n,)."""
    values = model.design.y - model._mean
    weights = model.design.weights
    if kind != "response" and weights is not None:
        values = values * np.sqrt(weights)
    return values / model.sigma if kind == "scaled" else values


def leverages(model: FittedModel) -> pd.Series[float]:
    """Return the diagonal of the hat matrix, which maps the response to the fitted values.

    theta is taken as known. Where a row alone determines a fixed effect it is 1, exactly.
    """
    values = engine_fit(model).leverages()
    values[values > 1 - _UNDETERMINED] = 1.0
    return pd.Series(values, index=model.design.index)


def scaled_quantiles(model: FittedModel) -> FloatArray:
    """Return the quantiles of the scaled residuals that a summary prints, (5,)."""
    if model._known is not None:
        return model._known.quantiles
    return residual_quantiles(residual_values(model, "scaled"))


def residual_quantiles(scaled: Sequence[float] | FloatArray) -> FloatArray:
    """Return minimum, quartiles and maximum as R's ``quantile`` (type 7) does: (5,)."""
    return np.asarray(np.quantile(scaled, [0.0, 0.25, 0.5, 0.75, 1.0]), dtype=np.float64)
