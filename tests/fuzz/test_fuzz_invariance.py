"""What changes nothing: the order of rows, labels, units, and how equal models are written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fuzz_cases import cases, logged, quietly
from fuzz_frames import BARS, CONTRASTS, Case, cases_of_lmer, fitted_or_refused
from hypothesis import assume, given
from hypothesis import strategies as st

import crossnest

pytestmark = pytest.mark.fuzz

#: How far apart two searches for one minimum may end.
TOLERANCE = 2e-5


def refitted(case: Case, frame: pd.DataFrame, formula: str | None = None, **arguments):
    """Fit a variant of a case."""
    arguments = {**case.arguments, **arguments}
    variant = Case(formula or case.formula, frame, case.container, arguments, case.types, case.seed)
    with quietly():
        return variant.fit()


def log_volume(model: crossnest.LinearMixedModel) -> float:
    """Return log|X'X| of the columns kept: the REML criterion depends on it."""
    X = np.asarray(model.model_matrix())
    return 2 * float(np.log(np.abs(np.diag(np.linalg.qr(X, mode="r")))).sum())


def basis_free(model: crossnest.LinearMixedModel) -> float:
    """Return the criterion as it would be for orthonormal columns of the same space."""
    return model.objective - (log_volume(model) if model.reml else 0.0)


def check_same(first, second, shift: float = 0.0) -> None:
    """Compare two fits of what is one model; `shift` is what the criteria differ by.

    Models of more parameters than the data can carry, and those the package calls not
    identifiable, have many minima or none, and are left out.
    """
    assume(4 * len(first.theta) <= first.nobs)
    assume(first.converged and not first.confounded)
    assert first.nobs == second.nobs
    assert len(first.fixef) == len(second.fixef)
    difference = basis_free(second) - basis_free(first) - shift
    # Searches may end at different minima: each model is worth the better of the two.
    assert abs(difference) < TOLERANCE * max(1.0, 1e-4 * abs(first.objective)), difference


# ------------------------------------------------------------------------- rows, labels, units


