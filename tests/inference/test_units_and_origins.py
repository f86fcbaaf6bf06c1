"""Every test of every verb is the same whatever the units and the origin of covariates."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest import LinearMixedModel, lmer

#: Formulas, and factors to compare marginal means of.
MODELS = {
    "interactions": ("y ~ f*x*z + (1 | g)", ["f"]),
    "slopes": ("y ~ f*x + h + (x | g)", ["f", "h"]),
    "empty cell": ("y ~ f*e + x + (1 | g)", ["f", "e"]),
    "independent": ("y ~ x*h + z + (x || g)", ["h"]),
    "two factors": ("y ~ f*h + z + (1 | g) + (1 | f:g)", ["f"]),
}
#: What x, z and y are multiplied by.
UNITS = {
    "small": (1e-8, 1e-8, 1.0),
    "large": (1e8, 1e8, 1.0),
    "mixed": (1e7, 1e-7, 1e3),
    "huge and tiny": (1e40, 1e-30, 1e-60),
}


@functools.cache
def data() -> pd.DataFrame:
    """Simulate two covariates, three factors, one of which leaves a cell empty, and groups."""
    rng = np.random.default_rng(5)
    n = 180
    frame = pd.DataFrame({"x": rng.normal(size=n) + 1.0, "z": rng.normal(size=n)})
    frame = frame.assign(f=rng.choice(list("abc"), n), h=rng.choice(list("uv"), n))
    frame["e"] = np.where(frame["f"] == "b", "p", rng.choice(list("pqr"), n))
    group = np.arange(n) % 12
    effects, slopes = rng.normal(size=(2, 12))
    frame["g"] = [f"g{i}" for i in group]
    frame["y"] = rng.normal(size=n) + effects[group] + slopes[group] * frame["x"]
    return frame


def fit(name: str, units: tuple[float, float, float]) -> LinearMixedModel:
    """Fit a model to the data in units."""
    x, z, y = units
    frame = data().assign(x=data()["x"] * x, z=data()["z"] * z, y=data()["y"] * y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.RankDeficiencyWarning)
        return lmer(MODELS[name][0], frame)


def t_values(means: pd.DataFrame) -> pd.DataFrame:
    """Return marginal means over their errors, and their degrees of freedom."""
    return pd.DataFrame({"t": means["emmean"] / means["SE"], "df": means["df"]})


def verbs(model: LinearMixedModel, factors: list[str]) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return all that tests fixed effects and variances, less what has units."""
    tests = ["NumDF", "DenDF", "F value", "Pr(>F)"]
    found: dict[str, Callable[[], pd.DataFrame]] = {
        "drop1, LRT": lambda: model.drop1().iloc[1:, -2:],
        "ranova": lambda: model.ranova().iloc[:, -2:],
    }
    for ddf in ("satterthwaite", "kenward-roger"):
        for type in (1, 2, 3):
            found[f"anova {type}, {ddf}"] = lambda type=type, ddf=ddf: model.anova(type, ddf=ddf)[
                tests
            ]
        found[f"summary, {ddf}"] = lambda ddf=ddf: model.summary(ddf=ddf).coef_table[
            ["df", "t value", "Pr(>|t|)"]
        ]
        found[f"drop1, {ddf}"] = lambda ddf=ddf: model.drop1(test="F", ddf=ddf)[tests]
        found[f"means, {ddf}"] = lambda ddf=ddf: t_values(model.emmeans(factors, ddf=ddf).table)
        found[f"differences, {ddf}"] = lambda ddf=ddf: model.emmeans(factors, ddf=ddf).pairs()[
            ["df", "t.ratio", "p.value"]
        ]
    return found


@functools.cache
def expected(name: str) -> dict[str, pd.DataFrame]:
    model = fit(name, (1.0, 1.0, 1.0))
    return {verb: table() for verb, table in verbs(model, MODELS[name][1]).items()}


@pytest.mark.slow
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", MODELS)
def test_no_test_depends_on_units(name, units):
    if name == "interactions" and units == "huge and tiny":
        units = "mixed"  # and products of both would be beyond double precision
    for verb, table in verbs(fit(name, UNITS[units]), MODELS[name][1]).items():
        known = expected(name)[verb]
        np.testing.assert_allclose(
            table().to_numpy(float), known.to_numpy(float), rtol=1e-3, atol=1e-6, err_msg=verb
        )


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "normal"])
def test_marginal_means_do_not_depend_on_the_origin(ddf):
    """With x about 1e5 standard errors of .57 were 13.2: x and its square are nearly collinear."""
    formula = "y ~ x + I(x**2) + f*h + (1 | g)"
    shifted = data().assign(x=data()["x"] + 1e5)
    one, other = (lmer(formula, frame).emmeans(["f", "h"], ddf=ddf) for frame in (data(), shifted))
    columns = ["emmean", "SE", "df"]
    np.testing.assert_allclose(one.table[columns], other.table[columns], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("origin", [1e3, 1e4, 1e5, 1e6])
def test_type_three_far_from_zero_is_right_or_refused(origin):
    """With x about 1e5 the square was left out of the tests, though not of the model."""
    formula = "y ~ x + I(x**2) + f*h + (1 | g)"
    near = lmer(formula, data()).anova(3).iloc[1:]
    far = lmer(formula, data().assign(x=data()["x"] + origin))
    try:
        table = far.anova(3).iloc[1:]
    except NotImplementedError as error:
        assert origin > 1e3 and "centre the covariate" in str(error)
    else:
        columns = ["DenDF", "F value"]
        np.testing.assert_allclose(table[columns], near[columns], rtol=1e-3)
