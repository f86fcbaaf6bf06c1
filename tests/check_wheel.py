"""Check an installed wheel where the tests are not: fit a model in Python, and load the C library.

Run by cibuildwheel on every platform, with nothing but the package's own dependencies.
"""

from __future__ import annotations

import ctypes

import crossnest


def main():
    model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", crossnest.datasets.sleepstudy())
    print(model.summary())
    assert abs(model.objective - 1743.6283) < 1e-3
    library = ctypes.CDLL(crossnest.get_library())
    library.cn_version.restype = ctypes.c_char_p
    assert library.cn_version().decode() == crossnest.__version__


if __name__ == "__main__":
    main()
