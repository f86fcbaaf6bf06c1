"""Degrees of freedom of tests on the fixed effects: one `JointTester` for each method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..base.ddf_methods import Ddf, Information, check_ddf, check_information
from .kenward_roger import kenward_roger_tester
from .satterthwaite import satterthwaite_tester
from .tester import FixedDfTester, JointTester

if TYPE_CHECKING:
    from ..fit.model import FittedModel


def tester(model: FittedModel, ddf: Ddf, information: Information = "expected") -> JointTester:
    """Return the tester of a method, made once for each model.

    Parameters
    ----------
    model : LinearMixedModel
        A fitted model.
    ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
        The method.
    information : {"expected", "observed"}
        For Kenward and Roger's method: which information on the variance parameters.

    Raises
    ------
    ValueError
        If the method is unknown or is "none", it has no such information, or Kenward and Roger's
        is asked for a model fitted by maximum likelihood.
    MemoryError
        If Kenward and Roger's method needs more memory than `Control.memory_limit`.
    """
    ddf = check_ddf(ddf)
    information = check_information(information, ddf)
    made: dict[tuple[str, str], JointTester] = model.__dict__.setdefault("_testers", {})
    key = (ddf, information)
    if key not in made:
        made[key] = _MAKERS[ddf](model, information)
    return made[key]


def _satterthwaite(model: FittedModel, information: str) -> JointTester:
    return satterthwaite_tester(model)


def _kenward_roger(model: FittedModel, information: str) -> JointTester:
    return kenward_roger_tester(model, information)


def _residual(model: FittedModel, information: str) -> JointTester:
    return _fixed_df(model, float(model.nobs - len(model._fit.beta)))


def _normal(model: FittedModel, information: str) -> JointTester:
    return _fixed_df(model, np.inf)


def _fixed_df(model: FittedModel, denominator: float) -> FixedDfTester:
    fit = model._fit
    return FixedDfTester(fit.beta, model._covariance, fit.RX, model.sigma, denominator)


_MAKERS: dict[str, Callable[[FittedModel, str], JointTester]] = {
    "satterthwaite": _satterthwaite,
    "kenward-roger": _kenward_roger,
    "residual": _residual,
    "normal": _normal,
}


def coefficient_tests(
    model: FittedModel, ddf: Ddf, information: Information = "expected"
) -> pd.DataFrame:
    """Test each fixed effect: the columns of `Tester.t_table`, one row per coefficient."""
    fixef = model.fixef
    table = tester(model, ddf, information).t_table(np.eye(len(fixef)))
    table.index = fixef.index
    return table
