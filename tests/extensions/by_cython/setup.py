from pathlib import Path

from setuptools import Extension, setup

import crossnest

library = Path(crossnest.get_library())
setup(
    ext_modules=[
        Extension(
            "linked_by_cython",
            ["linked_by_cython.pyx"],
            include_dirs=[crossnest.get_include()],
            extra_link_args=[str(library)],
            runtime_library_dirs=[str(library.parent)],  # for use on this machine
        )
    ]
)
