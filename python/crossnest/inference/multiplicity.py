"""Multiplicity: p-values adjusted for the number of tests in a family."""

from __future__ import annotations

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from ..base.arguments import choice

FloatArray = NDArray[np.float64]

METHODS = ("tukey", "holm", "bonferroni", "sidak", "fdr", "none")


def _sidak(p: FloatArray) -> FloatArray:
    """1 - (1 - p)^m, without cancellation at small p."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(len(p) * np.log1p(-p)))


def _bonferroni(p: FloatArray) -> FloatArray:
    return np.minimum(len(p) * p, 1)


def _holm(p: FloatArray) -> FloatArray:
    """Multiply the i-th smallest of m by m - i + 1, then make them increase."""
    order = np.argsort(p)  # NaN last: what cannot be tested counts as a test
    out = np.empty_like(p)
    steps = np.arange(len(p), 0, -1) * p[order]
    out[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return out


def _fdr(p: FloatArray) -> FloatArray:
    """Hold the false discovery rate, by SciPy; what cannot be tested comes last, as if p were 1."""
    missing = np.isnan(p)
    out = scipy.stats.false_discovery_control(np.where(missing, 1.0, p), method="bh")
    return np.where(missing, np.nan, out)


_BY_P_VALUE = {"sidak": _sidak, "bonferroni": _bonferroni, "holm": _holm, "fdr": _fdr}


def adjusted_pvalues(
    method: str, t: FloatArray, df: FloatArray, p: FloatArray, n_means: int
) -> FloatArray:
    """Adjust the p-values of one family of two-sided t tests.

    Parameters
    ----------
    method : {"tukey", "holm", "bonferroni", "sidak", "fdr", "none"}
        Tukey's is for all pairwise comparisons of `n_means` means. ``"fdr"`` (Benjamini and
        Hochberg) holds the expected proportion of false discoveries, the others the chance of
        any. A family of one test is not adjusted.
    t, df, p : (m,) arrays
        Statistics, degrees of freedom and p-values; NaN for what is not estimable, which still
        counts as one of the m tests.
    n_means : int
        How many means the family compares.

    Raises
    ------
    ValueError
        If the method is unknown.

    References
    ----------
    Tukey (1953), The problem of multiple comparisons; Kramer (1956), Biometrics 12; Holm (1979),
    Scandinavian Journal of Statistics 6; Sidak (1967), JASA 62; Benjamini and Hochberg (1995),
    JRSS B 57.
    """
    method = check_method(method)
    if method == "none" or len(p) == 1:
        return p
    if method == "tukey":
        return np.asarray(scipy.stats.studentized_range.sf(np.sqrt(2) * np.abs(t), n_means, df))
    return _BY_P_VALUE[method](p)


def check_method(method: str) -> str:
    """Return the method of adjustment a text stands for."""
    try:
        return choice(method, "adjust", METHODS, {"bh": "fdr"})
    except ValueError:
        known = ", ".join(METHODS)
        raise ValueError(f"unknown adjustment {method!r}: use one of {known}") from None
