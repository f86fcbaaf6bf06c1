"""Profiles of the deviance, against constrained maximum likelihood by brute force."""

from __future__ import annotations

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from conftest import fitted_model
from constrained_oracle import ConstrainedOracle
from crossnest.inference.parameters import parameter_names, percent_names

#: Models whose profiles are compared with brute force, and why they are among them.
BRUTE_FORCE = (
    "reference/sleepstudy",  # a correlation
    "golden/sleepstudy_weights_offset",
    "reference/sleepstudy_zcp",  # no correlation
    "reference/pastes",  # nested
    "reference/penicillin",  # crossed
    "reference/machines",  # three effects
    "reference/dyestuff2",  # singular
    "reference/orthodont",  # singular along the way
    "reference/rank_deficient",
    "reference_more/two_optima_307",  # two local minima
)


@functools.cache
def oracle(name):
    """Return the brute force of a model, starts around its ML fit, and its least deviance."""
    model = fitted_model(name)
    brute = ConstrainedOracle(model)
    best = model.profile("sigma")
    random = np.random.default_rng(3)
    theta = _theta(model, best.estimates)
    centre = np.append(theta, np.log(best.estimates["sigma"]))
    count = 20 if model.nobs < 30 else 1
    starts = [centre, *(centre + 0.3 * random.normal(size=(count, centre.size)))]
    return brute, starts, brute.minimum(None, None, starts)


def _theta(model, estimates):
    """Compute theta of the standard deviations and correlations of a profile."""
    values, theta = iter(estimates / estimates["sigma"]), []
    for term in model.design.random:
        k = len(term.names)
        if term.term.covariance == "diagonal":
            theta += [next(values) for _ in range(k)]
            continue
        covariance = np.zeros((k, k))
        for j in range(k):
            for i in range(j, k):
                # Correlations were divided by sigma, too.
                value = next(values)
                covariance[i, j] = value if i == j else value * estimates["sigma"]
        sd = np.diag(covariance).copy()
        correlation = np.tril(covariance, -1)
        correlation = np.nan_to_num(correlation + correlation.T) + np.eye(k)
        root = np.linalg.cholesky(sd[:, None] * correlation * sd + 1e-12 * np.eye(k))
        theta += [root[i, j] for j in range(k) for i in range(j, k)]
    return np.array(theta)


@pytest.mark.parametrize("name", BRUTE_FORCE)
def test_points_are_constrained_optima(name):
    model = fitted_model(name)
    brute, starts, least = oracle(name)
    names = parameter_names(model)
    profile = model.profile()
    assert profile.deviance == pytest.approx(least, abs=1e-7)
    for position, parm in enumerate(names):
        value, zeta = profile.points(parm)
        for i in {0, len(value) - 1}:
            if abs(value[i]) < 1e-9 or abs(abs(value[i]) - 1) < 1e-9:
                continue  # at a bound, where the brute force has no derivatives
            expected = brute.minimum(position, value[i], starts) - least
            assert zeta[i] ** 2 == pytest.approx(expected, abs=1e-6), parm


#: Models of random designs whose profiles are compared with brute force.
RANDOM = (
    "y ~ x + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ f + (f || g)",
    "y ~ x + (1 | g) + (1 | h)",
    "y ~ 1 + (x || g) + (1 | h)",
)


def random_model(formula, seed):
    random = np.random.default_rng(seed)
    n = 40
    data = pd.DataFrame(
        {
            "x": random.normal(size=n),
            "f": random.choice(list("AB"), n),
            "g": random.permutation(n) % random.integers(4, 8),
            "h": random.permutation(n) % 5,
        }
    )
    effects = random.choice([0.0, 1.0]) * random.normal(size=8)[data["g"]]
    data["y"] = effects * (1 + data["x"]) + random.normal(size=n)
    weights = random.uniform(0.2, 5.0, n) if random.random() < 0.3 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.SingularFitWarning)
        return crossnest.lmer(formula, data, weights=weights, reml=False)


