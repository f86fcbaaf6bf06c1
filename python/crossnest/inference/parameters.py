"""The parameters of a model that intervals are given for, their names and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from ..base.arguments import as_list, check_level, is_word
from ..fit.identifiability import undetermined_effects
from ..fit.theta import theta_by_term
from ..fit.var_corr import unique_names
from ..formula.covariance_structures import components, named

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel
    from ..fit.refits import RefitMany

FloatArray = NDArray[np.float64]

_PREFIX = {"sd": "sd", "correlation": "cor"}


def parameter_names(model: FittedModel) -> list[str]:
    """Name all parameters of a model as lme4 does with ``oldNames=FALSE``.

    Term by term the standard deviations and correlations of the random effects (lower triangle,
    column by column), then sigma and the fixed effects.
    """
    names = []
    for term in model.design.random:
        group = model.design.factors[term.factor].name
        for one in components(term.term.covariance, len(term.names)):
            names.append(f"{_PREFIX[one.kind]}_{named(one, term.names)}|{group}")
    return unique_names([*names, "sigma", *model.fixef.index])


def undetermined_parameters(model: FittedModel) -> set[int]:
    """Find the standard deviations and correlations that the data do not determine.

    Positions in `parameter_names`; see `LinearMixedModel.confounded`.
    """
    undetermined = undetermined_effects(model)
    positions, j = set(), 0
    for t, term in enumerate(model.design.random):
        k = len(term.names)
        unseen = {i for i in range(k) if (t, i) in undetermined}
        for one in components(term.term.covariance, k):
            # What all effects share is known from those the data tell of: a correlation from two.
            shared = one.row is None and len(unseen) > k - (1 if one.kind == "sd" else 2)
            if {one.row, one.column} & unseen or shared:
                positions.add(j)
            j += 1
    if any(one.kind == "shared" and one.other is None for one in model.confounded):
        positions.add(j)  # sigma
    return positions


def parameters_of(model: FittedModel) -> pd.Series[float]:
    """Return the parameters of one fit."""
    theta = np.asarray(model._fit.theta, dtype=np.float64)[None, :]
    found = _covariance_parameters(model, theta, np.array([model.sigma]))
    values = [*found[0], model.sigma, *model.fixef]
    return pd.Series(values, index=parameter_names(model), dtype=np.float64)


def parameters_of_refits(model: FittedModel, fits: RefitMany) -> FloatArray:
    """Return the parameters of R fits, (R, c), in the order of `parameter_names`."""
    covariance = _covariance_parameters(model, fits.theta, fits.sigma)
    return np.column_stack([covariance, fits.sigma, fits.fixef])


def _covariance_parameters(model: FittedModel, theta: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return the standard deviations and correlations of R fits, a row each."""
    found = [np.empty((len(theta), 0))]
    for structure, own in theta_by_term(model.design, theta):
        values = structure.component_values(own)
        sd = [kind == "sd" for kind, _, _ in structure.components]
        values[:, sd] *= sigma[:, None]
        found.append(values)
    return np.column_stack(found)


def choose(names: Sequence[str], parm: Sequence[str] | str | None, n_fixed: int) -> list[int]:
    """Find the positions of the parameters asked for, in the order of the model.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    count = len(names) - n_fixed
    sets = {"theta_": list(range(count)), "beta_": list(range(count, len(names)))}
    if parm is None:
        return list(range(len(names)))
    asked = as_list(parm)
    unknown = [name for name in asked if not is_word(name, [*names, *sets])]
    if unknown:
        raise ValueError(
            f"no parameter {', '.join(map(repr, unknown))}; the parameters are {', '.join(names)}, "
            "'theta_' for all of the covariance and 'beta_' for all fixed effects"
        )
    wanted = {j for name in asked for j in sets.get(name, [])}
    return sorted(wanted | {j for j, name in enumerate(names) if name in asked})


def normal_quantile(level: float) -> float:
    """Return the z with P(-z < Z < z) = level for a standard normal Z.

    Raises
    ------
    TypeError, ValueError
        If `level` is not a number between 0 and 1.
    """
    return float(-ndtri((1 - check_level(level)) / 2))


def percent_names(level: float) -> list[str]:
    """Name the ends of an interval by percent as R does: ``2.5 %``, ``97.5 %``."""
    percents = [50 * (1 - level), 50 * (1 + level)]
    short = [np.format_float_positional(x, 3, fractional=False, trim="-") for x in percents]
    decimals = max(len(text.partition(".")[2]) for text in short)
    return [f"{x:.{decimals}f} %" for x in percents]
