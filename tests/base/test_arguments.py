"""Arguments that many functions take: what is refused, and how it is said."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest.base.arguments import as_list, check_count, check_flag, check_level, choice
from crossnest.base.ddf_methods import check_ddf


def test_one_or_several():
    assert as_list("Days") == ["Days"]
    assert as_list(("a", "b")) == ["a", "b"]
    assert as_list(3) == [3]
    assert as_list(None) == [None]


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_counts(value):
    assert check_count(value, "n") == value


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0, ValueError, "n must be at least 1, not 0"),
        (2.0, TypeError, r"n must be a whole number, not 2\.0"),
        (True, TypeError, "n must be a whole number, not True"),
        ("3", TypeError, "n must be a whole number, not '3'"),
    ],
)
def test_what_is_no_count(value, error, text):
    with pytest.raises(error, match=text):
        check_count(value, "n")


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (1.0, ValueError), (95, ValueError), (np.nan, ValueError), ("a", TypeError)],
)
def test_what_is_no_level(value, error):
    assert check_level(np.float32(0.5)) == 0.5
    with pytest.raises(error, match=r"coverage must be .*between 0 and 1"):
        check_level(value, "coverage")


def test_flags_are_true_or_false():
    for value in (True, False, np.True_):
        check_flag(value, "se")
    check_flag(None, "pool", optional=True)
    for value in ("no", "ML", 0, 1.0, [], None):
        with pytest.raises(TypeError, match="se must be True or False, not"):
            check_flag(value, "se")


def test_ml_as_text_does_not_fit_by_reml():
    data = crossnest.datasets.dyestuff()
    message = r"reml must be True or False, not 'ML' \(True is REML, False is maximum likelihood\)"
    with pytest.raises(TypeError, match=message):
        crossnest.lmer("Yield ~ 1 + (1 | Batch)", data, reml="ML")
    with pytest.raises(TypeError, match="reml must be True or False, not 1"):
        crossnest.lmer("Yield ~ 1 + (1 | Batch)", data, reml=1)


def flags(function):
    """Name the arguments that are True or False."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if str(p.annotation) in ("bool", "bool | None")]


def test_no_text_slips_through_as_true(fitted):
    model, ml = fitted("sleepstudy"), fitted("sleepstudy_ml")
    data = crossnest.datasets.sleepstudy()
    lists = crossnest.lm_list("Reaction ~ Days | Subject", data)
    needed = {
        "objective_at": (model.theta,),
        "gradient_at": (model.theta,),
        "refit_many": (np.zeros((180, 1)),),
        "contest": ("Days",),
        "save": ("nowhere",),
        "from_design": (model.design,),
        "marginal": ("Days",),
    }
    asked = [(model, name) for name in dir(model) if not name.startswith("_")]
    asked += [(lists, name) for name in dir(lists) if not name.startswith("_")]
    asked += [(crossnest.lm("Reaction ~ Days", data), "predict"), (model.summary(), "to_text")]
    asked += [(model.plot, name) for name in dir(model.plot) if not name.startswith("_")]
    calls = [(getattr(one, name), needed.get(name, ())) for one, name in asked]
    calls += [
        (crossnest.lmer, ("Reaction ~ Days + (1 | Subject)", data)),
        (crossnest.LinearMixedModel.from_design, (model.design,)),
        (crossnest.lm_list, ("Reaction ~ Days | Subject", data)),
        (crossnest.anova, (model, ml)),
        (crossnest.compare, (model,)),
        (crossnest.pb_modcomp, (model, model)),
    ]
    checked = 0
    for function, arguments in calls:
        if not callable(function):
            continue
        for flag in flags(function):
            with pytest.raises(TypeError, match=f"{flag} must be True or False, not 'no'"):
                function(*arguments, **{flag: "no"})
            checked += 1
    assert checked >= 30


