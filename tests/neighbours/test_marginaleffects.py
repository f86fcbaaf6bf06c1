"""The adapter for the package marginaleffects, against our own means, slopes and tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.testing import assert_allclose

import crossnest

pytest.importorskip("marginaleffects")

import polars as pl
from marginaleffects import (
    avg_comparisons,
    avg_predictions,
    avg_slopes,
    comparisons,
    datagrid,
    hypotheses,
    predictions,
    slopes,
)

from crossnest.neighbours.marginaleffects import adapt

# marginaleffects 0.6 calls what polars deprecates in 1.x, and removed in 2.
pytestmark = pytest.mark.filterwarnings("ignore:.*get_categories:DeprecationWarning")
needs_polars_1 = pytest.mark.skipif(
    not hasattr(pl.Series(dtype=pl.Enum(["a"])).cat, "get_categories"),
    reason="marginaleffects 0.6 cannot read factors of polars 2",
)

DDF = ["satterthwaite", "kenward-roger", "residual", "normal"]
#: marginaleffects differentiates slopes numerically; linear functions are so in one long step.
STEP = {"eps_vcov": 1.0}
#: The Jacobian is by automatic differentiation where there is no offset.
EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(scope="module")
def curved():
    """Return a model with a transform that remembers its data, an interaction and a factor."""
    data = crossnest.datasets.cake()
    return crossnest.lmer(
        "angle ~ recipe * poly(temp, 2) + (1 | recipe:replicate)", data.assign(temp=data["temp"])
    )


def by_tester(model, L, ddf, null=0.0):
    """Compute estimates, standard errors, df and p-values of L beta by the model's own tests."""
    from crossnest.inference.ddf import tester

    return tester(model, ddf).t_table(np.atleast_2d(L), null).to_numpy().T


def assert_same(result, estimate, error, df, statistic, pvalue):
    table = result.data
    assert_allclose(table["estimate"], estimate, **EXACT)
    assert_allclose(table["std_error"], error, **EXACT)
    assert_allclose(table["df"], df, rtol=1e-6)
    assert_allclose(table["statistic"], statistic, **EXACT)
    assert_allclose(table["p_value"], pvalue, rtol=1e-6)
    half = scipy.stats.t.ppf(0.975, df) * error
    assert_allclose(table["conf_low"], estimate - half, rtol=1e-7)
    assert_allclose(table["conf_high"], estimate + half, rtol=1e-7)


@pytest.mark.parametrize("ddf", DDF)
def test_predictions_of_the_population(ddf, fitted):
    model = fitted("sleepstudy")
    adapted = adapt(model, ddf)
    new = pd.DataFrame({"Days": [0.0, 4.5, 20.0]})
    result = adapted.with_df(predictions(adapted, newdata=new))
    assert_same(result, *by_tester(model, np.column_stack([np.ones(3), new["Days"]]), ddf))
    ours = model.predict(new, re="none", se=True)
    assert_allclose(result["estimate"], ours["fit"], **EXACT)
    if ddf != "kenward-roger":
        assert_allclose(result["std_error"], ours["se"], **EXACT)


def test_predictions_at_the_rows_fitted(fitted):
    model = fitted("sleepstudy")
    adapted = adapt(model)
    assert_allclose(predictions(adapted)["estimate"], model.predict(re="none"), **EXACT)
    by_subject = predictions(adapted, by="Days")
    assert_allclose(
        by_subject["estimate"],
        model.fixef.iloc[0] + by_subject["Days"].to_numpy() * model.fixef.iloc[1],
    )
    average = avg_predictions(adapted)
    assert_allclose(average["estimate"], model.design.y.mean(), rtol=1e-9)


@pytest.mark.parametrize("ddf", DDF)
def test_slopes_are_those_of_emtrends(ddf, fitted):
    model = fitted("sleepstudy")
    adapted = adapt(model, ddf)
    slope = adapted.with_df(avg_slopes(adapted, variables="Days", **STEP))
    assert_allclose(slope["estimate"], model.fixef["Days"], rtol=1e-8)
    trend = model.emtrends("1", "Days", ddf=ddf).table.iloc[0]
    ours = trend[["Days.trend", "SE", "df", "lower.CL", "upper.CL"]] if ddf != "normal" else None
    if ours is not None:
        given = slope.data[["estimate", "std_error", "df", "conf_low", "conf_high"]].row(0)
        assert_allclose(given, ours.astype(float), rtol=1e-7)


def test_columns_of_marginaleffects_itself(fitted):
    model = fitted("sleepstudy")
    for ddf, df in [("normal", np.inf), ("residual", 178), ("kenward-roger", np.inf)]:
        adapted = adapt(model, ddf)
        plain = avg_slopes(adapted, variables="Days", **STEP)
        assert "df" not in plain.data.columns
        half = scipy.stats.t.ppf(0.975, df) * plain["std_error"][0]
        assert_allclose(plain["conf_high"] - plain["estimate"], half)
    adapted = adapt(model, "residual")
    plain = avg_slopes(adapted, variables="Days", **STEP)
    same = adapted.with_df(plain)
    assert_allclose(same["p_value"], plain["p_value"], rtol=1e-4)
    assert_allclose(same["conf_low"], plain["conf_low"])


