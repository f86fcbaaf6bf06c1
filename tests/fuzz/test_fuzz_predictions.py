"""Predicting at rows of the data gives the fitted values there, by every way and in any order."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fuzz_cases import cases, logged, quietly
from fuzz_frames import VARIANTS, Case, cases_of_lmer, fitted_or_refused, rows_used, taken
from hypothesis import assume, given
from hypothesis import strategies as st

import crossnest

pytestmark = pytest.mark.fuzz


class Known:
    """What a model says of the rows it was fitted to, before anything was asked of it."""

    def __init__(self, case: Case, model: crossnest.LinearMixedModel):
        self.rows = rows_used(case, model)
        n = len(case.frame)
        self.mean, self.population, self.error = (np.full(n, np.nan) for _ in range(3))
        self.mean[self.rows] = model.fittedvalues
        self.population[self.rows] = model.predict(re="none")
        self.scale = np.abs(model.design.y).max() + model.sigma
        self.model = model

    def errors(self) -> np.ndarray:
        """Return the standard errors at the rows fitted."""
        self.error[self.rows] = self.model.predict(se=True)["se"]
        return self.error


def saved_and_loaded(model: crossnest.LinearMixedModel) -> crossnest.LinearMixedModel:
    """Save a model and load it; where a formula cannot be saved, pickle it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.crossnest"
        try:
            model.save(path, ddf=())
        except NotImplementedError:
            return pickle.loads(pickle.dumps(model))
        return crossnest.load(path)


def check_predictions(model, newdata, rows, known: Known) -> None:
    found = np.asarray(model.predict(newdata), dtype=float)
    np.testing.assert_allclose(found, known.mean[rows], rtol=1e-7, atol=1e-7 * known.scale)


def check_population(model, newdata, rows, known: Known) -> None:
    found = np.asarray(model.predict(newdata, re="none"), dtype=float)
    np.testing.assert_allclose(found, known.population[rows], rtol=1e-7, atol=1e-7 * known.scale)


def check_errors(model, newdata, rows, known: Known) -> None:
    table = model.predict(newdata, se=True)
    np.testing.assert_allclose(table["fit"], known.mean[rows], rtol=1e-7, atol=1e-7 * known.scale)
    np.testing.assert_allclose(
        table["se"], known.errors()[rows], rtol=1e-5, atol=1e-6 * known.model.sigma
    )


def check_augment(model, newdata, rows, known: Known) -> None:
    found = np.asarray(model.augment(newdata)[".fitted"], dtype=float)
    np.testing.assert_allclose(found, known.mean[rows], rtol=1e-7, atol=1e-7 * known.scale)


def check_simulate(model, newdata, rows, known: Known) -> None:
    drawn = np.asarray(model.simulate(2, seed=1, re="conditional", newdata=newdata))
    assert drawn.shape == (len(rows), 2)
    offset = np.abs(drawn - known.mean[rows][:, None])
    assert (offset <= 8 * model.sigma + 1e-7 * known.scale).all()


CHECKS = {
    "predict": check_predictions,
    "population": check_population,
    "se": check_errors,
    "augment": check_augment,
    "simulate": check_simulate,
}


@st.composite
def steps(draw):
    """Draw a sequence of calls, each with the rows it is made at."""
    actions = st.sampled_from(["predict"] * 3 + list(CHECKS) + ["save", "pickle"])
    return [
        (
            draw(actions),
            draw(st.sampled_from(["one", "few", "level", "shuffled", "repeated", "all"])),
            draw(st.sampled_from(VARIANTS)),
        )
        for _ in range(draw(st.integers(1, 5)))
    ]


def choose(case: Case, used: np.ndarray, which: str, rng: np.random.Generator) -> np.ndarray:
    """Choose rows of those used."""
    if which == "one":
        return rng.choice(used, 1)
    if which == "few":
        return rng.choice(used, min(4, len(used)), replace=False)
    if which == "level":
        name = rng.choice(["f", "h", "g", "a", "o", "l"])
        labels = case.frame[name].iloc[used].astype(str).to_numpy()
        return used[labels == rng.choice(labels)]
    if which == "shuffled":
        return rng.permutation(used)
    if which == "repeated":
        return rng.choice(used, len(used) + 7)
    return used


@cases(quick=90, share=0.45)
@given(case=cases_of_lmer(), sequence=steps())
@logged
def test_rows_of_the_data_are_predicted_as_fitted(case, sequence):
    model = fitted_or_refused("test_rows_of_the_data_are_predicted_as_fitted", case)
    assume(model is not None)
    rng = np.random.default_rng(case.seed)
    with quietly():
        known = Known(case, pickle.loads(pickle.dumps(model)))
        for action, which, variant in sequence:
            if action == "save":
                model = saved_and_loaded(model)
            elif action == "pickle":
                model = pickle.loads(pickle.dumps(model))
            else:
                rows = choose(case, known.rows, which, rng)
                CHECKS[action](model, taken(case, rows, variant), rows, known)


@cases(quick=15, share=0.05)
@given(case=cases_of_lmer(), which=st.sampled_from(["few", "repeated"]))
@logged
def test_rows_that_miss_a_value_are_predicted_as_missing(case, which):
    test = "test_rows_that_miss_a_value_are_predicted_as_missing"
    assume(case.types["x"] in ("float64", "float32", "whole floats", "Float64", "Int64", "arrow"))
    assume(case.container != "dict")
    model = fitted_or_refused(test, case)
    assume(model is not None and "x" in model.design.variables)
    rng = np.random.default_rng(case.seed)
    with quietly():
        known = Known(case, model)
        rows = choose(case, known.rows, which, rng)
        newdata = taken(case, rows, "as they are") if case.container == "pandas" else None
        assume(newdata is not None)
        gone = rng.random(len(rows)) < 0.5
        newdata["x"] = newdata["x"].mask(gone)
        found = np.asarray(model.predict(newdata), dtype=float)
    expected = np.where(gone, np.nan, known.mean[rows])
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7 * known.scale)
