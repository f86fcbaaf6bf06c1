"""What the data cannot tell is said once, by name, and the rest is as lme4 has it.

R's numbers: R 4.2.2, lme4 1.1-31, sleepstudy with

    f <- factor(letters[(as.integer(Subject) - 1) %/% 6 + 1]); h <- factor(paste0("h", f))
    S2 <- factor(paste0("s", as.integer(Subject)))

REMLcrit() or deviance(), AIC() and coef(summary())[, 2] of lmer(formula). A standard error that
depends on the theta that is not determined is lme4's at its start (lmerControl(optimizer = NULL)),
from where its optimizer strays by rounding errors.
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest import (
    ConvergenceWarning,
    DesignError,
    IdentifiabilityWarning,
    ProfileWarning,
    SingularFitWarning,
    _core,
    lmer,
)
from engine_problems import engine


@pytest.fixture(scope="module")
def sleep():
    """Return sleepstudy with groups of subjects and other labels for both."""
    data = crossnest.datasets.sleepstudy()
    number = pd.Categorical(data["Subject"]).codes
    data["f"] = [f"{'abc'[i // 6]}" for i in number]
    data["h"] = "h" + data["f"]
    data["S2"] = [f"s{i}" for i in number]
    data["obs"] = [f"o{i}" for i in range(len(data))]
    data["twice"] = 2.0 * data["Days"]
    data["mean"] = data.groupby("Subject", observed=True)["Reaction"].transform("mean")
    return data


def quietly(formula, data, **options):
    """Fit without a word, and return the model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lmer(formula, data, **options)


