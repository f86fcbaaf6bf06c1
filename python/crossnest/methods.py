"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from .inference.ddf import Ddf
    from .model import LinearMixedModel
    from .prediction import Interval, NewLevels
    from .refit import RefitMany
    from .tidying import Effects


class ResultMethods:
    """Mixed into `crossnest.LinearMixedModel`. Modules are imported when first used."""

    @property
    def _model(self) -> LinearMixedModel:
        return cast("LinearMixedModel", self)

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

    def refit_many(self, Y: ArrayLike | pd.DataFrame, n_jobs: int | None = None) -> RefitMany:
        """Fit the same model to many responses; see `crossnest.refit.refit_many`."""
        from .refit import refit_many

        return refit_many(self._model, Y, n_jobs)

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
