"""Restriction matrices, by their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads hypothesis' profile)
from crossnest.inference.restriction import is_within, restriction_matrix


@st.composite
def nested_matrices(draw):
    """X (n, p) of full rank with columns of very different lengths, and M with X0 = X M."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.integers(1, 5))
    r = draw(st.integers(0, p))
    aliased = draw(st.integers(0, 2)) if r else 0
    n = p + draw(st.integers(1, 20))
    X = rng.standard_normal((n, p)) * 10.0 ** rng.integers(-4, 5, p)
    M = rng.standard_normal((p, r)) / np.linalg.norm(X, axis=0)[:, None]
    return X, np.hstack([M, M @ rng.standard_normal((r, aliased))]), r


@given(nested_matrices())
def test_restrictions_hold_where_the_expectation_is_the_small_models(case):
    X, M, rank = case
    L = restriction_matrix(X, X @ M)
    lengths = np.linalg.norm(X, axis=0)
    assert L.shape == (X.shape[1] - rank, X.shape[1])
    if L.size:
        scaled = L / lengths  # L beta in the units of X beta
        scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
        assert np.linalg.svd(scaled, compute_uv=False).min() > 1e-8  # of full row rank
        scaled_M = lengths[:, None] * M
        assert np.abs(scaled @ scaled_M).max(initial=0) < 1e-7 * np.abs(scaled_M).max(initial=1)


def test_dropping_columns_gives_rows_of_the_identity():
    X = np.random.default_rng(1).standard_normal((30, 5)) * [1, 1e5, 1, 1e-5, 1]
    np.testing.assert_array_equal(restriction_matrix(X, X[:, [0, 3, 4]]), np.eye(5)[[1, 2]])
    np.testing.assert_array_equal(restriction_matrix(X, X[:, :0]), np.eye(5))
    assert restriction_matrix(X, X).shape == (0, 5)


def test_equal_effects_are_one_restriction():
    X = np.eye(6)[:, :3]
    np.testing.assert_allclose(restriction_matrix(X, X @ [[1, 0], [1, 0], [0, 1]]), [[1, -1, 0]])


def test_spaces_that_are_not_nested():
    X = np.vander(np.arange(8.0), 4)
    assert is_within(X[:, :2] @ [[1.0], [2.0]], X)
    assert is_within(np.zeros((8, 1)), X)
    assert not is_within(np.arange(8.0)[:, None] ** 5, X)
    with pytest.raises(ValueError, match="do not lie within"):
        restriction_matrix(X[:, :2], X)
