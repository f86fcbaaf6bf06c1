"""The gallery: its page's code runs and draws the pictures the page shows."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

plt.switch_backend("Agg")

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_script_draws_every_picture_of_the_page(tmp_path):
    script = runpy.run_path(str(DOCS / "gallery" / "make_gallery.py"))
    written = script["make_gallery"](tmp_path)
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    names = re.findall(r"\(gallery/(.*?\.png)\)", page)
    assert [path.name for path in written] == names and len(set(names)) == len(names)
    assert sorted(names) == sorted(path.name for path in (DOCS / "gallery").glob("*.png"))
    for path in written:
        pixels = plt.imread(path)[..., :3]
        height, width = pixels.shape[:2]
        assert 240 < height < 1000 and 350 < width < 900
        shown = np.any(pixels < 0.8, axis=2)
        assert 0.005 < shown.mean() < 0.5
        assert path.stat().st_size <= 60_000
