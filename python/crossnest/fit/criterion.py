"""The criterion at covariance parameters of the user's choice."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag
from .fit import Fit
from .fitted_model import FittedModel
from .theta import check_theta, theta_bounds

__all__ = ["evaluate", "gradient_at", "objective_at"]

FloatArray = NDArray[np.float64]
Model = TypeVar("Model", bound=FittedModel)


def objective_at(model: FittedModel, theta: ArrayLike, reml: bool | None = None) -> float:
    """Evaluate the criterion at any theta, everything else profiled out.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    theta : array_like
        (n_theta,) covariance parameters, in the order of `LinearMixedModel.theta`.
    reml : bool, optional
        REML criterion or deviance; as the model was fitted if not given.
    """
    check_flag(reml, "reml", optional=True)
    problem = model._problem
    return problem.objective(_checked(model, theta), _criterion(model, reml))


def gradient_at(model: FittedModel, theta: ArrayLike, reml: bool | None = None) -> pd.Series[float]:
    """Evaluate the exact gradient of `objective_at` with respect to theta."""
    check_flag(reml, "reml", optional=True)
    problem = model._problem
    _, gradient = problem.gradient(_checked(model, theta), _criterion(model, reml))
    return pd.Series(gradient, index=model._theta_names)


def evaluate(model: Model, theta: ArrayLike) -> Model:
    """Return the model at covariance parameters of your choice, without optimizing."""
    if model._known is not None and np.array_equal(theta, model._fit.theta):
        return replace(model, _fit=Fit.without_verdict(model._fit))
    problem = model._problem
    fit = problem.estimates(_checked(model, theta), model.reml)
    return replace(model, _fit=Fit.without_verdict(fit))


def _checked(model: FittedModel, theta: ArrayLike) -> FloatArray:
    return check_theta(theta, model._theta_names, theta_bounds(model.design))


def _criterion(model: FittedModel, reml: bool | None) -> bool:
    """Say whether the REML criterion is asked for; without fixed effects there is none."""
    return model.reml if reml is None else bool(reml) and len(model._fit.beta) > 0
