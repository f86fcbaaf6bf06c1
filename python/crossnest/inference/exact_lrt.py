"""Exact tests that a variance component is zero, by simulation of the ratio's distribution.

Zero lies on the boundary of what a variance can be, where the chi-squared distribution does not
hold; with one variance component the ratio's own distribution in finite samples is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.arguments import check_count
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.memory import check_memory
from ..base.read_only import ReadOnly
from ..design.design import Design, RandomEffects
from ..fit.criterion import objective_at
from ..fit.fitted_model import FittedModel
from ..linear.linear_model import LinearModel
from ..prediction.simulate import seed_or_new
from .common_rows import check_same_data
from .lrt_distribution import LrtDistribution
from .restriction import is_within
from .submodel import refitted, subdesign

__all__ = ["ExactTest", "exact_lrt", "exact_rlrt"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ExactTest(ReadOnly):
    """A test that a variance component is zero.

    Attributes
    ----------
    statistic : float
        The (restricted) likelihood ratio, twice the difference of the log-likelihoods.
    pvalue : float
        (1 + #{t* >= statistic}) / (1 + n) of n statistics t* drawn under the null hypothesis.
    error : float
        Monte Carlo standard error of the p-value.
    reference : (n,) array
        The statistics drawn.
    n : int
        How many.
    seed : int
        Where the random numbers started.
    method : str
        What was tested and how.
    model, null : str
        The formulas.
    """

    statistic: float
    pvalue: float
    error: float
    reference: FloatArray
    n: int
    seed: int
    method: str
    model: str
    null: str

    def __repr__(self) -> str:
        """Show the test as R shows one."""
        name = "RLRT" if "restricted" in self.method else "LRT"
        return (
            f"{self.method}\nmodel: {self.model}\nnull:  {self.null}\n"
            f"{name} = {self.statistic:.5g}, p-value = {self.pvalue:.4g}\n"
            f"({self.n} values simulated; Monte Carlo standard error of the p-value: "
            f"{self.error:.2g})"
        )


@explain_unknown_arguments
def exact_rlrt(
    model: FittedModel,
    null: FittedModel | LinearModel | None = None,
    n: int = 10_000,
    seed: int | None = None,
) -> ExactTest:
    """Test that a variance component is zero by the exact restricted likelihood-ratio test.

    For a model with one variance component, such as ``(1 | Batch)``, values are drawn from the
    exact distribution of the ratio in finite samples. For a model with several, `null` names the
    model without the one to be tested; the distribution is then that of a model with the tested
    component alone, which is an approximation (Greven et al. 2008).

    Parameters
    ----------
    model : LinearMixedModel
        The model with the variance component; fitted again by REML if it was not.
    null : LinearMixedModel or LinearModel, optional
        The model without it, with the same fixed effects. Only needed where the model has more
        variance components than one.
    n : int
        Values to draw.
    seed : int, optional
        Where the random numbers start; a new one if not given.

    Returns
    -------
    ExactTest
        With ``statistic`` and ``pvalue``.

    Raises
    ------
    TypeError
        If `model` is no linear mixed model, `null` no model, or `n` no whole number.
    ValueError
        If the model has several variance components and `null` is not given, or the models do not
        differ by one variance component alone.
    MemoryError
        If `n` values do not fit in memory, or there are more than 10,000 levels of different sizes.

    References
    ----------
    Crainiceanu and Ruppert (2004). Likelihood ratio tests in linear mixed models with one variance
    component. Journal of the Royal Statistical Society B 66(1), 165-185.
    Greven, Crainiceanu, Kuechenhoff and Peters (2008). Restricted likelihood ratio testing for zero
    variance components in linear mixed models. Journal of Computational and Graphical Statistics
    17(4), 870-891.
    Scheipl, Greven and Kuechenhoff (2008). Size and power of tests for a zero random effect
    variance or polynomial regression in additive and linear mixed models. Computational Statistics
    & Data Analysis 52(7), 3283-3299; R package RLRsim.

    Examples
    --------
    >>> import crossnest
    >>> model = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff())
    >>> test = crossnest.exact_rlrt(model, seed=1)
    >>> print(round(test.statistic, 3), round(test.pvalue, 3))
    6.369 0.004
    """
    _check_models(model, null)
    n, seed = _check_draws(model, n), seed_or_new(seed)
    if null is not None:
        check_same_data(model.design, null.design, "model", "null")
        if _extra_effects(model, null):
            raise ValueError(
                f"the fixed effects of `{model.formula}` and `{null.formula}` differ: restricted "
                "likelihoods cannot be compared then; exact_lrt tests both at once"
            )
    fit = refitted(model, reml=True)
    if null is None:
        position, null_text = _only_component(model.design, "null"), _without_random(model)
        statistic = objective_at(fit, np.zeros(1)) - fit.objective
    elif isinstance(null, LinearModel):
        position, null_text = _only_component(model.design, "null"), null.formula
        statistic = objective_at(fit, np.zeros(1)) - fit.objective
    else:
        position, null_text = _tested_component(model.design, null.design), null.formula
        statistic = refitted(null, reml=True).objective - fit.objective
    label = model.design.random[position].term.text
    method = f"Exact restricted likelihood-ratio test of {label}"
    if len(model.theta) > 1:
        method += ", as if it were the only random effect"
    distribution = LrtDistribution.of(model.design, position, 0, reml=True)
    return _test(distribution, statistic, n, seed, method, model.formula, null_text)


@explain_unknown_arguments
def exact_lrt(
    model: FittedModel,
    null: LinearModel | None = None,
    n: int = 10_000,
    seed: int | None = None,
) -> ExactTest:
    """Test that a variance component, and perhaps fixed effects, are zero by the exact LRT.

    Parameters
    ----------
    model : LinearMixedModel
        A model with one variance component; fitted again by maximum likelihood if it was not.
    null : LinearModel, optional
        The model without it, fitted by `crossnest.lm`, perhaps with fewer fixed effects, which are
        then tested too; the model's own fixed effects if not given. For the variance alone
        `exact_rlrt` has more power.
    n : int
        Values to draw.
    seed : int, optional
        Where the random numbers start; a new one if not given.

    Returns
    -------
    ExactTest
        With ``statistic`` and ``pvalue``.

    Raises
    ------
    TypeError
        If `model` is no linear mixed model, `null` no linear model, or `n` no whole number.
    ValueError
        If the model has several variance components, the models were fitted to different data, or
        the fixed effects of `null` do not lie within the model's.
    MemoryError
        If `n` values do not fit in memory, or there are more than 10,000 levels of different sizes.

    References
    ----------
    Crainiceanu and Ruppert (2004). Likelihood ratio tests in linear mixed models with one variance
    component. Journal of the Royal Statistical Society B 66(1), 165-185.

    Examples
    --------
    >>> import crossnest
    >>> sleepstudy = crossnest.datasets.sleepstudy()
    >>> model = crossnest.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    >>> test = crossnest.exact_lrt(model, crossnest.lm("Reaction ~ 1", sleepstudy), seed=1)
    >>> test.pvalue < 0.001
    True
    """
    _check_models(model, null)
    if isinstance(null, FittedModel):
        raise TypeError("null must be a model without random effects, fitted by crossnest.lm")
    n, seed = _check_draws(model, n), seed_or_new(seed)
    position = _only_component(model.design, None)
    fit = refitted(model, reml=False)
    if null is None:
        q, null_text = 0, _without_random(model)
        statistic = objective_at(fit, np.zeros(1)) - fit.objective
    else:
        check_same_data(model.design, null.design, "model", "null")
        q, null_text = _extra_effects(model, null), null.formula
        statistic = 2 * (fit.llf - null.llf)
    label = model.design.random[position].term.text
    tested = f" and {q} fixed effect{'s' if q > 1 else ''}" if q else ""
    method = f"Exact likelihood-ratio test of {label}{tested}"
    distribution = LrtDistribution.of(model.design, position, q, reml=False)
    return _test(distribution, statistic, n, seed, method, model.formula, null_text)


def _test(
    distribution: LrtDistribution,
    statistic: float,
    n: int,
    seed: int,
    method: str,
    model: str,
    null: str,
) -> ExactTest:
    """Compare a ratio with draws from its distribution."""
    statistic = max(float(statistic), 0.0)
    reference = distribution.draw(n, seed)
    pvalue = (1 + int(np.sum(reference >= statistic - 1e-8))) / (1 + n)
    error = float(np.sqrt(pvalue * (1 - pvalue) / n))
    return ExactTest(statistic, pvalue, error, reference, n, seed, method, model, null)


# ------------------------------------------------------------------------------ what is tested


def _check_models(model: object, null: object) -> None:
    if not isinstance(model, FittedModel):
        raise TypeError(f"model must be one fitted by lmer, not {type(model).__name__}")
    if null is not None and not isinstance(null, FittedModel | LinearModel):
        raise TypeError(f"null must be a model fitted by lmer or lm, not {type(null).__name__}")


def _check_draws(model: FittedModel, n: object) -> int:
    """Return the number of values to draw; refuse more than memory holds."""
    n = check_count(n, "n")
    check_memory(9 * n, f"{n:,} values of the ratio", model.control.memory_limit)
    return n


def _only_component(design: Design, null: str | None) -> int:
    """Return the position of the only random-effects term, which has one effect."""
    sizes = [len(effects.names) for effects in design.random]
    if sizes == [1]:
        return 0
    terms = ", ".join(effects.term.text for effects in design.random)
    advice = (
        "fit the model without the one to be tested and pass it as null="
        if null
        else "use crossnest.pb_modcomp"
    )
    raise ValueError(
        f"the exact distribution is known for one variance component, and this model has more "
        f"({terms}): {advice}"
    )


def _tested_component(design: Design, null: Design) -> int:
    """Return the position of the term that the null model does not have."""
    theirs = [_key(effects, null) for effects in null.random]
    tested = []
    for position, effects in enumerate(design.random):
        key = _key(effects, design)
        if key in theirs:
            theirs.remove(key)
        else:
            tested.append(position)
    if theirs or len(tested) != 1 or len(design.random[tested[0]].names) != 1:
        raise ValueError(
            f"`{design.formula.text}` must have one random-effects term more than "
            f"`{null.formula.text}`, with one effect that is independent of the others, such as "
            "`(0 + x | g)` next to `(1 | g)`; use crossnest.pb_modcomp for other hypotheses"
        )
    return tested[0]


def _key(effects: RandomEffects, design: Design) -> tuple[object, ...]:
    """Tell random-effects terms apart."""
    structure = effects.term.covariance if len(effects.names) > 1 else None
    return design.factors[effects.factor].name, effects.names, structure


def _extra_effects(model: FittedModel, null: FittedModel | LinearModel) -> int:
    """Count the fixed effects the null model does not have; refuse one that is not within."""
    X, X0 = model.design.X[:, model._kept], null.design.X
    if not is_within(X0, X):
        raise ValueError(
            f"the fixed effects of `{null.formula}` do not lie within those of `{model.formula}`"
        )
    rank = len(null._kept) if isinstance(null, FittedModel) else len(null._fit.kept)
    return int(X.shape[1] - rank)


def _without_random(model: FittedModel) -> str:
    """Write the model without random effects."""
    return subdesign(model.design, parts=[]).formula.text
