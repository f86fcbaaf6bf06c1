"""What a model without rows knows: it is kept in the file the model was loaded from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import NoDataError
from ..base.read_only import ReadOnly
from ..data.columns import CodeArray
from ..design.design import RandomEffects
from .fit import Fit
from .joint_covariance import JointCovariance, fixed_part

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class VarianceComponents(ReadOnly):
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
class Known(ReadOnly):
    """What is known of a fit without its rows, in the place of the engine.

    Attributes
    ----------
    quantiles : (5,) array
        Minimum, quartiles and maximum of the scaled residuals.
    components : VarianceComponents
        The variance of an observation by its sources.
    structure : list of dict
        Blocks of the factor.
    lower_bounds : (n_theta,) array
        Of theta.
    relative_factors : list of (k, k) array
        lambda of each term.
    conditional : list of (J, k, k) array
        Conditional covariance matrices of the random effects of each term.
    joint : JointCovariance or None
        What standard errors of predictions with random effects need, if it was saved.
    satterthwaite, kenward_roger : dict or None
        Results of the engine's `curvature` and `information`, if they were saved.
    """

    quantiles: FloatArray
    components: VarianceComponents
    structure: list[dict[str, Any]]
    lower_bounds: FloatArray
    relative_factors: list[FloatArray]
    conditional: list[FloatArray]
    joint: JointCovariance | None
    satterthwaite: dict[str, Any] | None
    kenward_roger: dict[str, Any] | None

    def pieces(self, ddf: str) -> dict[str, Any]:
        """Return what a method of degrees of freedom needs."""
        found = self.satterthwaite if ddf == "satterthwaite" else self.kenward_roger
        if found is None:
            raise NoDataError(
                f"the degrees of freedom by ddf='{ddf}' need the data, and the model was saved "
                f"without what they need: save the fitted model with '{ddf}' in `ddf`"
            )
        return found

    def prediction_variances(
        self,
        fit: Fit,
        random: Sequence[RandomEffects],
        X: FloatArray,
        codes: Sequence[CodeArray],
        columns: Sequence[Sequence[FloatArray | None]],
        included: Sequence[bool],
    ) -> FloatArray:
        """Return the variances of predictions at new rows, (m,); see `joint_covariance`.

        Parameters
        ----------
        fit : Fit
            The estimates.
        random : sequence of RandomEffects
            The terms.
        X : (m, p) array
            Model matrix without aliased columns.
        codes : sequence of (m,) array
            Levels, by grouping factor; -1 for levels that were not fitted.
        columns : sequence of sequences of (m,) array or None
            Model matrices of the terms; None for the constant 1.
        included : sequence of bool
            Which terms count.
        """
        fixed = fixed_part(X, fit.RX)
        if not any(included):
            return np.asarray(fit.sigma**2 * np.sum(fixed**2, axis=1))
        if self.joint is None:
            raise NoDataError(
                "the standard error of a prediction with random effects needs their covariances, "
                "which the model was saved without: predict with re='none', or save it with "
                "covariances=True"
            )
        factor_of = [term.factor for term in random]
        effects = [_effects(len(X), *one) for one in zip(columns, included, strict=True)]
        unfitted = np.zeros(len(X))
        for z, lam, f in zip(effects, self.relative_factors, factor_of, strict=True):
            new = codes[f] < 0
            unfitted[new] += fit.sigma**2 * np.sum((z[new] @ lam) ** 2, axis=1)
        by_factor = [
            np.hstack([z for z, g in zip(effects, factor_of, strict=True) if g == f])
            for f in range(len(codes))
        ]
        variances = unfitted + self.joint.add_random(fixed, by_factor, codes)
        return np.asarray(fit.sigma**2 * np.sum(fixed**2, axis=1) + variances)


def _effects(m: int, columns: Sequence[FloatArray | None], included: bool) -> FloatArray:
    """Return z of a term, (m, k); zero if it does not count."""
    if not included:
        return np.zeros((m, len(columns)))
    return np.column_stack([np.ones(m) if column is None else column for column in columns])
