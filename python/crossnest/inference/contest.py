"""Contrast tests: F and t tests of linear hypotheses L beta = rhs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag
from ..base.ddf_methods import Ddf, method_name
from ..fit.fitted_model import FittedModel
from ..tables.tables_of_tests import TestTable
from .canonical_rows import unit_rows
from .ddf import tester
from .hypotheses import Hypotheses
from .tester import Tester

FloatArray = NDArray[np.float64]

#: Columns of F tests.
F_COLUMNS = ("Sum Sq", "Mean Sq", "NumDF", "DenDF", "F value", "Pr(>F)")


def contest(
    model: FittedModel,
    L: ArrayLike | Mapping[str, float] | pd.DataFrame | Sequence[str] | str,
    rhs: ArrayLike = 0.0,
    joint: bool = True,
    ddf: Ddf = "satterthwaite",
) -> TestTable:
    """Test linear hypotheses on the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    L : array_like, mapping, DataFrame, str or sequence of str
        (m, p) weights of the coefficients, or (p,) for one hypothesis, with or without columns for
        aliased coefficients; weights by name of coefficient; a data frame with a row for each
        hypothesis and columns named by coefficients; or texts, as
        ``"recipe[T.B] - recipe[T.C] = 0"``.
    rhs : array_like
        (m,) values of L beta under the hypotheses, or one for all.
    joint : bool
        Whether to test all hypotheses together by an F test, or each by a t test.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Method of the denominator degrees of freedom; Kenward and Roger's with the expected
        information on the variance parameters (pbkrtest) or the observed one (SAS, JMP).

    Returns
    -------
    TestTable
        ``joint``: one row, with ``Sum Sq``, ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value`` and
        ``Pr(>F)``. Else one row per hypothesis, with ``Estimate``, ``Std. Error``, ``df``,
        ``t value``, ``lower``, ``upper`` (95% confidence limits) and ``Pr(>|t|)``.

    Raises
    ------
    ValueError
        If a coefficient is unknown, a hypothesis cannot be read or is not estimable, those tested
        together contradict each other, or ddf is ``"none"``.
    TypeError
        If weights or right sides are no numbers.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13).
    """
    check_flag(joint, "joint")
    method = method_name(ddf)
    hypotheses = Hypotheses.of(model, L, rhs)
    test = tester(model, ddf)
    if not joint:
        return _one_by_one(test, hypotheses, f"Tests of linear hypotheses with {method}")
    _check_consistent(test, hypotheses)
    row = f_row(test, hypotheses.L, hypotheses.rhs, model.sigma)
    label = "; ".join(hypotheses.labels) if len(hypotheses.labels) <= 3 else "joint"
    heading = f"Joint test of linear hypotheses with {method}"
    return TestTable([row], index=[label], heading=heading)


def _check_consistent(test: Tester, hypotheses: Hypotheses) -> None:
    """Refuse hypotheses that cannot hold together, as ``a = 1`` and ``2 * a = 0``."""
    rows, sizes = unit_rows(hypotheses.L)
    L = rows * np.sqrt(np.diag(test.vcov))  # free of the coefficients' units
    lengths = np.linalg.norm(L, axis=1)
    L, rhs = L / lengths[:, None], hypotheses.rhs / sizes / lengths
    solution = np.linalg.lstsq(L, rhs, rcond=1e-8)[0]
    if np.any(np.abs(L @ solution - rhs) > 1e-6 * np.abs(rhs).max()):
        raise ValueError(
            "the hypotheses contradict each other, so they cannot be tested together: test each "
            "by joint=False"
        )


def f_row(test: Tester, L: FloatArray, rhs: FloatArray, sigma: float) -> dict[str, float]:
    """Test L beta = rhs jointly: the columns of lmerTest's ``contestMD``.

    The sums of squares are those of a linear model with the same F and residual variance; F is
    taken before Kenward and Roger's scaling.
    """
    result = test.f_test(L, rhs)
    mean_sq = test.wald(test.restriction(L, rhs)) * sigma**2
    values = (result.num_df, result.den_df, result.statistic, result.pvalue)
    return dict(zip(F_COLUMNS, (mean_sq * result.num_df, mean_sq, *values), strict=True))


def _one_by_one(test: Tester, hypotheses: Hypotheses, heading: str) -> TestTable:
    table = test.t_table(hypotheses.L, hypotheses.rhs)
    half = scipy.stats.t.ppf(0.975, table["df"]) * table["Std. Error"]
    table.insert(4, "lower", table["Estimate"] - half)
    table.insert(5, "upper", table["Estimate"] + half)
    table.index = pd.Index(hypotheses.labels)
    return TestTable(table, heading=heading)
