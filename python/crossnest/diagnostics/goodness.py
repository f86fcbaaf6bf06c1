"""Goodness of fit: intraclass correlations, Nakagawa's R2, variance inflation factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_flag
from ..base.read_only import Immutable
from ..fit.known import VarianceComponents
from ..formula.formula import INTERCEPT

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["Shares", "components", "icc", "r2", "vif"]

FloatArray = NDArray[np.float64]


class Shares(Immutable, Mapping[str, float]):
    """Shares of variance by name, which print as R's performance package prints them.

    Parameters
    ----------
    title : str
        The heading.
    values : mapping
        Names and shares.
    labels : mapping, optional
        Which of them are printed, and as what; all of them by their names if not given.
    """

    title: str
    _values: dict[str, float]
    _labels: dict[str, str]

    def __init__(
        self, title: str, values: Mapping[str, float], labels: Mapping[str, str] | None = None
    ) -> None:
        shown = {name: name for name in values} if labels is None else dict(labels)
        vars(self).update(title=title, _values=dict(values), _labels=shown)

    def __getitem__(self, name: str) -> float:
        """Return one share."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the shares."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the heading and one line per share, to three decimals."""
        width = max(map(len, self._labels.values()))
        lines = [
            f"  {label:>{width}}: {self._values[name]:.3f}" for name, label in self._labels.items()
        ]
        return "\n".join([f"# {self.title}", "", *lines])


def components(model: FittedModel) -> VarianceComponents:
    """Split the variance of an observation into fixed, random and residual parts."""
    if model._known is not None:
        return model._known.components
    design = model.design
    mean = design.X[:, model._kept] @ model._fit.beta
    random = dict.fromkeys((factor.name for factor in design.factors), 0.0)
    for term, covariance in zip(design.random, model.var_corr.terms, strict=True):
        columns = [np.ones(design.n) if column is None else column for column in term.columns]
        Z = np.column_stack(columns)
        moments = Z.T @ Z / design.n
        random[design.factors[term.factor].name] += float(np.sum(moments * covariance.covariance))
    return VarianceComponents(float(np.var(mean, ddof=1)), random, model.sigma**2)


def icc(model: FittedModel, by_group: bool = False) -> Shares:
    """Compute the intraclass correlation: the share of variance that lies between groups.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    by_group : bool
        Whether to give the share of each grouping factor, the names being theirs; they add up to
        the adjusted one.

    Returns
    -------
    Shares
        ``ICC_adjusted``: random over random plus residual variance; ``ICC_unadjusted``: with the
        variance of the fixed effects in the denominator too; ``ICC_conditional`` is another name of
        the latter.

    Notes
    -----
    With random slopes the variance of the random effects is its mean over the observations, as in
    R's performance package, which leaves out slopes that are not fixed effects too and, in some
    versions, all but the first effect of ``(x || g)``; here every random effect counts.

    References
    ----------
    Nakagawa, Johnson and Schielzeth (2017). The coefficient of determination R2 and intra-class
    correlation coefficient from generalized linear mixed-effects models revisited and expanded.
    Journal of the Royal Society Interface 14, 20170213. Johnson (2014). Extension of Nakagawa and
    Schielzeth's R2_GLMM to random slopes models. Methods in Ecology and Evolution 5, 944-946.
    """
    check_flag(by_group, "by_group")
    split = components(model)
    between = split.explained_by_groups
    total = between + split.residual
    if by_group:
        return Shares("ICC by Group", {name: v / total for name, v in split.random.items()})
    unadjusted = between / (total + split.fixed)
    return Shares(
        "Intraclass Correlation Coefficient",
        {
            "ICC_adjusted": between / total,
            "ICC_conditional": unadjusted,
            "ICC_unadjusted": unadjusted,
        },
        {"ICC_adjusted": "Adjusted ICC", "ICC_unadjusted": "Unadjusted ICC"},
    )


def r2(model: FittedModel) -> Shares:
    """Compute Nakagawa's coefficients of determination.

    Returns
    -------
    Shares
        ``R2_conditional``: the share of variance explained by fixed and random effects together;
        ``R2_marginal``: by the fixed effects alone.

    Notes
    -----
    Variances are those of `icc`, whose references hold here too.
    """
    split = components(model)
    between = split.explained_by_groups
    total = split.fixed + between + split.residual
    return Shares(
        "R2 for Mixed Models",
        {"R2_conditional": (split.fixed + between) / total, "R2_marginal": split.fixed / total},
        {"R2_conditional": "Conditional R2", "R2_marginal": "Marginal R2"},
    )


def vif(model: FittedModel) -> pd.DataFrame:
    """Compute the generalized variance inflation factors of the terms of the fixed effects.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.

    Returns
    -------
    DataFrame
        One row per term: ``GVIF``, ``Df`` (its columns) and ``GVIF^(1/(2*Df))``, which compares
        between terms of different Df and is the square root of the VIF where Df is 1. The
        intercept's column is left out, aliased ones too.

    Raises
    ------
    ValueError
        If there are fewer than two terms.

    References
    ----------
    Fox and Monette (1992). Generalized collinearity diagnostics. Journal of the American
    Statistical Association 87, 178-183; ``vif`` of R's car package.
    """
    columns = _columns_by_term(model)
    if len(columns) < 2:
        raise ValueError(
            "variance inflation factors need at least two terms, and the model has fewer"
        )
    used = sorted(j for positions in columns.values() for j in positions)
    covariance = model._covariance[np.ix_(used, used)]
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / scale[:, None] / scale
    rows: dict[str, Any] = {}
    for name, positions in columns.items():
        inside = np.isin(used, positions)
        value = np.exp(
            _log_det(correlation[np.ix_(inside, inside)])
            + _log_det(correlation[np.ix_(~inside, ~inside)])
            - _log_det(correlation)
        )
        rows[name] = {
            "GVIF": value,
            "Df": len(positions),
            "GVIF^(1/(2*Df))": value ** (1 / (2 * len(positions))),
        }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"Df": int})


def _columns_by_term(model: FittedModel) -> dict[str, list[int]]:
    """Return the coefficients of each term but the intercept; fully aliased terms are left out."""
    place = {int(column): position for position, column in enumerate(model._kept)}
    columns = {}
    for coded in model.design.coding.terms:
        positions = [place[j] for j in coded.columns if j in place]
        if coded.term != INTERCEPT and positions:
            columns[str(coded.term)] = positions
    return columns


def _log_det(matrix: FloatArray) -> float:
    return float(np.linalg.slogdet(matrix)[1])
