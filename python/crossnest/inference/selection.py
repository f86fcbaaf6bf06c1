"""Selection of a model: backward elimination of terms."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from ..base.arguments import as_names, check_flag, check_share
from ..base.ddf_methods import Ddf, check_ddf
from ..base.read_only import ReadOnly
from ..design.design import Design
from ..fit.fitted_model import FittedModel
from ..fit.labels import Labels
from ..fit.least_squares import least_squares, weighted_problem
from ..linear.linear_model import LinearModel
from ..tables.tables_of_tests import TestTable
from .submodel import droppable, fit_submodel, fixed_terms, subdesign, without
from .term_deletion import check_terms, f_tests, ratio_tests, reductions

__all__ = ["Step", "step"]


@dataclass(frozen=True, eq=False, repr=False)
class Step(ReadOnly):
    """The steps of backward elimination, in two tables, and the model it ended with.

    Attributes
    ----------
    random : TestTable
        `ranova` of the terms eliminated, in that order, then of those left. ``Eliminated`` counts
        the former and is 0 for the latter.
    fixed : TestTable
        The same for the F tests of the fixed effects.
    model : LinearMixedModel or LinearModel
        The final model; a linear model if no random effect is left.
    """

    random: TestTable
    fixed: TestTable
    model: FittedModel | LinearModel

    @property
    def formula(self) -> str:
        """The formula of the final model."""
        return self.model.formula

    def get_model(self) -> FittedModel | LinearModel:
        """Return the final model, by the name in lmerTest."""
        return self.model

    def __repr__(self) -> str:
        """Print as R does."""
        return f"{self.random!r}\n\n{self.fixed!r}\n\nModel found:\n{self.formula}"

    def _repr_html_(self) -> str:
        tables = f"{self.random._repr_html_()}{self.fixed._repr_html_()}"
        return f"{tables}<div>Model found: {html.escape(self.formula)}</div>"


def step(
    model: FittedModel,
    ddf: Ddf = "satterthwaite",
    alpha_random: float = 0.1,
    alpha_fixed: float = 0.05,
    reduce_fixed: bool = True,
    reduce_random: bool = True,
    keep: Sequence[str] = (),
) -> Step:
    """Eliminate terms backward: random effects by `ranova`, then fixed effects by F tests.

    As long as a p-value exceeds its alpha, the term with the largest is left out and the model
    fitted again. p-values after a selection are no longer what they seem.

    Parameters
    ----------
    model : LinearMixedModel
        The model to start from.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Denominator degrees of freedom of the F tests.
    alpha_random, alpha_fixed : float
        p-values above which a random and a fixed term is left out.
    reduce_fixed, reduce_random : bool
        Whether fixed and random terms may be left out.
    keep : sequence of str
        Fixed terms that stay.

    Returns
    -------
    Step

    Raises
    ------
    ValueError
        If `keep` names what is not a term, or an alpha is not from 0 to 1.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13).
    """
    check_flag(reduce_fixed, "reduce_fixed")
    check_flag(reduce_random, "reduce_random")
    check_share(alpha_random, "alpha_random")
    check_share(alpha_fixed, "alpha_fixed")
    ddf = check_ddf(ddf)
    names = as_names(keep, "keep")
    check_terms(model, names)
    random, mixed = _reduce_random(model, alpha_random if reduce_random else 1.0)
    fixed, final = _reduce_fixed(mixed, ddf, alpha_fixed if reduce_fixed else 1.0, names)
    return Step(random, fixed, final)


# ----------------------------------------------------------------------------- random effects


def _reduce_random(model: FittedModel, alpha: float) -> tuple[TestTable, FittedModel | LinearModel]:
    """Leave out random-effects terms as long as a p-value is above alpha."""
    simpler = reductions(model)
    table = ratio_tests(model, simpler)
    eliminated = [table.iloc[:1]]
    while (worst := _above(table["Pr(>Chisq)"], alpha)) is not None:
        eliminated.append(table.iloc[[worst]])
        parts = simpler[worst - 1].parts
        if not parts:
            linear = _linear(subdesign(model.design, parts=[]), model.labels)
            return _random_table(eliminated, table.iloc[:0]), linear
        model = fit_submodel(model, parts=parts)
        simpler = reductions(model)
        table = ratio_tests(model, simpler)
    return _random_table(eliminated, table.iloc[1:]), model


def _random_table(eliminated: Sequence[pd.DataFrame], left: pd.DataFrame) -> TestTable:
    order = [np.nan, *range(1, len(eliminated)), *np.zeros(len(left))]
    return _joined([*eliminated, left], order, "Backward reduced random-effect table:\n")


def _above(pvalues: pd.Series[float], alpha: float) -> int | None:
    """Return the position of the largest p-value, if that is above alpha."""
    values = np.nan_to_num(pvalues.to_numpy(), nan=-1.0)
    return int(values.argmax()) if values.size and values.max() > alpha else None


def _joined(tables: Sequence[pd.DataFrame], order: Sequence[float], heading: str) -> TestTable:
    """Put rows below each other, with the order in which they were eliminated before them."""
    table = pd.DataFrame(pd.concat([pd.DataFrame(each) for each in tables]))
    table.insert(0, "Eliminated", order)
    return TestTable(table, heading=heading)


# ------------------------------------------------------------------------------ fixed effects


def _reduce_fixed(
    model: FittedModel | LinearModel, ddf: Ddf, alpha: float, keep: Sequence[str]
) -> tuple[TestTable, FittedModel | LinearModel]:
    """Leave out fixed terms as long as a p-value is above alpha."""
    table = _tests(model, ddf)
    eliminated = [table.iloc[:0]]
    while (worst := _above(table["Pr(>F)"].mask(table.index.isin(keep)), alpha)) is not None:
        eliminated.append(table.iloc[[worst]])
        model = _left_out(model, str(table.index[worst]))
        table = _tests(model, ddf)
    order = [*range(1, len(eliminated)), *np.zeros(len(table))]
    heading = "Backward reduced fixed-effect table:"
    if isinstance(model, FittedModel):
        heading += f"\nDegrees of freedom method: {ddf.title()}\n"
    return _joined([*eliminated, table], order, heading), model


def _tests(model: FittedModel | LinearModel, ddf: Ddf) -> TestTable:
    """Test every term that may be left out."""
    terms = {str(term): term for term in droppable(model.design.formula.fixed)}
    if isinstance(model, FittedModel):
        return f_tests(model, terms, ddf)
    return _linear_tests(model, list(terms))


def _left_out(model: FittedModel | LinearModel, name: str) -> FittedModel | LinearModel:
    """Fit the model without a term."""
    if isinstance(model, LinearModel):
        return _smaller(model, name)
    fixed = model.design.formula.fixed
    return fit_submodel(model, without(fixed, fixed_terms(model.design)[name]))


# -------------------------------------------------------------------- without random effects


def _linear(design: Design, labels: Labels) -> LinearModel:
    """Fit a linear model."""
    return LinearModel(design, labels, least_squares(*weighted_problem(design)))


def _smaller(model: LinearModel, name: str) -> LinearModel:
    """Fit the linear model without a term."""
    fixed = without(model.design.formula.fixed, fixed_terms(model.design)[name])
    return _linear(subdesign(model.design, fixed), model.labels)


def _linear_tests(model: LinearModel, names: Sequence[str]) -> TestTable:
    """Test terms of a linear model by the residual sum of squares, as R's ``drop1.lm``."""
    smaller = [_smaller(model, name) for name in names]
    rss = np.array([fit.ssr for fit in smaller])
    df = np.array([fit.df_resid - model.df_resid for fit in smaller])
    F = (rss - model.ssr) / df / model.sigma**2
    columns = {
        "Df": df,
        "Sum of Sq": rss - model.ssr,
        "RSS": rss,
        "AIC": model.nobs * np.log(rss / model.nobs)
        + 2 * np.array([len(fit.params) for fit in smaller]),
        "F value": F,
        "Pr(>F)": scipy.stats.f.sf(F, df, model.df_resid),
    }
    return TestTable(columns, heading="Single term deletions", index=list(names), dtype=np.float64)
