"""Families: the rows of a table that are compared with each other, one family per stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def families(table: pd.DataFrame, by: Sequence[str]) -> list[NDArray[np.intp]]:
    """Return the positions of the rows of each combination of `by`, in order of appearance."""
    if not by:
        return [np.arange(len(table))]
    number = table.groupby(list(by), sort=False, observed=True).ngroup().to_numpy()
    return [np.flatnonzero(number == g) for g in range(int(number.max()) + 1)]
