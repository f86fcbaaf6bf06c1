"""Fits to many responses: each is a single fit's, whatever the others and the threads."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model
from crossnest.base.errors import DesignError

CASES = [
    "sleepstudy",
    "sleepstudy_ml",
    "sleepstudy_zcp",
    "pastes",
    "penicillin",
    "machines",
    "dyestuff2",
    "no_fixed",
]


@pytest.mark.parametrize("name", CASES)
def test_equal_single_fits(name):
    model = fitted_model(name)
    Y = model.simulate(25, seed=3)
    many = model.refit_many(Y)
    for j, column in enumerate(Y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", crossnest.CrossnestWarning)
            single = model.refit(Y[column])
        assert many.status[j] == ("singular" if single.is_singular else "ok")
        np.testing.assert_allclose(many.objective[j], single.objective, rtol=1e-10, atol=1e-8)
        np.testing.assert_allclose(many.sigma[j], single.sigma, rtol=1e-4)
        np.testing.assert_allclose(many.fixef[j], single.fixef, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(many.bse[j], single.bse, rtol=1e-3)
        if not single.is_singular:
            np.testing.assert_allclose(many.theta[j], single.theta, rtol=1e-2, atol=1e-4)


def test_weights_and_offset_count():
    data = crossnest.datasets.sleepstudy()
    data["w"], data["o"] = 1.0 + data["Days"] / 5, 3.0 * data["Days"]
    model = crossnest.lmer(
        "Reaction ~ Days + (Days | Subject)", data, weights="w", offset="o", reml=False
    )
    many = model.refit_many(data[["Reaction"]])
    np.testing.assert_allclose(many.objective, model.objective, rtol=1e-11)
    np.testing.assert_allclose(many.fixef[0], model.fixef, rtol=1e-6)
    np.testing.assert_allclose(many.bse[0], model.bse, rtol=1e-4)


def test_result_does_not_depend_on_threads_or_on_the_other_responses():
    model = fitted_model("sleepstudy")
    Y = model.simulate(70, seed=1).to_numpy()
    all_of_them, one = model.refit_many(Y, n_jobs=3), model.refit_many(Y, n_jobs=1)
    some = model.refit_many(Y[:, 41:50], n_jobs=2)
    for name in ("objective", "theta", "fixef", "bse", "sigma", "status", "evaluations"):
        np.testing.assert_array_equal(getattr(one, name), getattr(all_of_them, name))
        np.testing.assert_array_equal(getattr(some, name), getattr(one, name)[41:50])


def test_responses_far_from_zero_keep_their_digits():
    model = fitted_model("sleepstudy")
    Y = model.simulate(3, seed=1)
    near, far = model.refit_many(Y), model.refit_many(Y + 1e7)
    np.testing.assert_allclose(far.objective, near.objective, atol=1e-6)
    np.testing.assert_allclose(far.theta, near.theta, rtol=1e-4)


def test_what_cannot_be_fitted_fails_alone():
    model = fitted_model("sleepstudy")
    Y = model.simulate(5, seed=1)
    Y.iloc[17, 0] = np.nan
    Y.iloc[3, 1] = np.inf
    Y["sim_3"] = 4.0
    Y["sim_4"] = 2.0 + 3.0 * model.design.X[:, 1]
    many = model.refit_many(Y)
    assert many.status.tolist() == ["failed"] * 4 + ["ok"]
    assert "missing or infinite" in many.reason[0] and "missing or infinite" in many.reason[1]
    assert "constant or fitted exactly" in many.reason[2]
    assert many.usable.tolist() == [False] * 4 + [True]
    assert np.isnan(many.objective[:4]).all() and np.isnan(many.fixef[:4]).all()
    assert repr(many) == "5 responses fitted: 4 failed, 1 ok"
    frame = many.to_frame()
    assert frame.index.tolist() == Y.columns.tolist()
    assert frame.loc["sim_5", "Days"] == many.fixef[4, 1]


def test_an_optimizer_that_gives_up_says_so():
    data = crossnest.datasets.sleepstudy()[7:]  # moments give the minimum of balanced designs
    with pytest.warns(crossnest.CrossnestWarning):
        hasty = crossnest.lmer(
            "Reaction ~ Days + (Days | Subject)", data, control=crossnest.Control(max_evaluations=1)
        )
    many = hasty.refit_many(hasty.simulate(2, seed=1) ** 2)
    assert (many.status == "not converged").all()
    assert np.isfinite(many.objective).all()


def test_rows_of_the_data_are_taken_too():
    data = crossnest.datasets.sleepstudy()
    data.loc[[0, 50], "Days"] = np.nan
    model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data)
    y = data["Reaction"].to_numpy()[:, None]
    used = model.refit_many(np.delete(y, [0, 50], axis=0))
    np.testing.assert_array_equal(model.refit_many(y).objective, used.objective)
    np.testing.assert_allclose(used.objective, model.objective, rtol=1e-11)


@pytest.mark.parametrize(
    ("Y", "text"),
    [
        (np.zeros(180), "two dimensions"),
        (np.zeros((179, 2)), "179 rows, expected 180"),
        (pd.DataFrame({"a": ["x"] * 180}), "must be numbers, not text"),
    ],
)
def test_bad_responses_are_refused(Y, text):
    with pytest.raises(DesignError, match=text):
        fitted_model("sleepstudy").refit_many(Y)


def test_labelled_responses_go_by_their_labels():
    model = fitted_model("sleepstudy")
    Y = pd.DataFrame({"a": model.design.y, "b": model.design.y**2}, index=model.design.index)
    shuffled = Y.sample(frac=1, random_state=1)
    expected = model.refit_many(Y).objective
    np.testing.assert_array_equal(model.refit_many(shuffled).objective, expected)
    with pytest.raises(
        DesignError, match="the DataFrame given as the responses does not have the index"
    ):
        model.refit_many(Y.set_axis(range(1000, 1180)))


def test_long_work_is_watched(monkeypatch):
    watched = []

    def track(items, label, enabled):
        watched.append((label, enabled))
        return iter(items)

    monkeypatch.setattr("crossnest.fit.refits.track", track)
    model = fitted_model("sleepstudy")
    model.refit_many(np.eye(180)[:, :2])
    model.refit_many(np.eye(180)[:, :2], progress=False)
    assert watched == [(f"{model.formula}: fits", True), (f"{model.formula}: fits", False)]


def test_bad_n_jobs_is_refused():
    with pytest.raises(ValueError, match="n_jobs must be at least 1"):
        fitted_model("sleepstudy").refit_many(np.zeros((180, 1)), n_jobs=0)
    assert len(fitted_model("sleepstudy").refit_many(np.zeros((180, 0)))) == 0


def test_control_c_stops_all_threads(interrupted):
    model = fitted_model("machines")
    Y = np.random.default_rng(1).standard_normal((model.nobs, 200_000))
    before = threading.active_count()
    with interrupted(0.3):
        model.refit_many(Y, n_jobs=2)
    assert threading.active_count() == before
    assert (model.refit_many(Y[:, :3]).status != "failed").all()


def test_moments_give_the_fit_of_balanced_designs_at_once():
    model = fitted_model("sleepstudy")
    many = model.refit_many(model.simulate(50, seed=2).to_numpy())
    inside = many.status == "ok"
    assert inside.sum() > 40
    assert (many.evaluations[inside] == 1).all()