def reordered(case: Case, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    return case.frame.iloc[rng.permutation(len(case.frame))], 0.0


def relabelled(case: Case, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    """Name the levels of groups otherwise, in another order."""
    frame = case.frame.copy()
    for name in ("g", "a", "b"):
        labels = frame[name].dropna().astype(str)
        levels = sorted(labels.unique())
        names = [f"n{i}" for i in rng.permutation(len(levels))]
        frame[name] = labels.map(dict(zip(levels, names, strict=True)).__getitem__)
    return frame, 0.0


def response_scaled(case: Case, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    """Multiply the response: the deviance shifts by 2 n log c, its REML kin by (n - p)."""
    c = 10.0 ** rng.integers(-4, 5)
    return case.frame.assign(y=case.frame["y"] * c), float(np.log(c))


def covariates_scaled(case: Case, rng: np.random.Generator) -> tuple[pd.DataFrame, float]:
    """Multiply a covariate that stands in the formula as it is."""
    c = 10.0 ** rng.integers(-3, 4)
    x, z = (case.frame[name].astype(float) for name in ("x", "z"))
    return case.frame.assign(x=x * c, z=z * 2.0), 0.0


CHANGES = {
    "rows": reordered,
    "labels": relabelled,
    "response": response_scaled,
    "covariates": covariates_scaled,
}


#: What a change of units does not pass through.
NOT_LINEAR = ("x + z", "offset", "x > 1", "pmin", "sin", "cut(")


@cases(quick=30, share=0.15)
@given(case=cases_of_lmer(), change=st.sampled_from(list(CHANGES)))
@logged
def test_order_labels_and_units_change_nothing(case, change):
    test = "test_order_labels_and_units_change_nothing"
    assume(
        change != "response" or (case.formula.startswith("y ~") and "offset" not in case.formula)
    )
    assume(change != "covariates" or not any(f in case.formula for f in NOT_LINEAR))
    model = fitted_or_refused(test, case)
    assume(model is not None)
    frame, log_scale = CHANGES[change](case, np.random.default_rng(case.seed))
    other = refitted(case, frame)
    if change == "covariates" and other.is_singular:
        check_same(model, other)
        return
    check_same(model, other, 2 * log_scale * (model.nobs - model.reml * len(model.fixef)))


# ------------------------------------------------------------------------------ equal models

FIXED_PAIRS = (
    ("f*h", "f + h + f:h"),
    ("0 + f", "f"),
    ("f/h", "f + f:h"),
    ("f*h", "f/h"),
    ("f*h", "0 + f:h"),
    ("f*x", "0 + f + f:x"),
    ("f*x", "f/x"),
    ("x + f:x", "x:f"),
    ("poly(x, 2)", "x + I(x**2)"),
    ("scale(x)", "x"),
    ("center(x)*f", "x*f"),
    ("x*z", "x + z + x:z"),
    ("(f + h)**2", "f*h"),
    ("f - 1", "0 + f"),
    ("C(k)", "0 + C(k)"),
    ("f*h*l", "0 + f:h:l"),
    ("h + x", "0 + h + x"),
    ("f + h - 1", "f + h"),
    ("bs(x, df=4)", "0 + bs(x, df=4, include_intercept=False) + 1"),
)
RANDOM_PAIRS = (
    ("(x || g)", "(1 | g) + (0 + x | g)"),
    ("(x | g)", "(1 + x | g)"),
    ("(0 + f | g)", "(f | g)"),
    ("(x - 1 | g)", "(0 + x | g)"),
    ("(1 | a/b)", "(1 | a) + (1 | a:b)"),
    ("(1 | a:b)", "(1 | b:a)"),
    ("(x | a/b)", "(x | b:a) + (x | a)"),
    ("(f:x | g)", "(x:f | g)"),
    ("(f/x | g)", "(f*x | g)"),
    ("(1 | a*g)", "(1 | a) + (1 | g) + (1 | a:g)"),
    ("(1 | g) + (1 | a)", "(1 | a) + (1 | g)"),
    ("(scale(x) | g)", "(x | g)"),
    ("(0 + f + x | g)", "(x + f | g)"),
    ("(x + z | g)", "(z + x | g)"),
    ("(poly(x, 2) | g)", "(x + I(x**2) | g)"),
    ("(f:h | g)", "(f:h - 1 | g)"),
)


def in_both(formula: str) -> bool:
    """Whether the coding of f does not matter: `(f | g)` covers the space, `(f || g)` does not."""
    return "||" not in formula and "(0 + f:" not in formula


@cases(quick=25, share=0.15)
@given(
    case=cases_of_lmer(),
    pair=st.one_of(
        st.tuples(st.just("fixed"), st.sampled_from(FIXED_PAIRS)),
        st.tuples(st.just("random"), st.sampled_from(RANDOM_PAIRS)),
    ),
    bar=st.sampled_from(BARS),
)
@logged
def test_equal_models_have_equal_criteria_however_written(case, pair, bar):
    test = "test_equal_models_have_equal_criteria_however_written"
    kind, (left, right) = pair
    form = "y ~ {} + (1 | a) + " + bar if kind == "fixed" else "y ~ x + f + {}"
    left, right = form.format(left), form.format(right)
    first = Case(left, case.frame, case.container, case.arguments, case.types, case.seed)
    model = fitted_or_refused(test, first)
    assume(model is not None)
    assume(not model.dropped)
    check_same(model, refitted(case, case.frame, right))


@cases(quick=15, share=0.05)
@given(case=cases_of_lmer(), contrasts=st.sampled_from(CONTRASTS))
@logged
def test_contrasts_change_names_and_nothing_else(case, contrasts):
    assume("f" in case.formula.replace("df=", "").replace("offset", "") and in_both(case.formula))
    model = fitted_or_refused("test_contrasts_change_names_and_nothing_else", case)
    assume(model is not None and not model.dropped)
    other = refitted(case, case.frame, contrasts={"f": contrasts})
    assume(not other.dropped)
    check_same(model, other)


# ---------------------------------------------------------------------------------- weights


@cases(quick=10, share=0.05)
@given(case=cases_of_lmer(missing=False))
@logged
def test_rows_split_in_two_of_half_the_weight_are_the_same_rows(case):
    test = "test_rows_split_in_two_of_half_the_weight_are_the_same_rows"
    # Twice the rows have another standard deviation: theta of these would have another unit.
    assume("scale(" not in case.formula and "poly(" not in case.formula)
    model = fitted_or_refused(test, case)
    assume(model is not None)
    n = len(case.frame)
    weights = np.random.default_rng(case.seed).uniform(0.5, 2.0, n)
    twice = pd.concat([case.frame, case.frame], ignore_index=True)
    whole = refitted(case, case.frame, weights=weights)
    halves = refitted(case, twice, weights=np.concatenate([weights, weights]) / 2)
    theta = whole.theta.to_numpy()
    halves = halves.evaluate(theta)
    scale = np.abs(whole.design.y).max()
    mean = np.asarray(whole.evaluate(theta).fittedvalues)
    np.testing.assert_allclose(halves.fittedvalues[:n], mean, rtol=1e-6, atol=1e-6 * scale)
    nu = [m.nobs - m.reml * len(m.fixef) for m in (whole, halves)]
    np.testing.assert_allclose(halves.sigma**2 * nu[1], whole.sigma**2 * nu[0], rtol=1e-6)
