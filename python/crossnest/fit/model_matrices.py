"""The model matrices of a fitted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import scipy.sparse

from ..base.arguments import is_word
from ..design.sparse_z import sparse_z

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = ["model_matrix"]


def model_matrix(
    model: FittedModel, effects: Literal["fixed", "random"] = "fixed"
) -> pd.DataFrame | scipy.sparse.csr_array[Any, tuple[int, int]]:
    """Return X (n, p) as a data frame, or Z (n, q) as a sparse matrix.

    Columns of Z stand term by term (in the order of `LinearMixedModel.var_corr`), level by level,
    effect by effect; aliased columns of X are left out.
    """
    if is_word(effects, ["fixed"]):
        names = list(model._coef_names)
        X = model.design.X[:, model._kept]
        return pd.DataFrame(X, index=model.design.index, columns=names)
    if is_word(effects, ["random"]):
        return sparse_z(model.design)
    raise ValueError(f"effects must be 'fixed' or 'random', not {effects!r}")
