"""Data of extreme but finite size: fitted in units of their own, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest

import crossnest as cn
from crossnest import datasets

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    return datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def plain(data):
    return cn.lmer(FORMULA, data)


def check_tests(model, plain):
    """Compare what has no units: t values and degrees of freedom by both methods."""
    for ddf in ("satterthwaite", "kenward-roger"):
        ours, theirs = model.anova(ddf=ddf), plain.anova(ddf=ddf)
        np.testing.assert_allclose(ours["F value"], theirs["F value"], rtol=1e-6)
        np.testing.assert_allclose(ours["DenDF"], theirs["DenDF"], rtol=1e-5)


@pytest.mark.parametrize("exponent", [-400, 400])
def test_response_times_a_power_of_two(data, plain, exponent):
    unit = 2.0**exponent
    model = cn.lmer(FORMULA, data.assign(Reaction=data["Reaction"] * unit))
    np.testing.assert_allclose(model.fixef, plain.fixef * unit, rtol=1e-10)
    np.testing.assert_allclose(model.theta, plain.theta, rtol=1e-5)
    assert model.sigma == pytest.approx(plain.sigma * unit, rel=1e-6)
    check_tests(model, plain)


@pytest.mark.parametrize("exponent", [-400, -300, 300, 400])
def test_covariate_times_a_power_of_two(data, plain, exponent):
    unit = 2.0**exponent
    model = cn.lmer(FORMULA, data.assign(Days=data["Days"] * unit))
    np.testing.assert_allclose(model.fixef, plain.fixef / [1.0, unit], rtol=1e-10)
    np.testing.assert_allclose(model.theta, plain.theta / [1.0, unit, unit], rtol=1e-5)
    assert model.sigma == pytest.approx(plain.sigma, rel=1e-6)
    check_tests(model, plain)


@pytest.mark.parametrize("weight", [2.0**-530, 2.0**530, 1e-160, 1e160])
def test_equal_weights_of_extreme_size(data, plain, weight):
    """The degrees of freedom came out 12.0 and nan."""
    model = cn.lmer(FORMULA, data, weights=np.full(len(data), weight))
    np.testing.assert_allclose(model.fixef, plain.fixef, rtol=1e-10)
    np.testing.assert_allclose(model.theta * np.sqrt(weight), plain.theta, rtol=1e-5)
    assert model.sigma == pytest.approx(plain.sigma * np.sqrt(weight), rel=1e-6)
    check_tests(model, plain)


@pytest.mark.parametrize("size", [1e-300, 1e160, 1e300])
def test_response_whose_variance_is_no_number(data, size):
    with pytest.raises(cn.DesignError, match=r"response 'Reaction'.*residual variance.*multiply"):
        cn.lmer(FORMULA, data.assign(Reaction=data["Reaction"] * size))


@pytest.mark.parametrize("size", [1e-160, 1e160, 1e300])
def test_covariate_whose_coefficient_has_no_variance(data, size):
    with pytest.raises(cn.DesignError, match=r"fixed-effects column 'Days'.*coefficient"):
        cn.lmer(FORMULA, data.assign(Days=data["Days"] * size))
    with pytest.raises(cn.DesignError, match=r"random effect 'Days' of 'Subject'.*effects"):
        cn.lmer(
            "Reaction ~ 1 + (Days | Subject)",
            data.assign(Days=data["Days"] * size),
        )


@pytest.mark.parametrize("weight", [1e-307, 1e307])
def test_weights_beyond_all_bounds(data, weight):
    """Weights of 1e307 ended the process."""
    with pytest.raises(cn.DesignError, match="column of weights"):
        cn.lmer(FORMULA, data, weights=np.full(len(data), weight))


def test_constant_column_of_which_the_square_is_zero(data):
    """A constant of 1e-165 ended the process."""
    frame = data.assign(one=1e-165)
    with pytest.raises(cn.DesignError, match="fixed-effects column 'one'"):
        cn.lmer("Reaction ~ 0 + one + Days + (1 | Subject)", frame)
    model = cn.lmer("Reaction ~ 0 + one + Days + (1 | Subject)", data.assign(one=1e-130))
    expected = cn.lmer("Reaction ~ Days + (1 | Subject)", data)
    np.testing.assert_allclose(model.fixef * [1e-130, 1.0], expected.fixef, rtol=1e-10)


def test_new_response_of_extreme_size(data, plain):
    refitted = plain.refit(data["Reaction"] * 2.0**450)
    np.testing.assert_allclose(refitted.fixef, plain.fixef * 2.0**450, rtol=1e-10)
    with pytest.raises(cn.DesignError, match="the response"):
        plain.refit(data["Reaction"] * 1e300)