@needs_polars_1
def test_comparisons_are_those_of_emmeans(fitted):
    model = fitted("machines")
    adapted = adapt(model, "kenward-roger")
    result = avg_comparisons(adapted, variables={"Machine": "revpairwise"})
    result = adapted.with_df(result)
    assert result["contrast"].to_list() == ["A - B", "A - C", "B - C"]
    pairs = model.emmeans("Machine", contrasts="pairwise", adjust="none").contrasts
    assert_allclose(
        result.data[["estimate", "std_error", "df", "statistic", "p_value"]].to_numpy(),
        pairs[["estimate", "SE", "df", "t.ratio", "p.value"]].to_numpy(float),
        rtol=1e-7,
    )


@needs_polars_1
def test_predictions_on_a_grid_are_those_of_emmeans(fitted):
    model = fitted("machines")
    adapted = adapt(model, "kenward-roger")
    grid = datagrid(model=adapted, Machine=["A", "B", "C"])
    means = model.emmeans("Machine").table
    for result in (predictions(adapted, newdata=grid), predictions(adapted, by="Machine")):
        table = adapted.with_df(result).data
        assert_allclose(
            table[["estimate", "std_error", "df", "conf_low", "conf_high"]].to_numpy(),
            means[["emmean", "SE", "df", "lower.CL", "upper.CL"]].to_numpy(float),
            rtol=1e-7,
        )


@needs_polars_1
def test_slopes_of_a_curve_by_hand(curved):
    adapted = adapt(curved, "satterthwaite")
    at = datagrid(model=adapted, temp=[180.0, 210.0], recipe=["A", "C"])
    result = adapted.with_df(slopes(adapted, variables="temp", newdata=at, **STEP))
    rows = at.select("temp", "recipe").to_pandas()
    step = pd.DataFrame({"temp": rows["temp"] + 5e-5, "recipe": rows["recipe"]})
    back = pd.DataFrame({"temp": rows["temp"] - 5e-5, "recipe": rows["recipe"]})
    L = (adapted.get_exog(pl.from_pandas(step)) - adapted.get_exog(pl.from_pandas(back))) / 1e-4
    estimate, error, df, _, pvalue = by_tester(curved, L, "satterthwaite")
    assert_allclose(result["estimate"], estimate, rtol=1e-6)
    assert_allclose(result["std_error"], error, rtol=1e-6)
    assert_allclose(result["df"], df, rtol=1e-6)
    assert_allclose(result["p_value"], pvalue, rtol=1e-5)
    moved = curved.predict(step, re="none") - curved.predict(back, re="none")
    assert_allclose(result["estimate"], moved / 1e-4, rtol=1e-6)


@needs_polars_1
def test_interaction_by_cross_comparisons(curved):
    adapted = adapt(curved)
    result = comparisons(
        adapted,
        variables={"recipe": ["A", "B"], "temp": [185.0, 215.0]},
        cross=True,
        newdata=datagrid(model=adapted),
    )
    ends = pd.DataFrame({"recipe": ["B", "A"], "temp": [215.0, 185.0]})
    high, low = curved.predict(ends, re="none")
    assert_allclose(result["estimate"], high - low, **EXACT)


@pytest.mark.parametrize("ddf", DDF)
def test_hypotheses(ddf, fitted):
    model = fitted("machines")
    adapted = adapt(model, ddf)
    every = adapted.with_df(hypotheses(adapted))
    assert "Df" in str(every) and "P(>|t|)" in str(every)
    assert every["term"].to_list() == list(model.fixef.index)
    tests = model.contest(np.eye(3), joint=False, ddf=ddf).to_numpy()
    given = every.data[["estimate", "std_error", "df"]].to_numpy()
    assert_allclose(given, tests[:, :3], rtol=1e-7)
    one = adapted.with_df(hypotheses(adapted, hypothesis="b2 - b1 = 5"))
    estimate, error, df, statistic, pvalue = by_tester(model, [0, -1, 1], ddf, 5.0)
    assert_allclose(one["estimate"], estimate - 5)
    assert_allclose(one["std_error"], error, rtol=1e-6)
    assert_allclose(one["df"], df, rtol=1e-6)
    assert_allclose(one["statistic"], statistic, rtol=1e-6)
    assert_allclose(one["p_value"], pvalue, rtol=1e-5)


def test_null_values_other_than_zero(fitted):
    model = fitted("sleepstudy")
    adapted = adapt(model, "satterthwaite")
    result = adapted.with_df(avg_slopes(adapted, variables="Days", hypothesis=8, **STEP))
    test = model.contest([0, 1], rhs=8.0, joint=False)
    assert_allclose(result["p_value"], test["Pr(>|t|)"], rtol=1e-6)


