"""Matplotlib, an optional dependency, imported when something is drawn."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """Import `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to install it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib, which is not installed: pip install 'crossnest[plot]'"
        ) from error
    return plt
