"""Comparisons of fitted models, against lme4's and pbkrtest's tables.

Numbers written here come from R 4.2.2 with lme4 1.1.31, lmerTest 3.1.3 and pbkrtest 0.5.2, fitted
with optCtrl = list(ftol_abs = 1e-12, xtol_abs = 1e-10).
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model
from crossnest.inference.comparison import checked_ratios
from reference_cases import all_cases, as_array, as_list
from shared_files import shared

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")

#: Files next to the checkout that are not part of it.


def fit(dataset, formula, **arguments):
    return crossnest.lmer(formula, crossnest.datasets.load(dataset), **arguments)


# ------------------------------------------------------------------------ likelihood ratios


LRT_CASES = [case for case in all_cases() if "term" in (case.expected.get("lrt_vs_null") or {})]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in LRT_CASES])
def test_anova_is_lme4s(case):
    m1 = fitted_model(f"reference/{case.name}")
    random = " + ".join(str(term) for term in m1.design.formula.random)
    arguments = case.fit_arguments() | {"formula": f"{m1.design.response_name} ~ 1 + {random}"}
    m0 = crossnest.lmer(**arguments)
    table = crossnest.anova(m1, m0)
    expected = case.expected["lrt_vs_null"]
    assert list(table.index) == as_list(expected["term"]) == ["m0", "m1"]
    columns = ["npar", "AIC", "BIC", "logLik", "deviance", "Chisq", "Df", "Pr(>Chisq)"]
    assert list(table.columns) == columns
    for name in columns:
        np.testing.assert_allclose(
            table[name].to_numpy(float), as_array(expected[name]), rtol=0, atol=1e-4
        )


def test_anova_orders_names_and_tells():
    full = fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    main = fit("cake", "angle ~ recipe + temperature + (1 | recipe:replicate)")
    oven = fit("cake", "angle ~ temperature + (1 | recipe:replicate)", reml=False)
    table = crossnest.anova(full, oven, main)
    assert list(table.index) == ["oven", "main", "full"]
    np.testing.assert_allclose(table["Chisq"].iloc[1:], [0.52999, 10.53038], atol=1e-5)
    np.testing.assert_allclose(table["Pr(>Chisq)"].iloc[1:], [0.76721, 0.39525], atol=1e-5)
    assert table.heading.split("\n") == [
        "refitting model(s) with ML (instead of REML)",
        "Data: cake",
        "Models:",
        "oven: angle ~ temperature + (1 | recipe:replicate)",
        "main: angle ~ recipe + temperature + (1 | recipe:replicate)",
        "full: angle ~ recipe * temperature + (1 | recipe:replicate)",
    ]
    assert full.reml  # the models themselves stay as they are
    assert list(crossnest.anova(*[full, oven]).index) == ["oven", "full"]
    assert list(crossnest.anova(full, crossnest.lmer(oven.formula, cake())).index) == ["m1", "m0"]


def cake():
    return crossnest.datasets.load("cake")


def test_models_by_maximum_likelihood_are_not_refitted(fitted):
    small = fit("sleepstudy", "Reaction ~ 1 + (Days | Subject)", reml=False)
    large = fitted("sleepstudy_ml")
    table = crossnest.anova(small, large)
    assert table.heading.startswith("Data: sleepstudy\nModels:\nsmall: ")
    assert table.loc["large", "deviance"] == large.objective


def test_anova_without_refitting(fitted):
    slope, intercept = fitted("sleepstudy"), fit("sleepstudy", "Reaction ~ Days + (1 | Subject)")
    table = crossnest.anova(slope, intercept, refit=False)
    np.testing.assert_allclose(table["Chisq"].iloc[1], 42.836813434969, atol=1e-4)
    assert "refitting" not in table.heading
    none = fit("sleepstudy", "Reaction ~ 1 + (1 | Subject)")
    with pytest.raises(ValueError, match="different fixed effects cannot be compared"):
        crossnest.anova(slope, none, refit=False)
    with pytest.raises(ValueError, match="some by maximum likelihood"):
        crossnest.anova(slope, fitted("sleepstudy_ml"), refit=False)


def test_a_linear_model_is_one_of_the_models():
    data = crossnest.datasets.sleepstudy()
    mixed = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    linear = crossnest.lm("Reaction ~ Days", data)
    table = crossnest.anova(mixed, linear)
    assert list(table.index) == ["linear", "mixed"]
    np.testing.assert_allclose(table["logLik"], [-950.14652817818, -897.039321502613], atol=1e-6)
    assert list(table["npar"]) == [3, 4]
    with pytest.raises(ValueError, match="some by maximum likelihood"):
        crossnest.anova(mixed, linear, refit=False)
    with pytest.raises(TypeError, match="none of these has a random effect"):
        crossnest.anova(linear, linear)


def test_models_with_as_many_parameters_have_no_test():
    a = fit("penicillin", "diameter ~ 1 + (1 | plate)")
    b = fit("penicillin", "diameter ~ 1 + (1 | sample)")
    table = crossnest.anova(a, b)
    assert table["Df"].iloc[1] == 0
    assert np.isnan(table["Pr(>Chisq)"].iloc[1])
    assert table["Chisq"].iloc[1] >= 0


def test_models_on_different_data_are_refused():
    data = crossnest.datasets.sleepstudy()
    data["w"], data["z"] = np.linspace(1, 2, 180), data["Days"].where(data["Days"] != 3)
    data["logged"] = np.log(data["Reaction"])
    formula = "Reaction ~ Days + (1 | Subject)"
    m = crossnest.lmer(formula, data)
    different = {
        "`m` has 180 observations, `other` 162": crossnest.lmer(
            "Reaction ~ z + (1 | Subject)", data
        ),
        "response": crossnest.lmer("logged ~ Days + (1 | Subject)", data),
        "weights": crossnest.lmer(formula, data, weights="w"),
        "offset": crossnest.lmer(formula, data, offset="w"),
        "rows used": crossnest.lmer(formula, data.set_axis(range(1, 181))),
    }
    for message, other in different.items():
        with pytest.raises(ValueError, match=f"not fitted to the same data: .*{message}"):
            crossnest.anova(m, other)
    ones = crossnest.lmer(formula, data, weights=np.ones(180), offset=np.zeros(180))
    assert crossnest.anova(m, ones)["Chisq"].iloc[1] == pytest.approx(0, abs=1e-8)


def test_what_anova_takes():
    with pytest.raises(TypeError, match="at least one model"):
        crossnest.anova()
    with pytest.raises(TypeError, match="fitted by lmer, not str"):
        crossnest.anova("y ~ x")


# ------------------------------------------------------------------------------------ F tests


#: name: (data set, large, small, F, NumDF, DenDF, scaling, p, unscaled F and p; Satterthwaite's
#: F, DenDF, p)
MODCOMPS = {
    "sleepstudy": (
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Reaction ~ 1 + (Days | Subject)"),
        (45.8529615559, 1, 17, 1, 3.26380801815e-06, 45.8529615559, 3.26380801815e-06),
        (45.8529615559, 16.9999837256, 3.26382446991e-06),
    ),
    "cake": (
        (
            "cake",
            "angle ~ recipe * temperature + (1 | recipe:replicate)",
            "angle ~ recipe + temperature + (1 | recipe:replicate)",
        ),
        (1.0061979846, 10, 210, 1, 0.439269436695, 1.0061979846, 0.439269436695),
        (1.0061979846, 210, 0.439269436694),
    ),
    "cake without recipe": (
        (
            "cake",
            "angle ~ recipe * temperature + (1 | recipe:replicate)",
            "angle ~ temperature + (1 | recipe:replicate)",
        ),
        (
            0.874128619734,
            12,
            214.953975688,
            0.993369610201,
            0.57413185168,
            0.879963118217,
            0.56817944606,
        ),
        (0.879963118217, 124.352940904364, 0.569031348674),
    ),
    "ham": (
        (
            "ham",
            "Informed.liking ~ Product*Information + Gender + (1|Consumer) + (1|Consumer:Product)",
            "Informed.liking ~ Product + Information + (1|Consumer) + (1|Consumer:Product)",
        ),
        (
            1.77008843386,
            4,
            281.267636714,
            0.99606607849,
            0.134967862253,
            1.77707932444,
            0.133537393169,
        ),
        (1.777079324444, 180.404371968408, 0.135346823847),
    ),
    "beets, sow": (
        (
            "beets",
            "sugpct ~ block + sow + harvest + (1 | block:harvest)",
            "sugpct ~ block + harvest + (1 | block:harvest)",
        ),
        (101, 4, 20, 1, 5.7411609198e-13, 101, 5.7411609198e-13),
        (101, 20, 5.74096326034e-13),
    ),
    "beets, harvest": (
        (
            "beets",
            "sugpct ~ block + sow + harvest + (1 | block:harvest)",
            "sugpct ~ block + sow + (1 | block:harvest)",
        ),
        (15.2105263117, 1, 2, 1, 0.0598978518788, 15.2105263117, 0.0598978518788),
        (15.2105263117, 2, 0.0598978518789),
    ),
}


@pytest.mark.parametrize("name", MODCOMPS)
def test_modcomp_is_pbkrtests(name):
    (dataset, large, small), kr, sat = MODCOMPS[name]
    m1, m0 = fit(dataset, large), fit(dataset, small)
    table = crossnest.kr_modcomp(m1, m0)
    assert list(table.index) == ["Ftest", "FtestU"]
    assert list(table.columns) == ["NumDF", "DenDF", "F.scaling", "F value", "Pr(>F)"]
    F, num_df, den_df, scaling, p, unscaled, unscaled_p = kr
    expected = [
        [num_df, den_df, scaling, F, p],
        [num_df, den_df, np.nan, unscaled, unscaled_p],
    ]
    np.testing.assert_allclose(table, expected, rtol=1e-4)
    table = crossnest.sat_modcomp(m1, m0)
    assert list(table.columns) == ["NumDF", "DenDF", "F value", "Pr(>F)"]
    F, den_df, p = sat
    np.testing.assert_allclose(table, [[num_df, den_df, F, p]], rtol=1e-3)
    np.testing.assert_allclose(table["F value"], F, rtol=1e-5)


def test_restrictions_given_as_a_matrix():
    model = fit("sleepstudy", "Reaction ~ Days + I(Days**2) + (1 | Subject)")
    L = [[0, 1, -2], [0, 0, 1]]
    table = crossnest.kr_modcomp(model, L)
    assert table.attrs["L"] == L
    expected = [[2, 160, 1, 85.3287562591, 6.01626654217e-26]]
    np.testing.assert_allclose(table.iloc[[0]], expected, rtol=1e-4)
    redundant = crossnest.kr_modcomp(model, [*L, [0, 3, 1]])
    np.testing.assert_allclose(redundant, table, rtol=1e-10)
    one = crossnest.sat_modcomp(model, [0, 0, 1])
    np.testing.assert_allclose(one["F value"], model.tvalues.iloc[2] ** 2)
    for wrong, message in [([0, 1], "expected 3 columns"), ([0, 0, 0], "not all of them zero")]:
        with pytest.raises(ValueError, match=message):
            crossnest.kr_modcomp(model, wrong)
    with pytest.raises(TypeError, match="must be a model, a formula or a matrix"):
        crossnest.kr_modcomp(model, {"Days": 1})


@pytest.mark.parametrize(
    "small",
    [
        "~ recipe + temperature",
        "~ . - recipe:temperature",
        ". ~ . - recipe:temperature",
        "angle ~ recipe + temperature + (1 | recipe:replicate)",
    ],
)
def test_small_models_given_as_formulas(small):
    model = fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    expected = [10, 210, 1, 1.0061979846, 0.439269436695]
    np.testing.assert_allclose(crossnest.kr_modcomp(model, small).loc["Ftest"], expected, rtol=1e-5)


def test_a_model_that_leaves_out_no_column():
    """Linear and quadratic trends lie within a factor, whose columns they are not."""
    data = cake().assign(t=lambda d: d["temp"] - 200)
    large = crossnest.lmer("angle ~ temperature + (1 | recipe:replicate)", data)
    small = crossnest.lmer("angle ~ t + I(t**2) + (1 | recipe:replicate)", data)
    table = crossnest.sat_modcomp(large, small)
    assert table["NumDF"].iloc[0] == 3
    L = np.array(table.attrs["L"])
    X, X0 = large.design.X, small.design.X
    np.testing.assert_allclose(L @ np.linalg.lstsq(X, X0, rcond=None)[0], 0, atol=1e-8)


def test_a_model_by_maximum_likelihood_is_refitted(fitted):
    by_ml = crossnest.sat_modcomp(fitted("sleepstudy_ml"), "~ 1")
    pd.testing.assert_frame_equal(by_ml, crossnest.sat_modcomp(fitted("sleepstudy"), "~ 1"))


def test_models_that_cannot_be_compared(fitted):
    large = fit("cake", "angle ~ recipe + temp + (1 | recipe:replicate)")
    small = fit("cake", "angle ~ recipe + (1 | recipe:replicate)")
    with pytest.raises(ValueError, match="must be nested, and the larger one comes first"):
        crossnest.kr_modcomp(small, large)
    with pytest.raises(ValueError, match="have the same fixed effects"):
        crossnest.kr_modcomp(large, large)
    with pytest.raises(ValueError, match=r"random effects of .* differ"):
        crossnest.kr_modcomp(large, fit("cake", "angle ~ recipe + (1 | replicate)"))
    with pytest.raises(ValueError, match=r"random effects of .* differ"):
        crossnest.sat_modcomp(large, "~ recipe + (1 | replicate)")
    with pytest.raises(ValueError, match="`replicate` is not among the terms"):
        crossnest.sat_modcomp(large, "~ replicate")
    with pytest.raises(ValueError, match="not fitted to the same data"):
        crossnest.kr_modcomp(large, fitted("sleepstudy"))


def test_the_small_model_is_shown_without_what_was_left_out():
    model = fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    heading = crossnest.sat_modcomp(model, "~ . - recipe:temperature").heading
    assert heading.endswith("small: angle ~ recipe + temperature + (1 | recipe:replicate)")


def test_interactions_may_be_written_the_other_way_round():
    # Without x, the formula's `z + x:z` is read as `z + z:x`.
    data = cake().assign(x=lambda d: d["temp"] / 100, z=lambda d: d["replicate"].cat.codes / 10.0)
    model = crossnest.lmer("angle ~ x * z + (1 | recipe:replicate)", data)
    table = crossnest.sat_modcomp(model, "~ . - x")
    assert table.attrs["L"] == [[0, 1, 0, 0]]


def test_what_is_no_model_is_told(fitted):
    with pytest.raises(TypeError, match="the large model must be one fitted by lmer, not str"):
        crossnest.kr_modcomp("~ 1", fitted("sleepstudy"))
    with pytest.raises(TypeError, match="the small model must be a model, a formula or a matrix"):
        crossnest.sat_modcomp(fitted("sleepstudy"), None)


# ------------------------------------------------------------------- a study of 132 children


@pytest.fixture
def children():
    """Return the data and R's results."""
    data = pd.read_csv(shared("seeds/childread.csv"))
    return data, json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))


