"""Columns, responses and weights at the edge: a fit with its results, or an answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fuzz_cases import cases, count, is_an_answer, logged, quietly
from hypothesis import given
from hypothesis import strategies as st

import crossnest

pytestmark = pytest.mark.fuzz

ROWS = 24

#: Columns by name; each is made of a covariate x, the codes of six groups and a generator.
COLUMNS = {
    "zeros": lambda x, g, rng: 0.0 * x,
    "zeros of both signs": lambda x, g, rng: np.copysign(0.0, x),
    "constant": lambda x, g, rng: np.full(ROWS, 3.7),
    "almost constant": lambda x, g, rng: 1e12 + x,
    "tiny": lambda x, g, rng: 1e-140 * x,
    "huge": lambda x, g, rng: 1e140 * x,
    "one row": lambda x, g, rng: (np.arange(ROWS) == 5) * 1.0,
    "one group": lambda x, g, rng: (g == 2) * 1.0,
    "groups": lambda x, g, rng: x[g],
    "zero in most groups": lambda x, g, rng: x * (g < 2),
    "logical": lambda x, g, rng: x > 0,
    "true": lambda x, g, rng: np.full(ROWS, True),
    "covariate": lambda x, g, rng: x,
    "twice the covariate": lambda x, g, rng: 2.0 * x,
    "normal": lambda x, g, rng: rng.normal(size=ROWS),
    "heavy tails": lambda x, g, rng: rng.standard_cauchy(ROWS) ** 9,
}
WEIGHTS = {
    "none": lambda rng: None,
    "wide": lambda rng: 10.0 ** rng.uniform(-25, 25, ROWS),
    "wider": lambda rng: 10.0 ** rng.uniform(-100, 100, ROWS),
    "most zero": lambda rng: (np.arange(ROWS) % 4 == 0) * 1.0,
    "one heavy": lambda rng: np.where(np.arange(ROWS) == 3, 1e20, 1.0),
}
FIXED = ["1", "0", "u", "0 + u", "u + v", "u * v", "g", "g * u"]
RANDOM = [
    "(0 + u | g)",
    "(u | g)",
    "(u || g)",
    "(0 + u + v | g)",
    "(0 + u + v || g)",
    "(1 | g) + (0 + u | g)",
    "(1 | g) + (0 + u | h)",
    "(u | g) + (v | h)",
    "(1 | g/h)",
    "(0 + h:u | g)",
    "cs(0 + u + v | g)",
    "ar1(0 + u + v | g)",
    "diag(u | g)",
    "(1 | lone) + (u | g)",
]
RESULTS = {
    "summary": lambda model: str(model.summary()),
    "ranef": lambda model: model.ranef(),
    "leverages": lambda model: model.hatvalues(),
    "cond_var": lambda model: model.cond_var(),
    "cooks_distance": lambda model: model.cooks_distance(),
    "ranova": lambda model: str(model.ranova()),
    "rand_pca": lambda model: model.rand_pca(),
    "anova": lambda model: str(model.anova()),
    "confint": lambda model: model.confint(method="wald"),
    "simulate": lambda model: model.simulate(2, seed=1),
    "convergence": lambda model: str(model.convergence),
}


@st.composite
def degenerate_fits(draw):
    """Draw two columns, a response, weights and a formula of them."""
    kinds = st.sampled_from(list(COLUMNS))
    return {
        "u": draw(kinds),
        "v": draw(kinds),
        "y": draw(st.sampled_from([*["normal"] * 8, *COLUMNS])),
        "weights": draw(st.sampled_from([*["none"] * 4, *WEIGHTS])),
        "formula": f"y ~ {draw(st.sampled_from(FIXED))} + {draw(st.sampled_from(RANDOM))}",
        "reml": draw(st.booleans()),
        "then": draw(st.sampled_from(list(RESULTS))),
        "seed": draw(st.integers(0, 2**16)),
    }


def perform(case) -> str:
    """Fit, ask for a result, and return what became of it."""
    rng = np.random.default_rng(case["seed"])
    x, g = rng.normal(size=ROWS), np.repeat(np.arange(6), 4)
    data = pd.DataFrame({name: COLUMNS[case[name]](x, g, rng) for name in ("u", "v", "y")})
    data = data.assign(g=[f"g{i}" for i in g], h=np.tile(list("pqr"), 8), lone="z")
    arguments = {"weights": WEIGHTS[case["weights"]](rng), "reml": case["reml"]}
    model = crossnest.lmer(case["formula"], data, **arguments)
    assert np.isfinite(model.objective)
    assert np.isfinite([*model.fixef, *model.theta, model.sigma]).all()
    RESULTS[case["then"]](model)
    return "fitted"


@cases(quick=150, share=0.06)
@given(case=degenerate_fits())
@logged
def test_degenerate_data_are_fitted_or_answered(case):
    try:
        with quietly():
            outcome = perform(case)
    except Exception as error:
        if not is_an_answer(error):
            raise
        outcome = f"refused: {type(error).__name__}"
    count("test_degenerate_data_are_fitted_or_answered", outcome)
