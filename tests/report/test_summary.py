"""The printed summary, compared line by line with R's (lme4, lmerTest) for the same numbers.

Summaries are built from R's numbers, so that what is tested here is layout and digits alone.
Where crossnest says something in its own words (the optimizer's lines, the hint on many fixed
effects), R's words are replaced by ours before comparing.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from crossnest.fit.residuals import residual_quantiles
from crossnest.fit.var_corr import CovarianceTerm, VarCorr
from crossnest.inference import ddf as ddf_module
from crossnest.report.summary import Summary, correlation_matrix
from reference_cases import TESTS, ReferenceCase, all_cases, as_array, as_list, load_case
from shared_files import shared

OURS = {
    "boundary (singular) fit: see help('isSingular')": "boundary (singular) fit: see `is_singular`",
    "Use print(x, correlation=TRUE)  or": "Use summary(correlation=True)  or",
    "    vcov(x)        if you need it": "    vcov        if you need it",
}
OPTIMIZER = "optimizer convergence code: 0 (OK)"


def expected_lines(expected: dict[str, Any]) -> list[str]:
    lines = [OURS.get(line, line) for line in as_list(expected["summary_text"])]
    return [OPTIMIZER if line.startswith("optimizer (") else line for line in lines]


def var_corr_of(case: ReferenceCase) -> VarCorr:
    table = case.expected["varcorr"]
    rows = list(zip(*(as_list(table[key]) for key in ("grp", "var1", "var2", "vcov")), strict=True))
    terms = []
    for group in dict.fromkeys(row[0] for row in rows[:-1]):
        own = [row for row in rows if row[0] == group]
        names = tuple(row[1] for row in own if row[2] is None)
        covariance = np.zeros((len(names), len(names)))
        for _, var1, var2, vcov in own:
            i, j = names.index(var1), names.index(var2 or var1)
            covariance[i, j] = covariance[j, i] = vcov
        terms.append(CovarianceTerm(group, names, covariance))
    return VarCorr(terms, case.sigma)


def summary_of(case: ReferenceCase) -> Summary:
    expected = case.expected
    text = as_list(expected["summary_text"])
    dropped = [line for line in text if "rank deficient" in line]
    names = case.coef_names if "coef" in expected else []
    vcov = case.vcov if names else np.zeros((0, 0))
    table = np.column_stack([case.beta, case.se, as_array(expected["coef"]["t"])])
    return Summary(
        formula=case.r_formula,
        data_name=next(line[9:] for line in text if line.startswith("   Data: ")),
        weights=case.weights,
        offset=case.offset,
        reml=case.reml,
        objective=case.criterion,
        llf=float(expected["logLik"]),
        aic=float(expected["AIC"]),
        bic=float(expected["BIC"]),
        df_resid=int(expected["nobs"]) - int(expected["df"]),
        residual_quantiles=as_array(expected["scaled_residual_quantiles"]),
        var_corr=var_corr_of(case),
        nobs=int(expected["nobs"]),
        n_missing=0,
        n_zero_weight=0,
        n_levels=expected["n_levels"],
        coef_names=tuple(names),
        coef_columns=("Estimate", "Std. Error", "t value"),
        coefficients=table,
        correlation=correlation_matrix(vcov),
        dropped=("column",) * (int(dropped[0].split()[-4]) if dropped else 0),
        messages=(OPTIMIZER, OURS["boundary (singular) fit: see help('isSingular')"])
        if case.singular
        else (),
        show_correlation=asked_for_correlation(case),
    )


def asked_for_correlation(case: ReferenceCase) -> bool | None:
    """Tell what R was asked; the hint on many fixed effects is in the texts of golden only."""
    asked = case.expected.get("print_arguments")
    if isinstance(asked, dict) and "correlation" in asked:
        return bool(asked["correlation"])
    hidden = case.directory.name == "reference" and len(case.coef_names) > 12
    return False if hidden else None


def with_r_names(summary: Summary, case: ReferenceCase) -> Summary:
    """Rename what R and formulaic name differently: coefficients, formula; and name the data."""
    theirs = summary_of(case)
    pairs = zip(summary.var_corr.terms, theirs.var_corr.terms, strict=True)
    terms = [dataclasses.replace(ours, names=r.names) for ours, r in pairs]
    return dataclasses.replace(
        summary,
        formula=theirs.formula,
        data_name=theirs.data_name,
        coef_names=theirs.coef_names,
        var_corr=VarCorr(terms, summary.var_corr.sigma),
        n_missing=0,
        show_correlation=theirs.show_correlation,
    )


CASES = [*all_cases("reference"), *all_cases("golden")]
by_name = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.directory.name}/{case.name}" for case in CASES]
)


NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


@by_name
def test_text_is_lme4s_line_by_line(case):
    assert summary_of(case).text.split("\n") == expected_lines(case.expected)


@by_name
def test_text_of_a_fit_is_lme4s_line_by_line(case, fitted):
    """R stops a little off the optimum: numbers may differ by one in the last digit or by 1e-4."""
    summary = fitted(f"{case.directory.name}/{case.name}").summary(ddf="none")
    check_lines(with_r_names(summary, case).text.split("\n"), expected_lines(case.expected), 1e-4)


def check_lines(lines: list[str], expected: list[str], relative: float) -> None:
    """Compare the layout exactly, the numbers by one in the last digit, or relatively."""
    assert [NUMBER.sub(same_width, line) for line in lines] == [
        NUMBER.sub(same_width, line) for line in expected
    ]
    for ours, theirs in zip(lines, expected, strict=True):
        for a, b in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
            slack = max(1.01 * last_digit(b), relative * abs(float(b)))
            assert abs(float(a) - float(b)) <= slack, f"\n{ours}\n{theirs}"


def same_width(number: re.Match[str]) -> str:
    return re.sub(r"\d", "0", number.group())


def last_digit(number: str) -> float:
    """Return the unit of the last digit printed."""
    mantissa, _, exponent = number.partition("e")
    return 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


@dataclass(frozen=True)
class LmerTestCase:
    """What lmerTest prints for a model fitted by R.

    Attributes
    ----------
    base
        The model.
    expected
        ``ddf``, ``columns``, ``coefficients`` (p, 5) and ``summary_text``.
    """

    base: ReferenceCase
    expected: dict[str, Any]

    @property
    def ddf(self) -> Any:
        """The method of the degrees of freedom."""
        return self.expected["ddf"]

    @property
    def coefficients(self) -> np.ndarray:
        """R's table, (p, 5)."""
        return np.array(self.expected["coefficients"], dtype=float).reshape(-1, 5)


