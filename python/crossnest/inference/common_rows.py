"""Common rows: whether models have the same data, and fits to the rows that all of them can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design.design import Design
from ..fit.fitted_model import FittedModel
from ..fit.fitting import fit_design
from ..fit.least_squares import least_squares, weighted_problem
from ..linear.linear_model import LinearModel
from .case_resampling import without

__all__ = ["check_same_data", "on_common_rows"]

FloatArray = NDArray[np.float64]
Model = TypeVar("Model", bound=FittedModel | LinearModel)


def on_common_rows(models: Sequence[Model]) -> list[Model]:
    """Fit models again to the rows that all of them were fitted to.

    Rows go by their labels, and what was learned from the data (the centre of ``scale(x)``, the
    knots of a spline) stays what it was.

    Raises
    ------
    ValueError
        If the labels do not tell the rows apart, or no row is in all models.
    """
    rows = [_labels(model.design, models[0].design) for model in models]
    common = rows[0]
    for other in rows[1:]:
        common = common[common.isin(other)]
    if not len(common):
        raise ValueError("the models have no row in common")
    return [_refitted(model, ~own.isin(common)) for model, own in zip(models, rows, strict=True)]


def check_same_data(first: Design, second: Design, name: str, other: str) -> None:
    """Refuse models that were not fitted to the same rows of the same data."""
    if first.n != second.n:
        raise ValueError(
            f"the models were not fitted to the same data: `{name}` has {first.n} observations, "
            f"`{other}` {second.n}{_rows_apart(first, second, name, other)}"
        )
    one, zero = np.ones(first.n), np.zeros(first.n)
    same = {
        "response": np.array_equal(first.y, second.y),
        "weights": np.array_equal(_given(first.weights, one), _given(second.weights, one)),
        "offset": np.array_equal(_given(first.offset, zero), _given(second.offset, zero)),
        "rows used": first.index.equals(second.index),
    }
    different = [what for what, is_same in same.items() if not is_same]
    if different:
        raise ValueError(
            f"the models were not fitted to the same data: `{name}` and `{other}` differ in their "
            f"{' and '.join(different)}"
            + (_rows_apart(first, second, name, other) if "rows used" in different else "")
        )


def _rows_apart(first: Design, second: Design, name: str, other: str) -> str:
    """Say how many rows only one of two models has, and what to do."""
    advice = (
        "rows with missing values are left out model by model: common_rows=True fits all models to "
        "the rows they share"
    )
    apart = _differing_rows(first, second)
    if apart is None:
        return f"; {advice}"
    counts = zip(apart, (name, other), (other, name), strict=True)
    missing = [
        f"{count} row{'s' if count > 1 else ''} of `{one}` not in `{two}`"
        for count, one, two in counts
        if count
    ]
    return f" ({', '.join(missing)}); {advice}"


def _given(values: FloatArray | None, default: FloatArray) -> FloatArray:
    return default if values is None else values


def _differing_rows(first: Design, second: Design) -> tuple[int, int] | None:
    """Count the rows that only one of two designs has; None if labels do not tell."""
    try:
        one, two = _labels(first, second), _labels(second, first)
    except ValueError:
        return None
    return int((~one.isin(two)).sum()), int((~two.isin(one)).sum())


def _labels(design: Design, other: Design) -> pd.Index:
    """Return what identifies the rows used: labels, or positions in the same data."""
    if design.index.is_unique and other.index.is_unique:
        return design.index
    if design.row_labels.equals(other.row_labels):
        kept = design.kept
        return pd.Index(np.arange(design.n_rows) if kept is None else np.flatnonzero(kept))
    raise ValueError(
        "the rows of the models have labels that occur several times, so their common rows "
        "cannot be found: give the data a unique index (reset_index(drop=True))"
    )


def _refitted(model: Model, dropped: NDArray[np.bool_]) -> Model:
    """Fit a model without some rows; itself if there are none."""
    if not dropped.any():
        return model
    design = without(model.design, dropped)
    if isinstance(model, FittedModel):
        fit = fit_design(type(model), design, model.reml, None, model.control, model.labels)
        return cast(Model, fit)
    return replace(model, design=design, _fit=least_squares(*weighted_problem(design)))