def test_reading_ages(children):
    data, expected = children
    formula = "reading_age ~ hrs_week + (1 + hrs_week | school)"
    fML = crossnest.lmer(formula, data, reml=False)
    sML = crossnest.lmer("reading_age ~ 1 + (1 + hrs_week | school)", data, reml=False)
    table = crossnest.anova(fML, sML)
    for name, values in expected["read_lrt"].items():
        if name in table:
            np.testing.assert_allclose(
                table[name].to_numpy(float), as_array(values), rtol=0, atol=1e-4
            )
    reference = expected["read_kr_modcomp"]
    table = crossnest.kr_modcomp(crossnest.lmer(formula, data), sML)
    ours = [*table.loc["Ftest"], *table.loc["FtestU", ["F value", "Pr(>F)"]]]
    keys = ["ndf", "ddf", "F.scaling", "Fstat", "p.value", "FstatU", "p.valueU"]
    np.testing.assert_allclose(ours, [reference[key] for key in keys], rtol=1e-4)


# --- ratios that are none -------------------------------------------------------------------------


def test_a_negative_ratio_is_no_result():
    """The larger model does not contain the smaller one: no ratio of zero, and no p-value of 1."""
    data = crossnest.datasets.sleepstudy()
    data["noise"], data["other"] = np.random.default_rng(1).standard_normal((2, len(data)))
    small = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    large = crossnest.lmer("Reaction ~ noise + other + (1 | Subject)", data, reml=False)
    with pytest.warns(crossnest.InferenceWarning, match="`large` is below that of `small` by"):
        table = crossnest.anova(small, large)
    assert table.loc["large", ["Chisq", "Pr(>Chisq)"]].isna().all()


