"""Count false warnings and missed optima of fits to simulated data.

Each design is fitted once as `crossnest.lmer` does, and again from ten random points. A fit has
*missed* the optimum where a restart ends lower, and has *warned falsely* where it says it has not
converged and no restart ends lower.

    python benchmarks/convergence.py                      # 1,000 varied designs
    python benchmarks/convergence.py --weights -n 4123    # few levels, weights over many decades
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

import crossnest

RESTARTS = 10
#: A restart that ends lower by less has found the same minimum.
SAME = 1e-4
#: Differences the misses are counted by.
MARGINS = (SAME, 1e-3, 0.1)

FORMULAS = {
    "one intercept": "y ~ x + (1 | a)",
    "slopes": "y ~ x + (x | a)",
    "two slopes": "y ~ x + z + (x + z | a)",
    "independent": "y ~ x + z + (x + z || a)",
    "factor slopes": "y ~ f + (f | a)",
    "independent factor slopes": "y ~ f + (f || a)",
    "nested": "y ~ x + (1 | a/b)",
    "crossed": "y ~ x + (1 | a) + (1 | b)",
    "crossed slopes": "y ~ x + (x | a) + (1 | b)",
    "crossed slopes twice": "y ~ x + (x | a) + (z | b)",
    "three crossed": "y ~ x + (1 | a) + (1 | b) + (1 | c)",
    "no fixed effects": "y ~ 0 + (1 | a) + (0 + x | b)",
}
FEW_LEVELS = {
    "one": "y ~ x + (1 | a)",
    "crossed": "y ~ x + (1 | a) + (1 | b)",
    "three crossed": "y ~ x + (1 | a) + (1 | b) + (1 | c)",
    "slopes": "y ~ x + (x | a)",
    "independent slopes": "y ~ x + (x || a)",
    "crossed slopes": "y ~ x + (x | a) + (1 | b)",
}


@dataclass(frozen=True)
class Case:
    """A design to fit: the arguments of `crossnest.lmer`."""

    kind: str
    formula: str
    data: pd.DataFrame
    weights: np.ndarray | None
    reml: bool


def varied(seed: int) -> Case:
    """Draw a design of any kind: numbers of rows, levels and variances over wide ranges."""
    random = np.random.default_rng([1, seed])
    kind = list(FORMULAS)[seed % len(FORMULAS)]
    n = int(10 ** random.uniform(1.6, 3))
    levels = {name: int(random.integers(4, max(6, n // 6))) for name in "abc"}
    data = _covariates(random, n, levels)
    effects = 0.0
    if random.random() > 0.1:
        for name in "abc":
            for column in (np.ones(n), data["x"], data["z"]):
                scale = random.choice([0.0, 0.3, 1.0, 3.0], p=[0.3, 0.3, 0.3, 0.1])
                effects += scale * random.normal(size=levels[name])[data[name]] * column
    data["y"] = 10.0 ** random.integers(-3, 4) * (effects + random.normal(size=n))
    weights = random.uniform(0.2, 5.0, n) if random.random() < 0.2 else None
    return Case(kind, FORMULAS[kind], data, weights, random.random() < 0.7)


def weighted(seed: int) -> Case:
    """Draw a design of factors with five levels, whose weights spread over powers of ten."""
    random = np.random.default_rng([2, seed])
    kind = list(FEW_LEVELS)[seed % len(FEW_LEVELS)]
    n = int(random.integers(20, 81))
    data = _covariates(random, n, dict.fromkeys("abc", 5))
    decades = int(random.integers(2, 7))
    weights = 10.0 ** random.uniform(-decades, decades, n)
    effects = sum(random.normal(size=5)[data[name]] for name in "abc")
    noise = random.normal(size=n)
    if random.random() < 0.5:
        noise = noise / np.sqrt(weights)
    data["y"] = data["x"] + random.choice([0.0, 1.0, 10.0]) * effects + noise
    return Case(kind, FEW_LEVELS[kind], data, weights, random.random() < 0.5)


def _covariates(random: np.random.Generator, n: int, levels: dict[str, int]) -> pd.DataFrame:
    columns = {name: random.permutation(np.arange(n) % count) for name, count in levels.items()}
    columns["x"] = random.normal(size=n) + random.choice([0.0, 0.0, 5.0])
    columns["z"] = random.uniform(size=n) * 10.0 ** random.integers(-2, 3)
    columns["f"] = random.choice(list("uvw"), n)
    return pd.DataFrame(columns)


def restarts(model: crossnest.LinearMixedModel, seed: int) -> float:
    """Return the least criterion of the searches from random points."""
    random = np.random.default_rng([3, seed])
    found = []
    problem = model._problem
    bounded = np.isfinite(problem.model.lower_bounds)
    for _ in range(RESTARTS):
        scale = 10.0 ** random.uniform(-2.0, 2.0, bounded.size)
        start = scale * np.where(bounded, 1.0, random.normal(size=bounded.size))
        try:
            found.append(problem.fit(model.reml, start).objective)
        except crossnest.FitError:
            continue
    return min(found, default=np.inf)


def judge(case: Case, seed: int) -> tuple[bool, float]:
    """Fit a case: whether the fit converged, and by how much the restarts end lower."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = crossnest.lmer(case.formula, case.data, weights=case.weights, reml=case.reml)
    return model.converged, model.objective - restarts(model, seed)


def main() -> None:
    """Fit the designs and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", type=int, default=1000, help="designs (1,000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--weights", action="store_true", help="weights over many decades")
    parser.add_argument("--list", action="store_true", help="print the seed of each miss")
    options = parser.parse_args()
    draw = weighted if options.weights else varied
    missed: Counter[float] = Counter()
    false_warnings = warned = 0
    worst = 0.0
    for seed in range(options.first, options.first + options.n):
        case = draw(seed)
        converged, excess = judge(case, seed)
        for margin in MARGINS:
            missed[margin] += excess > margin
        worst = max(worst, excess)
        warned += not converged
        false_warnings += not converged and excess <= SAME
        if options.list and (excess > SAME or not converged):
            print(seed, case.kind, f"converged={converged} excess={excess:.3g}", flush=True)
    counts = ", ".join(f"{missed[margin]} by more than {margin:g}" for margin in MARGINS)
    print(f"{options.n} fits: {false_warnings} false warnings (of {warned})")
    print(f"missed optima: {counts}; worst {worst:.3g}")


if __name__ == "__main__":
    main()
