"""Models saved to a file without their data, and loaded again."""

from __future__ import annotations

import io
import json
import os
import pickle
import stat
import tracemalloc
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import SumContrasts
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import crossnest
from conftest import MODELS, fitted_model
from crossnest import FileFormatError, NoDataError, load
from crossnest.base.ddf_methods import METHODS
from crossnest.fit import joint_covariance
from crossnest.storage.archive import FORMAT_VERSION, read_archive, write_archive

pytestmark = pytest.mark.filterwarnings("ignore::crossnest.CrossnestWarning")


def fit(formula, data, **arguments):
    """Fit without a word about singular fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        return crossnest.lmer(formula, data, **arguments)


@pytest.fixture
def again(tmp_path):
    """Return the function that saves a model and loads it."""

    def save_and_load(model, **options):
        model.save(tmp_path / "model.crossnest", **options)
        return load(tmp_path / "model.crossnest")

    return save_and_load


@pytest.fixture(scope="module")
def data():
    """Rows with variables of all kinds, of four groups in two halves."""
    rng = np.random.default_rng(3)
    n = 240
    return pd.DataFrame(
        {
            "y": rng.normal(size=n) + np.repeat(rng.normal(size=12), 20),
            "x": rng.uniform(1, 9, n),
            "z": rng.normal(2000, 3, n),
            "k": rng.integers(0, 4, n),
            "f": rng.choice(["a", "b", "c"], n),
            "o": pd.Categorical(
                rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], True
            ),
            "b": rng.random(n) < 0.5,
            "w": rng.uniform(0.5, 2, n),
            "g": np.repeat([f"g{i}" for i in range(12)], 20),
            "h": np.repeat(np.arange(4), 60),
            "c": np.tile(np.arange(20), 12),
        }
    )


def assert_same(loaded, model, newdata):
    """Compare everything a loaded model can still say."""
    for ddf in (*METHODS, "none"):
        assert str(loaded.summary(ddf=ddf)) == str(model.summary(ddf=ddf))
    assert repr(loaded) == repr(model)
    assert loaded._repr_html_() == model._repr_html_()
    for name in ("theta", "fixef", "vcov", "tvalues"):
        assert getattr(loaded, name).equals(getattr(model, name))
    for old, new in zip(model.ranef().items(), loaded.ranef().items(), strict=True):
        assert old[0] == new[0]
        pd.testing.assert_frame_equal(new[1], old[1])
    pd.testing.assert_frame_equal(loaded.ranef(cond_var=True), model.ranef(cond_var=True))
    for group, frame in model.coef().items():
        pd.testing.assert_frame_equal(loaded.coef()[group], frame)
    for re in ("all", "none"):
        pd.testing.assert_series_equal(
            loaded.predict(newdata, re=re, new_levels="population"),
            model.predict(newdata, re=re, new_levels="population"),
        )
        pd.testing.assert_frame_equal(
            loaded.predict(newdata, re=re, interval="prediction", new_levels="population"),
            model.predict(newdata, re=re, interval="prediction", new_levels="population"),
            rtol=1e-9,
        )


# ------------------------------------------------------------------------------ round trips


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_says_what_the_saved_one_says(name, again):
    model = fitted_model(name)
    loaded = again(model)
    assert isinstance(loaded, crossnest.LinearMixedModel)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        assert_same(loaded, model, crossnest.datasets.load(MODELS[name][0]).iloc[::3])
    pd.testing.assert_frame_equal(loaded.structure, model.structure)
    pd.testing.assert_frame_equal(loaded.glance(), model.glance())
    pd.testing.assert_frame_equal(loaded.tidy(), model.tidy())
    assert [dict(loaded.icc()), dict(loaded.icc(by_group=True)), dict(loaded.r2())] == [
        dict(model.icc()),
        dict(model.icc(by_group=True)),
        dict(model.r2()),
    ]
    assert loaded.opt.message == model.opt.message
    assert str(loaded.var_corr) == str(model.var_corr)
    assert loaded.nobs == model.nobs


FORMULAS = [
    "y ~ x + f + (x | g)",
    "y ~ f * o + (1 | g) + (0 + x | g)",
    "y ~ poly(x, 3) + (scale(x) | g)",
    "y ~ bs(x, df=4) + cr(z, df=3) + (1 | h/g)",
    "y ~ cc(x, df=4) + center(z) + standardize(x) + (center(x) || g)",
    "y ~ C(k) + b + (1 | C(h)) + (1 | g)",
    "y ~ C(f, contr.treatment(base='b')) + C(o, contr.sum) + (1 | g)",
    "y ~ C(f, Treatment('c')) + ns(x, 3) + cut(z, 3) + (1 | g)",
    "np.log(y + 9) ~ I(x**2) + np.where(x > 4, 1, 0) + offset(z / 100) + (1 | g)",
    "y ~ np.exp(-x) : f + 0 + (0 + f | h)",
    "y ~ x + (1 | g) + (1 | c)",
    "y ~ x + (x | h) + (0 + z | c) + (1 | g)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas(formula, data, again):
    model = fit(formula, data)
    assert_same(again(model), model, data.sample(60, random_state=1))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    fixed=st.lists(
        st.sampled_from(
            ["poly(x, 2)", "bs(x, df=5)", "cr(z, df=4)", "scale(z)", "center(x)", "f", "o", "b",
             "C(k)", "C(f, contr.helmert)", "x", "np.sqrt(x)", "f:center(z)"]
        ),
        min_size=1, max_size=3, unique=True,
    ),
    random=st.sampled_from(
        ["(1 | g)", "(scale(x) | g)", "(poly(x, 2) || g)", "(1 | h/g)", "(1 | g) + (1 | c)"]
    ),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_states_of_transforms_survive(fixed, random, seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    n = 120
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(0, 10 ** rng.uniform(-3, 3), n),
            "z": rng.normal(10 ** rng.uniform(0, 3), 1, n),
            "k": rng.integers(0, 3, n),
            "f": rng.choice(["a", "b", "c"], n),
            "o": pd.Categorical(rng.choice(["lo", "hi"], n), ["lo", "hi"], ordered=True),
            "b": rng.random(n) < 0.5,
            "g": np.repeat(np.arange(10), 12),
            "h": np.repeat(np.arange(5), 24),
            "c": rng.integers(0, 7, n),
        }
    )
    model = fit(f"y ~ {' + '.join(fixed)} + {random}", data)
    path = tmp_path_factory.mktemp("saved") / "model"
    model.save(path)
    loaded = load(path)
    new = data.sample(20, random_state=seed)
    pd.testing.assert_series_equal(loaded.predict(new), model.predict(new))
    expected, found = model.predict(new, se=True)["se"], loaded.predict(new, se=True)["se"]
    assert_allclose(found, expected, rtol=1e-6)
    assert str(loaded.summary()) == str(model.summary())


def test_tests_and_tables_of_a_loaded_model(again):
    cake = crossnest.datasets.cake()
    model = fit("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    loaded = again(model)
    for type in (1, 2, 3):
        for ddf in ("satterthwaite", "kenward-roger"):
            assert str(loaded.anova(type, ddf)) == str(model.anova(type, ddf))
    hypothesis = "recipe[T.B] - recipe[T.C] = 0"
    assert str(loaded.contest(hypothesis)) == str(model.contest(hypothesis))
    for method in ("wald", "satterthwaite", "kenward-roger"):
        pd.testing.assert_frame_equal(loaded.confint(method), model.confint(method))
    for effects in ("fixed", "ran_pars", "ran_vals", "ran_coefs"):
        pd.testing.assert_frame_equal(
            loaded.tidy(effects, conf_int=True), model.tidy(effects, conf_int=True)
        )
    assert loaded.df.equals(model.df)
    assert loaded.evaluate(loaded.theta).objective == model.objective


def test_weights_offset_missing_rows_and_aliased_columns(data, again):
    spoilt = data.assign(twice=2 * data["x"], x=data["x"].where(data.index % 17 > 0))
    spoilt.attrs["name"] = "spoilt"
    model = fit("y ~ x + f + twice + (x | g)", spoilt, weights="w", offset="z")
    loaded = again(model)
    assert model.dropped == loaded.dropped == ("twice",)
    newdata = data.assign(twice=2 * data["x"]).iloc[::5]
    assert_same(loaded, model, newdata)
    drawn = loaded.simulate(2, seed=1, newdata=newdata)
    pd.testing.assert_frame_equal(drawn, model.simulate(2, seed=1, newdata=newdata))
    weights = {"x": 1.0, "twice": 2.0}
    assert str(loaded.contest(weights)) == str(model.contest(weights))
    with pytest.raises(ValueError, match="not estimable"):
        loaded.contest({"twice": 1.0})
    with pytest.raises(NoDataError, match=r"\(the offset\)"):
        loaded.design.offset  # noqa: B018
    assert again(fit("y ~ x + (1 | g)", data)).design.offset is None


@pytest.mark.parametrize(
    "levels",
    [
        np.arange(12),
        np.arange(12) / 4,
        pd.date_range("2024-01-01", periods=12),
        pd.date_range("2024-01-01", periods=12, tz="Europe/Berlin"),
        pd.timedelta_range("1h", periods=12),
        pd.interval_range(0, 12),
        pd.Index([f"g{i}" for i in range(12)], dtype=object),
        pd.array(range(12), dtype="Int64"),
        np.arange(12, dtype=np.uint8),
    ],
    ids=lambda levels: str(levels.dtype),
)
def test_levels_of_any_kind(levels, data, again):
    values = pd.Series(levels).take(np.repeat(np.arange(12), 20)).array
    kinds = data.assign(g=pd.Categorical(values, categories=levels))
    model = fit("y ~ x + (1 | g)", kinds)
    loaded = again(model)
    new = kinds.iloc[::7]
    assert loaded.predict(new).equals(model.predict(new))
    index, expected = loaded.ranef()["g"].index, model.ranef()["g"].index
    assert index.equals(expected)
    assert index.dtype == expected.dtype


def test_polars_data(data, again):
    pl = pytest.importorskip("polars")
    frame = pl.from_pandas(data[["y", "x", "f", "g"]])
    model = fit("y ~ x + f + (1 | g)", frame)
    assert again(model).predict(frame).equals(model.predict(frame))


@pytest.mark.parametrize(
    "contrasts",
    [
        *(f"contr.{kind}" for kind in ("treatment", "sum", "helmert", "poly", "SAS", "diff")),
        [[1, 0], [0, 1], [-1, -1]],
        {"ab": [1, -1, 0], "c": [0, -1, 1]},
    ],
    ids=str,
)
def test_contrasts(contrasts, data, again):
    for formula in ("y ~ f * x + (1 | g)", "y ~ f * scale(x) + (1 | g)"):
        model = fit(formula, data, contrasts={"f": contrasts})
        loaded = again(model)
        assert loaded.predict(data).equals(model.predict(data))
        assert str(loaded.anova()) == str(model.anova())


def test_pickles_of_saved_and_loaded_models(again):
    model = fitted_model("sleepstudy")
    model.anova()
    data = crossnest.datasets.sleepstudy()
    for one in (model, again(model)):
        copy = pickle.loads(pickle.dumps(one))
        assert str(copy.summary()) == str(model.summary())
        assert_allclose(copy.predict(data, se=True), model.predict(data, se=True), rtol=1e-9)
    pickled = pickle.loads(pickle.dumps(model))
    assert str(again(pickled).summary()) == str(model.summary())


def test_saving_a_loaded_model_writes_the_same_file(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for name in ("sleepstudy_zcp", "pastes", "no_fixed", "sleepstudy_ml"):
        fitted_model(name).save(first)
        load(first).save(second)
        assert first.read_bytes() == second.read_bytes()


# --------------------------------------------------------------- what is kept and what is not


def test_the_size_does_not_depend_on_the_observations(tmp_path):
    rng = np.random.default_rng(0)
    sizes = []
    for n in (400, 40_000):
        data = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 40})
        data["y"] = data["x"] + 0.3 * data["g"] + rng.normal(size=n)
        model = fit("y ~ bs(x, df=5) + (x | g)", data)
        model.save(tmp_path / "model")
        sizes.append((tmp_path / "model").stat().st_size)
    p, q, m = len(model.fixef), 80, 4
    assert sizes[1] < 1.1 * sizes[0]
    assert sizes[1] < 8 * (2 * p**2 * m**2 + q * (p + 8)) + 12_000


def test_without_covariances_only_population_errors_are_known(data, again):
    model = fit("y ~ x + (x | g)", data)
    loaded = again(model, covariances=False)
    assert loaded.predict(data).equals(model.predict(data))
    expected = model.predict(data, re="none", se=True)
    pd.testing.assert_frame_equal(loaded.predict(data, re="none", se=True), expected)
    with pytest.raises(NoDataError, match="covariances=True"):
        loaded.predict(data, se=True)
    assert loaded.ranef(cond_var=True).equals(model.ranef(cond_var=True))


def test_crossed_factors_of_many_levels(data, again, monkeypatch):
    model = fit("y ~ x + (1 | g) + (1 | c)", data)
    monkeypatch.setattr(joint_covariance, "MAX_PAIRS", 100)
    loaded = again(model)
    with pytest.raises(NoDataError, match="two crossed grouping factors"):
        loaded.predict(data, se=True)
    for re in (["g"], ["c"]):
        expected = model.predict(data, re=re, se=True)
        pd.testing.assert_frame_equal(loaded.predict(data, re=re, se=True), expected, rtol=1e-9)


def test_levels_that_were_not_nested_so(data, again):
    model = fit("y ~ x + (1 | g) + (1 | h)", data)
    loaded = again(model)
    with pytest.raises(NoDataError, match="levels that do not occur together"):
        loaded.predict(data.assign(h=0), se=True)
    assert loaded.predict(data.assign(h=0)).equals(model.predict(data.assign(h=0)))


def test_new_levels(data, again):
    model = fit("y ~ x + (x | g) + (1 | c)", data)
    new = data.iloc[::9].assign(g=["new" if i % 2 else "g3" for i in range(27)])
    expected = model.predict(new, new_levels="population", se=True)
    found = again(model).predict(new, new_levels="population", se=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.resid,
        lambda m: m.fittedvalues,
        lambda m: m.leverages(),
        lambda m: m.model_matrix(),
        lambda m: m.model_matrix("random"),
        lambda m: m.predict(),
        lambda m: m.augment(),
        lambda m: m.simulate(),
        lambda m: m.refit(np.ones(180)),
        lambda m: m.refit_many(np.ones((180, 2))),
        lambda m: m.objective_at([1, 0, 1]),
        lambda m: m.gradient_at(m.theta),
        lambda m: m.evaluate([1, 0, 1]),
        lambda m: m.profile(),
        lambda m: m.confint(),
        lambda m: m.bootstrap(10),
        lambda m: m.ranova(),
        lambda m: m.drop1(),
        lambda m: m.step(),
        lambda m: m.emmeans("Days"),
        lambda m: crossnest.anova(m, m.evaluate(m.theta)),
    ],
)
def test_what_needs_the_data_says_so(ask, again):
    loaded = again(fitted_model("sleepstudy"))
    with pytest.raises(NoDataError, match="needs the data"):
        ask(loaded)


def test_degrees_of_freedom_that_were_left_out(again, tmp_path):
    loaded = again(fitted_model("sleepstudy"), ddf=["satterthwaite"])
    loaded.anova(ddf="satterthwaite")
    with pytest.raises(NoDataError, match="'kenward-roger' in `ddf`"):
        loaded.anova(ddf="kenward-roger")
    again(fitted_model("sleepstudy"), ddf="kenward-roger").anova(ddf="kenward-roger")
    both = again(fitted_model("sleepstudy"), ddf="kr-observed")
    for ddf in ("kenward-roger", "kenward-roger-observed"):
        fitted = fitted_model("sleepstudy").anova(ddf=ddf)
        pd.testing.assert_frame_equal(both.anova(ddf=ddf), fitted)
    assert again(fitted_model("sleepstudy"), ddf=[]).anova(ddf="normal").shape == (1, 6)
    with pytest.raises(ValueError, match="REML"):
        fitted_model("sleepstudy_ml").save(tmp_path / "no", ddf=["kenward-roger"])
    with pytest.raises(ValueError, match="ddf must be one of"):
        fitted_model("sleepstudy").save(tmp_path / "no", ddf=["residual"])
    with pytest.raises(ValueError, match="REML"):
        again(fitted_model("sleepstudy_ml")).anova(ddf="kenward-roger")


# -------------------------------------------------------------------- what cannot be saved


class OwnContrasts(SumContrasts):
    """Contrasts of a class formulaic does not know."""


def test_functions_of_ones_own_are_not_saved(data, tmp_path):
    path = tmp_path / "model"
    path.write_text("what was there")
    model = fit("y ~ double(x) + (1 | g)", data, context={"double": lambda x: 2 * x})
    with pytest.raises(
        NotImplementedError, match=r"functions of your own \(double\) cannot be saved"
    ):
        model.save(path)
    assert path.read_text() == "what was there"


def test_contrasts_of_a_class_of_ones_own_are_saved_as_their_matrix(data, tmp_path):
    model = fit("y ~ f + (1 | g)", data, contrasts={"f": OwnContrasts()})
    model.save(tmp_path / "model")
    again = load(tmp_path / "model").predict(data)
    np.testing.assert_allclose(again, model.fittedvalues, rtol=1e-12)


def test_levels_of_a_class_of_ones_own_are_not_saved(data, tmp_path):
    periods = pd.period_range("2024-01", periods=12, freq="M")
    values = pd.Categorical.from_codes(np.repeat(np.arange(12), 20), periods)
    model = fit("y ~ x + (1 | g)", data.assign(g=values))
    with pytest.raises(NotImplementedError, match="Period"):
        model.save(tmp_path / "model")


# ------------------------------------------------------------------------------------ files


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.crossnest"
    fitted_model("dyestuff2").save(path)
    return path


def with_head(path, **changes):
    """Rewrite the head of a file."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    head = json.loads(members["crossnest.json"])
    head.update(changes)
    members["crossnest.json"] = json.dumps(head).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def test_there_is_nothing_but_json_and_numbers_in_it(saved):
    with zipfile.ZipFile(saved) as file:
        names = file.namelist()
        assert names[0] == "crossnest.json"
        for name in names[1:]:
            with file.open(name) as member:
                assert np.lib.format.read_array(member, allow_pickle=False).dtype.kind in "biuf"