def test_a_ratio_that_is_rounding_is_zero():
    ratios = checked_ratios(np.array([-1e-6, 3e-9, 2.0]), ["a", "b", "c"], ["d", "e", "f"])
    np.testing.assert_array_equal(ratios, [0, 0, 2])
    with pytest.warns(
        crossnest.InferenceWarning, match="the larger fit has not reached the maximum"
    ):
        assert np.isnan(checked_ratios(np.array([-0.01]), ["the model"], ["the other"])).all()


@pytest.mark.parametrize("verb", ["ranova", "drop1"])
def test_a_fit_that_stopped_short_shows_no_ratio(verb, fitted):
    """As if the model's own search had stopped early: its likelihood is below the reduced one's."""
    model = fitted("sleepstudy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        data = crossnest.datasets.sleepstudy()
        start = crossnest.lmer(
            "Reaction ~ Days + (Days | Subject)", data, reml=verb == "ranova"
        ).evaluate([1e-3, 0.0, 30.0])
    assert start.llf < model.llf - 20
    with pytest.warns(crossnest.InferenceWarning, match="the log-likelihood of the model is below"):
        table = getattr(start, verb)()
    assert table.iloc[1:][["LRT", "Pr(>Chisq)"]].isna().all(axis=None)


def test_tables_say_where_chi_squared_is_conservative(fitted):
    model = fitted("sleepstudy")
    assert "conservative" in str(model.ranova())
    assert "conservative" in model.ranova()._repr_html_()
    assert "tend to be too small (test='F' does better)" in str(model.drop1())
    data = crossnest.datasets.sleepstudy()
    intercepts = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    lines = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False)
    line = crossnest.lm("Reaction ~ Days", data)
    assert "conservative" in str(crossnest.anova(line, intercepts, lines))
    constant = crossnest.lmer("Reaction ~ 1 + (1 | Subject)", data, reml=False)
    assert "conservative" not in str(crossnest.anova(constant, intercepts))


