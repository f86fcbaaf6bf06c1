"""Kenward and Roger's tests: R's numbers, SAS's, n x n matrices, and what theory says of them."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from crossnest.inference.ddf import tester as make_tester
from marginal import Marginal
from reference_cases import as_array, case_names, load_case
from shared_files import shared

CASES = [name for name in case_names() if load_case(name).expected.get("kenward_roger")]
MODELS = ["sleepstudy", "sleepstudy_zcp", "pastes", "penicillin", "reference/cake_temp"]


def eye(model):
    return np.eye(len(model.fixef))


def quietly(formula, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


def unbalanced_cake():
    data = load_case("cake_temp").data
    return data.drop(index=[0, 4, 16, 39, 40, 99, 129, 199])


@pytest.mark.parametrize("name", CASES)
def test_reference(fitted, name):
    expected = load_case(name).expected
    model = fitted(f"reference/{name}")
    kr = make_tester(model, "kenward-roger")
    table = kr.t_table(eye(model))
    for column in ("Estimate", "Std. Error", "df", "t value"):
        values = as_array(expected["kenward_roger"][column])
        np.testing.assert_allclose(table[column], values, rtol=2e-6, atol=1e-7)
    pvalues = as_array(expected["kenward_roger"]["Pr(>|t|)"])
    np.testing.assert_allclose(table["Pr(>|t|)"], pvalues, atol=1e-6)
    vcov = np.array(expected["vcov_kr"], dtype=float).reshape(kr.vcov.shape)
    np.testing.assert_allclose(kr.vcov, vcov, rtol=1e-5, atol=1e-6 * np.abs(vcov).max())


@pytest.mark.parametrize(
    ("ddf", "information"),
    [("kenward-roger", "expected"), ("kenward-roger-observed", "observed")],
)
@pytest.mark.parametrize("name", MODELS)
def test_n_by_n_matrices(fitted, name, ddf, information):
    model = fitted(name)
    marginal = Marginal.of(model)
    W = marginal.varpar_vcov(information)
    vcov = marginal.adjusted_vcov(W)
    kr = make_tester(model, ddf)
    np.testing.assert_allclose(kr.vcov, vcov, rtol=1e-7, atol=1e-8 * np.abs(vcov).max())
    p = len(model.fixef)
    for L in [*np.split(np.eye(p), p), np.eye(p), np.random.default_rng(1).normal(size=(p, p))]:
        F, scaling, df = marginal.kenward_roger_f(L, model.fixef.to_numpy(), W)
        test = kr.modified_f_test(L)
        assert test.num_df == p if len(L) == p else 1
        np.testing.assert_allclose(test.den_df, df, rtol=1e-6)
        np.testing.assert_allclose(test.unscaled, F, rtol=1e-7)
        np.testing.assert_allclose(test.scaling, scaling, rtol=1e-6)
        np.testing.assert_allclose(test.statistic, scaling * F, rtol=1e-6)


def test_weights_are_taken_into_account(fitted):
    # pbkrtest takes all weights for 1; the observations' variances are sigma^2 / weight.
    model = fitted("reference/sleepstudy_w")
    marginal = Marginal.of(model)
    W = marginal.varpar_vcov("expected")
    kr = make_tester(model, "kenward-roger")
    np.testing.assert_allclose(kr.vcov, marginal.adjusted_vcov(W), rtol=1e-7)


def test_joint_tests_of_an_unbalanced_singular_fit():
    # KRmodcomp(m, L) of pbkrtest 0.5.2, at the theta lme4 1.1-31 found.
    model = quietly("angle ~ recipe + temp + (temp | recipe:replicate)", unbalanced_cake())
    assert model.is_singular
    model = model.evaluate([1.280029368208e-01, 6.367363596837e-03, 4.302641343896e-09])
    kr = make_tester(model, "kenward-roger")
    L = eye(model)[1:]
    test = kr.modified_f_test(L)
    assert test.num_df == 3
    expected = [56.94131082741, 28.38232116316, 0.9876782773138, 28.73640315382]
    found = [test.den_df, test.statistic, test.scaling, test.unscaled]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(
        [test.pvalue, test.unscaled_pvalue], [2.357152859737e-11, 1.911217357718e-11], rtol=1e-8
    )
    test = kr.modified_f_test(L[:2], np.array([1.0, -1.0]))
    expected = [41.99118234893996, 0.59097124401590, 0.99999886013528, 0.59097191764394]
    found = [test.den_df, test.statistic, test.scaling, test.unscaled]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert kr.f_test(L[:2], np.array([1.0, -1.0])) == (
        test.statistic,
        2,
        test.den_df,
        test.pvalue,
    )


def test_redundant_rows_count_once(fitted):
    model = fitted("reference/cake_temp")
    kr = make_tester(model, "kenward-roger")
    L = eye(model)[1:3]
    redundant = np.vstack([L, L[0] - 2 * L[1], np.zeros(len(L[0]))])
    np.testing.assert_allclose(
        kr.modified_f_test(redundant), kr.modified_f_test(L), rtol=1e-9, atol=1e-12
    )
    assert np.isnan(kr.f_test(np.zeros((2, len(L[0])))).statistic)


def test_one_row_is_the_square_of_t(fitted):
    model = fitted("reference/beets")
    kr = make_tester(model, "kenward-roger")
    table = kr.t_table(eye(model))
    for row, (_, line) in zip(eye(model), table.iterrows(), strict=True):
        test = kr.f_test(row[None, :])
        np.testing.assert_allclose(test.statistic, line["t value"] ** 2, rtol=1e-8)
        np.testing.assert_allclose(test.pvalue, line["Pr(>|t|)"], rtol=1e-6)


def test_balanced_designs_give_the_degrees_of_freedom_of_anova(fitted):
    # Split plots: 3 recipes on 45 whole plots, 6 temperatures within them.
    model = fitted("reference/cake")
    p = len(model.fixef)
    means = np.zeros((2, p))  # of the recipes, over the temperatures
    for i, recipe in enumerate("BC"):
        means[i] = [
            (name.startswith("recipe") and f"[T.{recipe}]" in name) * (1 / 6 if ":" in name else 1)
            for name in model.fixef.index
        ]
    for method in ("kenward-roger", "satterthwaite"):
        used = make_tester(model, method)
        np.testing.assert_allclose(used.f_test(means).den_df, 42, rtol=1e-5)
        interaction = [i for i, name in enumerate(model.fixef.index) if ":" in name]
        test = used.f_test(eye(model)[interaction])
        np.testing.assert_allclose(test.den_df, 210, rtol=1e-5)
        assert test.num_df == 10
    kr = make_tester(model, "kenward-roger")
    np.testing.assert_allclose(kr.modified_f_test(means).scaling, 1, rtol=1e-8)
    np.testing.assert_allclose(kr.vcov, model.vcov, rtol=1e-6)  # no adjustment


@pytest.mark.parametrize("change", ["(x - 3) * 1e-5", "x * 1e5", "x + 1e4"])
def test_units_do_not_matter(fitted, change):
    data = crossnest.datasets.sleepstudy().rename(columns={"Days": "x"})
    data = data.iloc[5:].drop(index=[20, 33, 34, 35, 90])
    base = quietly("Reaction ~ x + (x | Subject)", data)
    changed = data.assign(x=data.eval(change), Reaction=1e3 * data["Reaction"])
    other = quietly("Reaction ~ x + (x | Subject)", changed)
    L = np.array([[0.0, 1.0]])
    for ddf in ("kenward-roger", "kenward-roger-observed"):
        first = make_tester(base, ddf).modified_f_test(L)
        second = make_tester(other, ddf).modified_f_test(L)
        np.testing.assert_allclose(second, first, rtol=1e-5)


def test_maximum_likelihood_is_refused(fitted):
    with pytest.raises(ValueError, match="fit it with reml=True"):
        make_tester(fitted("sleepstudy_ml"), "kenward-roger")


def test_without_fixed_effects(fitted):
    kr = make_tester(fitted("no_fixed"), "kenward-roger")
    assert kr.t_table(np.zeros((0, 0))).empty
    assert kr.vcov.shape == (0, 0)


def test_what_does_not_fit_into_memory_is_refused_with_the_estimate():
    data = crossnest.datasets.insteval()
    control = crossnest.Control(memory_limit=50_000_000)
    model = crossnest.lmer("y ~ 1 + (1 | s) + (1 | d)", data, control=control)
    with pytest.raises(MemoryError, match=r"needs about 49\.\d MiB .*more than the limit"):
        make_tester(model, "kenward-roger")
    assert make_tester(model, "satterthwaite").df(np.eye(1))[0] > 1


def test_instructor_evaluations_are_no_trouble():
    data = crossnest.datasets.insteval()
    model = crossnest.lmer("y ~ 1 + (1 | s) + (1 | d) + (1 | dept:service)", data)
    kr = make_tester(model, "kenward-roger")
    line = kr.t_table(np.eye(1)).iloc[0]
    assert model.bse.iloc[0] < line["Std. Error"] < 1.05 * model.bse.iloc[0]
    assert 40 < line["df"] < 52  # Satterthwaite: 51


# --- SAS and JMP ---------------------------------------------------------------------------------

#: SAS PROC MIXED, ddfm=kr: the study of pastry dough in Goos and Jones (2011), Optimal Design of
#: Experiments, chapter 7.
DOUGH = "LEI ~ FR + MC + SS + FR:MC + FR:SS + MC:SS + I(FR**2) + I(MC**2) + I(SS**2) + (1 | Day)"


@pytest.fixture(scope="module")
def dough():
    data = pd.read_csv(shared("reference_sas/pastry_dough.csv"))
    names = {"Flow Rate": "FR", "Moisture Content": "MC", "Screw Speed": "SS"}
    data = data.rename(columns=names | {"Longitudinal Expansion Index": "LEI"})
    for name in names.values():
        low, high = data[name].min(), data[name].max()
        data[name] = (data[name] - (low + high) / 2) / ((high - low) / 2)
    return crossnest.lmer(DOUGH, data)


def test_observed_information_as_in_sas(dough):
    kr = make_tester(dough, "kenward-roger-observed")
    table = kr.t_table(eye(dough))[:4]
    errors = [0.65833550480657, 0.20623824340802, 0.20421432933848, 0.20623824340802]
    df = [17.9117348654385, 12.5049351013861, 12.4684849005296, 12.5049351013861]
    np.testing.assert_allclose(table["Std. Error"], errors, rtol=1e-7)
    np.testing.assert_allclose(table["df"], df, rtol=1e-6)


def test_expected_information_on_the_same_data(dough):
    table = make_tester(dough, "kenward-roger").t_table(eye(dough))[:4]
    errors = [0.658534445673044, 0.206295357737288, 0.20426517484691, 0.206295357737288]
    df = [17.9081871339357, 12.3526285829433, 12.3156273759996, 12.3526285829433]
    np.testing.assert_allclose(table["Std. Error"], errors, rtol=1e-6)
    np.testing.assert_allclose(table["df"], df, rtol=1e-6)


def test_whoever_tests_may_ask_for_the_observed_information(dough):
    options = {"ddf": "kenward-roger-observed"}
    summary = dough.summary(**options)
    line = summary.coef_table.loc["FR"]
    np.testing.assert_allclose(line["Std. Error"], 0.206238243, rtol=1e-7)
    np.testing.assert_allclose(line["df"], 12.50494, rtol=1e-6)
    assert "Kenward-Roger's method (observed\n  information)" in summary.text
    single = dough.contest("FR", joint=False, **options)
    np.testing.assert_allclose(single[list(line.index)].iloc[0], line)
    tables = [
        dough.contest("FR", **options),
        dough.anova(**options).loc[["FR"]],
        crossnest.kr_modcomp(dough, "~ . - FR", **options).iloc[:1],
    ]
    for table in tables:
        np.testing.assert_allclose(table["DenDF"], line["df"], rtol=1e-9)
        assert "(observed information)" in table.heading
    half = scipy.stats.t.ppf(0.975, line["df"]) * line["Std. Error"]
    ends = dough.confint("kenward-roger-observed", parm="FR")
    np.testing.assert_allclose(ends, [[line["Estimate"] - half, line["Estimate"] + half]])
    middle = {"FR": 0, "MC": 0, "SS": 0}
    slope = dough.emtrends("1", "FR", at=middle, **options)
    np.testing.assert_allclose(slope.table["SE"], line["Std. Error"], rtol=1e-6)
    assert "method: kenward-roger-observed" in repr(slope)
    expected = dough.summary(ddf="kenward-roger").coef_table.loc["FR"]
    np.testing.assert_allclose(expected["Std. Error"], 0.206295358, rtol=1e-6)
    np.testing.assert_allclose(expected["df"], 12.35263, rtol=1e-6)


@pytest.mark.parametrize("ddf", ["satterthwaite", "residual", "normal"])
def test_a_comparison_by_this_method_has_no_other(fitted, ddf):
    message = "ddf must be 'kenward-roger' or 'kenward-roger-observed' for kr_modcomp, not"
    with pytest.raises(ValueError, match=message):
        crossnest.kr_modcomp(fitted("sleepstudy"), "~ 1", ddf=ddf)
    with pytest.raises(TypeError, match="no argument 'information'; here ddf="):
        fitted("sleepstudy").anova(ddf=ddf, information="observed")


def test_an_indefinite_observed_information_is_refused():
    # Group means that vary less than chance would have it: the likelihood rises across zero.
    errors = np.random.default_rng(0).normal(size=(8, 6))
    errors -= 0.97 * errors.mean(axis=1, keepdims=True)
    data = pd.DataFrame({"y": errors.ravel(), "x": np.tile(np.arange(6.0), 8)})
    data["g"] = np.repeat(list("abcdefgh"), 6)
    model = quietly("y ~ x + (1 | g)", data)
    assert model.is_singular
    with pytest.raises(ValueError, match=r"not positive definite.*ddf='kenward-roger'"):
        model.anova(ddf="kenward-roger-observed")
    assert model.anova(ddf="kenward-roger")["DenDF"].iloc[0] == pytest.approx(39, rel=1e-6)


def test_units_of_covariates_do_not_matter():
    data = crossnest.datasets.sleepstudy()
    data["Nanodays"] = data["Days"] * 1e9
    model = quietly("Reaction ~ Nanodays + (1 | Subject)", data)
    both = np.eye(2)
    same = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    for ddf in ("kenward-roger", "satterthwaite"):
        table = model.contest(both, ddf=ddf)
        np.testing.assert_allclose(table["NumDF"], 2)
        other = same.contest(both, ddf=ddf)
        np.testing.assert_allclose(table["F value"], other["F value"], rtol=1e-6)


# --- teaching data -------------------------------------------------------------------------------


def test_children_reading():
    data = pd.read_csv(shared("seeds/childread.csv"))
    expected = json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))
    model = crossnest.lmer("reading_age ~ hrs_week + (1 + hrs_week | school)", data)
    model = model.evaluate(expected["read_kr"]["theta"])
    kr = make_tester(model, "kenward-roger")
    table = kr.t_table(np.eye(2))
    for column in ("Std. Error", "df", "t value", "Pr(>|t|)"):
        values = expected["read_kr"]["coef"][column]
        np.testing.assert_allclose(table[column], values, rtol=1e-8)
    test = kr.modified_f_test(np.array([[0.0, 1.0]]))
    r = expected["read_kr_modcomp"]
    names = ["ndf", "ddf", "Fstat", "p.value", "F.scaling", "FstatU", "p.valueU"]
    np.testing.assert_allclose(test, [r[name] for name in names], rtol=1e-8)
