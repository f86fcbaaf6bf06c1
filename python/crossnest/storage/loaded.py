"""A model loaded from a file: estimates without the data they came from.

What has a value for each row of the data is missing, and asking for it is a `NoDataError`.
Everything else is a fitted model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base.errors import NoDataError
from ..data.columns import CodeArray, FactorColumn, FloatArray, NumericColumn, OtherColumn
from ..design.design import Design, RandomEffects
from ..design.grouping import GroupingFactor
from ..fit.engine import Estimates
from ..fit.joint_covariance import JointCovariance, fixed_part

__all__ = [
    "LoadedDesign",
    "LoadedEngine",
    "LoadedEstimates",
    "LoadedFactorColumn",
    "LoadedGroupingFactor",
    "LoadedNumericColumn",
    "LoadedOtherColumn",
    "LoadedProblem",
    "LoadedRandomEffects",
]

#: What is missing, in words.
_WORDS = {
    "X": "the model matrix",
    "y": "the response",
    "codes": "the observations' levels",
    "columns": "the model matrix of the random effects",
    "fitted": "the fitted values",
    "index": "the rows' labels",
    "kept": "the rows fitted",
    "offset": "the offset",
    "row_labels": "the rows' labels",
    "values": "the values of a variable",
    "weights": "the weights",
}


def no_data(what: str) -> NoDataError:
    """Say that the data are needed for something."""
    return NoDataError(
        f"this needs the data ({what}), and the model was loaded from a file, which does not hold "
        "them: fit the model again"
    )


class WithoutRows:
    """Mixin for a dataclass: fields not given are missing, because they have one value per row."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        """Refuse what is missing."""
        if name in type(self).__dataclass_fields__:  # type: ignore[attr-defined]
            raise no_data(_WORDS.get(name, name))
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        """Name what is there."""
        return f"{type(self).__name__}({', '.join(sorted(self.__dict__))})"


class LoadedGroupingFactor(WithoutRows, GroupingFactor):
    """A grouping factor without `codes`."""


class LoadedRandomEffects(WithoutRows, RandomEffects):
    """A random-effects term without `columns`."""


class LoadedNumericColumn(WithoutRows, NumericColumn):
    """A numeric variable without `values`."""


class LoadedFactorColumn(WithoutRows, FactorColumn):
    """A categorical variable without `codes`."""


class LoadedOtherColumn(WithoutRows, OtherColumn):
    """Another variable without `values`."""


class LoadedDesign(WithoutRows, Design):
    """A design without its rows: formula, levels, names, and R of X = QR."""

    _n: int

    @property
    def n(self) -> int:
        """Number of observations used."""
        return self._n

    @property
    def p(self) -> int:
        """Number of columns of X, aliased ones included."""
        return len(self.x_names)

    @property
    def is_weighted(self) -> bool:
        """Whether there were weights; None is kept."""
        return "weights" not in vars(self)


class LoadedEstimates(WithoutRows, Estimates):
    """The estimates without the fitted values, and what the engine knew of their precision.

    Attributes
    ----------
    kept : (p,) array of int
        Columns of X that are not aliased.
    factor_of : list of int
        Position of each term's grouping factor.
    relative_factors : list of (k, k) array
        lambda of each term.
    conditional : list of (J, k, k) array
        Conditional covariance matrices of the random effects of each term.
    joint : JointCovariance or None
        What standard errors of predictions with random effects need, if it was saved.
    """

    kept: NDArray[np.intp]
    factor_of: list[int]
    relative_factors: list[FloatArray]
    conditional: list[FloatArray]
    joint: JointCovariance | None

    def cond_var(self) -> list[FloatArray]:
        """Return the conditional covariance matrices of each term, (J, k, k)."""
        return self.conditional

    def leverages(self) -> FloatArray:
        """Refuse: the leverages are those of the rows fitted."""
        raise no_data("the model matrices")

    def prediction_variances(
        self,
        X: FloatArray,
        codes: Sequence[CodeArray],
        columns: Sequence[Sequence[FloatArray | None]],
        included: Sequence[bool],
    ) -> FloatArray:
        """Return the variances of predictions at new rows; see `joint_covariance`.

        Parameters
        ----------
        X : (m, p_all) array
            Model matrix, aliased columns included.
        codes : sequence of (m,) array
            Levels, by grouping factor; -1 for levels that were not fitted.
        columns : sequence of sequences of (m,) array or None
            Model matrices of the terms; None for the constant 1.
        included : sequence of bool
            Which terms count.
        """
        fixed = fixed_part(X[:, self.kept], self.RX)
        if not any(included):
            return np.asarray(self.sigma**2 * np.sum(fixed**2, axis=1))
        if self.joint is None:
            raise NoDataError(
                "the standard error of a prediction with random effects needs their covariances, "
                "which the model was saved without: predict with re='none', or save it with "
                "covariances=True"
            )
        terms = [self._effects(len(X), *one) for one in zip(columns, included, strict=True)]
        random = self._unfitted(terms, codes)
        by_factor = [
            np.hstack([z for z, g in zip(terms, self.factor_of, strict=True) if g == f])
            for f in range(len(codes))
        ]
        random += self.joint.add_random(fixed, by_factor, codes)
        return np.asarray(self.sigma**2 * np.sum(fixed**2, axis=1) + random)

    @staticmethod
    def _effects(m: int, columns: Sequence[FloatArray | None], included: bool) -> FloatArray:
        """Return z of a term, (m, k); zero if it does not count."""
        if not included:
            return np.zeros((m, len(columns)))
        return np.column_stack([np.ones(m) if column is None else column for column in columns])

    def _unfitted(self, terms: Sequence[FloatArray], codes: Sequence[CodeArray]) -> FloatArray:
        """Return the variance of random effects of levels that were not fitted, (m,)."""
        total = np.zeros(len(terms[0]))
        for z, lam, f in zip(terms, self.relative_factors, self.factor_of, strict=True):
            new = codes[f] < 0
            total[new] += self.sigma**2 * np.sum((z[new] @ lam) ** 2, axis=1)
        return total


@dataclass(frozen=True, eq=False)
class LoadedProblem:
    """What is known about the engine's problem at the estimates.

    Attributes
    ----------
    fit : LoadedEstimates
        The estimates.
    structure : list of dict
        Blocks of the factor.
    lower_bounds : (n_theta,) array
        Of theta.
    satterthwaite : dict or None
        Result of the engine's `curvature`, if it was saved.
    kenward_roger : dict or None
        Result of its `information`, if it was saved.
    """

    fit: LoadedEstimates
    structure: list[dict[str, Any]]
    lower_bounds: FloatArray
    satterthwaite: dict[str, Any] | None
    kenward_roger: dict[str, Any] | None

    @property
    def model(self) -> LoadedProblem:
        """What is known of the engine's model."""
        return self

    def __getattr__(self, name: str) -> Any:
        """Refuse everything else the engine can do."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise no_data("the model matrices and the response")

    def estimates(self, theta: ArrayLike, reml: bool) -> LoadedEstimates:
        """Return the estimates at theta^; they are not known elsewhere."""
        self._check(theta, reml)
        return self.fit

    def curvature(self, theta: ArrayLike, reml: bool, hessian: str = "auto") -> dict[str, Any]:
        """Return what Satterthwaite's method needs."""
        self._check(theta, reml)
        return self._saved(self.satterthwaite, "satterthwaite")

    def information(self, theta: ArrayLike, reml: bool) -> dict[str, Any]:
        """Return what Kenward and Roger's method needs."""
        self._check(theta, reml)
        return self._saved(self.kenward_roger, "kenward-roger")

    def _check(self, theta: ArrayLike, reml: bool) -> None:
        if reml != self.fit.reml or not np.array_equal(theta, self.fit.theta):
            raise no_data("the model matrices and the response")

    def _saved(self, pieces: dict[str, Any] | None, ddf: str) -> dict[str, Any]:
        if pieces is None:
            raise NoDataError(
                f"the degrees of freedom by ddf='{ddf}' need the data, and the model was saved "
                f"without what they need: save the fitted model with '{ddf}' in `ddf`"
            )
        return pieces


@dataclass(frozen=True, eq=False)
class LoadedEngine:
    """What is known about the problem, whatever the response."""

    known: LoadedProblem

    def problem(self, y: FloatArray) -> LoadedProblem:
        """Return what is known of the problem."""
        return self.known

    def __getattr__(self, name: str) -> Any:
        """Refuse everything else an engine can do."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise no_data("the model matrices and the response")
