"""The public functions and methods, how they are called rightly, and values that are wrong."""

from __future__ import annotations

import datetime
import functools
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

import crossnest


class Surprise:
    """An object of a class nobody expects."""

    def __repr__(self) -> str:
        return "Surprise()"


def frame(rows: int = 40) -> pd.DataFrame:
    """Return rows of a small data set with every kind of column."""
    rng = np.random.default_rng(5)
    x = np.round(rng.normal(2, 1, rows), 2)
    g = np.arange(rows) % 5
    return pd.DataFrame(
        {
            "y": np.round(1 + x + rng.normal(size=5)[g] + rng.normal(size=rows), 3),
            "x": x,
            "w": rng.uniform(0.5, 2, rows),
            "f": np.array(["a", "b", "c"])[np.arange(rows) % 3],
            "g": [f"g{i}" for i in g],
            "h": np.arange(rows) // 10,
        }
    )


@functools.cache
def model(kind: str = "reml"):
    """Return fitted models to call the methods of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        if kind == "lm":
            return crossnest.lm("y ~ x + f", frame())
        if kind == "lm_list":
            return crossnest.lm_list("y ~ x | g", frame())
        if kind == "smaller":
            return crossnest.lmer("y ~ x + (1 | g)", frame(), reml=False)
        if kind == "loaded":
            with tempfile.TemporaryDirectory() as folder:
                model().save(Path(folder) / "m")
                return crossnest.load(Path(folder) / "m")
        reml = kind == "reml"
        return crossnest.lmer("y ~ x + f + (x | g) + (1 | h)", frame(), reml=reml)


# ------------------------------------------------------------------------------------- values

_NAN, _INF = float("nan"), float("inf")


def _columns(**changed: Any) -> pd.DataFrame:
    return frame().assign(**changed)


#: Values of all kinds; each is made anew for each call, so that none can spoil another.
VALUES: dict[str, Callable[[], Any]] = {
    # nothing, numbers
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "1": lambda: 1,
    "-1": lambda: -1,
    "2": lambda: 2,
    "3": lambda: 3,
    "0.5": lambda: 0.5,
    "0.95": lambda: 0.95,
    "2.5": lambda: 2.5,
    "-0.5": lambda: -0.5,
    "nan": lambda: _NAN,
    "inf": lambda: _INF,
    "-inf": lambda: -_INF,
    "1e-300": lambda: 1e-300,
    "1e300": lambda: 1e300,
    "1e-17": lambda: 1e-17,
    "1 - 1e-17": lambda: 1 - 1e-16,
    "10**20": lambda: 10**20,
    "-10**20": lambda: -(10**20),
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "1j": lambda: 1j,
    "Decimal": lambda: Decimal("0.9"),
    "numpy int": lambda: np.int8(3),
    "numpy float": lambda: np.float32(0.9),
    "numpy nan": lambda: np.float64("nan"),
    "NA": lambda: pd.NA,
    "NaT": lambda: pd.NaT,
    "0-d": lambda: np.array(0.9),
    # text
    "''": lambda: "",
    "' '": lambda: " ",
    "'x'": lambda: "x",
    "'f'": lambda: "f",
    "'g'": lambda: "g",
    "'h'": lambda: "h",
    "'y'": lambda: "y",
    "'nope'": lambda: "nope",
    "'all'": lambda: "all",
    "'none'": lambda: "none",
    "'0'": lambda: "0",
    "'1'": lambda: "1",
    "bytes": lambda: b"x",
    "a formula": lambda: "y ~ x + (1 | g)",
    "a smaller one": lambda: "y ~ 1 + (1 | g)",
    "half a formula": lambda: "y ~ x + (1 |",
    "many brackets": lambda: "y ~ " + "(" * 400 + "x" + ")" * 400,
    "a long sum": lambda: "y ~ " + " + ".join(["x"] * 2000),
    "tildes": lambda: "y ~ x ~ z",
    "bars": lambda: "y ~ x | g | h",
    "surrogate": lambda: "y ~ \udcff",
    "null": lambda: "y ~ x\x00",
    "new line": lambda: "y ~ x\n+ (1 | g)",
    "umlaut": lambda: "ä",
    "code": lambda: "__import__('os')",
    "kenward-roger": lambda: "kenward-roger",
    "satterthwaite": lambda: "satterthwaite",
    "(1 | g)": lambda: "(1 | g)",
    "theta_1": lambda: "theta_",
    "beta_": lambda: "beta_",
    "contr.sum": lambda: "contr.sum",
    "path": lambda: Path("/nowhere/at/all"),
    "folder": lambda: "/",
    "long": lambda: "x" * 100_000,
    # sequences and arrays
    "[]": lambda: [],
    "()": lambda: (),
    "set": lambda: {"x"},
    "['x']": lambda: ["x"],
    "['x', 'x']": lambda: ["x", "x"],
    "['nope']": lambda: ["nope"],
    "['x', 1]": lambda: ["x", 1],
    "[None]": lambda: [None],
    "[[]]": lambda: [[]],
    "[[1], [1, 2]]": lambda: [[1], [1, 2]],
    "[nan]": lambda: [_NAN],
    "range": lambda: range(3),
    "generator": lambda: iter([1.0, 2.0]),
    "empty array": lambda: np.array([]),
    "zeros": lambda: np.zeros(4),
    "one": lambda: np.array([1.0]),
    "ones(40)": lambda: np.ones(40),
    "ones(39)": lambda: np.ones(39),
    "ones(40, 2)": lambda: np.ones((40, 2)),
    "(40, 0)": lambda: np.ones((40, 0)),
    "(0, 4)": lambda: np.ones((0, 4)),
    "nans(40)": lambda: np.full(40, _NAN),
    "infs(40)": lambda: np.full(40, _INF),
    "huge(40)": lambda: np.full(40, 1e300) * np.arange(1, 41),
    "tiny(40)": lambda: np.full(40, 1e-300),
    "normal(40)": lambda: np.random.default_rng(1).normal(size=40),
    "text(40)": lambda: np.array(["a"] * 40),
    "objects(40)": lambda: np.array([Surprise()] * 40, dtype=object),
    "complex(40)": lambda: np.ones(40) * 1j,
    "bools(40)": lambda: np.ones(40, dtype=bool),
    "dates(40)": lambda: np.array(["2020-01-01"] * 40, dtype="M8[D]"),
    "masked(40)": lambda: np.ma.masked_array(np.ones(40), np.arange(40) < 3),
    "float16": lambda: np.ones(40, dtype=np.float16),
    "big endian": lambda: np.arange(40, dtype=">f8"),
    "strided": lambda: np.arange(80.0)[::2],
    "read-only": lambda: np.broadcast_to(1.0, 40),
    "negative(40)": lambda: -np.ones(40),
    "3-d": lambda: np.ones((2, 2, 2)),
    "identity": lambda: np.eye(4),
    "wide": lambda: np.ones((3, 7)),
    "structured": lambda: np.zeros(40, dtype=[("x", float)]),
    "longdouble": lambda: np.ones(40, dtype=np.longdouble),
    # mappings and frames
    "{}": lambda: {},
    "{'x': 1}": lambda: {"x": 1.0},
    "{'x': []}": lambda: {"x": []},
    "{'f': 'contr.sum'}": lambda: {"f": "contr.sum"},
    "{'f': 'nope'}": lambda: {"f": "nope"},
    "{'f': ones}": lambda: {"f": np.ones((3, 2))},
    "{'f': (3, 9)}": lambda: {"f": np.ones((3, 9))},
    "{'f': nan}": lambda: {"f": np.full((3, 2), _NAN)},
    "{'f': ['a', 'a']}": lambda: {"f": ["a", "a"]},
    "{'nope': 1}": lambda: {"nope": 1},
    "{1: 2}": lambda: {1: 2},
    "{'f': None}": lambda: {"f": None},
    "{'x': [1, inf]}": lambda: {"x": [1.0, _INF]},
    "{'c': [1, 0, -1]}": lambda: {"c": [1, 0, -1]},
    "{'(Intercept)': 1}": lambda: {"(Intercept)": 1.0},
    "frame": frame,
    "few rows": lambda: frame().head(3),
    "no rows": lambda: frame().head(0),
    "no columns": lambda: frame()[[]],
    "one row": lambda: frame().tail(1),
    "without x": lambda: frame().drop(columns="x"),
    "without g": lambda: frame().drop(columns="g"),
    "x of text": lambda: _columns(x="one"),
    "x of nan": lambda: _columns(x=_NAN),
    "x of inf": lambda: _columns(x=_INF),
    "x huge": lambda: _columns(x=frame().x * 1e300),
    "x tiny": lambda: _columns(x=frame().x * 1e-300),
    "x constant": lambda: _columns(x=1.0),
    "y constant": lambda: _columns(y=1.0),
    "y huge": lambda: _columns(y=frame().y * 1e200),
    "y tiny": lambda: _columns(y=frame().y * 1e-200),
    "y of text": lambda: _columns(y="a"),
    "y complex": lambda: _columns(y=1j),
    "y bool": lambda: _columns(y=True),
    "g of nan": lambda: _columns(g=_NAN),
    "g one level": lambda: _columns(g="g0"),
    "g unseen": lambda: _columns(g="g77"),
    "g by row": lambda: _columns(g=np.arange(40)),
    "f unseen": lambda: _columns(f="z"),
    "f numbers": lambda: _columns(f=1),
    "x of lists": lambda: _columns(x=[[1, 2]] * 40),
    "x objects": lambda: _columns(x=[Surprise()] * 40),
    "x dates": lambda: _columns(x=pd.Timestamp("2020-01-01")),
    "x twice": lambda: pd.concat([frame(), frame()[["x"]]], axis=1),
    "levels of columns": lambda: pd.concat({"a": frame()}, axis=1),
    "names of numbers": lambda: frame().rename(columns={"x": 1}),
    "index twice": lambda: frame().set_axis([0] * 40),
    "index of dates": lambda: frame().set_axis(pd.date_range("2020", periods=40)),
    "mixed x": lambda: _columns(x=["1", 2.0] * 20),
    "sparse": lambda: _columns(x=pd.arrays.SparseArray(frame().x)),
    "interval g": lambda: _columns(g=pd.cut(frame().x, 3)),
    "polars": lambda: pl.from_pandas(frame()),
    "lazy": lambda: pl.from_pandas(frame()).lazy(),
    "columns as lists": lambda: frame().to_dict("list"),
    "records": lambda: frame().to_dict("records"),
    "unequal": lambda: {"y": [1, 2], "x": [1], "g": [1, 2]},
    "scalars": lambda: {"y": 1, "x": 2, "g": 3},
    "one of each": lambda: {"x": [1.0], "f": ["a"], "g": ["g0"], "h": [0]},
    "series": lambda: frame().y,
    "series off": lambda: frame().y.iloc[::-1],
    "series of NA": lambda: pd.Series([pd.NA] * 40, dtype="Float64"),
    "empty series": lambda: pd.Series([], dtype=float),
    "series by name": lambda: pd.Series({"x": 1.0, "(Intercept)": 0.0}),
    "timedelta": lambda: pd.Timedelta("1D"),
    "date": lambda: datetime.date(2020, 1, 1),
    # objects
    "object": Surprise,
    "class": lambda: Surprise,
    "function": lambda: len,
    "a statistic": lambda: lambda m: m.sigma,
    "a bad statistic": lambda: lambda m: [Surprise()],
    "exception": lambda: ValueError("x"),
    "module": lambda: np,
    "slice": lambda: slice(3),
    "model": model,
    "ml model": lambda: model("ml"),
    "smaller model": lambda: model("smaller"),
    "loaded model": lambda: model("loaded"),
    "lm": lambda: model("lm"),
    "Control": crossnest.Control,
    "formula": lambda: crossnest.parse_formula("y ~ x + (1 | g)"),
    "summary": lambda: model().summary(ddf="none"),
}


# ------------------------------------------------------------------------------------- calls


@dataclass(frozen=True)
class Call:
    """A function and arguments it takes well."""

    function: Callable[[], Callable[..., Any]]
    right: dict[str, Any]
    models: int = 0  # how many models stand before the other arguments


def _of(method: str, kind: str = "reml") -> Callable[[], Callable[..., Any]]:
    return lambda: getattr(model(kind), method)


def _public(name: str) -> Callable[[], Callable[..., Any]]:
    return lambda: getattr(crossnest, name)


_DATA = {
    "formula": "y ~ x + f + (x | g)",
    "data": frame,
    "weights": None,
    "offset": None,
    "contrasts": None,
    "na_action": "drop",
}

CALLS: dict[str, Call] = {
    "lmer": Call(_public("lmer"), {**_DATA, "reml": True, "start": None, "control": None}),
    "build_design": Call(_public("build_design"), {**_DATA, "mixed": True}),
    "lm": Call(_public("lm"), {**_DATA, "formula": "y ~ x + f"}),
    "lm_list": Call(_public("lm_list"), {**_DATA, "formula": "y ~ x | g", "pool": True}),
    "compare_pooling": Call(
        _public("compare_pooling"), {"formula": "y ~ x", "data": frame, "group": "g"}
    ),
    "parse_formula": Call(
        _public("parse_formula"), {"text": "y ~ x + (1 | g)", "columns": None, "mixed": True}
    ),
    "Control": Call(
        _public("Control"),
        {"threads": 1, "tolerance": 1e-9, "max_evaluations": 100, "memory_limit": None},
    ),
    "ivw": Call(_public("ivw"), {"estimates": [1.0, 2.0], "variances": [1.0, 1.0]}),
    "load": Call(_public("load"), {"path": "/nowhere"}),
    "to_polars": Call(_public("to_polars"), {"result": lambda: model().fixef}),
    "kr_modcomp": Call(
        _public("kr_modcomp"), {"large": model, "small": "f", "ddf": "kenward-roger"}
    ),
    "sat_modcomp": Call(_public("sat_modcomp"), {"large": model, "small": "f"}),
    "pb_modcomp": Call(
        _public("pb_modcomp"),
        {
            "large": lambda: model("ml"),
            "small": lambda: model("smaller"),
            "n": 5,
            "seed": 1,
            "n_jobs": 1,
            "progress": False,
        },
    ),
    "predict": Call(
        _of("predict"),
        {
            "newdata": frame,
            "re": "all",
            "new_levels": "error",
            "se": False,
            "interval": None,
            "level": 0.95,
            "offset": None,
        },
    ),
    "predict loaded": Call(
        _of("predict", "loaded"),
        {
            "newdata": frame,
            "re": "all",
            "new_levels": "error",
            "se": True,
            "interval": None,
            "level": 0.95,
            "offset": None,
        },
    ),
    "simulate": Call(_of("simulate"), {"n": 2, "seed": 1, "re": "new", "newdata": None}),
    "augment": Call(_of("augment"), {"newdata": frame}),
    "tidy": Call(
        _of("tidy"), {"effects": "fixed", "conf_int": True, "level": 0.9, "ddf": "normal"}
    ),
    "refit": Call(_of("refit"), {"y": lambda: frame().y * 2}),
    "refit_many": Call(
        _of("refit_many"),
        {"Y": lambda: np.column_stack([frame().y] * 2), "n_jobs": 1, "progress": False},
    ),
    "summary": Call(_of("summary"), {"ddf": "satterthwaite", "correlation": None}),
    "anova": Call(_of("anova"), {"type": 3, "ddf": "satterthwaite"}),
    "contest": Call(
        _of("contest"),
        {"L": "x", "rhs": 0.0, "joint": True, "ddf": "satterthwaite"},
    ),
    "drop1": Call(_of("drop1", "ml"), {"scope": None, "test": "F", "ddf": "satterthwaite"}),
    "step": Call(
        _of("step", "ml"),
        {
            "ddf": "satterthwaite",
            "alpha_random": 0.1,
            "alpha_fixed": 0.05,
            "reduce_fixed": True,
            "reduce_random": False,
            "keep": (),
        },
    ),
    "ranova": Call(_of("ranova"), {"reduce_terms": True}),
    "confint": Call(_of("confint"), {"method": "wald", "level": 0.9, "parm": None}),
    "confint profile": Call(
        _of("confint", "smaller"), {"method": "profile", "level": 0.9, "parm": "beta_"}
    ),
    "confint bootstrap": Call(
        _of("confint", "smaller"),
        {"method": "bootstrap", "level": 0.9, "parm": None, "n": 20, "seed": 1},
    ),
    "conf_int": Call(_of("conf_int"), {"alpha": 0.1}),
    "profile": Call(_of("profile", "smaller"), {"parm": ["x"], "level": 0.9, "progress": False}),
    "bootstrap": Call(
        _of("bootstrap", "smaller"),
        {
            "n": 5,
            "kind": "parametric",
            "resample": None,
            "seed": 1,
            "n_jobs": 1,
            "statistic": None,
            "progress": False,
        },
    ),
    "emmeans": Call(
        _of("emmeans"),
        {
            "specs": "f",
            "by": None,
            "at": None,
            "contrasts": None,
            "adjust": "tukey",
            "ddf": "satterthwaite",
            "level": 0.9,
        },
    ),
    "emtrends": Call(
        _of("emtrends"),
        {
            "specs": "f",
            "var": "x",
            "by": None,
            "at": None,
            "contrasts": None,
            "adjust": "tukey",
            "ddf": "satterthwaite",
            "level": 0.9,
        },
    ),
    "influence": Call(_of("influence"), {"group": None, "exact": False, "n_jobs": 1}),
    "quantile_residuals": Call(_of("quantile_residuals"), {"n": 50, "seed": 1, "re": "new"}),
    "residuals": Call(_of("residuals"), {"kind": "response"}),
    "ranef": Call(_of("ranef"), {"cond_var": False}),
    "icc": Call(_of("icc"), {"by_group": False}),
    "model_matrix": Call(_of("model_matrix"), {"effects": "fixed"}),
    "objective_at": Call(_of("objective_at"), {"theta": lambda: model().theta, "reml": None}),
    "gradient_at": Call(_of("gradient_at"), {"theta": lambda: model().theta, "reml": None}),
    "evaluate": Call(_of("evaluate"), {"theta": lambda: model().theta}),
    "save": Call(_of("save"), {"path": "/nowhere/model", "ddf": None, "covariances": True}),
    "compare": Call(
        _public("compare"),
        {"*models": lambda: [model(), model("ml")], "names": None, "stars": False, "ddf": "normal"},
    ),
    "anova of models": Call(
        _public("anova"), {"*models": lambda: [model("smaller"), model("ml")], "refit": True}
    ),
    "lm.predict": Call(_of("predict", "lm"), {"newdata": frame}),
    "lm.summary": Call(_of("summary", "lm"), {}),
    "check_model": Call(_of("check_model"), {"seed": 1}),
}

#: Arguments where a wrong value is a request for much work, and not an error.
SKIPPED = {
    ("bootstrap", "statistic", "function"),  # the function of the user raises
    ("bootstrap", "statistic", "class"),
}


def perform(name: str, wrong: dict[str, str]) -> Any:
    """Call a function with some arguments replaced by values of `VALUES`."""
    call = CALLS[name]
    arguments = {}
    for argument, value in call.right.items():
        if argument in wrong:
            value = VALUES[wrong[argument]]()
        elif callable(value):
            value = value()
        arguments[argument] = value
    models = arguments.pop("*models", [])
    if not isinstance(models, list):
        models = [models]
    return call.function()(*models, **arguments)
