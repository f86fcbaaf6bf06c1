"""Likelihood ratios: those that are rounding, and those that are none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import crossnest
from crossnest.inference.likelihood_ratio import checked_ratios

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")


def test_a_ratio_that_is_rounding_is_zero():
    ratios = checked_ratios(np.array([-1e-6, 3e-9, 2.0]), ["a", "b", "c"], ["d", "e", "f"])
    np.testing.assert_array_equal(ratios, [0, 0, 2])
    with pytest.warns(
        crossnest.InferenceWarning, match="the larger fit has not reached the maximum"
    ):
        assert np.isnan(checked_ratios(np.array([-0.01]), ["the model"], ["the other"])).all()


@pytest.mark.parametrize("verb", ["ranova", "drop1"])
def test_a_fit_that_stopped_short_shows_no_ratio(verb, fitted):
    """As if the model's own search had stopped early: its likelihood is below the reduced one's."""
    model = fitted("sleepstudy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        data = crossnest.datasets.sleepstudy()
        start = crossnest.lmer(
            "Reaction ~ Days + (Days | Subject)", data, reml=verb == "ranova"
        ).evaluate([1e-3, 0.0, 30.0])
    assert start.llf < model.llf - 20
    with pytest.warns(crossnest.InferenceWarning, match="the log-likelihood of the model is below"):
        table = getattr(start, verb)()
    assert table.iloc[1:][["LRT", "Pr(>Chisq)"]].isna().all(axis=None)


def test_tables_say_where_chi_squared_is_conservative(fitted):
    model = fitted("sleepstudy")
    assert "conservative" in str(model.ranova())
    assert "conservative" in model.ranova()._repr_html_()
    assert "tend to be too small (test='F' does better)" in str(model.drop1())
    data = crossnest.datasets.sleepstudy()
    intercepts = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    lines = crossnest.lmer("Reaction ~ Days + (Days | Subject)", data, reml=False)
    line = crossnest.lm("Reaction ~ Days", data)
    assert "conservative" in str(crossnest.anova(line, intercepts, lines))
    constant = crossnest.lmer("Reaction ~ 1 + (1 | Subject)", data, reml=False)
    assert "conservative" not in str(crossnest.anova(constant, intercepts))
