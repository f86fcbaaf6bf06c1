"""Comparing fitted models: likelihood-ratio tests, and F tests of a model within a larger one."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
import scipy.linalg
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag
from ..base.ddf_methods import KENWARD_ROGER, Ddf, check_ddf, method_name
from ..base.errors import InferenceWarning
from ..base.foreign_arguments import explain_unknown_arguments
from ..design.design import Design
from ..fit.model import FittedModel
from ..formula.covariance import UNSTRUCTURED
from ..formula.formula import ParsedFormula, RandomTerm, parse_formula
from ..linear.linear_model import LinearModel
from ..tables.test_tables import TestTable
from .anova_of_terms import anova as anova_of_terms
from .common_rows import differing_rows, on_common_rows
from .ddf import tester
from .kenward_roger import KenwardRogerTester
from .restriction import is_within, restriction_matrix
from .submodel import effects_text, random_parts, refitted, subdesign

__all__ = ["anova", "kr_modcomp", "sat_modcomp"]

FloatArray = NDArray[np.float64]

#: What optima of a model and one within it may differ by the wrong way, in deviance.
ROUNDING = 1e-4
#: What is printed below a table that tests variances by likelihood ratios.
BOUNDARY = (
    "Chi-squared p-values are conservative for variances: zero lies on their boundary\n"
    "(crossnest.exact_rlrt, pb_modcomp)"
)

_SMALL = "the small model must be a model, a formula or a matrix of restrictions"


# ------------------------------------------------------------------------ likelihood ratios


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
    names = _names(models, sys._getframe(1).f_locals)
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


@overload
def by_ml(model: FittedModel) -> FittedModel: ...


@overload
def by_ml(model: FittedModel | LinearModel) -> FittedModel | LinearModel: ...


def by_ml(model: FittedModel | LinearModel) -> FittedModel | LinearModel:
    """Return a model fitted by maximum likelihood, itself if it is."""
    return refitted(model, reml=False) if isinstance(model, FittedModel) else model


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


def checked_ratios(ratios: FloatArray, larger: Sequence[str], smaller: Sequence[str]) -> FloatArray:
    """Return likelihood ratios, zero where they are rounding and NaN where they are negative.

    Parameters
    ----------
    ratios : (m,) array
        Twice the differences of the log-likelihoods.
    larger, smaller : sequence of str
        What the models are called.

    Warns
    -----
    InferenceWarning
        The larger model has the lower likelihood, which a model cannot have that contains the
        other one.
    """
    for ratio, large, small in zip(ratios, larger, smaller, strict=True):
        if ratio < -ROUNDING:
            warnings.warn(
                f"the log-likelihood of {large} is below that of {small} by {-ratio / 2:.3g}, "
                "though it has more parameters: either the models are not nested, or the larger "
                "fit has not reached the maximum; no test is made",
                InferenceWarning,
                stacklevel=4,
            )
    checked = np.where(ratios < -ROUNDING, np.nan, ratios)
    return np.where(np.abs(checked) < 1e-8, 0.0, np.maximum(checked, 0.0))


def upper_tail(chisq: FloatArray, df: FloatArray) -> FloatArray:
    """Compute the p-values of likelihood ratios; NaN where there is no degree of freedom."""
    p = scipy.stats.chi2.sf(chisq, np.where(df > 0, df, np.nan))
    return np.asarray(p, dtype=np.float64)


def _names(models: Sequence[FittedModel | LinearModel], variables: Mapping[str, Any]) -> list[str]:
    """Name models by the caller's variables that hold them; all by number if one has none."""
    own = {name: v for name, v in variables.items() if name.isidentifier() and name[0] != "_"}
    found = [next((name for name, v in own.items() if v is model), None) for model in models]
    names = [name for name in found if name is not None]
    if len(set(names)) == len(models):
        return names
    return [f"m{i}" for i in range(len(models))]


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
    apart = differing_rows(first, second)
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


# ------------------------------------------------------------- a model within a larger one


