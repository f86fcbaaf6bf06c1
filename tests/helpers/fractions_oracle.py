"""The deviance of a model with a slope and one random intercept, from sums that are exact."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd


def exact_deviance(data: pd.DataFrame, weights: np.ndarray, theta: float) -> float:
    """Return the deviance of ``y ~ x + (1 | a)`` at theta; no sum is rounded.

    With s_l the sum of the weights of level l and shrink_l = theta^2 / (1 + theta^2 s_l),

        A = M'V^-1 M = sum_l M_l'W_l M_l - shrink_l (M_l'W_l 1) (M_l'W_l 1)',    M = [1 x y],
        d = sum_l log(1 + theta^2 s_l) - sum log w + n (1 + log(2 pi r2 / n)),

    r2 being what elimination leaves of the last diagonal element of A.
    """
    squared = Fraction(float(theta)) ** 2
    A = np.full((3, 3), Fraction(0))
    logs = -sum(math.log(w) for w in weights)
    for rows in data.groupby("a").indices.values():
        values = [
            [Fraction(1), Fraction(float(x)), Fraction(float(y))]
            for x, y in zip(*_xy(data, rows), strict=True)
        ]
        M, W = np.array(values), np.array([Fraction(float(w)) for w in weights[rows]])
        total, sums = W.sum(), M.T @ W
        A = A + M.T @ (W[:, None] * M) - squared / (1 + squared * total) * np.outer(sums, sums)
        logs += _log(1 + squared * total)
    for j in range(2):
        A = A - np.outer(A[:, j], A[j]) / A[j, j]
    n = len(data)
    return logs + n * (1 + math.log(2 * math.pi / n) + _log(A[2, 2]))


def _xy(data: pd.DataFrame, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return data["x"].to_numpy()[rows], data["y"].to_numpy()[rows]


def _log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)
