"""Columns that are not what they look like."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from crossnest import DataWarning, DesignError, datasets, lm, lmer

SLEEP = datasets.sleepstudy()
RNG = np.random.default_rng(3)
N = len(SLEEP)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (pd.date_range("2020-01-01", periods=N).astype(str), r"look like dates \('2020-01-01'\)"),
        ([f"{i % 28 + 1}.{i % 12 + 1}.{1000 + i}" for i in range(N)], "look like dates"),
        ([f"{i}.5" for i in range(N)], r"look like numbers: convert it by pandas.to_numeric"),
        ([f"id{i}" for i in range(N)], "leave it out, or merge levels"),
    ],
)
def test_a_factor_with_a_level_for_each_row_is_named(labels, text):
    with pytest.raises(DesignError, match=f"'what' has a level for each of the 180 rows .*{text}"):
        lmer("Reaction ~ Days + what + (1 | Subject)", SLEEP.assign(what=labels))


def test_numbers_held_as_text_are_noticed_once_by_name():
    """A stray '.' made 115 dummies of a column of numbers."""
    values = RNG.integers(0, 115, N).astype(str).astype(object)
    values[:2] = [".", "n/a"]
    data = SLEEP.assign(dose=values)
    count = len(set(values))
    text = f"column 'dose' is text, so it is a factor with {count} levels, although {count - 2} of"
    with pytest.warns(
        DataWarning, match=f"{text} them are numbers but '.', 'n/a': to use"
    ) as caught:
        model = lmer("Reaction ~ Days + dose + (1 | Subject)", data)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(data)
    with pytest.warns(DataWarning, match="dose"):
        lm("Reaction ~ dose", SLEEP.assign(dose=[f"{value},5" for value in RNG.integers(0, 20, N)]))


def test_dates_held_as_text_are_noticed():
    days = pd.date_range("2020-01-01", periods=60).astype(str)[RNG.integers(0, 60, N)]
    with pytest.warns(DataWarning, match=r"'day' is text.* of them are dates: .*to_datetime"):
        lm("Reaction ~ day", SLEEP.assign(day=days))


def test_a_factor_that_memory_does_not_hold_is_named(monkeypatch):
    monkeypatch.setattr("crossnest.base.memory.machine_memory", lambda: 2**30)
    n = 40_000
    data = {"y": RNG.normal(size=n), "f": (np.arange(n) // 2).astype(str), "g": np.arange(n) % 9}
    data["f"] = np.char.add("id", data["f"])
    with pytest.raises(MemoryError, match="the 20,000 columns of the factor 'f' need about"):
        lmer("y ~ f + (1 | g)", data)


def test_text_that_is_meant_as_a_factor_is_not_noticed():
    few = RNG.integers(0, 5, N).astype(str)
    lmer("Reaction ~ few + (1 | Subject)", SLEEP.assign(few=few))
    lmer("Reaction ~ Days + (1 | s)", SLEEP.assign(s=SLEEP["Subject"].astype(str)))
    lm("Reaction ~ Subject", SLEEP)  # a categorical with numbers for labels
    lm("Reaction ~ s", SLEEP.assign(s="id" + SLEEP["Subject"].astype(str)))


@pytest.mark.parametrize("as_text", [True, False])
def test_levels_that_differ_in_type_only_are_said_to(as_text):
    subjects = SLEEP["Subject"].astype(str)
    fitted, new = (subjects, [308, 309]) if as_text else (subjects.astype(int), ["308", "309"])
    model = lmer("Reaction ~ Days + (1 | Subject)", SLEEP.assign(Subject=fitted))
    rows = {"Days": [1, 1], "Subject": new}
    kind = "text" if as_text else "int64"
    text = rf"the levels 308, 309 in a different type .* \(as {kind}\), .* convert them"
    with pytest.raises(DesignError, match=text):
        model.predict(rows)
    with pytest.raises(DesignError, match=text):
        model.simulate(newdata=rows, re="conditional")
    for new_levels in ("population", "nan"):
        with pytest.warns(DataWarning, match=text):
            model.predict(rows, new_levels=new_levels)
    with pytest.raises(DesignError, match="not fitted to: '1', '2'"):
        model.predict({"Days": [1, 1], "Subject": ["1", "2"]})


def test_floats_of_whole_numbers_are_the_same_levels():
    data = SLEEP.assign(Subject=SLEEP["Subject"].astype(str).astype(int))
    model = lmer("Reaction ~ Days + (1 | Subject)", data)
    rows = {"Days": [1], "Subject": [308.0]}
    assert model.predict(rows)[0] == pytest.approx(model.predict(rows | {"Subject": [308]})[0])
