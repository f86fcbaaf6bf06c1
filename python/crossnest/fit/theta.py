"""theta, the covariance parameters: their names, bounds and terms, and checks of values given.

What they mean is the engine's: a term's covariance structure makes lambda of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..base.values import numbers
from ..design.design import Design
from ..formula.covariance_structures import Component, named, structure_of
from .var_corr import unique_names

if TYPE_CHECKING:
    from .._core import CovarianceStructure

__all__ = ["check_theta", "relative_factors", "theta_bounds", "theta_by_term", "theta_names"]

FloatArray = NDArray[np.float64]


def theta_names(design: Design) -> list[str]:
    """Name the covariance parameters as lme4 does: ``Subject.Days.(Intercept)``.

    Each is an entry of a relative covariance factor, row before column; on the diagonal the name
    of the effect alone. What all effects of a term share is called ``Subject.*``, a standard
    deviation, and ``Subject.rho``, a correlation. Where a further term on the same factor has the
    same effects its group is called ``Subject.1``, as in `VarCorr`, so that no two parameters share
    a name.
    """
    groups = [design.factors[term.factor].name for term in design.random]
    labels: list[str] = []
    for term, group, own in zip(design.random, groups, unique_names(groups), strict=True):
        seen = set(labels)
        structure = structure_of(term.term.covariance, len(term.names))
        effects = [named(Component(*label), term.names) for label in structure.labels]
        plain = [f"{group}.{effect}" for effect in effects]
        labels += [
            f"{own}.{effect}" if label in seen else label
            for label, effect in zip(plain, effects, strict=True)
        ]
    return unique_names(labels)


def theta_bounds(design: Design) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper bounds of the covariance parameters."""
    own = _structures(design)
    lower = np.concatenate([np.empty(0), *(structure.lower_bounds for structure in own)])
    return lower, np.concatenate([np.empty(0), *(structure.upper_bounds for structure in own)])


def _structures(design: Design) -> list[CovarianceStructure]:
    return [structure_of(term.term.covariance, len(term.names)) for term in design.random]


def theta_by_term(
    design: Design, theta: FloatArray
) -> Iterator[tuple[CovarianceStructure, FloatArray]]:
    """Yield each term's covariance structure with its part of the values theta, (..., n_theta)."""
    first = 0
    for structure in _structures(design):
        last = first + structure.n_theta
        yield structure, theta[..., first:last]
        first = last


def relative_factors(design: Design, theta: FloatArray) -> list[FloatArray]:
    """Return lambda, (k, k), of each term."""
    return [structure.factor(own) for structure, own in theta_by_term(design, theta)]


def check_theta(
    values: ArrayLike,
    names: Sequence[str],
    bounds: tuple[FloatArray, FloatArray],
    what: str = "theta",
) -> FloatArray:
    """Check covariance parameters given by the user.

    Parameters
    ----------
    values : array_like or Series
        (n_theta,) in the model's order. A Series goes by its labels, the parameters' names.
    names : sequence of str
        The parameters.
    bounds : tuple of (n_theta,) arrays
        Their lower and upper bounds, see `theta_bounds`.
    what : str
        What to call them in a message.

    Raises
    ------
    ValueError
        If there are too many or too few, one is not finite or out of its bounds, or the labels of a
        Series are not the parameters' names.
    """
    if isinstance(values, pd.Series):
        values = _by_label(values, names, what)
    theta = numbers(values, what)
    if theta.shape != (len(names),):
        given = f"{theta.size} values" if theta.ndim == 1 else f"shape {theta.shape}"
        expected = f"{len(names)} covariance parameters: {', '.join(names)}"
        raise ValueError(f"{what} has {given}, the model has {expected}")
    for name, value, bound, most in zip(names, theta, *bounds, strict=True):
        if not np.isfinite(value):
            raise ValueError(f"{what} of {name} is {value}, not a finite number")
        if value < bound:
            raise ValueError(f"{what} of {name} is {value:g}, below its bound {bound:g}")
        if value > most:
            raise ValueError(f"{what} of {name} is {value:g}, above its bound {most:g}")
    return theta


def _by_label(values: pd.Series[Any], names: Sequence[str], what: str) -> NDArray[Any]:
    """Put a Series in the order of the parameters."""
    labels = list(values.index)
    if len(labels) != len(names) or set(labels) != set(names):
        raise ValueError(
            f"{what} is a Series with the labels {', '.join(map(repr, labels))}, the model's "
            f"covariance parameters are {', '.join(map(repr, names))}: label it with these "
            "names, or pass .to_numpy() to take the values in this order"
        )
    return values.loc[list(names)].to_numpy()
