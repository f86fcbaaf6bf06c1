"""Nothing a result gives can be used to change it."""

import contextlib
import copy
import dataclasses
import functools
import inspect
import pickle
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest.base.read_only import cached_property

SLEEP = crossnest.datasets.sleepstudy()
ERGO = crossnest.datasets.ergostool()

#: Draw at random or draw figures, write files, or are what other methods are.
UNCALLED = {
    "bootstrap", "check_model", "plot", "quantile_residuals", "simulate", "joint_model", "load",
}  # fmt: skip


def _ivw():
    return crossnest.ivw([1.0, 2.0, 1.5], [0.1, 0.2, 0.3])


#: How to make one result of each kind.
RESULTS = {
    "model": lambda: crossnest.lmer("Reaction ~ Days + (Days | Subject)", SLEEP),
    "weighted": lambda: crossnest.lmer(
        "Reaction ~ Days + (Days || Subject)", SLEEP, weights=np.linspace(1, 2, 180), offset="Days"
    ),
    "lm": lambda: crossnest.lm("Reaction ~ Days", SLEEP),
    "lm_list": lambda: crossnest.lm_list("Reaction ~ Days | Subject", SLEEP),
    "ivw": _ivw,
    "refits": lambda: _model().refit_many(np.array(SLEEP[["Reaction", "Days"]])),
    "influence": lambda: _model().influence("Subject"),
    "profile": lambda: _model().profile("theta_", level=0.8),
    "bootstrap": lambda: _model().bootstrap(20, seed=1),
    "residuals": lambda: _model().quantile_residuals(20, seed=1),
    "pca": lambda: _model().rand_pca(),
    "r2": lambda: _model().r2(),
    "step": lambda: _model().step(),
    "emmeans": lambda: crossnest.lmer("effort ~ Type + (1 | Subject)", ERGO).emmeans("Type"),
    "compare": lambda: crossnest.compare(_model(), crossnest.lm("Reaction ~ Days", SLEEP)),
}


@functools.cache
def _model():
    return RESULTS["model"]()


def public(thing):
    """Name the attributes and methods that take no argument."""
    for name in dir(type(thing)) + list(vars(thing)):
        if name.startswith("_") or name in UNCALLED:
            continue
        static = inspect.getattr_static(type(thing), name, None)
        if isinstance(static, staticmethod | classmethod):
            continue
        if inspect.isfunction(static):
            parameters = list(inspect.signature(static).parameters.values())[1:]
            if any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters):
                continue
        yield name


def read(thing, name):
    """Read an attribute, or call a method; None where the result has no such thing."""
    try:
        value = getattr(thing, name)
        return value() if inspect.ismethod(value) else value
    except (ValueError, NotImplementedError):
        return None


def is_ours(value):
    return type(value).__module__.startswith("crossnest") and not isinstance(value, pd.DataFrame)


