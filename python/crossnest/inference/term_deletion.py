"""Single term deletions: a test of every term that may be left out of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..base.arguments import as_names, check_flag, choice
from ..base.ddf_methods import Ddf, method_name
from ..fit.criterion import objective_at
from ..fit.fitted_model import FittedModel
from ..formula.covariance_structures import is_restricted
from ..formula.formula import Term
from ..tables.tables_of_tests import TestTable
from .contest import F_COLUMNS, f_row
from .ddf import tester
from .likelihood_ratio import BOUNDARY, checked_ratios, upper_tail
from .restriction import restriction_matrix
from .submodel import (
    RandomPart,
    droppable,
    fit_submodel,
    fixed_columns,
    fixed_terms,
    random_parts,
    refitted,
    without,
)

__all__ = ["Reduction", "check_terms", "drop1", "f_tests", "ranova", "ratio_tests", "reductions"]

#: How fixed terms may be tested.
TESTS = ("chisq", "F")
#: What is printed below likelihood-ratio tests of fixed effects.
SMALL_SAMPLES = (
    "Chi-squared p-values of fixed effects tend to be too small (test='F' does better);\n"
    "those of variances, by ranova, are conservative: zero lies on their boundary"
)


# ----------------------------------------------------------------------------- random effects


@dataclass(frozen=True, eq=False)
class Reduction:
    """A model with simpler random effects.

    Attributes
    ----------
    label : str
        What was left out, in lmerTest's words.
    parts : list of RandomPart
        The random-effects terms that are left; none for a linear model.
    """

    label: str
    parts: list[RandomPart]


def ranova(model: FittedModel, reduce_terms: bool = True) -> TestTable:
    """Test each random-effects term by a likelihood-ratio test.

    Parameters
    ----------
    model : LinearMixedModel
        The model; the likelihoods are restricted if it was fitted by REML.
    reduce_terms : bool
        Whether a term with several effects, ``(Days | Subject)``, loses one of them at a time, as
        ``Days in (Days | Subject)``, and not all of them at once. Where the last effect but the
        intercept goes, ``(1 | Subject)`` is left.

    Returns
    -------
    TestTable
        A row for the model, ``<none>``, and one for each model with less: ``npar``, ``logLik``,
        ``AIC``, ``LRT``, ``Df``, ``Pr(>Chisq)``. The chi-squared distribution is conservative
        where a variance of zero lies on the boundary (Self and Liang, 1987), as a footnote says;
        `crossnest.exact_rlrt` has the exact one.

    Warns
    -----
    InferenceWarning
        A model with less has the higher likelihood, so that there is no test.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13).
    """
    check_flag(reduce_terms, "reduce_terms")
    return ratio_tests(model, reductions(model, reduce_terms))


def ratio_tests(model: FittedModel, simpler: Sequence[Reduction]) -> TestTable:
    """Test a model against those with simpler random effects: the table of `ranova`."""
    fits = [(model.npar, model.llf), *(_likelihood(model, each.parts) for each in simpler)]
    title = "ANOVA-like table for random-effects: Single term deletions"
    labels = ["<none>", *(each.label for each in simpler)]
    return _ratio_table(fits, labels, f"{title}\n\nModel:\n{model.formula}", BOUNDARY)


def _ratio_table(
    fits: Sequence[tuple[int, float]], labels: Sequence[str], heading: str, footnote: str
) -> TestTable:
    """Test fits, (npar, log-likelihood), against the first of them."""
    npar, loglik = (np.array(values, dtype=np.float64) for values in zip(*fits, strict=True))
    ratio, df = 2 * (loglik[0] - loglik), npar[0] - npar
    reduced = [f"the model without {label}" for label in labels[1:]]
    ratio[1:] = checked_ratios(ratio[1:], ["the model"] * len(reduced), reduced)
    ratio[0] = df[0] = np.nan
    columns = {
        "npar": npar.astype(np.int64),
        "logLik": loglik,
        "AIC": 2 * (npar - loglik),
        "LRT": ratio,
        "Df": df,
        "Pr(>Chisq)": upper_tail(ratio, df),
    }
    return TestTable(columns, heading=heading, footnote=footnote, index=list(labels))


def _likelihood(model: FittedModel, parts: Sequence[RandomPart]) -> tuple[int, float]:
    """Return the parameters and log-likelihood of the model with simpler random effects."""
    if parts:
        fit = fit_submodel(model, parts=parts)
        return fit.npar, fit.llf
    # Without random effects the criterion is that at theta = 0.
    objective = objective_at(model, np.zeros(len(model.theta)))
    return len(model.fixef) + 1, -objective / 2


def reductions(model: FittedModel, reduce_terms: bool = True) -> list[Reduction]:
    """List every model with one random-effects term fewer, or with a simpler one."""
    parts = random_parts(model.design)
    out = []
    for i, part in enumerate(parts):
        others = parts[:i] + parts[i + 1 :]
        reducible = reduce_terms and not is_restricted(part.covariance)
        scope = droppable(part.term.effects) if reducible else []
        if not scope:
            out.append(Reduction(part.label, others))
        for term in scope:
            simpler = part.without(term)
            known = any(simpler.same_as(other) for other in others)
            label = f"{term} in {part.label}"
            out.append(Reduction(label, others if known else [*others, simpler]))
    return out


# ------------------------------------------------------------------------------ fixed effects


def drop1(
    model: FittedModel,
    scope: Sequence[str] | None = None,
    test: Literal["chisq", "F"] = "chisq",
    ddf: Ddf = "satterthwaite",
) -> TestTable:
    """Test each term of the fixed effects that no other term contains.

    Parameters
    ----------
    model : LinearMixedModel
        The model.
    scope : sequence of str, optional
        The terms to test; all that may be left out if not given. A main effect may not where its
        interaction stays.
    test : {"chisq", "F"}
        Likelihood-ratio tests of fits by maximum likelihood, as lme4 does; or F tests in the model
        as it is, as lmerTest does.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Denominator degrees of freedom of the F tests.

    Returns
    -------
    TestTable
        One row per term. Likelihood ratios: ``npar`` (parameters lost), ``AIC``, ``LRT``,
        ``Pr(>Chisq)``, with a first row ``<none>`` for the model itself. F tests: ``Sum Sq``,
        ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value``, ``Pr(>F)``.

    Raises
    ------
    ValueError
        If `scope` names what is not a term, or a term another one contains, or `test` is unknown.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13).
    """
    terms = _scope(model, scope)
    if choice(test, "test", TESTS, {"lrt": "chisq"}) == "chisq":
        return _drop1_chisq(model, terms)
    return f_tests(model, terms, ddf)


def _scope(model: FittedModel, names: Sequence[str] | None) -> dict[str, Term]:
    """Return the terms to be left out, by name."""
    allowed = {str(term): term for term in droppable(model.design.formula.fixed)}
    if names is None:
        return allowed
    names = as_names(names, "scope")
    check_terms(model, names)
    for name in names:
        if name not in allowed:
            raise ValueError(f"'{name}' cannot be left out while a term that contains it stays")
    return {name: allowed[name] for name in names}


def check_terms(model: FittedModel, names: Sequence[str]) -> None:
    """Refuse names that are not those of fixed terms."""
    known = fixed_terms(model.design)
    for name in names:
        if name not in known:
            terms = ", ".join(known) or "none"
            raise ValueError(f"'{name}' is not a term of the fixed effects, which are: {terms}")


def _drop1_chisq(model: FittedModel, terms: dict[str, Term]) -> TestTable:
    """Compare the model with those that omit one of the terms, by maximum likelihood."""
    full, fixed = refitted(model, reml=False), model.design.formula.fixed
    fits = [full] + [fit_submodel(full, without(fixed, term)) for term in terms.values()]
    pairs = [(fit.npar, fit.llf) for fit in fits]
    heading = f"Single term deletions\n\nModel:\n{model.formula}"
    table = _ratio_table(pairs, ["<none>", *terms], heading, SMALL_SAMPLES)
    table["npar"] = table["Df"]
    columns = ["npar", "AIC", "LRT", "Pr(>Chisq)"]
    return TestTable(table[columns], heading=heading, footnote=SMALL_SAMPLES)


def f_tests(model: FittedModel, terms: dict[str, Term], ddf: Ddf) -> TestTable:
    """Test the restrictions that remove each of the terms."""
    title = f"Single term deletions using {method_name(ddf)}:"
    rows = {name: _f_row(model, term, ddf) for name, term in terms.items()}
    table = TestTable.from_dict(rows, orient="index", columns=F_COLUMNS, dtype=np.float64)
    return TestTable(table, heading=f"{title}\n\nModel:\n{model.formula}")


def _f_row(model: FittedModel, term: Term, ddf: Ddf) -> dict[str, float]:
    """Test the restrictions that leave out a term; NaN where nothing but aliasing is lost."""
    design = model.design
    others = [other for other in design.formula.fixed.terms if other != term]
    X0 = design.X[:, fixed_columns(design, others)]
    L = restriction_matrix(design.X[:, model._kept], X0)
    if not len(L):
        return dict.fromkeys(F_COLUMNS, np.nan)
    return f_row(tester(model, ddf), L, np.zeros(len(L)), model.sigma)
