"""Fit the same models with crossnest, lme4 and statsmodels by turns; compare time and memory.

README.md says what is measured. Exits with status 1 if the packages disagree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from models import MODELS, WARM_UP, Model
from workers import PACKAGES, Fit, Worker, has_lme4, write_data

HERE = Path(__file__).parent
OTHERS = PACKAGES[1:]


@dataclass(frozen=True)
class Comparison:
    """Every fit of one model, in the order of time, by package."""

    model: Model
    rows: int
    fits: dict[str, list[Fit]]

    def first(self, package: str) -> float:
        """Return the seconds of the first fit of the model in its process."""
        return self.fits[package][0].seconds

    def seconds(self, package: str) -> float:
        """Compute the median time of all fits of a large model, of all but the first of a small."""
        times = [fit.seconds for fit in self.fits[package]]
        return median(times if self.model.large else times[1:])

    def ratio(self, package: str) -> float:
        """Tell how many times longer than crossnest a package takes."""
        return self.seconds(package) / self.seconds("crossnest")

    def excess(self, package: str) -> float:
        """Tell how far a package's criterion is above crossnest's (below, if negative)."""
        return self.fits[package][0].criterion - self.fits["crossnest"][0].criterion

    def distance(self, package: str) -> float:
        """Compute the largest difference of fixed effects from crossnest's, in standard errors."""
        ours, theirs = self.fits["crossnest"][0], self.fits[package][0]
        # Packages order interactions differently; sorted, the same numbers meet.
        difference = np.sort(theirs.fixed) - np.sort(ours.fixed)
        return float(np.max(np.abs(difference)) / np.min(ours.errors))

    def agrees(self, package: str) -> bool:
        """Tell whether a package found the same optimum, or stopped just above crossnest's."""
        criterion = abs(self.fits["crossnest"][0].criterion)
        not_below = self.excess(package) >= -max(1e-6, 1e-10 * criterion)
        close = self.excess(package) <= max(0.01, 1e-6 * criterion)
        return not_below and close and self.distance(package) < 0.02


def compare(
    model: Model, packages: Sequence[str], rounds: int, threads: int, r_blas: str
) -> Comparison:
    """Fit a model `rounds` times with each package by turns; crossnest before and after others."""
    if model.statsmodels is None:
        packages = [package for package in packages if package != "statsmodels"]
    fits: dict[str, list[Fit]] = {package: [] for package in packages}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_data(WARM_UP, folder)
        rows = write_data(model, folder)
        workers = {
            package: stack.enter_context(Worker(package, folder, threads, r_blas))
            for package in packages
        }
        for worker in workers.values():
            worker.load(model)
        for package in _turns(packages, rounds):
            fits[package].append(workers[package].fit(model))
    return Comparison(model, rows, fits)


def _turns(packages: Sequence[str], rounds: int) -> list[str]:
    """Order the fits: crossnest goes before each other package, and last."""
    others = [package for package in packages if package != "crossnest"]
    turns = [turn for other in others for turn in ("crossnest", other)]
    return turns * rounds + ["crossnest"] * (1 if others else rounds + 1)


def time_table(comparisons: Sequence[Comparison]) -> str:
    """Make the Markdown table of times and ratios."""
    header = ["model", "rows", *PACKAGES, *(f"{other} / crossnest" for other in OTHERS)]
    header += ["first call: crossnest", "first call: lme4", "fits"]
    lines = []
    for item in comparisons:
        seconds = [_time(item.seconds(p)) if p in item.fits else "" for p in PACKAGES]
        ratios = [f"**{item.ratio(p):.3g}**" if p in item.fits else "" for p in OTHERS]
        first = [_time(item.first(p)) if p in item.fits else "" for p in ("crossnest", "lme4")]
        counts = ", ".join(str(len(fits)) for fits in item.fits.values())
        lines.append([item.model.name, f"{item.rows:,}", *seconds, *ratios, *first, counts])
    return _markdown(header, lines)


def memory_table(comparisons: Sequence[Comparison]) -> str:
    """Make the Markdown table of memory in MB, of the whole process and added by the fit."""
    lines = []
    for item in comparisons:
        peaks = (item.fits[p][0] if p in item.fits else None for p in PACKAGES)
        cells = [f"{fit.peak:.0f} ({fit.peak - fit.before:.0f})" if fit else "" for fit in peaks]
        lines.append([item.model.name, *cells])
    return _markdown(["model", *PACKAGES], lines)


