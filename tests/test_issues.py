"""One test for each fault once found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from crossnest import Control, DesignError, FormulaError, build_design, datasets, lmer

FORMULA = "Reaction ~ Days + (Days | Subject)"


def test_refits_from_several_threads_do_not_mix_their_responses():
    """Models that share an engine set its response and computed in two steps."""
    model = lmer(FORMULA, datasets.sleepstudy())
    rng = np.random.default_rng(0)
    responses = [model.design.y + rng.normal(0.0, 20.0, model.nobs) for _ in range(40)]
    one_by_one = [model.refit(y).objective for y in responses]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda y: model.refit(y).objective, responses))
    assert together == one_by_one


def test_a_number_is_no_grouping_factor():
    with pytest.raises(
        FormulaError, match=r"a number cannot be a grouping factor in `Reaction ~ Days \+ \(1\|0\)`"
    ):
        lmer("Reaction ~ Days + (1|0)", datasets.sleepstudy())


def test_the_scale_of_weights_does_not_decide_the_rank():
    data = datasets.sleepstudy()
    expected = lmer(FORMULA, data).fixef
    fitted = lmer(FORMULA, data, weights=np.full(len(data), 1e-50)).fixef
    np.testing.assert_allclose(fitted, expected, rtol=1e-9)


def test_refit_to_a_constant_says_what_lmer_says():
    model = lmer(FORMULA, datasets.sleepstudy())
    with pytest.raises(DesignError, match="constant"):
        model.refit(np.ones(model.nobs))


def test_too_large_a_sparse_tail_is_refused_as_soon_as_it_is_known():
    rng = np.random.default_rng(0)
    n = 60_000
    data = pd.DataFrame(
        {"y": rng.normal(size=n), "a": rng.integers(0, 20_000, n), "b": rng.integers(0, 20_000, n)}
    )
    started = perf_counter()
    with pytest.raises(MemoryError, match="sparse tail"):
        lmer("y ~ 1 + (1 | a) + (1 | b)", data, control=Control(memory_limit=50_000_000))
    assert perf_counter() - started < 60.0


def test_a_search_that_never_had_a_gradient_claims_no_decrease():
    model = lmer(FORMULA, datasets.sleepstudy())
    assert model.opt.predicted_decrease < 1e-8
    with pytest.warns(match="not converged"):
        stopped = lmer(FORMULA, datasets.sleepstudy(), control=Control(max_evaluations=1))
    assert stopped.opt.predicted_decrease > 1e-3


def test_a_series_goes_by_its_labels():
    data = datasets.sleepstudy()
    formula = "Reaction ~ Days + (1 | Subject)"
    weights = pd.Series(np.linspace(1, 2, 180), index=data.index)
    model = lmer(formula, data, weights=weights)
    assert lmer(formula, data, weights=weights[::-1]).objective == model.objective
    assert model.refit(data["Reaction"][::-1]).objective == model.objective
    with pytest.raises(DesignError, match="Series given as weights does not have the index"):
        lmer(formula, data, weights=weights.set_axis(weights.index + 1))
    with pytest.raises(DesignError, match="Series given as the new response"):
        model.refit(data["Reaction"][:100])


NAMES = (
    *(
        "C",
        "Q",
        "I",
        "np",
        "log",
        "exp",
        "scale",
        "poly",
        "bs",
        "cs",
        "cr",
        "cc",
        "center",
        "lag",
        "hashed",
    ),
    *("contr", "Treatment", "Sum", "Poly", "Helmert", "Diff", "standardize", "log10", "log2"),
    *("exp10", "exp2", "ratpupweight", "factor", "T", "F", "pi", "c", "ifelse", "True_", "abs"),
)
ODD = [
    "1",
    "2x",
    "a b",
    "a.b",
    "a.b.c",
    "\u00b5",
    "\ufb01t",
    "class",
    "lambda",
    "x+y",
    "a:b",
    "in",
    ".x",
]


@pytest.mark.parametrize("name", [*NAMES, *ODD, 7])
def test_a_column_may_have_any_name(name):
    plain = datasets.sleepstudy()
    expected = lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", plain)
    data = plain.rename(columns={"Days": name})
    quoted = f"`{name}`"
    texts = [f"Reaction ~ {quoted} + I({quoted}^2) + ({quoted} | Subject)"]
    if name in NAMES:
        texts.append(f"Reaction ~ {name} + I({name}^2) + ({name} | Subject)")
        texts.append(f"Reaction ~ . + I({name}^2) + ({name} | Subject)")
    for text in texts:
        model = lmer(text, data)
        assert model.objective == expected.objective
        assert model.fixef.index[1] == str(name)
        assert abs(model.predict(data.iloc[:4]) - model.fittedvalues[:4]).max() < 1e-9
    grouped = plain.rename(columns={"Subject": name})
    model = lmer(f"Reaction ~ Days + (Days | {quoted})", grouped)
    assert list(model.ranef()) == [str(name)]


def test_levels_of_integers_are_named_as_integers():
    data = datasets.sleepstudy().astype({"Days": int})
    names = lmer("Reaction ~ C(Days) + (1 | Subject)", data).fixef.index
    assert list(names[:2]) == ["(Intercept)", "C(Days)[T.1]"]
    names = build_design("Reaction ~ C(Days) + np.exp(-Days) + (1 | Subject)", data).x_names
    assert names[1] == "C(Days)[T.1]"  # computed with too