def warned(formula, data, **options):
    """Fit, and return the model and the one warning there must be."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = lmer(formula, data, **options)
    assert [w.category for w in caught] == [IdentifiabilityWarning]
    return model, str(caught[0].message)


# ------------------------------------------------------------- within the span of the fixed effects


def test_random_intercept_of_a_fixed_factor_is_as_in_lme4(sleep):
    """theta ran to 3e6, the criterion to 1606.94, standard errors to 6e8."""
    model, text = warned("Reaction ~ Subject + Days + (1 | Subject)", sleep)
    assert "`(1 | Subject)` lies within the span of the fixed effects" in text
    assert model.objective == pytest.approx(1611.3007221, abs=1e-6)
    assert model.aic == pytest.approx(1653.30072, abs=1e-4)
    assert model.sigma == pytest.approx(30.9912339, rel=1e-8)
    assert model.theta.iloc[0] == pytest.approx(0.888682119, rel=1e-8)
    np.testing.assert_allclose(model.bse.iloc[:2], [29.456218, 41.341791], rtol=1e-4)
    np.testing.assert_allclose(model.fixef.iloc[:2], [295.031043, -126.900850], rtol=1e-8)
    np.testing.assert_allclose(model.fittedvalues.iloc[:2], [295.031043, 305.498329], rtol=1e-8)
    assert abs(model.ranef()["Subject"].to_numpy()).max() < 1e-8
    assert model.converged and not model.is_singular


def test_maximum_likelihood_makes_such_a_variance_zero(sleep):
    model, text = warned("Reaction ~ Subject + Days + (1 | Subject)", sleep, reml=False)
    assert "maximum likelihood makes it zero" in text
    assert model.objective == pytest.approx(1726.87200389, abs=1e-6)
    assert model.theta.iloc[0] == 0 and model.is_singular
    assert "boundary (singular)" not in str(model.summary())


@pytest.mark.parametrize("effects", ["0 + zero", "0 + zero + none", "0 + zero || none"])
def test_effects_of_zeros_alone_are_held(sleep, effects):
    """A term of one column of zeros ended the process."""
    data = sleep.assign(zero=0.0, none=0.0)
    effects, bar, more = effects.partition(" || ")
    term = f"({effects} + {more} || Subject)" if bar else f"({effects} | Subject)"
    model = quietly(f"Reaction ~ Days + {term}", data)
    plain = crossnest.lm("Reaction ~ Days", data)
    assert model.confounded
    np.testing.assert_allclose(model.fixef, plain.params, rtol=1e-10)
    assert model.sigma == pytest.approx(plain.sigma, rel=1e-8)


def test_groups_that_are_a_function_of_a_fixed_factor(sleep):
    model, text = warned("Reaction ~ f + Days + (1 | Subject) + (1 | h)", sleep)
    assert text.startswith("`(1 | h)`")
    assert model.objective == pytest.approx(1769.49243649, abs=1e-6)
    assert model.aic == pytest.approx(1783.49244, abs=1e-4)
    assert model.theta.iloc[0] == pytest.approx(1.232916, rel=1e-6)
    np.testing.assert_allclose(model.bse.iloc[:2], [17.844179, 24.711034], rtol=0.02)
    np.testing.assert_allclose(model.fittedvalues.iloc[:2], [291.487237, 301.954523], rtol=1e-7)
    model, _ = warned("Reaction ~ f + Days + (1 | Subject) + (1 | h)", sleep, reml=False)
    assert model.objective == pytest.approx(1792.79767387, abs=1e-6)
    np.testing.assert_allclose(model.bse.iloc[:2], [15.137127, 20.790206], rtol=1e-5)


def test_one_lagoon_in_each_habitat(sleep):
    data = sleep.rename(columns={"f": "habitat", "h": "lagoon"})
    model, text = warned("Reaction ~ 0 + habitat + (1 | habitat:lagoon)", data)
    assert "`(1 | habitat:lagoon)`" in text
    assert model.objective == pytest.approx(1938.17461524, abs=1e-6)
    np.testing.assert_allclose(model.bse, 12.2115014, rtol=1e-7)
    np.testing.assert_allclose(model.fixef, [284.721270, 304.448093, 306.354312], rtol=1e-8)


@pytest.mark.parametrize("bar", ["||", "|"])
def test_an_effect_of_a_term_within_the_span(sleep, bar):
    """Only the intercepts are hidden; the variance of the slopes is estimated."""
    model, text = warned(f"Reaction ~ Subject + Days + (Days {bar} Subject)", sleep)
    assert "(Intercept)" in text and "Days" in text
    assert model.objective == pytest.approx(1578.38447794, abs=1e-6)
    assert model.theta.iloc[-1] == pytest.approx(0.2314074, rel=1e-5)
    assert model.bse.iloc[1] == pytest.approx(41.172170, rel=0.01)
    np.testing.assert_allclose(model.fittedvalues.iloc[:2], [253.576287, 273.255741], rtol=1e-6)


def test_an_effect_within_the_span_by_maximum_likelihood(sleep):
    """lme4: deviance 1688.34, a correlation of -1."""
    model, text = warned("Reaction ~ Subject + Days + (Days | Subject)", sleep, reml=False)
    assert "a multiple of the others, correlation 1 or -1" in text
    assert model.objective == pytest.approx(1688.34078963, abs=1e-6)
    np.testing.assert_allclose(model.theta, [1.0804780, -0.2401087, 0], atol=1e-4)
    assert (
        model.objective
        < quietly("Reaction ~ Subject + Days + (Days || Subject)", sleep, reml=False).objective
    )


def test_slopes_within_the_span_are_found_behind_free_intercepts(sleep):
    model, text = warned("Reaction ~ Subject:Days + (Days | Subject)", sleep)
    assert "the effect Days of `(Days | Subject)`" in text
    free = quietly("Reaction ~ Subject:Days + (1 | Subject)", sleep)
    assert model.objective == pytest.approx(free.objective, abs=1e-6)
    assert model.theta["Subject.Days.(Intercept)"] == pytest.approx(0, abs=1e-10)


def test_a_combination_of_effects_within_the_span(sleep):
    """The sum of the indicator columns of a factor is the intercept."""
    data = sleep.assign(late=np.where(sleep["Days"] > 4, "late", "early"))
    model, text = warned("Reaction ~ Subject + late + (0 + late | Subject)", data)
    assert "a combination of the effects" in text
    contrast, _ = warned("Reaction ~ Subject + late + (late | Subject)", data)
    assert model.objective == pytest.approx(contrast.objective, abs=1e-6)
    assert np.all(np.isfinite(model.bse)) and model.bse.max() < 200


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_what_is_held_does_not_depend_on_units(sleep, scale):
    data = sleep.assign(Days=sleep["Days"] * scale, Reaction=sleep["Reaction"] / scale)
    model, _ = warned("Reaction ~ Subject * Days + (Days | Subject)", data)
    reference, _ = warned("Reaction ~ Subject * Days + (Days | Subject)", sleep)
    np.testing.assert_allclose(model.tvalues, reference.tvalues, rtol=1e-6)


def test_a_part_of_the_groups_within_the_span_is_not_flagged(sleep):
    """Dummies for all subjects but three leave the variance between these three."""
    few = "s" + sleep["Subject"].astype(str)
    data = sleep.assign(part=np.where(few.isin(["s308", "s309", "s310"]), "other", few))
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentifiabilityWarning)
        model = lmer("Reaction ~ part + Days + (1 | Subject)", data)
    assert model.confounded == () and model.theta.iloc[0] > 0


# ---------------------------------------------------------------- terms that cannot be told apart


def test_the_same_term_twice_is_that_term(sleep):
    model, text = warned("Reaction ~ Days + (1 | Subject) + (1 | Subject)", sleep)
    once = lmer("Reaction ~ Days + (1 | Subject)", sleep)
    assert "`(1 | Subject)` cannot be distinguished from `(1 | Subject)`" in text
    assert model.objective == pytest.approx(1786.4650854, abs=1e-6)
    assert model.aic == pytest.approx(1796.46509, abs=1e-4)
    assert list(model.theta) == [pytest.approx(once.theta.iloc[0]), 0]
    np.testing.assert_allclose(model.bse, once.bse, rtol=1e-7)
    assert not model.is_singular


def test_an_intercept_that_another_term_has(sleep):
    model, text = warned("Reaction ~ Days + (1 | Subject) + (Days | Subject)", sleep)
    assert "`(1 | Subject)` cannot be distinguished from `(Days | Subject)`" in text
    assert "write `(Days | Subject)` alone" in text
    assert model.objective == pytest.approx(1743.62827198, abs=1e-6)
    np.testing.assert_allclose(model.bse, [6.8246, 1.5458], rtol=1e-4)


def test_other_labels_for_the_same_groups(sleep):
    model, text = warned("Reaction ~ Days + (1 | Subject) + (1 | S2)", sleep)
    assert "'S2' and 'Subject' make the same groups" in text
    assert model.objective == pytest.approx(1786.46508539, abs=1e-6)
    assert model.theta.to_numpy().tolist() == [pytest.approx(1.197881, rel=1e-5), 0]


def test_effects_that_two_terms_share(sleep):
    data = sleep.assign(square=sleep["Days"] ** 2 / 10)
    model, text = warned("Reaction ~ Days + (Days | Subject) + (square | S2)", data)
    assert "the effect (Intercept) of" in text and "only the sum of their variances" in text
    larger = quietly("Reaction ~ Days + (Days + square | Subject)", data)
    smaller = quietly("Reaction ~ Days + (Days | Subject) + (0 + square | S2)", data)
    assert larger.objective - 1e-6 < model.objective < smaller.objective + 1e-6


def test_dependent_effects_of_one_term(sleep):
    model, text = warned("Reaction ~ Days + (Days + twice | Subject)", sleep)
    assert "linearly dependent" in text
    assert model.objective == pytest.approx(1743.62827198, abs=1e-5)


def test_a_level_for_each_observation_is_the_residual(sleep):
    model, text = warned("Reaction ~ Days + (1 | Subject) + (1 | obs)", sleep)
    one = lmer("Reaction ~ Days + (1 | Subject)", sleep)
    (found,) = model.confounded
    assert (found.kind, found.term, found.other) == ("residual", "(1 | obs)", None)
    assert "distinguished from the residual: 'obs' has a level for each observation" in text
    assert model.objective == pytest.approx(one.objective, abs=1e-8)
    assert model.sigma == pytest.approx(one.sigma, rel=1e-6)
    assert list(model.theta[["obs.(Intercept)"]]) == [0.0]


def test_one_effect_of_equal_size_for_each_observation(sleep):
    """Whether 3 or -3: its square is the same in each row."""
    data = sleep.assign(z=np.where(sleep["Days"] % 2 == 0, 3.0, -3.0))
    model, _ = warned("Reaction ~ Days + (1 | Subject) + (0 + z | obs)", data)
    assert model.confounded[0].kind == "residual"
    both, text = warned("Reaction ~ Days + (1 | Subject) + (1 + z || obs)", data)
    assert [one.kind for one in both.confounded] == ["residual", "residual"]
    assert both.objective == pytest.approx(model.objective, abs=1e-8)
    assert text.count("held at zero") == 2


def test_correlated_effects_for_each_observation_are_refused(sleep):
    with pytest.raises(DesignError, match=r"has 360 random effects .2 for each of 180 levels"):
        lmer("Reaction ~ Days + (Days | obs)", sleep)


def weighted_criterion(data, weights, theta, reml):
    """Compute -2 log L of y ~ x + (1 | row), one row for each level, by n x n matrices."""
    X = np.column_stack([np.ones(len(data)), data["x"]])
    V = np.diag(1.0 / weights + theta**2)
    inverse = np.linalg.inv(V)
    C = X.T @ inverse @ X
    residual = data["y"] - X @ np.linalg.solve(C, X.T @ inverse @ data["y"])
    r2, nu = residual @ inverse @ residual, len(data) - 2 * reml
    value = np.linalg.slogdet(V)[1] + nu * (1 + np.log(2 * np.pi * r2 / nu))
    return value + reml * np.linalg.slogdet(C)[1]


@pytest.mark.parametrize("reml", [True, False])
def test_weights_tell_an_effect_for_each_observation_from_the_residual(reml):
    """As in a random-effects meta-analysis; lme4 needs check.nobs.vs.nlev = "ignore"."""
    rng = np.random.default_rng(3)
    n = 200
    weights = 10.0 ** rng.uniform(-2, 2, n)
    data = pd.DataFrame({"row": [f"r{i}" for i in range(n)], "x": rng.normal(size=n)})
    data["y"] = data["x"] + rng.normal(size=n) + rng.normal(size=n) / np.sqrt(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = lmer("y ~ x + (1 | row)", data, weights=weights, reml=reml)
    assert model.confounded == () and model.converged
    theta = model.theta.iloc[0]
    values = [weighted_criterion(data, weights, theta * c, reml) for c in (0.99, 1.0, 1.01)]
    assert model.objective == pytest.approx(values[1], abs=1e-9)
    assert values[1] == min(values)


def test_weights_without_effect_beside_an_effect_for_each_observation():
    """The criterion falls to a limit as sigma goes to zero: nothing is fitted exactly."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"row": [f"r{i}" for i in range(80)], "x": rng.normal(size=80)})
    data["y"] = rng.normal(size=80)
    weights = np.exp(2.0 * data["y"].abs().to_numpy())
    with pytest.warns(
        IdentifiabilityWarning, match=r"all of the variance is that of `\(1 \| row\)`"
    ):
        model = lmer("y ~ x + (1 | row)", data, weights=weights)
    assert not model.converged
    limit = weighted_criterion(data, weights, 1e6, True)
    assert model.objective == pytest.approx(limit, abs=1e-4)


