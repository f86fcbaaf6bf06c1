"""Models side by side."""

from __future__ import annotations

import textwrap
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import crossnest
from conftest import fitted_model

FIXED, RANDOM, FIT = "Fixed effects", "Random effects", "Fit"


@pytest.fixture(scope="module")
def models():
    sleepstudy = crossnest.datasets.sleepstudy()
    line = crossnest.lm("Reaction ~ Days", sleepstudy)
    means = crossnest.lmer("Reaction ~ 1 + (1 | Subject)", sleepstudy, reml=False)
    return line, means, fitted_model("sleepstudy")


def test_text(models):
    pooled, means, lines = models
    text = """\
                                   pooled    means    lines
    Fixed effects
      (Intercept)                     251.405  298.508  251.405
                                       (6.610)  (8.795)  (6.825)
      Days                             10.467            10.467
                                       (1.238)           (1.546)
    Random effects
      SD (Intercept) | Subject                   34.59    24.74
      SD Days | Subject                                   5.922
      Cor (Intercept), Days | Subject                      0.07
      SD residual                       47.71    44.26    25.59
    Fit
      Observations                        180      180      180
      Groups: Subject                               18       18
      logLik                          -950.15  -955.27  -871.81
      AIC                             1906.29  1916.54  1755.63
      BIC                             1915.87  1926.12  1774.79
      ICC                                        0.379    0.722
      R2                                0.286
      R2 adjusted                       0.282
      R2 marginal                                0.000    0.279
      R2 conditional                             0.379    0.799
    ---
    logLik, AIC and BIC of lines are of the restricted likelihood (REML)."""
    found = crossnest.compare(pooled, means, lines)
    lines_found, lines_expected = str(found).split("\n"), textwrap.dedent(text).split("\n")
    assert lines_found[0].split() == lines_expected[0].split()
    assert lines_found[1:] == lines_expected[1:]
    assert repr(found) == found.text


def test_stars(models):
    found = crossnest.compare(*models, names=["a", "b", "c"], stars=True)
    lines = found.text.split("\n")
    assert lines[2] == "  (Intercept)                     251.405*** 298.508*** 251.405***"
    assert lines[3] == "                                   (6.610)    (8.795)    (6.825)"
    assert "Signif. codes" in lines[-3]
    assert lines[-1] == "p-values by Satterthwaite's method."
    pvalues = found.table.loc[(FIXED, "Days", "p.value")]
    assert_allclose(pvalues["a"], models[0].pvalues["Days"], rtol=1e-12)
    assert_allclose(pvalues["c"], models[2].pvalues["Days"], rtol=1e-12)
    assert np.isnan(pvalues["b"])


def test_numbers(models):
    line, means, lines = models
    table = crossnest.compare(line, means, lines, names=["lm", "ml", "reml"]).table
    assert list(table.columns) == ["lm", "ml", "reml"]
    assert_allclose(table.loc[(FIXED, "Days", "estimate"), "reml"], lines.fixef["Days"])
    assert_allclose(table.loc[(FIXED, "(Intercept)", "std.error"), "ml"], means.bse.iloc[0])
    sds = lines.var_corr.to_frame()["sdcor"]
    assert_allclose(table.loc[RANDOM]["reml"], sds)
    assert table.loc[(RANDOM, "SD residual", "sd"), "lm"] == line.sigma
    assert table.loc[(FIT, "BIC", "statistic")].tolist() == [line.bic, means.bic, lines.bic]
    assert table.loc[(FIT, "R2", "statistic")].isna().tolist() == [False, True, True]


def test_terms_stand_in_the_order_of_the_models():
    cake = crossnest.datasets.cake()
    small = crossnest.lmer("angle ~ temp + (1 | recipe:replicate)", cake)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        large = crossnest.lmer("angle ~ recipe + temp + (1 | replicate) + (1 | temperature)", cake)
    found = crossnest.compare(small, large, ddf="normal", stars=True)
    terms = found.table.loc[FIXED].index.get_level_values("term").unique().tolist()
    assert terms == ["(Intercept)", "temp", "recipe[T.B]", "recipe[T.C]"]
    fit_terms = found.table.loc[FIT].index.get_level_values("term").tolist()
    assert fit_terms[:4] == [
        "Observations", "Groups: recipe:replicate", "Groups: replicate", "Groups: temperature"
    ]  # fmt: skip
    assert found.table.loc[RANDOM].index[-1][0] == "SD residual"
    assert found.notes[0].startswith("logLik, AIC and BIC are")
    assert found.notes[1] == "p-values by the normal approximation."


def test_html(models):
    html = crossnest.compare(*models, names=["a<b", "b", "c"])._repr_html_()
    assert html.count("<table>") == 1
    assert "<th>a&lt;b</th>" in html
    assert "<td>(1.546)</td>" in html


def test_no_fixed_effects_and_many_models():
    model = fitted_model("no_fixed")
    found = crossnest.compare(*[model] * 12, names=list("abcdefghijkl"), stars=True)
    assert FIXED not in found.text
    assert max(map(len, found.text.split("\n"))) <= 80


def test_models_without_data(tmp_path):
    model = fitted_model("sleepstudy")
    model.save(tmp_path / "model")
    loaded = crossnest.load(tmp_path / "model")
    table = crossnest.compare(model, loaded, names=["model", "loaded"]).table
    assert_allclose(table["loaded"], table["model"])


def test_one_model_has_one_name(models):
    assert list(crossnest.compare(models[0], names="line").table) == ["line"]


def test_wrong_arguments(models):
    with pytest.raises(ValueError, match="no model"):
        crossnest.compare()
    with pytest.raises(TypeError, match="fitted models, not str"):
        crossnest.compare(models[0], "models")
    for names in (["a"], ["a", "a"]):
        with pytest.raises(ValueError, match="2 different names"):
            crossnest.compare(*models[:2], names=names)


def test_compare_is_the_function_however_it_is_imported():
    import crossnest.report.side_by_side

    assert crossnest.compare is crossnest.report.side_by_side.compare