# --- models of different rows --------------------------------------------------------------------


@pytest.fixture
def with_gaps():
    """Sleepstudy, Days missing in 18 rows and another covariate in 10 others."""
    data = crossnest.datasets.sleepstudy()
    data["z"] = data["Days"].where(data["Days"] != 3)
    data["other"] = np.linspace(0, 1, 180) ** 2
    data.loc[data.index[2:102:10], "other"] = np.nan
    return data


def test_models_of_different_rows_say_how_many_and_what_to_do(with_gaps):
    m = crossnest.lmer("Reaction ~ z + (1 | Subject)", with_gaps)
    other = crossnest.lmer("Reaction ~ other + (1 | Subject)", with_gaps)
    message = (
        r"`m` has 162 observations, `other` 170 \(10 rows of `m` not in `other`, 18 rows of "
        r"`other` not in `m`\); rows with missing values .* common_rows=True"
    )
    with pytest.raises(ValueError, match=message):
        crossnest.anova(m, other)
    repeated = with_gaps.set_axis(np.zeros(180, dtype=int))
    first = crossnest.lmer("Reaction ~ z + (1 | Subject)", repeated)
    second = crossnest.lmer("Reaction ~ Days + (1 | Subject)", repeated.iloc[1:])
    with pytest.raises(ValueError, match=r"`second` 179; rows with missing"):
        crossnest.anova(first, second)
    with pytest.raises(ValueError, match="labels that occur several times"):
        crossnest.anova(first, second, common_rows=True)


