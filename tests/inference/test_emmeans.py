"""Estimated marginal means, slopes and contrasts against R's emmeans and by hand."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from crossnest import datasets, lmer
from crossnest.inference.contrast_families import contrast_family
from crossnest.inference.emm_table import EmmTable
from crossnest.inference.estimability import RowSpace
from crossnest.inference.multiplicity import adjusted_pvalues
from crossnest.inference.reference_grid import MAX_CELLS, reference_grid

GOLDEN = Path(__file__).resolve().parents[1] / "expected" / "golden" / "emmeans" / "emmeans.json"
OWN = {"175 vs rest": [1, -0.5, -0.5], "ends": [1, 0, -1]}


def every(data: pd.DataFrame, k: int) -> pd.DataFrame:
    """Leave out every k-th row."""
    return data[np.arange(1, len(data) + 1) % k != 0]


@functools.cache
def frames() -> dict[str, pd.DataFrame]:
    """The data of tests/expected/golden/make_emmeans.R."""
    cake = datasets.cake()
    cake["batch"] = cake["replicate"]
    cake["cell"] = (cake["recipe"].astype(str) + cake["temperature"].astype(str)).astype("category")
    unbalanced = every(cake[cake["temp"] < 205], 7)
    hole = (unbalanced["recipe"] == "A") & (unbalanced["temperature"].astype(str) == "175")
    sleep = datasets.sleepstudy()
    sleep["known"] = 2.0 * sleep["Days"] + 3
    sleep["late"] = (sleep["Days"] > 4) * 1.0
    return {
        "cake": cake,
        "unbalanced": unbalanced,
        "empty": unbalanced[~hole],
        "machines": every(datasets.machines(), 5),
        "orthodont": every(datasets.orthodont(), 5),
        "sleepstudy": sleep,
    }


FORMULAS = {
    "cake": ("cake", "angle ~ recipe * temperature + (1 | recipe:batch)"),
    "unbalanced": ("unbalanced", "angle ~ recipe + temperature + (1 | recipe:batch)"),
    "empty": ("empty", "angle ~ recipe * temperature + (1 | recipe:batch)"),
    "nested": ("empty", "angle ~ recipe + cell + (1 | recipe:batch)"),
    "slashed": ("unbalanced", "angle ~ recipe / temperature + (1 | recipe:batch)"),
    "machines": ("machines", "score ~ Machine + (0 + Machine | Worker)"),
    "orthodont": ("orthodont", "distance ~ age * Sex + (age | Subject)"),
    "offset": ("sleepstudy", "Reaction ~ Days + offset(known) + (Days | Subject)"),
    "two": ("sleepstudy", "Reaction ~ late + (1 | Subject)"),
    "quadratic": ("sleepstudy", "Reaction ~ poly(Days, 2) + (1 | Subject)"),
    "curve": ("cake", "angle ~ recipe * np.log(temp) + I(temp**2) + (1 | recipe:batch)"),
    "days": ("sleepstudy", "Reaction ~ C(Days) + (1 | Subject)"),
    "slopes": ("cake", "angle ~ recipe * temp + I(temp**2) + (1 | recipe:batch)"),
}


@functools.cache
def model(name: str) -> crossnest.LinearMixedModel:
    data, formula = FORMULAS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return lmer(formula, frames()[data])


#: The calls of make_emmeans.R: arguments of emmeans, or of emtrends where there is a var.
CALLS: dict[str, dict[str, Any]] = {
    "cake": {"specs": "recipe", "by": "temperature", "contrasts": "pairwise"},
    "cake_marginal": {"specs": "temperature", "contrasts": "consec", "adjust": "holm"},
    "cake_poly": {"specs": "temperature", "contrasts": "poly", "adjust": "none"},
    "cake_overall": {"specs": "1"},
    "unbalanced": {"specs": "recipe", "contrasts": "pairwise", "adjust": "bonferroni"},
    "unbalanced_ctrl": {"specs": "temperature", "contrasts": "trt.vs.ctrl", "adjust": "sidak"},
    "unbalanced_eff": {
        "specs": "temperature",
        "contrasts": "eff",
        "adjust": "fdr",
        "level": 0.9,
    },
    "unbalanced_own": {"specs": "temperature", "contrasts": OWN, "adjust": "none"},
    "empty": {"specs": ["recipe", "temperature"], "contrasts": "pairwise", "adjust": "sidak"},
    "empty_by": {"specs": "recipe", "by": "temperature", "contrasts": "pairwise"},
    "empty_recipe": {"specs": "recipe", "contrasts": "pairwise"},
    "nested": {"specs": "recipe", "contrasts": "pairwise"},
    "nested_cell": {"specs": "cell", "by": "recipe", "contrasts": "pairwise"},
    "slashed": {"specs": "recipe", "contrasts": "pairwise"},
    "slashed_inner": {"specs": "temperature"},
    "machines": {"specs": "Machine", "contrasts": "pairwise"},
    "orthodont": {
        "specs": "Sex",
        "by": "age",
        "at": {"age": [8, 14]},
        "contrasts": "pairwise",
    },
    "orthodont_mean": {"specs": "Sex"},
    "orthodont_slope": {"specs": "Sex", "var": "age", "contrasts": "pairwise"},
    "offset": {"specs": "Days", "at": {"Days": [0, 5]}},
    "two_values": {"specs": "late", "contrasts": "pairwise"},
    "two_values_overall": {"specs": "1"},
    "quadratic": {"specs": "Days", "at": {"Days": [0, 4.5, 9]}},
    "curve": {"specs": "recipe", "contrasts": "pairwise"},
    "days": {
        "specs": "Days",
        "at": {"Days": [0, 1, 9]},
        "contrasts": "pairwise",
        "adjust": "holm",
    },
}


def call(name: str, ddf: str) -> Any:
    fitted, arguments = model(name.split("_")[0]), CALLS[name]
    return (fitted.emtrends if "var" in arguments else fitted.emmeans)(**arguments, ddf=ddf)


def golden(name: str, ddf: str) -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))[name][ddf]


def assert_like_r(table: pd.DataFrame, expected: dict[str, list[Any]], rtol: float = 1e-5) -> None:
    assert set(table.columns) == set(expected)
    for name, values in expected.items():
        values = values if isinstance(values, list) else [values]
        if pd.api.types.is_numeric_dtype(table[name].dtype):
            numbers = np.array(values, dtype=float)
            np.testing.assert_allclose(table[name], numbers, rtol, 1e-5, err_msg=name)
        else:
            assert [str(v) for v in table[name]] == [str(v) for v in values]


@pytest.mark.parametrize("ddf", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("name", CALLS)
def test_numbers_are_those_of_emmeans(name, ddf):
    means, expected = call(name, ddf), golden(name, ddf)
    assert_like_r(means.table, expected["means"])
    assert (means.contrasts is None) == (expected["contrasts"] is None)
    if means.contrasts is not None:
        assert_like_r(means.contrasts, expected["contrasts"])


def printed(means: Any) -> list[str]:
    """The lines, without those emmeans sends to another stream and blank ones."""
    return [line.rstrip() for line in repr(means).splitlines() if line.strip()]


PRINTED = (
    *("cake", "cake_marginal", "cake_poly", "cake_overall", "unbalanced", "unbalanced_eff"),
    *("empty_by", "machines", "orthodont_slope", "two_values", "days", "offset"),
)


@pytest.mark.parametrize("name", PRINTED)
def test_prints_as_emmeans(name):
    lines = [line for line in printed(call(name, "kenward-roger")) if "NOTE" not in line]
    expected = [line.rstrip() for line in golden(name, "kenward-roger")["text"] if line.strip()]
    assert lines == expected


@pytest.mark.parametrize("ddf", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("name", ["machines", "unbalanced", "orthodont_slope", "cake_marginal"])
def test_joint_tests_are_those_of_pbkrtest_and_lmertest(name, ddf):
    # lmerTest's df depend on how the differences are written; ours are those of type III.
    rtol = 3e-5 if ddf == "satterthwaite" else 1e-5
    assert_like_r(call(name, ddf).joint_test(), golden(name, ddf)["joint"], rtol)


# ------------------------------------------------------------------------------------- by hand


def test_means_are_averages_of_predictions_in_the_cells():
    fitted = model("unbalanced")
    beta = fitted.fixef  # the ordered temperature's polynomial contrasts average to zero
    recipe = [0, beta["recipe[T.B]"], beta["recipe[T.C]"]]
    means = fitted.emmeans("recipe", ddf="satterthwaite")
    expected = beta["(Intercept)"] + np.array(recipe)
    np.testing.assert_allclose(means.table["emmean"], expected, 1e-12)
    np.testing.assert_allclose(means.L @ fitted.fixef, expected, 1e-12)
    errors = np.sqrt(np.diag(means.L @ fitted.vcov @ means.L.T))
    np.testing.assert_allclose(means.table["SE"], errors, 1e-10)


def test_intervals_have_the_level_asked_for():
    table = model("machines").emmeans("Machine", ddf="satterthwaite", level=0.8).table
    half = scipy.stats.t.ppf(0.9, table["df"]) * table["SE"]
    np.testing.assert_allclose(table["upper.CL"] - table["emmean"], half, 1e-12)
    np.testing.assert_allclose(table["emmean"] - table["lower.CL"], half, 1e-12)


def test_slope_of_a_quadratic_is_its_derivative():
    fitted = model("slopes")
    beta, at = fitted.fixef, np.array([180.0, 200.0])
    table = fitted.emtrends(["temp"], "temp", at={"temp": at}, ddf="satterthwaite").table
    interactions = [beta["recipe[T.B]:temp"], beta["recipe[T.C]:temp"]]
    slope = beta["temp"] + 2 * beta["I(temp ** 2)"] * at + sum(interactions) / 3
    np.testing.assert_allclose(table["temp.trend"], slope, 1e-8)


def test_covariates_go_through_their_transformations():
    fitted = model("quadratic")
    table = fitted.emmeans("1", ddf="satterthwaite").table
    direct = fitted.emmeans("Days", at={"Days": 4.5}, ddf="satterthwaite").table
    assert table["emmean"][0] == pytest.approx(direct["emmean"][0], rel=1e-12)
    at_mean = fitted.predict({"Days": [4.5]}, re="none")
    assert table["emmean"][0] == pytest.approx(at_mean.iloc[0], rel=1e-12)


def test_contrasts_of_equal_slopes_are_zero_without_a_test():
    fitted = model("unbalanced")
    data = frames()["unbalanced"]
    parallel = lmer("angle ~ recipe + temp + (1 | recipe:batch)", data)
    pairs = parallel.emtrends("recipe", "temp", ddf="satterthwaite").pairs()
    assert (pairs["estimate"] == 0).all() and (pairs["SE"] == 0).all()
    assert pairs[["df", "t.ratio", "p.value"]].isna().all(axis=None)
    joint = parallel.emtrends("recipe", "temp", ddf="satterthwaite").joint_test()
    assert joint["df1"].tolist() == [0] and np.isnan(joint["F.ratio"][0])
    assert fitted.emmeans("recipe", ddf="satterthwaite").joint_test()["df1"].tolist() == [2]


def test_joint_test_of_two_means_is_the_square_of_their_t():
    means = model("orthodont").emmeans("Sex", ddf="satterthwaite")
    joint, pair = means.joint_test().iloc[0], means.pairs().iloc[0]
    assert joint["F.ratio"] == pytest.approx(pair["t.ratio"] ** 2, rel=1e-9)
    assert joint["df2"] == pytest.approx(pair["df"], rel=1e-9)
    assert joint["p.value"] == pytest.approx(pair["p.value"], rel=1e-8)


def test_joint_test_with_an_empty_cell_tests_the_estimable_differences():
    means = model("empty").emmeans("recipe", by="temperature", ddf="satterthwaite")
    joint = means.joint_test()
    assert joint["df1"].tolist() == [1, 2, 2]
    t = means.pairs("none")["t.ratio"][2]  # B - C at 175
    assert joint["F.ratio"][0] == pytest.approx(t**2, rel=1e-9)


def test_strings_booleans_and_ordered_factors_are_factors():
    data = frames()["cake"].copy()
    data["hot"] = data["temp"] > 200
    data["step"] = pd.Categorical(data["temperature"], ordered=True)
    data["name"] = data["recipe"].astype(str)
    fitted = lmer("angle ~ name * hot + (1 | recipe:batch)", data)
    table = fitted.emmeans(["name", "hot"], ddf="satterthwaite").table
    cells = data.groupby(["hot", "name"])["angle"].mean()
    np.testing.assert_allclose(table["emmean"], cells, 1e-10)
    assert table["hot"].tolist() == [False] * 3 + [True] * 3
    ordered = lmer("angle ~ step + (1 | recipe:batch)", data)
    table = ordered.emmeans("step", ddf="satterthwaite").table
    np.testing.assert_allclose(table["emmean"], data.groupby("temp")["angle"].mean(), 1e-10)
    two = ordered.emmeans("step", at={"step": ["225", "175"]}, ddf="satterthwaite")
    assert two.table["step"].tolist() == ["225", "175"]
    assert two.pairs()["contrast"].tolist() == ["step225 - step175"]


def test_models_can_be_pickled_before():
    import pickle

    fitted = pickle.loads(pickle.dumps(model("orthodont")))
    table = fitted.emmeans("Sex", ddf="satterthwaite").table
    expected = model("orthodont").emmeans("Sex", ddf="satterthwaite").table
    np.testing.assert_allclose(table["SE"], expected["SE"], 1e-12)


def test_nested_strata_of_one_mean_have_nothing_to_compare():
    data = frames()["empty"]
    data = data[(data["recipe"] != "A") | (data["temp"] == 185)]
    with pytest.warns(crossnest.RankDeficiencyWarning):
        fitted = lmer("angle ~ recipe + cell + (1 | recipe:batch)", data)
    means = fitted.emmeans("cell", by="recipe", ddf="satterthwaite")
    assert means.table["recipe"].tolist() == [*"A", *"BBB", *"CCC"]
    assert means.pairs()["recipe"].tolist() == [*"BBB", *"CCC"]
    assert means.joint_test()["df1"].tolist() == [2, 2]
    cells = data.groupby("recipe", observed=True)["cell"].nunique()
    assert cells.tolist() == [1, 3, 3]
    averaged = fitted.emmeans("recipe", ddf="satterthwaite").table["emmean"]
    within = means.table.groupby("recipe", observed=True)["emmean"].mean()
    np.testing.assert_allclose(averaged, within, 1e-10)


# ------------------------------------------------------------------------------- estimability


def test_row_space_agrees_with_projection():
    fitted = model("empty")
    space, X = RowSpace.of(fitted), fitted.design.X
    rng = np.random.default_rng(1)
    inside = rng.standard_normal((5, len(X))) @ X
    assert space.null_basis.shape == (9, 1)
    null = space.null_basis / space.lengths[:, None]
    np.testing.assert_allclose(X @ null, 0, atol=1e-10)
    assert space.contains(inside).all()
    assert not space.contains(inside + null[:, 0]).any()
    mixed = np.vstack([inside[:2], null.T])
    part = space.estimable_part(mixed)
    assert len(part) == 2 and space.contains(part).all()
    assert np.isnan(space.reduce(mixed)[2]).all()


@pytest.mark.parametrize("units", [1e-9, 1e5, 1e12])
def test_estimability_does_not_depend_on_units_of_covariates(units):
    """With a covariate of 3e5 the mean of the empty cell was printed; R's estimability says so."""
    data = frames()["empty"]
    rng = np.random.default_rng(1)
    data = data.assign(x=(3.0 + rng.normal(size=len(data))) * units)
    formula = FORMULAS["empty"][1].replace("~", "~ x +", 1)
    with pytest.warns(crossnest.RankDeficiencyWarning):
        with_covariate = lmer(formula, data)
    one = model("empty").emmeans(["recipe", "temperature"], ddf="satterthwaite").table
    other = with_covariate.emmeans(["recipe", "temperature"], ddf="satterthwaite").table
    assert one["emmean"].isna().sum() == 1
    assert one["emmean"].isna().tolist() == other["emmean"].isna().tolist()


