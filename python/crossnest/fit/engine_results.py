"""What a fitted model asks of the engine; a model without rows has it from its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.read_only import frozen
from .fit import Fit

if TYPE_CHECKING:
    from .. import _core
    from .fitted_model import FittedModel

__all__ = [
    "conditional_covariances",
    "engine_curvature",
    "engine_fit",
    "engine_information",
    "factor_blocks",
]

FloatArray = NDArray[np.float64]


def engine_fit(model: FittedModel) -> _core.Fit:
    """Return the engine's own results, made again after pickling."""
    fit = model._fit
    if isinstance(fit, Fit):
        return model._problem.estimates(fit.theta, model.reml)
    return fit


def conditional_covariances(model: FittedModel) -> list[FloatArray]:
    """Return Var(b | y), (J, k, k), of each term; computed once."""
    kept: dict[str, list[FloatArray]] = vars(model)
    if "_conditional" not in kept:
        known = model._known
        found = engine_fit(model).cond_var() if known is None else known.conditional
        kept["_conditional"] = [frozen(covariances) for covariances in found]
    return kept["_conditional"]


def engine_curvature(model: FittedModel) -> Mapping[str, Any]:
    """Return what Satterthwaite's method needs."""
    if model._known is not None:
        return model._known.pieces("satterthwaite")
    return model._problem.curvature(model._fit.theta, model.reml)


def engine_information(model: FittedModel) -> Mapping[str, Any]:
    """Return what Kenward and Roger's method needs."""
    if model._known is not None:
        return model._known.pieces("kenward-roger")
    return model._problem.information(model._fit.theta, model.reml)


def factor_blocks(model: FittedModel) -> list[dict[str, Any]]:
    """Return the blocks the random effects are factored in, as the engine describes them."""
    if model._known is not None:
        return model._known.structure
    return [dict(block) for block in model._problem.model.structure]
