"""Draw the pictures of docs/gallery.md by running its code.

Every picture is the `figure` of the block of code above it.

Usage: python docs/gallery/make_gallery.py [FOLDER]
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "gallery.md"
#: Dots an inch, colours of a picture, and the most bytes it may have.
DPI, N_COLOURS, MAX_BYTES = 80, 64, 60_000

_PART = re.compile(
    r"^```python\n(?P<code>.*?)^```$|^!\[.*?\]\(gallery/(?P<name>.+?)\)$", re.S | re.M
)


def encode(figure: Any) -> bytes:
    """Encode a figure as a PNG of few colours."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=DPI, format="png")
    # Of the ways to choose colours this one keeps rare ones, such as that of a single point.
    coverage = Image.Quantize.MAXCOVERAGE
    picture = Image.open(drawn).convert("RGB").quantize(N_COLOURS, method=coverage, dither=0)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def make_gallery(folder: Path) -> list[Path]:
    """Run the code of the page and write its pictures; give their paths."""
    import matplotlib.pyplot as plt

    variables: dict[str, Any] = {}
    written = []
    for part in _PART.finditer(PAGE.read_text(encoding="utf-8")):
        if part["code"] is not None:
            exec(compile(part["code"], PAGE.name, "exec"), variables)
            continue
        figure = variables.pop("figure")
        picture = encode(figure)
        plt.close(figure)
        if len(picture) > MAX_BYTES:
            raise ValueError(f"{part['name']} has {len(picture)} bytes, more than {MAX_BYTES}")
        written.append(folder / part["name"])
        written[-1].write_bytes(picture)
    return written


if __name__ == "__main__":
    matplotlib.use("Agg")
    for path in make_gallery(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE):
        print(f"{path} {path.stat().st_size}")
