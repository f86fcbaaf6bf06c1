"""Options of a fit that change how it is computed, not what is estimated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ..base.arguments import MOST_THREADS, check_count

# What the engine can count.
_MOST_EVALUATIONS, _MOST_BYTES = 2**31 - 1, 2**63 - 1


@dataclass(frozen=True)
class Control:
    """Options of the engine.

    Attributes
    ----------
    threads : int or None
        Threads to use; None for all cores. The results do not depend on it.
    tolerance : float
        The fit stops where the decrease of the criterion predicted for one more Newton step,
        1/2 g'H^-1 g, is below this. It is free of the data's scale. Where the criterion cannot
        be lowered further, a decrease below its rounding error will do, if that is larger.
    max_evaluations : int
        Evaluations of the criterion after which a search from one start gives up.
    memory_limit : int or None
        Bytes the engine's factor may take, by far the largest part of what it needs; a design
        that needs more is refused before the factor is allocated, and so are more simulated
        responses or fits of them than it holds. None for nine tenths of the machine's memory.

    Raises
    ------
    TypeError, ValueError
        If an option has the wrong type or lies outside its range.
    """

    threads: int | None = None
    tolerance: float = 1e-9
    max_evaluations: int = 10_000
    memory_limit: int | None = None

    def __post_init__(self) -> None:
        """Check every option."""
        if self.threads is not None:
            check_count(self.threads, "Control: threads", MOST_THREADS)
        check_count(self.max_evaluations, "Control: max_evaluations", _MOST_EVALUATIONS)
        if self.memory_limit is not None:
            check_count(self.memory_limit, "Control: memory_limit", _MOST_BYTES)
        _check_positive("tolerance", self.tolerance)

    def optimizer_options(self) -> dict[str, Any]:
        """Return the options of the optimizer as the engine takes them."""
        return {"tolerance": float(self.tolerance), "max_evaluations": int(self.max_evaluations)}


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"Control: {name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"Control: {name} must be positive and finite, not {value!r:.40}")
