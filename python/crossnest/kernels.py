"""SciPy's BLAS and LAPACK as the engine's dense kernels."""

from __future__ import annotations

from scipy.linalg import cython_blas, cython_lapack

from . import _core

BLAS = ("dgemm", "dsymm", "dsyrk", "dtrsm")
LAPACK = ("dpotrf", "dpotri")


def install() -> None:
    """Let problems made from now on use SciPy's kernels.

    SciPy ships an optimized BLAS and exports its routines as C function pointers, so the engine
    needs none at link time.
    """
    blas = {name: cython_blas.__pyx_capi__[name] for name in BLAS}
    lapack = {name: cython_lapack.__pyx_capi__[name] for name in LAPACK}
    _core.install_kernels(blas | lapack)
