"""Coefficients of groups without, with partial and with complete pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.grouping import position_of
from ..fit.least_squares import least_squares, weighted_problem
from ..fit.random_effects import coef, effects_of, modes, relative_factor, terms_of

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupCoefficients:
    """Coefficients of the groups by the three ways of pooling.

    Attributes
    ----------
    no : DataFrame
        (J, k) least-squares estimates of each group alone, NaN where its observations do not
        determine them. Fixed effects that are not among the k are held at the mixed model's
        estimates.
    partial : DataFrame
        (J, k) the mixed model's: fixed plus random effects.
    complete : Series
        (k,) least-squares estimates without regard to groups; 0 for effects that are random only.
    mean : Series
        (k,) the mixed model's fixed effects; 0 for effects that are random only.
    covariance : DataFrame
        (k, k) covariance matrix of the random effects of a level.
    """

    no: pd.DataFrame
    partial: pd.DataFrame
    complete: pd.Series[float]
    mean: pd.Series[float]
    covariance: pd.DataFrame


def group_coefficients(model: FittedModel, group: str | None = None) -> GroupCoefficients:
    """Estimate the coefficients that vary between groups by the three ways of pooling.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    group : str, optional
        The grouping factor; the first of the model if not given.

    Raises
    ------
    ValueError
        If there is no such grouping factor.
    """
    frames = modes(model)
    group = model.design.factors[position_of(model.design.factors, group)].name
    effects = list(dict.fromkeys(frames[group].columns))
    X, y = weighted_problem(model.design)
    pooled = least_squares(X, y)
    complete = pd.Series(pooled.beta, index=[model.design.x_names[j] for j in pooled.kept])
    return GroupCoefficients(
        no=_no_pooling(model, group, effects),
        partial=coef(model)[group][effects],
        complete=complete.reindex(effects, fill_value=0.0),
        mean=model.fixef.reindex(effects, fill_value=0.0),
        covariance=_covariance(model, group).loc[effects, effects],
    )


def _no_pooling(model: FittedModel, group: str, effects: Sequence[str]) -> pd.DataFrame:
    """Fit the effects (J, k) to each group by itself, other fixed effects held."""
    design = model.design
    position = list(model.n_levels).index(group)
    factor = design.factors[position]
    others = model.fixef[[name for name in model.fixef.index if name not in effects]]
    X, y = weighted_problem(design)
    columns = [design.x_names.index(name) for name in others.index]
    y = y - X[:, columns] @ others.to_numpy()
    roots = np.ones(design.n) if design.weights is None else np.sqrt(design.weights)
    made = {
        name: roots if column is None else roots * column
        for t in terms_of(model, position)
        for name, column in zip(design.random[t].names, design.random[t].columns, strict=True)
    }
    Z = np.column_stack([made[name] for name in effects])
    estimates = np.full((factor.n_levels, len(effects)), np.nan)
    order = np.argsort(factor.codes, kind="stable")
    for j, rows in enumerate(np.split(order, np.cumsum(np.bincount(factor.codes))[:-1])):
        fit = least_squares(Z[rows], y[rows])
        if len(fit.kept) == len(effects):
            estimates[j] = fit.beta
    return pd.DataFrame(estimates, index=factor.levels, columns=list(effects))


def _covariance(model: FittedModel, group: str) -> pd.DataFrame:
    """Return the covariance matrix of the random effects of a level, its terms independent."""
    position = list(model.n_levels).index(group)
    names, factor = effects_of(model, position), relative_factor(model, position)
    return pd.DataFrame(model.sigma**2 * factor @ factor.T, index=names, columns=names)
