"""A linear mixed model as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Literal

import narwhals.stable.v1 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.typing import ArrayLike

from ..base.values import numbers
from ..fit.control import Control
from ..lmer import lmer
from ..prediction.predict import NewLevels

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import (
        check_consistent_length,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError as error:
    raise ImportError(
        "MixedModelRegressor needs scikit-learn 1.6 or newer, which is not installed: "
        "pip install 'crossnest[sklearn]'"
    ) from error

__all__ = ["MixedModelRegressor"]

FloatArray = npt.NDArray[np.float64]


class MixedModelRegressor(RegressorMixin, BaseEstimator):
    """A linear mixed model as a scikit-learn estimator.

    X is a data frame that holds the grouping columns, or an array, whose columns are named ``x0``,
    ``x1``, ... Missing values are refused when fitting.

    Parameters
    ----------
    formula : str, optional
        The formula, with or without a response: ``"Days + (Days | Subject)"`` and
        ``"Reaction ~ Days + (Days | Subject)"`` are the same model, y called ``Reaction`` in the
        second. ``"."`` stands for all columns that are not named elsewhere.
    groups : str or int, optional
        In place of a formula: the name or position of the grouping column. Every other column is a
        fixed effect, and the intercept varies by group.
    reml : bool
        Whether to minimise the REML criterion, and not the deviance (maximum likelihood).
    re : {"all", "none"} or sequence of str
        Random effects that predictions include; see `crossnest.prediction.predict.predict`.
    new_levels : {"population", "error", "nan"}
        What `predict` does with groups it was not fitted to: predict them with random effects of
        zero, refuse them, or give NaN.
    offset : str, optional
        Column that is a known part of the linear predictor.
    contrasts : mapping, optional
        Contrasts of factors by column name: R's names (``"contr.sum"``), formulaic's contrasts, or
        a matrix.
    control : Control, optional
        Options of the engine.

    Attributes
    ----------
    model_ : LinearMixedModel
        The fitted model.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : (n_features_in_,) array of str
        Names of the columns, if X was a data frame.

    Examples
    --------
    >>> from sklearn.model_selection import GroupKFold, cross_val_score
    >>> import crossnest
    >>> data = crossnest.datasets.sleepstudy()
    >>> estimator = crossnest.MixedModelRegressor("Days + (Days | Subject)")
    >>> folds = GroupKFold(6)
    >>> scores = cross_val_score(
    ...     estimator, data, data["Reaction"], groups=data["Subject"], cv=folds
    ... )
    >>> len(scores)
    6
    """

    def __init__(
        self,
        formula: str | None = None,
        groups: str | int | None = None,
        *,
        reml: bool = True,
        re: Literal["all", "none"] | Sequence[str] = "all",
        new_levels: NewLevels = "population",
        offset: str | None = None,
        contrasts: Mapping[str, Any] | None = None,
        control: Control | None = None,
    ) -> None:
        self.formula = formula
        self.groups = groups
        self.reml = reml
        self.re = re
        self.new_levels = new_levels
        self.offset = offset
        self.contrasts = contrasts
        self.control = control

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> MixedModelRegressor:
        """Fit the model.

        Parameters
        ----------
        X : (n, n_features) DataFrame or array_like
            The predictors and grouping factors.
        y : (n,) array_like
            The response.
        sample_weight : (n,) array_like, optional
            Precision weights: Var(e_i) = sigma^2 / sample_weight_i. An integer weight is not the
            same as a row repeated, which would be another observation of its group.

        Returns
        -------
        MixedModelRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If neither or both of `formula` and `groups` are given, or if formula and data make no
            model.

        Warns
        -----
        SingularFitWarning, ConvergenceWarning, RankDeficiencyWarning
            As `crossnest.lmer`.
        """
        table = self._table(X, y)
        response = column_or_1d(y, warn=True)
        check_consistent_length(X, response)
        formula, name = self._full_formula([str(column) for column in table.columns])
        column = nw.new_series(name, response, backend=nw.get_native_namespace(table))
        self.model_ = lmer(
            formula,
            table.with_columns(column).to_native(),
            reml=self.reml,
            weights=None if sample_weight is None else numbers(sample_weight, "sample_weight"),
            offset=self.offset,
            contrasts=self.contrasts,
            control=self.control,
            na_action="raise",
        )
        return self

    def predict(self, X: Any) -> FloatArray:
        """Predict the response.

        Parameters
        ----------
        X : (m, n_features) DataFrame or array_like
            The predictors and grouping factors, as in `fit`.

        Returns
        -------
        (m,) array
            The predictions; NaN in rows of a data frame that miss a value.

        Raises
        ------
        DesignError
            If a factor has a level that was not fitted (for a grouping factor with
            ``new_levels="error"``).
        """
        check_is_fitted(self)
        table = self._table(X)
        fit = self.model_.predict(table.to_native(), re=self.re, new_levels=self.new_levels)
        return np.asarray(fit, dtype=np.float64)

    def _table(self, X: Any, y: Any = "no_validation") -> nw.DataFrame[Any]:
        """Check X, and give it as a data frame; `y` is given when fitting."""
        fitting = not isinstance(y, str)
        if _has_names(X):
            validate_data(self, X, y, reset=fitting, skip_check_array=True)
            return nw.from_native(X, eager_only=True)
        checks = {"ensure_min_samples": 2, "y_numeric": True} if fitting else {}
        checked = validate_data(self, X, y, reset=fitting, **checks)
        values = checked[0] if fitting else checked
        unnamed = [f"x{j}" for j in range(values.shape[1])]
        names = list(getattr(self, "feature_names_in_", unnamed))
        return nw.from_native(pd.DataFrame(values, columns=names), eager_only=True)

    def _full_formula(self, columns: Sequence[str]) -> tuple[str, str]:
        """Return the formula with its response, and the response's name."""
        if (self.formula is None) == (self.groups is None):
            raise ValueError("give either a formula or groups, the grouping column")
        if self.formula is None:
            name, terms = "", f"1 + . + (1 | `{self._group_column(columns)}`)"
        else:
            left, _, terms = self.formula.rpartition("~")
            name = left.strip()
        name = name or _unused("y", columns)
        if not name.isidentifier():
            raise ValueError(
                f"the response of the formula must be a name, not `{name}`: to transform y use "
                "sklearn.compose.TransformedTargetRegressor"
            )
        return f"{name} ~ {terms.strip()}", name

    def _group_column(self, columns: Sequence[str]) -> str:
        """Return the name of the grouping column."""
        if isinstance(self.groups, str):
            if self.groups not in columns:
                raise ValueError(f"groups names '{self.groups}', which is not a column of X")
            return self.groups
        given: Any = self.groups  # scikit-learn has no checks of parameters before the fit
        if isinstance(given, bool) or not isinstance(given, Integral):
            raise TypeError(f"groups must be a column's name or position, not {given!r}")
        position = int(given)
        if not -len(columns) <= position < len(columns):
            raise ValueError(f"groups is column {position}, and X has {len(columns)}")
        return columns[position]


def _has_names(X: Any) -> bool:
    """Tell whether X is a data frame whose columns are named by strings."""
    if not nw.dependencies.is_into_dataframe(X):
        return False
    names = X.columns if isinstance(X, pd.DataFrame) else nw.from_native(X).columns
    return all(isinstance(name, str) for name in names)


def _unused(name: str, columns: Sequence[str]) -> str:
    """Append underscores until no column has the name."""
    while name in columns:
        name += "_"
    return name
