"""Coverage of 95% intervals and size of 5% tests, by simulation on a small unbalanced design.

    python benchmarks/coverage.py [--replicates 1000] [--bootstrap 199] [--seed 1]

Eight subjects and six items are crossed, a quarter of the cells are missing, `group` varies
between subjects and `x` within them. Responses are drawn from the model with known parameters; each
is fitted by REML and every method gives its interval for every coefficient. The share of intervals
that hold the truth should be 95%; one minus it is the size of the test. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

import crossnest

SUBJECTS, ITEMS, MISSING = 8, 6, 12
BETA = {"(Intercept)": 1.0, "group": 0.5, "x": 0.3}
SD_SUBJECT, SD_ITEM, SIGMA = 1.0, 0.7, 1.0
FORMULA = "y ~ group + x + (1 | subject) + (1 | item)"

Interval = Callable[[crossnest.LinearMixedModel, int], pd.DataFrame]


def design(rng: np.random.Generator) -> pd.DataFrame:
    """Draw the rows kept of the crossed design, and x; y is filled in later."""
    cells = rng.permutation(SUBJECTS * ITEMS)[MISSING:]
    subject, item = np.divmod(np.sort(cells), ITEMS)
    return pd.DataFrame(
        {
            "subject": subject,
            "item": item,
            "group": (subject >= 5).astype(float),
            "x": rng.normal(size=len(cells)),
            "y": rng.normal(size=len(cells)),
        }
    )


def responses(data: pd.DataFrame, rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Draw responses of the model with the parameters above, (n,) each."""
    mean = BETA["(Intercept)"] + BETA["group"] * data["group"] + BETA["x"] * data["x"]
    for _ in range(count):
        subjects = rng.normal(scale=SD_SUBJECT, size=SUBJECTS)
        items = rng.normal(scale=SD_ITEM, size=ITEMS)
        noise = rng.normal(scale=SIGMA, size=len(data))
        yield mean.to_numpy() + subjects[data["subject"]] + items[data["item"]] + noise


def methods(replicates: int) -> dict[str, Interval]:
    """Give the methods compared, each a function of a fitted model and a seed."""

    def analytic(method: str) -> Interval:
        return lambda model, seed: model.confint(method=method, parm="beta_")

    def bootstrap(model: crossnest.LinearMixedModel, seed: int) -> pd.DataFrame:
        draws = model.bootstrap(replicates, seed=seed, n_jobs=1, progress=False)
        return draws.confint(kind="percentile", level=0.95)

    names = ("wald", "satterthwaite", "kenward-roger", "profile")
    table: dict[str, Interval] = {name: analytic(name) for name in names}
    return table | {"bootstrap (parametric, percentile)": bootstrap}


def main() -> None:
    """Run the simulation and print its table."""
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--bootstrap", type=int, default=199)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    warnings.simplefilter("ignore", crossnest.CrossnestWarning)
    rng = np.random.default_rng(arguments.seed)
    data = design(rng)
    base = crossnest.lmer(FORMULA, data)
    compared = methods(arguments.bootstrap)
    covered = {name: dict.fromkeys(BETA, 0) for name in compared}
    for replicate, y in enumerate(responses(data, rng, arguments.replicates)):
        model = base.refit(y)
        for name, interval in compared.items():
            bounds = interval(model, replicate)
            for coefficient, truth in BETA.items():
                lower, upper = bounds.loc[coefficient]
                covered[name][coefficient] += bool(lower <= truth <= upper)

    print(f"{len(data)} rows, {arguments.replicates} replicates; coverage of 95% intervals (%)\n")
    print("| method | " + " | ".join(BETA) + " | size of the 5% test of group |")
    print("|---|" + "---|" * (len(BETA) + 1))
    for name, counts in covered.items():
        share = [100 * count / arguments.replicates for count in counts.values()]
        size = 100 - share[list(BETA).index("group")]
        print(f"| {name} | " + " | ".join(f"{s:.1f}" for s in share) + f" | {size:.1f} |")


if __name__ == "__main__":
    main()
