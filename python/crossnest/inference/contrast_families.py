"""Contrast families: the sets of contrasts by which means are usually compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import choice

FloatArray = NDArray[np.float64]
Family = dict[str, FloatArray]

_DEGREES = ("linear", "quadratic", "cubic", "quartic")
#: Orthogonal polynomials of higher degree have no use as contrasts.
MAX_DEGREE = 6


def _pairwise(levels: Sequence[str]) -> Family:
    """Every difference of two means, the earlier less the later."""
    unit = np.eye(len(levels))
    return {
        f"{levels[i]} - {levels[j]}": unit[i] - unit[j]
        for i in range(len(levels))
        for j in range(i + 1, len(levels))
    }


def _treatments_vs_control(levels: Sequence[str]) -> Family:
    """Each mean less the first, the control."""
    unit = np.eye(len(levels))
    return {f"{levels[i]} - {levels[0]}": unit[i] - unit[0] for i in range(1, len(levels))}


def _effects(levels: Sequence[str]) -> Family:
    """Each mean less the average of all."""
    k = len(levels)
    return {f"{level} effect": np.eye(k)[i] - 1 / k for i, level in enumerate(levels)}


def _consecutive(levels: Sequence[str]) -> Family:
    """Each mean less the one before it."""
    unit = np.eye(len(levels))
    return {f"{levels[i]} - {levels[i - 1]}": unit[i] - unit[i - 1] for i in range(1, len(levels))}


def _integers(contrast: FloatArray) -> FloatArray:
    """Scale an orthogonal polynomial to the small integers of the published tables."""
    scaled = contrast / contrast[contrast > 0.01].min()
    while (rounding := np.abs(scaled - np.round(scaled)).max()) > 0.05:
        scaled = scaled / rounding
    return np.asarray(np.round(scaled))


def _polynomial(levels: Sequence[str]) -> Family:
    """Orthogonal polynomials of equidistant points, in integers."""
    points = np.arange(len(levels)) - (len(levels) - 1) / 2
    degrees = range(1, min(MAX_DEGREE, len(levels) - 1) + 1)
    powers = np.vander(points, degrees[-1] + 1 if degrees else 1, increasing=True)
    Q, R = np.linalg.qr(powers)
    names = [_DEGREES[d - 1] if d <= len(_DEGREES) else f"degree {d}" for d in degrees]
    return {
        name: _integers(Q[:, d] * np.sign(R[d, d])) for name, d in zip(names, degrees, strict=True)
    }


FAMILIES: dict[str, Callable[[Sequence[str]], Family]] = {
    "pairwise": _pairwise,
    "trt.vs.ctrl": _treatments_vs_control,
    "eff": _effects,
    "poly": _polynomial,
    "consec": _consecutive,
}


#: Other words for the families.
ALIASES = {"tukey": "pairwise", "effects": "eff", "polynomial": "poly", "consecutive": "consec"}


def contrast_family(method: str | Mapping[str, ArrayLike], levels: Sequence[str]) -> Family:
    """Return the contrasts of a method for the means of these levels.

    Parameters
    ----------
    method : str or mapping
        ``"pairwise"``; ``"trt.vs.ctrl"``, each level against the first; ``"eff"``, each against
        the average; ``"consec"``, each against the one before; ``"poly"``, orthogonal polynomials;
        or a mapping of names to the k coefficients of your own.
    levels : sequence of str
        Labels of the k means.

    Returns
    -------
    dict of (k,) arrays
        Coefficients by the contrast's name.

    Raises
    ------
    ValueError
        If the method is unknown, there is only one mean, or coefficients do not fit.

    References
    ----------
    Lenth (2023). emmeans: Estimated marginal means, aka least-squares means. R package 1.8.4,
    help page "Contrast families".
    """
    if isinstance(method, Mapping):
        if not method:
            raise ValueError("contrasts names no contrast: give coefficients by name")
        return {str(name): _custom(str(name), values, levels) for name, values in method.items()}
    method = family_name(method)
    if len(levels) < 2:
        raise ValueError(f"there is one mean only ({levels[0]}): nothing to compare it with")
    return FAMILIES[method](levels)


def family_name(method: object) -> str:
    """Return the name of the family a text stands for."""
    try:
        return choice(method, "contrasts", tuple(FAMILIES), ALIASES)
    except ValueError:
        known = ", ".join(FAMILIES)
        raise ValueError(
            f"unknown contrasts {method!r}: use one of {known}, or a mapping of names to "
            "coefficients"
        ) from None


def is_pairwise(method: str | Mapping[str, ArrayLike]) -> bool:
    """Whether a method compares all pairs."""
    return not isinstance(method, Mapping) and family_name(method) == "pairwise"


def _custom(name: str, values: ArrayLike, levels: Sequence[str]) -> FloatArray:
    """Check the coefficients of one contrast."""
    try:
        coefficients = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the contrast '{name}' must hold numbers, not {values!r}") from error
    if coefficients.shape != (len(levels),):
        raise ValueError(
            f"the contrast '{name}' has {coefficients.size} coefficients for {len(levels)} means "
            f"({', '.join(levels)}): give one for each"
        )
    if not np.isfinite(coefficients).all():
        raise ValueError(f"the contrast '{name}' must hold finite numbers, not {values!r}")
    return coefficients
