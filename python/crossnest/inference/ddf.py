"""Degrees of freedom of tests on the fixed effects: one `Tester` for each method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..base.ddf_methods import Ddf, check_ddf
from .kenward_roger import kenward_roger_tester
from .satterthwaite import satterthwaite_tester
from .tester import FixedDfTester, Tester

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel


def tester(model: FittedModel, ddf: Ddf) -> Tester:
    """Return the tester of a method, made once for each model.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
        The method.

    Raises
    ------
    ValueError
        If the method is unknown or is "none", or Kenward and Roger's is asked for a model fitted
        by maximum likelihood.
    MemoryError
        If Kenward and Roger's method needs more memory than `Control.memory_limit`.
    """
    ddf = check_ddf(ddf)
    made: dict[str, Tester] = model.__dict__.setdefault("_testers", {})
    if ddf not in made:
        made[ddf] = _MAKERS[ddf](model)
    return made[ddf]


def _residual(model: FittedModel) -> Tester:
    return _fixed_df(model, float(model.nobs - len(model._fit.beta)))


def _normal(model: FittedModel) -> Tester:
    return _fixed_df(model, np.inf)


def _fixed_df(model: FittedModel, denominator: float) -> FixedDfTester:
    fit = model._fit
    return FixedDfTester(fit.beta, fit.RX, model.sigma, denominator)


_MAKERS: dict[str, Callable[[FittedModel], Tester]] = {
    "satterthwaite": satterthwaite_tester,
    "kenward-roger": partial(kenward_roger_tester, information="expected"),
    "kenward-roger-observed": partial(kenward_roger_tester, information="observed"),
    "residual": _residual,
    "normal": _normal,
}


def coefficient_tests(model: FittedModel, ddf: Ddf) -> pd.DataFrame:
    """Test each fixed effect: the columns of `Tester.t_table`, one row per coefficient."""
    fixef = model.fixef
    table = tester(model, ddf).t_table(np.eye(len(fixef)))
    table.index = fixef.index
    return table
