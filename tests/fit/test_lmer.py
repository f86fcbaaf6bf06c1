"""lmer(): arguments, warnings and errors. Numbers are compared with R's in test_reference.py."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import crossnest
from crossnest import Control, datasets, lmer

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture
def sleepstudy():
    return datasets.sleepstudy()


# --- arguments


def test_weights_and_offset_by_name_or_value(sleepstudy):
    sleepstudy["w"] = 1.0 + sleepstudy["Days"]
    sleepstudy["o"] = 2.0 * sleepstudy["Days"]
    by_name = lmer(FORMULA, sleepstudy, weights="w", offset="o")
    by_value = lmer(FORMULA, sleepstudy, weights=list(sleepstudy["w"]), offset=sleepstudy["o"])
    assert by_name.objective == by_value.objective
    assert "\nWeights: w\n Offset: o\n" in str(by_name.summary())
    assert "\nWeights: (array)\n Offset: o\n" in str(by_value.summary())


def test_the_datas_name_is_printed_when_it_has_one(sleepstudy):
    assert "\n   Data: sleepstudy\n" in str(lmer(FORMULA, sleepstudy).summary())
    sleepstudy.attrs.clear()
    assert "Data:" not in str(lmer(FORMULA, sleepstudy).summary())


def test_contrasts_change_parameters_but_not_the_fit():
    data = datasets.machines()
    formula = "score ~ Machine + (1 | Worker)"
    treatment = lmer(formula, data, reml=False)
    summed = lmer(formula, data, reml=False, contrasts={"Machine": "contr.sum"})
    assert summed.objective == pytest.approx(treatment.objective, abs=1e-8)
    assert list(summed.fixef) != list(treatment.fixef)


def test_start_does_not_change_the_optimum(sleepstudy):
    model = lmer(FORMULA, sleepstudy)
    again = lmer(FORMULA, sleepstudy, start=model.theta)
    assert again.objective == pytest.approx(model.objective, abs=1e-8)
    assert again.opt.evaluations <= model.opt.evaluations
    np.testing.assert_allclose(again.opt.start, model.theta)
    far = lmer(FORMULA, sleepstudy, start=[10.0, -3.0, 5.0])
    assert far.objective == pytest.approx(model.objective, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([1.0, 0.0], "start has 2 values, the model has 3 covariance parameters"),
        ([1.0, 0.0, np.inf], "start of Subject.Days is inf"),
        ([-1.0, 0.0, 1.0], r"start of Subject.\(Intercept\) is -1, below its bound 0"),
        ("big", "start must be a sequence of values, not str"),
    ],
)
def test_bad_start(sleepstudy, start, message):
    with pytest.raises(ValueError, match=message):
        lmer(FORMULA, sleepstudy, start=start)


def test_threads_change_nothing(sleepstudy):
    fits = [lmer(FORMULA, sleepstudy, control=Control(threads=n)) for n in (1, 2)]
    assert fits[0].objective == fits[1].objective
    assert list(fits[0].fittedvalues) == list(fits[1].fittedvalues)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"threads": 0}, ValueError, "threads must be at least 1"),
        ({"threads": 1.5}, TypeError, "threads must be a whole number"),
        ({"threads": True}, TypeError, "threads must be a whole number"),
        ({"tolerance": 0.0}, ValueError, "tolerance must be positive"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be positive"),
        ({"tolerance": "small"}, TypeError, "tolerance must be a number"),
        ({"max_evaluations": -1}, ValueError, "max_evaluations must be at least 1"),
        ({"memory_limit": 0}, ValueError, "memory_limit must be at least 1"),
    ],
)
def test_bad_control(options, error, message):
    with pytest.raises(error, match=message):
        Control(**options)


def test_control_must_be_a_control(sleepstudy):
    with pytest.raises(TypeError, match=r"crossnest\.Control, not dict"):
        lmer(FORMULA, sleepstudy, control={"threads": 1})


def test_modular_access(sleepstudy):
    """The steps of lmer by themselves: parse, build, evaluate, fit."""
    parsed = crossnest.parse_formula(FORMULA)
    design = crossnest.build_design(parsed, sleepstudy)
    model = crossnest.LinearMixedModel.from_design(design, reml=False)
    assert model.objective == lmer(FORMULA, sleepstudy, reml=False).objective
    assert model.design is design


# --- warnings, once each and pointing at the caller


def test_singular_fit_names_the_term():
    with pytest.warns(crossnest.SingularFitWarning, match=r"\(1 \| Batch\)") as caught:
        lmer("Yield ~ 1 + (1 | Batch)", datasets.dyestuff2())
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_aliased_columns_are_named(sleepstudy):
    sleepstudy["twice"] = 2.0 * sleepstudy["Days"]
    with pytest.warns(crossnest.RankDeficiencyWarning, match="twice") as caught:
        model = lmer("Reaction ~ Days + twice + (1 | Subject)", sleepstudy)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.dropped == ("twice",)
    assert list(model.fixef.index) == ["(Intercept)", "Days"]
    assert list(model.model_matrix().columns) == ["(Intercept)", "Days"]
    assert "rank deficient so dropping 1 column / coefficient" in str(model.summary())


def test_no_convergence_gives_the_one_number(sleepstudy):
    with pytest.warns(crossnest.ConvergenceWarning, match="lower the criterion by") as caught:
        model = lmer(FORMULA, sleepstudy, control=Control(max_evaluations=2))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not model.converged
    assert "not converged" in str(model.summary())
    assert "not converged" in repr(model)


def test_refit_and_from_design_warn_their_caller():
    data = datasets.dyestuff2()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.SingularFitWarning)
        model = lmer("Yield ~ 1 + (1 | Batch)", data)
    with pytest.warns(crossnest.SingularFitWarning) as caught:
        model.refit(data["Yield"])
        crossnest.LinearMixedModel.from_design(model.design)
    assert {warning.filename for warning in caught} == {__file__}


# --- errors


def test_as_many_fixed_effects_as_observations():
    data = pd.DataFrame(
        {
            "y": np.arange(6.0) ** 2,
            "x": list("abcdaa"),
            "z": list("aaaabc"),
            "g": ["u", "u", "u", "v", "v", "v"],
        }
    )
    with pytest.raises(
        crossnest.DesignError,
        match=r"as many fixed effects as observations.* of the 6 columns, 3 belong to 'x' alone",
    ):
        lmer("y ~ x + z + (1 | g)", data)


def test_memory_is_refused_before_it_is_taken():
    with pytest.raises(MemoryError, match=r"\d"):
        lmer(
            "diameter ~ 1 + (1 | plate) + (1 | sample)",
            datasets.penicillin(),
            control=Control(memory_limit=100),
        )


# --- the package


def test_import_is_light():
    """Matplotlib, narwhals and the data sets are imported when they are used."""
    code = (
        "import sys, crossnest; "
        "print([m for m in ('matplotlib', 'polars', 'pyarrow.dataset', 'crossnest.datasets', "
        "'statsmodels') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_unknown_attributes_of_the_package():
    with pytest.raises(AttributeError, match="nonsense"):
        crossnest.nonsense  # noqa: B018
    assert "datasets" in dir(crossnest)


def test_theta_with_other_labels_is_not_taken_by_position(sleepstudy):
    formula = "Reaction ~ Days + (Days | Subject)"
    model = crossnest.lmer(formula, sleepstudy)
    backwards = model.theta[::-1]
    assert model.objective_at(backwards) == pytest.approx(model.objective)
    again = crossnest.lmer(formula, sleepstudy, start=backwards)
    pd.testing.assert_series_equal(again.theta, model.theta, rtol=1e-5)
    other = pd.Series([1.0, 0.0, 1.0], index=["a", "b", "c"])
    message = r"labels 'a', 'b', 'c', .* are 'Subject\.\(Intercept\)', 'Subject\.Days\.\(Inter"
    for ask in (
        lambda: crossnest.lmer(formula, sleepstudy, start=other),
        lambda: model.objective_at(other),
        lambda: model.gradient_at(model.theta.rename({"Subject.Days": "Subject.days"})),
        lambda: model.evaluate(model.theta.reset_index(drop=True)),
        lambda: model.objective_at(model.theta.iloc[[0, 0, 1]]),
    ):
        with pytest.raises(ValueError, match="is a Series with the labels"):
            ask()
    with pytest.raises(ValueError, match=message):
        model.objective_at(other)


@pytest.mark.filterwarnings("ignore::crossnest.base.errors.CrossnestWarning")
@pytest.mark.parametrize(
    ("random", "names"),
    [
        ("(1 | Subject) + (1 | Subject)", ["Subject.(Intercept)", "Subject.1.(Intercept)"]),
        (
            "(1 | Subject) + (Days | Subject)",
            [
                "Subject.(Intercept)",
                "Subject.1.(Intercept)",
                "Subject.Days.(Intercept)",
                "Subject.Days",
            ],
        ),
        ("(1 | Subject) + (0 + Days | Subject)", ["Subject.(Intercept)", "Subject.Days"]),
    ],
)
def test_no_two_covariance_parameters_share_a_name(sleepstudy, random, names):
    formula = f"Reaction ~ Days + {random}"
    model = crossnest.lmer(formula, sleepstudy)
    assert list(model.theta.index) == names
    assert len(model.theta.to_dict()) == len(names)
    assert model.objective_at(model.theta) == pytest.approx(model.objective)
    again = crossnest.lmer(formula, sleepstudy, start=model.theta)
    assert again.objective == pytest.approx(model.objective, abs=1e-6)
