"""Linear mixed models in the manner of lme4, on a fast engine of its own.

>>> import crossnest
>>> model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", crossnest.datasets.sleepstudy())
>>> print(model.summary())  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import kernels as _kernels
from ._core import FitError, __version__
from .control import Control
from .design import build_design
from .errors import (
    ConvergenceWarning,
    CrossnestWarning,
    DesignError,
    FormulaError,
    ProfileWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)
from .formula import parse_formula
from .lmer import lmer
from .model import LinearMixedModel
from .summary import Summary
from .var_corr import VarCorr

if TYPE_CHECKING:
    from . import datasets

_kernels.install()

__all__ = [
    "Control",
    "ConvergenceWarning",
    "CrossnestWarning",
    "DesignError",
    "FitError",
    "FormulaError",
    "LinearMixedModel",
    "ProfileWarning",
    "RankDeficiencyWarning",
    "SingularFitWarning",
    "Summary",
    "VarCorr",
    "__version__",
    "build_design",
    "datasets",
    "lmer",
    "parse_formula",
]


def __getattr__(name: str) -> Any:
    """Import `crossnest.datasets` when it is first used."""
    if name == "datasets":
        return importlib.import_module(".datasets", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