@pytest.fixture(scope="module")
def cells():
    """Simulate three rows in each cell of 40 groups and 3 levels."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        [(f"g{g}", f, r) for g in range(40) for f in "abc" for r in range(3)],
        columns=["g", "f", "r"],
    )
    effects = pd.Series(rng.normal(size=40), [f"g{g}" for g in range(40)])
    data["y"] = effects[data["g"]].to_numpy() + rng.normal(size=len(data))
    data["y"] += np.repeat(rng.normal(size=120), 3)
    return data


@pytest.mark.parametrize(
    ("formula", "others"),
    [
        ("y ~ 1 + (1 | g) + cs(0 + f | g, hom=TRUE)", ["(1 | g)"]),
        ("y ~ f + (1 | g:f) + cs(0 + f | g, hom=TRUE)", ["(1 | g:f)"]),
        ("y ~ f + (1 | g:f) + (1 | g) + cs(0 + f | g, hom=TRUE)", ["(1 | g)", "(1 | g:f)"]),
        ("y ~ f + (1 | g:f) + diag(0 + f | g, hom=TRUE)", ["(1 | g:f)"]),
        (
            "y ~ f + cs(0 + f | g, hom=TRUE) + ar1(0 + f | g, hom=TRUE)",
            ["ar1(0 + f | g, hom=TRUE)"],
        ),
    ],
)
def test_variances_that_can_pass_to_another_term(cells, formula, others):
    """The criterion was flat and nothing said so."""
    model, text = warned(formula, cells)
    assert {one.kind for one in model.confounded} == {"shared"}
    assert sorted(str(one.other) for one in model.confounded) == others
    assert "cannot be distinguished from" in text
    found = quietly_call(model.confint, parm="theta_")
    assert found.drop("sigma", errors="ignore").isna().all(axis=None)


def test_a_variance_that_can_pass_to_the_residual(cells):
    """As where cs(0 + f | g, hom=TRUE) stands for (1 | g), with each level once in each group."""
    once = cells[cells["r"] == 0]
    model, text = warned("y ~ f + cs(0 + f | g, hom=TRUE)", once)
    (found,) = model.confounded
    assert (found.kind, found.other) == ("shared", None)
    assert "cannot be distinguished from the residual" in text
    assert model.objective == pytest.approx(lmer("y ~ f + (1 | g)", once).objective, abs=1e-6)
    assert quietly_call(model.confint, parm=["theta_", "sigma"]).isna().all(axis=None)
    again = lmer("y ~ f + (1 | g)", once)
    np.testing.assert_allclose(model.bse, again.bse, rtol=1e-4)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ f + cs(0 + f | g, hom=TRUE)",
        "y ~ f + cs(0 + f | g)",
        "y ~ f + ar1(0 + f | g, hom=TRUE)",
        "y ~ f + (1 | g) + diag(0 + f | g, hom=TRUE)",
        "y ~ f + (1 | r) + cs(0 + f | g, hom=TRUE)",
    ],
)
def test_structures_that_can_be_told_are_not_flagged(cells, formula):
    assert quietly(formula, cells).confounded == ()


def test_a_response_that_the_groups_determine_is_named(sleep):
    """It was 'not converged' after 500 evaluations, with standard errors of rounding errors."""
    model, text = warned("mean ~ 1 + (1 | Subject)", sleep)
    assert "fitted exactly by the fixed effects and `(1 | Subject)`" in text
    means = sleep.groupby("Subject", observed=True)["mean"].first()
    # The limit for theta to infinity: r2 is all penalty, of 17 squares, but counts 179.
    limit = means.std() / np.sqrt(18) * np.sqrt(17 / 179)
    assert model.bse.iloc[0] == pytest.approx(limit, rel=1e-6)
    assert not model.converged
    assert "not converged" not in str(model.summary())
    two, text = warned(
        "both ~ 1 + (1 | Subject) + (1 | Days)",
        sleep.assign(both=sleep["mean"] + sleep["Days"] ** 2),
    )
    assert "`(1 | Subject)` and `(1 | Days)`" in text
    with pytest.raises(ValueError, match="the deviance has no minimum"):
        two.confint()


def test_precise_measurements_are_not_called_exact(sleep):
    rng = np.random.default_rng(1)
    data = sleep.assign(y=sleep["mean"] + 1e-3 * rng.normal(size=len(sleep)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = lmer("y ~ 1 + (1 | Subject)", data)
    assert model.converged and model.sigma == pytest.approx(1e-3, rel=0.2)


# ------------------------------------------------------------------------------- all that follows

CONFOUNDED = {
    "fixed": ("Reaction ~ Subject + Days + (1 | Subject)", None),
    "function": ("Reaction ~ f + Days + (1 | Subject) + (1 | h)", "(1 | h)"),
    "effect": ("Reaction ~ Subject + Days + (Days | Subject)", None),
    "twice": ("Reaction ~ Days + (1 | Subject) + (1 | Subject)", "(1 | Subject)"),
    "within": ("Reaction ~ Days + (1 | Subject) + (Days | Subject)", "(1 | Subject)"),
    "labels": ("Reaction ~ Days + (1 | Subject) + (1 | S2)", "(1 | S2)"),
    "residual": ("Reaction ~ Days + (1 | Subject) + (1 | obs)", "(1 | obs)"),
}


@pytest.mark.parametrize("name", CONFOUNDED)
@pytest.mark.parametrize("reml", [True, False])
def test_every_verb_works(sleep, name, reml, tmp_path):
    formula, _ = CONFOUNDED[name]
    model = quietly(formula, sleep, reml=reml)
    (found,) = model.confounded
    assert f"not identifiable: {found}" in str(model.summary())
    assert repr(model).count("not identifiable") == 1
    table = model.summary().coef_table
    assert np.all(np.isfinite(table["df"])) and np.all(table["df"] > 0)
    assert np.all(np.isfinite(model.anova()["F value"]))
    if reml:
        kenward_roger = model.summary(ddf="kenward-roger").coef_table
        assert np.all(np.isfinite(kenward_roger["df"]))
    np.testing.assert_allclose(model.predict(sleep), model.fittedvalues, rtol=1e-7)
    assert model.simulate(2, seed=1).shape == (180, 2)
    assert quietly_call(model.refit, sleep["Reaction"]).objective == model.objective
    many = model.refit_many(np.column_stack([sleep["Reaction"]] * 2))
    np.testing.assert_allclose(many.objective, model.objective, atol=1e-6)
    np.testing.assert_allclose(many.theta[0], model.theta, atol=1e-4)
    model.save(tmp_path / "model")
    loaded = crossnest.load(tmp_path / "model")
    assert loaded.confounded == model.confounded
    assert str(loaded.summary()) == str(model.summary())


def quietly_call(call, *arguments, **options):
    """Call without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **options)


