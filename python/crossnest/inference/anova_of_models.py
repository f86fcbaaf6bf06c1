"""Analysis of variance of several models: likelihood-ratio tests of each against the next."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from ..base.arguments import check_flag
from ..fit.fitted_model import FittedModel
from ..linear.linear_model import LinearModel
from ..tables.tables_of_tests import TestTable
from .anova_of_terms import anova_of_terms
from .common_rows import check_same_data, on_common_rows
from .likelihood_ratio import BOUNDARY, by_ml, checked_ratios, upper_tail
from .model_names import model_names
from .restriction import is_within

__all__ = ["anova"]


def anova(
    *models: FittedModel | LinearModel, refit: bool = True, common_rows: bool = False
) -> TestTable:
    """Compare models fitted to the same data by likelihood-ratio tests.

    Parameters
    ----------
    *models : LinearMixedModel or LinearModel
        Two or more models, in any order, at least one of them mixed: each is tested against the
        one with next fewer parameters, which is taken to lie within it. For one model alone its
        `anova` method.
    refit : bool
        Whether to fit those fitted by REML again by maximum likelihood, which the heading then
        says. Without it models fitted by REML can be compared if their fixed effects span the
        same expectations.
    common_rows : bool
        Whether to fit the models again to the rows that all of them have, where they were fitted
        to different ones because of missing values.

    Returns
    -------
    TestTable
        One row per model, labelled by the caller's variable of it if there is one, else ``m0``,
        ``m1``, ...: ``npar``, ``AIC``, ``BIC``, ``logLik``, ``deviance`` (-2 logLik), ``Chisq``
        with ``Df`` degrees of freedom and ``Pr(>Chisq)``.

    Raises
    ------
    ValueError
        If the models were fitted to different data, or by REML with different fixed effects, or
        some by REML and some by maximum likelihood, and `refit` is false.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software 67(1), section 5.2.
    """
    check_flag(refit, "refit")
    check_flag(common_rows, "common_rows")
    if not models:
        raise TypeError("anova needs at least one model")
    for model in models:
        if not isinstance(model, FittedModel | LinearModel):
            raise TypeError(f"anova compares models fitted by lmer, not {type(model).__name__}")
    if len(models) == 1:
        (model,) = models
        return model.anova() if isinstance(model, LinearModel) else anova_of_terms(model)
    if not any(isinstance(model, FittedModel) for model in models):
        raise TypeError("anova compares mixed models: none of these has a random effect")
    names = model_names(models, sys._getframe(1).f_locals)
    if common_rows:
        models = tuple(on_common_rows(models))
    for name, model in zip(names[1:], models[1:], strict=True):
        check_same_data(models[0].design, model.design, names[0], name)
    by_reml = any(map(_is_reml, models))
    if refit:
        models = tuple(by_ml(model) for model in models)
    else:
        _check_comparable(models)
    order = np.argsort([model.npar for model in models], kind="stable")
    heading = ["refitting model(s) with ML (instead of REML)"] if by_reml and refit else []
    if common_rows:
        heading.append(f"fitted to the {models[0].nobs} rows common to all models")
    return _likelihood_ratios([models[i] for i in order], [names[i] for i in order], heading)


def _is_reml(model: FittedModel | LinearModel) -> bool:
    return isinstance(model, FittedModel) and model.reml


def _likelihood_ratios(
    models: Sequence[FittedModel | LinearModel], names: Sequence[str], heading: list[str]
) -> TestTable:
    """Test each model against the one before it."""
    npar = np.array([model.npar for model in models])
    loglik = np.array([model.llf for model in models])
    df = np.r_[np.nan, np.diff(npar)]
    chisq = np.r_[np.nan, 2 * np.diff(loglik)]
    chisq[df == 0] = np.maximum(chisq[df == 0], 0)  # neither lies within the other: no test
    labels = [f"`{name}`" for name in names]
    chisq[1:] = checked_ratios(chisq[1:], labels[1:], labels[:-1])
    columns = {
        "npar": npar,
        "AIC": [model.aic for model in models],
        "BIC": [model.bic for model in models],
        "logLik": loglik,
        "deviance": -2 * loglik,
        "Chisq": chisq,
        "Df": df,
        "Pr(>Chisq)": upper_tail(chisq, df),
    }
    data = models[0].labels.data
    heading = [*heading, *([f"Data: {data}"] if data else []), "Models:"]
    heading += [f"{name}: {model.formula}" for name, model in zip(names, models, strict=True)]
    footnote = BOUNDARY if _variances_differ(models) else ""
    return TestTable(columns, heading="\n".join(heading), footnote=footnote, index=list(names))


def _variances_differ(models: Sequence[FittedModel | LinearModel]) -> bool:
    """Whether random effects are compared."""
    random = {
        tuple(sorted((term.factors, term.effects.text) for term in model.design.formula.random))
        for model in models
    }
    return len(random) > 1


def _check_comparable(models: Sequence[FittedModel | LinearModel]) -> None:
    """Refuse criteria that are not likelihoods of the same thing."""
    if len({_is_reml(model) for model in models}) > 1:
        raise ValueError(
            "some of the models were fitted by REML and some by maximum likelihood, so their "
            "criteria cannot be compared: let anova refit them (refit=True)"
        )
    X = models[0].design.X
    if _is_reml(models[0]) and not all(
        is_within(model.design.X, X) and is_within(X, model.design.X) for model in models[1:]
    ):
        raise ValueError(
            "restricted likelihoods of models with different fixed effects cannot be compared: "
            "let anova refit them by maximum likelihood (refit=True)"
        )
