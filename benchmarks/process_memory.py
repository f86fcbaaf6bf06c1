"""Peak resident memory of this process since a chosen moment, as Linux counts it.

`resource.getrusage` cannot be reset, so that reading the data would hide what the fit takes.
"""

from __future__ import annotations

from pathlib import Path

_SELF = Path("/proc/self")


def reset_peak() -> None:
    """Let the peak start again from the memory resident now."""
    if _SELF.exists():
        (_SELF / "clear_refs").write_text("5")


def resident() -> float:
    """Memory resident now, in MB; NaN where there is no /proc."""
    return _status("VmRSS")


def peak() -> float:
    """Peak of the resident memory since the last reset, in MB."""
    return _status("VmHWM")


def _status(field: str) -> float:
    if not _SELF.exists():
        return float("nan")
    lines = (_SELF / "status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(field + ":"))
    return int(kilobytes) / 1024
