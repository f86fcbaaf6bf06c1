"""Linear functions of the fixed effects, some of which the data may not determine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import ReadOnly
from .estimability import RowSpace

if TYPE_CHECKING:
    from .tester import FTest, Tester

FloatArray = NDArray[np.float64]

#: A contrast's coefficient is rounding error below this part of the terms it is the sum of.
CANCELLED = 1e-10
_COLUMNS = ["Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"]


@dataclass(frozen=True, eq=False)
class LinearFunctions(ReadOnly):
    """Linear functions L beta + offset of the fixed effects, with what tests of them need.

    Attributes
    ----------
    tester : Tester
        Tests with the method's degrees of freedom.
    space : RowSpace
        Which functions are estimable.
    L : (m, p_all) array
        The functions, aliased columns included.
    offset : (m,) array
        What the model's offset adds to each.
    """

    tester: Tester
    space: RowSpace
    L: FloatArray
    offset: FloatArray

    def combined(self, C: FloatArray) -> LinearFunctions:
        """Compute the functions C L; coefficients that cancel are exactly zero."""
        nowhere = np.asarray(np.isnan(self.L).any(axis=1))  # averages over no cell at all
        known = np.where(nowhere[:, None], 0.0, self.L)
        L = C @ known
        L[np.abs(L) <= CANCELLED * (np.abs(C) @ np.abs(known))] = 0
        L[(C[:, nowhere] != 0).any(axis=1)] = np.nan
        return replace(self, L=L, offset=C @ self.offset)

    def t_table(self) -> pd.DataFrame:
        """Compute the table of `Tester.t_table`, NaN in rows that are not estimable."""
        reduced = self.space.reduce(self.L)
        estimable = ~np.isnan(reduced).any(axis=1)
        informative = estimable & reduced.any(axis=1)  # 0'beta is 0 without error
        values = np.full((len(reduced), len(_COLUMNS)), np.nan)
        values[estimable, :2] = 0.0
        if informative.any():
            tests = self.tester.t_table(reduced[informative], -self.offset[informative])
            values[informative] = tests.to_numpy()
        values[:, 0] += self.offset
        return pd.DataFrame(values, columns=_COLUMNS)

    def f_test(self) -> FTest | None:
        """Test that what is estimable of the functions is zero; None if that is nothing."""
        known = self.L[~np.isnan(self.L).any(axis=1)]
        L = self.space.estimable_part(known)[:, self.space.kept]
        return self.tester.f_test(L) if L.any() else None
