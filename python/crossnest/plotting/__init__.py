"""Plots of fitted models, drawn with matplotlib.

Every function draws in the Axes given as `ax`, or in a new figure, and returns the figure. Those of
a model are its methods too: ``plot_caterpillar(model)`` is ``model.plot.caterpillar()``.
"""

from .accessor import ModelPlots
from .bootstrap_densities import plot_bootstrap
from .caterpillar import plot_caterpillar
from .fitted_lines import plot_fitted
from .forest import plot_forest
from .marginal import plot_marginal
from .profile_plots import plot_profile, plot_profile_pairs
from .residual_plots import (
    plot_influence,
    plot_qq,
    plot_ranef_qq,
    plot_residuals,
    plot_scale_location,
)
from .shrinkage import plot_shrinkage

__all__ = [
    "ModelPlots",
    "plot_bootstrap",
    "plot_caterpillar",
    "plot_fitted",
    "plot_forest",
    "plot_influence",
    "plot_marginal",
    "plot_profile",
    "plot_profile_pairs",
    "plot_qq",
    "plot_ranef_qq",
    "plot_residuals",
    "plot_scale_location",
    "plot_shrinkage",
]
