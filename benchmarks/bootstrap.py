"""Time bootstrap and refits against R's bootMer and PBmodcomp, and against single fits.

    python benchmarks/bootstrap.py [--replicates 1000] [--responses 10000] [--r-replicates 100]

R's times are of fewer replicates, scaled up; they are left out where Rscript does not find lme4 and
pbkrtest. Exits with status 1 if refits differ from single fits.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np

import crossnest

FORMULA = "Reaction ~ Days + (Days | Subject)"
SMALL = "Reaction ~ 1 + (Days | Subject)"

R_SCRIPT = """
suppressPackageStartupMessages({{library(lme4); library(pbkrtest)}})
n <- {n}
quiet <- function(x) suppressMessages(suppressWarnings(x))
seconds <- function(x) {{
  start <- Sys.time()
  quiet(x)
  as.numeric(Sys.time() - start, units = "secs")
}}
large <- lmer({large}, sleepstudy)
small <- lmer({small}, sleepstudy)
pars <- function(m) c(fixef(m), sigma(m), as.data.frame(VarCorr(m))$sdcor)
cat(seconds(bootMer(large, pars, nsim = n, seed = 1)) / n,
    seconds(PBmodcomp(large, small, nsim = n, seed = 1)) / n)
"""


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Measure the median wall-clock time of some calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def r_seconds(n: int) -> tuple[float, float] | None:
    """Return R's seconds for a replicate of bootMer and of PBmodcomp."""
    if shutil.which("Rscript") is None:
        return None
    script = R_SCRIPT.format(n=n, large=FORMULA, small=SMALL)
    run = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
    if run.returncode:
        return None
    boot, test = (float(word) for word in run.stdout.split())
    return boot, test


def largest_difference(model: crossnest.LinearMixedModel, Y: np.ndarray, count: int) -> float:
    """Compute the largest difference of the criterion between refits and single fits."""
    many = model.refit_many(Y[:, :count])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.SingularFitWarning)
        single = [model.refit(Y[:, j]).objective for j in range(count)]
    return float(np.abs(many.objective - single).max())


def main() -> int:
    """Print a table of times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--responses", type=int, default=10_000)
    parser.add_argument("--r-replicates", type=int, default=100)
    options = parser.parse_args()
    data = crossnest.datasets.sleepstudy()
    model, small = crossnest.lmer(FORMULA, data), crossnest.lmer(SMALL, data)
    n, r = options.replicates, r_seconds(options.r_replicates)

    rows = []
    boot = seconds(lambda: model.bootstrap(n, seed=1, progress=False))
    rows.append((f"parametric bootstrap, {n}", boot, "bootMer", r and n * r[0]))
    test = seconds(lambda: crossnest.pb_modcomp(model, small, n, seed=1, progress=False))
    rows.append((f"bootstrap LRT, {n}", test, "PBmodcomp", r and n * r[1]))
    Y = model.simulate(options.responses, seed=1).to_numpy()
    many = seconds(lambda: model.refit_many(Y))
    one = seconds(lambda: [crossnest.lmer(FORMULA, data) for _ in range(200)]) / 200
    label = f"refit_many, {options.responses}"
    rows.append((label, many, f"{options.responses} lmer() of ours", options.responses * one))

    print("| | seconds | against | seconds | ratio |\n|---|---|---|---|---|")
    for what, ours, other, theirs in rows:
        ratio = "" if theirs is None else f"{theirs:.2f} | {theirs / ours:.0f}"
        print(f"| {what} | {ours:.3f} | {other} | {ratio or '|'} |")
    difference = largest_difference(model, Y, 500)
    print(f"\nLargest difference of the criterion from single fits: {difference:.1e}")
    return int(difference > 1e-8)


if __name__ == "__main__":
    sys.exit(main())
