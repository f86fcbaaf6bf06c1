"""The scikit-learn estimator: scikit-learn's own checks, and lmer's answers."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import crossnest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from crossnest import MixedModelRegressor

SLOPES = "Days + (Days | Subject)"

EXACT = "y is a linear function of X in this check, which leaves no residual variance to estimate"
FREQUENCIES = "weights are precisions: a row of weight 2 is one observation, not two"
#: The grouping factor has to come from the columns of numbers that the checks give.
GROUPS = "(1 | C(np.floor(10 * x0) % 3))"
EXPECTED_FAILURES = {
    f". + x0 + {GROUPS}": {
        "check_sample_weights_shape": EXACT,
        "check_sample_weights_not_overwritten": EXACT,
        "check_regressors_no_decision_function": EXACT,
        "check_sample_weight_equivalence_on_dense_data": FREQUENCIES,
    },
    f"1 + {GROUPS}": {
        "check_regressors_train": "a model without predictors does not reach an R2 of 0.5",
        "check_sample_weight_equivalence_on_dense_data": FREQUENCIES,
    },
}


# The checks' data have no groups: fits are singular, and features are dropped as aliased.
@pytest.mark.filterwarnings("ignore::crossnest.CrossnestWarning")
@parametrize_with_checks(
    [MixedModelRegressor(formula) for formula in EXPECTED_FAILURES],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES[estimator.formula],
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    return crossnest.datasets.sleepstudy()


@pytest.mark.parametrize("formula", [SLOPES, f"Reaction ~ {SLOPES}", f" ~ {SLOPES}"])
def test_fits_the_model_of_lmer(formula, data, fitted):
    X = data.drop(columns="Reaction")
    estimator = MixedModelRegressor(formula).fit(X, data["Reaction"])
    assert_allclose(estimator.model_.theta, fitted("sleepstudy").theta)
    assert estimator.model_.design.response_name == ("Reaction" if "Reac" in formula else "y")
    assert_allclose(estimator.predict(X), fitted("sleepstudy").fittedvalues)
    assert list(estimator.feature_names_in_) == ["Days", "Subject"]


def test_arguments_of_lmer_and_predict(data):
    weights = 1.0 + data["Days"].to_numpy() % 3
    data = data.assign(z=data["Days"] / 7)
    estimator = MixedModelRegressor(SLOPES, reml=False, re="none", offset="z")
    estimator.fit(data, data["Reaction"], sample_weight=pd.Series(weights, index=data.index + 9))
    model = crossnest.lmer(f"Reaction ~ {SLOPES}", data, reml=False, weights=weights, offset="z")
    assert_allclose(estimator.model_.objective, model.objective)
    assert_allclose(estimator.predict(data), model.predict(data, re="none"))


def test_rows_go_by_position_not_by_label(data, fitted):
    y = data["Reaction"].set_axis(data.index[::-1])
    assert_allclose(
        MixedModelRegressor(SLOPES).fit(data, y).model_.theta, fitted("sleepstudy").theta
    )


@pytest.mark.parametrize("groups", ["Subject", 1, -1])
def test_groups_in_place_of_a_formula(groups, data):
    X = data[["Days", "Subject"]]
    model = MixedModelRegressor(groups=groups).fit(X, data["Reaction"]).model_
    expected = crossnest.lmer("Reaction ~ Days + (1 | Subject)", data)
    assert_allclose(model.fixef, expected.fixef)
    assert_allclose(model.theta, expected.theta)


def test_arrays(data):
    X = np.column_stack([data["Subject"].astype(int), data["Days"], np.sin(np.arange(180))])
    estimator = MixedModelRegressor(groups=0).fit(X, data["Reaction"])
    frame = data.assign(x2=X[:, 2])
    expected = crossnest.lmer("Reaction ~ Days + x2 + (1 | Subject)", frame)
    assert list(estimator.model_.fixef.index) == ["(Intercept)", "x1", "x2"]
    assert_allclose(estimator.model_.fixef, expected.fixef)
    assert_allclose(estimator.predict(X[:5]), expected.fittedvalues[:5])
    assert not hasattr(estimator, "feature_names_in_")


def test_only_the_grouping_column(data):
    model = MixedModelRegressor(groups=0).fit(data[["Subject"]], data["Reaction"]).model_
    assert list(model.fixef.index) == ["(Intercept)"]


def test_a_column_named_y_is_a_predictor(data):
    X = data[["Subject"]].assign(y=data["Days"])
    model = MixedModelRegressor(groups="Subject").fit(X, data["Reaction"]).model_
    assert model.formula.startswith("y_ ~ ")
    assert list(model.fixef.index) == ["(Intercept)", "y"]


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_other_data_frames(library, data, fitted):
    pytest.importorskip("pyarrow")
    if library == "polars":
        X = pytest.importorskip("polars").from_pandas(data)
    else:
        X = pytest.importorskip("pyarrow").Table.from_pandas(data)
    estimator = MixedModelRegressor(SLOPES).fit(X, data["Reaction"])
    assert_allclose(estimator.predict(X), fitted("sleepstudy").fittedvalues)


def test_new_groups(data):
    known, new = data[data["Subject"] != "308"], data[data["Subject"] == "308"]
    estimator = MixedModelRegressor(SLOPES).fit(known, known["Reaction"])
    population = estimator.model_.predict(new, re="none")
    assert_allclose(estimator.predict(new), population)
    assert np.isnan(
        clone(estimator).set_params(new_levels="nan").fit(known, known["Reaction"]).predict(new)
    ).all()
    with pytest.raises(crossnest.DesignError, match="308"):
        estimator.set_params(new_levels="error").predict(new)


def test_group_aware_cross_validation(data):
    estimator, folds = MixedModelRegressor(SLOPES), GroupKFold(6)
    scores = cross_val_score(
        estimator,
        data,
        data["Reaction"],
        groups=data["Subject"],
        cv=folds,
        scoring="neg_root_mean_squared_error",
    )
    by_hand = []
    for train, test in folds.split(data, groups=data["Subject"]):
        model = crossnest.lmer(f"Reaction ~ {SLOPES}", data.iloc[train])
        error = data["Reaction"].iloc[test] - model.predict(data.iloc[test], re="none")
        by_hand.append(-np.sqrt(np.mean(error**2)))
    assert_allclose(scores, by_hand)


def test_choice_of_a_formula_by_cross_validation(data):
    formulas = ["1 + (1 | Subject)", SLOPES]
    search = GridSearchCV(MixedModelRegressor(), {"formula": formulas}, cv=GroupKFold(3))
    search.fit(data, data["Reaction"], groups=data["Subject"])
    assert search.best_params_ == {"formula": SLOPES}


def test_pipeline_and_pickle(data):
    centred = FunctionTransformer(lambda X: X.assign(Days=X["Days"] - 4.5))
    pipeline = make_pipeline(centred, MixedModelRegressor(SLOPES)).fit(data, data["Reaction"])
    estimator = pickle.loads(pickle.dumps(pipeline[-1]))
    assert_allclose(estimator.predict(centred.transform(data)), pipeline.predict(data))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either a formula or groups"),
        ({"formula": SLOPES, "groups": 1}, "either a formula or groups"),
        ({"groups": "subject"}, "'subject', which is not a column"),
        ({"groups": 3}, "column 3, and X has 3"),
        ({"formula": f"np.log(Reaction) ~ {SLOPES}"}, "TransformedTargetRegressor"),
        ({"formula": "Days"}, "no random-effects term"),
    ],
)
def test_arguments_that_make_no_model(arguments, message, data):
    with pytest.raises(ValueError, match=message):
        MixedModelRegressor(**arguments).fit(data, data["Reaction"])


@pytest.mark.parametrize("groups", [1.5, True])
def test_groups_are_a_name_or_a_position(groups, data):
    with pytest.raises(TypeError, match="a column's name or position"):
        MixedModelRegressor(groups=groups).fit(data, data["Reaction"])


def test_missing_values_and_other_columns_are_refused(data):
    with pytest.raises(ValueError, match="Days"):
        MixedModelRegressor(SLOPES).fit(
            data.assign(Days=data["Days"].where(data["Days"] > 0)), data["Reaction"]
        )
    estimator = MixedModelRegressor(SLOPES).fit(data, data["Reaction"])
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(data.rename(columns={"Days": "days"}))