def lmertest_cases() -> list[LmerTestCase]:
    paths = sorted((TESTS / "golden" / "lmertest").glob("*.json"))
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    bases = [load_case(*reversed(expected["base"].split("/"))) for expected in loaded]
    return [LmerTestCase(*pair) for pair in zip(bases, loaded, strict=True)]


LMERTEST = lmertest_cases()
with_tests = pytest.mark.parametrize("case", LMERTEST, ids=[c.expected["case"] for c in LMERTEST])


@with_tests
def test_text_is_lmertests_line_by_line(case):
    summary = dataclasses.replace(
        summary_of(case.base),
        coef_columns=tuple(case.expected["columns"]),
        coefficients=case.coefficients,
        ddf=case.ddf,
    )
    assert summary.text.split("\n") == expected_lines(case.expected)


@with_tests
def test_text_of_a_fit_is_lmertests_line_by_line(case, fitted):
    """Degrees of freedom come from numeric derivatives in R: a relative difference of 1e-3."""
    summary = fitted(f"{case.base.directory.name}/{case.base.name}").summary(ddf=case.ddf)
    lines = with_r_names(summary, case.base).text.split("\n")
    check_lines(lines, expected_lines(case.expected), 1e-3)


SEED_MODELS = {
    "gp_random_intercept": ("gp_cholesterol.csv", "chol ~ age + (1 | doctor)", "satterthwaite"),
    "gp_random_slope": ("gp_cholesterol.csv", "chol ~ age + (age | doctor)", "satterthwaite"),
    "gp_group_covariate": (
        "gp_cholesterol.csv",
        "chol ~ age + agedoc + (1 | doctor)",
        "satterthwaite",
    ),
    **{
        f"read_{short}": (
            "childread.csv",
            "reading_age ~ 1 + hrs_week + (1 + hrs_week | school)",
            ddf,
        )
        for short, ddf in (
            ("none", "none"),
            ("satterthwaite", "satterthwaite"),
            ("kr", "kenward-roger"),
        )
    },
}


@pytest.mark.parametrize("name", SEED_MODELS)
def test_teaching_data(name):
    """R's optimum is not as tight here: numbers agree to 1e-3, the layout exactly."""
    file, formula, ddf = SEED_MODELS[name]
    expected = json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))[name]["text"]
    model = crossnest.lmer(formula, pd.read_csv(shared(f"seeds/{file}")))
    data_name = next(line[9:] for line in expected if line.startswith("   Data: "))
    summary = dataclasses.replace(model.summary(ddf), data_name=data_name)
    check_lines(
        summary.text.split("\n"), [x for x in expected if not x.startswith("Control")], 1e-3
    )


def test_short_text_is_lme4s(fitted):
    assert fitted("sleepstudy").summary().short_text == SHORT
    ml = fitted("sleepstudy_ml").summary().short_text.split("\n")[1:]
    assert ml[1] == "   Data: sleepstudy"
    assert ml[2] == "      AIC       BIC    logLik  deviance  df.resid "
    assert ml[3] == "1763.9393 1783.0971 -875.9697 1751.9393       174 "
    assert "No fixed effect coefficients" in fitted("no_fixed").summary().short_text


