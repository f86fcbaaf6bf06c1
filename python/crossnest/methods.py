"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from .diagnostics.goodness import Shares
    from .diagnostics.influence import Influence
    from .diagnostics.quantile_residuals import QuantileResiduals
    from .diagnostics.rand_pca import RandomEffectsPCA
    from .inference.ddf import Ddf
    from .model import LinearMixedModel
    from .neighbours.maketables import RegressionTable
    from .plotting import ModelPlots
    from .prediction import Interval, NewLevels
    from .refit import RefitMany
    from .tidying import Effects


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
        """Predict the mean of rows; see `crossnest.prediction.predict`."""
        from .prediction import predict

        return predict(self._model, newdata, re, new_levels, se, interval, level, offset)

    def tidy(
        self,
        effects: Effects | Sequence[Effects] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        conf_level: float = 0.95,
        ddf: Ddf = "satterthwaite",
    ) -> pd.DataFrame:
        """Give estimates, one a row; see `crossnest.tidying.tidy`."""
        from .tidying import tidy

        return tidy(self._model, effects, conf_int, conf_level, ddf)

    def glance(self) -> pd.DataFrame:
        """Give the fit in one row; see `crossnest.tidying.glance`."""
        from .tidying import glance

        return glance(self._model)

    def augment(self, newdata: Any = None) -> pd.DataFrame:
        """Give the data with what the model says of each row; see `crossnest.tidying.augment`."""
        from .tidying import augment

        return augment(self._model, newdata)

    def refit_many(
        self, Y: ArrayLike | pd.DataFrame, n_jobs: int | None = None, progress: bool = True
    ) -> RefitMany:
        """Fit the same model to many responses; see `crossnest.refit.refit_many`."""
        from .refit import refit_many

        return refit_many(self._model, Y, n_jobs, progress)

    def simulate(
        self,
        n: int = 1,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
        newdata: Any = None,
    ) -> pd.DataFrame:
        """Draw responses from the model; see `crossnest.simulation.simulate`."""
        from .simulation import simulate

        return simulate(self._model, n, seed, re, newdata)

    def save(
        self,
        path: str | os.PathLike[str],
        ddf: Sequence[Literal["satterthwaite", "kenward-roger"]] | None = None,
        covariances: bool = True,
    ) -> None:
        """Write the model to a file, without the data; see `crossnest.storage.save`."""
        from .storage import save

        save(self._model, path, ddf, covariances)

    def hatvalues(self) -> pd.Series[float]:
        """Give `leverages`, by its name in R."""
        return self._model.leverages()

    def cooks_distance(self) -> pd.Series[float]:
        """Give lme4's Cook's distances; see `crossnest.diagnostics.influence.cooks_distance`."""
        from .diagnostics.influence import cooks_distance

        return cooks_distance(self._model)

    def dfbetas(self) -> pd.DataFrame:
        """Give the standardized change of the fixed effects without each row: of `influence()`."""
        return self.influence().dfbetas

    def influence(
        self, group: str | None = None, exact: bool = False, n_jobs: int | None = None
    ) -> Influence:
        """Leave out cases or groups; see `crossnest.diagnostics.influence.influence`."""
        from .diagnostics.influence import influence

        return influence(self._model, group, exact, n_jobs)

    def quantile_residuals(
        self,
        n: int = 250,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
    ) -> QuantileResiduals:
        """Simulate; see `crossnest.diagnostics.quantile_residuals.quantile_residuals`."""
        from .diagnostics.quantile_residuals import quantile_residuals

        return quantile_residuals(self._model, n, seed, re)

    def rand_pca(self) -> RandomEffectsPCA:
        """Find the random effects' components; see `crossnest.diagnostics.rand_pca.rand_pca`."""
        from .diagnostics.rand_pca import rand_pca

        return rand_pca(self._model)

    def icc(self, by_group: bool = False) -> Shares:
        """Give the intraclass correlation; see `crossnest.diagnostics.goodness.icc`."""
        from .diagnostics.goodness import icc

        return icc(self._model, by_group)

    def r2(self) -> Shares:
        """Give marginal and conditional R2; see `crossnest.diagnostics.goodness.r2`."""
        from .diagnostics.goodness import r2

        return r2(self._model)

    def vif(self) -> pd.DataFrame:
        """Give variance inflation factors by term; see `crossnest.diagnostics.goodness.vif`."""
        from .diagnostics.goodness import vif

        return vif(self._model)

    def check_model(self, seed: int = 1) -> Figure:
        """Draw the usual checks; see `crossnest.diagnostics.check_model.check_model`."""
        from .diagnostics.check_model import check_model

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
