"""R's natural cubic splines, ``ns``: cubic B-splines that are linear beyond the boundary knots.

References
----------
Hastie (1992). Generalized additive models. Chapter 7 of Statistical Models in S, and R's
``splines::ns``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.interpolate import BSpline

__all__ = ["learn_natural_spline", "natural_spline"]

FloatArray = NDArray[np.float64]


def learn_natural_spline(
    x: FloatArray,
    df: int | None = None,
    knots: Any = None,
    intercept: bool = False,
    **bounds: Any,
) -> dict[str, Any]:
    """Return the knots of a natural spline.

    Parameters
    ----------
    x
        (m,) the values.
    df
        Number of columns; the inner knots are then quantiles. By default 1, no inner knot.
    knots
        The inner knots, in place of `df`.
    intercept
        Whether the columns span the constant.
    **bounds
        ``Boundary.knots`` (R) or ``boundary_knots``: the two outer knots; the range of x if not
        given.
    """
    outer = bounds.pop("Boundary.knots", bounds.pop("boundary_knots", None))
    if bounds:
        raise TypeError(f"ns has no argument '{next(iter(bounds))}'")
    if df is not None and knots is not None:
        raise ValueError("give ns either `df` or `knots`, not both")
    low, high = (x.min(), x.max()) if outer is None else sorted(float(knot) for knot in outer)
    if not low < high:
        raise ValueError("the values are constant, so a spline of them is undefined")
    if knots is not None:
        inner = np.sort(np.atleast_1d(np.asarray(knots, dtype=np.float64)))
    else:
        n_inner = (1 if df is None else int(df)) - 1 - int(bool(intercept))
        if n_inner < 0:
            raise ValueError(f"`df` must be at least {1 + int(bool(intercept))}, not {df}")
        inside = x[(x >= low) & (x <= high)]
        inner = np.quantile(inside, np.linspace(0, 1, n_inner + 2)[1:-1])
    return {
        "inner": [float(knot) for knot in inner],
        "outer": [float(low), float(high)],
        "intercept": bool(intercept),
    }


def natural_spline(x: FloatArray, state: dict[str, Any]) -> FloatArray:
    """Return the basis (m, k) of a natural spline with knots from `learn_natural_spline`.

    The cubic B-splines are rotated so that the last columns have second derivatives of zero at the
    outer knots, by the QR decomposition R uses; beyond these knots the columns go on as lines.
    """
    low, high = state["outer"]
    knots = np.r_[[low] * 4, state["inner"], [high] * 4]
    splines = BSpline(knots, np.eye(len(knots) - 4), 3)
    first = 0 if state["intercept"] else 1
    ends = splines.derivative(2)(np.array([low, high]))[:, first:]
    rotation = scipy.linalg.qr(ends.T)[0]
    inside = np.clip(x, low, high)
    values = splines(inside)
    beyond = x - inside
    if (beyond != 0).any():
        values = values + beyond[:, None] * splines.derivative(1)(inside)
    return np.asarray(values[:, first:] @ rotation[:, 2:])
