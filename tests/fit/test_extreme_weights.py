"""Weights over dozens of powers of ten: what is reported is right, or said not to be."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from fractions_oracle import exact_deviance


def draw(seed: int, decades: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw five groups, and weights from 10^-decades to 10^decades."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 60))
    groups = rng.permutation(np.arange(n) % 5)
    data = pd.DataFrame({"x": rng.normal(size=n), "a": groups.astype(str)})
    weights = 10.0 ** rng.uniform(-decades, decades, n)
    noise = rng.normal(size=n) / (np.sqrt(weights) if seed % 2 else 1.0)
    data["y"] = data["x"] + rng.normal(size=5)[groups] + noise
    return data, weights


@pytest.mark.parametrize("decades", [2, 6, 15, 30])
@pytest.mark.parametrize("seed", range(6))
def test_the_criterion_is_right_or_said_not_to_be(seed, decades):
    """It was wrong by tens and called converged: rounding errors were taken for a minimum."""
    data, weights = draw(seed, decades)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = crossnest.lmer("y ~ x + (1 | a)", data, weights=weights, reml=False)
        except crossnest.FitError:
            assert decades > 6
            return
    if not model.converged:
        assert decades > 6
        assert "rounding errors" in model.convergence.message
        return
    exact = exact_deviance(data, weights, model.theta.iloc[0])
    assert model.objective == pytest.approx(exact, abs=1e-3)
    scales = np.r_[0.0, 10.0 ** np.linspace(-decades / 2 - 3, decades / 2 + 3, 60)]
    assert exact < min(exact_deviance(data, weights, theta) for theta in scales) + 1e-3


def test_weights_beyond_what_can_be_compared():
    """Over eighty powers of ten the criterion was wrong by tens in some designs, in silence."""
    data, weights = draw(0, 2)
    weights[:2] = 1e-40, 1e40
    with pytest.raises(crossnest.DesignError, match=r"weights \(from 1e-40 to 1e\+40\).* over 80 "):
        crossnest.lmer("y ~ x + (1 | a)", data, weights=weights)
