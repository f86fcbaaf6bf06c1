"""Lines that the summaries of linear and of linear mixed models share."""

from __future__ import annotations

from collections.abc import Iterable

from .r_format import format_numbers, vector_lines, zapsmall

__all__ = ["counted", "left_out_lines", "quantile_lines"]

_QUANTILES = ("Min", "1Q", "Median", "3Q", "Max")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a number and what it counts: ``1 observation``, ``2 observations``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def quantile_lines(quantiles: Iterable[float], digits: int) -> list[str]:
    """Write minimum, quartiles and maximum of residuals below their names."""
    values = zapsmall([float(q) for q in quantiles], digits + 1)
    return vector_lines(_QUANTILES, format_numbers(values, digits))


def left_out_lines(n_missing: int, n_zero_weight: int) -> list[str]:
    """Say how many rows were left out and why; nothing if none were."""
    reasons = {"deleted due to missingness": n_missing, "of weight zero left out": n_zero_weight}
    return [f"  ({counted(count, 'observation')} {why})" for why, count in reasons.items() if count]
