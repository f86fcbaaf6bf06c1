"""Contours of the joint region of two parameters, interpolated from their profile traces.

On the scale of zeta a contour of radius r runs through four points at which it is known exactly:
where a trace leaves it. There the parameter held has zeta = r or -r and the other one the zeta of
its trace; the contour is parallel to an axis. With the angles t = arccos(zeta_x / r) and
s = arccos(zeta_y / r) the contour is taken as (r cos(a + d / 2), r cos(a - d / 2)), where d, the
difference of the angles, is a periodic cubic spline of their mean a through those four.

References
----------
Bates and Watts (1988). Nonlinear Regression Analysis and Its Applications, appendix A.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from ..base.arguments import check_level

if TYPE_CHECKING:
    from ..inference.profile import Profile

FloatArray = NDArray[np.float64]

#: Segments of a contour.
N_SEGMENTS = 100


def radius(level: float) -> float:
    """Return the radius of a joint region in units of zeta: root of a chi-squared quantile, 2 df.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
    """
    check_level(level)
    return float(np.sqrt(-2 * np.log1p(-level)))


def finite_trace(
    profile: Profile, held: str, free: str, on_zeta: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Return the trace of one parameter where another is held, (points,) each.

    Parameters
    ----------
    profile : Profile
        The profile of both.
    held, free : str
        The parameters; the rows are those of the profile of `held`.
    on_zeta : bool
        Whether to give zetas, and not values. Where the profile of `free` has none, the trace
        has no point.
    """
    rows = profile.zeta[profile.zeta[".par"] == held]
    x = rows["zeta" if on_zeta else "value"].to_numpy()
    y = rows[free].to_numpy()
    if on_zeta:
        y = _zeta_of(profile, free, y)
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]


def smooth_trace(
    profile: Profile, held: str, free: str, on_zeta: bool
) -> tuple[FloatArray, FloatArray]:
    """Evaluate `finite_trace` on more points, on a monotone cubic between those known."""
    x, y = finite_trace(profile, held, free, on_zeta)
    if x.size < 2 or not (np.diff(x) > 0).all():
        return x, y
    dense = np.linspace(x[0], x[-1], N_SEGMENTS + 1)
    return dense, PchipInterpolator(x, y)(dense)


def _zeta_of(profile: Profile, name: str, value: FloatArray) -> FloatArray:
    """Compute zeta at values of a parameter, NaN outside its profile."""
    known = profile.points(name)[0]
    slack = 1e-9 * max(float(np.ptp(known)), 1e-300)
    inside = (value >= known.min() - slack) & (value <= known.max() + slack)
    try:
        return np.where(inside, profile.spline(name)(np.where(inside, value, known[0])), np.nan)
    except ValueError:
        return np.full(len(value), np.nan)


def contour(profile: Profile, x: str, y: str, r: float) -> FloatArray | None:
    """Interpolate the contour of radius r of two parameters on the scale of zeta.

    Returns
    -------
    (2, N_SEGMENTS + 1) array or None
        Zetas of x and y; None where a profile does not reach the contour.
    """
    across, along = _ends(profile, x, y, r), _ends(profile, y, x, r)
    if across is None or along is None:
        return None
    # Angles (t, s) of the four points: x held at r and -r, then y.
    angles = np.array(
        [
            (0.0, np.arccos(across[1])),
            (np.arccos(along[1]), 0.0),
            (np.pi, np.arccos(across[0])),
            (np.arccos(along[0]), np.pi),
        ]
    )
    mean, difference = angles.mean(axis=1), angles[:, 0] - angles[:, 1]
    # (t, s) and (-t, -s) are the same point; the half with positive differences is taken.
    mean, difference = np.where(difference > 0, mean, -mean), np.abs(difference)
    order = np.argsort(mean)
    mean, difference = mean[order], difference[order]
    if not (np.diff(mean) > 0).all():
        return None
    spline = CubicSpline(
        np.append(mean, mean[0] + 2 * np.pi),
        np.append(difference, difference[0]),
        bc_type="periodic",
    )
    a = np.linspace(-np.pi, np.pi, N_SEGMENTS + 1)
    d = spline(a)
    return r * np.stack([np.cos(a + d / 2), np.cos(a - d / 2)])


def _ends(profile: Profile, held: str, free: str, r: float) -> FloatArray | None:
    """Return zeta of `free`, over r, where that of `held` is -r and r; None if it is nowhere."""
    zeta, other = finite_trace(profile, held, free)
    if zeta.size < 2 or not (np.diff(zeta) > 0).all() or zeta[0] > -r or zeta[-1] < r:
        return None
    return np.clip(CubicSpline(zeta, other, bc_type="natural")(np.array([-r, r])) / r, -1.0, 1.0)
