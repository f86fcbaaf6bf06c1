"""Profile intervals of crossnest and of lme4 in one run: times, ratio and largest difference.

    python benchmarks/profile.py [--repeats N]

Without R, or without its package lme4, only crossnest's times are printed. The difference is
relative to the width of the interval; lme4 interpolates its profiles, crossnest refits.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import crossnest

HERE = Path(__file__).parent

#: data set, formula, grouping factors
MODELS = (
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Subject"),
    ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", "plate,sample"),
    ("pastes", "strength ~ 1 + (1 | batch/cask)", "batch,cask"),
)


def by_crossnest(data: pd.DataFrame, formula: str, repeats: int) -> tuple[float, np.ndarray]:
    """Measure the least seconds of a call of confint, and the ends."""
    model = crossnest.lmer(formula, data)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        ends = model.confint(progress=False)
        seconds.append(time.perf_counter() - begin)
    return min(seconds), ends.to_numpy()


def by_lme4(
    data: pd.DataFrame, formula: str, factors: str, repeats: int
) -> tuple[float, np.ndarray] | None:
    """Do the same with lme4; None where it is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        data.to_csv(path, index=False)
        command = [rscript, HERE / "profile.R", path, formula, factors, str(repeats)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return None
    first, *rows = result.stdout.strip().splitlines()
    return float(first), np.array([row.split() for row in rows], dtype=float)


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the fastest counts")
    repeats = parser.parse_args().repeats
    print(f"{'model':12s} {'crossnest':>12s} {'lme4':>9s} {'ratio':>7s} {'difference':>11s}")
    for name, formula, factors in MODELS:
        data = crossnest.datasets.load(name)
        seconds, ends = by_crossnest(data, formula, repeats)
        line = f"{name:12s} {1e3 * seconds:9.2f} ms"
        other = by_lme4(data, formula, factors, repeats)
        if other is not None:
            width = np.diff(ends, axis=1)
            difference = np.nanmax(np.abs(other[1] - ends) / width)
            line += f" {other[0]:7.2f} s {other[0] / seconds:7.0f} {difference:11.1e}"
        print(line)


if __name__ == "__main__":
    main()
