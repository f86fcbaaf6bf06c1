"""Responses drawn from a fitted model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model
from crossnest.base.errors import DesignError


def weighted_model():
    data = crossnest.datasets.sleepstudy()
    data["w"], data["o"] = 1.0 + data["Days"] / 5, 3.0 * data["Days"]
    formula = "Reaction ~ Days + (Days | Subject)"
    return data, crossnest.lmer(formula, data, weights="w", offset="o")


def dense(model):
    """Mean and covariance of the response, (n,) and (n, n)."""
    Z = model.model_matrix("random").toarray()
    Lambda = np.zeros((Z.shape[1],) * 2)
    start = 0
    for term, factor in zip(model.design.random, model._relative_factors, strict=True):
        for _ in range(model.design.factors[term.factor].n_levels):
            stop = start + len(factor)
            Lambda[start:stop, start:stop] = factor
            start = stop
    weights = np.ones(model.nobs) if model.design.weights is None else model.design.weights
    offset = 0.0 if model.design.offset is None else model.design.offset
    mean = model.model_matrix().to_numpy() @ model.fixef.to_numpy() + offset
    root = Z @ Lambda
    return mean, model.sigma**2 * (root @ root.T + np.diag(1 / weights))


@pytest.mark.parametrize("name", ["weighted", "pastes", "machines", "penicillin"])
def test_moments_are_the_models(name):
    model = weighted_model()[1] if name == "weighted" else fitted_model(name)
    mean, covariance = dense(model)
    n = 4000
    L = np.linalg.cholesky(covariance)
    white = np.linalg.solve(L, model.simulate(n, seed=5).to_numpy() - mean[:, None])
    # Whitened draws are standard normal: means and all covariances within five standard errors.
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(n)
    error = np.abs(white @ white.T / n - np.eye(len(mean)))
    assert np.diag(error).max() < 5 * np.sqrt(2 / n)
    assert error.max() < 5.5 / np.sqrt(n) * np.sqrt(2)


def test_conditional_keeps_the_random_effects():
    data, model = weighted_model()
    Y = model.simulate(2000, seed=1, re="conditional")
    deviation = (Y.to_numpy() - model.fittedvalues.to_numpy()[:, None]) * np.sqrt(
        data["w"].to_numpy()[:, None]
    )
    assert np.abs(deviation.mean(axis=1)).max() < 5 * model.sigma / np.sqrt(2000)
    np.testing.assert_allclose(deviation.std(), model.sigma, rtol=0.01)


def test_replicates_depend_on_seed_and_number_alone():
    model = fitted_model("sleepstudy")
    many, few = model.simulate(10, seed=7), model.simulate(3, seed=7)
    assert many.columns.tolist() == [f"sim_{i}" for i in range(1, 11)]
    pd.testing.assert_frame_equal(many.iloc[:, :3], few)
    assert many.index.equals(model.design.index)
    assert not np.allclose(few, model.simulate(3, seed=8))
    assert not np.allclose(model.simulate(1), model.simulate(1))
    assert not np.allclose(many["sim_1"], many["sim_2"])


def test_bad_arguments_are_refused():
    model = fitted_model("sleepstudy")
    with pytest.raises(ValueError, match="n must be at least 1"):
        model.simulate(0)
    with pytest.raises(ValueError, match="re must be 'new' or 'conditional'"):
        model.simulate(1, re="old")
    with pytest.raises(ValueError, match="seed must not be negative"):
        model.simulate(1, seed=-1)
    with pytest.raises(TypeError, match="seed must be a whole number"):
        model.simulate(1, seed=1.5)


class TestNewData:
    """Simulation of other rows."""

    new = pd.DataFrame({"Days": [0.0, 1.0, 2.0, 3.0], "Subject": ["308", "x", "x", "y"]})

    def test_unseen_levels_share_new_effects(self):
        model = fitted_model("sleepstudy")
        Y = model.simulate(8000, seed=2, newdata=self.new)
        Z = np.column_stack([np.ones(4), self.new["Days"]])
        same = np.equal.outer(self.new["Subject"].to_numpy(), self.new["Subject"].to_numpy())
        block = Z @ model.var_corr["Subject"].to_numpy() @ Z.T
        covariance = block * same + model.sigma**2 * np.eye(4)
        scale = np.sqrt(np.diag(covariance))
        error = (np.cov(Y.to_numpy()) - covariance) / np.outer(scale, scale)
        assert np.abs(error).max() < 0.07
        mean = Z @ model.fixef.to_numpy()
        assert np.abs((Y.mean(axis=1) - mean) / scale).max() < 5 / np.sqrt(8000)

    def test_conditional_needs_fitted_levels(self):
        model = fitted_model("sleepstudy")
        with pytest.raises(DesignError, match=r"Subject: x, y"):
            model.simulate(1, newdata=self.new, re="conditional")
        old = crossnest.datasets.sleepstudy().iloc[[5, 100]]
        Y = model.simulate(3000, seed=1, newdata=old, re="conditional")
        fitted = model.fittedvalues.iloc[[5, 100]]
        assert np.abs(Y.mean(axis=1) - fitted).max() < 5 * model.sigma / np.sqrt(3000)

    def test_weights_and_offset_are_read(self):
        data, model = weighted_model()
        Y = model.simulate(4000, seed=3, newdata=data.iloc[:10], re="conditional")
        expected = model.sigma / np.sqrt(data["w"].iloc[:10])
        np.testing.assert_allclose(Y.std(axis=1), expected, rtol=0.06)
        np.testing.assert_allclose(Y.mean(axis=1), model.fittedvalues.iloc[:10], atol=2.5)
        with pytest.raises(DesignError, match="the model has weights"):
            model.simulate(1, newdata=data[["Days", "Subject", "o"]])

    def test_rows_that_miss_a_value_are_missing(self):
        new = self.new.assign(Days=[0.0, np.nan, 2.0, 3.0])
        Y = fitted_model("sleepstudy").simulate(2, seed=1, newdata=new)
        assert Y.isna().all(axis=1).tolist() == [False, True, False, False]

    @pytest.mark.parametrize("re", ["new", "conditional"])
    def test_rows_with_infinite_values_have_no_finite_response(self, re):
        """NumPy warned of an invalid value in a product of matrices."""
        new = crossnest.datasets.sleepstudy().iloc[:4].assign(Days=[0.0, np.inf, -np.inf, 3.0])
        Y = fitted_model("sleepstudy").simulate(5, seed=1, newdata=new, re=re)
        assert np.isfinite(Y).all(axis=1).tolist() == [True, False, False, True]
        assert not np.isfinite(Y.iloc[1:3]).any(axis=None)

    def test_nested_levels(self):
        model = fitted_model("pastes")
        new = pd.DataFrame({"batch": ["A", "Z", "Z"], "cask": ["a", "a", "b"]})
        Y = model.simulate(8000, seed=1, newdata=new).to_numpy()
        batch, cask = (model.var_corr[name].iloc[0, 0] for name in ("batch", "cask:batch"))
        error = 4 * (batch + cask + model.sigma**2) / np.sqrt(8000)
        covariance = np.cov(Y)
        assert abs(covariance[1, 2] - batch) < error
        assert abs(covariance[0, 1]) < error
        assert abs(covariance[1, 1] - batch - cask - model.sigma**2) < 1.5 * error
