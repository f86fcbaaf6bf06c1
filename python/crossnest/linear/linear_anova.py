"""The sequential (type I) analysis of variance of a linear model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.stats

from ..formula.formula import INTERCEPT
from ..tables.tables_of_tests import TestTable

if TYPE_CHECKING:
    from .linear_model import LinearModel


def anova(model: LinearModel) -> TestTable:
    """Test each term of a linear model after those before it.

    The sum of squares of a term is that of Q'y over its columns, Q from the QR decomposition of
    the model matrix.

    Returns
    -------
    TestTable
        ``Df``, ``Sum Sq``, ``Mean Sq``, ``F value`` and ``Pr(>F)``, one row per term and one for
        the residuals; it prints as R's ``anova`` of an ``lm``.
    """
    terms = model.design.coding.terms
    fit = model._fit
    term_of = np.repeat(np.arange(len(terms)), [len(term.columns) for term in terms])[fit.kept]
    df = np.bincount(term_of, minlength=len(terms))
    squares = np.bincount(term_of, weights=fit.effects**2, minlength=len(terms))
    shown = [i for i, term in enumerate(terms) if df[i] and term.term != INTERCEPT]
    df, squares = np.append(df[shown], model.df_resid), np.append(squares[shown], model.ssr)
    with np.errstate(invalid="ignore"):
        mean = squares / df
    f = mean[:-1] / model.sigma**2
    table = {
        "Df": df,
        "Sum Sq": squares,
        "Mean Sq": mean,
        "F value": np.append(f, np.nan),
        "Pr(>F)": np.append(scipy.stats.f.sf(f, df[:-1], model.df_resid), np.nan),
    }
    heading = f"Analysis of Variance Table\n\nResponse: {model.design.response_name}"
    return TestTable(
        table, heading=heading, index=[*(str(terms[i].term) for i in shown), "Residuals"]
    )