def test_a_count_has_a_largest():
    with pytest.raises(ValueError, match="threads must be at most 8, not 9"):
        check_count(9, "threads", 8)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"threads": 2**40}, ValueError),
        ({"max_evaluations": 10**12}, ValueError),
        ({"memory_limit": 2**70}, ValueError),
        ({"memory_limit": 1e9}, TypeError),
        ({"tolerance": 10**400}, ValueError),
        ({"tolerance": np.inf}, ValueError),
        ({"tolerance": "1e-9"}, TypeError),
    ],
)
def test_numbers_out_of_range_failed_in_the_cast_to_the_engines_types(options, error):
    with pytest.raises(error, match=f"Control: {next(iter(options))} must be"):
        crossnest.Control(**options)


FORMULA = "Reaction ~ Days + (1 | Subject)"


@pytest.mark.parametrize(
    ("call", "argument", "text"),
    [
        ("lmer", "REML", "here reml=True or reml=False"),
        ("lmer", "groups", "here grouping factors go in the formula"),
        ("lmer", "re_formula", "here random effects go in the formula"),
        ("lmer", "vc_formula", "here variance components are terms of the formula"),
        ("lmer", "missing", "here na_action='drop'"),
        ("lmer", "subset", "here select the rows first"),
        ("lmer", "verbose", "here nothing is printed"),
        ("lmer", "family", "here only the linear model"),
        ("lmer", "newdata", "here new rows are for model.predict"),
        ("lmer", "wieghts", "did you mean 'weights'?"),
        ("lmer", "zzz", "its arguments are formula, data, reml"),
        ("lm", "reml", "here a linear model has no variance components"),
        ("lm", "subset", "here select the rows first"),
        ("lm_list", "groups", "'y ~ x | g'"),
        ("predict", "re_form", "here re='none'"),
        ("predict", "se_fit", "here se=True"),
        ("predict", "data", "here it is 'newdata'"),
        ("simulate", "nsim", "here it is 'n'"),
        ("simulate", "re_form", "here re='new'"),
        ("predict", "conf.level", "here it is 'level'"),
        ("predict", "alpha", "here level=0.95 is alpha=0.05"),
        ("tidy", "conf_level", "here it is 'level'"),
        ("tidy", "conf.level", "here it is 'level'"),
        ("profile", "which", "here it is 'parm'"),
        ("confint", "alpha", "here level=0.95 is alpha=0.05"),
        ("confint", "conf_level", "here it is 'level'"),
        ("confint", "nsim", "here it is 'n'"),
        ("confint", "boot.type", "here it is 'interval'"),
        ("confint", "information", "ddf='kenward-roger-observed'"),
        ("conf_int", "level", "here alpha=0.05 is level=0.95"),
        ("bootstrap", "nsim", "here it is 'n'"),
        ("bootstrap", "type", "here it is 'kind'"),
        ("bootstrap", "ncpus", "here it is 'n_jobs'"),
        ("residuals", "type", "here it is 'kind'"),
        ("quantile_residuals", "nsim", "here it is 'n'"),
        ("summary", "information", "ddf='kenward-roger-observed'"),
        ("anova", "information", "ddf='kenward-roger-observed'"),
        ("contest", "information", "ddf='kenward-roger-observed'"),
        ("contest", "joint_test", "here it is 'joint'"),
        ("emmeans", "lmer.df", "here it is 'ddf'"),
        ("emmeans", "alpha", "here level=0.95 is alpha=0.05"),
        ("emtrends", "mode", "here it is 'ddf'"),
        ("drop1", "information", "ddf='kenward-roger-observed'"),
        ("step", "alpha.random", "did you mean 'alpha_random'?"),
        ("refit", "newresp", "here the response is the argument 'y'"),
        ("refit", "newdata", "here refit takes a response"),
    ],
)
def test_arguments_of_other_packages_are_explained(fitted, call, argument, text):
    model = fitted("sleepstudy")
    function = getattr(crossnest if call.startswith("lm") else model, call)
    given = (FORMULA, crossnest.datasets.sleepstudy()) if call.startswith("lm") else ()
    with pytest.raises(TypeError, match=re.escape(f"{call}() has no argument '{argument}'; ")) as e:
        function(*given, **{argument: None})
    assert text in str(e.value)


