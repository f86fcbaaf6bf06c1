"""F tests of a model within a larger one, against pbkrtest's tables.

Numbers written here come from R 4.2.2 with lme4 1.1.31, lmerTest 3.1.3 and pbkrtest 0.5.2, fitted
with optCtrl = list(ftol_abs = 1e-12, xtol_abs = 1e-10).
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import crossnest
from reference_cases import as_array
from shared_files import shared

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")


def fit(dataset, formula, **arguments):
    return crossnest.lmer(formula, crossnest.datasets.load(dataset), **arguments)


def cake():
    return crossnest.datasets.load("cake")


#: name: (data set, large, small, F, NumDF, DenDF, scaling, p, unscaled F and p; Satterthwaite's
#: F, DenDF, p)
MODCOMPS = {
    "sleepstudy": (
        ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "Reaction ~ 1 + (Days | Subject)"),
        (45.8529615559, 1, 17, 1, 3.26380801815e-06, 45.8529615559, 3.26380801815e-06),
        (45.8529615559, 16.9999837256, 3.26382446991e-06),
    ),
    "cake": (
        (
            "cake",
            "angle ~ recipe * temperature + (1 | recipe:replicate)",
            "angle ~ recipe + temperature + (1 | recipe:replicate)",
        ),
        (1.0061979846, 10, 210, 1, 0.439269436695, 1.0061979846, 0.439269436695),
        (1.0061979846, 210, 0.439269436694),
    ),
    "cake without recipe": (
        (
            "cake",
            "angle ~ recipe * temperature + (1 | recipe:replicate)",
            "angle ~ temperature + (1 | recipe:replicate)",
        ),
        (
            0.874128619734,
            12,
            214.953975688,
            0.993369610201,
            0.57413185168,
            0.879963118217,
            0.56817944606,
        ),
        (0.879963118217, 124.352940904364, 0.569031348674),
    ),
    "ham": (
        (
            "ham",
            "Informed.liking ~ Product*Information + Gender + (1|Consumer) + (1|Consumer:Product)",
            "Informed.liking ~ Product + Information + (1|Consumer) + (1|Consumer:Product)",
        ),
        (
            1.77008843386,
            4,
            281.267636714,
            0.99606607849,
            0.134967862253,
            1.77707932444,
            0.133537393169,
        ),
        (1.777079324444, 180.404371968408, 0.135346823847),
    ),
    "beets, sow": (
        (
            "beets",
            "sugpct ~ block + sow + harvest + (1 | block:harvest)",
            "sugpct ~ block + harvest + (1 | block:harvest)",
        ),
        (101, 4, 20, 1, 5.7411609198e-13, 101, 5.7411609198e-13),
        (101, 20, 5.74096326034e-13),
    ),
    "beets, harvest": (
        (
            "beets",
            "sugpct ~ block + sow + harvest + (1 | block:harvest)",
            "sugpct ~ block + sow + (1 | block:harvest)",
        ),
        (15.2105263117, 1, 2, 1, 0.0598978518788, 15.2105263117, 0.0598978518788),
        (15.2105263117, 2, 0.0598978518789),
    ),
}


@pytest.mark.parametrize("name", MODCOMPS)
def test_modcomp_is_pbkrtests(name):
    (dataset, large, small), kr, sat = MODCOMPS[name]
    m1, m0 = fit(dataset, large), fit(dataset, small)
    table = crossnest.kr_modcomp(m1, m0)
    assert list(table.index) == ["Ftest", "FtestU"]
    assert list(table.columns) == ["NumDF", "DenDF", "F.scaling", "F value", "Pr(>F)"]
    F, num_df, den_df, scaling, p, unscaled, unscaled_p = kr
    expected = [
        [num_df, den_df, scaling, F, p],
        [num_df, den_df, np.nan, unscaled, unscaled_p],
    ]
    np.testing.assert_allclose(table, expected, rtol=1e-4)
    table = crossnest.sat_modcomp(m1, m0)
    assert list(table.columns) == ["NumDF", "DenDF", "F value", "Pr(>F)"]
    F, den_df, p = sat
    np.testing.assert_allclose(table, [[num_df, den_df, F, p]], rtol=1e-3)
    np.testing.assert_allclose(table["F value"], F, rtol=1e-5)


def test_restrictions_given_as_a_matrix():
    model = fit("sleepstudy", "Reaction ~ Days + I(Days**2) + (1 | Subject)")
    L = [[0, 1, -2], [0, 0, 1]]
    table = crossnest.kr_modcomp(model, L)
    assert table.attrs["L"] == L
    expected = [[2, 160, 1, 85.3287562591, 6.01626654217e-26]]
    np.testing.assert_allclose(table.iloc[[0]], expected, rtol=1e-4)
    redundant = crossnest.kr_modcomp(model, [*L, [0, 3, 1]])
    np.testing.assert_allclose(redundant, table, rtol=1e-10)
    one = crossnest.sat_modcomp(model, [0, 0, 1])
    np.testing.assert_allclose(one["F value"], model.tvalues.iloc[2] ** 2)
    for wrong, message in [([0, 1], "expected 3 columns"), ([0, 0, 0], "not all of them zero")]:
        with pytest.raises(ValueError, match=message):
            crossnest.kr_modcomp(model, wrong)
    with pytest.raises(TypeError, match="must be a model, a formula or a matrix"):
        crossnest.kr_modcomp(model, {"Days": 1})


@pytest.mark.parametrize(
    "small",
    [
        "~ recipe + temperature",
        "~ . - recipe:temperature",
        ". ~ . - recipe:temperature",
        "angle ~ recipe + temperature + (1 | recipe:replicate)",
    ],
)
def test_small_models_given_as_formulas(small):
    model = fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    expected = [10, 210, 1, 1.0061979846, 0.439269436695]
    np.testing.assert_allclose(crossnest.kr_modcomp(model, small).loc["Ftest"], expected, rtol=1e-5)


def test_a_model_that_leaves_out_no_column():
    """Linear and quadratic trends lie within a factor, whose columns they are not."""
    data = cake().assign(t=lambda d: d["temp"] - 200)
    large = crossnest.lmer("angle ~ temperature + (1 | recipe:replicate)", data)
    small = crossnest.lmer("angle ~ t + I(t**2) + (1 | recipe:replicate)", data)
    table = crossnest.sat_modcomp(large, small)
    assert table["NumDF"].iloc[0] == 3
    L = np.array(table.attrs["L"])
    X, X0 = large.design.X, small.design.X
    np.testing.assert_allclose(L @ np.linalg.lstsq(X, X0, rcond=None)[0], 0, atol=1e-8)


def test_a_model_by_maximum_likelihood_is_refitted(fitted):
    by_ml = crossnest.sat_modcomp(fitted("sleepstudy_ml"), "~ 1")
    pd.testing.assert_frame_equal(by_ml, crossnest.sat_modcomp(fitted("sleepstudy"), "~ 1"))


def test_models_that_cannot_be_compared(fitted):
    large = fit("cake", "angle ~ recipe + temp + (1 | recipe:replicate)")
    small = fit("cake", "angle ~ recipe + (1 | recipe:replicate)")
    with pytest.raises(ValueError, match="must be nested, and the larger one comes first"):
        crossnest.kr_modcomp(small, large)
    with pytest.raises(ValueError, match="have the same fixed effects"):
        crossnest.kr_modcomp(large, large)
    with pytest.raises(ValueError, match=r"random effects of .* differ"):
        crossnest.kr_modcomp(large, fit("cake", "angle ~ recipe + (1 | replicate)"))
    with pytest.raises(ValueError, match=r"random effects of .* differ"):
        crossnest.sat_modcomp(large, "~ recipe + (1 | replicate)")
    with pytest.raises(ValueError, match="`replicate` is not among the terms"):
        crossnest.sat_modcomp(large, "~ replicate")
    with pytest.raises(ValueError, match="not fitted to the same data"):
        crossnest.kr_modcomp(large, fitted("sleepstudy"))


def test_the_small_model_is_shown_without_what_was_left_out():
    model = fit("cake", "angle ~ recipe * temperature + (1 | recipe:replicate)")
    heading = crossnest.sat_modcomp(model, "~ . - recipe:temperature").heading
    assert heading.endswith("small: angle ~ recipe + temperature + (1 | recipe:replicate)")


def test_interactions_may_be_written_the_other_way_round():
    # Without x, the formula's `z + x:z` is read as `z + z:x`.
    data = cake().assign(x=lambda d: d["temp"] / 100, z=lambda d: d["replicate"].cat.codes / 10.0)
    model = crossnest.lmer("angle ~ x * z + (1 | recipe:replicate)", data)
    table = crossnest.sat_modcomp(model, "~ . - x")
    assert table.attrs["L"] == [[0, 1, 0, 0]]


def test_what_is_no_model_is_told(fitted):
    with pytest.raises(TypeError, match="the large model must be one fitted by lmer, not str"):
        crossnest.kr_modcomp("~ 1", fitted("sleepstudy"))
    with pytest.raises(TypeError, match="the small model must be a model, a formula or a matrix"):
        crossnest.sat_modcomp(fitted("sleepstudy"), None)


@pytest.fixture
def children():
    """Return the data and R's results."""
    data = pd.read_csv(shared("seeds/childread.csv"))
    return data, json.loads(shared("seeds/expected.json").read_text(encoding="utf-8"))


def test_reading_ages(children):
    data, expected = children
    formula = "reading_age ~ hrs_week + (1 + hrs_week | school)"
    fML = crossnest.lmer(formula, data, reml=False)
    sML = crossnest.lmer("reading_age ~ 1 + (1 + hrs_week | school)", data, reml=False)
    table = crossnest.anova(fML, sML)
    for name, values in expected["read_lrt"].items():
        if name in table:
            np.testing.assert_allclose(
                table[name].to_numpy(float), as_array(values), rtol=0, atol=1e-4
            )
    reference = expected["read_kr_modcomp"]
    table = crossnest.kr_modcomp(crossnest.lmer(formula, data), sML)
    ours = [*table.loc["Ftest"], *table.loc["FtestU", ["F value", "Pr(>F)"]]]
    keys = ["ndf", "ddf", "F.scaling", "Fstat", "p.value", "FstatU", "p.valueU"]
    np.testing.assert_allclose(ours, [reference[key] for key in keys], rtol=1e-4)
