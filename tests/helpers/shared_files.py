"""Data that tests may use but the project may not hold: next to the checkout, or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared(name: str) -> Path:
    """Return the path of a file of the folder `shared` beside the checkout, or skip the test."""
    for folder in ROOT.parents:
        if (folder / "shared" / name).is_file():
            return folder / "shared" / name
    pytest.skip(f"there is no shared/{name} next to the checkout")
