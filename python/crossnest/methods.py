"""The methods of a fitted model for what comes after the fit; each is a function elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .model import LinearMixedModel


class ResultMethods:
    """Mixed into `crossnest.LinearMixedModel`. Modules are imported when first used."""

    @property
    def _model(self) -> LinearMixedModel:
        return cast("LinearMixedModel", self)