def test_nonlinear_hypothesis_by_the_delta_method(fitted):
    model = fitted("machines")
    adapted = adapt(model, "satterthwaite")
    ratio = adapted.with_df(hypotheses(adapted, hypothesis="b2 / b1 = 1"))
    b = model.fixef.to_numpy()
    gradient = np.array([0, -b[2] / b[1] ** 2, 1 / b[1]])
    _, error, df, _, _ = by_tester(model, gradient, "satterthwaite")
    assert_allclose(ratio["std_error"], error, rtol=1e-6)
    assert_allclose(ratio["df"], df, rtol=1e-5)


def test_choice_of_the_covariance_matrix(fitted):
    model = fitted("sleepstudy_zcp")
    adjusted = model.confint("kenward-roger", parm="beta_")  # fails if it is unavailable
    assert len(adjusted) == 2
    normal, kenward_roger = adapt(model), adapt(model, "kenward-roger")
    plain = avg_slopes(normal, variables="Days", **STEP)["std_error"]
    assert_allclose(plain, model.bse["Days"], rtol=1e-7)
    by_name = avg_slopes(normal, variables="Days", vcov="kenward-roger", **STEP)["std_error"]
    assert_allclose(by_name, avg_slopes(kenward_roger, variables="Days", **STEP)["std_error"])
    unadjusted = avg_slopes(kenward_roger, variables="Days", vcov="model", **STEP)["std_error"]
    assert_allclose(unadjusted, plain)
    own = avg_slopes(normal, variables="Days", vcov=4 * model.vcov.to_numpy(), **STEP)["std_error"]
    assert_allclose(own, 2 * plain.to_numpy())
    assert "std_error" not in avg_slopes(normal, variables="Days", vcov=False).data.columns
    with pytest.raises(ValueError, match="'HC3'"):
        avg_slopes(normal, variables="Days", vcov="HC3")


def test_offset_in_the_formula():
    data = crossnest.datasets.sleepstudy()
    data["known"] = np.sqrt(data["Days"]) * 3
    model = crossnest.lmer("Reaction ~ Days + offset(known) + (1 | Subject)", data)
    adapted = adapt(model, "satterthwaite")
    new = pd.DataFrame({"Days": [1.0, 2.0], "known": [10.0, 0.0]})
    result = predictions(adapted, newdata=new)
    ours = model.predict(new, re="none", se=True)
    assert_allclose(result["estimate"], ours["fit"])
    assert_allclose(result["std_error"], ours["se"], rtol=1e-6)  # finite differences
    outside = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, offset="known")
    with pytest.raises(ValueError, match=r"offset\(column\)"):
        adapt(outside)


@needs_polars_1
def test_what_is_not_estimable_is_nan():
    data = crossnest.datasets.cake()
    data["hot"] = np.where(data["temp"] > 200, "yes", "no")
    data = data[~((data["recipe"] == "C") & (data["hot"] == "yes"))]
    with pytest.warns(crossnest.RankDeficiencyWarning):
        model = crossnest.lmer("angle ~ recipe * hot + (1 | replicate)", data)
    new = pd.DataFrame({"recipe": ["A", "C", "C"], "hot": ["yes", "no", "yes"]})
    result = predictions(adapt(model), newdata=new)
    assert_allclose(result["estimate"][:2], model.predict(new, re="none")[:2])
    assert np.isnan(result["estimate"][2])
    assert np.isnan(result["std_error"][2])


@needs_polars_1
def test_kinds_of_variables():
    data = crossnest.datasets.cake().assign(
        treated=lambda d: d["temp"] > 200, dummy=lambda d: (d["recipe"] == "B").astype(int)
    )
    model = crossnest.lmer("angle ~ recipe + treated + dummy:temp + (1 | replicate)", data)
    adapted = adapt(model)
    kinds = {name: adapted.get_variable_type(name) for name in adapted.find_predictors()}
    assert kinds == {
        "recipe": "character",
        "treated": "boolean",
        "dummy": "binary",
        "temp": "numeric",
    }
    assert adapted.find_response() == "angle"
    effect = avg_comparisons(adapted, variables="treated")
    assert_allclose(effect["estimate"], model.fixef["treated[T.True]"], **EXACT)


def test_results_that_cannot_have_degrees_of_freedom(fitted):
    adapted = adapt(fitted("sleepstudy"), "satterthwaite")
    for options in ({"vcov": False}, {"transform": "exp"}):
        with pytest.raises(ValueError, match="no standard errors"):
            adapted.with_df(avg_slopes(adapted, variables="Days", **options))
    with pytest.raises(ValueError, match="equivalence"):
        adapted.with_df(avg_slopes(adapted, variables="Days", equivalence=[0.0, 20.0]))


def test_models_that_cannot_be_adapted(fitted, tmp_path):
    with pytest.raises(ValueError, match="ddf='none'"):
        adapt(fitted("sleepstudy"), "none")
    with pytest.raises(ValueError, match="REML"):
        adapt(fitted("sleepstudy_ml"), "kenward-roger")
    fitted("sleepstudy").save(tmp_path / "model")
    with pytest.raises(crossnest.NoDataError):
        adapt(crossnest.load(tmp_path / "model"))
