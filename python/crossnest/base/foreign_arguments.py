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

_GROUPS = "grouping factors go in the formula, as in 'y ~ x + (1 | g)'"
_ROWS = "select the rows first, as in data[data['x'] > 0]"
_GENERALIZED = "only the linear model with normal errors is fitted"

#: What any function says of an argument.
_ANYWHERE = {
    "family": _GENERALIZED,
    "link": _GENERALIZED,
    "subset": _ROWS,
    "df": "the data frame is the argument 'data'",
    "missing": "na_action='drop' leaves incomplete rows out, na_action='raise' refuses them",
    "na_action": "na_action='drop' or na_action='raise'",
    "verbose": "nothing is printed while fitting; see model.opt for the course of the optimization",
    "disp": "nothing is printed while fitting; see model.opt for the course of the optimization",
    "n_jobs": "control=crossnest.Control(threads=...)",
    "threads": "control=crossnest.Control(threads=...)",
}

#: Other words for an argument, and ours: what is said where a function has ours.
_SYNONYMS = {
    "conf_level": ("level", "level="),
    "confidence_level": ("level", "level="),
    "level_of_confidence": ("level", "level="),
    "coverage": ("level", "level="),
    "alpha": ("level", "level=0.95 is alpha=0.05"),
    "nsim": ("n", "n="),
    "n_sim": ("n", "n="),
    "n_boot": ("n", "n="),
    "n_resamples": ("n", "n="),
    "size": ("n", "n="),
    "R": ("n", "n="),
    "random_state": ("seed", "seed="),
    "rng": ("seed", "seed="),
    "ncpus": ("n_jobs", "n_jobs="),
    "threads": ("n_jobs", "n_jobs="),
    "cl": ("n_jobs", "n_jobs="),
    "type": ("kind", "kind="),
    "which": ("parm", "parm="),
    "information": (
        "ddf",
        "ddf='kenward-roger' takes the expected information, ddf='kenward-roger-observed' the "
        "observed one",
    ),
    "lmer_df": ("ddf", "ddf="),
    "mode": ("ddf", "ddf="),
    "joint_test": ("joint", "joint="),
    "p_adjust": ("adjust", "adjust="),
    "data": ("newdata", "newdata="),
    "exog": ("newdata", "newdata="),
    "X": ("newdata", "newdata="),
}

_FIT = {
    "REML": "reml=True or reml=False",
    "method": "reml=True or reml=False; there is one optimizer",
    "groups": _GROUPS,
    "group": _GROUPS,
    "random": "random effects go in the formula, as in 'y ~ x + (x | g)'",
    "re_formula": "random effects go in the formula, as in 'y ~ x + (x | g)'",
    "vc_formula": "variance components are terms of the formula, as in '(1 | g) + (1 | h)'",
    "correlation": "correlated residuals are not supported",
    "use_sqrt": "theta is always the factor of the covariance matrix",
    "start_params": "start= takes covariance parameters",
    "optimizer": "there is one optimizer; control=crossnest.Control(...) has its options",
    "maxiter": "control=crossnest.Control(max_evaluations=...)",
    "tol": "control=crossnest.Control(tolerance=...)",
    "ddf": "model.summary(ddf=...) and model.anova(ddf=...)",
    "cov_type": "covariance matrices are always those of the model",
    "endog": "the response goes in the formula: give a formula and data",
    "exog": "the effects go in the formula: give a formula and data",
    "exog_re": "random effects go in the formula: give a formula and data",
    "newdata": "new rows are for model.predict(newdata)",
    "re": "random effects go in the formula, as in 'y ~ x + (x | g)'",
    "seed": "a fit draws no random numbers",
}

_PREDICT = {
    "re_form": "re='none' for lme4's re.form = NA, re='all' or a list of terms",
    "re_formula": "re='none', re='all' or a list of terms",
    "ReForm": "re='none', re='all' or a list of terms",
    "random_only": "model.ranef() returns the random effects alone",
    "allow_new_levels": "new_levels='population' or new_levels='nan'",
    "use_rfx": "re='all' or re='none'",
    "se_fit": "se=True",
    "type": "predictions are on the scale of the response",
}

#: `confint` hands these on to the bootstrap.
_CONFINT = {
    "nsim": "n=",
    "type": "kind=",
    "boot_type": "interval=",
    "information": _SYNONYMS["information"][1],
    "ddf": "method='satterthwaite' or method='kenward-roger'",
}

_SIMULATE = {
    "use_u": "re='conditional' keeps the random effects (use.u = TRUE)",
    "re_form": "re='new' (re.form = NA) or re='conditional' (re.form = NULL)",
    "allow_new_levels": "levels not fitted are drawn with re='new'",
}

_REFIT = {
    "newresp": "the response is the argument 'y'",
    "newdata": "refit takes a response; use crossnest.lmer for new data",
    "data": "refit takes a response; use crossnest.lmer for new data",
    "reml": "refit keeps the criterion; use crossnest.lmer to change it",
    "REML": "refit keeps the criterion; use crossnest.lmer to change it",
    "weights": "refit keeps the weights; use crossnest.lmer to change them",
    "start": "refit finds its own start",
}

_BY_FUNCTION = {
    "lmer": _FIT,
    "lm": {
        **_FIT,
        "reml": "a linear model has no variance components; use crossnest.lmer",
        "REML": "a linear model has no variance components; use crossnest.lmer",
        "start": "least squares needs no start",
        "control": "least squares has no options",
        "groups": "use crossnest.lmer or crossnest.lm_list for grouped data",
    },
    "lm_list": {**_FIT, "groups": "grouping factors go in the formula, as in 'y ~ x | g'"},
    "predict": _PREDICT,
    "confint": _CONFINT,
    "Bootstrap.confint": {"kind": "interval=", "type": "interval="},
    "conf_int": {"level": "alpha=0.05 is level=0.95, as in statsmodels; confint has level"},
    "simulate": _SIMULATE,
    "refit": _REFIT,
}


def explain_unknown_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function say what to write for keyword arguments that it does not have.

    Those of R's packages and of statsmodels are known by name; of others the nearest is suggested.
    A function that takes any keyword gets those that nothing is known of.
    """
    parameters = inspect.signature(function).parameters
    known = tuple(parameters)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())

    @functools.wraps(function)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name in known:
                continue
            advice = _advice(function, name, known)
            if advice is not None or not takes_any:
                raise TypeError(_explanation(function.__name__, name, known, advice))
        return function(*args, **kwargs)

    return explained


def _advice(function: Callable[..., object], name: str, known: tuple[str, ...]) -> str | None:
    """Return what is known of an argument of another package, None if it is not known."""
    word = name.replace(".", "_")  # as R spells them
    ours, text = _SYNONYMS.get(word, ("", ""))
    options = _BY_FUNCTION.get(function.__qualname__) or _BY_FUNCTION.get(function.__name__, {})
    if word in options:
        return options[word]
    return text if ours in known else _ANYWHERE.get(word)


def _explanation(function: str, name: str, known: tuple[str, ...], advice: str | None) -> str:
    text = f"{function}() has no argument '{name}'; "
    if advice is not None and advice.endswith("="):
        return text + f"here it is '{advice[:-1]}'"
    if advice is not None:
        return text + f"here {advice}"
    ours = [one for one in known if one != "self"]
    near = difflib.get_close_matches(name.lower(), ours, n=1)
    if near:
        return text + f"did you mean '{near[0]}'?"
    return text + "its arguments are " + ", ".join(ours)