def picture(value, depth=0):
    """Draw everything in a value, to compare it with what is there later."""
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return pickle.dumps((value.to_numpy().tolist(), _labels(value)))
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, Mapping) and not is_ours(value):
        return {key: picture(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [picture(item, depth + 1) for item in value]
    if is_ours(value) and depth < 3:
        return {name: picture(read(value, name), depth + 1) for name in set(public(value))}
    return repr(value) if isinstance(value, str | int | float | bool | None) else None


def _labels(value):
    if isinstance(value, pd.Index):
        return [value.name]
    axes = [value.index, value.columns] if isinstance(value, pd.DataFrame) else [value.index]
    return [(axis.tolist(), list(axis.names)) for axis in axes]


def spoil(value, depth=0):
    """Write into a value whatever it takes."""
    if isinstance(value, np.ndarray):
        for write in (lambda: value.fill(77), value.sort):
            with pytest.raises(ValueError, match="read-only"):
                write() if value.size else np.zeros(1)[:].__setitem__(0, "read-only")
    elif isinstance(value, pd.DataFrame | pd.Series):
        _spoil_frame(value)
    elif isinstance(value, pd.Index):
        value.name = "spoiled"
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            spoil(item, depth + 1)
        value.clear()
    elif isinstance(value, tuple):
        for item in value:
            spoil(item, depth + 1)
    elif is_ours(value) and depth < 3:
        for name in set(public(value)):
            spoil(read(value, name), depth + 1)
            with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
                setattr(value, name, 77)


def _spoil_frame(value):
    value.index.name = "spoiled"
    for write in (
        lambda: value.iloc.__setitem__(slice(None), value.iloc[::-1].to_numpy()),
        lambda: value.drop(value.index, inplace=True),
        lambda: value.to_numpy().fill(77),
    ):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            write()


@pytest.mark.parametrize("kind", RESULTS)
def test_what_was_read_cannot_be_written_back(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = RESULTS[kind]()
        before = picture(result)
        shown = str(result)
        spoil(result)
        after = picture(result)
    assert after.keys() == before.keys()
    changed = [name for name in before if before[name] != after[name]]
    assert changed == []
    assert str(result) == shown


def test_a_spoiled_model_summarizes_and_predicts_as_before():
    model = RESULTS["weighted"]()
    summary, prediction = str(model.summary()), model.predict(SLEEP, offset="Days", se=True)
    refitted = model.refit(SLEEP["Reaction"] + 1).theta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spoil(model)
        spoil(model.design)
    assert str(model.summary()) == summary
    assert model.predict(SLEEP, offset="Days", se=True).equals(prediction)
    assert model.refit(SLEEP["Reaction"] + 1).theta.equals(refitted)


def test_setting_an_estimate_changes_nothing_else_and_not_itself():
    model = crossnest.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 3 says that it was a copy
        for name in ("fixef", "theta", "resid", "fittedvalues", "bse", "tvalues"):
            getattr(model, name).iloc[:] = 100
        model.vcov.iloc[:, :] = 100
    assert model.fixef["Days"] == pytest.approx(10.467286, abs=1e-6)
    assert model.coef()["Subject"].loc["308", "Days"] == pytest.approx(19.6665, abs=1e-3)
    assert (model.theta < 100).all() and (model.vcov < 100).all(axis=None)


def test_the_users_arrays_are_copied():
    data = {name: SLEEP[name].to_numpy(copy=True) for name in ("Reaction", "Days")}
    data["Subject"] = SLEEP["Subject"].astype(int).to_numpy(copy=True)
    weights, offset = np.linspace(1, 2, 180), np.zeros(180)
    model = crossnest.lmer(
        "Reaction ~ Days + (Days | Subject)", data, weights=weights, offset=offset
    )
    before = str(model.summary()), model.resid, model.leverages()
    for array in (*data.values(), weights, offset):
        assert array.flags.writeable
        array[:] = 1
    assert str(model.summary()) == before[0]
    assert model.resid.equals(before[1]) and model.leverages().equals(before[2])


def test_the_users_new_response_is_copied():
    y = SLEEP["Reaction"].to_numpy(copy=True)
    model = _model().refit(y)
    before = model.resid
    y[:] = 0
    assert y.flags.writeable
    assert model.resid.equals(before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copied_design_is_read_only_too(duplicate):
    model = duplicate(RESULTS["weighted"]())
    for array in (model.design.X, model.design.y, model.design.weights, model.design.offset):
        assert not array.flags.writeable
    model.leverages()  # the engine points at them now
    design = model.design
    held = [column for term in design.random for column in term.columns if column is not None]
    for array in (*held, *(factor.codes for factor in design.factors)):
        assert not array.flags.writeable


def test_data_sets_are_copies():
    first = crossnest.datasets.sleepstudy()
    first.loc[:, "Reaction"] = 0.0
    first.attrs.clear()
    again = crossnest.datasets.sleepstudy()
    assert again["Reaction"].iloc[0] == 249.56 and again.attrs["name"] == "sleepstudy"


def test_a_property_is_computed_once():
    class Counted:
        calls = 0

        @cached_property
        def value(self):
            """Count the calls."""
            self.calls += 1
            return self.calls

    counted = Counted()
    assert (counted.value, counted.value) == (1, 1)
    assert Counted.value.__doc__ == "Count the calls."
