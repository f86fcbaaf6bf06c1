"""One figure with the usual checks of a fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from ..prediction.simulate import seed_or_new, simulator
from .pyplot import pyplot
from .residual_plots import (
    plot_influence,
    plot_qq,
    plot_ranef_qq,
    plot_residuals,
    plot_scale_location,
)
from .style import BLUE, VERMILLION, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..fit.fitted_model import FittedModel

__all__ = ["check_model"]

FloatArray = NDArray[np.float64]

#: Simulated responses in the predictive check.
N_SIMULATED = 50


def check_model(model: FittedModel, seed: int = 1) -> Figure:
    """Draw six checks of a model's assumptions.

    The density of the response among those of responses simulated from the model; residuals
    against fitted values; scale-location; QQ plots of residuals and of random effects; Cook's
    distances against leverages, if there are fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    seed : int
        Seed of the simulated responses.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If the seed is not a whole number, or negative.
    ImportError
        If matplotlib is not installed.
    """
    seed = seed_or_new(seed)
    figure, panels = pyplot().subplots(3, 2, figsize=(9.5, 11), layout="constrained")
    axes = list(panels.flat)
    _draw_predictive_check(model, seed, axes[0])
    draw = (plot_residuals, plot_scale_location, plot_qq, plot_ranef_qq)
    for plot, panel in zip(draw, axes[1:5], strict=True):
        plot(model, ax=panel)
    if len(model.fixef):
        plot_influence(model, ax=axes[5])
    else:
        axes[5].remove()
    drawn: Figure = figure
    return drawn


def _draw_predictive_check(model: FittedModel, seed: int, axes: Axes) -> None:
    """Draw the density of the response over those of simulated ones."""
    simulated = simulator(model).draw(seed, 0, N_SIMULATED)
    y = model.design.y
    low, high = min(y.min(), simulated.min()), max(y.max(), simulated.max())
    margin = 0.05 * (high - low)
    edges = np.linspace(low - margin, high + margin, 513)
    centres = (edges[:-1] + edges[1:]) / 2
    width = 0.9 * float(np.std(y)) * len(y) ** -0.2  # Silverman (1986), 3.31, for normal spread
    for column in simulated.T:
        axes.plot(centres, binned_density(column, edges, width), color=BLUE, alpha=0.2, lw=0.7)
    axes.plot([], [], color=BLUE, lw=0.7, label="simulated")
    observed = binned_density(y, edges, width)
    axes.plot(centres, observed, color=VERMILLION, lw=2, label="observed")
    axes.legend(fontsize="small", frameon=False)
    tidy(axes)
    axes.set_ylim(bottom=0)
    axes.set(title="Predictive check", xlabel=plain(model.design.response_name), ylabel="density")


def binned_density(values: FloatArray, edges: FloatArray, width: float) -> FloatArray:
    """Estimate a density with a Gaussian kernel from counts in equal bins.

    Parameters
    ----------
    values : (n,) array
        The values.
    edges : (m + 1,) array
        Edges of the bins.
    width : float
        Standard deviation of the kernel.

    Returns
    -------
    (m,) array
        The density at the middle of each bin.
    """
    counts, _ = np.histogram(values, edges)
    bin_width = edges[1] - edges[0]
    smooth = scipy.ndimage.gaussian_filter1d(
        counts.astype(np.float64), width / bin_width, mode="constant"
    )
    density: FloatArray = smooth / (len(values) * bin_width)
    return density
