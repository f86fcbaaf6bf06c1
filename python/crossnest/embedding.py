"""Where the C library that the wheel carries lies, for other extensions that link it."""

from __future__ import annotations

from pathlib import Path

from . import _core


def _installed(*patterns: str) -> Path:
    """Return the path of what is installed beside the extension by one of these names."""
    folder = Path(_core.__file__).parent
    for pattern in patterns:
        for found in folder.glob(pattern):
            return found
    raise FileNotFoundError(
        f"{folder} has no {' or '.join(patterns)}: this crossnest runs from its sources, without "
        "the C library. Install it with pip, or build the library with CMake (docs/cpp.md)."
    )


def get_include() -> str:
    """Return the folder to include ``crossnest/crossnest.h`` from.

    Returns
    -------
    str
        The path, for a compiler's ``-I``.

    Raises
    ------
    FileNotFoundError
        If crossnest runs from its sources and has no C library.

    See Also
    --------
    get_library : The library to link.
    get_cmake_dir : The package for CMake, which knows both.
    """
    return str(_installed("include/crossnest/crossnest.h").parents[1])


def get_library() -> str:
    """Return the shared library with the C interface.

    Returns
    -------
    str
        The path of the file, which a linker takes as it is and `ctypes` loads. On Windows this is
        the DLL; its import library is ``../lib/crossnest_c.lib``.

    Raises
    ------
    FileNotFoundError
        If crossnest runs from its sources and has no C library.

    See Also
    --------
    get_include : The folder of its header.
    """
    return str(
        _installed("lib/libcrossnest_c.so.*", "lib/libcrossnest_c.*.dylib", "bin/crossnest_c*.dll")
    )


def get_cmake_dir() -> str:
    """Return the folder that CMake finds the target ``crossnest::c`` in.

    Returns
    -------
    str
        The path, for ``-Dcrossnest_DIR=``. Projects built with scikit-build-core need none of it.

    Raises
    ------
    FileNotFoundError
        If crossnest runs from its sources and has no C library.

    See Also
    --------
    get_include, get_library : The same for other build tools.
    """
    return str(_installed("lib/cmake/crossnest/crossnestConfig.cmake").parent)