def test_estimable_means_do_not_depend_on_the_coding():
    data = frames()["empty"]
    with pytest.warns(crossnest.RankDeficiencyWarning):
        sums = lmer(
            FORMULAS["empty"][1],
            data,
            contrasts={"recipe": "contr.sum", "temperature": "contr.helmert"},
        )
    for specs in (["recipe", "temperature"], "recipe", "temperature"):
        one = model("empty").emmeans(specs, ddf="satterthwaite").table
        other = sums.emmeans(specs, ddf="satterthwaite").table
        np.testing.assert_allclose(one["emmean"], other["emmean"], 1e-7)
        np.testing.assert_allclose(one["SE"], other["SE"], 1e-5)
    assert one["emmean"].isna().tolist() == [True, False, False]


# ----------------------------------------------------------------------- families, multiplicity


def test_contrast_families():
    levels = ["a", "b", "c", "d"]
    assert list(contrast_family("pairwise", levels)) == [
        *("a - b", "a - c", "a - d", "b - c", "b - d", "c - d")
    ]
    poly = contrast_family("poly", levels)
    assert [list(c) for c in poly.values()] == [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]]
    assert list(contrast_family("poly", list("abcdefgh")))[-1] == "degree 6"
    assert list(contrast_family("eff", levels)["b effect"]) == [-0.25, 0.75, -0.25, -0.25]
    for method in ("pairwise", "trt.vs.ctrl", "eff", "poly", "consec"):
        C = np.array(list(contrast_family(method, levels).values()))
        np.testing.assert_allclose(C.sum(axis=1), 0, atol=1e-12)


