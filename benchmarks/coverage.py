"""Coverage of 95% intervals and size of 5% tests, by simulation on small unbalanced designs.

    python benchmarks/coverage.py [--replicates 1000] [--bootstrap 499] [--seed 1]

Subjects and items are crossed, a quarter of the cells are missing, `group` varies between subjects
and `x` within them. Responses are drawn from the model with known parameters; each is fitted by
REML and every method gives its interval for every coefficient. On the larger design (40 subjects,
24 items) the share of intervals that hold the truth should be near 95% for every method; on the
tiny one (6 subjects, 4 items) it shows which method's test of `group` keeps its size, one minus the
coverage, of 5%. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

import crossnest

BETA = {"(Intercept)": 1.0, "group": 0.5, "x": 0.3}
SD_SUBJECT, SD_ITEM, SIGMA = 1.0, 0.7, 1.0
FORMULA = "y ~ group + x + (1 | subject) + (1 | item)"

Interval = Callable[[crossnest.LinearMixedModel, int], pd.DataFrame]


def design(rng: np.random.Generator, subjects: int, items: int) -> pd.DataFrame:
    """Draw the rows kept of the crossed design, and x; y is filled in later."""
    cells = subjects * items
    subject, item = np.divmod(np.sort(rng.permutation(cells)[cells // 4 :]), items)
    return pd.DataFrame(
        {
            "subject": subject,
            "item": item,
            "group": (subject >= 5 * subjects // 8).astype(float),
            "x": rng.normal(size=len(subject)),
            "y": rng.normal(size=len(subject)),
        }
    )


def responses(data: pd.DataFrame, rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Draw responses of the model with the parameters above, (n,) each."""
    mean = BETA["(Intercept)"] + BETA["group"] * data["group"] + BETA["x"] * data["x"]
    for _ in range(count):
        subjects = rng.normal(scale=SD_SUBJECT, size=data["subject"].max() + 1)
        items = rng.normal(scale=SD_ITEM, size=data["item"].max() + 1)
        noise = rng.normal(scale=SIGMA, size=len(data))
        yield mean.to_numpy() + subjects[data["subject"]] + items[data["item"]] + noise


def methods(replicates: int) -> dict[str, Interval]:
    """Return the methods compared, each a function of a fitted model and a seed."""

    def analytic(method: str) -> Interval:
        return lambda model, seed: model.confint(method=method, parm="beta_")

    def bootstrap(model: crossnest.LinearMixedModel, seed: int) -> pd.DataFrame:
        draws = model.bootstrap(replicates, seed=seed, n_jobs=1, progress=False)
        return draws.confint("percentile", level=0.95)

    names = ("wald", "satterthwaite", "kenward-roger", "profile")
    table: dict[str, Interval] = {name: analytic(name) for name in names}
    return table | {"bootstrap (parametric, percentile)": bootstrap}


def simulate(
    rng: np.random.Generator, subjects: int, items: int, replicates: int, draws: int
) -> None:
    """Count on one design how often each method's intervals hold the truth, and print it."""
    data = design(rng, subjects, items)
    base = crossnest.lmer(FORMULA, data)
    compared = methods(draws)
    covered = {name: dict.fromkeys(BETA, 0) for name in compared}
    for replicate, y in enumerate(responses(data, rng, replicates)):
        model = base.refit(y)
        for name, interval in compared.items():
            bounds = interval(model, replicate)
            for coefficient, truth in BETA.items():
                lower, upper = bounds.loc[coefficient]
                covered[name][coefficient] += bool(lower <= truth <= upper)

    print(
        f"\n{subjects} subjects, {items} items, {len(data)} rows, {replicates} replicates: "
        "coverage of 95% intervals in %, and the size of the 5% test of group\n"
    )
    print("| method | " + " | ".join(BETA) + " | size |")
    print("|---|" + "---:|" * (len(BETA) + 1))
    for name, counts in covered.items():
        share = {key: 100 * count / replicates for key, count in counts.items()}
        cells = [f"{value:.1f}" for value in (*share.values(), 100 - share["group"])]
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    """Simulate on the two designs."""
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--bootstrap", type=int, default=499)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    warnings.simplefilter("ignore", crossnest.CrossnestWarning)
    rng = np.random.default_rng(arguments.seed)
    for subjects, items in ((40, 24), (6, 4)):
        simulate(rng, subjects, items, arguments.replicates, arguments.bootstrap)


if __name__ == "__main__":
    main()
