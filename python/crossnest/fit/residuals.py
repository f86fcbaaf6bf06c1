"""Residuals of a fitted model, of each kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def residual_quantiles(scaled: Sequence[float] | FloatArray) -> FloatArray:
    """Return minimum, quartiles and maximum as R's ``quantile`` (type 7) does: (5,)."""
    return np.asarray(np.quantile(scaled, [0.0, 0.25, 0.5, 0.75, 1.0]), dtype=np.float64)
