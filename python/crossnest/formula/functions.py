"""The functions of formulas: everything an expression can call.

R's and NumPy's everyday functions by their names. An elementwise function gives the value of a row
from that row alone. A function that looks at all of its data, such as ``scale`` or ``bs``, learns
a state, plain data, from the data of the fit, and uses it for every row after: `StatefulFunction`.

References
----------
Chambers and Hastie (1992). Statistical Models in S, chapter 2; section 6.3 on safe prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formulaic_parts import transforms
from .natural_spline import learn_natural_spline, natural_spline

__all__ = ["CONSTANTS", "ELEMENTWISE", "REDUCTIONS", "STATEFUL", "State", "StatefulFunction"]

FloatArray = NDArray[np.float64]
#: What a stateful function remembers: numbers, texts, lists and arrays by name.
State = dict[str, Any]

CONSTANTS: Mapping[str, Any] = {
    "TRUE": True,
    "FALSE": False,
    "T": True,
    "F": False,
    "NULL": None,
    "NA": np.nan,
    "NaN": np.nan,
    "Inf": np.inf,
    "pi": np.pi,
    **{f"np.{name}": getattr(np, name) for name in ("pi", "e", "inf", "nan")},
}


# -------------------------------------------------------------------------------- row by row


def _log(x: Any, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _round(x: Any, digits: int = 0, decimals: int = 0) -> Any:
    return np.round(x, int(digits or decimals))


def _ifelse(test: Any, yes: Any, no: Any) -> Any:
    return np.where(test, yes, no)


def _pmin(*values: Any) -> Any:
    return np.minimum.reduce(np.broadcast_arrays(*values))


def _pmax(*values: Any) -> Any:
    return np.maximum.reduce(np.broadcast_arrays(*values))


def _clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    return np.clip(a, a_min, a_max)


_BY_OWN_NAME = (
    *("abs", "sqrt", "exp", "expm1", "exp2", "log2", "log10", "log1p", "sin", "cos", "tan"),
    *("arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh"),
    *("arctanh", "floor", "ceil", "trunc", "sign", "power", "square", "minimum", "maximum"),
)

#: Functions of numbers whose value in a row follows from that row alone.
ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **{f"np.{name}": f for name, f in vars(np).items() if isinstance(f, np.ufunc) and f.nout == 1},
    **{name: getattr(np, name) for name in _BY_OWN_NAME},
    "log": _log,
    "exp10": lambda x: np.power(10.0, x),
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "ceiling": np.ceil,
    "round": _round,
    "np.round": _round,
    "np.clip": _clip,
    "clip": _clip,
    "ifelse": _ifelse,
    "where": _ifelse,
    "np.where": _ifelse,
    "pmin": _pmin,
    "pmax": _pmax,
}

#: Functions that give one number for all rows: the value of a row would depend on the others.
REDUCTIONS = frozenset({"mean", "sd", "std", "var", "min", "max", "sum", "median", "quantile"})


# -------------------------------------------------------------------------------- with a state


@dataclass(frozen=True)
class StatefulFunction:
    """A function that remembers what it learned from the data of the fit.

    Attributes
    ----------
    learn
        ``learn(x, *arguments)`` gives the state; `x` (m,) are the values that are not missing.
    apply
        ``apply(x, state)`` gives (m,) values or an (m, k) matrix.
    """

    learn: Callable[..., State]
    apply: Callable[[FloatArray, State], FloatArray]


def _learn_scale(x: FloatArray, center: Any = True, scale: Any = True, ddof: int = 1) -> State:
    """Return mean and standard deviation, or the numbers given in their place (R's ``scale``)."""
    middle = float(x.mean()) if center is True else float(center)
    width = 1.0
    if scale is True:
        divisor = x.size - int(ddof)
        width = float(np.sqrt(np.sum((x - middle) ** 2) / divisor)) if divisor > 0 else np.nan
    elif scale is not False:
        width = float(scale)
    if not (np.isfinite(width) and width > 0):
        raise ValueError("the values are constant, so they cannot be scaled")
    return {"center": middle, "scale": width}


def _learn_standardize(
    x: FloatArray, center: Any = True, rescale: Any = True, ddof: int = 0
) -> State:
    return _learn_scale(x, center, rescale, ddof)


def _learn_center(x: FloatArray) -> State:
    return _learn_scale(x, True, False)


def _apply_scale(x: FloatArray, state: State) -> FloatArray:
    return np.asarray((x - state["center"]) / state["scale"])


def _learn_poly(x: FloatArray, degree: int = 1, raw: bool = False) -> State:
    """Return the recurrence of the orthogonal polynomials; of raw ones, their degree alone."""
    degree = _whole(degree, "degree", 1)
    if raw:
        return {"degree": degree}
    if degree >= np.unique(x).size:
        raise ValueError(
            f"a polynomial of degree {degree} needs more than {degree} distinct values, but "
            f"there are {np.unique(x).size}"
        )
    state: State = {}
    transforms.poly(x, degree, _state=state)
    return {
        "degree": degree,
        "alpha": [float(state["alpha"][k]) for k in range(degree)],
        "norms2": [float(state["norms2"][k]) for k in range(degree + 1)],
    }


def _apply_poly(x: FloatArray, state: State) -> FloatArray:
    if "alpha" not in state:
        return np.power(x[:, None], np.arange(1, state["degree"] + 1))
    known = {name: dict(enumerate(state[name])) for name in ("alpha", "norms2")}
    values = transforms.poly(x, state["degree"], _state=known)
    return np.asarray(values.__wrapped__, dtype=np.float64)


def _whole(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or value != int(value) or value < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}, not {value}")
    return int(value)


def _learn_formulaic(basis: Callable[..., Any]) -> Callable[..., State]:
    """Return how one of formulaic's spline bases learns its knots; `options` are its arguments."""

    def learn(x: FloatArray, *arguments: Any, **options: Any) -> State:
        state: State = {}
        basis(x, *arguments, _state=state, **options)
        return {"arguments": list(arguments), "options": options, "learned": state}

    return learn


def _apply_formulaic(basis: Callable[..., Any]) -> Callable[[FloatArray, State], FloatArray]:
    def apply(x: FloatArray, state: State) -> FloatArray:
        learned = dict(state["learned"])
        values = basis(x, *state["arguments"], _state=learned, **state["options"]).__wrapped__
        columns = list(values.values()) if isinstance(values, dict) else list(values.T)
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])

    return apply