def test_every_byte_counts(saved):
    original = saved.read_bytes()
    expected = str(load(saved).summary())
    positions = np.random.default_rng(0).choice(len(original), 250, replace=False)
    damaged = 0
    for at in positions:
        changed = bytearray(original)
        changed[at] ^= 1 << (at % 8)
        saved.write_bytes(changed)
        try:
            # what does not matter, as the date of a member, does not change the model
            assert str(load(saved).summary()) == expected
        except FileFormatError:
            damaged += 1
    assert damaged > 150


def test_a_place_outside_the_file_is_damage(saved):
    damaged = bytearray(saved.read_bytes())
    end = damaged.rindex(b"PK\x05\x06")
    damaged[end + 12 : end + 16] = (2**31 - 1).to_bytes(4, "little")  # of its directory, too long
    saved.write_bytes(damaged)
    with pytest.raises(FileFormatError, match="damaged"):
        load(saved)
    for at in range(end, len(damaged)):
        damaged = bytearray(saved.read_bytes())
        damaged[at] ^= 0x80
        saved.write_bytes(damaged)
        with pytest.raises(FileFormatError, match=r"damaged|not a file"):
            load(saved)


def test_truncated_files(saved):
    original = saved.read_bytes()
    for length in (50, 100, len(original) // 2, len(original) - 1):
        saved.write_bytes(original[:length])
        with pytest.raises(FileFormatError, match="damaged or truncated"):
            load(saved)


def test_files_of_another_kind(tmp_path):
    path = tmp_path / "other"
    contents = [b"", b"PK", b"hello", pickle.dumps({"a": 1})]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="is not a file a crossnest model was saved to"):
            load(path)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(FileFormatError, match="is not a file"):
        load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent")


