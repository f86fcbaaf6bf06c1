"""Plots of fitted models: what is drawn, and where."""

from __future__ import annotations

import inspect
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
from numpy.testing import assert_allclose

import crossnest
from crossnest import datasets, plotting
from crossnest.plotting.group_coefficients import group_coefficients
from crossnest.plotting.profile_contours import contour, radius
from crossnest.plotting.style import MAX_NAMED, PALETTE, colours

plt.switch_backend("Agg")


@pytest.fixture(autouse=True)
def untouched_settings():
    """Every test leaves matplotlib's settings as they were."""
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before


@pytest.fixture(scope="module")
def exam():
    formula = "normexam ~ standLRT + sex + schavg + (standLRT | school)"
    return crossnest.lmer(formula, datasets.exam())


@pytest.fixture(scope="module")
def profile(fitted):
    return fitted("sleepstudy").profile(progress=False)


@pytest.fixture(scope="module")
def orthodont():
    return crossnest.lmer("distance ~ age * Sex + (1 | Subject)", datasets.orthodont())


def points(axes, n=0):
    """Return the points (k, 2) of a collection of Axes, the last PathCollection if 0."""
    kinds = [c for c in axes.collections if type(c).__name__ == "PathCollection"]
    return np.asarray(kinds[n].get_offsets())


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def labelled(axes):
    """Return lines and collections of Axes by label."""
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def overlaps(texts):
    """Tell whether two texts of a drawn figure cover each other."""
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


# ---------------------------------------------------------------------------------- the package


def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys, crossnest; crossnest.plotting.plot_qq; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'crossnest\[plot\]'"):
        fitted("sleepstudy").plot.caterpillar()


def test_every_function_is_a_method_and_takes_axes():
    functions = {name[5:]: getattr(plotting, name) for name in plotting.__all__ if "plot_" in name}
    methods = dict(inspect.getmembers(plotting.ModelPlots, inspect.isfunction))
    assert set(functions) == {name for name in methods if not name.startswith("_")}
    for name, function in functions.items():
        expected = list(inspect.signature(function).parameters)
        assert expected[-1] == "ax"
        own = list(inspect.signature(methods[name]).parameters)
        assert own[-len(expected) + 1 :] == expected[1:]


def test_axes_of_a_subfigure_will_do(fitted):
    figure = plt.figure()
    left, _ = figure.subfigures(1, 2)
    assert fitted("penicillin").plot.forest(ax=left.subplots()) is figure


def test_colours_are_distinct_beyond_the_palette_too():
    assert len(set(colours(len(PALETTE)))) == len(PALETTE)
    assert len({tuple(colour) for colour in colours(12)}) == 12


# ---------------------------------------------------------------------------------- caterpillar


def test_caterpillar_draws_modes_and_intervals_in_order(fitted):
    model = fitted("sleepstudy")
    modes = model.ranef(cond_var=True)
    figure = model.plot.caterpillar(level=0.9)
    intercepts, slopes = figure.axes
    first = modes[modes["term"] == "(Intercept)"].set_index("grp")
    order = first["condval"].sort_values(ascending=False).index
    quantile = scipy.stats.norm.ppf(0.95)
    for axes, name in ((intercepts, "(Intercept)"), (slopes, "Days")):
        part = modes[modes["term"] == name].set_index("grp").loc[order]
        assert axes.get_title() == name
        assert_allclose(points(axes)[:, 0], part["condval"])
        assert_allclose(points(axes)[:, 1], np.arange(18))
        ends = np.array([line[:, 0] for line in axes.collections[0].get_segments()])
        half = quantile * part["condsd"].to_numpy()
        assert_allclose(ends.T, [part["condval"] - half, part["condval"] + half])
        faint = axes.collections[0].get_colors()[:, 3] < 1
        assert_allclose(faint, np.abs(part["condval"]) < half)
    assert tick_labels(intercepts.yaxis) == list(order)
    assert tick_labels(slopes.yaxis) == [""] * 18
    assert intercepts.get_ylabel() == "Subject" and "90%" in intercepts.get_xlabel()
    assert intercepts.get_ylim()[0] > intercepts.get_ylim()[1]  # the first row is at the top


