"""Linear models: numbers and printed texts of R's `lm`, and least squares by brute force."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import crossnest
from crossnest import datasets
from crossnest.fit.least_squares import least_squares
from crossnest.linear.linear_model import LinearModel
from shared_files import shared

TESTS = Path(__file__).resolve().parents[1] / "expected"
CASES = json.loads((TESTS / "golden" / "lm" / "lm.json").read_text(encoding="utf-8"))["lm"]


def data_of(case: dict) -> pd.DataFrame:
    if case["data"] == "sleep":
        frame = datasets.sleepstudy()
        days = frame["Days"]
        root = np.sqrt(frame["Reaction"])
        frame = frame.assign(root=root, w=1 + days, o=10 * days, twice=2 * days)
    else:
        frame = datasets.load(case["data"])
    if case["data"] == "machines":
        worker = frame["Worker"].cat.as_unordered()
        frame = frame.assign(root=np.sqrt(frame["score"]), Worker=worker)
    frame.index += 1
    frame.attrs["name"] = case["data"]
    return frame if case["n_rows"] is None else frame.iloc[: case["n_rows"]]


def fit(case: dict) -> LinearModel:
    formula = case["formula"].replace("^", "**")
    arguments = {key: case[key] for key in ("weights", "offset")}
    if all(case["known"]):
        return crossnest.lm(formula, data_of(case), **arguments)
    with pytest.warns(crossnest.RankDeficiencyWarning, match="twice"):
        return crossnest.lm(formula, data_of(case), **arguments)


def numbers(values: object) -> np.ndarray:
    return np.array(values, dtype=float)


by_case = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


@by_case
def test_numbers_are_rs(case):
    model = fit(case)
    ours = [re.sub(r"\[T?\.?|\]", "", name).replace(" ** ", "^") for name in model.design.x_names]
    assert ours == [re.sub(r"(?<=e)\.(?=[LQC])", "", name) for name in case["names"]]
    assert [name not in model.dropped for name in model.design.x_names] == case["known"]
    assert model.df_resid == case["df"]
    if ours:
        table = model.summary().coef_table.to_numpy()
        np.testing.assert_allclose(table, numbers(case["coefficients"]), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(model.cov_params(), numbers(case["vcov"]), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(model.confint(), numbers(case["confint"]), rtol=1e-8, atol=1e-10)
    goodness = [model.sigma, model.rsquared, model.rsquared_adj]
    expected = numbers([case[key] for key in ("sigma", "r2", "adj_r2")])
    np.testing.assert_allclose(goodness, expected, rtol=1e-9)
    if case["f"] is not None:
        f = [model.fvalue, model.df_model, model.df_resid]
        np.testing.assert_allclose(f, numbers(case["f"]), rtol=1e-9)
    if case["logLik"] is not None:
        criteria = [model.llf, model.aic, model.bic]
        expected = [case["logLik"], case["AIC"], case["BIC"]]
        np.testing.assert_allclose(criteria, expected, rtol=1e-12)


@by_case
def test_texts_are_rs_line_by_line(case):
    summary = fit(case).summary()
    names = dict(zip(summary.all_names, case["names"], strict=True))
    summary = dataclasses.replace(
        summary,
        formula=case["formula"],
        all_names=tuple(case["names"]),
        coef_names=tuple(names[name] for name in summary.coef_names),
    )
    assert summary.text.split("\n") == case["summary_text"]
    assert [*summary.short_text.split("\n"), ""][: len(case["text"])] == case["text"]


@pytest.mark.parametrize("case", [c for c in CASES if c["anova"]], ids=lambda case: case["name"])
def test_sequential_analysis_of_variance_is_rs(case):
    table = fit(case).anova()
    np.testing.assert_allclose(table, numbers(case["anova"]), rtol=1e-7)
    names = dict(
        zip(table.index, [line.split()[0] for line in case["anova_text"][4:]], strict=False)
    )
    renamed = table.rename(index=names)
    renamed.heading = table.heading
    assert repr(renamed).split("\n") == case["anova_text"]


@pytest.mark.parametrize("case", [c for c in CASES if c["new"]], ids=lambda case: case["name"])
def test_predictions_are_rs(case):
    model, new = (
        fit(case),
        pd.DataFrame(case["new"], index=[f"row {i}" for i in range(len(case["new"]))]),
    )
    for interval, expected in case["predictions"].items():
        table = model.predict(new, interval=interval, level=0.9)
        assert list(table.columns) == ["fit", "se", "lower", "upper"]
        assert table.index.equals(new.index)
        np.testing.assert_allclose(table, numbers(expected), rtol=1e-9)
    pd.testing.assert_series_equal(model.predict(new), table["fit"])
    pd.testing.assert_frame_equal(model.predict(new, se=True), table[["fit", "se"]])


def test_predictions_of_the_rows_fitted():
    data = datasets.sleepstudy().assign(w=lambda frame: 1.0 + frame["Days"])
    model = crossnest.lm("Reaction ~ Days", data, weights="w")
    pd.testing.assert_series_equal(model.predict(), model.fittedvalues, check_names=False)
    mean = model.predict(interval="confidence")
    new = model.predict(interval="prediction")
    half = scipy.stats.t.ppf(0.975, 178)
    variance = ((new["upper"] - new["fit"]) / half) ** 2
    np.testing.assert_allclose(variance - mean["se"] ** 2, model.sigma**2 / data["w"])
    pd.testing.assert_series_equal(model.resid, data["Reaction"] - mean["fit"], check_names=False)


def test_predictions_that_cannot_be_made():
    data = datasets.sleepstudy()
    model = crossnest.lm("Reaction ~ Days + Subject", data, offset=10.0 * data["Days"])
    new = data.iloc[:2]
    with pytest.raises(ValueError, match="offset"):
        model.predict(new)
    with pytest.raises(ValueError, match="offset"):
        model.predict(offset=[1.0])
    with pytest.raises(ValueError, match="interval"):
        model.predict(interval="tolerance")
    with pytest.raises(crossnest.DesignError, match="Days"):
        model.predict(new.drop(columns="Days"), offset=[1.0, 2.0])
    with pytest.raises(crossnest.DesignError, match=r"Subject.*999"):
        model.predict(new.assign(Subject="999"), offset=[1.0, 2.0])
    missing = model.predict(new.assign(Days=[1.0, np.nan]), offset=[1.0, 2.0])
    assert missing.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("key", "formula"),
    [
        ("gp_pooled", "chol ~ age"),
        ("gp_grouped", "chol_grouped ~ age_grouped"),
        ("gp_varying_intercept", "chol ~ C(doctor) + age"),
        ("gp_varying_slope", "chol ~ age:C(doctor)"),
    ],
)
def test_the_four_styles_of_the_course(key, formula):
    data = pd.read_csv(shared("seeds/gp_cholesterol.csv"))
    expected = json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))[key]
    data.attrs["name"] = "g"
    if key == "gp_grouped":
        data = data.groupby("doctor")[["chol", "age"]].mean().add_suffix("_grouped")
        data.attrs["name"] = "gg"
    summary = crossnest.lm(formula, data).summary()
    ours = [re.sub(r"C\(doctor\)\[(?:T\.)?(\d+)\]", r"doctor\1", n) for n in summary.all_names]
    assert ours == expected["coef"]["term"]
    for column, values in summary.coef_table.items():
        assert_every_digit(values, expected["coef"][column])
    for name, value in {
        "sigma": summary.sigma,
        "df": summary.df_resid,
        "r2": summary.rsquared,
        "adj_r2": summary.rsquared_adj,
        "f": [summary.fvalue, summary.df_model, summary.df_resid],
        "resid_quantiles": summary.residual_quantiles,
    }.items():
        assert_every_digit(value, expected[name])
    r_formula = formula.replace("C(doctor)", "doctor")
    names = tuple(ours)
    printed = dataclasses.replace(summary, formula=r_formula, all_names=names, coef_names=names)
    assert printed.text.split("\n") == expected["text"]


def assert_every_digit(values: object, expected: object) -> None:
    """Compare with numbers of twelve significant digits: half a unit of the last is allowed."""
    np.testing.assert_allclose(values, expected, rtol=5.01e-12)


# ------------------------------------------------------------------------------- by brute force


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 3))
def test_aliased_columns_are_the_later_ones(seed, k, n_extra):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(12, k))
    y = rng.normal(size=12)
    at = np.sort(rng.integers(1, k + 1, size=n_extra))
    wide, is_new = X, np.ones(k, dtype=bool)
    for j in at[::-1]:  # combinations of the columns before them
        wide = np.insert(wide, j, X[:, :j] @ rng.normal(size=j), axis=1)
        is_new = np.insert(is_new, j, False)
    fit = least_squares(wide, y)
    np.testing.assert_array_equal(fit.kept, np.flatnonzero(is_new))
    np.testing.assert_allclose(fit.beta, np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-8)
    np.testing.assert_allclose(fit.unscaled, np.linalg.inv(X.T @ X), rtol=1e-6, atol=1e-9)


def test_weights_act_as_in_the_normal_equations():
    rng = np.random.default_rng(3)
    data = pd.DataFrame(
        {"x": rng.normal(size=30), "y": rng.normal(size=30), "o": rng.normal(size=30)}
    )
    weights = rng.uniform(0.5, 2, size=30)
    weights[:4] = 0
    model = crossnest.lm("y ~ x + offset(o)", data, weights=weights)
    assert model.nobs == 26
    X = np.column_stack([np.ones(30), data["x"]])
    gram = X.T @ (X * weights[:, None])
    beta = np.linalg.solve(gram, X.T @ (weights * (data["y"] - data["o"])))
    np.testing.assert_allclose(model.params, beta, rtol=1e-10)
    rss = weights @ (data["y"] - data["o"] - X @ beta) ** 2
    np.testing.assert_allclose(model.vcov, np.linalg.inv(gram) * rss / 24, rtol=1e-10)
    density = scipy.stats.norm(model.fittedvalues, np.sqrt(rss / 26 / weights[4:]))
    np.testing.assert_allclose(model.llf, density.logpdf(data["y"][4:]).sum(), rtol=1e-12)


# ------------------------------------------------------------------------------ data as for lmer


def test_rows_left_out_are_counted_in_the_summary():
    data = datasets.sleepstudy()
    data.loc[[3, 5], "Reaction"] = np.nan
    weights = np.ones(180)
    weights[0] = 0
    model = crossnest.lm("Reaction ~ Days", data, weights=weights)
    lines = model.summary().text.split("\n")
    assert "  (2 observations deleted due to missingness)" in lines
    assert "  (1 observation of weight zero left out)" in lines
    assert "Residuals:" in lines  # the weights are equal
    assert model.resid.index.equals(data.index.delete([0, 3, 5]))
    with pytest.raises(crossnest.DesignError, match=r"missing values.*Reaction"):
        crossnest.lm("Reaction ~ Days", data, na_action="raise")


def test_contrasts_and_other_data_frames():
    polars = pytest.importorskip("polars")
    data = datasets.machines()
    model = crossnest.lm("score ~ Machine", data, contrasts={"Machine": "contr.sum"})
    means = data.groupby("Machine", observed=True)["score"].mean()
    np.testing.assert_allclose(model.params.iloc[0], means.mean(), rtol=1e-12)
    frame = polars.DataFrame({"score": data["score"], "Machine": data["Machine"].astype(str)})
    again = crossnest.lm("score ~ C(Machine, contr.sum)", frame)
    np.testing.assert_allclose(again.params, model.params, rtol=1e-12)


def test_a_random_effects_term_is_for_lmer():
    with pytest.raises(crossnest.FormulaError, match=r"`\(1 \| Subject\)`.*crossnest.lmer"):
        crossnest.lm("Reaction ~ Days + (1 | Subject)", datasets.sleepstudy())
    with pytest.raises(crossnest.FormulaError, match=r"`crossnest\.lm`"):
        crossnest.lmer("Reaction ~ Days", datasets.sleepstudy())


def test_a_dot_stands_for_every_other_column():
    data = datasets.sleepstudy()
    model = crossnest.lm("Reaction ~ .", data)
    assert model.df_model == 18
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.conf_int(alpha=2)
    pd.testing.assert_frame_equal(model.conf_int(0.1), model.confint(0.9))


def test_html_has_every_coefficient():
    model = crossnest.lm("Reaction ~ Days", datasets.sleepstudy())
    text = model._repr_html_()
    assert "251.405" in text and "Days" in text and "F-statistic: 71.46" in text
    assert "***" in text and "p-value: 9.894e-15" in text


def test_models_are_pickled():
    data = datasets.sleepstudy()
    model = crossnest.lm("Reaction ~ .", data)
    again = pickle.loads(pickle.dumps(model))
    assert str(again.summary()) == str(model.summary())
    assert again.design.formula.random == ()


def test_exact_fits_have_an_infinite_f_value():
    # float division by zero, where nothing is left once the offset is taken off.
    data = pd.DataFrame({"x": [1.0, 2.0, 3.0, 5.0], "y": [2.0, 1.0, 4.0, 3.0]})
    assert crossnest.lm("y ~ x", data, offset="y").fvalue == np.inf