@pytest.mark.parametrize("name", CONFOUNDED)
def test_intervals_of_what_is_not_determined_are_missing(sleep, name):
    formula, _ = CONFOUNDED[name]
    model = quietly(formula, sleep)
    with pytest.warns(ProfileWarning, match=r"cannot be profiled: the data do not determine it"):
        found = model.confint(parm=["theta_", "sigma"])
    assert found.isna().any(axis=1).sum() in (1, 2)
    assert np.all(np.isfinite(found.loc["sigma"]))
    assert any("do not determine" in str(note) for note in found.attrs["notes"].values())


def test_intervals_of_the_term_that_stays_are_its_own(sleep):
    once = lmer("Reaction ~ Days + (1 | Subject)", sleep).confint()
    for name in ("twice", "labels", "residual"):
        with pytest.warns(ProfileWarning):
            twice = quietly(CONFOUNDED[name][0], sleep).confint()
        np.testing.assert_allclose(twice.dropna(), once, rtol=1e-4)


@pytest.mark.parametrize("name", CONFOUNDED)
@pytest.mark.parametrize("reml", [True, False])
def test_leaving_a_term_out_never_lowers_the_criterion(sleep, name, reml):
    formula, _ = CONFOUNDED[name]
    model = quietly(formula, sleep, reml=reml)
    table = quietly_call(model.ranova)
    ratios = table["LRT"].dropna().to_numpy()
    assert np.all(ratios > -1e-6)


