"""Progress bars for work of more than a second: on a terminal or in a notebook, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

Item = TypeVar("Item")

# A bar appears when this many seconds have passed.
_DELAY = 1.0


def track(
    items: Iterable[Item], label: str, enabled: bool = True, total: int | None = None
) -> Iterator[Item]:
    """Iterate over `items`, showing the progress.

    Parameters
    ----------
    items : iterable
        What is gone through; ``range(n)`` for n steps.
    label : str
        What is being done.
    enabled : bool
        Whether to show anything. In a pipeline nothing is shown anyway.
    total : int, optional
        How many items there are, where they do not know it themselves.
    """
    if not (enabled and _watched()):
        yield from items
        return
    with tqdm(items, desc=label, total=total, delay=_DELAY, leave=False) as bar:
        yield from bar


def _watched() -> bool:
    """Tell whether anyone is watching: standard error is a terminal, or this is a notebook."""
    stream = sys.stderr
    if stream is not None and stream.isatty():
        return True
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
