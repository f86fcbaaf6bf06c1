"""The oracle against the n x n likelihood, against derivatives by complex step, and against R."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from oracle import (
    Problem,
    complex_step_gradient,
    independent_columns,
    marginal_objective,
    orthogonal_basis,
    theta_positions,
)
from reference_cases import load_case
from strategies import designs_with_theta

EPS = np.finfo(float).eps


def marginal(design, problem, reml):
    """Bind everything but theta; aliased columns of X are left out."""

    def objective(theta):
        return marginal_objective(
            problem.X, design.y, design.weights, design.factors, design.terms, theta, reml
        )

    return objective


def marginal_condition(design, problem, theta) -> float:
    """Bound the condition number of V, which the n x n likelihood solves with."""
    root = problem.Z @ problem.solve(theta).Lambda
    return (1.0 / problem.weights.min() + np.sum(root**2)) * problem.weights.max()


@given(designs_with_theta(rows=(20, 70), largest_theta=10.0))
def test_objective_is_the_marginal_likelihood(drawn):
    design, theta, reml = drawn
    problem = design.build(Problem)
    expected = marginal(design, problem, reml)(theta)
    slack = EPS * design.n * marginal_condition(design, problem, theta)
    tolerance = 1e-10 * max(1.0, abs(expected)) + min(slack, 1e-4)
    assert problem.objective(theta, reml) == pytest.approx(expected, rel=0, abs=tolerance)


@given(designs_with_theta(rows=(20, 50), largest_theta=10.0))
@settings(max_examples=40)
def test_gradient_is_the_derivative_of_the_marginal_likelihood(drawn):
    design, theta, reml = drawn
    problem = design.build(Problem)
    value, gradient = problem.gradient(theta, reml)
    assert value == problem.objective(theta, reml)
    expected = complex_step_gradient(marginal(design, problem, reml), theta)
    scale = np.abs(problem.gradient_parts(theta, reml)).sum(axis=0)
    scale += np.max(scale)
    slack = min(EPS * design.n * marginal_condition(design, problem, theta), 1e-3)
    assert np.all(np.abs(gradient - expected) <= (1e-9 + slack) * scale)


@given(designs_with_theta(rows=(20, 60)))
@settings(max_examples=40)
def test_estimates_belong_together(drawn):
    design, theta, reml = drawn
    problem = design.build(Problem)
    fit = problem.estimates(theta, reml)
    W = problem.weights
    residual = design.y - fit.fitted
    u = np.concatenate([block.ravel() for block in fit.u])
    b = np.concatenate([block.ravel() for block in fit.b])
    scale = np.sqrt(np.sum(W * problem.y_left**2))
    assert np.sum(W * residual**2) + u @ u == pytest.approx(fit.pwrss, rel=1e-6)
    assert fit.sigma**2 * fit.nu == pytest.approx(fit.pwrss)
    np.testing.assert_allclose(
        problem.X @ fit.beta + problem.Z @ b, fit.fitted, atol=1e-8 * np.abs(design.y).max()
    )
    np.testing.assert_allclose(problem.B.T @ (W * residual), 0.0, atol=1e-8 * scale)
    leverages = fit.leverages()
    assert np.all((leverages > -1e-9) & (leverages < 1 + 1e-9))
    assert problem.rank - 1e-6 <= leverages.sum() <= min(design.n, problem.rank + problem.q) + 1e-6
    assert np.all(np.diag(fit.RX) > 0) and np.all(np.tril(fit.RX, -1) == 0)
    assert 2 * np.sum(np.log(np.diag(fit.RX))) == pytest.approx(fit.logdet_C, rel=1e-8, abs=1e-8)


def test_conditional_variances_by_brute_force():
    """Var(b | y), beta known, is the inverse of the precision Lambda^-T Lambda^-1 + Z'WZ."""
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(4, dtype=np.int32), 5)
    x = rng.standard_normal(20)
    weights = rng.uniform(0.5, 2.0, 20)
    term = (0, [None, x], "unstructured")
    problem = Problem(np.ones((20, 1)), rng.standard_normal(20), weights, [(codes, 4)], [term])
    theta = np.array([0.8, -0.3, 0.5])
    fit = problem.estimates(theta, True)
    lam = np.array([[0.8, 0.0], [-0.3, 0.5]])
    for level, computed in enumerate(fit.cond_var()[0]):
        rows = codes == level
        Z = np.column_stack([np.ones(5), x[rows]])
        precision = np.linalg.inv(lam @ lam.T) + Z.T @ (weights[rows, None] * Z)
        np.testing.assert_allclose(computed, fit.sigma**2 * np.linalg.inv(precision), rtol=1e-10)