SHORT = """\
Linear mixed model fit by REML ['lmerMod']
Formula: Reaction ~ Days + (Days | Subject)
   Data: sleepstudy
REML criterion at convergence: 1743.628
Random effects:
 Groups   Name        Std.Dev. Corr
 Subject  (Intercept) 24.740       
          Days         5.922   0.07
 Residual             25.592       
Number of obs: 180, groups:  Subject, 18
Fixed Effects:
(Intercept)         Days  
     251.41        10.47  """  # noqa: W291


def test_coef_table(fitted):
    model = fitted("sleepstudy")
    table = model.summary(ddf="none").coef_table
    assert list(table.columns) == ["Estimate", "Std. Error", "t value"]
    assert list(table.index) == ["(Intercept)", "Days"]
    np.testing.assert_array_equal(table["Estimate"], model.fixef)
    np.testing.assert_array_equal(table["t value"], model.tvalues)


def test_coef_table_with_tests(fitted):
    model = fitted("sleepstudy")
    table = model.summary().coef_table
    assert list(table.columns) == ["Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"]
    np.testing.assert_allclose(table["df"], [17, 17], rtol=1e-5)
    np.testing.assert_array_equal(table["Pr(>|t|)"], model.pvalues)
    residual = model.summary(ddf="residual").coef_table
    np.testing.assert_array_equal(residual["df"], [178, 178])
    normal = model.summary(ddf="normal").coef_table
    assert list(normal.columns) == ["Estimate", "Std. Error", "z value", "Pr(>|z|)"]
    p = 2 * scipy.stats.norm.sf(np.abs(model.tvalues))
    np.testing.assert_allclose(normal["Pr(>|z|)"], p, rtol=1e-12)


@pytest.mark.parametrize(
    ("ddf", "title"),
    [
        ("residual", "t-tests use residual degrees of freedom"),
        ("normal", "z-tests use the normal approximation"),
    ],
)
def test_methods_that_lmertest_lacks_are_named(fitted, ddf, title):
    summary = fitted("sleepstudy_ml").summary(ddf)
    expected = f"Linear mixed model fit by maximum likelihood. {title}"
    assert " ".join(summary.title.split()) == expected
    assert "lmerMod" not in summary.text


def test_unknown_method(fitted):
    with pytest.raises(ValueError, match=r"ddf must be one of 'satterthwaite', .* not False"):
        fitted("sleepstudy").summary(False)


def test_without_degrees_of_freedom_they_are_missing(fitted, monkeypatch):
    def refuse(*_: object) -> None:
        raise NotImplementedError("too large")

    monkeypatch.setattr(ddf_module, "tester", refuse)
    with pytest.warns(
        crossnest.base.errors.InferenceWarning,
        match="degrees of freedom and p-values are unavailable.*too large",
    ):
        summary = fitted("sleepstudy").summary()
    table = summary.coef_table
    assert table[["df", "Pr(>|t|)"]].isna().all(axis=None)
    assert np.isfinite(table[["Estimate", "Std. Error", "t value"]]).all(axis=None)
    assert "(Intercept)  251.405      6.825 NaN  36.838      NaN\n" in summary.text


def test_no_fixed_effects(fitted):
    summary = fitted("no_fixed").summary()
    assert summary.coef_table.shape == (0, 5)
    assert "Fixed effects" not in summary.text


def test_rows_left_out_are_counted_after_the_number_of_observations(fitted):
    summary = fitted("sleepstudy").summary()
    lines = dataclasses.replace(summary, n_missing=2, n_zero_weight=1).text.split("\n")
    at = lines.index("Number of obs: 180, groups:  Subject, 18")
    assert lines[at + 1 : at + 3] == [
        "  (2 observations deleted due to missingness)",
        "  (1 observation of weight zero left out)",
    ]


def test_correlations_on_request(fitted):
    text = fitted("sleepstudy").summary(correlation=False).text
    assert "Correlation" not in text
    assert "Correlation of Fixed Effects" in fitted("sleepstudy").summary().to_text()
    many = fitted("golden/many_fixed").summary(correlation=True)
    assert "Correlation of Fixed Effects" in many.text
    assert "not shown by default" not in many.text


def test_digits_on_request(fitted):
    assert "251.40510    6.82456" in fitted("sleepstudy").summary().to_text(digits=6)


def test_prints_as_its_text(fitted):
    summary = fitted("sleepstudy").summary()
    assert str(summary) == repr(summary) == summary.text


def test_html_has_the_same_cells(fitted):
    text = fitted("sleepstudy").summary()._repr_html_()
    cells = ("612.09", "24.740", "251.405", "6.771", "17.000", "3.26e-06", "***")
    for cell in cells:
        assert f"<td>{cell}</td>" in text
    assert "Signif. codes" in text


def test_quantiles_are_of_type_seven():
    np.testing.assert_array_equal(residual_quantiles([1, 2, 3, 4]), [1, 1.75, 2.5, 3.25, 4])
