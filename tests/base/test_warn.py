"""Warnings point at the user's line, from however deep in the package they come."""

from __future__ import annotations

import pytest

import crossnest


def test_a_test_of_models_that_are_not_nested_warns_its_caller():
    data = crossnest.datasets.sleepstudy()
    data["odd"] = data["Days"] % 2
    data["odder"] = data["Days"] % 3
    small = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data, reml=False)
    large = crossnest.lmer("Reaction ~ odd + odder + (1 | Subject)", data, reml=False)
    with pytest.warns(crossnest.InferenceWarning) as caught:
        crossnest.anova(small, large)
    assert {warning.filename for warning in caught} == {__file__}


def test_fits_and_refits_that_stop_short_warn_their_callers(fitted):
    short = crossnest.Control(max_evaluations=4)
    with pytest.warns(crossnest.ConvergenceWarning) as caught:
        model = crossnest.LinearMixedModel.from_design(fitted("sleepstudy").design, control=short)
        model.influence("Subject", exact=True)
    first, second = (str(warning.message) for warning in caught)
    assert first.startswith("not converged") and "without these units" in second
    assert {warning.filename for warning in caught} == {__file__}