def test_adjustments_by_definition():
    t = np.array([2.1, -3.0, 0.4, 2.5, np.nan])
    df = np.array([10.0, 12.5, 9.0, 10.0, np.nan])
    p = 2 * scipy.stats.t.sf(np.abs(t), df)
    order = np.argsort(p[:4])
    holm = np.maximum.accumulate(p[order] * [5, 4, 3, 2])
    fdr = np.minimum.accumulate((p[order] * 5 / [1, 2, 3, 4])[::-1])[::-1]
    for method, expected in {
        "bonferroni": np.minimum(5 * p[order], 1),
        "sidak": 1 - (1 - p[order]) ** 5,
        "holm": np.minimum(holm, 1),
        "fdr": np.minimum(fdr, 1),
        "none": p[order],
    }.items():
        adjusted = adjusted_pvalues(method, t, df, p, 3)
        np.testing.assert_allclose(adjusted[order], expected, 1e-12)
        assert np.isnan(adjusted[4])
    tukey = adjusted_pvalues("tukey", t[:1].repeat(2), df[:1].repeat(2), p[:2], 2)
    np.testing.assert_allclose(tukey, p[0], 1e-6)  # the range of two means is a t test
    assert adjusted_pvalues("holm", t[:1], df[:1], p[:1], 2) == p[0]


