"""Predictions at the rows fitted and at new ones, their standard errors and intervals."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
from numpy.testing import assert_allclose

import crossnest
import oracle
from crossnest.base.errors import DesignError
from crossnest.design.new_rows import new_rows
from crossnest.prediction.predict import included_terms
from reference_cases import as_array, as_list, case_names, load_case

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "expected" / "golden/prediction/predictions.json").read_text(
        encoding="utf-8"
    )
)["cases"]


def fit(formula, data, **arguments):
    """Fit without a word about singular fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


def mixed_model_inverse(model):
    """Invert the mixed-model equations: sigma^2 times it is the covariance of (beta^, u^ - u).

    Written for b = Lambda u, so that Lambda may be singular. Returns Lambda and the (p + q) matrix.
    """
    design = model.design
    factors = [(factor.codes, factor.n_levels) for factor in design.factors]
    terms = [(t.factor, list(t.columns), t.term.covariance) for t in design.random]
    Lambda = oracle.lambda_matrix(factors, terms, model.theta.to_numpy())
    D = np.hstack([design.X[:, model._kept], oracle.z_matrix(factors, terms) @ Lambda])
    w = np.ones(design.n) if design.weights is None else design.weights
    H = D.T @ (w[:, None] * D)
    p = len(model.fixef)
    H[p:, p:] += np.eye(len(Lambda))
    scale = 1 / np.sqrt(np.diag(H))
    inverse = scipy.linalg.inv(scale[:, None] * H * scale)
    return Lambda, model.sigma**2 * scale[:, None] * inverse * scale


def brute_force(model, newdata, re="all"):
    """Compute predictions and standard errors row by row from dense matrices."""
    design = model.design
    included = included_terms(design, re)
    rows = new_rows(design, newdata, included)
    Lambda, C = mixed_model_inverse(model)
    start = 0
    Z = np.zeros((len(rows.X), len(Lambda)))
    extra = np.zeros(len(rows.X))
    for t, term in enumerate(design.random):
        k, levels = len(term.names), design.factors[term.factor].n_levels
        lam = Lambda[start : start + k, start : start + k]
        columns = [np.ones(len(Z)) if c is None else c for c in rows.columns[t]]
        z = np.stack(columns, axis=1) * included[t]
        for i, level in enumerate(rows.codes[term.factor]):
            if level >= 0:
                Z[i, start + level * k : start + (level + 1) * k] = z[i]
            else:
                extra[i] += model.sigma**2 * np.sum((z[i] @ lam) ** 2)
        start += levels * k
    D = np.hstack([rows.X[:, model._kept], Z @ Lambda])
    b = np.concatenate([modes.ravel() for modes in model._fit.b])
    mean = rows.X[:, model._kept] @ model.fixef.to_numpy() + Z @ b
    return mean, np.sqrt(np.einsum("ij,jk,ik->i", D, C, D) + extra)


def check_against_brute_force(model, newdata, re="all"):
    expected, errors = brute_force(model, newdata, re)
    table = model.predict(newdata, re=re, se=True, new_levels="population")
    assert_allclose(table["fit"], expected, rtol=1e-9)
    assert_allclose(table["se"], errors, rtol=1e-8)


