"""Degrees of freedom by crossnest and by lmerTest and pbkrtest in one run: times and ratios.

    python benchmarks/degrees_of_freedom.py [--repeats N]

The table of coefficients by Kenward and Roger's method for cake and ham, the model fitted already;
and for InstEval fit and summary by Satterthwaite's method together. Without R, or without its
packages, only crossnest's times are printed. The difference is that of the degrees of freedom,
relative.
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

#: data set, formula, factors (ordered ones after <), method, whether the fit counts too
MODELS = (
    (
        "cake",
        "angle ~ recipe * temperature + (1 | recipe:replicate)",
        "recipe,replicate,<temperature",
        "kenward-roger",
        False,
    ),
    (
        "ham",
        "Informed.liking ~ Product * Information + Gender + (1 | Consumer)"
        " + (1 | Consumer:Product)",
        "Product,Information,Gender,Consumer",
        "kenward-roger",
        False,
    ),
    ("insteval", "y ~ service + (1 | s) + (1 | d) + (1 | dept)", "s,d,dept", "satterthwaite", True),
)

R_SCRIPT = """
suppressPackageStartupMessages(library(lmerTest))
a <- commandArgs(trailingOnly = TRUE)
data <- read.csv(a[1], stringsAsFactors = TRUE)
for (name in strsplit(a[3], ",")[[1]]) {
  column <- sub("<", "", name)
  data[[column]] <- factor(data[[column]], ordered = column != name)
}
ddf <- if (a[4] == "satterthwaite") "Satterthwaite" else "Kenward-Roger"
coefficients_ <- NULL
fit <- function() lmer(as.formula(a[2]), data)
model <- fit()
seconds <- min(replicate(as.integer(a[6]), system.time({
  if (a[5] == "True") model <<- fit()
  coefficients_ <<- coef(summary(model, ddf = ddf))
})[["elapsed"]]))
cat(seconds, coefficients_[, "df"], "\\n")
"""


def by_crossnest(
    data: pd.DataFrame, formula: str, ddf: str, with_fit: bool, repeats: int
) -> tuple[float, np.ndarray]:
    """Measure the least seconds, and the degrees of freedom."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        model = crossnest.lmer(formula, data)
        if not with_fit:
            begin = time.perf_counter()
        table = model.summary(ddf).coef_table
        seconds.append(time.perf_counter() - begin)
    return min(seconds), table["df"].to_numpy()


def by_r(
    data: pd.DataFrame, formula: str, factors: str, ddf: str, with_fit: bool, repeats: int
) -> tuple[float, np.ndarray] | None:
    """Do the same with lmerTest; None where it is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder) / "data.csv", Path(folder) / "script.R"
        data.to_csv(path, index=False)
        script.write_text(R_SCRIPT, encoding="utf-8")
        command = [rscript, script, path, formula, factors, ddf, str(with_fit), str(repeats)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return None
    seconds, *df = (float(word) for word in result.stdout.split())
    return seconds, np.array(df)


def main() -> None:
    """Print one line per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="calls of which the fastest counts")
    repeats = parser.parse_args().repeats
    print("| model | method | crossnest | R | ratio | difference |")
    print("|---|---|---:|---:|---:|---:|")
    for name, formula, factors, ddf, with_fit in MODELS:
        data = crossnest.datasets.load(name)
        ours, df = by_crossnest(data, formula, ddf, with_fit, repeats)
        label = f"{ddf}{', with fit' if with_fit else ''}"
        theirs = by_r(data, formula, factors, ddf, with_fit, 1 if with_fit else repeats)
        cells = "| | |"
        if theirs is not None:
            difference = np.abs(theirs[1] / df - 1).max()
            cells = f"{theirs[0]:.3g} s | {theirs[0] / ours:.0f} | {difference:.1e} |"
        print(f"| {name} | {label} | {1e3 * ours:.3g} ms | {cells}")


if __name__ == "__main__":
    main()
