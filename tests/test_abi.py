"""The C interface keeps the ABI of the last release: programs built against that still run.

``python tests/test_abi.py`` writes the ABI of now to ``tests/abi/crossnest_c.abi``: at a release,
and where cn_abi_version() is raised. Needs abidiff and abidw, of Debian's abigail-tools.
"""

from __future__ import annotations

import platform
import re
import sys
import tempfile
from pathlib import Path

import pytest

from building import ROOT, run, tool

HEADER = ROOT / "cpp/include/crossnest/crossnest.h"
RELEASED = ROOT / "tests/abi/crossnest_c.abi"

pytestmark = [
    pytest.mark.skipif(not HEADER.is_file(), reason="the C++ sources are not here"),
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="what was released is described as Linux on x86-64 has it",
    ),
]


def dump(text, folder):
    """Describe the functions of a header: types, arguments, results.

    They are compiled with empty bodies: handles are opaque, so nothing else belongs to the ABI, and
    tests/test_packages.py sees that the library has these functions and no others.
    """
    bodies = re.sub(r"^(CN_API [^;]*);", r"\1 { __builtin_trap(); }", text, flags=re.M)
    (folder / "functions.c").write_text(bodies)
    run(tool("cc"), "-shared", "-fPIC", "-g", "-o", folder / "functions.so", folder / "functions.c")
    options = ("--no-corpus-path", "--no-comp-dir-path", "--no-show-locs")
    run(tool("abidw"), *options, "--out-file", folder / "now.abi", folder / "functions.so")
    return folder / "now.abi"


def compare(now):
    """Fail with the changes to what was released; what was added is none."""
    run(tool("abidiff"), "--no-added-syms", RELEASED, now)


def test_interface_is_that_of_the_last_release(tmp_path):
    compare(dump(HEADER.read_text(), tmp_path))


def test_changes_are_found(tmp_path):
    text = HEADER.read_text()
    changed = re.sub(r"(cn_design_new\()int64_t", r"\1int32_t", text)
    removed = re.sub(r"CN_API int32_t cn_fit_new[^;]*;", "", text)
    assert len({text, changed, removed}) == 3
    with pytest.raises(AssertionError, match="cn_design_new"):
        compare(dump(changed, tmp_path))
    with pytest.raises(AssertionError, match="cn_fit_new"):
        compare(dump(removed, tmp_path))


def test_added_functions_change_nothing(tmp_path):
    text = HEADER.read_text()
    handle = "typedef struct cn_fit cn_fit;"
    more = text.replace(handle, handle + "\nCN_API int cn_new(cn_fit* fit);")
    assert more != text
    compare(dump(more, tmp_path))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        text = dump(HEADER.read_text(), Path(folder)).read_text()
    RELEASED.parent.mkdir(exist_ok=True)
    RELEASED.write_text(text)
    print(f"wrote {RELEASED}", file=sys.stderr)