def shuffled(data, seed=1):
    """Rows of `data` with each column permuted: levels that never occurred together."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.permutation(data[name]) for name in data.columns})


@pytest.fixture(scope="module")
def sleepstudy():
    data = crossnest.datasets.sleepstudy()
    data["w"] = 0.5 + np.arange(len(data)) % 3
    data["half"] = np.where(np.arange(len(data)) % 4 < 2, "a", "b")
    return data


# ------------------------------------------------------------------------------- means


@pytest.mark.parametrize("case", case_names())
def test_population_predictions_of_the_reference(case, fitted):
    expected = load_case(case).expected
    if "predict_population_head" not in expected:
        pytest.skip("no predictions in this case")
    head = as_array(expected["predict_population_head"])
    model = fitted(f"reference/{case}")
    assert_allclose(model.predict(re="none").iloc[: len(head)], head, rtol=1e-5)
    assert_allclose(model.predict().iloc[: len(head)], model.fittedvalues.iloc[: len(head)])


@pytest.mark.parametrize(
    "name", ["sleepstudy", "sleepstudy_zcp", "pastes", "penicillin", "machines", "no_fixed"]
)
def test_the_training_data_are_predicted_as_fitted(name, fitted):
    from conftest import MODELS

    model = fitted(name)
    data = crossnest.datasets.load(MODELS[name][0])
    assert_allclose(model.predict(data), model.fittedvalues, rtol=1e-12)
    assert model.predict().equals(model.fittedvalues.rename("fit"))
    assert_allclose(model.predict(data, se=True), model.predict(se=True), rtol=1e-8)
    assert_allclose(model.predict(data, re="none", se=True), model.predict(re="none", se=True))


@pytest.mark.parametrize("case", ["missing_values", "sleepstudy_w", "rank_deficient"])
def test_reference_data_are_predicted_as_fitted(case, fitted):
    model, data = fitted(f"reference/{case}"), load_case(case).data
    predicted = model.predict(data)
    assert_allclose(predicted[model.design.index], model.fittedvalues, rtol=1e-10)
    assert predicted.index.equals(data.index)


def test_a_subset_of_the_random_effects(fitted):
    model = fitted("penicillin")
    population, plate, sample = (model.predict(re=re) for re in ("none", ["(1|plate)"], ["sample"]))
    assert_allclose(plate + sample - population, model.predict(), rtol=1e-12)
    assert model.predict(re=["1 | plate", "sample"]).equals(model.predict(re=["sample", "plate"]))
    assert model.predict(re=[]).equals(population)


def test_a_term_is_found_as_written_and_as_expanded(fitted):
    model = fitted("pastes")
    assert included_terms(model.design, ["(1 | batch/cask)"]) == [True, True]
    assert included_terms(model.design, ["(1 | cask:batch)"]) == [True, False]
    assert included_terms(model.design, ["batch"]) == [False, True]
    zcp = fitted("sleepstudy_zcp")
    assert sum(included_terms(zcp.design, ["(0 + Days | Subject)"])) == 1
    assert all(included_terms(zcp.design, ["Days || Subject"]))


# --------------------------------------------------------------------- standard errors


@pytest.mark.parametrize("case", GOLDEN)
def test_lme4(case):
    data = {
        "penicillin": "penicillin",
        "machines": "machines",
        "pastes": "pastes",
    }.get(case, "sleepstudy")
    frame = crossnest.datasets.load(data)
    formula, arguments = {
        "sleepstudy": ("Reaction ~ Days + (Days | Subject)", {}),
        "sleepstudy_weights_ml": (
            "Reaction ~ Days + (Days | Subject)",
            {"weights": 1.0 + frame.get("Days", pd.Series(0)).to_numpy() % 3, "reml": False},
        ),
        "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", {}),
        "machines": ("score ~ Machine + (0 + Machine | Worker)", {}),
        "pastes": ("strength ~ 1 + (1 | cask:batch) + (1 | batch)", {}),
    }[case]
    model = fit(formula, frame, **arguments)
    model = model.evaluate(GOLDEN[case]["theta"])
    newdata = pd.DataFrame(GOLDEN[case]["newdata"])
    for name, expected in GOLDEN[case]["re"].items():
        re = name if name in ("all", "none") else [name]
        table = model.predict(newdata, re=re, se=True)
        assert_allclose(table["fit"], expected["fit"], rtol=1e-9)
        assert_allclose(table["se"], expected["se"], rtol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days + (1 | Subject)",
        "Reaction ~ Days + (Days | Subject)",
        "Reaction ~ Days + (Days || Subject)",
        "Reaction ~ Days + half + (1 | Subject) + (0 + Days | Subject) + (half | Days)",
    ],
)
def test_single_and_vector_terms(sleepstudy, formula, weights, reml):
    model = fit(formula, sleepstudy, weights=weights, reml=reml)
    for re in ("all", "none", ["Subject"]):
        check_against_brute_force(model, shuffled(sleepstudy).head(40), re)


def test_nested_levels(fitted):
    data = crossnest.datasets.load("pastes")
    model = fitted("pastes")
    check_against_brute_force(model, data)
    check_against_brute_force(model, data, ["batch"])
    check_against_brute_force(model, data, ["cask:batch"])
    # A cask whose label says nothing of its batch, put with another batch.
    model = fit("strength ~ 1 + (1 | sample) + (1 | batch)", data)
    check_against_brute_force(model, shuffled(data))


@pytest.mark.parametrize("reml", [True, False])
def test_crossed_levels(reml):
    data = crossnest.datasets.load("penicillin")
    model = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", data, reml=reml)
    new = pd.concat([data, data, data.head(3)])
    check_against_brute_force(model, shuffled(new))
    check_against_brute_force(model, shuffled(new), ["sample"])


def simulated(n, seed=3):
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "c": rng.integers(0, 30, n),
            "g": rng.integers(0, 12, n),
            "h": rng.integers(0, 9, n),
            "x": 1000 + rng.normal(size=n),
        }
    )
    data["s"] = data["c"] % 6
    effects = {name: rng.normal(size=30) for name in "cghs"}
    data["y"] = rng.normal(size=n) + sum(effects[v][data[v]] for v in effects) + data["x"]
    return data


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (x | c) + (1 | s) + (1 | g)",
        "y ~ x + (1 | s/c) + (x | g) + (1 | h)",
        "y ~ 0 + (1 | c) + (x || g)",
    ],
)
def test_nested_and_crossed_levels(formula):
    data = simulated(300)
    model = fit(formula, data)
    new = shuffled(data).head(150)
    new.loc[new.index[::7], "g"] = 99
    new.loc[new.index[::11], "c"] = 99
    check_against_brute_force(model, new)
    check_against_brute_force(model, new, ["g"])
    # Many rows at the same levels are solved for effect by effect.
    same = pd.concat([new.head(3).assign(x=x) for x in np.linspace(998, 1002, 9)])
    check_against_brute_force(model, same)


def test_singular_fits(fitted):
    data = crossnest.datasets.load("dyestuff2")
    check_against_brute_force(fitted("dyestuff2"), data)
    sleep = crossnest.datasets.sleepstudy()
    model = fitted("sleepstudy").evaluate([1.0, 0.2, 0.0])
    check_against_brute_force(model, shuffled(sleep))
    check_against_brute_force(model.evaluate([0.0, 0.0, 0.0]), shuffled(sleep))


def test_standard_errors_do_not_depend_on_threads():
    data = simulated(300)
    control = crossnest.Control
    tables = [
        fit("y ~ x + (x | c) + (1 | g)", data, control=control(threads=threads))
        .evaluate([1.0, 0.1, 0.5, 0.7])
        .predict(shuffled(data), se=True)
        for threads in (1, 2)
    ]
    assert tables[0].equals(tables[1])


def test_a_pickled_model_predicts(fitted, sleepstudy):
    model = fitted("sleepstudy")
    copy = pickle.loads(pickle.dumps(model))
    assert_allclose(copy.predict(sleepstudy, se=True), model.predict(sleepstudy, se=True))


# ------------------------------------------------------------------------------ intervals


def test_intervals(fitted, sleepstudy):
    model = fit("Reaction ~ Days + (Days | Subject)", sleepstudy, weights="w")
    at_fit = model.predict(interval="prediction", level=0.9)
    new = model.predict(sleepstudy, interval="prediction", level=0.9)
    mean = model.predict(sleepstudy, interval="confidence", level=0.9)
    assert list(mean.columns) == ["fit", "se", "lower", "upper"]
    z = 1.6448536269514722
    assert_allclose(mean["upper"] - mean["fit"], z * mean["se"], rtol=1e-9)
    spread = np.sqrt(new["se"] ** 2 + model.sigma**2)
    assert_allclose(new["fit"] - new["lower"], z * spread, rtol=1e-9)
    spread = np.sqrt(at_fit["se"] ** 2 + model.sigma**2 / sleepstudy["w"])
    assert_allclose(at_fit["upper"] - at_fit["fit"], z * spread, rtol=1e-9)


def test_intervals_cover_new_observations():
    """Of 95% intervals for new observations of known and new levels about 95% hold them."""
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(40):
        b = rng.normal(size=60) * 1.5
        g = np.repeat(np.arange(60), 4)
        x = rng.normal(size=g.size)
        data = pd.DataFrame({"g": g, "x": x, "y": 1 + 2 * x + b[g] + rng.normal(size=g.size)})
        train, test = data[data["g"] < 50], data.copy()
        test["x"] = rng.normal(size=g.size)
        model = fit("y ~ x + (1 | g)", train)
        table = model.predict(test, interval="prediction", new_levels="population")
        y = 1 + 2 * test["x"] + b[g] + rng.normal(size=g.size)
        inside = (table["lower"] < y) & (y < table["upper"])
        covered.append([inside[g < 50].mean(), inside[g >= 50].mean()])
    known, new = np.mean(covered, axis=0)
    assert known == pytest.approx(0.95, abs=0.01)
    assert new == pytest.approx(0.95, abs=0.025)


# ---------------------------------------------------------------------- levels not fitted


def test_unseen_levels_of_a_grouping_factor(fitted):
    model = fitted("sleepstudy")
    new = pd.DataFrame({"Days": [2.0, 2.0], "Subject": ["308", "new"]}, index=["a", "b"])
    with pytest.raises(DesignError, match=r"'Subject' has levels .* not fitted to: 'new'"):
        model.predict(new)
    population = model.predict(new, new_levels="population", se=True)
    assert population.loc["b", "fit"] == pytest.approx(model.predict(new, re="none")["b"])
    z = np.array([1.0, 2.0])
    variance = z @ model.var_corr["Subject"].to_numpy() @ z + z @ model.vcov.to_numpy() @ z
    assert population.loc["b", "se"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    missing = model.predict(new, new_levels="nan", interval="prediction")
    assert missing.loc["b"].isna().all()
    assert_allclose(missing.loc["a", ["fit", "se"]], population.loc["a"])
    assert model.predict(new, re="none").notna().all()


def test_unseen_combinations_of_nested_factors(fitted):
    model = fitted("pastes")
    new = pd.DataFrame({"batch": ["A", "Z"], "cask": ["z", "a"]})
    with pytest.raises(DesignError, match=r"'cask:batch' has levels .*: 'z:A', 'a:Z'"):
        model.predict(new)
    predicted = model.predict(new, new_levels="population")
    mean = model.fixef.iloc[0]
    assert predicted[0] == pytest.approx(mean + model.ranef()["batch"].loc["A", "(Intercept)"])
    assert predicted[1] == pytest.approx(mean)
    assert model.predict(new, new_levels="nan").isna().all()
    assert model.predict(new, re=["batch"], new_levels="nan").isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "formula", ["score ~ Machine", "score ~ C(Machine)", "score ~ 0 + Machine"]
)
def test_unseen_levels_of_a_fixed_factor_are_refused(formula):
    model = fit(f"{formula} + (1 | Worker)", crossnest.datasets.load("machines"))
    new = pd.DataFrame({"Machine": ["A", "D"], "Worker": ["1", "1"]})
    for new_levels in ("error", "population", "nan"):
        with pytest.raises(DesignError, match=r"Machine.*not fitted to: 'D' in 1 rows"):
            model.predict(new, new_levels=new_levels)


# --------------------------------------------------------------------------------- new data


@pytest.mark.parametrize(
    "effects",
    [
        "poly(Days, 2)",
        "bs(Days, df=4)",
        "scale(Days)",
        "center(Days) * half",
        "C(Days)",
        "C(half, contr.sum)",
        "I(Days > 4) + np.log(Days + 1)",
    ],
)
def test_transforms_are_those_of_the_fit(sleepstudy, effects):
    model = fit(f"Reaction ~ {effects} + (Days | Subject)", sleepstudy)
    some = sleepstudy.iloc[[4, 17, 33]]
    assert_allclose(model.predict(some), model.fittedvalues.iloc[[4, 17, 33]], rtol=1e-12)
    alone = model.predict(some.iloc[[1]], se=True)
    assert_allclose(alone["se"], model.predict(se=True)["se"].iloc[[17]], rtol=1e-8)


def test_transforms_in_random_effects(sleepstudy):
    model = fit("Reaction ~ Days + (1 + scale(Days) | Subject) + (half | Days)", sleepstudy)
    assert_allclose(model.predict(sleepstudy.tail(5)), model.fittedvalues.tail(5), rtol=1e-12)


def test_grouping_factors_that_are_expressions(sleepstudy):
    model = fit("Reaction ~ Days + (1 | C(Subject))", sleepstudy)
    assert_allclose(model.predict(sleepstudy.tail(5)), model.fittedvalues.tail(5), rtol=1e-12)


def test_the_dtype_of_new_columns_does_not_matter(fitted):
    data = crossnest.datasets.load("machines")
    model = fitted("machines")
    expected = model.fittedvalues.iloc[[0, 20, 40]]
    some = data.iloc[[0, 20, 40]]
    reordered = some.assign(
        Machine=pd.Categorical(some["Machine"].astype(str), ["C", "B", "A", "unused"]),
        Worker=some["Worker"].astype(str),
    )
    for new in (some.astype({"Machine": str}), reordered, some.astype({"Worker": object})):
        assert_allclose(model.predict(new), expected, rtol=1e-12)


def test_integer_categories(sleepstudy):
    data = sleepstudy.assign(
        day=pd.Categorical(sleepstudy["Days"]), subject=sleepstudy["Subject"].astype(int)
    )
    model = fit("Reaction ~ day + (1 | subject)", data)
    new = data.assign(day=data["day"].astype(int), subject=data["subject"].astype(float)).tail(7)
    assert_allclose(model.predict(new), model.fittedvalues.tail(7), rtol=1e-12)
    with pytest.raises(DesignError, match=r"'day' has levels .* 10.0 in 1 rows"):
        model.predict(new.tail(1).assign(day=10))


def test_other_data_frames(fitted, sleepstudy):
    polars = pytest.importorskip("polars")
    model = fitted("sleepstudy")
    columns = {"Days": [0, 3], "Subject": ["308", "372"]}
    expected = model.predict(pd.DataFrame(columns), se=True)
    assert model.predict(polars.DataFrame(columns), se=True).equals(expected)
    assert model.predict(columns, se=True).equals(expected)


def test_rows_that_miss_a_value_are_nan(fitted):
    model = fitted("sleepstudy")
    new = pd.DataFrame({"Days": [1.0, np.nan, 2.0], "Subject": ["308", "308", None]})
    table = model.predict(new, interval="confidence")
    assert table.isna().all(axis=1).tolist() == [False, True, True]
    assert model.predict(new, re="none").isna().tolist() == [False, True, False]
    assert model.predict(new.iloc[[1]], se=True).isna().all(axis=None)
    assert model.predict(new.iloc[:0], se=True).shape == (0, 2)


def test_an_expression_that_gives_nan(sleepstudy):
    model = fit("Reaction ~ np.log(Days + 1) + (1 | Subject)", sleepstudy)
    new = pd.DataFrame({"Days": [1.0, -5.0], "Subject": ["308", "308"]})
    assert model.predict(new, se=True).isna().all(axis=1).tolist() == [False, True]


def test_offsets(sleepstudy):
    data = sleepstudy.assign(known=5.0 * np.arange(len(sleepstudy)))
    for model in (
        fit("Reaction ~ Days + offset(known) + (1 | Subject)", data),
        fit("Reaction ~ Days + (1 | Subject)", data, offset="known"),
    ):
        assert_allclose(model.predict(data), model.fittedvalues, rtol=1e-12)
        with pytest.raises(DesignError, match="known"):
            model.predict(data.drop(columns="known"))
    shifted = model.predict(data, offset=data["known"].to_numpy() + 1)
    assert_allclose(shifted, model.fittedvalues + 1, rtol=1e-12)
    assert_allclose(model.predict(data.drop(columns="known"), offset="w", se=True)["fit"],
                    model.fittedvalues - data["known"] + data["w"], rtol=1e-12)  # fmt: skip
    values = fit("Reaction ~ Days + (1 | Subject)", data, offset=data["known"].to_numpy())
    with pytest.raises(DesignError, match=r"pass theirs with offset="):
        values.predict(data)
    assert_allclose(values.predict(data, offset="known"), values.fittedvalues, rtol=1e-12)
    with pytest.raises(DesignError, match="each of the 180 new rows"):
        values.predict(data, offset=[1.0, 2.0])
    with pytest.raises(ValueError, match="fitted rows"):
        values.predict(offset="known")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"re": "some"}, "re must be 'all', 'none' or a list"),
        ({"re": ["Item"]}, r"re names 'Item'.*\(Days \| Subject\)|\(1 \+ Days \| Subject\)"),
        ({"new_levels": "ignore"}, "new_levels must be"),
        ({"interval": "tolerance"}, "interval must be"),
        ({"interval": "confidence", "level": 95}, "level must be between 0 and 1"),
    ],
)
def test_unknown_options_are_refused(fitted, arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted("sleepstudy").predict(**arguments)


def test_columns_missing_or_of_another_kind_are_refused(fitted):
    model = fitted("sleepstudy")
    with pytest.raises(DesignError, match="no column 'Subject'"):
        model.predict(pd.DataFrame({"Days": [1.0]}))
    with pytest.raises(DesignError, match="no column 'Days'"):
        model.predict(pd.DataFrame({"Subject": ["308"]}))
    with pytest.raises(DesignError, match="'Days' holds labels"):
        model.predict(pd.DataFrame({"Days": ["one"], "Subject": ["308"]}))
    assert len(as_list(model.predict(pd.DataFrame({"Days": [1.0]}), re="none").tolist())) == 1


# ------------------------------------------------------ rows of the data, a few at a time


def test_a_factor_in_both_parts_of_the_formula_keeps_its_levels_for_a_single_row():
    data = crossnest.datasets.machines()
    model = crossnest.lmer("score ~ Machine + (Machine | Worker)", data)
    one = {"Machine": ["B"], "Worker": ["1"]}
    at = (data["Machine"] == "B") & (data["Worker"].astype(str) == "1")
    assert model.predict(one).iloc[0] == pytest.approx(62.8754, abs=1e-3)  # lme4
    assert model.predict(one).iloc[0] == pytest.approx(model.fittedvalues[at].iloc[0], rel=1e-12)
    np.testing.assert_allclose(model.predict(data), model.fittedvalues, rtol=1e-12)
    augmented = model.augment(data[at].iloc[:1])
    assert augmented[".fitted"].iloc[0] == pytest.approx(62.8754, abs=1e-3)


FUNCTIONS = {
    "sqrt(x)": lambda d: np.sqrt(d.x),
    "log1p(x) + expm1(x) + abs(z)": lambda d: np.c_[np.log1p(d.x), np.expm1(d.x), abs(d.z)],
    "round(x, 1) + floor(x)": lambda d: np.c_[d.x.round(1), np.floor(d.x)],
    "ceiling(x)": lambda d: np.ceil(d.x),
    "log(x, 2)": lambda d: np.log2(d.x),
    "log(x, base=10)": lambda d: np.log10(d.x),
    "pmin(x, 1) + pmax(x, z, 0)": lambda d: np.c_[
        np.minimum(d.x, 1), np.maximum(np.maximum(d.x, d.z), 0)
    ],
    "ifelse(f == 'a', x, -x)": lambda d: np.where(d.f == "a", d.x, -d.x),
    "I(x^2 + (x > 1) * TRUE)": lambda d: d.x**2 + (d.x > 1),
    "(x > 1)": lambda d: d.x > 1,
    "(x > 1 & !(f %in% c('a', 'b')))": lambda d: (d.x > 1) & ~d.f.isin(["a", "b"]),
    "relevel(f, ref='c')": lambda d: np.c_[d.f == "a", d.f == "b"],
    "factor(k)": lambda d: np.c_[d.k == 2, d.k == 3],
    "as.factor(k)": lambda d: np.c_[d.k == 2, d.k == 3],
    "factor(k, levels=c(3, 2, 1))": lambda d: np.c_[d.k == 2, d.k == 1],
    "as.numeric(f)": lambda d: d.f.map({"a": 1.0, "b": 2.0, "c": 3.0}).astype(float),
    "as.numeric(t)": lambda d: d.k.astype(float),
    "poly(x, 2, raw=True)": lambda d: np.c_[d.x, d.x**2],
    "poly(x, 2, raw=TRUE)[,2]": lambda d: d.x**2,
    "scale(x)[,1]": lambda d: (d.x - d.x.mean()) / d.x.std(),
    "cut(x, c(0, 1, 2, 3))": lambda d: np.c_[(d.x > 1) & (d.x <= 2), d.x > 2],
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_everyday_functions_by_their_bare_names(text):
    rng = np.random.default_rng(5)
    data = pd.DataFrame(
        {
            "x": rng.uniform(0.1, 3, 90),
            "z": rng.normal(size=90),
            "f": pd.Categorical(rng.choice(list("abc"), 90)),
            "k": rng.integers(1, 4, 90),
            "g": rng.integers(0, 6, 90),
            "y": rng.normal(size=90),
        }
    )
    data["t"] = data["k"].astype(str)
    model = crossnest.lm(f"y ~ {text}", data)
    expected = np.asarray(FUNCTIONS[text](data), dtype=float).reshape(90, -1)
    np.testing.assert_allclose(model.design.X[:, 1:], expected, rtol=1e-13)
    for rows in ([0], [3, 3, 8], range(40)):
        again = model.predict(data.iloc[list(rows)])
        np.testing.assert_allclose(again, model.fittedvalues.iloc[list(rows)], rtol=1e-10)


@pytest.mark.parametrize(
    "text",
    ["as.numeric(f)", "relevel(f, 'b')", "factor(f, labels=c('u', 'v', 'w'))", "interaction(f, k)"],
)
def test_functions_of_labels_know_the_levels_of_the_fit(text):
    data = pd.DataFrame({"y": np.random.default_rng(0).normal(size=60), "k": [1, 2] * 30})
    data["f"] = pd.Categorical(["a", "b", "b", "c", "c", "a"] * 10)
    model = crossnest.lm(f"y ~ {text}", data)
    for row in range(6):
        one = data.iloc[[row]].assign(f=lambda d: d["f"].cat.remove_unused_categories())
        assert model.predict(one).iloc[0] == pytest.approx(model.fittedvalues.iloc[row], rel=1e-12)


def test_functions_of_ones_own_come_in_by_name():
    data = crossnest.datasets.sleepstudy()
    context = {"dose": lambda days, k: days / (days + k), "k": 2.0}
    model = crossnest.lmer("Reaction ~ dose(Days, k) + (1 | Subject)", data, context=context)
    expected = crossnest.lmer("Reaction ~ I(Days / (Days + 2)) + (1 | Subject)", data)
    assert model.objective == expected.objective
    np.testing.assert_allclose(model.predict(data[:5]), model.fittedvalues[:5], rtol=1e-12)
    with pytest.raises(crossnest.FormulaError, match=r"calls `dose`.*context=\{'dose'"):
        crossnest.lmer("Reaction ~ dose(Days, 2) + (1 | Subject)", data)
    with pytest.raises(
        crossnest.DesignError, match=r"shape \(\), not one for each of the 180 rows"
    ):
        crossnest.lmer("Reaction ~ f(Days) + (1 | Subject)", data, context={"f": np.mean})


@pytest.mark.parametrize("spline", ["bs(Days, df=4)", "ns(Days, df=3)"])
def test_splines_go_on_beyond_their_boundary_knots_as_in_r(spline):
    data = crossnest.datasets.sleepstudy()
    model = crossnest.lm(f"Reaction ~ {spline}", data)
    # R 4.2.2: predict(lm(Reaction ~ spline, sleepstudy), data.frame(Days = c(-1, 11)))
    expected = {
        "bs(Days, df=4)": [262.733744313, 409.372216603],
        "ns(Days, df=3)": [247.821235736, 373.284464841],
    }[spline]
    np.testing.assert_allclose(model.predict({"Days": [-1.0, 11.0]}), expected, rtol=1e-6)


@pytest.mark.parametrize("term", ["as.numeric(f)", "scale(as.numeric(f))", "relevel(f, 'b')"])
def test_levels_of_new_rows_in_another_order_or_fewer(term):
    # as.numeric took the positions among the new rows' levels, relevel wanted its level there.
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"f": list("abc") * 20, "g": list("uvwxy") * 12, "y": rng.normal(size=60)})
    data["f"] = pd.Categorical(data["f"], ["c", "a", "b"])
    model = fit(f"y ~ {term} + (1 | g)", data)
    fewer = data[data["f"] != "b"]
    for new in (
        fewer,
        data.assign(f=data["f"].cat.reorder_categories(["b", "a", "c"])),
        fewer.assign(f=fewer["f"].cat.remove_unused_categories()),
        data.assign(f=data["f"].astype(str)),
    ):
        assert_allclose(model.predict(new), model.fittedvalues[new.index])
