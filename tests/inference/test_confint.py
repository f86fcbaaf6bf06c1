"""Confidence intervals by every method, against R's."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import crossnest
from conftest import fitted_model
from constrained_oracle import ConstrainedOracle
from crossnest._core import FitError, Profiler
from crossnest.inference.parameters import parameter_names
from reference_cases import all_cases, as_array, as_list, load_case

ENDS = ("2.5 %", "97.5 %")
WITH_PROFILE = [c.name for c in all_cases() if "term" in (c.expected["confint_profile"] or {})]
WITH_WALD = [c.name for c in all_cases() if "term" in (c.expected["confint_wald"] or {})]

#: Ends that lme4 gets wrong (it interpolates its profile, or its profile is no constrained
#: optimum), by the positions of the parameters; those of the list below are judged by brute force.
WRONG_IN_LME4 = {
    "machines": (1, 2, 4),  # correlations of three effects
    "orthodont": (0, 3),  # sd_(Intercept), by interpolation; sigma, missing
    "dyestuff2": (1,),  # sigma, missing
    "sleepstudy_w": (4, 5),  # the fixed effects: far too short with weights
}


def reference_ends(case, key):
    expected = case.expected[key]
    return np.column_stack([as_array(expected[end]) for end in ENDS])


@pytest.mark.parametrize("name", WITH_PROFILE)
def test_profile_intervals_are_lme4s(name):
    case = load_case(name)
    intervals = fitted_model(f"reference/{name}").confint(progress=False)
    expected = reference_ends(case, "confint_profile")
    assert list(intervals.columns) == list(ENDS)
    assert intervals.shape == expected.shape
    right = np.ones(len(expected), dtype=bool)
    right[list(WRONG_IN_LME4.get(name, ()))] = False
    np.testing.assert_allclose(intervals[right], expected[right], rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("name", WRONG_IN_LME4)
def test_ends_that_differ_from_lme4s_are_where_the_deviance_has_risen(name):
    model = fitted_model(f"reference/{name}")
    brute = ConstrainedOracle(model)
    estimates = model.evaluate(model.theta)
    centre = np.append(estimates.theta, np.log(estimates.sigma))
    random = np.random.default_rng(5)
    starts = [centre, centre + 0.3 * random.normal(size=centre.size)]
    least = brute.minimum(None, None, starts)
    rise = scipy.stats.chi2.isf(0.05, 1)
    expected = reference_ends(load_case(name), "confint_profile")
    intervals = model.confint().to_numpy()
    for position in WRONG_IN_LME4[name]:
        for ours, lme4 in zip(intervals[position], expected[position], strict=True):
            at = brute.minimum(position, ours, starts) - least
            assert at == pytest.approx(rise, abs=1e-6)
            if lme4 > 1e-9 or lme4 < 0:
                off = brute.minimum(position, lme4, starts) - least - rise
                assert abs(off) > 1e-6


@pytest.mark.parametrize("name", WITH_WALD)
def test_wald_intervals_are_lme4s(name):
    intervals = fitted_model(f"reference/{name}").confint("wald")
    expected = reference_ends(load_case(name), "confint_wald")
    np.testing.assert_allclose(intervals, expected, rtol=1e-4, atol=1e-8)


def test_rows_are_named_as_in_lme4():
    for name in ("sleepstudy", "sleepstudy_zcp", "pastes", "penicillin", "oxboys"):
        expected = as_list(load_case(name).expected["confint_profile"]["term"])
        names = parameter_names(fitted_model(f"reference/{name}"))
        assert [n.replace(" ** ", "^") for n in names] == expected


def test_level_and_parameters():
    model = fitted_model("sleepstudy")
    full = model.confint(level=0.9)
    assert list(full.columns) == ["5 %", "95 %"]
    part = model.confint(level=0.9, parm=["Days", "sigma"])
    assert list(part.index) == ["sigma", "Days"]
    np.testing.assert_array_equal(part, full.loc[["sigma", "Days"]])
    with pytest.raises(ValueError, match="no parameter 'Age'"):
        model.confint(parm="Age")
    for level in (0, 1, 95, -0.5):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            model.confint("wald", level=level)
    with pytest.raises(ValueError, match="method must be one of profile, wald"):
        model.confint("exact")
    with pytest.raises(TypeError, match="seed"):
        model.confint("wald", seed=1)


def test_notes_say_why_an_end_is_a_bound():
    notes = fitted_model("pastes").confint().attrs["notes"]
    assert list(notes) == ["sd_(Intercept)|batch"]
    assert notes["sd_(Intercept)|batch"]["lower"].startswith("zeta does not reach the cutoff")
    singular = fitted_model("dyestuff2").confint()
    assert singular.loc["sd_(Intercept)|Batch"].iloc[0] == 0
    assert "at the parameter's bound" in str(singular.attrs["notes"])
    undetermined = fitted_model("golden/singular_all_zero").confint()
    assert list(undetermined.loc["cor_time.(Intercept)|id"]) == [-1, 1]


def test_intervals_widen_with_the_level():
    for name in ("sleepstudy", "machines", "penicillin"):
        model = fitted_model(name)
        narrow, wide = model.confint(level=0.8), model.confint(level=0.999)
        assert (wide.iloc[:, 0] <= narrow.iloc[:, 0]).all()
        assert (wide.iloc[:, 1] >= narrow.iloc[:, 1]).all()


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_t_intervals(method):
    model = fitted_model("reference/sleepstudy")
    table = load_case("sleepstudy").expected[method.replace("-", "_")]
    intervals = model.confint(method)
    assert intervals.iloc[:4].isna().all(axis=None)
    quantile = scipy.stats.t.isf(0.025, as_array(table["df"]))
    estimate, error = (as_array(table[key]) for key in ("Estimate", "Std. Error"))
    expected = np.column_stack([estimate - quantile * error, estimate + quantile * error])
    np.testing.assert_allclose(intervals.loc[["(Intercept)", "Days"]], expected, rtol=1e-4)
    by_statsmodels_name = model.conf_int(0.05)
    assert list(by_statsmodels_name.index) == ["(Intercept)", "Days"]


def test_bootstrap_hands_its_options_on(monkeypatch):
    model = fitted_model("sleepstudy")
    names = parameter_names(model)
    asked = {}

    class Replicates:
        def confint(self, kind, level):
            asked.update(interval=kind, level=level)
            return pd.DataFrame({"lower": 0.0, "upper": 1.0}, index=names)

    def bootstrap(model, **options):
        asked.update(options)
        return Replicates()

    monkeypatch.setattr("crossnest.inference.confint.bootstrap", bootstrap)
    intervals = model.confint("bootstrap", 0.9, "beta_", n=20, seed=1, interval="basic")
    assert asked == {"interval": "basic", "level": 0.9, "n": 20, "seed": 1}
    assert list(intervals.index) == ["(Intercept)", "Days"]


@pytest.mark.parametrize(
    ("method", "options", "error", "text"),
    [
        ("profile", {"n": 3}, TypeError, "'profile' has no option 'n'; its options: progress"),
        ("wald", {"progress": False}, TypeError, "no option 'progress'; its options: none"),
        ("bootstrap", {"statistic": len}, TypeError, "no option 'statistic'"),
        ("bootstrap", {"interval": "exact"}, ValueError, "interval must be one of percentile"),
        ("likelihood", {}, ValueError, "method must be one of profile"),
        ("wald", {"level": "95"}, TypeError, "level must be a number between 0 and 1, not '95'"),
        ("wald", {"parm": 1}, ValueError, "no parameter 1; the parameters are sd_"),
    ],
)
def test_bad_options_are_refused_before_any_work(method, options, error, text):
    with pytest.raises(error, match=text):
        fitted_model("sleepstudy").confint(method, **options)


def test_no_fixed_effects():
    intervals = fitted_model("no_fixed").confint()
    assert list(intervals.index) == ["sd_(Intercept)|Subject", "sigma"]
    assert (intervals.iloc[:, 0] < intervals.iloc[:, 1]).all()


def random_frame(seed, n=60, groups=8):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": random.normal(size=n),
            "x": random.normal(size=n),
            "f": random.choice(list("ABC"), n),
            "g": random.choice(list("abcdefgh")[:groups], n),
            "h": random.choice(list("pqrst"), n),
        }
    )


@pytest.mark.filterwarnings("ignore::crossnest.SingularFitWarning")
@pytest.mark.parametrize("seed", [1, 14, 23, 36])
def test_diagonal_terms_with_empty_effects_have_intervals(seed):
    # The profile of an effect without variance began where the term's other effects had none.
    data = random_frame(seed)
    together = crossnest.lmer("y ~ f + (f || g)", data).confint()
    for level in "ABC":
        data[f"is{level}"] = (data["f"] == level).astype(float)
    separate = "y ~ f + (1 | g) + (0 + isA | g) + (0 + isB | g) + (0 + isC | g)"
    apart = crossnest.lmer(separate, data).confint()
    assert "sd_f[C]|g" in together.index
    np.testing.assert_allclose(together, apart, atol=2e-5)


def test_a_parameter_that_cannot_be_profiled_leaves_nan_and_a_warning(monkeypatch):
    model = fitted_model("sleepstudy")
    expected = model.confint()

    class Failing:
        def __init__(self, problem):
            self.profiler = Profiler(problem)

        def __getattr__(self, name):
            return getattr(self.profiler, name)

        def interval(self, parameter, cutoff):
            if parameter == 1:
                raise FitError("the profile finds ever lower deviances")
            return self.profiler.interval(parameter, cutoff)

        def trace(self, parameter, cutoff):
            if parameter == 1:
                raise FitError("the profile finds ever lower deviances")
            return self.profiler.trace(parameter, cutoff)

    profile = importlib.import_module("crossnest.inference.profile")
    monkeypatch.setattr(profile, "_core", SimpleNamespace(Profiler=Failing, FitError=FitError))
    with pytest.warns(crossnest.ProfileWarning, match="cor_.* cannot be profiled: the profile"):
        intervals = model.confint()
    assert intervals.iloc[1].isna().all()
    assert intervals.attrs["notes"][intervals.index[1]]["lower"].startswith("the profile finds")
    others = np.arange(len(expected)) != 1
    np.testing.assert_allclose(intervals[others], expected[others], rtol=1e-6)
    with pytest.warns(crossnest.ProfileWarning, match="cannot be profiled"):
        assert len(model.profile().points(intervals.index[1])[0]) == 1