def test_bootstraps_of_a_confounded_model(sleep):
    model = quietly(CONFOUNDED["function"][0], sleep)
    result = quietly_call(model.bootstrap, 20, seed=1)
    assert np.all(np.isfinite(result.replicates["sigma"]))


# ------------------------------------------------------------------------- what must not be flagged


def random_problem(rng):
    """Draw a small design: X, Z of one to three terms on few or copied factors, weights."""
    n = int(rng.integers(12, 60))
    factors = []
    for _ in range(int(rng.integers(1, 4))):
        if factors and rng.random() < 0.2:
            codes, levels = factors[-1]
            factors.append((rng.permutation(levels).astype(np.int32)[codes], levels))
            continue
        levels = int(rng.integers(2, max(3, n // 3)))
        codes = np.concatenate([np.arange(levels), rng.integers(0, levels, n - levels)])
        factors.append((rng.permutation(codes).astype(np.int32), levels))
    x = [rng.normal(size=n) * 10.0 ** rng.integers(-3, 4) + rng.integers(0, 3) for _ in range(2)]
    columns = [np.ones(n)]
    if rng.random() < 0.5:
        columns.append(x[0])
    if rng.random() < 0.4:
        codes, levels = factors[0]
        dummies = (codes[:, None] == np.arange(levels)).astype(float)
        columns.extend(dummies.T[: int(rng.integers(1, levels + 1))])
    if rng.random() < 0.15:
        codes, levels = factors[0]
        columns.extend((codes[:, None] == np.arange(levels)).T * x[0])
    X = np.asfortranarray(np.column_stack(columns))
    weights = 10.0 ** rng.uniform(-3, 3, n) if rng.random() < 0.3 else None
    terms = []
    for position, _ in enumerate(factors):
        effects = [None, x[0], x[1]][: int(rng.integers(1, 4))]
        if rng.random() < 0.2:
            effects = effects[1:] or [x[1]]
        terms.append((position, effects, str(rng.choice(["unstructured", "diagonal"]))))
    return X, rng.normal(size=n), weights, factors, terms


def determined(X, weights, factors, terms):
    """Whether the variances can be told apart, by dense linear algebra.

    The derivatives of K'VK, K'X = 0, with respect to all entries of the covariance matrices and to
    sigma^2 must be linearly independent.
    """
    n = len(X)
    root = np.ones(n) if weights is None else np.sqrt(weights)
    left, values, _ = np.linalg.svd(root[:, None] * X / np.linalg.norm(X, axis=0))
    K = left[:, int(np.sum(values > 1e-7 * values[0])) :]
    derivatives = [np.eye(K.shape[1])]
    for position, effects, structure in terms:
        codes, levels = factors[position]
        dummies = (codes[:, None] == np.arange(levels)).astype(float)
        Z = [K.T @ (root[:, None] * dummies * (1 if z is None else z[:, None])) for z in effects]
        full = [np.linalg.norm(root if z is None else root * z) for z in effects]
        for i in range(len(Z)):
            for j in [i] if structure == "diagonal" else range(i + 1):
                product = Z[i] @ Z[j].T
                derivatives.append((product + product.T) / (full[i] * full[j]) * n)
    stacked = np.stack([d.ravel() for d in derivatives], axis=1)
    singular = np.linalg.svd(stacked, compute_uv=False)
    return len(singular) == stacked.shape[1] and singular[-1] > 1e-9 * singular[0]


def test_nothing_is_flagged_that_can_be_told():
    """1,000 random designs, many of them confounded, against dense linear algebra."""
    rng = np.random.default_rng(8)
    drawn = flagged = missed = 0
    while drawn < 1000:
        X, y, weights, factors, terms = random_problem(rng)
        if len(X) <= X.shape[1] + 1:
            continue
        try:
            problem = engine(X, y, weights, factors, terms, threads=1)
            theta = (problem.model.lower_bounds == 0).astype(float)
            found = problem.estimates(theta, True).confounded
        except _core.FitError:  # X leaves no residuals
            continue
        drawn += 1
        known = determined(X, weights, factors, terms)
        assert not (found and known), (found, X.shape, terms)
        flagged += bool(found)
        missed += not found and not known
    assert flagged > 150
    assert missed == 0


def test_warnings_are_of_the_package(sleep):
    assert issubclass(IdentifiabilityWarning, crossnest.CrossnestWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SingularFitWarning)
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        for formula, _ in CONFOUNDED.values():
            lmer(formula, sleep)


def test_comparisons_of_an_exact_fit_do_not_repeat_the_warning(sleep):
    model, _ = warned("mean ~ Days + (1 | Subject)", sleep)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = model.drop1()
    assert table["LRT"].dropna().min() > -1e-6


def test_the_lowest_of_several_minima_where_terms_share_an_effect():
    """It ended 3.8 above: the variance of the intercept may go to either term."""
    rng, n = np.random.default_rng(133), 60
    g, a = rng.integers(0, 6, n), rng.integers(0, 4, n)
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": g, "a": a})
    effects = rng.normal(size=6)[g] + rng.normal(size=6)[g] * data["x"] + rng.normal(size=4)[a]
    data["y"] = 5 + effects + rng.normal(size=n)
    formula = "y ~ 0 + (x | g) + (z | g) + (1 | a)"
    model = quietly(formula, data.astype({"g": str, "a": str}), reml=False)
    problem = model._problem
    bounded = np.isfinite(problem.model.lower_bounds)
    starts = 10.0 ** rng.uniform(-2, 2, (20, 1)) * np.where(bounded, 1.0, rng.normal(size=(20, 7)))
    least = min(problem.fit(False, start).objective for start in starts)
    assert model.objective < least + 1e-6
    assert model.refit_many(model.design.y[:, None]).objective[0] < least + 1e-6


@pytest.mark.parametrize("seed", [4, 6, 13, 24])
def test_fewer_effects_than_given_fit_exactly_in_any_units(seed):
    """It could not compute the criterion for some units of y, or theta grew to 1e8."""
    rng, n = np.random.default_rng(seed), 48
    data = pd.DataFrame({"x": rng.normal(size=n), "w": rng.uniform(1, 3, n)})
    data["f"], data["h"] = np.array(list("pqr"))[[np.arange(n) % 3, np.arange(n) // 2 % 3]]
    for name, levels in (("a", 4), ("b", 3), ("g", 5)):
        data[name] = rng.permutation(np.arange(n) % levels).astype(str)
    data["y"] = rng.normal(size=n) + data["x"]
    twice = pd.concat([data, data])
    formula = "y ~ bs(x, df=4):f + (1 | a*g) + (0 + h | a/b)"
    models = [
        quietly(formula, twice.assign(y=unit * twice["y"]), weights=np.full(2 * n, 0.5), reml=False)
        for unit in (1.0, 1e-4, 1e4)
    ]
    for model in models:
        assert any(one.kind == "exact" for one in model.confounded)
        assert not model.converged
        assert np.isfinite(model.objective)
        assert np.abs(model.theta).max() < 1e6