def test_other_than_pairwise_contrasts_replace_tukey_and_say_so():
    means = model("machines").emmeans("Machine", ddf="satterthwaite")
    eff = means.contrast("eff")
    np.testing.assert_array_equal(eff["p.value"], means.contrast("eff", "sidak")["p.value"])
    assert "Sidak's was used" in repr(eff)


def test_table_prints_what_is_not_estimable_and_cuts_plain_frames():
    table = model("empty").emmeans("recipe", ddf="satterthwaite").table
    assert isinstance(table, EmmTable) and "nonEst" in repr(table)
    assert type(table[["recipe", "emmean"]]) is pd.DataFrame
    assert "<pre>" in table._repr_html_()


# ------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"specs": "receipt"},
            "'receipt' is not a variable of the fixed effects: these are recipe",
        ),
        ({"specs": "batch"}, "'batch' is not a variable"),
        ({"specs": "recipe", "at": {"oven": 1}}, "`at` gives 'oven'"),
        ({"specs": "recipe", "at": {"recipe": ["A", "Z"]}}, r"\['Z'\] for the factor 'recipe'"),
        ({"specs": "recipe", "contrasts": "dunnett"}, "unknown contrasts 'dunnett'"),
        ({"specs": "recipe", "contrasts": {"x": [1, -1]}}, "'x' has 2 coefficients for 3 means"),
        ({"specs": "1", "contrasts": "pairwise"}, "one mean only"),
        ({"specs": "recipe", "adjust": "scheffe"}, "unknown adjustment 'scheffe'"),
        ({"specs": "recipe", "level": 95}, "level must be between 0 and 1"),
        ({"specs": "recipe", "var": "temperature"}, "not a covariate"),
        ({"specs": "recipe", "by": "recipe"}, "`by` names all of recipe"),
        ({"specs": []}, "`specs` names no variable"),
        ({"specs": "recipe", "contrasts": [1, -1, 0]}, r"unknown contrasts \[1, -1, 0\]"),
        ({"specs": "recipe", "contrasts": {"x": ["a", 1, 0]}}, "'x' must hold numbers"),
        ({"specs": "recipe", "contrasts": {"x": [1, np.nan, 0]}}, "'x' must hold finite numbers"),
    ],
)
def test_refusals_name_the_problem(arguments, message):
    fitted = model("unbalanced")
    method = fitted.emtrends if "var" in arguments else fitted.emmeans
    with pytest.raises(ValueError, match=message):
        method(**arguments, ddf="satterthwaite")


