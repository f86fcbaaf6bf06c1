"""What a fit found, as plain data."""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from ..base.rows import MayLackRows

if TYPE_CHECKING:
    from .. import _core
    from .._core import _Confounding

__all__ = ["AnyFit", "Fit"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Fit(MayLackRows, ReadOnly, per_row={"fitted": "the fitted values"}):
    """The estimates at the optimum and how it was found: the fields of the engine's `_core.Fit`.

    A model holds the engine's own as long as it lives, and this in a copy, a pickle or a file.
    """

    theta: FloatArray
    objective: float
    sigma: float
    pwrss: float
    logdet_omega: float
    logdet_C: float
    reml: bool
    nu: int
    beta: FloatArray
    RX: FloatArray
    u: list[FloatArray]
    b: list[FloatArray]
    fitted: FloatArray
    singular: list[bool]
    converged: bool | None
    predicted_decrease: float
    evaluations: int
    gradient_evaluations: int
    message: str
    start: FloatArray
    seconds: float
    confounded: list[_Confounding]

    @classmethod
    def of(cls, fit: AnyFit) -> Fit:
        """Copy the results out of the engine."""
        return cls(**{item.name: getattr(fit, item.name) for item in fields(cls)})

    @classmethod
    def without_verdict(cls, fit: AnyFit) -> Fit:
        """Copy the results at a theta that no search found."""
        # Those of a model without rows do not have every field.
        copied = copy.copy(fit) if isinstance(fit, Fit) else cls.of(fit)
        object.__setattr__(copied, "converged", None)
        object.__setattr__(copied, "predicted_decrease", float("nan"))
        return copied


#: What the engine returns, or the copy of it.
AnyFit: TypeAlias = "_core.Fit | Fit"
