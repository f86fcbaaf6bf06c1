"""Fitted models for the package marginaleffects: predictions, comparisons, slopes, hypotheses.

They are for the population, X beta + offset, the random effects at their mean of zero: the
covariance matrix of the fixed effects is all that marginaleffects knows of the uncertainty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.stats

from ..base.arguments import choice
from ..base.ddf_methods import DDF_ALIASES, KENWARD_ROGER, Ddf, check_ddf
from ..design.new_rows import new_rows
from ..formula.formula import factor_names
from ..inference.ddf import tester
from ..inference.estimability import RowSpace
from ..report.tidying import model_frame
from .polars import to_polars

try:
    import polars as pl
    from marginaleffects import MarginaleffectsResult
    from marginaleffects.classes import ModelAbstract, ModelVault
except ImportError as error:
    raise ImportError(
        "the package marginaleffects is not installed: pip install 'crossnest[marginaleffects]'"
    ) from error

if TYPE_CHECKING:
    from ..model import LinearMixedModel

__all__ = ["MixedModelAdapter", "adapt"]

FloatArray = npt.NDArray[np.float64]

#: What marginaleffects prints over the columns of a table with degrees of freedom.
HEADERS = {
    "term": "Term",
    "contrast": "Contrast",
    "estimate": "Estimate",
    "std_error": "Std.Error",
    "statistic": "t",
    "df": "Df",
    "p_value": "P(>|t|)",
}


def adapt(model: LinearMixedModel, ddf: Ddf = "normal") -> MixedModelAdapter:
    """Make a fitted model one that marginaleffects understands.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model, not one loaded from a file: its data are needed.
    ddf : {"normal", "residual", "satterthwaite", "kenward-roger"}
        Method of the degrees of freedom; with the last one the covariance matrix of the fixed
        effects is Kenward and Roger's adjusted one. marginaleffects takes one number of degrees of
        freedom for all rows of a table: observations minus fixed effects by ``"residual"``,
        infinite otherwise. `MixedModelAdapter.with_df` gives each row its own.

    Returns
    -------
    MixedModelAdapter
        To be given to the functions of marginaleffects in place of the model.

    Raises
    ------
    ImportError
        If marginaleffects is not installed.
    ValueError
        If the method is unknown or unavailable, or the offset is not in the formula.

    References
    ----------
    Arel-Bundock, Greifer and Heiss (2024). How to interpret statistical models using
    marginaleffects for R and Python. Journal of Statistical Software 111(9).

    Examples
    --------
    >>> import crossnest
    >>> from crossnest.neighbours.marginaleffects import adapt
    >>> from marginaleffects import avg_slopes
    >>> data = crossnest.datasets.sleepstudy()
    >>> model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> adapted = adapt(model, ddf="kenward-roger")
    >>> slopes = adapted.with_df(avg_slopes(adapted, variables="Days", eps_vcov=1.0))
    >>> round(slopes["df"][0], 2)
    17.0
    """
    if model.design.offset_source is not None:
        raise ValueError(
            "the offset was an argument of the fit, and marginaleffects only knows the "
            "variables of the formula: write offset(column) in the formula"
        )
    return MixedModelAdapter(model, ddf)


class MixedModelAdapter(ModelAbstract):
    """A fitted model as marginaleffects' abstract model; `adapt` makes it.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    ddf : {"normal", "residual", "satterthwaite", "kenward-roger"}
        Method of the degrees of freedom.
    """

    def __init__(self, model: LinearMixedModel, ddf: Ddf) -> None:
        self.ddf = check_ddf(ddf)
        self._tester = tester(model, ddf)
        self._row_space = RowSpace.of(model)
        design = model.design
        factors = design.formula.fixed.factors
        names = dict.fromkeys(name for factor in factors for name in factor_names(factor))
        predictors = [name for name in names if name in design.variables]
        vault = ModelVault(
            coef=model.fixef.to_numpy(),
            coefnames=np.array(model.fixef.index, dtype=object),
            # marginaleffects evaluates no formula of ours, and learns the variables from below.
            formula="1 ~ 1",
            modeldata=to_polars(model_frame(design).reset_index(drop=True)),
            package="crossnest",
            variable_names=[*factor_names(design.formula.response)[:1], *predictors],
        )
        super().__init__(model, vault)
        for name in predictors:
            self.set_variable_type(name, _kind(vault.modeldata[name]))

    @property
    def df_resid(self) -> float:
        """Degrees of freedom of every row, where the method gives all rows the same."""
        return getattr(self._tester, "denominator", np.inf)

    def get_df(self) -> float:
        """Return `df_resid`."""
        return self.df_resid

    def get_vcov(self, vcov: bool | str = True) -> FloatArray | None:
        """Return the covariance matrix of the fixed effects.

        Parameters
        ----------
        vcov : bool or {"model", "kenward-roger", "kenward-roger-observed"}
            That which goes with `ddf`; none; the model's, or Kenward and Roger's.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        if isinstance(vcov, str):
            methods: dict[str, Ddf] = {"model": "normal", **{ddf: ddf for ddf in KENWARD_ROGER}}
            method = choice(vcov, "vcov", tuple(methods), DDF_ALIASES)
            return tester(self.model, methods[method]).vcov
        return self._tester.vcov if vcov else None

    def get_exog(self, newdata: pl.DataFrame) -> FloatArray:
        """Evaluate the fixed effects, (m, p); a last column is the offset, if there is one.

        Rows that are not estimable are NaN.
        """
        design = self.model.design
        rows = new_rows(design, newdata, [False] * len(design.random))
        matrix = self._row_space.reduce(rows.X)
        if rows.offset is not None:
            matrix = np.column_stack([matrix, rows.offset])
        if rows.complete is None:
            return matrix
        spread = np.full((len(rows.index), matrix.shape[1]), np.nan)
        spread[rows.complete] = matrix
        return spread

    def get_predict(self, params: FloatArray, newdata: FloatArray) -> pl.DataFrame:
        """Compute X beta + offset at the rows of `get_exog`."""
        p = len(params)
        estimate = newdata[:, :p] @ params + newdata[:, p:].sum(axis=1)
        rowid = pl.Series("rowid", np.arange(len(estimate), dtype=np.int32))
        return pl.DataFrame([rowid, pl.Series("estimate", estimate)])

    def get_autodiff_args(self) -> dict[str, str | None] | None:
        """Say that the exact Jacobian is that of a linear model, unless there is an offset."""
        design = self.model.design
        if design.offset is not None:
            return None
        return {"model_type": "linear", "family": None, "link": None}

    def with_df(self, result: MarginaleffectsResult) -> MarginaleffectsResult:
        """Add to each row of a result its own degrees of freedom, by the method `ddf`.

        Those of a row are the degrees of freedom of J beta, J its row of the Jacobian: exact for
        what is linear in the fixed effects, and a linearization for what is not.

        Parameters
        ----------
        result : MarginaleffectsResult
            What a function of marginaleffects returned for this adapter.

        Returns
        -------
        MarginaleffectsResult
            With a column ``df``; ``p_value``, ``conf_low`` and ``conf_high`` by the t distribution.
            Without ``s_value``: polars would leave out ``df`` from what is printed.

        Raises
        ------
        ValueError
            If the result has no standard errors (``vcov=False``, or ``transform`` was given), or
            has tests of equivalence, which are normal ones.
        """
        table = result.data
        if result.jacobian is None or "std_error" not in table.columns:
            raise ValueError(
                "the result has no standard errors: leave out vcov=False and transform"
            )
        if "p_value_equiv" in table.columns:
            raise ValueError("tests of equivalence are normal ones: leave out equivalence")
        df = self._tester.df(np.asarray(result.jacobian, dtype=np.float64))
        estimate, error, statistic = table["estimate", "std_error", "statistic"].to_numpy().T
        half = scipy.stats.t.ppf((1 + result.conf_level) / 2, df) * error
        columns = {
            "df": df,
            "p_value": 2 * scipy.stats.t.sf(np.abs(statistic), df),
            "conf_low": estimate - half,
            "conf_high": estimate + half,
        }
        return MarginaleffectsResult(
            table.drop("s_value").with_columns(pl.Series(k, v) for k, v in columns.items()),
            by=result.by,
            conf_level=result.conf_level,
            jacobian=result.jacobian,
            newdata=result,  # for the columns of a data grid, which are printed
            mapping=HEADERS,
        )


def _kind(column: pl.Series) -> str:
    """Return the type of a variable in marginaleffects' words."""
    if column.dtype.is_numeric():
        two_values = column.min() == 0 and column.max() == 1 and column.n_unique() == 2
        return "binary" if two_values else "numeric"
    if column.dtype == pl.Boolean:
        return "boolean"
    return "character" if column.dtype == pl.Enum else "unknown"
