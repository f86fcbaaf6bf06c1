"""Likelihood-ratio tests of several models, against lme4's tables.

Numbers written here come from R 4.2.2 with lme4 1.1.31, lmerTest 3.1.3 and pbkrtest 0.5.2, fitted
with optCtrl = list(ftol_abs = 1e-12, xtol_abs = 1e-10).
"""

from __future__ import annotations

import numpy as np
import pytest

import crossnest
from conftest import fitted_model
from reference_cases import all_cases, as_array, as_list

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")


def fit(dataset, formula, **arguments):
    return crossnest.lmer(formula, crossnest.datasets.load(dataset), **arguments)


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


def test_what_anova_takes():
    with pytest.raises(TypeError, match="at least one model"):
        crossnest.anova()
    with pytest.raises(TypeError, match="fitted by lmer, not str"):
        crossnest.anova("y ~ x")


def test_a_negative_ratio_is_no_result():
    """The larger model does not contain the smaller one: no ratio of zero, and no p-value of 1."""
    data = crossnest.datasets.sleepstudy()
    data["noise"], data["other"] = np.random.default_rng(1).standard_normal((2, len(data)))
    small = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    large = crossnest.lmer("Reaction ~ noise + other + (1 | Subject)", data, reml=False)
    with pytest.warns(crossnest.InferenceWarning, match="`large` is below that of `small` by"):
        table = crossnest.anova(small, large)
    assert table.loc["large", ["Chisq", "Pr(>Chisq)"]].isna().all()
