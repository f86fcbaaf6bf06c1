"""Principal components of the random effects (lme4's ``rePCA``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.read_only import Immutable, ReadOnly
from ..fit.random_effects import effects_of, relative_factor
from ..tables.r_format import format_numbers, matrix_lines

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["GroupComponents", "RandomEffectsPCA", "rand_pca"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class GroupComponents(ReadOnly):
    """Principal components of the k random effects of one grouping factor.

    Attributes
    ----------
    names : tuple of str
        The k effects.
    sdev : (k,) array
        Standard deviations of the components relative to sigma, largest first: the singular values
        of the relative covariance factor.
    rotation : (k, k) array
        One column per component, its loadings on the effects.
    """

    names: tuple[str, ...]
    sdev: FloatArray
    rotation: FloatArray

    @property
    def importance(self) -> pd.DataFrame:
        """Standard deviation, proportion of variance and cumulative proportion by component."""
        variance = self.sdev**2
        total = variance.sum()
        share = np.divide(variance, total, out=np.full_like(variance, np.nan), where=total > 0)
        rows = ["Standard deviation", "Proportion of Variance", "Cumulative Proportion"]
        columns = [f"PC{j + 1}" for j in range(len(variance))]
        values = [self.sdev, share, np.cumsum(share)]
        return pd.DataFrame(values, index=rows, columns=columns)

    def __repr__(self) -> str:
        """Return the table R prints as summary of a principal components analysis."""
        table = self.importance
        rounded = table.to_numpy().copy()
        rounded[1:] = np.round(rounded[1:], 5)
        columns = [format_numbers(column, 4) for column in rounded.T]
        cells = [list(row) for row in zip(*columns, strict=True)]
        lines = matrix_lines(cells, list(table.index), list(table.columns), right=True)
        return "\n".join(["Importance of components:", *lines])


class RandomEffectsPCA(Immutable, Mapping[str, GroupComponents]):
    """Principal components of the random effects by grouping factor.

    A standard deviation of zero says that the random effects span fewer dimensions than the model
    gives them.

    Parameters
    ----------
    groups : mapping of str to GroupComponents
        In the order of the model's grouping factors.
    """

    _groups: dict[str, GroupComponents]

    def __init__(self, groups: Mapping[str, GroupComponents]) -> None:
        vars(self).update(_groups=dict(groups))

    def __getitem__(self, group: str) -> GroupComponents:
        """Return the components of one grouping factor."""
        return self._groups[group]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the grouping factors."""
        return iter(self._groups)

    def __len__(self) -> int:
        """Count the grouping factors."""
        return len(self._groups)

    def __repr__(self) -> str:
        """Return the tables of all grouping factors."""
        return "\n\n".join(f"${name}\n{group!r}" for name, group in self._groups.items())


def rand_pca(model: FittedModel) -> RandomEffectsPCA:
    """Analyse the covariance of the random effects into principal components.

    Terms on the same grouping factor are taken together, as lme4's ``rePCA`` does; the scale is
    relative to sigma.

    References
    ----------
    Bates, Kliegl, Vasishth and Baayen (2015). Parsimonious mixed models. arXiv:1506.04967.
    """
    groups = {}
    for j, factor in enumerate(model.design.factors):
        rotation, sdev, _ = np.linalg.svd(relative_factor(model, j))
        groups[factor.name] = GroupComponents(tuple(effects_of(model, j)), sdev, rotation)
    return RandomEffectsPCA(groups)
