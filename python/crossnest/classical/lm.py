"""Linear models with R's name and results: `crossnest.lm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from ..base.errors import RankDeficiencyWarning
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.warn import warn_user
from ..design.design import build_design
from ..fit.labels import Labels, label_of, name_of
from ..fit.least_squares import least_squares, weighted_problem
from ..linear.linear_model import LinearModel


@explain_unknown_arguments
def lm(
    formula: str,
    data: Any,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: Literal["drop", "raise"] = "drop",
    context: Mapping[str, Any] | None = None,
) -> LinearModel:
    """Fit a linear model by least squares.

    Parameters
    ----------
    formula : str
        Response and terms, such as ``"chol ~ C(doctor) + age"``; no random-effects terms.
    data : DataFrame
        The data: a pandas data frame, a dict of columns, or any frame narwhals reads.
    weights : str or (n_rows,) array_like, optional
        Precision weights, a column's name or values: Var(e_i) = sigma^2 / weights_i. Rows of
        weight zero are left out.
    offset : str or (n_rows,) array_like, optional
        Known part of the linear predictor, a column's name or values.
    contrasts : mapping, optional
        Contrasts of factors by column name: R's names and calls (``"contr.sum"``,
        ``"Treatment('b')"``), formulaic's contrasts, a matrix with one row for each level, or a
        data frame whose index are the levels.
    na_action : {"drop", "raise"}
        What to do with rows that have a missing value in a column used.
    context : mapping, optional
        Functions and constants of your own that the formula uses, by name. A function gets arrays
        and gives one value for each row, from that row alone.

    Returns
    -------
    LinearModel
        The fitted model.

    Raises
    ------
    FormulaError, DesignError
        If formula or data do not make a model; the message names the culprit.

    Warns
    -----
    RankDeficiencyWarning
        Aliased columns of the model matrix were dropped.

    Examples
    --------
    >>> import crossnest
    >>> model = crossnest.lm("Reaction ~ Days", crossnest.datasets.sleepstudy())
    >>> print(model.params.round(3).to_dict())
    {'(Intercept)': 251.405, 'Days': 10.467}
    """
    design = build_design(
        formula,
        data,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        na_action=na_action,
        mixed=False,
        context=context,
    )
    labels = Labels(name_of(data), label_of(weights), label_of(offset))
    model = LinearModel(design, labels, least_squares(*weighted_problem(design)))
    if model.dropped:
        text = f"dropped aliased columns of the model matrix: {', '.join(model.dropped)}"
        warn_user(text, RankDeficiencyWarning)
    return model