def test_aliased_columns_keep_the_earliest():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 5))
    X[:, 2] = X[:, 0] - 3 * X[:, 1]
    X[:, 4] = 0.0
    np.testing.assert_array_equal(independent_columns(X), [0, 1, 3])


def test_basis_of_shifted_columns_is_orthogonal():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(50)
    weights = rng.uniform(0.1, 3.0, 50)
    X = np.column_stack([x + 1e6, np.full(50, 2.0), 1e-6 * x**2 + 10])
    B, T = orthogonal_basis(X, weights)
    np.testing.assert_allclose(B.T @ (weights[:, None] * B), np.eye(3), atol=1e-13)
    np.testing.assert_allclose(B @ T, X, rtol=1e-14)


def test_theta_order_is_column_by_column():
    expected = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2)]
    assert theta_positions(3, "unstructured") == expected
    assert theta_positions(3, "diagonal") == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(ValueError, match="spherical"):
        theta_positions(3, "spherical")


# --- R's fits ------------------------------------------------------------------------------------

SLOPE = (["Days"], [("Subject", [None, "Days"], "unstructured")])

#: case -> columns of X after the constant, terms (factor, columns of Z, structure)
CASES = {
    "dyestuff": ([], [("Batch", [None], "unstructured")]),
    "dyestuff2": ([], [("Batch", [None], "unstructured")]),
    "dyestuff_ml": ([], [("Batch", [None], "unstructured")]),
    "sleepstudy": SLOPE,
    "sleepstudy_ml": SLOPE,
    "sleepstudy_w": SLOPE,
    "sleepstudy_zcp": (["Days"], [("Subject", [None, "Days"], "diagonal")]),
    "sleepstudy_slope": (["Days"], [("Subject", ["Days"], "unstructured")]),
    "sleepstudy_off": (["Days"], [("Subject", [None], "unstructured")]),
    "rank_deficient": (["Days", "D2"], [("Subject", [None], "unstructured")]),
    "pastes_ml": ([], [("sample", [None], "unstructured"), ("batch", [None], "unstructured")]),
    "penicillin": ([], [("plate", [None], "unstructured"), ("sample", [None], "unstructured")]),
}


def build_case(case, kind=Problem, **options):
    """Make the problem of a reference case by hand, from its data frame."""
    data = case.data
    columns, term_list = CASES[case.name]
    response = case.formula.split("~")[0].strip()
    X = np.column_stack([np.ones(len(data))] + [data[c].to_numpy(float) for c in columns])
    y = data[response].to_numpy(float)
    if case.offset is not None:
        y = y - data[case.offset].to_numpy(float)
    weights = None if case.weights is None else data[case.weights].to_numpy(float)
    groups = [data[factor].cat for factor, _, _ in term_list]
    factors = [(g.codes.to_numpy(np.int32), len(g.categories)) for g in groups]
    terms = [
        (f, [None if c is None else data[c].to_numpy(float) for c in effects], structure)
        for f, (_, effects, structure) in enumerate(term_list)
    ]
    return kind(np.asfortranarray(X), y, weights, factors, terms, **options)


@pytest.mark.parametrize("name", CASES)
def test_objective_at_lme4s_theta(name):
    case = load_case(name)
    problem = build_case(case)
    assert problem.objective(case.theta, case.reml) == pytest.approx(case.criterion, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_fit_finds_lme4s_optimum(name):
    case = load_case(name)
    fit = build_case(case).fit(case.reml)
    assert fit.objective == pytest.approx(case.criterion, abs=1e-6)
    np.testing.assert_allclose(fit.theta, case.theta, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fit.beta, case.beta, rtol=1e-5)
    vcov = fit.sigma**2 * np.linalg.inv(fit.RX.T @ fit.RX)
    np.testing.assert_allclose(vcov, case.vcov, rtol=1e-5)
    assert any(fit.singular) == case.singular
    assert fit.converged