def test_newer_versions(saved):
    with_head(saved, version=FORMAT_VERSION + 1, crossnest="99.0")
    with pytest.raises(FileFormatError, match=r"crossnest 99\.0 in format 2.*update crossnest"):
        load(saved)


def test_a_head_that_makes_no_sense(saved):
    with_head(saved, version="one")
    with pytest.raises(FileFormatError, match="damaged"):
        load(saved)
    with_head(saved, version=1, content={"formula": {}})
    with pytest.raises(FileFormatError, match="damaged"):
        load(saved)
    with_head(saved, format="something else")
    with pytest.raises(FileFormatError, match="is not a file"):
        load(saved)


def test_a_forged_formula_is_not_evaluated(saved, tmp_path):
    content = read_archive(saved)
    trace = tmp_path / "trace"
    for code in (
        f"open({str(trace)!r}, 'w')",
        "__import__('os').getcwd()",
        "np.load('x')",
        "().__class__()",
        "[v for v in x]",
        "np.vectorize(eval)(x)",
        "x.map(eval)",
        "contr.__class__(x)",
    ):
        content["formula"]["text"] = f"Yield ~ 1 + I({code}) + (1 | Batch)"
        write_archive(saved, content)
        with pytest.raises(FileFormatError, match="FormulaError"):
            load(saved)
    assert not trace.exists()


