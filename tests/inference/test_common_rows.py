"""Models of different data and of different rows."""

from __future__ import annotations

import numpy as np
import pytest

import crossnest

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")


def test_models_on_different_data_are_refused():
    data = crossnest.datasets.sleepstudy()
    data["w"], data["z"] = np.linspace(1, 2, 180), data["Days"].where(data["Days"] != 3)
    data["logged"] = np.log(data["Reaction"])
    formula = "Reaction ~ Days + (1 | Subject)"
    m = crossnest.lmer(formula, data)
    different = {
        "`m` has 180 observations, `other` 162": crossnest.lmer(
            "Reaction ~ z + (1 | Subject)", data
        ),
        "response": crossnest.lmer("logged ~ Days + (1 | Subject)", data),
        "weights": crossnest.lmer(formula, data, weights="w"),
        "offset": crossnest.lmer(formula, data, offset="w"),
        "rows used": crossnest.lmer(formula, data.set_axis(range(1, 181))),
    }
    for message, other in different.items():
        with pytest.raises(ValueError, match=f"not fitted to the same data: .*{message}"):
            crossnest.anova(m, other)
    ones = crossnest.lmer(formula, data, weights=np.ones(180), offset=np.zeros(180))
    assert crossnest.anova(m, ones)["Chisq"].iloc[1] == pytest.approx(0, abs=1e-8)


@pytest.fixture
def with_gaps():
    """Sleepstudy, Days missing in 18 rows and another covariate in 10 others."""
    data = crossnest.datasets.sleepstudy()
    data["z"] = data["Days"].where(data["Days"] != 3)
    data["other"] = np.linspace(0, 1, 180) ** 2
    data.loc[data.index[2:102:10], "other"] = np.nan
    return data


def test_models_of_different_rows_say_how_many_and_what_to_do(with_gaps):
    m = crossnest.lmer("Reaction ~ z + (1 | Subject)", with_gaps)
    other = crossnest.lmer("Reaction ~ other + (1 | Subject)", with_gaps)
    message = (
        r"`m` has 162 observations, `other` 170 \(10 rows of `m` not in `other`, 18 rows of "
        r"`other` not in `m`\); rows with missing values .* common_rows=True"
    )
    with pytest.raises(ValueError, match=message):
        crossnest.anova(m, other)
    repeated = with_gaps.set_axis(np.zeros(180, dtype=int))
    first = crossnest.lmer("Reaction ~ z + (1 | Subject)", repeated)
    second = crossnest.lmer("Reaction ~ Days + (1 | Subject)", repeated.iloc[1:])
    with pytest.raises(ValueError, match=r"`second` 179; rows with missing"):
        crossnest.anova(first, second)
    with pytest.raises(ValueError, match="labels that occur several times"):
        crossnest.anova(first, second, common_rows=True)


def test_common_rows_are_those_without_gaps_in_any_model(with_gaps):
    complete = with_gaps.dropna()
    formulas = ["Reaction ~ 1 + (1 | Subject)", "Reaction ~ z + (1 | Subject)"]
    formulas.append("Reaction ~ z + other + (1 | Subject)")
    models = [crossnest.lmer(formula, with_gaps) for formula in formulas]
    expected = [crossnest.lmer(formula, complete) for formula in formulas]
    table = crossnest.anova(*models, common_rows=True)
    np.testing.assert_allclose(table, crossnest.anova(*expected), rtol=1e-6)
    assert "fitted to the 152 rows common to all models" in str(table)
    for test in (crossnest.kr_modcomp, crossnest.sat_modcomp):
        np.testing.assert_allclose(
            test(models[2], models[1], common_rows=True), test(expected[2], expected[1]), rtol=1e-5
        )
    options = {"n": 20, "seed": 1, "progress": False}
    found = crossnest.pb_modcomp(models[2], models[0], common_rows=True, **options)
    again = crossnest.pb_modcomp(expected[2], expected[0], **options)
    np.testing.assert_allclose(found.reference, again.reference, atol=1e-5)
    line = crossnest.lm("Reaction ~ z", with_gaps)
    found = crossnest.anova(line, models[2], common_rows=True)
    both = crossnest.anova(crossnest.lm("Reaction ~ z", complete), expected[2])
    np.testing.assert_allclose(found, both, rtol=1e-6)
    side = crossnest.compare(*models, common_rows=True)
    assert not any("different rows" in note for note in side.notes)
    np.testing.assert_allclose(side.table, crossnest.compare(*expected).table, rtol=1e-4)
    apart = "different rows (180, 162, 152): common_rows=True"
    assert apart in str(crossnest.compare(*models))
    with pytest.raises(TypeError, match="common_rows must be True or False"):
        crossnest.anova(*models, common_rows="yes")


def test_rows_with_labels_that_repeat_go_by_position_in_the_same_data(with_gaps):
    repeated = with_gaps.set_axis(np.zeros(180, dtype=int))
    formulas = ["Reaction ~ z + (1 | Subject)", "Reaction ~ z + other + (1 | Subject)"]
    models = [crossnest.lmer(formula, repeated) for formula in formulas]
    expected = [crossnest.lmer(formula, with_gaps.dropna()) for formula in formulas]
    np.testing.assert_allclose(
        crossnest.anova(*models, common_rows=True), crossnest.anova(*expected), rtol=1e-6
    )
