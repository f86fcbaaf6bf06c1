"""SciPy's BLAS and LAPACK as the engine's dense kernels."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import scipy
from scipy.linalg import cython_blas, cython_lapack

from .. import _core

BLAS = ("dgemm", "dsymm", "dsyrk", "dtrsm")
LAPACK = ("dpotrf", "dpotri")


def install() -> None:
    """Let problems made from now on use SciPy's kernels.

    SciPy ships an optimized BLAS and exports its routines as C function pointers, so the engine
    needs none at link time. The engine has threads of its own and lets the BLAS use one while it
    computes, where SciPy's BLAS is an OpenBLAS whose setting can be found.
    """
    kernels: dict[str, object] = {}
    for module, names in ((cython_blas, BLAS), (cython_lapack, LAPACK)):
        capsules: dict[str, object] = vars(module)["__pyx_capi__"]
        kernels |= {name: capsules[name] for name in names}
    setting = _thread_setting()
    _core.install_kernels(kernels | setting)
    if setting:
        _protect_children(setting["set_threads"])


def _protect_children(address: int) -> None:
    """Let the BLAS use one thread in a child that is forked while other threads run.

    OpenBLAS stops its threads before a fork. Another thread that sets their number, as a fit does,
    may start them again before the fork happens, and the child then waits for threads that only its
    parent has.
    """
    if not hasattr(os, "register_at_fork"):
        return
    set_threads = ctypes.CFUNCTYPE(None, ctypes.c_int)(address)
    others_run = False

    def look() -> None:
        nonlocal others_run
        others_run = threading.active_count() > 1

    def use_one_thread() -> None:
        if others_run:
            set_threads(1)

    os.register_at_fork(before=look, after_in_child=use_one_thread)


def _thread_setting() -> dict[str, int]:
    """Find the addresses of the functions that get and set the number of OpenBLAS's threads."""
    for path in _libraries():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("", "64_"):
                names = {key: f"{prefix}_{key[:3]}_num_threads{suffix}" for key in _KEYS}
                if all(hasattr(library, name) for name in names.values()):
                    return {key: _address(library, name) for key, name in names.items()}
    return {}


_KEYS = ("get_threads", "set_threads")


def _address(library: ctypes.CDLL, name: str) -> int:
    """Return the address of a function of a library."""
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert address is not None
    return address


def _libraries() -> Iterator[Path]:
    """List the OpenBLAS libraries SciPy may be using: those its wheel brings, or the system's."""
    package = Path(scipy.__file__).parent
    for folder in (package.parent / "scipy.libs", package / ".dylibs"):
        yield from folder.glob("*openblas*")
    maps = Path("/proc/self/maps")
    if maps.exists():
        mapped = {line.split()[-1] for line in maps.read_text().splitlines() if "openblas" in line}
        yield from (Path(name) for name in sorted(mapped) if "numpy.libs" not in name)
