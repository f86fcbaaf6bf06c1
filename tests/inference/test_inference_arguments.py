"""Wrong arguments of tests and estimates: refused in our own words, by a `raise` of ours."""

from __future__ import annotations

import datetime
import decimal
import functools
import inspect
import itertools
import os
import traceback
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model

PACKAGE = os.path.dirname(crossnest.__file__)


class Odd:
    """Something no function expects."""

    def __repr__(self) -> str:
        return "<odd>"


@functools.cache
def models():
    cake = crossnest.datasets.cake()
    formulas = ["recipe + temp", "temp", "recipe * temp"]
    fits = [crossnest.lmer(f"angle ~ {f} + (1 | recipe:replicate)", cake) for f in formulas]
    return (*fits, crossnest.lm("angle ~ temp", cake))


def junk():
    """Make values of wrong types, shapes and sizes."""
    numbers = [None, True, 0, 1, -1, 2.5, np.nan, np.inf, -np.inf, 10**400, 1e300, 1e-300, 1 + 2j]
    texts = ["", "x", "recipe", "temp", "~", "a ~ b", "(((", "1|", "\x00", "é", b"x"]
    lists = [[], [None], ["x"], ["recipe", "recipe"], [np.nan], [1, 2], [[1, 2], [3]], [[]], ()]
    mappings = [{}, {"x": 1}, {"recipe": None}, {"recipe": ["A", "A"]}, {"temp": [np.inf]}]
    mappings += [{"temp": "a"}, {1: 2}, {"temp": np.nan}, {"temp": 1 + 2j}, {"temp": [1, 1]}]
    arrays = [np.array(1.0), np.zeros(0), np.zeros(4), np.full(4, 1e300), np.zeros((2, 3, 4))]
    arrays += [np.array(["a", "b"]), np.array([1 + 2j]), np.array([None, 1])]
    arrays += [np.ma.masked_array([1, 2, 3, 4], [1, 0, 0, 0])]
    frames = [pd.Series([1.0, 2]), pd.DataFrame({"x": [1]}), pd.DataFrame()]
    frames += [pd.DataFrame({"temp": ["a"]}), pd.DataFrame([[1.0, 2.0]], columns=["temp", "temp"])]
    others = [set(), {"recipe"}, range(3), pd.NaT, pd.NA, decimal.Decimal("1.5"), Odd(), object]
    others += [datetime.date(2020, 1, 1), len, iter([1]), *models()]
    return [*numbers, *texts, *lists, *mappings, *arrays, *frames, *others]


def verbs():
    """List functions, arguments that are right, and the names of those to be wrong."""
    m, m0, _, _ = models()
    means, few = m.emmeans("recipe"), {"n": 3, "progress": False}
    found = [
        (m.contest, ("temp",), {}),
        (m.contest, ("temp",), {"joint": False}),
        (m.anova, (), {}),
        (m.drop1, (), {}),
        (m.step, (), {}),
        (m.ranova, (), {}),
        (m.emmeans, ("recipe",), {}),
        (m.emtrends, ("recipe", "temp"), {}),
        (m.confint, ("wald",), {}),
        (m.conf_int, (), {}),
        (m.summary, (), {}),
        (means.contrast, (), {}),
        (means.pairs, (), {}),
        (crossnest.kr_modcomp, (m, m0), {}),
        (crossnest.sat_modcomp, (m, m0), {}),
        (crossnest.pb_modcomp, (m, m0), few),
        (crossnest.exact_rlrt, (m,), {"n": 20}),
        (crossnest.exact_lrt, (m,), {"n": 20}),
        (crossnest.anova, (m, m0), {}),
        (crossnest.compare, (m, m0), {}),
    ]
    for function, right, options in found:
        parameters = inspect.signature(function).parameters.values()
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        given = dict(zip(positional, right, strict=False)) | options
        free = () if positional else right  # *models
        for name in names:
            if name != "progress":
                yield function, free, given, name


def calls():
    for (function, free, given, name), value in itertools.product(verbs(), junk()):
        if name != "n" or not isinstance(value, int) or abs(value) < 1000:
            yield function, free, given, name, value


def complaint(function, free, given, name, value) -> str | None:
    """Call; say what is wrong with the error, if there is one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(*free, **(given | {name: value}))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = last.filename.startswith(PACKAGE) and (last.line or "").startswith("raise")
        if not ours or not isinstance(error, TypeError | ValueError | NotImplementedError):
            where = f"{os.path.basename(last.filename)}:{last.lineno}"
            return f"{function.__name__}({name}={value!r}): {type(error).__name__} {error} {where}"
    return None


@pytest.mark.parametrize("part", [0, pytest.param(None, marks=pytest.mark.slow)])
def test_no_error_is_that_of_another_library(part):
    """A tenth of the calls in the quick suite, all of them in the slow one."""
    every = list(calls())
    chosen = every if part is None else every[part::10]
    complaints = [found for call in chosen if (found := complaint(*call)) is not None]
    assert len(every) > 3000
    assert not complaints, "\n".join(complaints)


# --- examples -----------------------------------------------------------------------------------


def test_a_level_twice_would_count_twice():
    model = models()[0]
    with pytest.raises(ValueError, match="`at` gives A for 'recipe' more than once"):
        model.emmeans("recipe", at={"recipe": ["A", "A"]})
    with pytest.raises(ValueError, match=r"`at` gives 180.0 for 'temp' more than once"):
        model.emmeans("temp", at={"temp": [180, 190, 180]})


@pytest.mark.parametrize("at", [["recipe"], "recipe", 1, pd.Series([1.0]), np.zeros(3)])
def test_at_is_a_mapping(at):
    with pytest.raises(TypeError, match="at must be a dict of levels and values by column, not"):
        models()[0].emmeans("recipe", at=at)


def test_names_are_text():
    model = models()[0]
    with pytest.raises(
        TypeError, match="scope must be given by name or as a sequence of names, not 1"
    ):
        model.drop1(1)
    with pytest.raises(
        TypeError, match=r"keep must be given by name or as a sequence of names, not \[1\]"
    ):
        model.step(keep=[1])
    with pytest.raises(
        TypeError, match="by must be given by name or as a sequence of names, not 2"
    ):
        model.emmeans("recipe", by=2)
    with pytest.raises(TypeError, match=r"var must be the name of a covariate, not \['temp'\]"):
        model.emtrends("recipe", ["temp"])


def test_weights_that_are_no_numbers():
    model = fitted_model("sleepstudy")
    with pytest.raises(TypeError, match=r"L must have one number for each coefficient, not"):
        model.contest({"Days": [1.0]})
    with pytest.raises(TypeError, match="L must hold numbers, not"):
        model.contest([10**400, 0])
    with pytest.raises(TypeError, match="L must hold numbers, not"):
        model.contest(np.ma.masked_array([1.0, 1.0], [False, True]))
    with pytest.raises(ValueError, match="several columns of the same name: Days, Days"):
        model.contest(pd.DataFrame([[1.0, 2.0]], columns=["Days", "Days"]))


def test_a_level_too_large_for_floating_point():
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 1000"):
        fitted_model("sleepstudy").confint("wald", level=10**400)
