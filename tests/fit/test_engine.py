"""The C++ engine: against the oracle at fixed theta, against theory, and as a guest in Python."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from test_oracle import CASES, build_case

import oracle
from crossnest import _core
from engine_problems import engine
from reference_cases import load_case
from strategies import DrawnDesign, designs, designs_with_theta


def share(fraction: float) -> settings:
    """Run a fraction of the profile's examples: for tests that cost more than one evaluation."""
    return settings(max_examples=max(5, int(settings.default.max_examples * fraction)))


def flat(blocks) -> np.ndarray:
    """Join one array per term into one vector."""
    return np.concatenate([np.ravel(block) for block in blocks])


def assert_close(actual, expected, tolerance: float, scale: float | None = None) -> None:
    """Compare with an absolute tolerance in units of `scale` (the largest expected entry)."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert actual.shape == expected.shape
    if scale is None:
        scale = float(np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale + 1e-300)


def objective_tolerance(reference: oracle.Problem, theta, reml: bool, value: float) -> float:
    """1e-10 relative, and what an ill-conditioned design costs any engine on cross-products."""
    return 1e-10 * max(1.0, abs(value)) + 10.0 * reference.rounding(theta, reml)


# --- at fixed theta, against the oracle ----------------------------------------------------------


@given(designs_with_theta())
def test_objective(drawn):
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    expected = reference.objective(theta, reml)
    tolerance = objective_tolerance(reference, theta, reml, expected)
    assert problem.objective(theta, reml) == pytest.approx(expected, rel=0, abs=tolerance)


@given(designs_with_theta())
def test_gradient(drawn):
    """1e-7 of the terms each entry sums; and 1e-9 of the largest that entry can be.

    |Z'WZ Lambda Omega^-1| is at most half the length of a column of W^(1/2) Z, whatever theta is.
    """
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    value, expected = reference.gradient(theta, reml)
    terms = np.abs(reference.gradient_parts(theta, reml)).sum(axis=0)
    largest = gradient_bound(reference)
    losses = 100.0 * reference.rounding(theta, reml)
    tolerance = (1e-7 + losses) * terms + (1e-9 + losses) * largest
    actual_value, actual = problem.gradient(theta, reml)
    slack = objective_tolerance(reference, theta, reml, value)
    assert actual_value == pytest.approx(value, rel=0, abs=slack)
    excess = np.abs(np.asarray(actual) - expected) / tolerance
    assert np.all(excess <= 1.0), f"{actual=} {expected=} {excess=}"


def gradient_bound(reference: oracle.Problem) -> np.ndarray:
    """Sum the lengths of the columns of W^(1/2) Z over levels, for the row of each theta."""
    lengths = reference._by_term(np.sqrt(np.diag(reference.ZtWZ)))
    terms = zip(lengths, reference.positions, strict=True)
    return np.array([by_level[:, i].sum() for by_level, ij in terms for i, _ in ij])


@given(designs_with_theta(largest_theta=10.0))
def test_estimates(drawn):
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    np.testing.assert_array_equal(problem.model.pivot, reference.pivot)
    assert (problem.model.n, problem.model.p, problem.model.rank) == (
        *design.X.shape,
        reference.rank,
    )
    expected, actual = reference.estimates(theta, reml), problem.estimates(theta, reml)
    compare_estimates(reference, actual, expected)


def compare_estimates(reference: oracle.Problem, actual, expected) -> None:
    losses = 1e-9 + 1e3 * reference.rounding(expected.theta, expected.reml)
    assert actual.objective == pytest.approx(expected.objective, rel=losses, abs=losses)
    assert actual.logdet_omega == pytest.approx(expected.logdet_omega, rel=losses, abs=losses)
    assert actual.logdet_C == pytest.approx(expected.logdet_C, rel=losses, abs=losses)
    assert actual.pwrss == pytest.approx(expected.pwrss, rel=losses)
    assert actual.sigma == pytest.approx(expected.sigma, rel=losses)
    assert (actual.nu, actual.reml) == (expected.nu, expected.reml)
    compare_singular(reference, actual)
    np.testing.assert_array_equal(actual.theta, expected.theta)
    length = np.sqrt(np.sum(reference.weights * reference.y_left**2))
    for term, (u, b) in enumerate(zip(expected.u, expected.b, strict=True)):
        assert_close(actual.u[term], u, losses, length)
        assert_close(actual.b[term], b, losses, max(length, float(np.abs(b).max())))
        compare_covariances(actual.cond_var()[term], expected.cond_var()[term], losses)
    assert_close(actual.fitted, expected.fitted, losses)
    assert_close(actual.leverages(), expected.leverages(), losses, 1.0)
    compare_fixed_effects(actual, expected, losses)


def compare_covariances(actual, expected, losses: float) -> None:
    """Compare (J, k, k) covariances in units of the largest standard deviations."""
    sd = np.sqrt(np.max(np.diagonal(expected, axis1=1, axis2=2), axis=0, initial=0.0))
    sd[sd == 0] = 1.0
    scale = np.outer(sd, sd)
    assert_close(actual / scale, expected / scale, losses, 1.0)


def compare_singular(reference: oracle.Problem, actual) -> None:
    """A zero on a diagonal of lambda must be called singular; nothing near 1 may be.

    Between the two the threshold depends on the units of Z, and is the engine's to choose.
    """
    scaled = reference._column_scales() * actual.theta
    cuts = np.cumsum([len(positions) for positions in reference.positions])[:-1]
    is_bounded = np.split(reference.lower_bounds == 0, cuts)
    for diagonal, values, singular in zip(
        is_bounded, np.split(scaled, cuts), actual.singular, strict=True
    ):
        assert singular or np.min(values[diagonal]) > 0
        widest = np.max(np.abs(values))
        assert not singular or np.min(values[diagonal]) < 0.1 * max(1.0, widest)


def compare_fixed_effects(actual, expected, losses: float) -> None:
    """Compare beta in units of its standard errors, RX with its columns brought to length one."""
    norms = np.linalg.norm(expected.RX, axis=0)
    assert_close(np.asarray(actual.RX) / norms, expected.RX / norms, 100 * losses, 1.0)
    if norms.size:
        difference = expected.RX @ (np.asarray(actual.beta) - expected.beta)
        size = np.linalg.norm(expected.RX @ expected.beta) + np.sqrt(expected.pwrss)
        assert np.linalg.norm(difference) <= 100 * losses * size


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_results_do_not_depend_on_the_number_of_threads(drawn):
    design, theta, reml = drawn
    one = design.build(engine, threads=1)
    value, gradient = one.gradient(theta, reml)
    fit = one.estimates(theta, reml)
    for threads in (2, 3):
        other = design.build(engine, threads=threads)
        other_value, other_gradient = other.gradient(theta, reml)
        assert other.objective(theta, reml) == one.objective(theta, reml)
        assert other_value == value
        np.testing.assert_array_equal(other_gradient, gradient)
        other_fit = other.estimates(theta, reml)
        np.testing.assert_array_equal(other_fit.beta, fit.beta)
        np.testing.assert_array_equal(flat(other_fit.b), flat(fit.b))
        np.testing.assert_array_equal(other_fit.fitted, fit.fitted)
        np.testing.assert_array_equal(flat(other_fit.cond_var()), flat(fit.cond_var()))
        np.testing.assert_array_equal(other_fit.leverages(), fit.leverages())


@given(designs_with_theta(kinds=("crossed", "partially crossed", "nested in crossed")))
def test_dense_and_sparse_tails_agree(drawn):
    design, theta, reml = drawn
    reference = design.build(oracle.Problem)
    dense = design.build(engine, tail="dense")
    sparse = design.build(engine, tail="sparse")
    value, gradient = dense.gradient(theta, reml)
    other_value, other_gradient = sparse.gradient(theta, reml)
    tolerance = objective_tolerance(reference, theta, reml, value)
    assert other_value == pytest.approx(value, rel=0, abs=tolerance)
    losses = 1e-9 + 100.0 * reference.rounding(theta, reml)
    terms = np.abs(reference.gradient_parts(theta, reml)).sum(axis=0)
    difference = np.abs(np.asarray(other_gradient) - gradient)
    assert np.all(difference <= losses * (terms + gradient_bound(reference)))


@given(designs_with_theta(kinds=("crossed", "partially crossed"), largest_theta=10.0))
@share(0.5)
def test_estimates_with_a_sparse_tail(drawn):
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine, tail="sparse")
    expected, actual = reference.estimates(theta, reml), problem.estimates(theta, reml)
    compare_estimates(reference, actual, expected)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_evaluations_leave_no_trace(drawn):
    """A value does not depend on what was evaluated before it."""
    design, theta, reml = drawn
    problem = design.build(engine)
    value, gradient = problem.gradient(theta, reml)
    problem.objective(2.0 * theta + 0.5, not reml)
    problem.gradient(np.zeros_like(theta), reml)
    problem.estimates(0.3 * theta, reml)
    again_value, again_gradient = problem.gradient(theta, reml)
    assert (again_value, problem.objective(theta, reml)) == (value, value)
    np.testing.assert_array_equal(again_gradient, gradient)


# --- every block size and structure, one by one --------------------------------------------------


def regular_design(k: int, structure: str, layout: str) -> DrawnDesign:
    """Make a fixed design with a k-vector term in the head or the tail, weighted."""
    rng = np.random.default_rng(100 * k + len(layout))
    n, J = 240, 12
    inner = rng.integers(0, J, n).astype(np.int32)
    codes = {
        "alone": [inner],
        "nested": [inner, (inner // 3).astype(np.int32)],
        "crossed": [rng.permutation(n).astype(np.int32) % 20, inner],
        "both": [inner, rng.integers(0, 9, n).astype(np.int32)],
    }[layout]
    columns = [None] + [rng.standard_normal(n) for _ in range(k - 1)]
    scalar = [(0, [None], "unstructured")] if layout == "crossed" else []
    wide = [(len(scalar), columns, structure)]
    last = {"nested": [(1, [None], "unstructured")], "both": [(1, columns, structure)]}
    terms = scalar + wide + last.get(layout, [])
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    factors = [(c, int(c.max()) + 1) for c in codes]
    return DrawnDesign(X, rng.standard_normal(n), rng.uniform(0.5, 2, n), factors, terms)


@pytest.mark.parametrize("layout", ["alone", "nested", "crossed", "both"])
@pytest.mark.parametrize("structure", ["unstructured", "diagonal"])
@pytest.mark.parametrize("k", range(1, 9))
def test_block_size(k, structure, layout):
    design = regular_design(k, structure, layout)
    reference, problem = design.build(oracle.Problem), design.build(engine)
    assert problem.model.n_theta == reference.n_theta
    np.testing.assert_array_equal(problem.model.lower_bounds, reference.lower_bounds)
    theta = np.random.default_rng(k).uniform(0.2, 1.0, reference.n_theta)
    for reml in (True, False):
        value, gradient = problem.gradient(theta, reml)
        expected, expected_gradient = reference.gradient(theta, reml)
        assert value == pytest.approx(expected, rel=1e-11)
        assert_close(gradient, expected_gradient, 1e-9)
        compare_estimates(
            reference, problem.estimates(theta, reml), reference.estimates(theta, reml)
        )


def test_no_fixed_effects():
    design = replace(regular_design(2, "unstructured", "both"), X=np.zeros((240, 0)))
    reference, problem = design.build(oracle.Problem), design.build(engine)
    theta = np.linspace(0.3, 0.8, reference.n_theta)
    assert (problem.model.rank, len(problem.model.pivot)) == (0, 0)
    for reml in (True, False):
        assert problem.objective(theta, reml) == pytest.approx(
            reference.objective(theta, reml), rel=1e-12
        )
        compare_estimates(
            reference, problem.estimates(theta, reml), reference.estimates(theta, reml)
        )


# --- blocks --------------------------------------------------------------------------------------


def scalar_terms(count: int) -> list:
    return [(f, [None], "unstructured") for f in range(count)]


def factors_only(*codes: np.ndarray) -> DrawnDesign:
    """Make a design of random intercepts on the given factors."""
    n = len(codes[0])
    factors = [(np.ascontiguousarray(c, dtype=np.int32), int(c.max()) + 1) for c in codes]
    y = np.random.default_rng(n).standard_normal(n)
    return DrawnDesign(np.ones((n, 1)), y, None, factors, scalar_terms(len(codes)))


def kinds(problem) -> set[str]:
    return {block["kind"] for block in problem.model.structure}


def test_nested_factors_are_never_filled_in():
    rows = np.arange(20_000)
    design = factors_only(rows // 2, rows // 8, rows // 40, rows // 400)
    problem = design.build(engine)
    assert kinds(problem) == {"block-diagonal"}
    assert sum(block["nonzeros"] for block in problem.model.structure) < 4 * 20_000
    assert sum(block["size"] for block in problem.model.structure) == 10_000 + 2_500 + 500 + 50


def test_nested_factors_in_any_order_agree():
    rows = np.random.default_rng(0).permutation(np.arange(400))
    codes = [rows // 4, rows // 12, rows // 60]
    theta = np.array([0.7, 0.4, 1.3])
    expected = factors_only(*codes).build(engine).objective(theta, True)
    for order in ([2, 1, 0], [1, 2, 0], [0, 2, 1]):
        problem = factors_only(*[codes[i] for i in order]).build(engine)
        assert problem.objective(theta[order], True) == pytest.approx(expected, rel=1e-13)
        assert kinds(problem) == {"block-diagonal"}


def test_crossed_factors_have_a_dense_tail():
    rng = np.random.default_rng(0)
    design = factors_only(rng.integers(0, 300, 6000), rng.integers(0, 50, 6000))
    problem = design.build(engine)
    assert kinds(problem) == {"block-diagonal", "dense"}


def test_partially_crossed_factors_have_a_sparse_tail():
    """4,000 schools in a row, pupils moving to the next one at most: no fill to speak of."""
    pupils = np.repeat(np.arange(12_000), 3)
    schools = np.minimum(pupils // 3 + (np.arange(36_000) % 3 == 2), 3_999)
    problem = factors_only(pupils, schools).build(engine)
    assert "sparse" in kinds(problem)
    assert sum(block["nonzeros"] for block in problem.model.structure) < 200_000
    dense = factors_only(pupils[:900], schools[:900])
    theta = np.array([0.8, 1.1])
    assert dense.build(engine).objective(theta, True) == pytest.approx(
        dense.build(oracle.Problem).objective(theta, True), rel=1e-11
    )


def test_too_large_for_the_memory_limit():
    rng = np.random.default_rng(0)
    design = factors_only(rng.integers(0, 3000, 30_000), rng.integers(0, 2500, 30_000))
    with pytest.raises(MemoryError, match=r"\d"):
        design.build(engine, memory_limit=1_000_000)
    assert design.build(engine, memory_limit=10**9).model.n == 30_000


# --- invariances ---------------------------------------------------------------------------------


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_row_order_does_not_matter(drawn):
    design, theta, reml = drawn
    order = np.random.default_rng(1).permutation(design.n)
    reference = design.build(oracle.Problem)
    problem, shuffled = design.build(engine), design.rows(order).build(engine)
    tolerance = objective_tolerance(reference, theta, reml, problem.objective(theta, reml))
    assert abs(shuffled.objective(theta, reml) - problem.objective(theta, reml)) <= tolerance
    expected, actual = problem.estimates(theta, reml), shuffled.estimates(theta, reml)
    losses = 1e-9 + 1e3 * reference.rounding(theta, reml)
    assert_close(actual.fitted, np.asarray(expected.fitted)[order], losses)
    assert_close(actual.leverages(), np.asarray(expected.leverages())[order], losses, 1.0)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_labels_of_levels_do_not_matter(drawn):
    """Renaming levels renames the rows of b and of the conditional variances."""
    design, theta, reml = drawn
    rng = np.random.default_rng(2)
    names = [rng.permutation(J).astype(np.int32) for _, J in design.factors]
    renamed = [(name[codes], J) for name, (codes, J) in zip(names, design.factors, strict=True)]
    reference = design.build(oracle.Problem)
    expected = design.build(engine).estimates(theta, reml)
    actual = replace(design, factors=renamed).build(engine).estimates(theta, reml)
    tolerance = objective_tolerance(reference, theta, reml, expected.objective)
    assert abs(actual.objective - expected.objective) <= tolerance
    losses = 1e-9 + 1e3 * reference.rounding(theta, reml)
    length = np.sqrt(np.sum(reference.weights * reference.y_left**2))
    for t, (f, _, _) in enumerate(design.terms):
        scale = max(length, float(np.abs(expected.b[t]).max()))
        assert_close(actual.b[t][names[f]], expected.b[t], losses, scale)
        assert_close(actual.cond_var()[t][names[f]], expected.cond_var()[t], losses)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_duplicated_rows_are_weights_of_two(drawn):
    """All but nu and sum log w agree: d = log|Omega| + log|C| + nu (1 + log(2 pi r2 / nu))."""
    design, theta, reml = drawn
    ones = np.ones(design.n) if design.weights is None else design.weights
    doubled = replace(design, weights=2.0 * ones).build(engine).estimates(theta, reml)
    twice = design.rows(np.repeat(np.arange(design.n), 2))
    repeated = twice.build(engine).estimates(theta, reml)
    losses = 1e-9 + 1e4 * design.build(oracle.Problem).rounding(theta, reml)
    assert repeated.nu == doubled.nu + design.n
    assert repeated.logdet_omega == pytest.approx(doubled.logdet_omega, rel=losses, abs=losses)
    assert repeated.logdet_C == pytest.approx(doubled.logdet_C, rel=losses, abs=losses)
    assert repeated.pwrss == pytest.approx(doubled.pwrss, rel=losses)
    assert_close(np.asarray(repeated.fitted)[::2], doubled.fitted, losses)
    compare_fixed_effects(repeated, doubled, losses)
    nu, log_C = repeated.nu, repeated.logdet_C if reml else 0.0
    d = repeated.logdet_omega + log_C + nu * (1 + np.log(2 * np.pi * repeated.pwrss / nu))
    assert repeated.objective == pytest.approx(d - 2.0 * np.sum(np.log(ones)), rel=1e-12, abs=1e-9)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_common_factor_of_weights(drawn):
    """Weights times c are another sigma^2: with theta / sqrt(c) nothing else changes."""
    design, theta, reml = drawn
    ones = np.ones(design.n) if design.weights is None else design.weights
    expected = replace(design, weights=ones).build(engine).estimates(theta, reml)
    actual = replace(design, weights=4e6 * ones).build(engine)
    reference = design.build(oracle.Problem)
    tolerance = 10 * objective_tolerance(reference, theta, reml, expected.objective)
    scaled = actual.estimates(theta / 2e3, reml)
    assert abs(scaled.objective - expected.objective) <= tolerance
    losses = 1e-9 + 1e3 * reference.rounding(theta, reml)
    assert scaled.sigma == pytest.approx(2e3 * expected.sigma, rel=losses)
    assert_close(scaled.fitted, expected.fitted, losses)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_affine_transformation_of_the_response(drawn):
    """y -> a y + X c adds 2 nu log a to d; the gradient stays; beta becomes a beta + c."""
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    a, c = 1e3, np.random.default_rng(3).standard_normal(design.X.shape[1])
    c *= np.std(design.y) / (1e-300 + np.abs(design.X).max(axis=0, initial=1e-300))
    moved = replace(design, y=a * (design.y + design.X @ c)).build(engine)
    expected, actual = problem.estimates(theta, reml), moved.estimates(theta, reml)
    shift = 2 * expected.nu * np.log(a)
    tolerance = 10 * objective_tolerance(reference, theta, reml, expected.objective + shift)
    assert abs(actual.objective - expected.objective - shift) <= tolerance
    losses = 1e-8 + 1e3 * reference.rounding(theta, reml)
    assert actual.sigma == pytest.approx(a * expected.sigma, rel=losses)
    length = np.sqrt(np.sum(reference.weights * reference.y_left**2))
    for b_moved, b in zip(actual.b, expected.b, strict=True):
        assert_close(b_moved / a, b, losses, max(length, float(np.abs(b).max())))
    terms = np.abs(reference.gradient_parts(theta, reml)).sum(axis=0) + gradient_bound(reference)
    change = np.abs(moved.gradient(theta, reml)[1] - problem.gradient(theta, reml)[1])
    assert np.all(change <= losses * terms)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_units_and_origin_of_fixed_covariates(drawn):
    """x -> s x + m 1: the REML criterion gains 2 log s, the deviance and the fit nothing."""
    design, theta, reml = drawn
    assume(design.X.shape[1] >= 2 and np.all(design.X[:, 0] == 1.0))
    reference, problem = design.build(oracle.Problem), design.build(engine)
    X = design.X.copy()
    X[:, -1] = 1e-6 * X[:, -1] + 7e-3
    moved = replace(design, X=X).build(engine)
    expected, actual = problem.estimates(theta, reml), moved.estimates(theta, reml)
    kept = design.X.shape[1] - 1 in reference.pivot
    shift = 2 * np.log(1e-6) if reml and kept else 0.0
    assert np.array_equal(moved.model.pivot, problem.model.pivot)
    tolerance = 100 * objective_tolerance(reference, theta, reml, expected.objective)
    assert abs(actual.objective - expected.objective - shift) <= tolerance
    losses = 1e-8 + 1e3 * reference.rounding(theta, reml)
    assert_close(actual.fitted, expected.fitted, losses)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_units_of_random_covariates(drawn):
    """Column i of Z times s with row i of lambda over s is the same Z Lambda; d/dtheta times s."""
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    scales = [
        [1.0 if c is None else 10.0 ** (i - 3) for i, c in enumerate(cs)]
        for _, cs, _ in design.terms
    ]
    terms = [
        (f, [None if c is None else s * c for c, s in zip(columns, by_column, strict=True)], kind)
        for (f, columns, kind), by_column in zip(design.terms, scales, strict=True)
    ]
    rows = [s[i] for s, ij in zip(scales, reference.positions, strict=True) for i, _ in ij]
    moved = replace(design, terms=terms).build(engine)
    value, gradient = problem.gradient(theta, reml)
    moved_value, moved_gradient = moved.gradient(theta / rows, reml)
    assert abs(moved_value - value) <= objective_tolerance(reference, theta, reml, value)
    losses = 1e-9 + 100 * reference.rounding(theta, reml)
    scale = np.abs(reference.gradient_parts(theta, reml)).sum(axis=0) + gradient_bound(reference)
    assert np.all(np.abs(np.asarray(moved_gradient) / rows - gradient) <= losses * scale)


@given(designs_with_theta(largest_theta=10.0))
@share(0.5)
def test_order_of_terms_and_factors_does_not_matter(drawn):
    design, theta, reml = drawn
    reference, problem = design.build(oracle.Problem), design.build(engine)
    backwards = len(design.factors) - 1
    turned = replace(
        design,
        factors=design.factors[::-1],
        terms=[(backwards - f, columns, kind) for f, columns, kind in design.terms[::-1]],
    ).build(engine)
    cuts = np.cumsum([len(ij) for ij in reference.positions])[:-1]
    turned_theta = np.concatenate(np.split(theta, cuts)[::-1])
    expected, actual = problem.estimates(theta, reml), turned.estimates(turned_theta, reml)
    tolerance = objective_tolerance(reference, theta, reml, expected.objective)
    assert abs(actual.objective - expected.objective) <= tolerance
    assert_close(actual.fitted, expected.fitted, 1e-9 + 1e3 * reference.rounding(theta, reml))


def test_two_terms_on_one_factor_add_their_variances():
    rng = np.random.default_rng(0)
    design = factors_only(rng.integers(0, 15, 200), rng.integers(0, 8, 200))
    twice = replace(design, terms=[(0, [None], "unstructured"), *scalar_terms(2)])
    expected = design.build(engine).objective(np.array([0.5, 0.7]), True)
    actual = twice.build(engine).objective(np.array([0.3, 0.4, 0.7]), True)
    assert actual == pytest.approx(expected, rel=1e-13)


def test_term_with_zero_theta_is_no_term():
    rng = np.random.default_rng(0)
    design = factors_only(rng.integers(0, 15, 200), rng.integers(0, 8, 200))
    without = replace(design, terms=scalar_terms(1)).build(engine)
    fit = design.build(engine).estimates(np.array([0.6, 0.0]), True)
    assert fit.objective == pytest.approx(without.objective(np.array([0.6]), True), rel=1e-13)
    assert not np.any(fit.b[1]) and not np.any(fit.cond_var()[1])
    assert list(fit.singular) == [False, True]


# --- fits ----------------------------------------------------------------------------------------


@given(
    designs(kinds=("single", "nested", "crossed", "nested in crossed"), largest=2, rows=(30, 60))
)
@share(0.4)
def test_fit_is_no_worse_than_the_best_of_many_starts(design):
    """Designs that identify their parameters: local minima away from the best one are rare.

    With weights over decades the few observations that count leave several minima; lme4 finds
    one or the other of those too.
    """
    reference = design.build(oracle.Problem)
    assume(np.ptp(np.log10(reference.weights)) < 1.0)
    assume(reference.q + reference.rank < 0.6 * design.n)
    assume(min(J for _, J in design.factors) >= 5)
    fit = design.build(engine).fit(True, None, {})
    best = reference.fit(True, start=fit.theta)
    assume(np.max(np.abs(best.theta) * reference._column_scales()) < 1e3)
    assert fit.objective <= best.objective + 1e-6


@given(
    designs(kinds=("single", "nested", "crossed", "nested in crossed"), largest=4, rows=(20, 60))
)
@share(0.4)
def test_fit_is_a_local_minimum(design):
    """Designs too small for their models, so that most fits are singular."""
    reference = design.build(oracle.Problem)
    assume(reference.q + reference.rank < 0.7 * design.n)
    fit = design.build(engine).fit(True, None, {})
    scales, function = reference._column_scales(), reference.scaled_gradient(True)
    x, lower = scales * fit.theta, reference.lower_bounds
    assume(np.max(np.abs(x)) < 1e3)
    assert fit.converged, (fit.message, fit.predicted_decrease)
    assert fit.objective == pytest.approx(reference.objective(fit.theta, True), abs=1e-7)
    assert np.all(x >= lower)
    _, decrease = oracle.newton_step(function, x, lower)
    assert decrease < 1e-6
    for j in np.flatnonzero(lower == 0):
        for h in (1e-3, 1e-2):
            raised = x + h * (np.arange(len(x)) == j)
            assert function(raised)[0] > fit.objective - 1e-6
    # With weights there may be several minima, so the search is from many starts.
    assert fit.evaluations < (2_000 if design.weights is None else 20_000)


@pytest.mark.parametrize("name", CASES)
def test_fit_finds_lme4s_optimum(name):
    case = load_case(name)
    fit = build_case(case, engine).fit(case.reml, None, {})
    assert fit.objective == pytest.approx(case.criterion, abs=1e-6)
    assert fit.converged and fit.predicted_decrease < 1e-6
    assert any(fit.singular) == case.singular
    np.testing.assert_allclose(fit.theta, case.theta, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dyestuff", "penicillin", "pastes_ml", "sleepstudy"])
@pytest.mark.parametrize("start", [0.0, 1e-4, 1.0, 50.0])
def test_fit_from_poor_starts(name, start):
    """At theta = 0 the gradient vanishes, d being even: a stationary point, not a minimum."""
    case = load_case(name)
    problem = build_case(case, engine)
    begin = np.where(np.asarray(problem.model.lower_bounds) == 0, start, 0.0)
    fit = problem.fit(case.reml, begin, {})
    assert fit.objective <= case.criterion + 1e-6
    np.testing.assert_array_equal(fit.start, begin)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_of_days_in_sleepstudy(scale, shift):
    """A change of units of x moves the REML criterion by 2 log(scale), the fitted values not."""
    case = load_case("sleepstudy")
    data, expected = case.data, build_case(case, engine).fit(True, None, {})
    days = data["Days"].to_numpy(float)
    moved = scale * (days + shift)
    codes = data["Subject"].cat.codes.to_numpy(np.int32)
    y = data["Reaction"].to_numpy(float)
    X = np.asfortranarray(np.column_stack([np.ones(180), moved]))
    terms = [(0, [None, scale * days], "unstructured")]
    fit = engine(X, y, None, [(codes, 18)], terms).fit(True, None, {})
    assert fit.objective - 2 * np.log(scale) == pytest.approx(case.criterion, abs=1e-6)
    np.testing.assert_allclose(fit.fitted, expected.fitted, rtol=1e-5)
    assert fit.converged and not any(fit.singular)


def test_balanced_one_way_anova():
    """REML of a balanced one-way layout is closed: theta^2 = (MSB / MSE - 1) / m, sigma^2 = MSE."""
    rng = np.random.default_rng(5)
    J, m = 12, 6
    codes = np.repeat(np.arange(J, dtype=np.int32), m)
    y = 3.0 + rng.standard_normal(J)[codes] + 0.7 * rng.standard_normal(J * m)
    design = replace(factors_only(codes), y=y)
    means = y.reshape(J, m).mean(axis=1)
    mse = np.sum((y - means[codes]) ** 2) / (J * (m - 1))
    msb = m * np.var(means, ddof=1)
    fit = design.build(engine).fit(True, None, {})
    assert fit.theta[0] == pytest.approx(np.sqrt((msb / mse - 1.0) / m), rel=1e-5)
    assert fit.sigma**2 == pytest.approx(mse, rel=1e-6)
    assert fit.beta[0] == pytest.approx(y.mean(), rel=1e-12)


def test_start_at_the_optimum_takes_few_evaluations():
    problem = build_case(load_case("sleepstudy"), engine)
    first = problem.fit(True, None, {})
    again = problem.fit(True, first.theta, {})
    assert again.objective <= first.objective + 1e-8
    assert again.evaluations <= first.evaluations + 5
    assert 0 <= again.seconds < 60


def test_responses_of_one_model():
    """Each gives what a model of its own would give, to the last bit, in whatever order."""
    case, theta = load_case("sleepstudy"), np.array([0.5, 0.1, 0.2])
    first = build_case(case, engine)
    before = first.objective(theta, True)
    y = np.random.default_rng(0).standard_normal(180)
    second = _core.Problem(first.model, y)
    reference = build_case(case)
    reference.set_response(y)
    assert second.objective(theta, True) == pytest.approx(
        reference.objective(theta, True), rel=1e-11
    )
    assert_close(
        second.estimates(theta, True).fitted, reference.estimates(theta, True).fitted, 1e-10
    )
    assert first.objective(theta, True) == before
    with pytest.raises(ValueError, match="180"):
        _core.Problem(first.model, y[:-1])


def test_refused_responses():
    model = build_case(load_case("sleepstudy"), engine).model
    for refused in (np.nan, 1.0):
        with pytest.raises((ValueError, _core.FitError)):
            _core.Problem(model, np.full(180, refused))


def test_eight_threads_fit_one_model_to_the_same_bits():
    """With eight responses, at the same time."""
    model = build_case(load_case("sleepstudy"), engine).model
    Y = np.random.default_rng(3).standard_normal((180, 8)) + np.arange(180)[:, None] % 10
    problems = [_core.Problem(model, np.ascontiguousarray(y)) for y in Y.T]

    def bits(problem):
        fit = problem.fit(True, None, {})
        return fit.theta.tobytes(), fit.fitted.tobytes(), fit.objective, fit.evaluations

    expected = [bits(problem) for problem in problems]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(bits, problems * 5)) == expected * 5
        assert list(threads.map(bits, problems[:1] * 40)) == expected[:1] * 40


# --- bad arguments -------------------------------------------------------------------------------


def good_arguments() -> dict:
    rng = np.random.default_rng(0)
    codes = np.arange(40, dtype=np.int32) % 8
    return {
        "X": np.asfortranarray(np.column_stack([np.ones(40), rng.standard_normal(40)])),
        "y": rng.standard_normal(40),
        "weights": None,
        "factors": [(codes, 8)],
        "terms": [(0, [None], "unstructured")],
    }


INTERCEPT = [None]
BAD_ARGUMENTS = {
    "short response": {"y": np.zeros(39)},
    "long weights": {"weights": np.ones(41)},
    "short codes": {"factors": [(np.zeros(39, dtype=np.int32), 1)]},
    "code too large": {"factors": [(np.full(40, 8, dtype=np.int32), 8)]},
    "code negative": {"factors": [(np.full(40, -1, dtype=np.int32), 8)]},
    "no terms": {"terms": []},
    "unknown factor": {"terms": [(1, INTERCEPT, "unstructured")]},
    "negative factor": {"terms": [(-1, INTERCEPT, "unstructured")]},
    "no columns": {"terms": [(0, [], "unstructured")]},
    "short column": {"terms": [(0, [np.zeros(39)], "unstructured")]},
    "unknown structure": {"terms": [(0, INTERCEPT, "spherical")]},
}


@pytest.mark.parametrize("bad", BAD_ARGUMENTS)
def test_bad_problem(bad):
    with pytest.raises(ValueError, match=r"\w"):
        engine(**(good_arguments() | BAD_ARGUMENTS[bad]))


@pytest.mark.parametrize("theta", [[], [1.0, 2.0], [np.nan], [np.inf]])
def test_bad_theta(theta):
    problem = engine(**good_arguments())
    for method in (problem.objective, problem.gradient, problem.estimates):
        with pytest.raises(ValueError, match="theta"):
            method(np.array(theta), True)


def test_bad_start():
    problem = engine(**good_arguments())
    with pytest.raises(ValueError, match=r"start|theta"):
        problem.fit(True, np.array([1.0, 1.0]), {})


def test_arguments_need_not_outlive_the_call():
    """The engine keeps copies of, or references to, what it needs: no dangling pointers."""
    arguments = good_arguments()
    problem = engine(**arguments)
    expected = problem.estimates(np.array([0.7]), True)
    leverages = expected.leverages().copy()
    del arguments
    np.zeros(10_000)
    fit = problem.estimates(np.array([0.7]), True)
    del problem, expected
    np.zeros(10_000)
    np.testing.assert_array_equal(fit.leverages(), leverages)


# --- a guest in Python ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slow_problem():
    """Make a problem whose evaluations take a good part of a second: a dense tail of 2,600."""
    rng = np.random.default_rng(0)
    n = 60_000
    return factors_only(rng.integers(0, 3500, n), rng.integers(0, 2600, n)).build(engine)


def test_control_c_interrupts_a_fit(interrupted, slow_problem):
    with interrupted(0.15):
        for _ in range(50):
            slow_problem.fit(True, np.array([3.0, 0.01]), {})
    theta = np.array([0.5, 0.5])
    assert np.isfinite(slow_problem.objective(theta, True))


def many_effects(k: int, levels: int, each: int, terms: int = 1) -> dict:
    """Return the arguments of `terms` terms on one factor with k covariates in all."""
    rng = np.random.default_rng(0)
    n = levels * each
    columns = np.array_split(rng.standard_normal((k, n)), terms)
    return {
        "X": np.asfortranarray(np.ones((n, 1))),
        "y": rng.standard_normal(n),
        "weights": None,
        "factors": [(np.arange(n, dtype=np.int32) % levels, levels)],
        "terms": [(0, list(part), "unstructured") for part in columns],
    }


def test_control_c_with_many_effects_per_level(interrupted):
    """The average information of 1,891 covariance parameters was deaf for a minute."""
    problem = engine(**many_effects(61, 40, 70))
    with interrupted(0.3):
        problem.fit(True)


def test_control_c_with_many_terms_on_a_factor(interrupted):
    arguments = many_effects(900, 4, 1000, terms=900)
    with interrupted(0.3):
        for _ in range(20):
            engine(**arguments).fit(True)


def test_control_c_with_many_fixed_effects(interrupted):
    arguments = good_arguments() | many_effects(1, 10, 120)
    rng = np.random.default_rng(1)
    arguments["X"] = np.asfortranarray(rng.standard_normal((1200, 900)))
    with interrupted(0.3):
        for _ in range(20):
            engine(**arguments).fit(True)


def test_derivatives_count_as_memory():
    """Those of 1,891 covariance parameters took 1.7 GB beside the limit."""
    with pytest.raises(MemoryError, match=r"derivatives of 2440 random effects in 1891"):
        engine(**many_effects(61, 40, 70), memory_limit=70_000_000)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_while_another_thread_fits_waits_for_nobody(slow_problem):
    """It held the lock of a thread that did not come along."""
    theta = np.array([0.5, 0.5])
    expected = slow_problem.objective(theta, True)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            slow_problem.gradient(theta, True)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if slow_problem.objective(theta, True) == expected else 1)
    _, status = os.waitpid(child, 0)
    stop.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_gil_is_released(slow_problem):
    """Another thread sleeps 1 ms at a time and comes back in time all through an evaluation."""
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.perf_counter()
    slow_problem.gradient(np.array([0.5, 0.5]), True)
    ended = time.perf_counter()
    stop.set()
    thread.join()
    during = np.array([t for t in ticks if began <= t <= ended])
    assert ended - began > 0.02
    assert np.diff(np.concatenate([[began], during, [ended]])).max() < 0.5 * (ended - began)


def test_two_problems_in_two_threads():
    arguments = good_arguments()
    thetas = np.linspace(0.0, 2.0, 200)
    expected = [engine(**arguments).objective(np.array([t]), True) for t in thetas]
    results: dict[int, list[float]] = {}

    def work(name: int) -> None:
        problem = engine(**arguments)
        results[name] = [problem.objective(np.array([t]), True) for t in thetas]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == expected
