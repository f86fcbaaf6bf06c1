"""A package whose extension finds crossnest's C library loaded, wherever it is installed."""

import ctypes

import crossnest

ctypes.CDLL(crossnest.get_library())

from ._linked import criterion  # noqa: E402

__all__ = ["criterion"]
