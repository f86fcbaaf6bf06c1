"""The table of dense kernels: Eigen's and SciPy's give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.linalg import cython_blas, cython_lapack
from test_engine import compare_estimates, objective_tolerance

import oracle
from crossnest import _core
from crossnest.fit import kernels
from engine_problems import engine
from strategies import DrawnDesign, designs_with_theta


def scipy_kernels() -> dict[str, object]:
    """Return SciPy's routines as the capsules of C function pointers it exports."""
    blas = {name: cython_blas.__pyx_capi__[name] for name in kernels.BLAS}
    return blas | {name: cython_lapack.__pyx_capi__[name] for name in kernels.LAPACK}


@pytest.fixture(autouse=True)
def restore():
    """Leave SciPy's kernels in place, as importing the package does."""
    yield
    kernels.install()


def under_both(build):
    """Make one problem over Eigen's kernels, one over SciPy's; a problem keeps its table."""
    _core.install_kernels(None)
    assert _core.kernels() == "eigen"
    eigen = build()
    kernels.install()
    assert _core.kernels() == "scipy"
    return eigen, build()


def crossed_design(tail: int, k: int) -> DrawnDesign:
    """Make two crossed factors with k-vector terms: `tail` k columns in the dense tail."""
    rng = np.random.default_rng(tail + k)
    n = 25 * tail
    codes = [rng.integers(0, J, n).astype(np.int32) for J in (2 * tail, tail)]
    codes[0][: 2 * tail], codes[1][:tail] = np.arange(2 * tail), np.arange(tail)
    columns = [None] + [rng.standard_normal(n) for _ in range(k - 1)]
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    factors = [(codes[0], 2 * tail), (codes[1], tail)]
    terms = [(f, columns, "unstructured") for f in range(2)]
    return DrawnDesign(X, rng.standard_normal(n), rng.uniform(0.5, 2.0, n), factors, terms)


def test_importing_the_package_installs_scipys():
    assert _core.kernels() == "scipy"


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(("tail", "k"), [(20, 1), (130, 1), (300, 1), (67, 3), (520, 2)])
def test_large_tails_agree(tail, k, reml):
    """Sizes around and beyond a tile, so that every kernel of the blocked code is called."""
    design = crossed_design(tail, k)
    eigen, scipy = under_both(lambda: design.build(engine))
    theta = np.where(np.asarray(eigen.model.lower_bounds) == 0, 0.7, -0.1)
    value, gradient = eigen.gradient(theta, reml)
    other_value, other_gradient = scipy.gradient(theta, reml)
    assert other_value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(other_gradient, gradient, rtol=0, atol=1e-9 * np.abs(gradient).max())
    one, other = eigen.estimates(theta, reml), scipy.estimates(theta, reml)
    np.testing.assert_allclose(other.beta, one.beta, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(other.leverages(), one.leverages(), rtol=1e-9)
    for a, b in zip(other.cond_var(), one.cond_var(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * np.abs(b).max())


@pytest.mark.parametrize("table", ["eigen", "scipy"])
def test_large_tail_is_the_oracles(table):
    design = crossed_design(130, 2)
    eigen, scipy = under_both(lambda: design.build(engine, tail="dense"))
    problem, reference = {"eigen": eigen, "scipy": scipy}[table], design.build(oracle.Problem)
    theta = np.where(reference.lower_bounds == 0, 0.6, 0.2)
    value, gradient = problem.gradient(theta, True)
    expected, expected_gradient = reference.gradient(theta, True)
    assert value == pytest.approx(expected, rel=1e-12)
    scale = np.abs(expected_gradient).max()
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-9 * scale)
    compare_estimates(reference, problem.estimates(theta, True), reference.estimates(theta, True))


@given(designs_with_theta(kinds=("crossed", "nested in crossed")))
@settings(max_examples=15)
def test_random_designs_agree(drawn):
    design, theta, reml = drawn
    reference = design.build(oracle.Problem)
    eigen, scipy = under_both(lambda: design.build(engine, tail="dense"))
    value = eigen.objective(theta, reml)
    tolerance = objective_tolerance(reference, theta, reml, value)
    assert scipy.objective(theta, reml) == pytest.approx(value, rel=0, abs=tolerance)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("table", ["eigen", "scipy"])
def test_tiles_do_not_depend_on_threads(table, threads):
    """The blocked factorization adds up in the same order whatever the number of threads."""
    design = crossed_design(300, 1)
    theta = np.array([0.8, 0.5])
    _core.install_kernels(None if table == "eigen" else scipy_kernels())
    value, gradient = design.build(engine, threads=1).gradient(theta, True)
    other_value, other_gradient = design.build(engine, threads=threads).gradient(theta, True)
    assert other_value == value
    np.testing.assert_array_equal(other_gradient, gradient)


def test_incomplete_tables_are_refused():
    before = _core.kernels()
    with pytest.raises((KeyError, ValueError), match="dgemm"):
        _core.install_kernels({k: v for k, v in scipy_kernels().items() if k != "dgemm"})
    with pytest.raises((TypeError, ValueError), match="dpotrf"):
        _core.install_kernels(scipy_kernels() | {"dpotrf": object()})
    assert _core.kernels() == before