def test_factor_by_formula_has_no_slope_and_covariates_need_numbers():
    with pytest.raises(ValueError, match="makes a factor of 'Days'"):
        model("days").emtrends("1", "Days", ddf="satterthwaite")
    for value in ([np.nan], "hello", []):
        with pytest.raises(ValueError, match="must give numbers for the covariate 'Days'"):
            model("quadratic").emmeans("1", at={"Days": value}, ddf="satterthwaite")
    with pytest.raises(TypeError, match="by name or as a sequence of names, not 3"):
        model("quadratic").emmeans(3)


def test_what_cannot_be_evaluated_is_refused():
    with pytest.raises(ValueError, match=r"'np.log\(temp\)' .* not finite"):
        model("curve").emmeans("recipe", at={"temp": -1}, ddf="satterthwaite")
    nothing = lmer("Reaction ~ 0 + (1 | Subject)", frames()["sleepstudy"])
    with pytest.raises(ValueError, match="no fixed effects"):
        nothing.emmeans("1", ddf="satterthwaite")


def test_model_of_the_intercept_alone_has_an_overall_mean():
    fitted = lmer("Reaction ~ 1 + (1 | Subject)", frames()["sleepstudy"])
    table = fitted.emmeans("1", ddf="satterthwaite").table
    assert table.iloc[0, 0] == "overall"
    assert table["emmean"][0] == pytest.approx(fitted.fixef.iloc[0], rel=1e-12)


def test_refused_memory_names_the_other_method(monkeypatch):
    def refuse(*_: Any) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("crossnest.inference.emmeans.tester", refuse)
    with pytest.raises(MemoryError, match="too large; ddf='satterthwaite' needs far less"):
        model("cake").emmeans("recipe")


def test_normal_and_residual_degrees_of_freedom():
    table = model("unbalanced").emmeans("recipe", ddf="normal").table
    assert np.isinf(table["df"]).all()
    half = scipy.stats.norm.ppf(0.975) * table["SE"]
    np.testing.assert_allclose(table["upper.CL"] - table["emmean"], half, 1e-12)
    pairs = model("unbalanced").emmeans("recipe", ddf="normal").pairs("none")
    np.testing.assert_allclose(pairs["p.value"], 2 * scipy.stats.norm.sf(abs(pairs["t.ratio"])))
    fitted = model("unbalanced")
    table = fitted.emmeans("recipe", ddf="residual").table
    assert (table["df"] == fitted.nobs - len(fitted.fixef)).all()


def test_large_grids_are_refused():
    points = np.arange(MAX_CELLS + 1.0)
    with pytest.raises(ValueError, match=f"{MAX_CELLS + 1} cells"):
        reference_grid(model("quadratic"), {"Days": points})
