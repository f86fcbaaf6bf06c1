"""Z as one sparse matrix, for what needs it whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from .design import Design


def sparse_z(design: Design) -> scipy.sparse.csr_array[Any, tuple[int, int]]:
    """Assemble Z (n, q): term by term, level by level, effect by effect."""
    n = len(design.y)
    values, columns = [], []
    q = 0
    for term in design.random:
        factor, k = design.factors[term.factor], len(term.names)
        first = q + factor.codes.astype(np.int64) * k
        for j, column in enumerate(term.columns):
            values.append(np.ones(n) if column is None else column)
            columns.append(first + j)
        q += factor.n_levels * k
    starts = np.arange(n + 1) * len(values)
    data, indices = np.stack(values, axis=1).ravel(), np.stack(columns, axis=1).ravel()
    return scipy.sparse.csr_array((data, indices, starts), shape=(n, q))