@pytest.mark.parametrize("formula", RANDOM)
@pytest.mark.parametrize("seed", range(2))
def test_profiles_of_random_designs_are_constrained_optima(formula, seed):
    model = random_model(formula, seed)
    brute, names = ConstrainedOracle(model), parameter_names(model)
    profile = model.profile()
    random = np.random.default_rng(seed)
    for position in random.choice(len(names), size=2, replace=False):
        rows = profile.zeta[profile.zeta[".par"] == names[position]]
        row = rows.iloc[random.integers(len(rows))]
        value, reached = row["value"], profile.deviance + row["zeta"] ** 2
        if abs(value) < 1e-9 or abs(abs(value) - 1) < 1e-9:
            continue  # at a bound, where the brute force has no derivatives
        at = row[names].fillna(0.0)
        start = np.append(_theta(model, at), np.log(at["sigma"]))
        starts = [start, *(start + 0.3 * random.normal(size=(2, start.size)))]
        least = brute.minimum(position, value, starts)
        # SciPy may stop short of the minimum; that the deviance is what it is, the point says.
        assert reached < least + 1e-6, names[position]
        assert reached == pytest.approx(brute.held(position, value, start), abs=1e-6)


@pytest.mark.parametrize("name", [*BRUTE_FORCE, "reference/beets", "reference_more/five_crossed"])
def test_zeta_increases_with_the_value(name):
    profile = fitted_model(name).profile()
    for parm in profile.notes.index:
        value, zeta = profile.points(parm)
        assert (np.diff(value) > 0).all(), parm
        assert (np.diff(zeta) > -1e-6).all(), parm
        assert 0.0 in zeta, parm
        for note, reached in zip(profile.notes.loc[parm], (-zeta[0], zeta[-1]), strict=True):
            assert (reached > 2.57) == (note == ""), parm


def test_every_row_lists_all_parameters_at_its_optimum():
    model = fitted_model("sleepstudy")
    zeta = model.profile().zeta
    names = parameter_names(model)
    assert list(zeta.columns) == [".par", "value", "zeta", *names]
    assert list(zeta[".par"].unique()) == names
    for name, rows in zeta.groupby(".par"):
        np.testing.assert_allclose(rows[name], rows["value"], rtol=1e-12)
    # The other parameters, at a point far out, by a direct refit: the model without the intercept's
    # variance is the profile's end.
    end = model.profile("sd_(Intercept)|Subject", level=1 - 1e-9).zeta.iloc[0]
    assert end["value"] == 0
    without = crossnest.lmer(
        "Reaction ~ Days + (0 + Days | Subject)", crossnest.datasets.sleepstudy(), reml=False
    )
    assert end["zeta"] ** 2 == pytest.approx(
        without.objective - fitted_model("sleepstudy_ml").objective, abs=1e-7
    )
    assert end["sd_Days|Subject"] == pytest.approx(without.var_corr.terms[0].stddev[0], rel=1e-5)
    assert end["sigma"] == pytest.approx(without.sigma, rel=1e-6)
    np.testing.assert_allclose(end[["(Intercept)", "Days"]].to_numpy(float), without.fixef)


def test_profiles_of_a_reml_fit_are_those_of_the_ml_fit():
    reml, ml = fitted_model("sleepstudy").profile(), fitted_model("sleepstudy_ml").profile()
    np.testing.assert_allclose(reml.zeta["zeta"], ml.zeta["zeta"], atol=1e-6)
    assert reml.deviance == pytest.approx(fitted_model("sleepstudy_ml").objective, abs=1e-8)
    for name, value in fitted_model("sleepstudy_ml").fixef.items():
        assert ml.estimates[name] == pytest.approx(value, rel=1e-8)


def test_splines_go_through_the_points_and_near_the_ends_of_intervals():
    profile = fitted_model("sleepstudy").profile()
    for parm in profile.notes.index:
        value, zeta = profile.points(parm)
        np.testing.assert_allclose(profile.spline(parm)(value), zeta, atol=1e-12)
        np.testing.assert_allclose(profile.backspline(parm)(zeta), value)
        ends = profile.interpolate(parm, np.array([-1.959964, 1.959964]))
        np.testing.assert_allclose(ends, profile.confint(0.95).loc[parm], rtol=2e-3)


