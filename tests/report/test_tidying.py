"""Tidy data frames of results, against R's broom.mixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.testing import assert_allclose

import crossnest
from crossnest.inference import ddf, tester

CASES = json.loads(
    (Path(__file__).parents[1] / "expected" / "golden/tidying/broom_mixed.json").read_text(
        encoding="utf-8"
    )
)["cases"]

FORMULAS = {
    "sleepstudy": "Reaction ~ Days + (Days | Subject)",
    "sleepstudy_weights_ml": "Reaction ~ Days + (1 | Subject)",
    "penicillin": "diameter ~ 1 + (1 | plate) + (1 | sample)",
    "pastes": "strength ~ 1 + (1 | batch/cask)",
}


@pytest.fixture(scope="module", params=FORMULAS)
def case(request):
    """Return a model at R's theta and broom.mixed's tables."""
    name = request.param
    data = crossnest.datasets.load(name.split("_")[0])
    arguments = {}
    if name == "sleepstudy_weights_ml":
        arguments = {"weights": 1.0 + data["Days"].to_numpy() % 3, "reml": False}
    model = crossnest.lmer(FORMULAS[name], data, **arguments)
    return model.evaluate(CASES[name]["theta"]), CASES[name]


def assert_table_equal(table, expected, keys=()):
    """Compare the columns of R's table, after sorting both by `keys`."""
    right = pd.DataFrame(expected)
    left = table[list(right.columns)]
    if keys:
        left, right = left.sort_values(list(keys)), right.sort_values(list(keys))
    for name in right.columns:
        if pd.api.types.is_numeric_dtype(right[name]):
            values = left[name].to_numpy(float)
            # Column by column: what is near zero among conditional modes has the error of others.
            atol = 1e-8 * np.abs(right[name]).max()
            assert_allclose(values, right[name], rtol=1e-8, atol=atol, err_msg=name)
        else:
            assert left[name].astype(str).tolist() == right[name].tolist()


def test_fixed(case):
    model, expected = case
    table = model.tidy("fixed", conf_int=True, ddf="none")
    assert_table_equal(table, expected["fixed"])
    assert list(table.columns) == list(expected["fixed"])
    assert "conf.low" not in model.tidy("fixed", ddf="none")


def test_fixed_with_infinite_degrees_of_freedom(case):
    model, expected = case
    table = model.tidy("fixed", conf_int=True, ddf="normal")
    assert_table_equal(table, expected["fixed"])
    assert np.isinf(table["df"]).all()
    assert_allclose(table["p.value"], 2 * scipy.stats.norm.sf(np.abs(table["statistic"])))


def test_fixed_with_degrees_of_freedom(case, monkeypatch):
    model, expected = case
    df = np.array(expected["fixed_satterthwaite"]["df"])

    class GivenDf(tester.Tester):
        def df(self, L):
            return L @ df

    given = GivenDf(model.fixef.to_numpy(), model._fit.RX, model.sigma)
    monkeypatch.setattr(ddf, "tester", lambda *_: given)
    table = model.tidy("fixed", conf_int=True)
    assert_table_equal(table, expected["fixed_satterthwaite"])
    assert list(table.columns) == list(expected["fixed_satterthwaite"])


def test_ran_pars(case):
    model, expected = case
    table = model.tidy("ran_pars")
    assert_table_equal(table, expected["ran_pars"])
    assert list(table.columns) == list(expected["ran_pars"])


def test_ran_vals(case):
    model, expected = case
    table = model.tidy("ran_vals", conf_int=True)
    assert_table_equal(table, expected["ran_vals"], ("group", "term", "level"))
    assert list(table.columns) == list(expected["ran_vals"])


def test_ran_coefs(case):
    model, expected = case
    table = model.tidy("ran_coefs")
    assert_table_equal(table, expected["ran_coefs"], ("group", "term", "level"))
    assert model.tidy("ran_coefs", conf_int=True)["conf.low"].isna().all()


def test_glance(case):
    model, expected = case
    assert_table_equal(model.glance(), expected["glance"])
    assert list(model.glance().columns) == list(expected["glance"])


def test_augment(case):
    model, expected = case
    table = model.augment()
    columns = {k: v for k, v in expected["augment"].items() if k != "(weights)"}
    assert_table_equal(table.head(5), columns)
    assert len(table) == model.nobs


def test_augment_without_fixed_effects():
    data = crossnest.datasets.sleepstudy()
    table = crossnest.lmer("Reaction ~ 0 + (1 | Subject)", data, reml=False).augment()
    assert ".cooksd" not in table
    assert (table[".fixed"] == 0).all()


def test_several_effects_in_one_table(fitted):
    table = fitted("sleepstudy").tidy(["ran_pars", "fixed", "ran_vals"], conf_int=True, ddf="none")
    assert table["effect"].value_counts().to_dict() == {"ran_pars": 4, "fixed": 2, "ran_vals": 36}
    order = ["effect", "group", "level", "term", "estimate", "std.error", "statistic"]
    assert list(table.columns) == [*order, "conf.low", "conf.high"]
    assert table.loc[table["effect"] == "ran_pars", "conf.low"].isna().all()


def test_augment_with_missing_values_and_an_offset():
    data = crossnest.datasets.sleepstudy()
    data.loc[3, "Reaction"] = np.nan
    data["known"] = 2.0
    model = crossnest.lmer("Reaction ~ Days + offset(known) + (1 | Subject)", data)
    table = model.augment()
    assert table.index.equals(model.design.index)
    assert (table[".offset"] == 2.0).all()
    assert {"Reaction", "Days", "known", "Subject"} < set(table.columns)
    assert_allclose(table[".fitted"] + table[".resid"], table["Reaction"])


def test_augment_new_data(fitted):
    polars = pytest.importorskip("polars")
    model = fitted("sleepstudy")
    columns = {"Days": [0, 12], "Subject": ["308", "309"], "Reaction": [250.0, 200.0], "z": [1, 2]}
    table = model.augment(columns)
    assert list(table.columns) == [*columns, ".fitted", ".fixed", ".resid"]
    assert_allclose(table[".fitted"], model.predict(columns))
    assert_allclose(table[".fixed"], model.predict(columns, re="none"))
    assert_allclose(table[".resid"], table["Reaction"] - table[".fitted"])
    assert model.augment(polars.DataFrame(columns)).equals(table)
    frame = pd.DataFrame(columns, index=["a", "b"])
    without = model.augment(frame.drop(columns="Reaction"))
    assert ".resid" not in without
    assert list(without.index) == ["a", "b"]
    assert list(frame.columns) == list(columns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effects": "random"}, "effects must be one of fixed, ran_pars"),
        ({"effects": []}, "effects is empty"),
        ({"conf_int": True, "level": 95}, "level must be between"),
    ],
)
def test_unknown_options_are_refused(fitted, arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted("sleepstudy").tidy(**arguments)
