"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from .model import LinearMixedModel
    from .refit import RefitMany


class ResultMethods:
    """Mixed into `crossnest.LinearMixedModel`. Modules are imported when first used."""

    @property
    def _model(self) -> LinearMixedModel:
        return cast("LinearMixedModel", self)

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
