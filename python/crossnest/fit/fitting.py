"""Fitting: from a design to a fitted model, and what is to be warned of."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag
from ..base.errors import (
    ConvergenceWarning,
    DesignError,
    IdentifiabilityWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from ..base.values import numbers
from ..base.warn import warn_user
from ..data.columns import in_order_of
from ..design.design import Design
from .control import Control
from .engine import Engine
from .fitted_model import FittedModel
from .identifiability import explained_singular
from .labels import Labels
from .theta import check_theta, theta_bounds, theta_names

FloatArray = NDArray[np.float64]
Model = TypeVar("Model", bound=FittedModel)


def fit_design(
    cls: type[Model],
    design: Design,
    reml: bool,
    start: ArrayLike | None,
    control: Control,
    labels: Labels,
    engine: Engine | None = None,
) -> Model:
    """Fit a design without warnings; `engine` may be that of the same design."""
    check_flag(reml, "reml")
    engine = engine or Engine(design, control)
    problem = engine.problem(design.y)
    if start is not None:
        start = check_theta(start, theta_names(design), theta_bounds(design), "start")
    # Without fixed effects the two criteria are the same; like lme4 we call it the deviance.
    reml = bool(reml) and problem.model.rank > 0
    fit = problem.fit(reml, start, control.optimizer_options())
    return cls(design, control, labels, engine, fit, problem.model.pivot)


def singular_terms(model: FittedModel) -> list[str]:
    """Name the terms with a singular covariance, except those `confounded` explains."""
    if not any(model._fit.singular):
        return []
    explained = explained_singular(model)
    zipped = enumerate(zip(model.design.random, model._fit.singular, strict=True))
    terms = (term.term.text for t, (term, singular) in zipped if singular and t not in explained)
    return list(dict.fromkeys(terms))


def explains_divergence(model: FittedModel) -> bool:
    """Whether there is no minimum, or a flat one, for a reason that `confounded` gives."""
    return any(one.kind in ("exact", "shared") for one in model.confounded)


def warn_about(model: FittedModel) -> None:
    """Warn about confounded effects, a singular fit and an optimum not reached, once each."""
    if dropped := model.dropped:
        text = f"dropped aliased columns of the fixed effects: {', '.join(dropped)}"
        warn_user(text, RankDeficiencyWarning)
    if model.confounded:
        text = "\n".join(map(str, model.confounded))
        warn_user(text, IdentifiabilityWarning)
    if terms := singular_terms(model):
        text = (
            f"the fit is singular in {', '.join(terms)}: a variance is zero or a correlation 1 or "
            "-1; the data may not support this many random effects"
        )
        warn_user(text, SingularFitWarning)
    if model.converged is False and not explains_divergence(model):
        opt = model.opt
        text = (
            f"not converged after {opt.evaluations} evaluations: one more step would lower the "
            f"criterion by {opt.predicted_decrease:.3g} ({opt.message})"
        )
        warn_user(text, ConvergenceWarning)


def _new_response(design: Design, y: ArrayLike) -> FloatArray:
    """Check a response given to `refit`: (n,) float64, a new array."""
    every_row = isinstance(y, pd.Series | pd.DataFrame) and len(y) == len(design.row_labels)
    y = in_order_of(y, design.row_labels if every_row else design.index, "the new response")
    values = numbers(y, "the new response")
    n = len(design.y)
    if design.kept is not None and values.shape == design.kept.shape:
        values = values[design.kept]
    if values.shape != (n,):
        rows = f"{n}" if design.n_rows == n else f"{n} (rows used) or {design.n_rows} (all rows)"
        raise DesignError(f"the new response has shape {values.shape}, expected {rows} values")
    if not np.isfinite(values).all():
        row = design.index[int(np.argmin(np.isfinite(values)))]
        raise DesignError(f"the new response is not finite in row {row!r}")
    return values


def refit(model: Model, y: ArrayLike) -> Model:
    """Fit the same model to another response, without warnings."""
    design = replace(model.design, y=_new_response(model.design, y))
    return fit_design(
        type(model), design, model.reml, None, model.control, model.labels, model._engine
    )
