"""Regression tables by maketables, and great_tables of tidy ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import crossnest
from crossnest.neighbours.maketables import RegressionTable

maketables = pytest.importorskip("maketables")
great_tables = pytest.importorskip("great_tables")


@pytest.fixture(scope="module")
def models(fitted):
    intercepts = crossnest.lmer("Reaction ~ Days + (1 | Subject)", crossnest.datasets.sleepstudy())
    return [fitted("sleepstudy"), intercepts]


def cells(table):
    """Return the cells of an ETable by the names of rows and the numbers of models."""
    frame = table.df.droplevel(0)
    rows = zip(frame.index, frame.to_numpy(), strict=True)
    return {name: [str(cell) for cell in row] for name, row in rows}


def test_table_of_fitted_models(models):
    table = maketables.ETable(models, model_stats=["N", "aic"])
    assert table.df.columns.get_level_values(0).unique().tolist() == ["Reaction"]
    shown = cells(table)
    assert shown["Days"] == ["10.467*** \n (1.546)", "10.467*** \n (0.804)"]
    assert shown["Observations"] == ["180", "180"]
    assert shown["AIC"] == ["1,755.63", "1,794.47"]
    assert models[0].fixef.index.name is None


def test_intervals_and_tests_of_fitted_models_are_ours(models):
    model = models[0]
    table = maketables.get_extractor(model).coef_table(model)
    assert_allclose(table["p"], model.pvalues)
    assert_allclose(table[["ci95l", "ci95u"]], model.conf_int())
    assert_allclose(table[["ci90l", "ci90u"]], model.conf_int(alpha=0.1))


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "residual", "normal"])
def test_coefficient_table_of_the_plug_in_format(models, ddf):
    model = models[0]
    table = RegressionTable(model, ddf).__maketables_coef_table__
    expected = model.tidy("fixed", conf_int=True, ddf=ddf)
    assert table.index.tolist() == ["Intercept", "Days"]
    assert_allclose(
        table[["b", "se", "t", "df", "p", "ci95l", "ci95u"]],
        expected[["estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"]],
    )
    assert (table["ci90l"] > table["ci95l"]).all()


def test_table_by_the_plug_in_format(models):
    columns = [RegressionTable(models[0]), RegressionTable(models[1], "kenward-roger")]
    assert type(maketables.get_extractor(columns[0])).__name__ == "PluginExtractor"
    shown = cells(maketables.ETable(columns))
    assert list(shown) == [
        "Days",
        "Intercept",
        "Observations",
        "Groups: Subject",
        "SD (Intercept) | Subject",
        "SD Days | Subject",
        "Corr. (Intercept), Days | Subject",
        "SD Residual",
        "AIC",
    ]
    assert shown["SD (Intercept) | Subject"] == ["24.740", "37.124"]
    assert shown["Corr. (Intercept), Days | Subject"] == ["0.066", "-"]
    assert shown["Groups: Subject"] == ["18", "18"]


def test_statistics_by_name(models):
    model = models[0]
    keys = ["ll", "bic", "df_resid", "R2_marginal", "ICC_adjusted", "R2_none", "nothing"]
    given = [RegressionTable(model).__maketables_stat__(key) for key in keys]
    expected = [model.llf, model.bic, 174, model.r2()["R2_marginal"], model.icc()["ICC_adjusted"]]
    assert_array_equal(given, [*expected, None, None])
    stats = maketables.ETable([RegressionTable(model, "kenward-roger")], model_stats=["se_type"])
    assert cells(stats)["S.E. type"] == ["Kenward-Roger"]


def test_models_have_the_hooks_themselves(models):
    model, column = models[0], RegressionTable(models[0])
    plug_in = maketables.extractors.PluginExtractor()
    assert plug_in.can_handle(model)
    assert plug_in.coef_table(model).equals(column.__maketables_coef_table__)
    assert plug_in.depvar(model) == "Reaction"
    assert plug_in.vcov_info(model) == {"vcov_type": "model", "clustervar": None}
    assert plug_in.default_stat_keys(model) == column.__maketables_default_stat_keys__
    assert plug_in.stat(model, "N") == 180


def test_crossed_groups_side_by_side(models, fitted):
    columns = [RegressionTable(models[0]), RegressionTable(fitted("penicillin"))]
    shown = cells(maketables.ETable(columns))
    assert shown["Groups: plate"] == ["-", "24"]
    assert shown["Days"][1] == ""


def test_rendered(models):
    html = maketables.ETable([RegressionTable(models[0])]).make(type="gt").as_raw_html()
    assert "10.467" in html
    assert "SD (Intercept) | Subject" in html


def test_great_tables_of_tidy_tables(models):
    table = great_tables.GT(models[0].tidy("fixed")).fmt_number(["estimate"], decimals=2)
    html = table.as_raw_html()
    assert "251.41" in html
    assert "std.error" in html
    assert np.isfinite(models[0].tidy("fixed")["std.error"]).all()