def _basis_spline(x: FloatArray, *arguments: Any, **options: Any) -> Any:
    """Return formulaic's B-splines, polynomials going on beyond the boundary knots as in R."""
    options = {"extrapolation": "extend", **options}
    if "intercept" in options:
        options["include_intercept"] = options.pop("intercept")
    if "Boundary.knots" in options:
        options["lower_bound"], options["upper_bound"] = options.pop("Boundary.knots")
    return transforms.basis_spline(x, *arguments, **options)


def _from_formulaic(basis: Callable[..., Any]) -> StatefulFunction:
    return StatefulFunction(_learn_formulaic(basis), _apply_formulaic(basis))


#: Functions of one numeric argument that learn from the data of the fit.
STATEFUL: Mapping[str, StatefulFunction] = {
    "scale": StatefulFunction(_learn_scale, _apply_scale),
    "standardize": StatefulFunction(_learn_standardize, _apply_scale),
    "center": StatefulFunction(_learn_center, _apply_scale),
    "poly": StatefulFunction(_learn_poly, _apply_poly),
    "bs": _from_formulaic(_basis_spline),
    "cc": _from_formulaic(transforms.cyclic_cubic_spline),
    "cr": _from_formulaic(transforms.natural_cubic_spline),
    "cs": _from_formulaic(transforms.natural_cubic_spline),
    "ns": StatefulFunction(learn_natural_spline, natural_spline),
}