def test_the_kind_of_an_interval_has_its_own_name(fitted):
    options = {"n": 20, "seed": 1, "progress": False}
    model = fitted("sleepstudy")
    result = model.bootstrap(kind="residual", **options)
    for name in ("kind", "type"):
        with pytest.raises(TypeError, match=f"no argument '{name}'; here it is 'interval'"):
            result.confint(**{name: "basic"})
    intervals = model.confint("bootstrap", kind="residual", interval="basic", **options)
    pd.testing.assert_frame_equal(intervals, result.confint(interval="basic"))


def test_arguments_of_comparisons_are_explained_too(fitted):
    model = fitted("sleepstudy")
    with pytest.raises(TypeError, match="no argument 'information'; here ddf='kenward-roger'"):
        crossnest.kr_modcomp(model, "~ 1", information="observed")
    for compare in (crossnest.pb_modcomp, crossnest.exact_rlrt, crossnest.exact_lrt):
        with pytest.raises(TypeError, match="no argument 'nsim'; here it is 'n'"):
            compare(model, nsim=10)


def test_explained_functions_keep_their_signatures_and_warn_at_the_call(fitted):
    assert list(inspect.signature(crossnest.lmer).parameters)[:3] == ["formula", "data", "reml"]
    data = crossnest.datasets.sleepstudy().assign(twice=lambda data: 2 * data["Days"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = crossnest.lmer("Reaction ~ Days + twice + (1 | Subject)", data)
        crossnest.lm("Reaction ~ Days + twice", data)
        crossnest.lm_list("Reaction ~ Days + twice | Subject", data)
        model.refit(data["Reaction"])
    assert len(caught) == 4
    assert {warning.filename for warning in caught} == {__file__}


def test_a_frame_where_a_word_belongs_is_refused_by_name(fitted):
    # A frame compares element by element: "The truth value of a DataFrame is ambiguous".
    model, frame = fitted("sleepstudy_ml"), crossnest.datasets.sleepstudy()
    calls = {
        "re": [lambda: model.simulate(re=frame), lambda: model.quantile_residuals(re=frame)],
        "kind": [lambda: model.residuals(frame), lambda: model.bootstrap(5, kind=frame)],
        "ddf": [lambda: model.summary(ddf=frame), lambda: model.anova(ddf=frame)],
        "new_levels": [lambda: model.predict(new_levels=frame)],
        "interval": [lambda: model.predict(interval=frame)],
        "effects": [lambda: model.model_matrix(frame)],
        "group": [lambda: model.influence(frame)],
        "test": [lambda: model.drop1(test=frame)],
        "alpha": [lambda: model.conf_int(frame), lambda: model.step(alpha_fixed=frame)],
        "result": [lambda: crossnest.to_polars("text")],
    }
    for name, wrong in calls.items():
        for call in wrong:
            with pytest.raises((TypeError, ValueError), match=f"{name}[a-z_]* "):
                call()


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("kenward-roger", "kenward-roger"),
        ("Kenward-Roger", "kenward-roger"),
        ("KenwardRoger", "kenward-roger"),
        ("kenward_roger", "kenward-roger"),
        ("ken", "kenward-roger"),
        ("kr", "kenward-roger"),
        ("KR", "kenward-roger"),
        ("kenward-roger-observed", "kenward-roger-observed"),
        ("Kenward-Roger (observed)", "kenward-roger-observed"),
        ("kr-observed", "kenward-roger-observed"),
        ("KR_obs", "kenward-roger-observed"),
        ("Satterthwaite", "satterthwaite"),
        ("sat", "satterthwaite"),
        ("resid", "residual"),
        ("asymptotic", "normal"),
    ],
)
def test_degrees_of_freedom_by_many_names(value, expected):
    assert check_ddf(value) == expected


