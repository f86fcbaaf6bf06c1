"""Keyword arguments of other packages, and what to write here instead."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["explain_unknown_arguments"]

P = ParamSpec("P")
R = TypeVar("R")

_GROUPS = "the groups stand in the formula, as in 'y ~ x + (1 | g)'"
_ROWS = "select the rows first, as in data[data['x'] > 0]"
_GENERALIZED = "only the linear model with normal errors is fitted"

#: What any function says of an argument.
_ANYWHERE = {
    "family": _GENERALIZED,
    "link": _GENERALIZED,
    "subset": _ROWS,
    "df": "the data frame is the argument 'data'",
    "missing": "na_action='drop' leaves incomplete rows out, na_action='raise' refuses them",
    "na.action": "na_action='drop' or na_action='raise'",
    "verbose": "nothing is printed while fitting; model.opt says how the optimum was found",
    "disp": "nothing is printed while fitting; model.opt says how the optimum was found",
    "n_jobs": "control=crossnest.Control(threads=...)",
    "threads": "control=crossnest.Control(threads=...)",
}

_FIT = {
    "REML": "reml=True or reml=False",
    "method": "reml=True or reml=False; there is one optimizer",
    "groups": _GROUPS,
    "group": _GROUPS,
    "random": "random effects stand in the formula, as in 'y ~ x + (x | g)'",
    "re_formula": "random effects stand in the formula, as in 'y ~ x + (x | g)'",
    "vc_formula": "variance components are terms of the formula, as in '(1 | g) + (1 | h)'",
    "correlation": "correlated residuals are not supported",
    "use_sqrt": "theta is always the factor of the covariance matrix",
    "start_params": "start= takes covariance parameters",
    "optimizer": "there is one optimizer; control=crossnest.Control(...) has its options",
    "maxiter": "control=crossnest.Control(max_evaluations=...)",
    "tol": "control=crossnest.Control(tolerance=...)",
    "ddf": "model.summary(ddf=...) and model.anova(ddf=...)",
    "cov_type": "covariances are those of the model",
    "endog": "the response stands in the formula: give formula and data",
    "exog": "the effects stand in the formula: give formula and data",
    "exog_re": "the random effects stand in the formula: give formula and data",
    "newdata": "new rows are for model.predict(newdata)",
    "re": "random effects stand in the formula, as in 'y ~ x + (x | g)'",
    "seed": "a fit draws no random numbers",
}

_PREDICT = {
    "data": "newdata=",
    "exog": "newdata=",
    "X": "newdata=",
    "re_form": "re='none' for lme4's re.form = NA, re='all' or a list of terms",
    "re_formula": "re='none', re='all' or a list of terms",
    "ReForm": "re='none', re='all' or a list of terms",
    "random_only": "model.ranef() has the random effects alone",
    "allow_new_levels": "new_levels='population' or new_levels='nan'",
    "use_rfx": "re='all' or re='none'",
    "se_fit": "se=True",
    "type": "predictions are on the scale of the response",
    "alpha": "level=0.95 is alpha=0.05",
    "conf_level": "level=",
    "level_of_confidence": "level=",
}

_SIMULATE = {
    "nsim": "n=",
    "n_sim": "n=",
    "size": "n=",
    "random_state": "seed=",
    "rng": "seed=",
    "data": "newdata=",
    "use_u": "re='conditional' keeps the random effects (use.u = TRUE)",
    "re_form": "re='new' (re.form = NA) or re='conditional' (re.form = NULL)",
    "allow_new_levels": "levels not fitted are drawn with re='new'",
}

_REFIT = {
    "newresp": "the response is the argument 'y'",
    "newdata": "refit takes a response; crossnest.lmer fits new data",
    "data": "refit takes a response; crossnest.lmer fits new data",
    "reml": "refit keeps the criterion; crossnest.lmer fits another",
    "REML": "refit keeps the criterion; crossnest.lmer fits another",
    "weights": "refit keeps the weights; crossnest.lmer fits others",
    "start": "refit finds its own start",
}

_BY_FUNCTION = {
    "lmer": _FIT,
    "lm": {
        **_FIT,
        "reml": "a linear model has no variance components; crossnest.lmer has",
        "REML": "a linear model has no variance components; crossnest.lmer has",
        "start": "least squares needs no start",
        "control": "least squares has no options",
        "groups": "crossnest.lmer and crossnest.lm_list fit groups",
    },
    "lm_list": {**_FIT, "groups": "the groups stand in the formula, as in 'y ~ x | g'"},
    "predict": _PREDICT,
    "simulate": _SIMULATE,
    "refit": _REFIT,
}


def explain_unknown_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function say what to write for keyword arguments that it does not have.

    Those of R's packages and of statsmodels are known by name; of others the nearest is suggested.
    """
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise TypeError(_explanation(function.__name__, name, known))
        return function(*args, **kwargs)

    return explained


def _explanation(function: str, name: str, known: tuple[str, ...]) -> str:
    text = f"{function}() has no argument '{name}'; "
    advice = _BY_FUNCTION.get(function, {}).get(name) or _ANYWHERE.get(name)
    if advice is not None and advice.endswith("="):
        return text + f"here it is '{advice[:-1]}'"
    if advice is not None:
        return text + f"here {advice}"
    ours = [one for one in known if one != "self"]
    near = difflib.get_close_matches(name.lower(), ours, n=1)
    if near:
        return text + f"did you mean '{near[0]}'?"
    return text + "its arguments are " + ", ".join(ours)
