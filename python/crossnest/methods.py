"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import pandas as pd

    from .inference.ddf import Ddf
    from .model import LinearMixedModel
    from .prediction import Interval, NewLevels
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