def agreement_table(comparisons: Sequence[Comparison]) -> str:
    """Make the Markdown table of criteria and fixed effects against crossnest's."""
    lines = []
    for item in comparisons:
        for package in (p for p in OTHERS if p in item.fits):
            criterion = f"{item.fits['crossnest'][0].criterion:.6f}"
            numbers = [f"{item.excess(package):+.1e}", f"{item.distance(package):.1e}"]
            verdict = "yes" if item.agrees(package) else "**no**"
            lines.append([item.model.name, criterion, package, *numbers, verdict])
    header = ["model", "criterion", "against", "its criterion minus crossnest's"]
    return _markdown([*header, "fixed effects, in standard errors", "agree"], lines)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def figure(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draw the ratios of times, one bar for each model and package, and save them as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colours = {"lme4": "#33608c", "statsmodels": "#d98c3f"}
    bars = [(item, p) for item in reversed(comparisons) for p in OTHERS[::-1] if p in item.fits]
    fig, axes = plt.subplots(figsize=(8, 1.2 + 0.32 * len(bars)), layout="constrained")
    labels = [f"{item.model.name} ({item.rows:,} rows)" for item, _ in bars]
    for place, (item, package) in enumerate(bars):
        ratio = item.ratio(package)
        bar = axes.barh(place, ratio - 1, left=1, color=colours[package], height=0.72)
        axes.bar_label(bar, [f"{ratio:.3g}"], padding=3, fontsize=9)
    axes.set_yticks(range(len(bars)), labels, fontsize=9)
    axes.set(xscale="log", xlabel="times as long as crossnest, whole call (log scale)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(x=0.08, y=0.01)
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    names = [f"{package} / crossnest" for package in colours]
    fig.legend(handles, names, loc="outside upper right", ncols=2, frameon=False)
    fig.savefig(path, dpi=150)


def save(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write every time and memory measured as JSON."""
    records = [
        {"model": item.model.name, "rows": item.rows, "package": package, "fit": number}
        | {"seconds": fit.seconds, "criterion": fit.criterion}
        | {"mb_before": fit.before, "mb_peak": fit.peak}
        for item in comparisons
        for package, fits in item.fits.items()
        for number, fit in enumerate(fits)
    ]
    path.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


def machine(packages: Sequence[str], threads: int, r_blas: str) -> str:
    """Say what is measured on what."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_data(WARM_UP, folder)
        versions = [
            stack.enter_context(Worker(package, folder, threads, r_blas)).describe()
            for package in packages
        ]
    cores = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    limit = f"{threads or 'all'} threads for crossnest and OpenBLAS"
    python = f"Python {platform.python_version()}"
    return "; ".join([*versions, python, f"{platform.machine()}, {cores}", limit])


def parse_arguments() -> argparse.Namespace:
    names = [model.name for model in MODELS]
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--models", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    add("--repeats", type=int, default=30, help="rounds for each small model (default 30)")
    add("--large-repeats", type=int, default=1, help="rounds for each large model (default 1)")
    add(
        "--threads",
        type=int,
        default=0,
        help="threads crossnest and OpenBLAS may use (default all)",
    )
    add("--r-blas", default="", metavar="FILE", help="BLAS and LAPACK for R instead of its own")
    add("--no-r", action="store_true", help="leave out lme4")
    add("--no-statsmodels", action="store_true", help="leave out statsmodels")
    add("--output", type=Path, default=HERE / "results", help="folder for results.png, .json")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    wanted = {"crossnest": True, "lme4": not arguments.no_r and has_lme4()}
    wanted["statsmodels"] = not arguments.no_statsmodels
    packages = [package for package in PACKAGES if wanted[package]]
    threads, r_blas = arguments.threads, arguments.r_blas
    print(machine(packages, threads, r_blas), flush=True)
    comparisons = []
    for model in (model for model in MODELS if model.name in arguments.models):
        rounds = arguments.large_repeats if model.large else arguments.repeats
        comparisons.append(compare(model, packages, rounds, threads, r_blas))
        print(f"{model.name} done", file=sys.stderr, flush=True)
    for table in (time_table, memory_table, agreement_table):
        print(f"\n{table(comparisons)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    save(comparisons, arguments.output / "results.json")
    if len(packages) > 1:
        figure(comparisons, arguments.output / "results.png")
    return 0 if all(c.agrees(p) for c in comparisons for p in c.fits if p != "crossnest") else 1


if __name__ == "__main__":
    sys.exit(main())