def restrictions(
    large: FittedModel, small: FittedModel | str | ArrayLike
) -> tuple[FloatArray, str]:
    """Return the restrictions L beta = 0 that reduce a large model to a small one.

    Parameters
    ----------
    large : LinearMixedModel
        The large model.
    small : LinearMixedModel, str or array_like
        A model with the same random effects fitted to the same data; or a formula of terms of the
        large model, ``"~ recipe"``, in which ``.`` stands for all of them, ``"~ . - recipe"``; or
        L itself, (m, p) or (p,).

    Returns
    -------
    (m, p) array
        L, of full row rank.
    str
        What to call the small model.

    Raises
    ------
    TypeError
        If the large model is no mixed model, or the small one none of these.
    ValueError
        If the small model does not lie within the large one or is as large, has other random
        effects or other data, or L has another number of columns.
    """
    _check_large(large)
    if isinstance(small, str):
        formula = _small_formula(large.design, small)
        smaller = subdesign(large.design, formula.fixed)
        small_X, text = smaller.X, smaller.formula.text
    elif isinstance(small, FittedModel):
        check_same_data(large.design, small.design, "large", "small")
        _check_same_random(large.design.formula, small.design.formula)
        small_X, text = small.design.X, small.formula
    else:
        return _given_restrictions(large, small), "L beta = 0"
    X = large.design.X[:, large._kept]
    if not is_within(small_X, X):
        raise ValueError(
            f"the fixed effects of `{text}` do not lie within those of `{large.formula}`: models "
            "must be nested, and the larger one comes first"
        )
    L = restriction_matrix(X, small_X)
    if not len(L):
        raise ValueError(f"`{text}` and `{large.formula}` have the same fixed effects")
    return L, text


def _check_large(large: object) -> None:
    if not isinstance(large, FittedModel):
        raise TypeError(f"the large model must be one fitted by lmer, not {type(large).__name__}")


def _given_restrictions(large: FittedModel, L: ArrayLike) -> FloatArray:
    """Check a restriction matrix; leave out rows that follow from the others."""
    if L is None:
        raise TypeError(_SMALL)
    try:
        if np.iscomplexobj(L):
            raise TypeError(_SMALL)
        matrix = np.atleast_2d(np.array(L, dtype=np.float64))
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(_SMALL) from error
    p = len(large.fixef)
    if matrix.ndim != 2 or matrix.shape[1] != p:
        raise ValueError(f"L has shape {matrix.shape}, expected {p} columns, one per fixed effect")
    if not np.isfinite(matrix).all() or not matrix.any():
        raise ValueError("L must hold finite numbers, not all of them zero")
    rank = np.linalg.matrix_rank(matrix)
    if rank == len(matrix):
        return matrix
    _, _, pivot = scipy.linalg.qr(matrix.T, mode="economic", pivoting=True)
    return np.asarray(matrix[np.sort(pivot[:rank])], dtype=np.float64)


def _small_formula(design: Design, text: str) -> ParsedFormula:
    """Parse the formula of a small model; ``.`` stands for the fixed effects of the design."""
    right = text.rpartition("~")[2].strip()
    dot = f"({effects_text(design.formula.fixed)})"
    right = re.sub(r"(?<![\w.)\]`])\.(?![\w(`])", lambda _: dot, right)
    has_random = "|" in right
    if not has_random:
        right = " + ".join([right, *(str(part.label) for part in random_parts(design))])
    response = design.formula.text.partition("~")[0].strip()
    parsed = parse_formula(f"{response} ~ {right}")
    if has_random:
        _check_same_random(design.formula, parsed)
    return parsed


def _check_same_random(large: ParsedFormula, small: ParsedFormula) -> None:
    """Refuse models whose random effects differ."""
    first, second = (
        sorted((term.factors, term.effects.text, _structure(term)) for term in formula.random)
        for formula in (large, small)
    )
    if first != second:
        raise ValueError(
            f"the random effects of `{small.text}` and `{large.text}` differ: this test compares "
            "fixed effects; use anova to compare random effects"
        )


def _structure(term: RandomTerm) -> str:
    """Return the covariance structure of a term that may have several effects."""
    return UNSTRUCTURED if term.effects.text == "1" else term.structure


# ------------------------------------------------------------------------------------ F tests


