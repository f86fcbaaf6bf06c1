"""Complete, no and partial pooling side by side."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

import crossnest
from crossnest import datasets

plt.switch_backend("Agg")


@pytest.fixture(scope="module")
def pooling():
    return crossnest.compare_pooling("Reaction ~ Days", datasets.sleepstudy(), "Subject")


def test_the_table_holds_the_three_fits(pooling):
    data = datasets.sleepstudy()
    table = pooling.table
    assert table.columns.names == ["coefficient", "pooling"] and table.index.name == "Subject"
    assert list(table["Days"].columns) == ["complete", "no", "partial"]
    complete = crossnest.lm("Reaction ~ Days", data)
    separate = crossnest.lm_list("Reaction ~ Days | Subject", data)
    mixed = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data)
    for name in ("(Intercept)", "Days"):
        assert set(table[name]["complete"]) == {complete.params[name]}
        np.testing.assert_allclose(table[name]["no"], separate.coef()[name], rtol=1e-12)
        np.testing.assert_allclose(table[name]["partial"], mixed.coef()["Subject"][name], rtol=1e-6)
    assert pooling.complete.summary().text.split("\n")[2].startswith("lm(formula = Reaction ~ Days")


def test_it_prints_its_table(pooling):
    lines = str(pooling).split("\n")
    assert lines[:5] == [
        "Coefficients by complete, no and partial pooling over Subject",
        "Formula: Reaction ~ Days",
        "",
        "(Intercept)",
        "    complete    no partial",
    ]
    days = lines[lines.index("Days") :]
    assert [line for line in days if line.startswith("335")] == ["335  10.4673 -2.8810 -0.2849"]
    assert pooling._repr_html_().count("<tr>") == 19


def test_rows_are_the_same_for_all_three():
    data = datasets.sleepstudy()
    data["Subject"] = data["Subject"].where(data.index % 7 > 0)
    data.loc[5, "Days"] = np.nan
    pooling = crossnest.compare_pooling("Reaction ~ Days", data, "Subject")
    n = len(data.dropna())
    assert pooling.complete.nobs == pooling.partial.nobs == pooling.no.nobs.sum() == n


def test_a_group_without_a_fit_of_its_own_is_pooled_all_the_same():
    data = datasets.sleepstudy()
    data = data[~((data["Subject"] == "310") & (data["Days"] > 0))]
    with pytest.warns(crossnest.SmallGroupWarning, match="310"):
        pooling = crossnest.compare_pooling("Reaction ~ Days", data, "Subject")
    row = pooling.table.loc["310", "Days"]
    assert row.isna().tolist() == [False, True, False]
    assert "NA" in next(line for line in pooling.text.split("\n") if line.startswith("310"))
    figure = pooling.plot()
    figure.canvas.draw()
    plt.close(figure)


def test_factors_as_covariates():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.SingularFitWarning)
        pooling = crossnest.compare_pooling("score ~ Machine", datasets.machines(), "Worker")
    assert list(pooling.table.columns.unique(0)) == ["(Intercept)", "Machine[T.B]", "Machine[T.C]"]
    assert pooling.table.notna().all(axis=None)
    with pytest.raises(NotImplementedError, match=r"one numeric variable.*Machine"):
        pooling.plot()


# -------------------------------------------------------------------------------------- drawing


def test_plot_has_a_facet_a_group_with_three_lines(pooling):
    figure = pooling.plot()
    assert [axes.get_title() for axes in figure.axes] == [
        f"Subject {level}" for level in pooling.table.index
    ]
    data = datasets.sleepstudy()
    for axes, (level, rows) in zip(
        figure.axes, data.groupby("Subject", observed=True), strict=True
    ):
        points, *lines = axes.get_lines()
        np.testing.assert_array_equal(points.get_ydata(), rows["Reaction"])
        for line, way in zip(lines, ["complete", "no", "partial"], strict=True):
            intercept, slope = pooling.table.loc[level].xs(way, level="pooling")
            assert line.get_label() == f"{way} pooling"
            np.testing.assert_allclose(line.get_ydata(), intercept + slope * line.get_xdata())
    shown = [
        axes.get_title()
        for axes in figure.axes
        if axes.xaxis.get_major_ticks()[0].label1.get_visible()
    ]
    assert shown[-3:] == ["Subject 370", "Subject 371", "Subject 372"]
    assert len(shown) == 5  # the lowest of each column, two of them above removed facets
    figure.canvas.draw()
    plt.close(figure)


def test_plot_of_a_curve():
    pooling = crossnest.compare_pooling(
        "Reaction ~ Days + I(Days**2)", datasets.sleepstudy(), "Subject"
    )
    figure = pooling.plot()
    line = figure.axes[0].get_lines()[2]
    rows = pooling.no.design.y[:10]
    own = np.polyval(np.polyfit(np.arange(10), rows, 2), np.arange(10))
    np.testing.assert_allclose(line.get_ydata(), own)
    plt.close(figure)


def test_plot_on_axes_given(pooling):
    figure, axes = plt.subplots(3, 6)
    assert pooling.plot(axes) is figure
    with pytest.raises(ValueError, match="18 Axes"):
        pooling.plot(axes[0])
    plt.close(figure)
