"""Linear mixed models in the style of lme4, with a fast engine of its own.

>>> import crossnest
>>> model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", crossnest.datasets.sleepstudy())
>>> print(model.summary())  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._core import FitError, __version__
from .base.errors import (
    ContrastsWarning,
    ConvergenceWarning,
    CrossnestWarning,
    DataWarning,
    DesignError,
    FileFormatError,
    FormulaError,
    IdentifiabilityWarning,
    InferenceWarning,
    NoDataError,
    ProfileWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
    SmallGroupWarning,
)
from .design.design import build_design
from .fit import kernels as _kernels
from .fit.control import Control
from .fit.var_corr import VarCorr
from .formula.formula import parse_formula
from .lmer import lmer
from .model import LinearMixedModel
from .report.summary import Summary

if TYPE_CHECKING:
    from . import datasets, plotting
    from .classical.ivw import ivw
    from .classical.lm import lm
    from .classical.lm_list import lm_list
    from .classical.pooling import compare_pooling
    from .embedding import get_cmake_dir, get_include, get_library
    from .inference.anova_of_models import anova
    from .inference.exact_lrt import exact_lrt, exact_rlrt
    from .inference.f_modcomp import kr_modcomp, sat_modcomp
    from .inference.pb_modcomp import pb_modcomp
    from .loading import load
    from .neighbours.polars import to_polars
    from .neighbours.sklearn import MixedModelRegressor as MixedModelRegressor
    from .report.side_by_side import compare

_kernels.install()

__all__ = [
    "ContrastsWarning",
    "Control",
    "ConvergenceWarning",
    "CrossnestWarning",
    "DataWarning",
    "DesignError",
    "FileFormatError",
    "FitError",
    "FormulaError",
    "IdentifiabilityWarning",
    "InferenceWarning",
    "LinearMixedModel",
    "NoDataError",
    "ProfileWarning",
    "RankDeficiencyWarning",
    "SingularFitWarning",
    "SmallGroupWarning",
    "Summary",
    "VarCorr",
    "__version__",
    "anova",
    "build_design",
    "compare",
    "compare_pooling",
    "datasets",
    "exact_lrt",
    "exact_rlrt",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "ivw",
    "kr_modcomp",
    "lm",
    "lm_list",
    "lmer",
    "load",
    "parse_formula",
    "pb_modcomp",
    "plotting",
    "sat_modcomp",
    "to_polars",
]


#: What is imported when first used, and its module.
_LAZY = {
    "MixedModelRegressor": ".neighbours.sklearn",
    "anova": ".inference.anova_of_models",
    "compare": ".report.side_by_side",
    "compare_pooling": ".classical.pooling",
    "exact_lrt": ".inference.exact_lrt",
    "exact_rlrt": ".inference.exact_lrt",
    "get_cmake_dir": ".embedding",
    "get_include": ".embedding",
    "get_library": ".embedding",
    "ivw": ".classical.ivw",
    "kr_modcomp": ".inference.f_modcomp",
    "lm": ".classical.lm",
    "lm_list": ".classical.lm_list",
    "load": ".loading",
    "pb_modcomp": ".inference.pb_modcomp",
    "sat_modcomp": ".inference.f_modcomp",
    "to_polars": ".neighbours.polars",
}


def __getattr__(name: str) -> Any:
    """Import modules and functions that a fit does not need when they are first used."""
    if name in ("datasets", "plotting"):
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