@explain_unknown_arguments
def kr_modcomp(
    large: FittedModel,
    small: FittedModel | str | ArrayLike,
    ddf: Ddf = "kenward-roger",
    common_rows: bool = False,
) -> TestTable:
    """Test a model within a larger one by Kenward and Roger's F test.

    Parameters
    ----------
    large : LinearMixedModel
        The large model; fitted again by REML if it was not.
    small : LinearMixedModel, str or array_like
        A model with the same random effects; or a formula of some of the large model's terms, such
        as ``"~ recipe"``, or ``"~ . - recipe"`` where ``.`` stands for all of them; or a matrix L,
        (m, p) or (p,), of restrictions L beta = 0.
    ddf : {"kenward-roger", "kenward-roger-observed"}
        With the expected information on the variance parameters (pbkrtest), or the observed one
        (SAS, JMP).
    common_rows : bool
        Whether to fit the models again to the rows that all of them have, where they were fitted
        to different ones because of missing values.

    Returns
    -------
    TestTable
        ``NumDF``, ``DenDF``, ``F.scaling``, ``F value`` and ``Pr(>F)``; row ``Ftest`` is the test,
        row ``FtestU`` the same without the scaling of F. ``attrs["L"]`` has the restrictions.

    Raises
    ------
    ValueError
        If the small model does not lie within the large one, is as large, or has other random
        effects or other data.

    References
    ----------
    Kenward and Roger (1997). Small sample inference for fixed effects from restricted maximum
    likelihood. Biometrics 53, 983-997.
    Halekoh and Hojsgaard (2014). A Kenward-Roger approximation and parametric bootstrap methods
    for tests in linear mixed models: the R package pbkrtest. Journal of Statistical Software
    59(9).
    """
    ddf = check_ddf(ddf)
    if ddf not in KENWARD_ROGER:
        listed = " or ".join(map(repr, KENWARD_ROGER))
        raise ValueError(f"ddf must be {listed} for kr_modcomp, not {ddf!r}")
    large, small = _on_common_rows(large, small, common_rows)
    L, text = restrictions(large, small)
    method = tester(refitted(large, reml=True), ddf)
    assert isinstance(method, KenwardRogerTester)
    test = method.modified_f_test(L)
    columns = {
        "NumDF": [test.num_df] * 2,
        "DenDF": [test.den_df] * 2,
        "F.scaling": [test.scaling, np.nan],
        "F value": [test.statistic, test.unscaled],
        "Pr(>F)": [test.pvalue, test.unscaled_pvalue],
    }
    heading = f"F test with {method_name(ddf)}\nlarge: {large.formula}\nsmall: {text}"
    table = TestTable(columns, heading=heading, index=["Ftest", "FtestU"])
    table.attrs["L"] = L.tolist()
    return table


def _on_common_rows(
    large: FittedModel, small: FittedModel | str | ArrayLike, common_rows: bool
) -> tuple[FittedModel, FittedModel | str | ArrayLike]:
    """Fit two models to the rows they share if that is asked for."""
    check_flag(common_rows, "common_rows")
    if common_rows and isinstance(small, FittedModel):
        _check_large(large)
        large, small = on_common_rows([large, small])
    return large, small


@explain_unknown_arguments
def sat_modcomp(
    large: FittedModel,
    small: FittedModel | str | ArrayLike,
    common_rows: bool = False,
) -> TestTable:
    """Test a model within a larger one by an F test with Satterthwaite's degrees of freedom.

    Parameters and errors are those of `kr_modcomp`.

    Returns
    -------
    TestTable
        One row, ``Ftest``: ``NumDF``, ``DenDF``, ``F value`` and ``Pr(>F)``. ``attrs["L"]`` has the
        restrictions.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13), section 2.
    """
    large, small = _on_common_rows(large, small, common_rows)
    L, text = restrictions(large, small)
    test = tester(refitted(large, reml=True), "satterthwaite").f_test(L)
    columns = {
        "NumDF": [test.num_df],
        "DenDF": [test.den_df],
        "F value": [test.statistic],
        "Pr(>F)": [test.pvalue],
    }
    heading = f"F test with Satterthwaite's method\nlarge: {large.formula}\nsmall: {text}"
    table = TestTable(columns, heading=heading, index=["Ftest"])
    table.attrs["L"] = L.tolist()
    return table
