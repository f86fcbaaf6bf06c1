"""Random data frames and formulas: what a user may hand to `crossnest.lmer`, kept small.

A frame has numbers x, z, w (positive) and k (a few whole numbers), factors f and h, an ordered o
and a logical l at times, grouping factors g, a and b (numbered within a). Every column has one of
the types in which such values come. Hypothesis draws the types, the formula and a seed; NumPy's
generator draws the numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from fuzz_cases import ANSWERS, count, is_an_answer, quietly
from hypothesis import reject
from hypothesis import strategies as st

import crossnest

# ------------------------------------------------------------------------------- types of columns

NUMBERS = {
    "float64": lambda v: pd.Series(v),
    "float32": lambda v: pd.Series(v.astype(np.float32)),
    "whole floats": lambda v: pd.Series(np.round(4 * v)),
    "int64": lambda v: pd.Series(np.round(4 * v).astype(np.int64)),
    "int8": lambda v: pd.Series(np.round(4 * v).astype(np.int8)),
    "Int64": lambda v: pd.Series(np.round(4 * v).astype(np.int64)).astype("Int64"),
    "Float64": lambda v: pd.Series(v).astype("Float64"),
    "arrow": lambda v: pd.Series(v).astype("double[pyarrow]"),
    "Decimal": lambda v: pd.Series([Decimal(str(round(float(one), 3))) for one in v]),
}


def _category(labels, codes, unused=(), reverse=False, ordered=False):
    categories = [*labels, *unused]
    categories = categories[::-1] if reverse else categories
    return pd.Series(pd.Categorical(np.array(labels)[codes], categories, ordered=ordered))


def _text(labels, codes, dtype=object):
    return pd.Series(np.array(labels, dtype=object)[codes]).astype(dtype)


FACTORS = {
    "object": lambda labels, codes: _text(labels, codes),
    "string": lambda labels, codes: _text(labels, codes, "string"),
    "str": lambda labels, codes: _text(labels, codes, "str"),
    "arrow": lambda labels, codes: _text(labels, codes, "string[pyarrow]"),
    "category": lambda labels, codes: _category(labels, codes),
    "unused": lambda labels, codes: _category(labels, codes, unused=["never", "nowhere"]),
    "reversed": lambda labels, codes: _category(labels, codes, reverse=True),
    "ordered": lambda labels, codes: _category(labels, codes, ordered=True),
    "ordered unused": lambda labels, codes: _category(labels, codes, ["never"], True, True),
}

GROUPS = {
    **FACTORS,
    "int64": lambda labels, codes: pd.Series(codes.astype(np.int64) * 3 + 1),
    "Int64": lambda labels, codes: pd.Series(codes).astype("Int64"),
    "whole floats": lambda labels, codes: pd.Series(codes.astype(float)),
    "categories of int": lambda labels, codes: _category(list(range(20)), codes),
    "datetime": lambda labels, codes: pd.Series(
        pd.Timestamp("2020-01-31") + pd.to_timedelta(codes, "D")
    ),
    "Decimal": lambda labels, codes: pd.Series([Decimal(int(c)) / 2 for c in codes]),
    "arrow int": lambda labels, codes: pd.Series(codes).astype("int64[pyarrow]"),
}

LOGICALS = {
    "bool": lambda v: pd.Series(v),
    "boolean": lambda v: pd.Series(v).astype("boolean"),
    "arrow": lambda v: pd.Series(v).astype("bool[pyarrow]"),
    "object": lambda v: pd.Series(v.astype(object)),
}

# --------------------------------------------------------------------------------- formulas

NUMERIC_ITEMS = (
    "x",
    "z",
    "w",
    "x + z",
    "x:z",
    "poly(x, 2)",
    "bs(x, df=4)",
    "scale(x)",
    "center(z)",
    "log(w)",
    "I(x**2)",
    "np.log(w)",
    "I(x + z)",
    "poly(z, 2) + x",
    "offset(w)",
    "sqrt(w) + abs(x)",
    "ns(x, df=3)",
    "poly(x, 2, raw=True)",
    "I(x^2)",
    "(x > 1)",
    "ifelse(x > 1, z, 0)",
    "pmin(x, z) + pmax(x, 1)",
    "log1p(w) + sin(x) + floor(x)",
)
FACTOR_ITEMS = (
    "f",
    "h",
    "f + h",
    "f*h",
    "f:h",
    "f/h",
    "h/f",
    "C(k)",
    "o",
    "l",
    "l*f",
    "o:f",
    "f + f:h",
    "f*h*l",
    "(f + h + l)**2",
    "factor(k)",
    "cut(x, 3)",
    "cut(x, [-9, 0, 1, 99])",
    "interaction(f, h)",
    "relevel(f, 'f1')",
    "as.numeric(h)",
    "factor(f, levels=['f3', 'f2', 'f1', 'f0'])",
    "`scale` + poly",
    "factor(k):f",
)
MIXED_ITEMS = (
    "f*x",
    "x:f",
    "f/x",
    "h/x",
    "x:f:h",
    "poly(x, 2):f",
    "scale(x)*f",
    "f*I(x**2)",
    "l:x",
    "o*x",
    "x + x:h",
    "log(w):f",
    "bs(x, df=4):f",
    "f + scale(z):f",
)
BARS = (
    "(1 | g)",
    "(x | g)",
    "(x || g)",
    "(0 + x | g)",
    "(f | g)",
    "(0 + f | g)",
    "(f || g)",
    "(1 | a/b)",
    "(x | a/b)",
    "(1 | a:b)",
    "(1 | a) + (1 | g)",
    "(1 | g) + (0 + x | g)",
    "(h | g)",
    "(f:h | g)",
    "(0 + f:h | g)",
    "(scale(x) | g)",
    "(poly(x, 2) | g)",
    "(1 | C(k))",
    "(x:f | g)",
    "(0 + x:f || g)",
    "(x + f | g)",
    "(o | g)",
    "(I(x**2) | g)",
    "(log(w) | g)",
    "(0 + f || g)",
    "(f | a)",
    "(l | g)",
    "(f | g) + (1 | a)",
    "(x - 1 | g)",
    "(1 | g:f)",
    "(f + h || g)",
    "(1 | a*g)",
    "(0 + h | a/b)",
    "(scale | g)",
    "(factor(k) | g)",
    "(1 | poly:a)",
    "(sqrt(w) || g)",
    "(0 + relevel(f, 'f1') | g)",
)
RESPONSES = ("y", "y", "y", "y", "np.log(v)", "I(y / 2)")
CONTRASTS = ("contr.sum", "contr.helmert", "contr.treatment", "contr.poly")


@st.composite
def formulas(draw) -> str:
    """Draw a formula: up to three pieces of the fixed part, one or two bar terms."""
    items = draw(
        st.lists(
            st.sampled_from(NUMERIC_ITEMS + FACTOR_ITEMS + MIXED_ITEMS), max_size=3, unique=True
        )
    )
    bars = draw(st.lists(st.sampled_from(BARS), min_size=1, max_size=2, unique=True))
    fixed = " + ".join(items) or "1"
    form = draw(st.sampled_from(["{}", "{}", "{}", "0 + {}", "{} - 1", "1 + {}"]))
    parts = [form.format(fixed), *bars]
    return f"{draw(st.sampled_from(RESPONSES))} ~ {' + '.join(parts)}"


@st.composite
def contrasts(draw, levels: int) -> Any:
    """Draw contrasts of f: by name, as a matrix, or as a frame labelled by levels."""
    form = draw(st.sampled_from(["name", "name", "matrix", "frame"]))
    if form == "name":
        return draw(st.sampled_from(CONTRASTS))
    matrix = np.vander(np.arange(1.0, levels + 1), levels, increasing=True)[:, 1:]
    if form == "matrix":
        return matrix
    shuffled = np.random.default_rng(levels).permutation(levels)
    return pd.DataFrame(matrix, index=[f"f{i}" for i in range(levels)]).iloc[shuffled]


# ------------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Case:
    """A call of `crossnest.lmer`, and how its frame was drawn."""

    formula: str
    frame: pd.DataFrame = field(repr=False)
    container: str
    arguments: dict[str, Any]
    types: dict[str, str]
    seed: int

    def fit(self, **others) -> crossnest.LinearMixedModel:
        """Fit the model to the frame in its container."""
        return crossnest.lmer(self.formula, self.held(self.frame), **self.arguments, **others)

    def held(self, frame: pd.DataFrame) -> Any:
        """Put rows in the container of the case."""
        if self.container == "dict":
            return {name: frame[name].to_numpy() for name in frame}
        if self.container != "polars":
            return frame
        try:
            return pl.from_pandas(frame)
        except pl.exceptions.ComputeError:  # old versions hold no categories but texts
            reject()


def _numbers(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Draw the values behind the columns, whatever types they will have."""
    return {
        "x": np.round(rng.normal(1.0, 1.0, n), 3),
        "z": np.round(rng.normal(0.0, 2.0, n), 3),
        "w": np.round(rng.uniform(0.5, 3.0, n), 3),
        "f": np.arange(n) % rng.integers(2, 5),
        "h": np.arange(n) // 2 % rng.integers(2, 4),
        "o": rng.permutation(np.arange(n) % 3),
        "l": rng.permutation(np.arange(n) % 2 == 0),
        "k": rng.permutation(np.arange(n) % 3),
        "g": rng.permutation(np.arange(n) % rng.integers(4, 9)),
        "a": rng.permutation(np.arange(n) % rng.integers(2, 5)),
        "b": rng.permutation(np.arange(n) % 3),
    }