#: Values that are wrong nearly everywhere.
WRONG = (
    None, "x", -1, 10**400, 1e300, float("nan"), True, [], {}, [[]], {"$array": 0},
    {"$array": 10**9}, {"$tuple": []}, {"$tuple": 5}, {"$index": ["a", "a"], "dtype": None},
    {"$dict": [[[], 1]]}, {"$interval": [1, 0, "x"]}, {"$time": ["x", None]}, "absent",
)  # fmt: skip


def places(tree, at=()):
    """Go through all places of a tree, from the root."""
    children = (
        tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    )
    for key in children:
        yield (*at, key)
        yield from places(tree[key], (*at, key))


def with_value(tree, place, value):
    """Copy a tree and put a value into a place."""
    tree = json.loads(json.dumps(tree))
    inner = tree
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    if value == "absent":
        del inner[place[-1]]
    return tree


def assert_refused_or_sound(path):
    """Load a file that something was done to: it is refused, or the model works."""
    try:
        loaded = load(path)
    except FileFormatError:
        return True
    str(loaded.summary())
    loaded.ranef(cond_var=True), loaded.coef(), loaded.r2(), loaded.structure
    return False


@pytest.mark.parametrize(
    ("name", "count"),
    [("pastes", 120), pytest.param("machines", 1500, marks=pytest.mark.slow)],
)
def test_wrong_values_anywhere_are_refused(name, count, tmp_path):
    path = tmp_path / "model"
    fitted_model(name).save(path)
    with zipfile.ZipFile(path) as file:
        head = json.loads(file.read("crossnest.json"))
    cases = [(place, value) for place in places(head) for value in WRONG]
    chosen = np.random.default_rng(0).choice(len(cases), count, replace=False)
    refused = 0
    for i in chosen:
        with_head(path, **with_value(head, *cases[i]))
        refused += assert_refused_or_sound(path)
    assert refused > 0.8 * count


