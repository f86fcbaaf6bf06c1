"""The figure of checks and the plots of residuals it is made of."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

plt = pytest.importorskip("matplotlib.pyplot")

from crossnest.plotting.check_model import binned_density  # noqa: E402
from crossnest.plotting.residual_plots import (  # noqa: E402
    local_line,
    plot_influence,
    plot_qq,
    plot_ranef_qq,
    plot_residuals,
    plot_scale_location,
)

PLOTS = (plot_residuals, plot_scale_location, plot_qq, plot_ranef_qq, plot_influence)


@pytest.fixture(autouse=True)
def agg():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def points(axes) -> np.ndarray:
    """Return the points of the first scatter plot of Axes, (n, 2)."""
    return np.asarray(axes.collections[-1].get_offsets())


@pytest.mark.parametrize("name", ["sleepstudy", "pastes", "dyestuff2", "sleepstudy_zcp"])
def test_six_panels_are_drawn(name, fitted):
    figure = fitted(name).check_model()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "Predictive check",
        "Residuals against fitted values",
        "Scale-location",
        "QQ of residuals",
        "QQ of random effects",
        "Influence",
    ]
    figure.canvas.draw()


def test_the_seed_is_checked(fitted):
    with pytest.raises(TypeError, match="seed must be a whole number"):
        fitted("sleepstudy").check_model(seed="one")


def test_a_model_without_fixed_effects_has_no_panel_of_influence(fitted):
    assert len(fitted("no_fixed").check_model().axes) == 5


@pytest.mark.parametrize("plot", PLOTS)
def test_plots_draw_where_they_are_told(plot, fitted):
    figure, axes = plt.subplots()
    assert plot(fitted("sleepstudy"), ax=axes) is figure
    assert axes.get_title() and axes.get_xlabel() and axes.get_ylabel()
    assert plot(fitted("sleepstudy")) is not figure


def test_residuals_are_drawn_against_fitted_values(fitted):
    fit = fitted("sleepstudy")
    drawn = points(plot_residuals(fit).axes[0])
    expected = np.column_stack([fit.fittedvalues, fit.residuals("standardized")])
    assert_allclose(drawn, expected)
    drawn = points(plot_scale_location(fit).axes[0])
    assert_allclose(drawn[:, 1], np.sqrt(np.abs(expected[:, 1])))


def test_qq_is_in_order_and_standardized(fitted):
    drawn = points(plot_qq(fitted("sleepstudy")).axes[0])
    assert (np.diff(drawn, axis=0) >= 0).all()
    assert_allclose(drawn[:, 0].mean(), 0, atol=1e-12)
    assert_allclose(np.mean(drawn[:, 1] ** 2), 1, atol=0.15)


def test_random_effects_are_standardized_by_their_own_variances(fitted):
    """With one balanced factor: b / sqrt(Var(b) - Var(b | y)), of unit variance."""
    fit = fitted("reference/dyestuff")
    drawn = points(plot_ranef_qq(fit).axes[0])[:, 1]
    modes = np.sort(fit.ranef()["Batch"].to_numpy().ravel())
    variance = fit.var_corr["Batch"].to_numpy()[0, 0] - fit.cond_var()["Batch"][0, 0, 0]
    assert_allclose(drawn, modes / np.sqrt(variance))
    legend = plot_ranef_qq(fitted("sleepstudy")).axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["Subject (Intercept)", "Subject Days"]


def test_influence_names_the_largest_distances(fitted):
    fit = fitted("sleepstudy")
    axes = plot_influence(fit).axes[0]
    assert_allclose(points(axes), np.column_stack([fit.leverages(), fit.cooks_distance()]))
    named = {text.get_text() for text in axes.texts}
    assert named and named <= set(fit.cooks_distance().nlargest(3).index.astype(str))


def test_influence_of_groups_is_in_order(fitted):
    fit = fitted("sleepstudy")
    axes = plot_influence(fit, "Subject").axes[0]
    expected = fit.influence("Subject").cooks_distance.sort_values(ascending=False)
    assert_allclose(points(axes)[:, 0], expected)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(expected.index)


def test_local_lines_find_a_line_and_bend():
    x = np.linspace(0, 1, 101)
    at = np.array([0.0, 0.3, 1.0])
    assert_allclose(local_line(x, 2 - 3 * x, at), 2 - 3 * at, atol=1e-10)
    bent = local_line(x, np.abs(x - 0.5), at, span=0.2)
    assert_allclose(bent, [0.5, 0.2, 0.5], atol=1e-10)
    assert_allclose(local_line(np.ones(5), np.arange(5.0), np.ones(1)), [2])


def test_binned_densities_are_kernel_densities():
    values = np.random.default_rng(1).normal(size=400)
    edges = np.linspace(-8, 8, 2001)
    density = binned_density(values, edges, 0.3)
    centres = (edges[1:] + edges[:-1]) / 2
    kernel = np.exp(-((centres[:, None] - values) ** 2) / (2 * 0.3**2))
    exact = kernel.mean(axis=1) / (0.3 * np.sqrt(2 * np.pi))
    assert_allclose(density, exact, atol=2e-3)
    assert_allclose(density.sum() * 0.008, 1, rtol=1e-6)
