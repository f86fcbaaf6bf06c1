"""What R says of fits to bundled data sets: golden/diagnostics, and the same fits of ours."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

import crossnest

PATH = (
    Path(__file__).resolve().parents[1] / "expected" / "golden" / "diagnostics" / "diagnostics.json"
)

#: name: (data set, formula, weights)
MODELS = {
    "sleep": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", None),
    "sleep_weights": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "w"),
    "orthodont": ("orthodont", "distance ~ age * Sex + (age | Subject)", None),
    "cake": ("cake", "angle ~ recipe + temp + (1 | recipe:replicate)", None),
    "machines": ("machines", "score ~ Machine + (Machine | Worker)", None),
    "pastes": ("pastes", "strength ~ 1 + (1 | batch/cask)", None),
}
#: Rows of sleepstudy that are left out, which makes it unbalanced.
LEFT_OUT = [1, 2, 14, 43, 76, 77, 78, 79, 120]


@functools.cache
def answers() -> dict[str, Any]:
    return json.loads(PATH.read_text(encoding="utf-8"))


@functools.cache
def model(name: str) -> crossnest.LinearMixedModel:
    dataset, formula, weights = MODELS[name]
    data = crossnest.datasets.load(dataset)
    if dataset == "sleepstudy":
        data = data.drop(index=LEFT_OUT)
        data["w"] = 1 + data["Days"] % 3
    return crossnest.lmer(formula, data, weights=weights)


def marginal(model: crossnest.LinearMixedModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute V (n, n), Var(y) = sigma^2 V, with X and the response less the offset."""
    Z = model.model_matrix("random").toarray()
    blocks = []
    for term, covariance in zip(model.design.random, model.var_corr.terms, strict=True):
        levels = model.design.factors[term.factor].n_levels
        blocks.append((np.eye(levels), covariance.covariance / model.sigma**2))
    V, first = np.zeros((model.nobs, model.nobs)), 0
    for identity, covariance in blocks:
        D = np.kron(identity, covariance)
        part = Z[:, first : first + len(D)]
        V += part @ D @ part.T
        first += len(D)
    weights = model.design.weights
    V[np.diag_indices_from(V)] += 1.0 if weights is None else 1 / weights
    offset = model.design.offset
    y = model.design.y if offset is None else model.design.y - offset
    return V, model.model_matrix().to_numpy(), y
