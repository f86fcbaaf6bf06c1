"""Predictions of a linear model, with their standard errors and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike

from ..base.arguments import check_flag, check_level
from ..design.new_rows import fitted_rows, new_rows

if TYPE_CHECKING:
    from .linear_model import LinearModel


def predict(
    model: LinearModel,
    newdata: Any = None,
    se: bool = False,
    interval: Literal["confidence", "prediction"] | None = None,
    level: float = 0.95,
    offset: str | ArrayLike | None = None,
) -> pd.Series[float] | pd.DataFrame:
    """Predict the response of a linear model.

    Parameters
    ----------
    model : LinearModel
        The model.
    newdata : DataFrame, optional
        The m rows to predict at; those the model was fitted to if not given.
    se : bool
        Whether to give standard errors of the mean.
    interval : {"confidence", "prediction"}, optional
        A t interval of the mean, or one for a new observation, whose variance is sigma^2 / w: w is
        the weight of a row fitted and 1 in `newdata`.
    level : float
        Level of the interval.
    offset : str or (m,) array_like, optional
        Offset of the new data, in place of the argument of the fit. By default the column of that
        name.

    Returns
    -------
    Series or DataFrame
        (m,) predictions; with `se` or `interval` a data frame of ``fit`` and ``se``, and with
        `interval` of ``lower`` and ``upper`` too. NaN in rows that miss a value.

    Raises
    ------
    DesignError
        If the new data lack a column, a factor has a level the fit has not seen, or the offset is
        not known.
    ValueError
        If an argument has another value than those above.
    """
    check_flag(se, "se")
    if interval not in (None, "confidence", "prediction"):
        raise ValueError(f"interval must be 'confidence' or 'prediction', not {interval!r}")
    if newdata is None and offset is not None:
        raise ValueError("offset is for newdata: the fitted rows have theirs")
    design, fit = model.design, model._fit
    rows = fitted_rows(design) if newdata is None else new_rows(design, newdata, (), offset)
    X = rows.X[:, fit.kept]
    mean = X @ fit.beta if rows.offset is None else X @ fit.beta + rows.offset
    labelled = pd.Series(rows.spread(mean), index=rows.index, name="fit")
    if not se and interval is None:
        return labelled
    error = rows.spread(model.sigma * np.linalg.norm(X @ fit.R_inverse, axis=1))
    table = pd.DataFrame({"fit": labelled, "se": error})
    if interval is None:
        return table
    if interval == "prediction":
        weights = design.weights if newdata is None else None
        error = np.hypot(error, model.sigma / np.sqrt(1.0 if weights is None else weights))
    half = t_quantile(level, model.df_resid) * error
    return table.assign(lower=labelled - half, upper=labelled + half)


def t_quantile(level: float, df: float) -> float:
    """Compute the half width of a t interval, in standard errors."""
    return float(scipy.stats.t.ppf((1 + check_level(level)) / 2, df))
