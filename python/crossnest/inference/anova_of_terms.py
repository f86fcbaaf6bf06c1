"""Analysis of variance: F tests of the terms of the fixed effects."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np

from ..base.ddf_methods import Ddf, method_name
from ..fit.fitted_model import FittedModel
from ..tables.tables_of_tests import TestTable
from .anova_hypotheses import hypothesis_matrices
from .contest import F_COLUMNS, f_row
from .ddf import tester

_ROMAN = {1: "I", 2: "II", 3: "III"}


def anova_of_terms(
    model: FittedModel,
    type: Literal[1, 2, 3, "I", "II", "III"] = 3,
    ddf: Ddf = "satterthwaite",
) -> TestTable:
    """Test the terms of the fixed effects, as lmerTest does.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    type : {3, 2, 1, "III", "II", "I"}
        Type of the hypotheses: III does not depend on the numbers of observations in the cells, II
        tests each term after all that do not contain it, I after those before it.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        Method of the denominator degrees of freedom; Kenward and Roger's with the expected
        information on the variance parameters (pbkrtest) or the observed one (SAS, JMP).

    Returns
    -------
    TestTable
        One row per term: ``Sum Sq``, ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value`` and ``Pr(>F)``.
        Terms all of whose columns are aliased come last, without values.

    Raises
    ------
    ValueError
        If type or ddf is none of those above.
    NotImplementedError
        For type III where the contrasts of a factor do not tell all its levels apart.

    References
    ----------
    Kuznetsova, Brockhoff and Christensen (2017). lmerTest package: tests in linear mixed effects
    models. Journal of Statistical Software 82(13).
    """
    number = _type_number(type)
    method = method_name(ddf)
    heading = f"Type {_ROMAN[number]} Analysis of Variance Table with {method}"
    if not len(model.fixef):
        return TestTable(columns=F_COLUMNS, dtype=np.float64, heading=heading)
    test = tester(model, ddf)
    matrices = hypothesis_matrices(model, number)
    rows = {
        term: f_row(test, L, np.zeros(len(L)), model.sigma)
        for term, L in matrices.items()
        if len(L)
    }
    table = TestTable.from_dict(rows, orient="index", columns=F_COLUMNS, dtype=np.float64)
    table = table.reindex([*rows, *(term for term in matrices if term not in rows)])
    return TestTable(table, heading=heading)


def _type_number(type: object) -> int:
    """Return the type of the hypotheses, given as a number or as text: ``"III"``, ``"3"``."""
    is_number = isinstance(type, Real) and not isinstance(type, bool)
    text = type.lower().removeprefix("type").strip() if isinstance(type, str) else ""
    for number, roman in _ROMAN.items():
        if text in (str(number), roman.lower()) or (is_number and type == number):
            return number
    raise ValueError(f"type must be 1, 2 or 3, or 'I', 'II' or 'III', not {type!r}")
