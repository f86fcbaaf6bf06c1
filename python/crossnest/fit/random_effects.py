"""The random effects of a fitted model: conditional modes and covariances, group coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.linalg
from numpy.typing import NDArray

from ..base.arguments import check_flag
from .engine_results import conditional_covariances

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = [
    "coef",
    "cond_var",
    "effects_of",
    "long_ranef",
    "modes",
    "ranef",
    "relative_factor",
    "terms_of",
]

FloatArray = NDArray[np.float64]


def ranef(model: FittedModel, cond_var: bool = False) -> dict[str, pd.DataFrame] | pd.DataFrame:
    """Return the conditional modes of the random effects.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    cond_var : bool
        Whether to give conditional standard deviations too, in long form.

    Returns
    -------
    dict of DataFrame, or DataFrame
        For each grouping factor one row per level and one column per effect; terms on the same
        factor stand side by side. With `cond_var` one data frame with a row for each effect
        of each level: ``grpvar``, ``term``, ``grp`` (the level), ``condval``, ``condsd``.
    """
    check_flag(cond_var, "cond_var")
    return long_ranef(model) if cond_var else modes(model)


def modes(model: FittedModel) -> dict[str, pd.DataFrame]:
    """Return the conditional modes of each grouping factor."""
    return {
        factor.name: _factor_frame(model, position, model._fit.b)
        for position, factor in enumerate(model.design.factors)
    }


def long_ranef(model: FittedModel) -> pd.DataFrame:
    """Return one row per effect of each level: its mode and conditional standard deviation."""
    variances = [np.diagonal(c, axis1=1, axis2=2) for c in conditional_covariances(model)]
    frames = []
    for j, factor in enumerate(model.design.factors):
        values = _factor_frame(model, j, model._fit.b)
        errors = _factor_frame(model, j, variances)
        count = values.shape[1]
        columns = {
            "grpvar": factor.name,
            "term": np.repeat(values.columns, len(values)),
            "grp": values.index[np.tile(np.arange(len(values)), count)],
            "condval": values.to_numpy().ravel(order="F"),
            "condsd": np.sqrt(errors.to_numpy().ravel(order="F")),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def cond_var(model: FittedModel) -> dict[str, FloatArray]:
    """Return the conditional covariance matrices of the random effects given the response.

    Returns
    -------
    dict of (J, k, k) array
        One for each term, named as in `LinearMixedModel.var_corr`; theta and sigma are taken as
        known.
    """
    return dict(zip(model.var_corr, conditional_covariances(model), strict=True))


def coef(model: FittedModel) -> dict[str, pd.DataFrame]:
    """Return the coefficients of each group: fixed effects plus its random effects.

    Effects that are random only count as fixed effects of zero, and stand first.
    """
    result = {}
    frames = list(modes(model).values())
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    fixef = model.fixef
    random_only = [name for name in columns if name not in fixef.index]
    fixed = pd.concat([pd.Series(0.0, index=random_only), fixef])
    for frame in frames:
        values = np.tile(fixed.to_numpy(), (len(frame), 1))
        for j, name in enumerate(frame.columns):
            values[:, fixed.index.get_loc(name)] += frame.iloc[:, j].to_numpy()
        result[str(frame.index.name)] = pd.DataFrame(
            values, index=frame.index, columns=list(fixed.index)
        )
    return result


def terms_of(model: FittedModel, factor: int) -> list[int]:
    """Return the positions of the terms on a grouping factor."""
    return [t for t, term in enumerate(model.design.random) if term.factor == factor]


def effects_of(model: FittedModel, factor: int) -> list[str]:
    """Return the names of the effects on a grouping factor, term by term."""
    return [name for t in terms_of(model, factor) for name in model.design.random[t].names]


def relative_factor(model: FittedModel, factor: int) -> FloatArray:
    """Return lambda, (k, k), of all effects on a grouping factor, whose terms are independent."""
    terms = terms_of(model, factor)
    return scipy.linalg.block_diag(*(model._relative_factors[t] for t in terms))


def _factor_frame(model: FittedModel, factor: int, by_term: Sequence[FloatArray]) -> pd.DataFrame:
    """Put arrays (J, k) of the terms on one grouping factor side by side."""
    terms = terms_of(model, factor)
    grouping = model.design.factors[factor]
    return pd.DataFrame(
        np.hstack([by_term[t] for t in terms]),
        index=grouping.levels.rename(grouping.name),
        columns=effects_of(model, factor),
    )