def test_caterpillar_of_one_factor_and_effect_in_the_order_of_levels(fitted):
    figure, axes = plt.subplots()
    drawn = plotting.plot_caterpillar(
        fitted("sleepstudy"), "Subject", "Days", order="level", ax=axes
    )
    assert drawn is figure
    modes = fitted("sleepstudy").ranef()["Subject"]["Days"]
    assert_allclose(points(axes)[:, 0], modes)
    assert tick_labels(axes.yaxis) == list(modes.index)


def test_caterpillar_draws_every_grouping_factor(fitted):
    plates, samples = plotting.plot_caterpillar(fitted("penicillin")).axes
    assert (len(points(plates)), len(points(samples))) == (24, 6)
    assert (plates.get_ylabel(), samples.get_ylabel()) == ("plate", "sample")
    assert tick_labels(samples.yaxis)[0] == "A"


@pytest.mark.parametrize("n", [18, MAX_NAMED])
def test_names_of_levels_do_not_overlap(n):
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat([f"level {i}" for i in range(n)], 3)})
    data["y"] = rng.normal(size=n)[np.arange(3 * n) // 3] + rng.normal(size=3 * n)
    figure = crossnest.lmer("y ~ 1 + (1 | g)", data).plot.caterpillar()
    figure.canvas.draw()
    names = figure.axes[0].get_yticklabels()
    assert len([name for name in names if name.get_text()]) == n
    assert not overlaps(names)


def test_many_levels_are_counted_and_not_named(exam):
    axes = plotting.plot_caterpillar(exam, effect="(Intercept)").axes[0]
    assert axes.get_ylabel() == "school (65 levels)"
    assert len(points(axes)) == 65 and not "".join(tick_labels(axes.yaxis))
    assert axes.figure.get_size_inches()[1] < 10


def test_caterpillar_refuses_what_is_not_there(fitted):
    model = fitted("sleepstudy")
    with pytest.raises(
        ValueError, match="no grouping factor 'Days'; the grouping factors are Subject"
    ):
        model.plot.caterpillar("Days")
    with pytest.raises(
        ValueError, match=r"no random effect 'x'; the random effects are \(Intercept\), Days"
    ):
        model.plot.caterpillar(effect="x")
    with pytest.raises(ValueError, match="'value' or 'level'"):
        model.plot.caterpillar(order="size")
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.plot.caterpillar(level=95)
    with pytest.raises(ValueError, match="2 Axes, one for each of Subject"):
        model.plot.caterpillar(ax=plt.subplots()[1])


# --------------------------------------------------------------------------------- fitted lines


def test_fitted_lines_go_through_the_predictions(fitted):
    model, data = fitted("sleepstudy"), datasets.sleepstudy()
    figure = model.plot.fitted()
    assert len(figure.axes) == 18
    for axes, (level, part) in zip(
        figure.axes, data.groupby("Subject", observed=True), strict=True
    ):
        dots, line = axes.get_lines()
        assert axes.get_title() == level
        assert_allclose(dots.get_data(), part[["Days", "Reaction"]].to_numpy().T)
        rows = pd.DataFrame({"Days": line.get_xdata(), "Subject": level})
        assert_allclose(line.get_ydata(), model.predict(rows), rtol=1e-10)
        assert (line.get_xdata()[[0, -1]] == [0, 9]).all()
    assert figure.get_supxlabel() == "Days" and figure.get_supylabel() == "Reaction"
    assert figure.get_suptitle() == "18 levels of Subject"
    assert figure.axes[0].get_ylim() == figure.axes[17].get_ylim()


def test_fitted_lines_of_the_first_groups_hold_covariates_at_their_mean(exam):
    figure = exam.plot.fitted(max_groups=4)
    assert figure.get_suptitle() == "the first 4 of 65 levels of school"
    data = datasets.exam()
    for axes, level in zip(figure.axes, ["1", "2", "3", "4"], strict=True):
        part = data[data["school"] == level]
        lines = labelled(axes)
        assert set(lines) == set(part["sex"])
        for sex, line in lines.items():
            rows = pd.DataFrame({"standLRT": line.get_xdata(), "sex": sex, "school": level})
            rows["schavg"] = part["schavg"].mean()
            assert_allclose(line.get_ydata(), exam.predict(rows), rtol=1e-9)
        dots = [line for line in axes.get_lines() if line.get_linestyle() == "None"]
        assert sum(len(d.get_xdata()) for d in dots) == len(part)
    legend = figure.legends[0]
    assert legend.get_title().get_text() == "sex"
    assert [text.get_text() for text in legend.get_texts()] == ["F", "M"]


def test_fitted_lines_hold_a_covariate_that_varies_within_groups():
    data = datasets.sleepstudy().assign(dose=np.random.default_rng(2).normal(size=180))
    model = crossnest.lmer("Reaction ~ dose + Days + (1 | Subject)", data)
    line = model.plot.fitted(x="Days", max_groups=1).axes[0].get_lines()[1]
    dose = data.loc[data["Subject"] == "308", "dose"].mean()
    rows = pd.DataFrame({"Days": line.get_xdata(), "dose": dose, "Subject": "308"})
    assert_allclose(line.get_ydata(), model.predict(rows))
    assert model.plot.fitted(max_groups=1).get_supxlabel() == "dose"


def test_fitted_lines_of_a_coarse_factor_leave_out_the_effects_of_finer_ones():
    oats = datasets.oats()
    model = crossnest.lmer("`yield` ~ nitro + Variety + (1 | Block/Variety)", oats)
    by_block = plotting.plot_fitted(model, group="Block").axes
    by_plot = plotting.plot_fitted(model).axes
    assert (len(by_block), len(by_plot)) == (6, 18)
    block, plot = by_block[0].get_title(), by_plot[0].get_title()
    for variety, line in labelled(by_block[0]).items():
        rows = pd.DataFrame({"nitro": line.get_xdata(), "Variety": variety, "Block": block})
        assert_allclose(line.get_ydata(), model.predict(rows, re=["Block"]))
    variety, block = plot.split(":")
    line = by_plot[0].get_lines()[1]
    rows = pd.DataFrame({"nitro": line.get_xdata(), "Variety": variety, "Block": block})
    assert_allclose(line.get_ydata(), model.predict(rows))


def test_fitted_lines_over_a_factor(fitted):
    model, data = fitted("machines"), datasets.machines()
    figure = model.plot.fitted()
    for axes in figure.axes:
        line = axes.get_lines()[1]
        rows = pd.DataFrame({"Machine": ["A", "B", "C"], "Worker": axes.get_title()})
        assert_allclose(line.get_xdata(), [0, 1, 2])
        assert_allclose(line.get_ydata(), model.predict(rows))
    assert tick_labels(figure.axes[-1].xaxis) == ["A", "B", "C"]
    first = data[data["Worker"] == figure.axes[0].get_title()]
    assert_allclose(sorted(figure.axes[0].get_lines()[0].get_ydata()), sorted(first["score"]))


def test_fitted_lines_of_numbers_coded_as_levels_and_with_an_offset():
    data = datasets.sleepstudy()
    data["base"] = data["Subject"].cat.codes * 2.0
    model = crossnest.lmer("Reaction ~ C(Days) + (1 | Subject)", data, offset="base")
    line = model.plot.fitted(max_groups=2).axes[1].get_lines()[1]
    assert_allclose(line.get_xdata(), np.arange(10))
    part = data[data["Subject"] == "309"]
    assert_allclose(line.get_ydata(), model.predict(part))


def test_fitted_lines_bend_with_a_spline():
    model = crossnest.lmer("Reaction ~ bs(Days, df=4) + (1 | Subject)", datasets.sleepstudy())
    line = model.plot.fitted(max_groups=1).axes[0].get_lines()[1]
    rows = pd.DataFrame({"Days": line.get_xdata(), "Subject": "308"})
    assert len(rows) == 40
    assert_allclose(line.get_ydata(), model.predict(rows), rtol=1e-9)


def test_fitted_lines_need_something_to_be_drawn_against(fitted):
    with pytest.raises(ValueError, match=r"varies within groups.*plot_caterpillar"):
        fitted("penicillin").plot.fitted()
    with pytest.raises(ValueError, match="no variable 'x' in the effects; the variables are Days"):
        fitted("sleepstudy").plot.fitted(x="x")
    with pytest.raises(ValueError, match="no grouping factor 'x'"):
        fitted("sleepstudy").plot.fitted("x")
    with pytest.raises(ValueError, match="max_groups must be at least 1"):
        fitted("sleepstudy").plot.fitted(max_groups=0)
    with pytest.raises(TypeError, match="max_groups must be a whole number"):
        fitted("sleepstudy").plot.fitted(max_groups=2.5)
    dated = datasets.sleepstudy()
    dated["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(dated["Days"], unit="D")
    model = crossnest.lmer(
        "Reaction ~ Days + second(day) + (1 | Subject)",
        dated,
        context={"second": lambda day: (day.dt.day % 2).to_numpy()},
    )
    with pytest.raises(NotImplementedError, match="column 'day' holds neither numbers nor labels"):
        model.plot.fitted()


# ------------------------------------------------------------------------------------ shrinkage


def test_shrinkage_goes_from_separate_fits_to_the_mixed_model(fitted):
    model, data = fitted("sleepstudy"), datasets.sleepstudy()
    axes = model.plot.shrinkage().axes[0]
    separate = crossnest.lm_list("Reaction ~ Days | Subject", data).coef()
    partial = model.coef()["Subject"]
    pooled = crossnest.lm("Reaction ~ Days", data).params
    drawn = labelled(axes)
    assert_allclose(drawn["no pooling"].get_offsets(), separate)
    assert_allclose(drawn["partial pooling"].get_offsets(), partial)
    assert_allclose(drawn["complete pooling"].get_offsets(), [pooled])
    assert_allclose(drawn["mean of the mixed model"].get_offsets(), [model.fixef])
    arrows = next(c for c in axes.collections if type(c).__name__ == "Quiver")
    assert_allclose(arrows.XY, separate)
    assert_allclose(np.column_stack([arrows.U, arrows.V]), partial - separate)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("(Intercept)", "Days")


def test_ellipses_of_shrinkage_hold_half_and_most_of_the_distribution(fitted):
    model = fitted("sleepstudy")
    axes = model.plot.shrinkage().axes[0]
    covariance = model.var_corr["Subject"].to_numpy()
    for line, level in zip(axes.get_lines(), (0.5, 0.95), strict=True):
        away = np.transpose(line.get_data()) - model.fixef.to_numpy()
        squares = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
        assert_allclose(squares, scipy.stats.chi2.ppf(level, 2))


def test_names_in_the_plane_cover_neither_each_other_nor_points(exam):
    figure = exam.plot.shrinkage()
    axes = figure.axes[0]
    figure.canvas.draw()
    assert 10 < len(axes.texts) <= 30
    assert not overlaps(axes.texts)
    drawn = labelled(axes)
    for name in ("no pooling", "partial pooling"):
        pixels = axes.transData.transform(drawn[name].get_offsets())
        assert not any(text.get_window_extent().contains(*p) for text in axes.texts for p in pixels)


def test_other_fixed_effects_are_held_at_their_estimates(exam):
    found = group_coefficients(exam)
    data = datasets.exam()
    effects = {name: exam.fixef[name] for name in ("sex[T.M]", "schavg")}
    held = (data["sex"] == "M") * effects["sex[T.M]"] + data["schavg"] * effects["schavg"]
    reduced = data.assign(z=data["normexam"] - held)
    separate = crossnest.lm_list("z ~ standLRT | school", reduced).coef()
    assert_allclose(found.no, separate, rtol=1e-8)
    pooled = crossnest.lm("normexam ~ standLRT + sex + schavg", data).params
    assert_allclose(found.complete, pooled[["(Intercept)", "standLRT"]])


def test_weights_and_groups_too_small_to_fit():
    data = datasets.sleepstudy().assign(w=np.tile([1.0, 2.0], 90))
    data = data.drop(index=range(1, 10))  # one observation of the first subject is left
    model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w")
    with pytest.warns(crossnest.SmallGroupWarning):
        separate = crossnest.lm_list("Reaction ~ Days | Subject", data, weights="w").coef()
    found = group_coefficients(model)
    assert found.no.iloc[0].isna().all()
    assert_allclose(found.no, separate)
    drawn = labelled(model.plot.shrinkage().axes[0])
    assert len(drawn["partial pooling"].get_offsets()) == 18


def test_shrinkage_of_one_effect_has_a_row_a_group(fitted):
    model = fitted("pastes")
    axes = plotting.plot_shrinkage(model, "batch").axes[0]
    partial = model.coef()["batch"]["(Intercept)"].sort_values(ascending=False)
    drawn = labelled(axes)
    rows = np.arange(10)
    assert_allclose(drawn["partial pooling"].get_offsets(), np.column_stack([partial, rows]))
    means = datasets.pastes().groupby("batch", observed=True)["strength"].mean()
    assert_allclose(drawn["no pooling"].get_offsets()[:, 0], means[partial.index])
    grand = datasets.pastes()["strength"].mean()
    assert_allclose(drawn["complete pooling"].get_xdata(), grand)
    assert tick_labels(axes.yaxis) == list(partial.index)
    assert axes.get_xlabel() == "(Intercept) of strength"


def test_shrinkage_chooses_its_effects(fitted):
    model = fitted("machines")
    axes = plotting.plot_shrinkage(model, effects=["Machine[C]", "Machine[A]"]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Machine[C]", "Machine[A]")
    modes = model.ranef()["Worker"][["Machine[C]", "Machine[A]"]]
    assert_allclose(labelled(axes)["partial pooling"].get_offsets(), modes)
    with pytest.raises(ValueError, match="one or two random effects, not 3"):
        model.plot.shrinkage(effects=["Machine[A]", "Machine[B]", "Machine[C]"])
    with pytest.raises(ValueError, match="no random effect 'Days'"):
        model.plot.shrinkage(effects=["Days"])
    with pytest.raises(ValueError, match="no grouping factor 'x'; the grouping factors are Worker"):
        model.plot.shrinkage("x")


# --------------------------------------------------------------------------------------- forest


def test_forest_draws_the_intervals(exam):
    axes = exam.plot.forest(level=0.9).axes[0]
    assert tick_labels(axes.yaxis) == ["standLRT", "sex[T.M]", "schavg"]
    bars = axes.containers[0]
    names = tick_labels(axes.yaxis)
    intervals = exam.confint("satterthwaite", 0.9).loc[names]
    ends = np.array([line[:, 0] for line in bars[2][0].get_segments()])
    assert_allclose(ends, intervals, rtol=1e-10)
    assert_allclose(bars[0].get_xdata(), exam.fixef[names])
    assert axes.get_xlabel() == "estimate with 90% interval"
    assert axes.get_legend() is None


def test_forest_of_several_models_side_by_side(exam):
    smaller = crossnest.lmer("normexam ~ standLRT + (standLRT | school)", datasets.exam())
    axes = plotting.plot_forest({"large": exam, "small": smaller}, intercept=True).axes[0]
    assert tick_labels(axes.yaxis) == ["(Intercept)", "standLRT", "sex[T.M]", "schavg"]
    large, small = axes.containers
    assert len(large[0].get_xdata()) == 4 and len(small[0].get_xdata()) == 2
    assert_allclose(small[0].get_xdata(), smaller.fixef)
    assert (large[0].get_ydata()[:2] < small[0].get_ydata()).all()
    assert_allclose((large[0].get_ydata()[:2] + small[0].get_ydata()) / 2, [0, 1])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["large", "small"]
    named = plotting.plot_forest([exam, smaller], ddf="normal").axes[0]
    assert list(labelled(named)) == ["model 1", "model 2"]


def test_forest_of_an_intercept_alone_and_of_nothing(fitted):
    assert tick_labels(fitted("penicillin").plot.forest().axes[0].yaxis) == ["(Intercept)"]
    with pytest.raises(ValueError, match="no fixed effects"):
        fitted("no_fixed").plot.forest()
    with pytest.raises(ValueError, match="no model"):
        plotting.plot_forest([])


# ------------------------------------------------------------------------------------- marginal


def test_marginal_lines_are_predictions_without_random_effects(orthodont):
    figure = orthodont.plot.marginal("age", by="Sex", points=True)
    axes = figure.axes[0]
    for sex, line in labelled(axes).items():
        rows = pd.DataFrame({"age": line.get_xdata(), "Sex": sex})
        expected = orthodont.predict(rows, re="none", interval="confidence")
        assert_allclose(line.get_ydata(), expected["fit"])
        band = axes.collections[list(labelled(axes)).index(sex)].get_paths()[0].vertices
        # Bands use t quantiles of Satterthwaite's degrees of freedom: a little wider.
        half = np.ptp(band[np.isclose(band[:, 0], 8), 1]) / 2
        assert 1 < half / (1.96 * expected["se"].iloc[0]) < 1.1
    assert (line.get_xdata()[[0, -1]] == [8, 14]).all()
    assert len(axes.get_lines()[0].get_xdata()) == 108
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("age", "distance")
    assert axes.get_legend().get_title().get_text() == "Sex"


def test_marginal_means_over_a_factor():
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    model = crossnest.lmer(formula, datasets.cake())
    axes = model.plot.marginal("temperature", by="recipe", ddf="kenward-roger").axes[0]
    table = model.emmeans("temperature", by="recipe").table
    assert tick_labels(axes.xaxis) == ["175", "185", "195", "205", "215", "225"]
    for i, (bars, recipe) in enumerate(zip(axes.containers, "ABC", strict=True)):
        part = table[table["recipe"] == recipe]
        assert bars.get_label() == recipe
        assert_allclose(bars[0].get_ydata(), part["emmean"])
        assert_allclose(bars[0].get_xdata(), np.arange(6) + 0.4 * (i - 1) / 3)
        ends = np.array([line[:, 1] for line in bars[2][0].get_segments()])
        assert_allclose(ends, part[["lower.CL", "upper.CL"]])


def test_marginal_means_of_one_factor_have_no_legend(fitted):
    axes = fitted("machines").plot.marginal("Machine", points=True).axes[0]
    assert axes.get_legend() is None
    assert_allclose(axes.containers[0][0].get_xdata(), [0, 1, 2])
    assert set(axes.get_lines()[0].get_xdata()) == {0, 1, 2}


def test_marginal_lines_at_a_few_values_of_a_covariate(exam):
    axes = exam.plot.marginal("standLRT", by="schavg", at={"sex": "F"}).axes[0]
    values = datasets.exam()["schavg"]
    expected = values.mean() + values.std() * np.array([-1, 0, 1])
    drawn = labelled(axes)
    assert list(drawn) == [f"{value:.4g}" for value in expected]
    for value, line in zip(expected, drawn.values(), strict=True):
        rows = pd.DataFrame({"standLRT": line.get_xdata(), "schavg": value, "sex": "F"})
        assert_allclose(line.get_ydata(), exam.predict(rows, re="none"))
    chosen = exam.plot.marginal("standLRT", by="schavg", at={"schavg": [0, 1], "standLRT": [0, 2]})
    assert list(labelled(chosen.axes[0])) == ["0", "1"]
    assert_allclose(chosen.axes[0].get_lines()[0].get_xdata(), [0, 2])


def test_marginal_refuses_what_is_not_a_fixed_effect(orthodont):
    with pytest.raises(ValueError, match="'Subject' is not a variable of the fixed effects"):
        orthodont.plot.marginal("Subject")


# ------------------------------------------------------------------------------------- profiles


def test_profile_draws_zeta_and_the_ends_of_intervals(fitted, profile):
    figure = fitted("sleepstudy").plot.profile(profile)
    assert [axes.get_xlabel() for axes in figure.axes] == list(profile.notes.index)
    intervals = profile.confint(0.95)
    for axes in figure.axes:
        name = axes.get_xlabel()
        value, zeta = profile.points(name)
        assert_allclose(axes.get_lines()[2].get_data(), [value, zeta])
        x, y = axes.get_lines()[1].get_data()
        assert_allclose(np.interp(profile.estimates[name], x, y), 0, atol=0.02)
        dark = [c for c in axes.collections if c.get_colors()[0, 0] < 0.5]
        ends = np.array(dark[0].get_segments())
        assert_allclose(ends[:, 0, 0], intervals.loc[name], rtol=2e-3)
        assert_allclose(ends[:, 1, 1], [-1.959964, 1.959964], rtol=1e-6)


def test_absolute_profile_ends_at_a_bound(fitted):
    profile = fitted("pastes").profile("sd_(Intercept)|batch", progress=False)
    axes = plotting.plot_profile(profile, absolute=True).axes[0]
    value, zeta = profile.points("sd_(Intercept)|batch")
    assert value[0] == 0
    assert_allclose(axes.get_lines()[2].get_ydata(), np.abs(zeta))
    # Five levels have an upper end, none a lower one: zeta is above -0.674 where the sd is zero.
    segments = [segment for c in axes.collections for segment in c.get_segments()]
    assert len(segments) == 5
    assert all(segment[0, 0] > 1 for segment in segments)


def test_contours_run_through_the_ends_of_traces(profile):
    x, y = "sigma", "sd_Days|Subject"
    r = radius(0.8)
    assert_allclose(r**2, scipy.stats.chi2.ppf(0.8, 2))
    curve = contour(profile, x, y, r)
    rows = profile.zeta[profile.zeta[".par"] == x]
    other = profile.spline(y)(rows[y].to_numpy())
    for end in (-r, r):
        at = curve[:, np.argmin(np.abs(curve[0] - end))]
        assert_allclose(at[1], np.interp(end, rows["zeta"], other), atol=0.1)
    assert_allclose(np.abs(curve).max(axis=1), r, rtol=1e-3)
    assert_allclose(curve[:, 0], curve[:, -1])


def test_contours_are_near_those_of_the_deviance(profile):
    data = datasets.sleepstudy()
    r = radius(0.5)
    curve = contour(profile, "(Intercept)", "Days", r)[:, ::20]
    a, b = (
        profile.interpolate(name, zeta)
        for name, zeta in zip(("(Intercept)", "Days"), curve, strict=True)
    )
    formula = "Reaction ~ 0 + (Days | Subject)"
    for intercept, slope in zip(a, b, strict=True):
        line = intercept + slope * data["Days"].to_numpy()
        held = crossnest.lmer(formula, data, offset=line, reml=False)
        assert_allclose(held.objective - profile.deviance, r**2, rtol=0.03)


def test_profile_pairs_draws_traces_on_both_scales(profile):
    figure = plotting.plot_profile_pairs(profile, levels=(0.5, 0.9))
    panels = np.array(figure.axes).reshape(6, 6)
    names = list(profile.notes.index)
    assert [panels[j, j].texts[0].get_text().replace("\n", "") for j in range(6)] == [
        "sd(Intercept)| Subject",
        "corDays.(Intercept)| Subject",
        "sdDays| Subject",
        "sigma",
        "(Intercept)",
        "Days",
    ]
    assert all(len(panels[i, j].get_lines()) == 4 for i in range(6) for j in range(6) if i != j)
    x, y = names[3], names[0]
    rows = profile.zeta[profile.zeta[".par"] == x]
    trace = panels[0, 3].get_lines()[0].get_data()
    assert_allclose(np.interp(rows["value"], *trace), rows[y], rtol=1e-3)
    # The same pair below the diagonal: the row is sigma, on the scale of zeta.
    reverse = panels[3, 0].get_lines()[1].get_data()
    zeta = profile.spline(y)(rows[y].to_numpy())
    assert_allclose(np.interp(rows["zeta"], reverse[1], reverse[0]), zeta, atol=5e-3)
    for i, level in ((2, 0.5), (3, 0.9)):
        curve = np.array(panels[3, 0].get_lines()[i].get_data())
        assert_allclose(np.abs(curve).max(), radius(level), rtol=1e-3)
        above = panels[0, 3].get_lines()[i].get_data()
        ends = profile.interpolate(x, radius(level) * np.array([-1, 1]))
        assert_allclose([above[0].min(), above[0].max()], ends, rtol=1e-3)


def test_regions_a_profile_does_not_reach_have_no_contour(fitted):
    profile = fitted("pastes").profile("theta_", progress=False)
    panels = np.array(plotting.plot_profile_pairs(profile).axes).reshape(3, 3)
    assert len(panels[1, 0].get_lines()) == 2  # sd of batch meets zero
    assert len(panels[2, 0].get_lines()) == 6
    assert contour(profile, "sigma", "sd_(Intercept)|batch", radius(0.5)) is None
    assert contour(profile, "sigma", "sd_(Intercept)|cask:batch", radius(0.999)) is None
    with pytest.raises(ValueError, match="at least two parameters; the profile has sigma"):
        plotting.plot_profile_pairs(fitted("pastes").profile("sigma", progress=False))
    with pytest.raises(ValueError, match="9 Axes"):
        plotting.plot_profile_pairs(profile, ax=[plt.subplots()[1]])


# ------------------------------------------------------------------------------------ bootstrap


def test_bootstrap_draws_density_observed_value_and_interval(fitted):
    bootstrap = fitted("sleepstudy").bootstrap(300, seed=1, progress=False)
    figure = fitted("sleepstudy").plot.bootstrap(bootstrap, level=0.9, interval="basic")
    intervals = bootstrap.confint("basic", 0.9)
    assert [axes.get_xlabel() for axes in figure.axes] == list(bootstrap.observed.index)
    for axes in figure.axes:
        name = axes.get_xlabel()
        values = bootstrap.replicates[name]
        density = axes.get_lines()[0]
        assert_allclose(density.get_ydata(), scipy.stats.gaussian_kde(values)(density.get_xdata()))
        assert_allclose(sum(p.get_width() * p.get_height() for p in axes.patches), 1)
        drawn = labelled(axes)
        assert_allclose(drawn["observed"].get_xdata(), bootstrap.observed[name])
        assert_allclose(drawn["90% basic interval"].get_xdata(), intervals.loc[name])
    assert len(figure.legends[0].get_texts()) == 2


def test_bootstrap_of_chosen_parameters_and_of_one_that_does_not_vary(fitted):
    def statistic(model):
        return {"p": len(model.fixef), "sigma": model.sigma}

    bootstrap = fitted("sleepstudy").bootstrap(20, seed=1, statistic=statistic, progress=False)
    figure, axes = plt.subplots()
    assert plotting.plot_bootstrap(bootstrap, "p", ax=axes) is figure
    assert len(axes.get_lines()) == 2  # no density
    assert len(plotting.plot_bootstrap(bootstrap, ["sigma"]).axes) == 1
    with pytest.raises(ValueError, match="no parameter 'x'; the parameters are p, sigma"):
        plotting.plot_bootstrap(bootstrap, "x")


# --------------------------------------------------------------------------------------- labels


def test_dollars_in_names_are_dollars():
    data = datasets.sleepstudy().rename(columns={"Reaction": "a$b$"})
    figure = crossnest.lmer("`a$b$` ~ Days + (1 | Subject)", data).plot.marginal("Days")
    figure.canvas.draw()
    assert figure.axes[0].get_ylabel() == r"a\$b\$"
