"""The models compared: formulas, and the data they are fitted to, bundled or simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

import crossnest

SEED = 20_150_107


@dataclass(frozen=True)
class Statsmodels:
    """A model as `statsmodels.formula.api.mixedlm` takes it: one grouping factor."""

    formula: str
    groups: str
    re_formula: str


@dataclass(frozen=True)
class Model:
    """One model of the comparison.

    Attributes
    ----------
    name : str
        What `--models` and the tables call it.
    formula : str
        The same text for crossnest and lme4.
    data : callable
        Makes the data frame; its categorical columns become factors in R.
    large : bool
        Whether a fit by lme4 or statsmodels takes seconds or more, so that it is fitted
        `--large-repeats` times and not `--repeats` times.
    statsmodels : Statsmodels or None
        The same model for statsmodels, where it can fit it.
    """

    name: str
    formula: str
    data: Callable[[], pd.DataFrame]
    large: bool = False
    statsmodels: Statsmodels | None = None


def nested() -> pd.DataFrame:
    """Simulate 500,000 pupils of 50,000 classes of 5,000 schools of 100 districts."""
    rng = np.random.default_rng(SEED)
    cls = rng.integers(0, 50_000, 500_000)
    school, district = cls // 10, cls // 500
    x = rng.standard_normal(cls.size)
    y = (
        x
        + 0.3 * rng.standard_normal(100)[district]
        + 0.4 * rng.standard_normal(5_000)[school]
        + 0.5 * rng.standard_normal(50_000)[cls]
        + rng.standard_normal(cls.size)
    )
    # Schools are numbered within districts and classes within schools: `/` makes them unique.
    groups = {"district": district, "school": school % 50, "class": cls % 10}
    return pd.DataFrame({"y": y, "x": x, **groups}).astype(dict.fromkeys(groups, "category"))


def slopes(rows: int, groups: int, items: int = 0) -> pd.DataFrame:
    """Simulate correlated random intercepts and slopes of g, and intercepts of item if any."""
    rng = np.random.default_rng(SEED)
    g = rng.integers(0, groups, rows)
    x = rng.standard_normal(rows)
    b = rng.standard_normal((groups, 2)) @ np.array([[0.8, 0.2], [0.0, 0.5]])
    y = 1 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.standard_normal(rows)
    data = pd.DataFrame({"y": y, "x": x, "g": pd.Categorical(g)})
    if items:
        item = rng.integers(0, items, rows)
        data["y"] += 0.6 * rng.standard_normal(items)[item]
        data["item"] = pd.Categorical(item)
    return data


def ratings() -> pd.DataFrame:
    """Simulate 100,000 ratings of 1,682 films by 943 users, few of them rating or rated much."""
    rng = np.random.default_rng(SEED)
    activity, popularity = rng.gamma(0.7, size=943), rng.gamma(0.5, size=1_682)
    # Every user and film occurs once at least.
    user = np.concatenate([np.arange(943), rng.choice(943, 99_057, p=activity / activity.sum())])
    film = np.concatenate(
        [rng.choice(1_682, 98_318, p=popularity / popularity.sum()), np.arange(1_682)]
    )
    rating = (
        3.5
        + 0.4 * rng.standard_normal(943)[user]
        + 0.5 * rng.standard_normal(1_682)[film]
        + 0.9 * rng.standard_normal(user.size)
    )
    return pd.DataFrame(
        {"rating": rating, "user": pd.Categorical(user), "film": pd.Categorical(film)}
    )


MODELS = (
    Model(
        "sleepstudy",
        "Reaction ~ Days + (Days | Subject)",
        crossnest.datasets.sleepstudy,
        statsmodels=Statsmodels("Reaction ~ Days", "Subject", "~Days"),
    ),
    Model(
        "Penicillin",
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        crossnest.datasets.penicillin,
    ),
    Model("Pastes", "strength ~ 1 + (1 | batch/cask)", crossnest.datasets.pastes),
    Model(
        "Dyestuff",
        "Yield ~ 1 + (1 | Batch)",
        crossnest.datasets.dyestuff,
        statsmodels=Statsmodels("Yield ~ 1", "Batch", "~1"),
    ),
    Model(
        "cake",
        "angle ~ recipe * temperature + (1 | recipe:replicate)",
        crossnest.datasets.cake,
    ),
    Model(
        "Machines",
        "score ~ Machine + (Machine | Worker)",
        crossnest.datasets.machines,
        statsmodels=Statsmodels("score ~ Machine", "Worker", "~Machine"),
    ),
    Model(
        "Chem97",
        "score ~ gcsecnt + (1 | lea) + (1 | school)",
        crossnest.datasets.chem97,
    ),
    Model(
        "InstEval",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
        crossnest.datasets.insteval,
        large=True,
    ),
    Model(
        "ratings",
        "rating ~ 1 + (1 | user) + (1 | film)",
        ratings,
        large=True,
    ),
    Model(
        "slopes",
        "y ~ x + (1 + x | g)",
        partial(slopes, 100_000, 5_000),
        large=True,
        statsmodels=Statsmodels("y ~ x", "g", "~x"),
    ),
    Model(
        "slopes and items",
        "y ~ x + (1 + x | g) + (1 | item)",
        partial(slopes, 200_000, 10_000, 200),
        large=True,
    ),
    Model(
        "nested",
        "y ~ x + (1 | district/school/class)",
        nested,
        large=True,
    ),
)

# Fitted once by every package before anything is timed.
WARM_UP = Model(
    "warm-up",
    "y ~ x + (1 + x | g)",
    partial(slopes, 200, 20),
    statsmodels=Statsmodels("y ~ x", "g", "~x"),
)
