"""The engine's derivatives with respect to variance parameters, against n x n matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import crossnest
from engine_problems import engine
from marginal import Marginal
from strategies import designs, thetas


@st.composite
def problems(draw):
    """Draw a problem with fixed effects, and the same at a theta as n x n matrices."""
    design = draw(designs(largest=3, rows=(20, 60)))
    theta = draw(thetas(design.terms, largest=10.0))
    reml = draw(st.booleans())
    problem = design.build(engine)
    assume(problem.model.rank > 0 and not problem.estimates(theta, reml).confounded)
    fit = problem.estimates(theta, reml)
    weights = np.ones(design.n) if design.weights is None else design.weights
    X = design.X[:, problem.model.pivot]
    marginal = Marginal(X, design.y, weights, design.factors, design.terms, theta, fit.sigma, reml)
    assume(np.linalg.cond(marginal.S_inv) < 1e4)  # else it is the matrices that are inaccurate
    return problem, fit, marginal


def scaled_inverse(matrix):
    """Invert a symmetric matrix that is regular but for the scales of its rows."""
    scale = 1 / np.sqrt(np.abs(np.diag(matrix)))
    assume(np.isfinite(scale).all())
    scaled = matrix * np.outer(scale, scale)
    assume(np.linalg.cond(scaled) < 1e4)
    return np.linalg.inv(scaled) * np.outer(scale, scale)


def assert_close(value, expected, tolerance):
    assert np.abs(value - expected).max() <= tolerance * np.abs(expected).max()


def whitened(matrices, fit):
    return fit.RX @ matrices @ fit.RX.T / fit.sigma**2


@settings(max_examples=40)
@given(problems())
def test_curvature(drawn):
    # What the Hessian and the Jacobian say together does not depend on the parameters' scale.
    problem, fit, marginal = drawn
    inverse = scaled_inverse(marginal.hessian)
    jacobian = whitened(marginal.jacobian, fit)
    expected = np.einsum("aij,ab,bkl->ijkl", jacobian, inverse, jacobian)
    for kind, tolerance in ("exact", 1e-6), ("differences", 1e-5):
        found = problem.curvature(fit.theta, fit.reml, hessian=kind)
        assert found["exact"] == (kind == "exact")
        own = scaled_inverse(found["hessian"])
        spread = np.einsum("aij,ab,bkl->ijkl", found["jacobian"], own, found["jacobian"])
        assert_close(spread, expected, tolerance)


@settings(max_examples=40)
@given(problems(), st.sampled_from(["expected", "observed"]))
def test_information(drawn, kind):
    problem, fit, marginal = drawn
    found = problem.information(fit.theta, fit.reml)
    P, Q = found["first"], found["second"]
    products = np.einsum("rij,sjk->rsik", P, P)
    information = (found["traces"] + np.trace(products - 2 * Q, axis1=2, axis2=3)) / 2
    if kind == "observed":
        information = found["quadratics"] - information
    own = scaled_inverse(information)
    W = marginal.varpar_vcov(kind)
    expected = whitened(marginal.adjusted_vcov(W) - marginal.Phi, fit)
    scale = np.abs(np.einsum("rs,rsij->ij", own, Q)).max()
    adjustment = 2 * np.einsum("rs,rsij->ij", own, Q - products)
    assert np.abs(adjustment - expected).max() < 1e-6 * scale
    half = whitened(marginal.Phi @ marginal.KR_P @ marginal.Phi, fit)
    assert_close(
        np.einsum("rij,rs,skl->ijkl", P, own, P),
        np.einsum("rij,rs,skl->ijkl", half, W, half),
        1e-6,
    )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(threads):
    data = crossnest.datasets.load("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    control = crossnest.Control(threads=threads)
    model = crossnest.lmer(formula, data, control=control)
    alone = crossnest.lmer(formula, data, control=crossnest.Control(threads=1))
    for name in ("information", "curvature"):
        found = getattr(model._problem, name)(alone.theta, True)
        expected = getattr(alone._problem, name)(alone.theta, True)
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key])


def test_differences_agree_with_the_exact_hessian_of_a_large_crossed_design():
    model = crossnest.lmer(
        "y ~ 1 + (1 | s) + (1 | d) + (1 | dept:service)", crossnest.datasets.insteval()
    )
    problem = model._problem
    exact = problem.curvature(model.theta, True, hessian="exact")["hessian"]
    other = problem.curvature(model.theta, True, hessian="differences")["hessian"]
    np.testing.assert_allclose(other, exact, rtol=1e-6)


def test_unknown_kind_of_hessian(fitted):
    model = fitted("sleepstudy")
    with pytest.raises(ValueError, match="hessian must be"):
        model._problem.curvature(model.theta, True, hessian="numerical")


def test_theta_is_checked(fitted):
    problem = fitted("sleepstudy")._problem
    with pytest.raises(ValueError, match="theta"):
        problem.information([1.0], True)
