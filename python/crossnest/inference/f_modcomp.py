"""F tests of a model within a larger one, by Kenward and Roger's and Satterthwaite's methods.

`pb_modcomp` has the test by parametric bootstrap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..base.arguments import check_flag
from ..base.ddf_methods import KENWARD_ROGER, Ddf, check_ddf, method_name
from ..base.foreign_arguments import explain_unknown_arguments
from ..fit.fitted_model import FittedModel
from ..tables.tables_of_tests import TestTable
from .common_rows import on_common_rows
from .ddf import tester
from .kenward_roger import KenwardRogerTester
from .nested_models import check_large, restrictions
from .submodel import refitted

__all__ = ["kr_modcomp", "sat_modcomp"]


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
        check_large(large)
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
