"""Predictions, their standard errors and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from ..base.arguments import as_list, check_flag, check_level, is_word
from ..base.errors import DataWarning, DesignError
from ..base.warn import warn_user
from ..data.data_checks import in_another_type
from ..design.design import Design, RandomEffects
from ..design.new_rows import Rows, fitted_rows, new_rows
from ..fit.engine_results import engine_fit
from ..fit.fit import Fit
from ..fit.residuals import leverages

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["Interval", "NewLevels", "predict"]

FloatArray = npt.NDArray[np.float64]
NewLevels = Literal["error", "population", "nan"]
Interval = Literal["confidence", "prediction"]


def predict(
    model: FittedModel,
    newdata: Any = None,
    re: Literal["all", "none"] | Sequence[str] = "all",
    new_levels: NewLevels = "error",
    se: bool = False,
    interval: Interval | None = None,
    level: float = 0.95,
    offset: Any = None,
) -> pd.Series[float] | pd.DataFrame:
    """Predict the mean x beta + z b + offset of rows.

    Standard errors are those of x beta^ + z b^ about x beta + z b, beta and b both unknown, from
    the inverse of the mixed-model equations at the estimated theta and sigma, whose own uncertainty
    is not counted (as in lme4's ``predict(se.fit = TRUE)``). Intervals use normal quantiles.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    newdata : DataFrame, optional
        Rows to predict at: anything `crossnest.lmer` accepts; the response is not needed. The rows
        fitted if not given. A row that misses a value needed is predicted as NaN.
    re : {"all", "none"} or sequence of str
        Random effects to include; a list names terms as they are written (``"(Days | Subject)"``)
        or by their grouping factor. Those left out count as z = 0: the prediction is at their mean
        and its standard error covers the uncertainty of what is left alone.
    new_levels : {"error", "population", "nan"}
        What to do with levels of a grouping factor the model was not fitted to: refuse them;
        predict with a random effect of zero, whose whole variance sigma^2 z lambda lambda' z'
        counts in the standard error; or predict NaN.
    se : bool
        Whether to give standard errors.
    interval : {"confidence", "prediction"}, optional
        Interval for the mean, or for a new observation: its variance adds sigma^2 / w, where w is
        the weight of a row fitted and 1 in `newdata`.
    level : float
        Coverage of the interval, between 0 and 1.
    offset : str or (n_rows,) array_like, optional
        Offset of `newdata`, a column's name or values, in place of the argument of the fit. By
        default the column of that name.

    Returns
    -------
    Series or DataFrame
        (n_rows,) predictions labelled as the rows; with `se` or `interval` a data frame of
        ``fit`` and ``se``, and of ``lower`` and ``upper`` if there is an interval.

    Raises
    ------
    DesignError
        If `newdata` lacks a column, has a level that was not fitted (of a grouping factor: with
        ``new_levels="error"``), or the offset is not known for it.
    ValueError
        If an option is unknown, or `re` names a term the model does not have.

    References
    ----------
    Henderson (1975). Best linear unbiased estimation and prediction under a selection model.
    Biometrics 31, 423-447.
    """
    check_flag(se, "se")
    _check_options(new_levels, interval, level)
    included = included_terms(model.design, re)
    if newdata is not None:
        rows = new_rows(model.design, newdata, included, offset)
    elif offset is None:
        rows = fitted_rows(model.design)
    else:
        raise ValueError("offset is for newdata: the fitted rows have theirs")
    _check_unseen(model.design, rows, new_levels)
    at_fit = newdata is None
    fit = model._mean.copy() if at_fit and all(included) else _means(model, rows, included)
    if new_levels == "nan":
        fit[_on_unseen_level(model.design, rows, included)] = np.nan
    labelled = pd.Series(rows.spread(fit), index=rows.index, name="fit")
    if not se and interval is None:
        return labelled
    variance = _variances(model, rows, included, at_fit)
    variance[np.isnan(fit)] = np.nan
    frame = pd.DataFrame({"fit": labelled, "se": rows.spread(np.sqrt(variance))})
    return frame if interval is None else _with_interval(model, frame, interval, level, at_fit)


def _check_options(new_levels: str, interval: str | None, level: float) -> None:
    if not is_word(new_levels, ("error", "population", "nan")):
        raise ValueError(f"new_levels must be 'error', 'population' or 'nan', not {new_levels!r}")
    if interval is not None and not is_word(interval, ("confidence", "prediction")):
        raise ValueError(f"interval must be 'confidence' or 'prediction', not {interval!r}")
    check_level(level)


# ------------------------------------------------------------------------------ random effects


def _bare(text: str) -> str:
    """Return the text of a term without spaces and brackets around it."""
    text = "".join(text.split())
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _answers_to(design: Design, term: RandomEffects) -> set[str]:
    """Return the names of a term: as written, as expanded, and its grouping factor."""
    return {_bare(term.term.text), _bare(str(term.term)), _bare(design.factors[term.factor].name)}


def included_terms(design: Design, re: Literal["all", "none"] | Sequence[str]) -> list[bool]:
    """Say for each random-effects term whether it is named by `re`.

    Raises
    ------
    ValueError
        If `re` names a term the model does not have.
    """
    if isinstance(re, str):
        if re not in ("all", "none"):
            raise ValueError(f"re must be 'all', 'none' or a list of terms, not {re!r}")
        return [re == "all"] * len(design.random)
    known = [_answers_to(design, term) for term in design.random]
    for name in as_list(re):
        if not any(_bare(str(name)) in names for names in known):
            terms = ", ".join(dict.fromkeys(str(term.term) for term in design.random))
            raise ValueError(f"re names {name!r}, the random-effects terms are {terms}")
    wanted = {_bare(name) for name in re}
    return [not wanted.isdisjoint(names) for names in known]


def _check_unseen(design: Design, rows: Rows, new_levels: str) -> None:
    """Refuse levels that were not fitted, unless they are asked for; look for those that were."""
    for name, labels in rows.unseen.items():
        factor = next(factor for factor in design.factors if factor.name == name)
        text = in_another_type(name, labels, factor.levels)
        if text is not None and new_levels == "error":
            raise DesignError(text)
        if text is not None:
            warn_user(text, DataWarning)
    if new_levels != "error" or not rows.unseen:
        return
    name, labels = next(iter(rows.unseen.items()))
    shown = ", ".join(f"'{label}'" for label in labels[:5]) + (", ..." if len(labels) > 5 else "")
    raise DesignError(
        f"the grouping factor '{name}' has levels the model was not fitted to: {shown}; "
        "new_levels='population' predicts them with a random effect of zero, 'nan' leaves them out"
    )


def _on_unseen_level(design: Design, rows: Rows, included: Sequence[bool]) -> npt.NDArray[np.bool_]:
    """Say which rows have a level that was not fitted in an included term, (m,)."""
    used = {term.factor for term, wanted in zip(design.random, included, strict=True) if wanted}
    unseen = np.zeros(len(rows.X), dtype=np.bool_)
    for j in used:
        unseen |= rows.codes[j] < 0
    return unseen


# ------------------------------------------------------------------------- means and variances


def _means(model: FittedModel, rows: Rows, included: Sequence[bool]) -> FloatArray:
    """Return x beta + z b + offset, (m,)."""
    mean: FloatArray = rows.X[:, model._kept] @ model._fit.beta
    terms = zip(model.design.random, rows.columns, model._fit.b, included, strict=True)
    for term, columns, modes, wanted in terms:
        if not wanted:
            continue
        padded = np.vstack([modes, np.zeros(modes.shape[1])])  # a level not fitted is the last
        effects = padded[rows.codes[term.factor]]
        for j, column in enumerate(columns):
            with np.errstate(invalid="ignore"):  # infinite values have no mean
                mean += effects[:, j] if column is None else column * effects[:, j]
    return mean if rows.offset is None else mean + rows.offset


def _variances(
    model: FittedModel, rows: Rows, included: Sequence[bool], at_fit: bool
) -> FloatArray:
    """Return the variances of the means, (m,).

    At the rows fitted, all terms included, they are sigma^2 h / w with h the leverages.
    """
    if at_fit and all(included):
        weights = model.design.weights
        h = leverages(model).to_numpy(np.float64)
        return np.asarray(model.sigma**2 * (h if weights is None else h / weights))
    finite = np.isfinite(rows.X).all(axis=1)
    for columns in rows.columns:
        for column in columns:
            finite &= True if column is None else np.isfinite(column)
    variances = np.full(len(rows.X), np.nan)
    X, codes = rows.X[finite], [codes[finite] for codes in rows.codes]
    Z = [[None if c is None else c[finite] for c in columns] for columns in rows.columns]
    known, fit = model._known, model._fit
    if known is not None and isinstance(fit, Fit):
        variances[finite] = known.prediction_variances(
            fit, model.design.random, X[:, model._kept], codes, Z, included
        )
    else:
        variances[finite] = engine_fit(model).prediction_variances(X, codes, Z, list(included))
    return variances


def _with_interval(
    model: FittedModel, frame: pd.DataFrame, interval: Interval, level: float, at_fit: bool
) -> pd.DataFrame:
    """Add the columns ``lower`` and ``upper``."""
    variance = frame["se"].to_numpy() ** 2
    if interval == "prediction":
        weights = model.design.weights if at_fit else None
        variance = variance + model.sigma**2 / (1.0 if weights is None else weights)
    half = scipy.stats.norm.ppf((1 + level) / 2) * np.sqrt(variance)
    return frame.assign(lower=frame["fit"] - half, upper=frame["fit"] + half)
