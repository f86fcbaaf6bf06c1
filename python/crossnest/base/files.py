"""Write files so that a failure, such as a full disk, leaves the old file as it was."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile

__all__ = ["write_file"]


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file beside the existing one, and replace that when the new one is complete.

    The new file has the permissions of the old one; a link stays, and what it points at is
    replaced. What is no file, as a pipe or a device, is written to.

    Raises
    ------
    OSError
        If it cannot be written; the old file is as it was.
    """
    target = os.path.realpath(os.fspath(path))
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb") as stream:
            stream.write(data)
        return
    folder, name = os.path.split(target)
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".part", dir=folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, "no such folder", os.path.dirname(path)) from None
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(beside, _default_mode() if mode is None else stat.S_IMODE(mode))
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _default_mode() -> int:
    """Return the permissions of a file that `open` would make."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
