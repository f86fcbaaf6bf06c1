"""Fitting: from a formula and a data frame to a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from numpy.typing import ArrayLike

from .base.foreign_arguments import explain_unknown_arguments
from .design.design import build_design
from .fit.control import Control
from .fit.fitting import fit_design, warn_about
from .fit.labels import Labels, label_of, name_of
from .model import LinearMixedModel


@explain_unknown_arguments
def lmer(
    formula: str,
    data: Any,
    reml: bool = True,
    weights: str | ArrayLike | None = None,
    offset: str | ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    start: ArrayLike | None = None,
    control: Control | None = None,
    na_action: Literal["drop", "raise"] = "drop",
    context: Mapping[str, Any] | None = None,
) -> LinearMixedModel:
    """Fit a linear mixed model.

    Parameters
    ----------
    formula : str
        Response and terms, such as ``"Reaction ~ Days + (Days | Subject)"``: lme4's grammar,
        with the functions of ``docs/formulas.md``.
    data : DataFrame
        The data: a pandas data frame, a dict of columns, or any frame narwhals reads.
    reml : bool
        Whether to minimise the REML criterion, and not the deviance (maximum likelihood).
    weights : str or (n_rows,) array_like, optional
        Precision weights, a column's name or values: Var(e_i) = sigma^2 / weights_i.
    offset : str or (n_rows,) array_like, optional
        Known part of the linear predictor, a column's name or values.
    contrasts : mapping, optional
        Contrasts of factors by column name: R's names and calls (``"contr.sum"``,
        ``"Treatment('b')"``), formulaic's contrasts, a matrix with one row for each level, or a
        data frame whose index are the levels.
    start : (n_theta,) array_like or Series, optional
        Covariance parameters to start from.
    control : Control, optional
        Options of the engine.
    na_action : {"drop", "raise"}
        What to do with rows that have a missing value in a column used.
    context : mapping, optional
        Functions and constants of your own that the formula uses, by name. A function gets arrays
        and gives one value for each row, from that row alone.

    Returns
    -------
    LinearMixedModel
        The fitted model.

    Raises
    ------
    FormulaError, DesignError
        If formula or data do not make a model; the message names the culprit.
    ValueError
        If `start` does not fit the model.
    MemoryError
        If the design needs more memory than there is or `control` allows.

    Warns
    -----
    RankDeficiencyWarning
        Aliased columns of the fixed effects were dropped.
    IdentifiabilityWarning
        The data do not determine the variances of some random effects; see
        `LinearMixedModel.confounded`.
    SingularFitWarning
        A covariance matrix of random effects was estimated on its boundary.
    ConvergenceWarning
        The optimizer stopped before the minimum.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software 67(1).

    Examples
    --------
    >>> import crossnest
    >>> sleepstudy = crossnest.datasets.sleepstudy()
    >>> model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", sleepstudy)
    >>> print(round(model.objective, 3))
    1743.628
    """
    if control is not None and not isinstance(control, Control):
        raise TypeError(f"control must be a crossnest.Control, not {type(control).__name__}")
    design = build_design(
        formula,
        data,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        na_action=na_action,
        context=context,
    )
    labels = Labels(name_of(data), label_of(weights), label_of(offset))
    model = fit_design(LinearMixedModel, design, reml, start, control or _DEFAULT, labels)
    warn_about(model)
    return model


#: Options are values nobody can change, so one will do for every fit.
_DEFAULT = Control()