def _response(v: dict[str, np.ndarray], rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw a response that depends on everything."""
    effects = [rng.normal(size=(20, 2)) for _ in range(3)]
    y = 5 + v["x"] - 0.4 * v["z"] + 0.6 * v["f"] - 0.5 * v["h"] * v["x"] + 0.3 * v["o"] + v["l"]
    for name, effect in zip(("g", "a", "b"), effects, strict=True):
        y = y + effect[v[name], 0] + 0.5 * effect[v[name], 1] * v["x"]
    return y + rng.normal(size=n)


@st.composite
def cases_of_lmer(draw, missing: bool = True) -> Case:
    """Draw a frame and a call of lmer."""
    seed = draw(st.integers(0, 2**20))
    rng = np.random.default_rng(seed)
    n = draw(st.sampled_from([48, 60, 90]))
    values = _numbers(rng, n)
    kinds = {
        "x": NUMBERS,
        "z": NUMBERS,
        "w": {"float64": NUMBERS["float64"]},
        "f": FACTORS,
        "h": FACTORS,
        "o": {"ordered": FACTORS["ordered"]},
        "l": LOGICALS,
        "g": GROUPS,
        "a": GROUPS,
        "b": GROUPS,
    }
    types = {name: draw(st.sampled_from(list(kind))) for name, kind in kinds.items()}
    columns = {}
    for name, kind in kinds.items():
        make = kind[types[name]]
        labels = [f"{name}{i}" for i in range(9)]
        if kind in (FACTORS, GROUPS) or name == "o":
            columns[name] = make(labels[: values[name].max() + 1], values[name])
        else:
            columns[name] = make(values[name])
    columns["k"] = pd.Series(values["k"])
    # Columns that are called as functions are.
    columns["scale"] = pd.Series(rng.normal(size=n))
    columns["poly"] = pd.Series(np.array(["no", "yes"])[rng.permutation(np.arange(n) % 2)])
    y = _response(values, rng, n)
    columns["y"], columns["v"] = pd.Series(y), pd.Series(np.exp(y / 10))
    frame = pd.DataFrame(columns)
    if missing and draw(st.integers(0, 3)) == 0:
        for name in draw(st.lists(st.sampled_from(["x", "y", "f", "g", "z"]), max_size=2)):
            _lose(frame, name, rng.choice(n, 3, replace=False))
    frame.index = draw(st.sampled_from([pd.RangeIndex(n), pd.Index(rng.permutation(n) + 100)]))
    container = draw(st.sampled_from(["pandas", "pandas", "pandas", "dict", "polars"]))
    if container == "polars" and "Decimal" in types.values():
        container = "pandas"  # polars has one scale a column
    arguments = {}
    formula = draw(formulas())
    if "f" in formula.replace("df=", "").replace("offset", "") and draw(st.integers(0, 2)) == 0:
        levels = int(values["f"].max()) + 1
        arguments["contrasts"] = {"f": draw(contrasts(levels))}
    if draw(st.integers(0, 4)) == 0:
        arguments["weights"] = "w"
    if draw(st.integers(0, 3)) == 0:
        arguments["reml"] = False
    return Case(formula, frame, container, arguments, types, seed)


def _lose(frame: pd.DataFrame, name: str, rows: np.ndarray) -> None:
    """Make values of a column missing, where its type knows missing values."""
    column = frame[name]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        return
    column = column.copy()
    column.iloc[rows] = (
        None if column.dtype == object else pd.NA if column.dtype.kind == "O" else np.nan
    )
    frame[name] = column


# ----------------------------------------------------------------------------------- new rows

VARIANTS = (
    "as they are",
    "needed categories",
    "categories reordered",
    "categories as text",
    "whole numbers as int",
    "more columns",
    "no response",
    "new index",
)


def taken(case: Case, rows: np.ndarray, variant: str) -> Any:
    """Take rows of a case's frame and put them as another person would have them."""
    frame = case.frame.iloc[rows].copy()
    for name in frame:
        column = frame[name]
        categorical = isinstance(column.dtype, pd.CategoricalDtype)
        if categorical and variant == "needed categories":
            frame[name] = column.cat.remove_unused_categories()
        elif categorical and variant == "categories reordered":
            frame[name] = column.cat.reorder_categories(list(column.cat.categories)[::-1])
        elif categorical and variant == "categories as text":
            frame[name] = column.astype(object)
        elif variant == "whole numbers as int" and column.dtype == np.float64:
            whole = np.isfinite(column) & (column == np.round(column))
            if name in ("x", "z") and whole.all():
                frame[name] = column.astype(np.int64)
    if variant == "more columns":
        frame["unused"] = [object() for _ in rows] if case.container == "pandas" else "text"
    if variant == "no response":
        frame = frame.drop(columns=["y", "v"])
    if variant == "new index":
        frame.index = pd.RangeIndex(5, 5 + len(rows))
    return case.held(frame)


def rows_used(case: Case, model: crossnest.LinearMixedModel) -> np.ndarray:
    """Find the rows of the frame that a model was fitted to."""
    index = np.asarray(model.design.index)
    if case.container != "pandas":
        return index.astype(np.intp)
    return case.frame.index.get_indexer(index)


def fitted_or_refused(test: str, case: Case, **others):
    """Fit a case; a refusal of the package ends it."""
    try:
        with quietly():
            model = case.fit(**others)
    except ANSWERS as error:
        if not is_an_answer(error):
            raise
        count(test, f"refused: {type(error).__name__}: {re.sub('[^a-z ]', '', str(error))[:50]}")
        return None
    count(test, "fitted")
    return model
