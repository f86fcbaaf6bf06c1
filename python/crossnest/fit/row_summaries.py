"""Row summaries: the few numbers about all rows that a model keeps when its rows are gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.read_only import ReadOnly

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Components(ReadOnly):
    """The variance of an observation, split by where it comes from.

    Attributes
    ----------
    fixed : float
        Variance of X beta over the observations (divisor n - 1).
    random : dict of str to float
        For each grouping factor the mean over the observations of the variance of its random
        effects' part, z'Var(b) z: Johnson (2014), equation 11.
    residual : float
        sigma^2, the variance of an observation of weight 1.
    """

    fixed: float
    random: dict[str, float]
    residual: float

    @property
    def explained_by_groups(self) -> float:
        """Variance of all random effects."""
        return sum(self.random.values())


@dataclass(frozen=True, eq=False)
class RowSummaries(ReadOnly):
    """What a model loaded from a file knows of the rows it was fitted to.

    Attributes
    ----------
    quantiles : (5,) array
        Minimum, quartiles and maximum of the scaled residuals.
    components : Components
        The variance of an observation by its sources.
    """

    quantiles: FloatArray
    components: Components
