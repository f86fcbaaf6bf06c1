"""Fitted models in maketables' regression tables, by its plug-in format.

maketables is not imported here: it finds the attributes ``__maketables_...__`` by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import scipy.stats

from ..base.ddf_methods import KENWARD_ROGER, Ddf, check_ddf
from ..diagnostics.goodness import icc, r2
from ..inference.ddf import coefficient_tests

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["RegressionTable"]

#: Coverage of the intervals in percent.
LEVELS = (95, 90)

#: Statistics by maketables' names, and the model's attributes.
ATTRIBUTES = {"N": "nobs", "ll": "llf", "aic": "aic", "bic": "bic", "df_resid": "df_resid"}


@dataclass(frozen=True, eq=False)
class RegressionTable:
    """A fitted model as maketables reads it: one column of ``maketables.ETable``.

    Standard deviations and correlations of the random effects are among its statistics, under the
    names they are printed by.

    Attributes
    ----------
    model : LinearMixedModel
        The fitted model.
    ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
        Method of the degrees of freedom; with ``"kenward-roger"`` the standard errors are adjusted.

    Examples
    --------
    >>> import crossnest
    >>> from crossnest.neighbours.maketables import RegressionTable
    >>> model = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff())
    >>> column = RegressionTable(model, ddf="kenward-roger")
    >>> column.__maketables_default_stat_keys__
    ['N', 'Groups: Batch', 'SD (Intercept) | Batch', 'SD Residual', 'aic']
    """

    model: FittedModel
    ddf: Ddf = "satterthwaite"

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Return ``b``, ``se``, ``t``, ``df``, ``p`` and intervals, one row per coefficient.

        The intercept is called as other packages do.
        """
        tests = coefficient_tests(self.model, self.ddf)
        b, se, df, t, p = tests.to_numpy().T
        table = pd.DataFrame({"b": b, "se": se, "t": t, "df": df, "p": p}, index=tests.index)
        for level in LEVELS:
            half = scipy.stats.t.ppf(0.5 + level / 200, df) * se
            table[f"ci{level}l"], table[f"ci{level}u"] = b - half, b + half
        return table.rename(index={"(Intercept)": "Intercept"}).rename_axis("Coefficient")

    @property
    def __maketables_depvar__(self) -> str:
        """Return the response as written."""
        return self.model.design.response_name

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        """Say where the standard errors come from."""
        kind = "Kenward-Roger" if check_ddf(self.ddf) in KENWARD_ROGER else "model"
        return {"vcov_type": kind, "clustervar": None}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """Return the statistics shown under the coefficients unless others are asked for."""
        return ["N", *self._groups, *self._random, "aic"]

    def __maketables_stat__(self, key: str) -> float | None:
        """Return a statistic by its name, None if there is none of that name.

        Names are maketables' own (``N``, ``ll``, ``aic``, ``bic``, ``df_resid``), the default ones,
        and those of `LinearMixedModel.r2` and `LinearMixedModel.icc`.
        """
        if key in ATTRIBUTES:
            return float(getattr(self.model, ATTRIBUTES[key]))
        if key.startswith("R2_"):
            return r2(self.model).get(key)
        if key.startswith("ICC_"):
            return icc(self.model).get(key)
        return (self._groups | self._random).get(key)

    @property
    def _groups(self) -> dict[str, float]:
        """Numbers of levels by what they are printed as."""
        return {f"Groups: {name}": float(count) for name, count in self.model.n_levels.items()}

    @property
    def _random(self) -> dict[str, float]:
        """Standard deviations and correlations by what they are printed as."""
        table: Any = self.model.var_corr.to_frame()
        found: dict[str, float] = {}
        for group, first, second, value in table[["grp", "var1", "var2", "sdcor"]].to_numpy():
            if pd.isna(first):
                found[f"SD {group}"] = float(value)
            elif pd.isna(second):
                found[f"SD {first} | {group}"] = float(value)
            else:
                found[f"Corr. {first}, {second} | {group}"] = float(value)
        return found
