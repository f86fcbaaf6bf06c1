"""The plots of a fitted model, by name: ``model.plot.caterpillar()``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel
    from ..inference.bootstrap import Bootstrap
    from ..inference.profile import Profile

    AxesLike = Axes | Sequence[Axes] | None


@dataclass(frozen=True, eq=False)
class ModelPlots:
    """The plots of one model; each method is the function of `crossnest.plotting` it names.

    Attributes
    ----------
    model : LinearMixedModel
        The fitted model.
    """

    model: FittedModel

    def caterpillar(
        self,
        group: str | None = None,
        effect: str | None = None,
        level: float = 0.95,
        order: Literal["value", "level"] = "value",
        ax: AxesLike = None,
    ) -> Figure:
        """Draw random effects with intervals; see `crossnest.plotting.plot_caterpillar`."""
        from .caterpillar import plot_caterpillar

        return plot_caterpillar(self.model, group, effect, level, order, ax)

    def fitted(
        self,
        group: str | None = None,
        x: str | None = None,
        max_groups: int = 30,
        ax: Sequence[Axes] | None = None,
    ) -> Figure:
        """Draw the fitted lines of groups in facets; see `crossnest.plotting.plot_fitted`."""
        from .fitted_lines import plot_fitted

        return plot_fitted(self.model, group, x, max_groups, ax)

    def shrinkage(
        self,
        group: str | None = None,
        effects: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw what partial pooling does to groups; see `crossnest.plotting.plot_shrinkage`."""
        from .shrinkage import plot_shrinkage

        return plot_shrinkage(self.model, group, effects, ax)

    def forest(
        self,
        level: float = 0.95,
        ddf: Ddf = "satterthwaite",
        intercept: bool = False,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw fixed effects with intervals; see `crossnest.plotting.plot_forest`."""
        from .forest import plot_forest

        return plot_forest(self.model, level, ddf, intercept, ax)

    def marginal(
        self,
        x: str,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        level: float = 0.95,
        ddf: Ddf = "satterthwaite",
        points: bool = False,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw marginal means along a variable; see `crossnest.plotting.plot_marginal`."""
        from .marginal import plot_marginal

        return plot_marginal(self.model, x, by, at, level, ddf, points, ax)

    def residuals(self, ax: Axes | None = None) -> Figure:
        """Draw residuals against fitted values; see `crossnest.plotting.plot_residuals`."""
        from .residual_plots import plot_residuals

        return plot_residuals(self.model, ax)

    def qq(self, ax: Axes | None = None) -> Figure:
        """Draw quantiles of residuals; see `crossnest.plotting.plot_qq`."""
        from .residual_plots import plot_qq

        return plot_qq(self.model, ax)

    def scale_location(self, ax: Axes | None = None) -> Figure:
        """Draw the size of residuals; see `crossnest.plotting.plot_scale_location`."""
        from .residual_plots import plot_scale_location

        return plot_scale_location(self.model, ax)

    def ranef_qq(self, ax: Axes | None = None) -> Figure:
        """Draw quantiles of random effects; see `crossnest.plotting.plot_ranef_qq`."""
        from .residual_plots import plot_ranef_qq

        return plot_ranef_qq(self.model, ax)

    def influence(self, group: str | None = None, ax: Axes | None = None) -> Figure:
        """Draw the influence of rows or groups; see `crossnest.plotting.plot_influence`."""
        from .residual_plots import plot_influence

        return plot_influence(self.model, group, ax)

    def profile(
        self,
        profile: Profile | None = None,
        absolute: bool = False,
        ax: AxesLike = None,
    ) -> Figure:
        """Draw the profile zeta of parameters; see `crossnest.plotting.plot_profile`.

        Parameters
        ----------
        profile : Profile, optional
            Of this model; that of all parameters is computed if it is not given.
        absolute, ax
            As for the function.
        """
        from ..inference.profile import profile as profile_of
        from .profile_plots import plot_profile

        return plot_profile(profile or profile_of(self.model), absolute, ax)

    def profile_pairs(
        self,
        profile: Profile | None = None,
        levels: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
        ax: Sequence[Axes] | None = None,
    ) -> Figure:
        """Draw pairs of profiled parameters; see `crossnest.plotting.plot_profile_pairs`.

        Parameters
        ----------
        profile : Profile, optional
            Of this model; that of all parameters is computed if it is not given.
        levels, ax
            As for the function.
        """
        from ..inference.profile import profile as profile_of
        from .profile_plots import plot_profile_pairs

        return plot_profile_pairs(profile or profile_of(self.model), levels, ax)

    def bootstrap(
        self,
        bootstrap: Bootstrap | None = None,
        parm: str | Sequence[str] | None = None,
        level: float = 0.95,
        interval: Literal["percentile", "basic", "normal", "bca"] = "percentile",
        ax: AxesLike = None,
    ) -> Figure:
        """Draw densities of bootstrap replicates; see `crossnest.plotting.plot_bootstrap`.

        Parameters
        ----------
        bootstrap : Bootstrap, optional
            Of this model; 1000 parametric replicates of the seed 1 are made if it is not given.
        parm, level, interval, ax
            As for the function.
        """
        from ..inference.bootstrap import bootstrap as bootstrap_of
        from .bootstrap_densities import plot_bootstrap

        made = bootstrap or bootstrap_of(self.model, 1000, seed=1)
        return plot_bootstrap(made, parm, level, interval, ax)