def test_wrong_arrays_are_refused(saved):
    with zipfile.ZipFile(saved) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for name in members.keys() - {"crossnest.json"}:
        array = np.lib.format.read_array(io.BytesIO(members[name]))
        for wrong in (
            array[..., :-1],
            array[..., None],
            array.astype(np.complex128),
            array.astype("f4"),
            array.astype("S8"),
            array.astype([("a", "f8")]),
        ):
            with zipfile.ZipFile(saved, "w") as file:
                for other, content in members.items():
                    stream = io.BytesIO(b"" if other == name else content)
                    if other == name:
                        np.lib.format.write_array(stream, wrong)
                    file.writestr(other, stream.getvalue())
            with pytest.raises(FileFormatError):
                load(saved)


def test_a_mismatch_names_its_place(saved):
    content = read_archive(saved)
    content["fit"]["theta"] = np.ones(3)
    write_archive(saved, content)
    message = (
        r"is damaged or forged: fit\.theta must be a \(1,\) array of numbers, not a \(3,\) arr"
    )
    with pytest.raises(FileFormatError, match=message):
        load(saved)


def assert_refused_without_memory(path, match):
    """Load a file that would unpack to gigabytes: nothing of the sort is allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=match):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_a_small_file_does_not_unpack_to_a_large_one(saved, tmp_path):
    with zipfile.ZipFile(saved) as file:
        members = {name: file.read(name) for name in file.namelist()}
    bloated = {
        "0.npy": b"\0" * 70_000_000,  # an array of zeros
        "crossnest.json": members["crossnest.json"][:-1] + b" " * 10_000_000 + b"}",
        "bloat.npy": b"\0" * 70_000_000,  # nothing refers to it
    }
    for name, content in bloated.items():
        with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as file:
            for other, old in (members | {name: content}).items():
                file.writestr(other, old)
        assert saved.stat().st_size < 1_000_000
        assert_refused_without_memory(saved, "would unpack from .* to .* bytes")


def test_an_array_that_claims_to_be_large_is_not_allocated(saved):
    with zipfile.ZipFile(saved) as file:
        members = {name: file.read(name) for name in file.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(saved, "w") as file:
        for name, content in (members | {"0.npy": header.getvalue() + bytes(80)}).items():
            file.writestr(name, content)
    assert_refused_without_memory(saved, "not have the size it declares")


def test_arrays_are_not_read_twice(saved):
    with zipfile.ZipFile(saved) as file:
        head = json.loads(file.read("crossnest.json"))
    with_head(saved, content=head["content"] | {"bloat": [{"$array": 0}] * 1000})
    with pytest.raises(FileFormatError, match="occurs twice"):
        load(saved)


def test_what_compresses_too_well_is_stored_as_it_is(tmp_path):
    path = tmp_path / "zeros"
    write_archive(path, {"zeros": np.zeros(8_500_000)})
    assert path.stat().st_size > 68_000_000
    assert (read_archive(path)["zeros"] == 0).all()


# ---------------------------------------------------------------------------------- replacing


def test_a_full_disk_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fitted_model("dyestuff2").save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links as POSIX has them")
def test_a_replaced_file_keeps_permissions_and_links(saved, tmp_path):
    model = fitted_model("dyestuff2")
    saved.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(saved)
    model.save(link)
    assert link.is_symlink() and stat.S_IMODE(saved.stat().st_mode) == 0o640
    (tmp_path / "plain").touch()
    model.save(tmp_path / "new")
    plain, new = ((tmp_path / name).stat().st_mode for name in ("plain", "new"))
    assert new == plain


def test_there_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        fitted_model("dyestuff2").save(tmp_path / "absent" / "model")


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner, inner)
            | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_values_survive_an_archive(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("archive") / "values"
    write_archive(path, value)
    found = read_archive(path)
    assert repr(found) == repr(value)