@pytest.mark.parametrize("value", ["", "x", "-", "satterthwaites", 3, None, ["kr"], np.zeros(2)])
def test_unknown_options_name_the_known_ones(value):
    with pytest.raises(ValueError, match=r"ddf must be one of 'satterthwaite', 'kenward-roger'"):
        check_ddf(value)
    with pytest.raises(ValueError, match="kind must be one of case, wild, not "):
        choice(value, "kind", ("case", "wild"))


def test_the_beginning_of_several_options_is_none():
    assert choice("ran_p", "effects", ("ran_pars", "ran_vals")) == "ran_pars"
    with pytest.raises(ValueError, match="effects must be one of ran_pars, ran_vals, not 'ran'"):
        choice("ran", "effects", ("ran_pars", "ran_vals"))
    assert choice("ca", "kind", ("case-weighted", "case")) == "case"


def test_values_spelled_as_in_r_are_accepted_everywhere(fitted, tmp_path):
    model = fitted("sleepstudy")
    same = pd.testing.assert_frame_equal
    same(model.anova("III", ddf="Kenward-Roger"), model.anova(3, ddf="kenward-roger"))
    same(model.anova("type 1"), model.anova(1))
    same(model.anova("2", ddf="sat"), model.anova(2))
    same(model.contest("Days", ddf="KR"), model.contest("Days", ddf="kenward-roger"))
    same(model.drop1(test="f", ddf="KR"), model.drop1(test="F", ddf="kenward-roger"))
    same(model.drop1(test="Chi"), model.drop1())
    same(model.step(ddf="Satterthwaite").fixed, model.step().fixed)
    for method in ("Wald", "satterthwaite", "Kenward-Roger", "kr"):
        full = {"Wald": "wald", "kr": "kenward-roger"}.get(method, method.lower())
        same(model.confint(method), model.confint(full))
    options = {"n": 20, "seed": 1, "progress": False}
    same(model.confint("boot", interval="perc", **options), model.confint("bootstrap", **options))
    same(
        model.bootstrap(kind="Parametric", **options).replicates,
        model.bootstrap(**options).replicates,
    )
    means = model.emmeans("Days", ddf="Satterthwaite", adjust="BH")
    assert means.ddf == "satterthwaite"
    assert model.summary(ddf="Kenward-Roger").text == model.summary("kenward-roger").text
    assert model.summary(ddf="lme4").text == model.summary("none").text
    same(model.tidy("fixed", ddf="KR"), model.tidy("fixed", ddf="kenward-roger"))
    assert str(crossnest.compare(model, stars=True, ddf="KR")) == str(
        crossnest.compare(model, stars=True, ddf="kenward-roger")
    )
    model.save(tmp_path / "model", ddf="Satterthwaite")
    assert crossnest.load(tmp_path / "model").anova().shape == (1, 6)
    machines = fitted("machines")
    pairs = machines.emmeans("Machine", contrasts="Pairwise", adjust="Tukey")
    same(pairs.contrasts, machines.emmeans("Machine", contrasts="pairwise").contrasts)


@pytest.mark.parametrize("type", [True, None, 4, 1.5, "IV", "", [3], np.ones(2)])
def test_types_of_hypotheses_that_there_are_not(fitted, type):
    with pytest.raises(ValueError, match="type must be 1, 2 or 3, or 'I', 'II' or 'III', not"):
        fitted("sleepstudy").anova(type)


@pytest.mark.parametrize("path", [None, 3, b"model", np.zeros(3), "a\0b"])
def test_what_is_no_path_is_refused_by_us(path, fitted):
    with pytest.raises(
        (TypeError, ValueError), match=r"path (must be the name of a file|contains a null)"
    ):
        crossnest.load(path)
    with pytest.raises(
        (TypeError, ValueError), match=r"path (must be the name of a file|contains a null)"
    ):
        fitted("dyestuff2").save(path)


@pytest.mark.parametrize("rhs", [1j, "one", np.ones(2) * 1j])
def test_right_sides_are_numbers(rhs, fitted):
    with pytest.raises(TypeError, match="rhs must hold numbers"):
        fitted("sleepstudy").contest("Days", rhs=rhs)
