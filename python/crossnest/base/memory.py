"""How much memory a call would need; too much is refused before it is allocated."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["check_memory", "machine_memory"]

#: Where Linux says what a container may use, in its two versions.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
#: The share of the machine's memory a call may ask for, as the engine's factor may.
_SHARE = 0.9
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def machine_memory() -> int | None:
    """Return the bytes of the machine's memory, or of the container's; None if unknown."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    for name in _LIMITS:
        try:
            text = Path(name).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            memory = min(memory, int(text))
    return memory


def check_memory(needed: int, what: str, limit: int | None = None) -> None:
    """Refuse to use more memory than there is, or than is allowed.

    Parameters
    ----------
    needed : int
        Bytes, about.
    what : str
        What needs them, a plural.
    limit : int, optional
        Bytes allowed, `Control.memory_limit`; nine tenths of the machine's if not given.

    Raises
    ------
    MemoryError
        If it is more, with both figures.
    """
    memory = machine_memory() if limit is None else None
    allowed = limit if memory is None else int(_SHARE * memory)
    if allowed is None or needed <= allowed:
        return
    whose = "allowed by Control(memory_limit)" if memory is None else "the machine can give"
    raise MemoryError(f"{what} need about {_size(needed)}, more than {whose}: {_size(allowed)}")


def _size(count: int) -> str:
    """Write a number of bytes in a unit that suits it."""
    unit = min(max(len(str(count)) - 1, 0) // 3, len(_UNITS) - 1)
    return f"{count / 1000**unit:.3g} {_UNITS[unit]}"