def test_level_profiles_of_a_correlation_have_a_backspline():
    # A standard deviation of zero allows every correlation.
    profile = fitted_model("reference/orthodont").profile("cor_age.(Intercept)|Subject")
    assert profile.notes.iloc[0, 0].startswith("zeta does not reach")
    assert -1 <= profile.interpolate("cor_age.(Intercept)|Subject", -0.5) < -0.6


def test_undetermined_correlation():
    profile = fitted_model("golden/singular_all_zero").profile("theta_")
    assert profile.notes.loc["cor_time.(Intercept)|id", "lower"].startswith("a standard deviation")
    with pytest.raises(ValueError, match="cannot interpolate"):
        profile.backspline("cor_time.(Intercept)|id")


@pytest.mark.parametrize(
    ("parm", "expected"),
    [
        ("theta_", 4),
        ("beta_", 2),
        ("sigma", 1),
        (["Days", "sigma"], 2),
        (["beta_", "sigma", "Days"], 3),
        ([], 0),
    ],
)
def test_choice_of_parameters(parm, expected):
    profile = fitted_model("sleepstudy").profile(parm, progress=False)
    assert len(profile.notes) == expected
    names = parameter_names(fitted_model("sleepstudy"))
    assert list(profile.notes.index) == [n for n in names if n in set(profile.notes.index)]


def test_unknown_parameters_and_levels_are_refused():
    model = fitted_model("sleepstudy")
    with pytest.raises(
        ValueError, match=r"no parameter 'days', 'sd'; the parameters are sd_\(Intercept\)"
    ):
        model.profile(["days", "Days", "sd"])
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        model.profile(level=95)
    with pytest.raises(ValueError, match="no profile of 'Days'; the parameters are sigma"):
        model.profile("sigma").points("Days")


def test_prints_calmly():
    model = crossnest.lmer("Yield ~ 1 + (1 | Batch)", crossnest.datasets.dyestuff())
    profile = model.profile(["sd_(Intercept)|Batch", "sigma"], level=0.999)
    lines = str(profile).split("\n")
    assert lines[0].startswith("Profile of `Yield ~ 1 + (1 | Batch)`, deviance 327.327")
    assert lines[1].split() == ["estimate", "from", "to"]
    assert [line.split()[0] for line in lines[2:4]] == ["sd_(Intercept)|Batch", "sigma"]
    assert lines[4].startswith("sd_(Intercept)|Batch, lower end: zeta does not reach")
    assert profile._repr_html_().startswith("<pre>Profile of")


def test_a_better_optimum_is_said_so():
    # Stop a fit at the worse of two optima: the profile starts from the better one.
    model = fitted_model("reference/sleepstudy_ml")
    worse = model.evaluate(model.theta * 2)
    with pytest.warns(crossnest.ProfileWarning, match="lower deviance than the fit"):
        profile = worse.profile("sigma")
    assert profile.deviance == pytest.approx(model.objective, abs=1e-8)


def test_pickled_models_can_be_profiled():
    model = fitted_model("sleepstudy")
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.confint(), model.confint())


def test_units_do_not_matter():
    data = crossnest.datasets.sleepstudy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = crossnest.lmer(
            "I(Reaction * 1e5) ~ I(Days * 1e-4 + 3) + (I(Days * 1e-4 + 3) | Subject)", data
        )
        ends = scaled.confint().to_numpy()
    expected = fitted_model("sleepstudy").confint().to_numpy()
    # Those that another origin of Days leaves alone: its own sd, sigma, its slope.
    np.testing.assert_allclose(ends[2], expected[2] * 1e9, rtol=1e-7)
    np.testing.assert_allclose(ends[3], expected[3] * 1e5, rtol=1e-7)
    np.testing.assert_allclose(ends[5], expected[5] * 1e9, rtol=1e-7)


@pytest.mark.parametrize(
    ("level", "names"),
    [
        (0.95, ["2.5 %", "97.5 %"]),
        (0.9, ["5 %", "95 %"]),
        (0.99, ["0.5 %", "99.5 %"]),
        (0.999, ["0.05 %", "99.95 %"]),
    ],
)
def test_names_by_percent_are_those_of_r(level, names):
    assert percent_names(level) == names
