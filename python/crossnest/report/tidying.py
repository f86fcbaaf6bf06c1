"""Results as tidy data frames, with the columns of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from ..base.arguments import as_list, check_flag, check_level, choice
from ..base.ddf_methods import check_ddf
from ..base.values import numbers
from ..data.columns import Column, FactorColumn
from ..design.design import Design
from ..diagnostics.influence import cooks_distance
from ..fit.random_effects import coef, long_ranef
from ..fit.residuals import leverages, residuals
from ..inference.ddf import coefficient_tests
from ..prediction.predict import predict

if TYPE_CHECKING:
    from ..base.ddf_methods import Ddf
    from ..fit.fitted_model import FittedModel

__all__ = ["Effects", "augment", "glance", "tidy"]

FloatArray = npt.NDArray[np.float64]
Effects = Literal["fixed", "ran_pars", "ran_vals", "ran_coefs"]

#: The columns in broom.mixed's order; a table has those that apply.
COLUMNS = (
    "effect",
    "group",
    "level",
    "term",
    "estimate",
    "std.error",
    "statistic",
    "df",
    "p.value",
    "conf.low",
    "conf.high",
)


def tidy(
    model: FittedModel,
    effects: Effects | Sequence[Effects] = ("fixed", "ran_pars"),
    conf_int: bool = False,
    level: float = 0.95,
    ddf: Ddf = "satterthwaite",
) -> pd.DataFrame:
    """Return the estimates, one per row.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    effects : {"fixed", "ran_pars", "ran_vals", "ran_coefs"} or sequence of them
        Fixed effects; standard deviations and correlations of the random effects; conditional modes
        of each level; coefficients of each level (fixed effects plus modes).
    conf_int : bool
        Whether to give intervals: t intervals of the fixed effects, normal ones of the conditional
        modes. They are NaN for the other two: `LinearMixedModel.confint` has those of ``ran_pars``.
    level : float
        Coverage of the intervals.
    ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal", "none"}
        Degrees of freedom of the fixed effects; with "none" no p-values, and normal intervals.

    Returns
    -------
    DataFrame
        Those of the columns ``effect``, ``group``, ``level``, ``term``, ``estimate``,
        ``std.error``, ``statistic``, ``df``, ``p.value``, ``conf.low`` and ``conf.high`` that
        apply.
    """
    check_flag(conf_int, "conf_int")
    ddf = check_ddf(ddf, none=True)
    kinds = [choice(kind, "effects", get_args(Effects)) for kind in as_list(effects)]
    check_level(level)
    if not kinds:
        raise ValueError("effects is empty: name at least one kind of effects")
    tables = {
        "fixed": lambda: _fixed(model, level, ddf),
        "ran_pars": lambda: _ran_pars(model),
        "ran_vals": lambda: _ran_vals(model, level),
        "ran_coefs": lambda: _ran_coefs(model),
    }
    table = pd.concat(
        [tables[kind]().assign(effect=kind) for kind in dict.fromkeys(kinds)], ignore_index=True
    )
    wanted = [name for name in COLUMNS if conf_int or not name.startswith("conf.")]
    if conf_int:
        table = table.reindex(columns=table.columns.union(["conf.low", "conf.high"], sort=False))
    return table[[name for name in wanted if name in table.columns]]


def _interval(estimate: FloatArray, half: FloatArray) -> dict[str, FloatArray]:
    return {"conf.low": estimate - half, "conf.high": estimate + half}


def _fixed(model: FittedModel, level: float, ddf: Ddf) -> pd.DataFrame:
    """Return the fixed effects, tested against zero."""
    tail = (1 + level) / 2
    if ddf == "none":
        estimate, error = np.asarray(model.fixef), np.asarray(model.bse)
        tests = {"statistic": estimate / error}
        quantile = np.full(len(error), scipy.stats.norm.ppf(tail))
    else:
        table = coefficient_tests(model, ddf)  # of t values, or of z values
        estimate, error, df, statistic, pvalue = table.to_numpy().T
        tests = {"statistic": statistic, "df": df, "p.value": pvalue}
        quantile = scipy.stats.t.ppf(tail, tests["df"])
    columns = {"term": list(model.fixef.index), "estimate": estimate, "std.error": error}
    return pd.DataFrame({**columns, **tests, **_interval(estimate, quantile * error)})


def _ran_pars(model: FittedModel) -> pd.DataFrame:
    """Return standard deviations (``sd__x``) and correlations (``cor__x.z``), row by row."""
    table = model.var_corr.to_frame(order="lower.tri")
    first, second = table["var1"], table["var2"]
    term = ("sd__" + first.fillna("Observation")).where(
        second.isna(), "cor__" + first.astype(str) + "." + second.astype(str)
    )
    return pd.DataFrame({"group": table["grp"], "term": term, "estimate": table["sdcor"]})


def _ran_vals(model: FittedModel, level: float) -> pd.DataFrame:
    """Return conditional modes and their conditional standard deviations."""
    table = long_ranef(model)
    mode, error = table["condval"].to_numpy(), table["condsd"].to_numpy()
    quantile = scipy.stats.norm.ppf((1 + level) / 2)
    return pd.DataFrame(
        {
            "group": table["grpvar"],
            "level": table["grp"],
            "term": table["term"],
            "estimate": mode,
            "std.error": error,
            **_interval(mode, quantile * error),
        }
    )


def _ran_coefs(model: FittedModel) -> pd.DataFrame:
    """Return the coefficients of each level, effect by effect."""
    tables = [
        pd.DataFrame(
            {
                "group": group,
                "level": np.tile(frame.index.to_numpy(), frame.shape[1]),
                "term": np.repeat(frame.columns.to_numpy(), len(frame)),
                "estimate": frame.to_numpy().ravel(order="F"),
            }
        )
        for group, frame in coef(model).items()
    ]
    return pd.concat(tables, ignore_index=True)


def glance(model: FittedModel) -> pd.DataFrame:
    """Return the fit in one row.

    Returns
    -------
    DataFrame
        ``nobs``, ``sigma``, ``logLik``, ``AIC``, ``BIC``, ``REMLcrit`` (``deviance`` for a fit by
        maximum likelihood) and ``df.residual``.
    """
    row = {
        "nobs": model.nobs,
        "sigma": model.sigma,
        "logLik": model.llf,
        "AIC": model.aic,
        "BIC": model.bic,
        "REMLcrit" if model.reml else "deviance": model.objective,
        "df.residual": model.df_resid,
    }
    return pd.DataFrame([row])


# ------------------------------------------------------------------------------- observations


def augment(model: FittedModel, newdata: Any = None) -> pd.DataFrame:
    """Return the data with fitted values, residuals and influence added to each row.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    newdata : DataFrame, optional
        Rows to predict at. The rows fitted if not given.

    Returns
    -------
    DataFrame
        For the rows fitted their variables with ``.fitted``, ``.resid`` (response minus fitted),
        ``.hat`` (leverage), ``.cooksd`` (lme4's Cook's distance, where there are fixed effects),
        ``.fixed`` (without random effects), ``.mu`` (as ``.fitted``), ``.offset``, ``.sqrtXwt`` and
        ``.sqrtrwt`` (square roots of the weights), ``.weights`` and ``.wtres`` (residuals times
        these roots). For `newdata` its columns with ``.fitted``, ``.fixed`` and, where it has the
        response, ``.resid``.

    Raises
    ------
    DesignError
        If `newdata` cannot be predicted at; see `crossnest.prediction.predict.predict`.
    """
    if newdata is not None:
        return _augment_new(model, newdata)
    design = model.design
    ones = np.ones(design.n)
    weights = ones if design.weights is None else design.weights
    columns: dict[str, FloatArray | pd.Series[float]] = {
        ".fitted": model.fittedvalues,
        ".resid": residuals(model),
        ".hat": leverages(model),
        **({".cooksd": cooks_distance(model)} if len(model.fixef) else {}),
        ".fixed": np.asarray(predict(model, re="none")),
        ".mu": model.fittedvalues,
        ".offset": 0.0 * ones if design.offset is None else design.offset,
        ".sqrtXwt": np.sqrt(weights),
        ".sqrtrwt": np.sqrt(weights),
        ".weights": weights,
        ".wtres": residuals(model, "pearson"),
    }
    return model_frame(design).assign(**columns)


def _augment_new(model: FittedModel, newdata: Any) -> pd.DataFrame:
    """Add predictions to new data."""
    fitted = np.asarray(predict(model, newdata))
    frame = _to_pandas(newdata)
    name = model.design.response_name
    given = {}
    if name in frame.columns:
        given[".resid"] = numbers(frame[name], f"the response '{name}' of newdata") - fitted
    columns = {".fitted": fitted, ".fixed": np.asarray(predict(model, newdata, re="none"))}
    return frame.assign(**columns, **given)


def _values(column: Column) -> Any:
    """Return a column's values as pandas holds them."""
    if isinstance(column, FactorColumn):
        return pd.Categorical.from_codes(column.codes, column.levels, column.ordered)
    return column.values


def model_frame(design: Design) -> pd.DataFrame:
    """Return the variables of the rows fitted: response, effects, offsets, grouping factors."""
    columns = {name: _values(column) for name, column in design.variables.items()}
    for term in design.random:
        factor = design.factors[term.factor]
        parts = zip(term.term.factors, factor.variables, factor.positions, strict=True)
        for name, labels, positions in parts:
            at = factor.codes if positions is None else positions[factor.codes]
            columns.setdefault(name, pd.Categorical.from_codes(at, labels))
    return pd.DataFrame(columns, index=design.index)


def _to_pandas(data: Any) -> pd.DataFrame:
    """Convert any data frame `crossnest.lmer` accepts to pandas."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    import narwhals.stable.v1 as nw

    frame = nw.from_native(data, eager_only=True)
    return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})