def test_common_rows_are_those_without_gaps_in_any_model(with_gaps):
    complete = with_gaps.dropna()
    formulas = ["Reaction ~ 1 + (1 | Subject)", "Reaction ~ z + (1 | Subject)"]
    formulas.append("Reaction ~ z + other + (1 | Subject)")
    models = [crossnest.lmer(formula, with_gaps) for formula in formulas]
    expected = [crossnest.lmer(formula, complete) for formula in formulas]
    table = crossnest.anova(*models, common_rows=True)
    np.testing.assert_allclose(table, crossnest.anova(*expected), rtol=1e-6)
    assert "fitted to the 152 rows common to all models" in str(table)
    for test in (crossnest.kr_modcomp, crossnest.sat_modcomp):
        np.testing.assert_allclose(
            test(models[2], models[1], common_rows=True), test(expected[2], expected[1]), rtol=1e-5
        )
    options = {"n": 20, "seed": 1, "progress": False}
    found = crossnest.pb_modcomp(models[2], models[0], common_rows=True, **options)
    again = crossnest.pb_modcomp(expected[2], expected[0], **options)
    np.testing.assert_allclose(found.reference, again.reference, atol=1e-5)
    line = crossnest.lm("Reaction ~ z", with_gaps)
    found = crossnest.anova(line, models[2], common_rows=True)
    both = crossnest.anova(crossnest.lm("Reaction ~ z", complete), expected[2])
    np.testing.assert_allclose(found, both, rtol=1e-6)
    side = crossnest.compare(*models, common_rows=True)
    assert not any("different rows" in note for note in side.notes)
    np.testing.assert_allclose(side.table, crossnest.compare(*expected).table, rtol=1e-4)
    apart = "different rows (180, 162, 152): common_rows=True"
    assert apart in str(crossnest.compare(*models))
    with pytest.raises(TypeError, match="common_rows must be True or False"):
        crossnest.anova(*models, common_rows="yes")


def test_rows_with_labels_that_repeat_go_by_position_in_the_same_data(with_gaps):
    repeated = with_gaps.set_axis(np.zeros(180, dtype=int))
    formulas = ["Reaction ~ z + (1 | Subject)", "Reaction ~ z + other + (1 | Subject)"]
    models = [crossnest.lmer(formula, repeated) for formula in formulas]
    expected = [crossnest.lmer(formula, with_gaps.dropna()) for formula in formulas]
    np.testing.assert_allclose(
        crossnest.anova(*models, common_rows=True), crossnest.anova(*expected), rtol=1e-6
    )
