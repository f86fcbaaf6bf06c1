"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from .base.foreign_arguments import explain_unknown_arguments

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from .base.ddf_methods import Ddf
    from .diagnostics.goodness import Components, Shares
    from .diagnostics.influence import Influence
    from .diagnostics.quantile_residuals import QuantileResiduals
    from .diagnostics.rand_pca import RandomEffectsPCA
    from .fit.model import LinearMixedModel
    from .fit.refit import RefitMany
    from .neighbours.maketables import RegressionTable
    from .plotting import ModelPlots
    from .prediction.predict import Interval, NewLevels
    from .report.tidying import Effects
    from .storage.model_files import Method as SavedDdf


class ResultMethods:
    """Mixed into `crossnest.LinearMixedModel`. Modules are imported when first used."""

    @property
    def _model(self) -> LinearMixedModel:
        return cast("LinearMixedModel", self)

    @property
    def plot(self) -> ModelPlots:
        """The plots of the model, as ``model.plot.fitted()``; see `crossnest.plotting`."""
        from .plotting import ModelPlots

        return ModelPlots(self._model)

    @explain_unknown_arguments
    def predict(
        self,
        newdata: Any = None,
        re: Literal["all", "none"] | Sequence[str] = "all",
        new_levels: NewLevels = "error",
        se: bool = False,
        interval: Interval | None = None,
        level: float = 0.95,
        offset: Any = None,
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict the mean X beta + Z b + offset of rows.

        Details: `crossnest.prediction.predict.predict`.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict at; those fitted if not given.
        re : {"all", "none"} or sequence of str
            Random effects to include, by term or grouping factor.
        new_levels : {"error", "population", "nan"}
            For unseen levels of a grouping factor: refuse them, take their effects as zero, or
            predict NaN.
        se : bool
            Whether to give standard errors.
        interval : {"confidence", "prediction"}, optional
            Interval for the mean, or for a new observation.
        level : float
            Coverage of the interval.
        offset : str or array_like, optional
            Offset of `newdata`, a column's name or values.

        Returns
        -------
        Series or DataFrame
            The means; with `se` or `interval` the columns ``fit``, ``se``, ``lower``, ``upper``.
        """
        from .prediction.predict import predict

        return predict(self._model, newdata, re, new_levels, se, interval, level, offset)

    def tidy(
        self,
        effects: Effects | Sequence[Effects] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        conf_level: float = 0.95,
        ddf: Ddf = "satterthwaite",
    ) -> pd.DataFrame:
        """Give estimates, one a row, in the columns of R's broom.mixed.

        Details: `crossnest.report.tidying.tidy`.

        Parameters
        ----------
        effects : {"fixed", "ran_pars", "ran_vals", "ran_coefs"} or sequence of them
            Fixed effects; standard deviations and correlations; conditional modes; coefficients of
            each level.
        conf_int : bool
            Whether to give intervals.
        conf_level : float
            Their coverage.
        ddf : {"satterthwaite", "kenward-roger", "residual", "normal", "none"}
            Degrees of freedom of the fixed effects.
        """
        from .report.tidying import tidy

        return tidy(self._model, effects, conf_int, conf_level, ddf)

    def glance(self) -> pd.DataFrame:
        """Give the fit in one row: ``nobs``, ``sigma``, ``logLik``, ``AIC``, ``BIC``, ...

        Details: `crossnest.report.tidying.glance`.
        """
        from .report.tidying import glance

        return glance(self._model)

    def augment(self, newdata: Any = None) -> pd.DataFrame:
        """Give the data with fitted values, residuals, leverages and Cook's distances.

        Details: `crossnest.report.tidying.augment`.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict at; those fitted if not given.
        """
        from .report.tidying import augment

        return augment(self._model, newdata)

    def refit_many(
        self, Y: ArrayLike | pd.DataFrame, n_jobs: int | None = None, progress: bool = True
    ) -> RefitMany:
        """Fit the same model to many responses.

        Details: `crossnest.fit.refit.refit_many`.

        Parameters
        ----------
        Y : (n, R) array_like or DataFrame
            One column a response, in the rows used or in all rows of the data.
        n_jobs : int, optional
            Threads; no result depends on it.
        progress : bool
            Whether to show a progress bar on a terminal.

        Returns
        -------
        RefitMany
            ``fixef``, ``bse``, ``sigma``, ``theta``, ``objective``, ``status`` of each response.
        """
        from .fit.refit import refit_many

        return refit_many(self._model, Y, n_jobs, progress)

    @explain_unknown_arguments
    def simulate(
        self,
        n: int = 1,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
        newdata: Any = None,
    ) -> pd.DataFrame:
        """Draw responses from the model.

        Details: `crossnest.prediction.simulate.simulate`.

        Parameters
        ----------
        n : int
            Number of replicates.
        seed : int, optional
            Decides on the replicates; a new one each time if not given.
        re : {"new", "conditional"}
            Draw new random effects, or keep the conditional modes.
        newdata : DataFrame, optional
            Rows to simulate; those fitted if not given.

        Returns
        -------
        DataFrame
            (rows, n), columns ``sim_1``, ``sim_2``, ...
        """
        from .prediction.simulate import simulate

        return simulate(self._model, n, seed, re, newdata)

    def save(
        self,
        path: str | os.PathLike[str],
        ddf: SavedDdf | Sequence[SavedDdf] | None = None,
        covariances: bool = True,
    ) -> None:
        """Write the model to a file, without the data; `crossnest.load` reads it.

        Details: `crossnest.storage.model_files.save`.

        Parameters
        ----------
        path : str or path
            Where to. A file that is there is replaced.
        ddf : {"satterthwaite", "kenward-roger"} or sequence of them, optional
            Degrees of freedom the loaded model shall have; if not given both, as far as they can be
            had.
        covariances : bool
            Whether to keep what standard errors of predictions with random effects need.
        """
        from .storage.model_files import save

        save(self._model, path, ddf, covariances)

    def hatvalues(self) -> pd.Series[float]:
        """Give the diagonal of the hat matrix, (n,): `leverages` by its name in R."""
        return self._model.leverages()

    def cooks_distance(self) -> pd.Series[float]:
        """Give lme4's Cook's distances, (n,): the influence of rows on the fitted values.

        Details: `crossnest.diagnostics.influence.cooks_distance`. `influence` has those of the
        fixed effects.
        """
        from .diagnostics.influence import cooks_distance

        return cooks_distance(self._model)

    def dfbetas(self) -> pd.DataFrame:
        """Give the standardized change of the fixed effects without each row, (n, p).

        It is `influence` that measures it, theta and sigma held fixed.
        """
        return self.influence().dfbetas

    def influence(
        self, group: str | None = None, exact: bool = False, n_jobs: int | None = None
    ) -> Influence:
        """Measure the influence of rows or groups on the fixed effects by leaving them out.

        Details: `crossnest.diagnostics.influence.influence`.

        Parameters
        ----------
        group : str, optional
            A grouping factor, whose levels are left out; single rows if not given.
        exact : bool
            Whether to refit without each unit, and not hold theta and sigma fixed.
        n_jobs : int, optional
            Threads for the refits.

        Returns
        -------
        Influence
            ``cooks_distance``, ``dfbetas``, ``mdffits``, ``covratio``, ...; ``to_frame()``.
        """
        from .diagnostics.influence import influence

        return influence(self._model, group, exact, n_jobs)

    def quantile_residuals(
        self,
        n: int = 250,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
    ) -> QuantileResiduals:
        """Find the quantiles of the responses among simulated ones, as DHARMa does.

        Details: `crossnest.diagnostics.quantile_residuals.quantile_residuals`.

        Parameters
        ----------
        n : int
            Number of simulations.
        seed : int, optional
            A new one each time if not given.
        re : {"new", "conditional"}
            Draw new random effects, or keep the conditional modes.

        Returns
        -------
        QuantileResiduals
            ``residuals``, and tests of uniformity, dispersion and outliers.
        """
        from .diagnostics.quantile_residuals import quantile_residuals

        return quantile_residuals(self._model, n, seed, re)

    def rand_pca(self) -> RandomEffectsPCA:
        """Find the principal components of the random effects, as lme4's ``rePCA`` does.

        Details: `crossnest.diagnostics.rand_pca.rand_pca`.
        """
        from .diagnostics.rand_pca import rand_pca

        return rand_pca(self._model)

    @property
    def _components(self) -> Components:
        from .diagnostics.goodness import components

        return components(self._model)

    def icc(self, by_group: bool = False) -> Shares:
        """Give the intraclass correlation: the share of variance between groups.

        Details: `crossnest.diagnostics.goodness.icc`.

        Parameters
        ----------
        by_group : bool
            Whether to give the share of each grouping factor.
        """
        from .diagnostics.goodness import icc

        return icc(self._model, by_group)

    def r2(self) -> Shares:
        """Give Nakagawa's R2: marginal, of the fixed effects, and conditional, of all effects.

        Details: `crossnest.diagnostics.goodness.r2`.
        """
        from .diagnostics.goodness import r2

        return r2(self._model)

    def vif(self) -> pd.DataFrame:
        """Give (generalized) variance inflation factors of the fixed terms.

        Details: `crossnest.diagnostics.goodness.vif`.
        """
        from .diagnostics.goodness import vif

        return vif(self._model)

    def check_model(self, seed: int = 1) -> Figure:
        """Draw six checks of the model's assumptions in one figure.

        Details: `crossnest.plotting.check_model.check_model`.

        Parameters
        ----------
        seed : int
            Seed of the simulated responses in the first panel.
        """
        from .plotting.check_model import check_model

        return check_model(self._model, seed)

    @property
    def endog_names(self) -> str:
        """The response as written, by its name in statsmodels."""
        return self._model.design.response_name

    @property
    def _regression_table(self) -> RegressionTable:
        from .neighbours.maketables import RegressionTable

        return RegressionTable(self._model)

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Coefficients for maketables; see `crossnest.neighbours.maketables.RegressionTable`."""
        return self._regression_table.__maketables_coef_table__

    @property
    def __maketables_depvar__(self) -> str:
        """The response for maketables."""
        return self._regression_table.__maketables_depvar__

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        """The kind of standard errors for maketables."""
        return self._regression_table.__maketables_vcov_info__

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """Names of the statistics that maketables shows."""
        return self._regression_table.__maketables_default_stat_keys__

    def __maketables_stat__(self, key: str) -> float | None:
        """Give a statistic for maketables."""
        return self._regression_table.__maketables_stat__(key)
