"""Every type a column may have is read right, or refused by name."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossnest import DesignError, build_design, ivw, lm, lmer
from crossnest.base.values import codes_and_levels, numbers, plain

N = 48
RNG = np.random.default_rng(8)
WHOLE = RNG.integers(0, 7, N)
LETTERS = np.array(["low", "mid", "high"])[RNG.integers(0, 3, N)]
GROUP = np.repeat(np.arange(8), 6)
Y = RNG.normal(size=N) + RNG.normal(size=8)[GROUP] + 0.3 * WHOLE


def data(**columns: Any) -> dict[str, Any]:
    return {"y": Y, "x": WHOLE.astype(float), "f": LETTERS, "g": GROUP} | columns


def fit(**columns: Any) -> Any:
    return lmer("y ~ x + f + (1 | g)", data(**columns))


@pytest.fixture(scope="module")
def expected() -> Any:
    return fit()


def with_hole(values: Any) -> Any:
    """Put a missing value third."""
    return [None if i == 2 else value for i, value in enumerate(values)]


def arrow(dtype: str) -> Callable[[Any], Any]:
    def make(values: Any) -> Any:
        pytest.importorskip("pyarrow")
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
        return pd.array(values, dtype=f"{dtype}[pyarrow]")

    return make


def arrow_decimal(values: Any) -> Any:
    pa = pytest.importorskip("pyarrow")
    values = [None if value is None else Decimal(int(value)) for value in values]
    return pd.array(values, dtype=pd.ArrowDtype(pa.decimal128(20, 3)))


def arrow_dictionary(values: Any) -> Any:
    pa = pytest.importorskip("pyarrow")
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values).dictionary_encode()))


def polars(dtype: str) -> Callable[[Any], Any]:
    def make(values: Any) -> Any:
        pl = pytest.importorskip("polars")
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
        return pl.Series(values).cast(
            pl.Decimal(20, 2) if dtype == "Decimal" else getattr(pl, dtype)
        )

    return make


def objects(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: np.array(
        [None if value is None else convert(value) for value in values], dtype=object
    )


def numpy(dtype: str) -> Callable[[Any], Any]:
    return lambda values: np.array(values).astype(dtype)


def masked(values: Any) -> Any:
    mask = [value is None for value in values]
    return np.ma.array([9.97e36 if value is None else value for value in values], mask=mask)


def masked_text(values: Any) -> Any:
    mask = [value is None for value in values]
    return np.ma.array(["zzz" if value is None else value for value in values], mask=mask)


#: What may hold numbers next to missing values, and what only without.
WITH_MISSING: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "masked": masked,
    "Int64": lambda values: pd.array(values, dtype="Int64"),
    "UInt8": lambda values: pd.array(values, dtype="UInt8"),
    "Float32": lambda values: pd.array(values, dtype="Float32"),
    "arrow double": arrow("double"),
    "arrow int": arrow("int16"),
    "arrow decimal": arrow_decimal,
    "decimal": objects(lambda value: Decimal(int(value))),
    "fraction": objects(lambda value: Fraction(int(value))),
    "object": objects(int),
    "object with NaN": lambda values: np.array(
        [np.nan if v is None else v for v in values], object
    ),
    "object with NA": lambda values: np.array([pd.NA if v is None else v for v in values], object),
    "object with NaT": lambda values: np.array(
        [pd.NaT if v is None else v for v in values], object
    ),
    "sparse": lambda values: pd.arrays.SparseArray([np.nan if v is None else v for v in values]),
    "polars Float32": polars("Float32"),
    "polars Int8": polars("Int8"),
    "polars Decimal": polars("Decimal"),
}
WITHOUT_MISSING: dict[str, Callable[[Any], Any]] = {
    name: numpy(name)
    for name in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">f8", "f2", "f4", "g")
} | {
    "sparse about 0": lambda values: pd.arrays.SparseArray(np.asarray(values), fill_value=0),
    "read-only": lambda values: np.broadcast_to(np.array(values, dtype=float), (1, N))[0],
    "strided": lambda values: np.repeat(np.array(values, dtype=float), 3)[::3],
}


@pytest.mark.parametrize("name", WITH_MISSING | WITHOUT_MISSING)
def test_numbers_of_every_type_give_the_fit_of_float64(name: str, expected: Any) -> None:
    make = (WITH_MISSING | WITHOUT_MISSING)[name]
    model = fit(x=make(WHOLE))
    pd.testing.assert_series_equal(model.fixef, expected.fixef, check_exact=True)
    assert model.objective == expected.objective


@pytest.mark.parametrize("name", WITH_MISSING)
def test_a_missing_number_of_every_type_is_missing(name: str) -> None:
    plain_fit = fit(x=np.where(np.arange(N) == 2, np.nan, WHOLE))
    model = fit(x=WITH_MISSING[name](with_hole(WHOLE)))
    assert model.design.n_missing == 1
    assert model.objective == plain_fit.objective


@pytest.mark.parametrize("name", WITH_MISSING | WITHOUT_MISSING)
def test_groups_of_numbers_of_every_type(name: str, expected: Any) -> None:
    model = fit(g=(WITH_MISSING | WITHOUT_MISSING)[name](GROUP))
    assert model.objective == expected.objective
    assert list(model.ranef()["g"].index) == list(range(8))
    assert isinstance(model.ranef()["g"].index.dtype, np.dtype)


@pytest.mark.parametrize("name", WITH_MISSING)
def test_a_missing_group_is_left_out(name: str) -> None:
    model = fit(g=WITH_MISSING[name](with_hole(GROUP)))
    assert model.design.n_missing == 1
    assert list(model.ranef()["g"].index) == list(range(8))


LABELS: dict[str, Callable[[Any], Any]] = {
    "text": list,
    "object": objects(str),
    "object with NA": lambda values: np.array([pd.NA if v is None else v for v in values], object),
    "object with NaN": lambda values: np.array(
        [np.nan if v is None else v for v in values], object
    ),
    "string": lambda values: pd.array(values, dtype="string"),
    "arrow string": arrow("string"),
    "arrow dictionary": arrow_dictionary,
    "bytes": objects(str.encode),
    "masked": masked_text,
    "unordered categorical": pd.Categorical,
    "unused levels": lambda values: pd.Categorical(values, ["high", "low", "mid", "never"]),
    "polars String": polars("String"),
    "polars Categorical": polars("Categorical"),
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_labels_of_every_type_give_the_fit_of_text(name: str, missing: bool) -> None:
    values = with_hole(LETTERS) if missing else LETTERS
    text = pd.Series(values, dtype=object)
    expected, model = fit(f=text), fit(f=LABELS[name](values))
    assert model.design.n_missing == int(missing)
    if name == "polars Categorical":  # its levels are in the order of appearance
        np.testing.assert_allclose(model.fittedvalues, expected.fittedvalues, atol=1e-6)
        return
    pd.testing.assert_series_equal(model.fixef, expected.fixef, check_exact=True)
    grouped = lmer("y ~ x + (1 | g:f)", data(f=LABELS[name](values)))
    plain_groups = lmer("y ~ x + (1 | g:f)", data(f=text))
    assert grouped.ranef()["g:f"].index.equals(plain_groups.ranef()["g:f"].index)


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        list,
        objects(bool),
        arrow("bool"),
        polars("Boolean"),
        lambda values: pd.array(values, dtype="boolean"),
    ],
)
def test_truth_values_are_a_factor(make: Callable[[Any], Any]) -> None:
    model = lm("y ~ x + f", data(f=make(WHOLE > 2)))
    assert list(model.params.index) == ["(Intercept)", "x", "f[T.True]"]
    assert model.params.equals(lm("y ~ x + f", data(f=WHOLE > 2)).params)
    if make is not np.asarray:
        hole = make(with_hole((WHOLE > 2).tolist()))
        assert lm("y ~ x + f", data(f=hole)).design.n_missing == 1


def test_a_masked_array_in_a_dict_was_fitted_with_what_lies_under_the_mask() -> None:
    """NetCDF's fill value 9.97e36 made sigma 1.5e19."""
    model = fit(y=masked(with_hole(Y)))
    assert model.design.n_missing == 1
    assert model.sigma < 10


def test_masked_weights_offsets_and_responses_are_missing(expected: Any) -> None:
    hole = masked(with_hole(np.ones(N)))
    with pytest.raises(DesignError, match=r"1 of the weights are missing \(NaN\)"):
        lmer("y ~ x + (1 | g)", data(), weights=hole)
    assert lmer("y ~ x + (1 | g)", data(), offset=hole).design.n_missing == 1
    with pytest.raises(DesignError, match="the new response is not finite in row 2"):
        expected.refit(masked(with_hole(Y)))
    both = np.ma.array(np.column_stack([Y, Y]), mask=False)
    both[2, 1] = np.ma.masked
    fits = expected.refit_many(both, progress=False)
    assert list(fits.status) == ["ok", "failed"]
    newdata = {"x": [1.0] * 3, "f": ["low"] * 3, "g": [0, 1, 2]}
    offset = expected.predict(newdata, offset=masked(with_hole([0.0] * 3)))
    assert offset.isna().tolist() == [False, False, True]


@pytest.mark.parametrize("argument", ["weights", "offset"])
@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.ones(N) + 1j, "complex numbers in the {}"),
        ([str(i) for i in range(N)], "the {} must be numbers, not text"),
        (pd.date_range("2020-01-01", periods=N), "the {} must be numbers, not dates or times"),
        ([[1.0]] * N, "rows of the data, not shape"),
        ([[1.0], [1.0, 2.0]], "in rows of the same length"),
        ({"w": 1}, "the {} must be a sequence of values, not dict"),
        (3.0, "the {} must be a sequence of values, not float"),
        (np.float64(3), "the {} must have one value for each"),
    ],
)
def test_weights_and_offsets_that_are_no_numbers(argument: str, values: Any, text: str) -> None:
    with pytest.raises(DesignError, match=text.replace("{}", argument)):
        lmer("y ~ x + (1 | g)", data(), **{argument: values})


def test_complex_responses_lost_their_imaginary_part(expected: Any) -> None:
    with pytest.raises(
        DesignError, match="complex numbers in column 'y' are not supported: use their real part"
    ):
        fit(y=Y + 1j)
    with pytest.raises(DesignError, match="complex numbers in column 'x'"):
        fit(x=[1j] + [1.0] * (N - 1))
    with pytest.raises(DesignError, match="complex numbers in column 'g'"):
        fit(g=GROUP + 1j)
    with pytest.raises(DesignError, match="complex numbers in the new response"):
        expected.refit(Y + 1j)
    with pytest.raises(DesignError, match="complex numbers in the responses"):
        expected.refit_many(np.column_stack([Y, Y]) + 1j, progress=False)
    with pytest.raises(ValueError, match="complex"):
        ivw([1j, 1.0], [1.0, 1.0])


def test_residuals_of_nullable_responses_in_new_data(expected: Any) -> None:
    rows = pd.DataFrame(data(y=pd.array(with_hole([1] * N), dtype="Int64")))
    residuals = expected.augment(rows)[".resid"]
    assert residuals.dtype == np.float64
    assert residuals.isna().tolist() == [i == 2 for i in range(N)]
    with pytest.raises(DesignError, match="the response 'y' of newdata must be numbers"):
        expected.augment(rows.assign(y="high"))


@pytest.mark.parametrize("values", [[[1.0], [1.0, 2.0]] * 24, [10**400] * N, {1, 2}, 1.0, None])
def test_responses_and_starts_that_are_no_numbers(values: Any, expected: Any) -> None:
    with pytest.raises(DesignError, match="the new response"):
        expected.refit(values)
    with pytest.raises(DesignError, match=r"the responses|Y must have two"):
        expected.refit_many(values, progress=False)
    with pytest.raises(ValueError, match="start"):
        lmer("y ~ x + (1 | g)", data(), start="a" if values is None else values)


BIG = 2**53


@pytest.mark.parametrize("held", ["floats", "decimals", "Python's integers"])
def test_whole_numbers_that_floats_do_not_tell_apart_are_no_labels(held: str) -> None:
    ids: Any = GROUP + BIG
    match held:
        case "floats":
            ids = ids.astype(float)
        case "decimals":
            ids = [Decimal(int(value)) for value in ids]
        case _:
            ids = [int(value) + 2**70 for value in ids]
    with pytest.raises(DesignError, match=r"labels of column 'g' are .* beyond 2\^53"):
        fit(g=ids)


def test_integer_ids_beyond_2_53_that_became_floats_got_another_levels_effect() -> None:
    model = fit(g=GROUP + BIG)
    new = {"x": [1.0, 1.0], "f": ["low", "low"], "g": [BIG + 1, BIG + 2]}
    effects = model.ranef()["g"]["(Intercept)"]
    difference = model.predict(new).diff()[1]
    assert difference == pytest.approx(effects[BIG + 2] - effects[BIG + 1])
    with pytest.raises(DesignError, match=r"beyond 2\^53"):
        model.predict(new | {"g": np.array(new["g"], dtype=float)})
    nullable = pd.array([BIG + 1, None], dtype="Int64")
    assert model.predict(new | {"g": nullable}).isna().tolist() == [False, True]


def test_coded_ids_beyond_2_53_were_merged() -> None:
    for formula in ("y ~ C(g) + (1 | f)", "y ~ x + (1 | C(g))"):
        with pytest.raises(DesignError, match=r"labels of column '(C\(g\)|g)' are .* 2\^53"):
            lmer(formula, data(g=GROUP + BIG))
    model = lm("y ~ g", data(g=pd.Categorical(GROUP + BIG)))
    with pytest.raises(DesignError, match=r"labels of column 'g' are .* beyond 2\^53"):
        model.predict({"g": [BIG + 1]})
    assert lmer("y ~ x + (1 | C(g))", data(g=GROUP + BIG - 8)).n_levels == {"C(g)": 8}


@pytest.mark.parametrize("make", [np.array, pd.Categorical])
def test_a_number_and_its_text_were_two_levels_printed_alike(make: Any) -> None:
    mixed = [1, "1", 2] * (N // 3)
    values = np.array(mixed, dtype=object) if make is np.array else make(mixed)
    for column in ("f", "g"):
        with pytest.raises(
            DesignError, match=rf"column '{column}' has the label 1 in two types \(int and str\)"
        ):
            fit(**{column: values})


REFUSED: dict[str, tuple[Any, str]] = {
    "lists": ([[1, 2]] * N, r"holds a list \(\[1, 2\]\)"),
    "one list": ([1.0] * (N - 1) + [[1, 2]], "holds a list"),
    "dicts": (pd.Series([{"a": 1}] * N), "holds a dict"),
    "sets": (pd.Series([{1}] * N), "holds a set"),
    "arrays": (pd.Series([np.ones(2)] * N), "holds a ndarray"),
    "structured": (np.zeros(N, dtype=[("a", float)]), "have several fields"),
    "no text": (np.array([b"\xff"] * N), "are not UTF-8"),
    "too large": ([10**400] + [1] * (N - 1), "is too large for floating point"),
    "datetime": (pd.date_range("2020-01-01", periods=N), "neither numbers nor labels"),
    "dates": ([dt.date(2020, 1, 1)] * N, "neither numbers nor labels"),
    "times": ([dt.time(12)] * N, "neither numbers nor labels"),
    "days": (np.array(["2020-01-01"] * N, dtype="M8[D]"), "neither numbers nor labels"),
    "timedelta": (pd.to_timedelta(range(N), unit="D"), "neither numbers nor labels"),
    "period": (pd.period_range("2020-01", periods=N, freq="M"), "neither numbers nor labels"),
    "tuples": (pd.MultiIndex.from_arrays([GROUP, WHOLE]), "holds a tuple"),
    "two dimensions": (np.ones((N, 1)), "must be one-dimensional"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_neither_number_nor_label_is_refused_by_name(name: str) -> None:
    values, text = REFUSED[name]
    with pytest.raises(DesignError, match=f"column 'x' .*{text}"):
        fit(x=values)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
@pytest.mark.parametrize("missing", [False, True])
def test_frames_of_other_packages(package: str, missing: bool) -> None:
    pl = pytest.importorskip("polars")
    hole = with_hole if missing else list
    columns = {
        "y": pl.Series(hole(Y.tolist())),
        "x": pl.Series(hole(WHOLE.tolist()), dtype=pl.Int16),
        "d": pl.Series(hole(WHOLE.tolist())).cast(pl.Decimal(20, 2)),
        "wide": pl.Series(hole(WHOLE.tolist())).cast(
            getattr(pl, "Int128" if package == "polars" else "Int8", pl.Int8)
        ),
        "f": pl.Series(hole(LETTERS.tolist())).cast(pl.Enum(["low", "mid", "high"])),
        "t": pl.Series(hole((WHOLE > 2).tolist())),
        "g": pl.Series(hole((GROUP + BIG).tolist())),
        "day": pl.Series(hole(GROUP.tolist())).cast(pl.Date),
        "at": pl.Series(hole(GROUP.tolist())).cast(pl.Datetime),
        "list": pl.Series([[1]] * N),
        "struct": pl.Series([{"a": 1}] * N),
    }
    frame = pl.DataFrame(columns)
    table = frame if package == "polars" else frame.to_arrow()
    expected = lmer(
        "y ~ x + f + t + (1 | g)",
        data(t=WHOLE > 2, f=pd.Categorical(LETTERS, ["low", "mid", "high"]))
        | {"y": np.where(np.arange(N) == (2 if missing else -1), np.nan, Y)},
    )
    for formula in (
        "y ~ x + f + t + (1 | g)",
        "y ~ d + f + t + (1 | day)",
        "y ~ wide + f + t + (1 | g)",
        "y ~ x + f + t + (1 | at)",
    ):
        model = lmer(formula, table)
        assert model.design.n_missing == int(missing)
        assert model.objective == pytest.approx(expected.objective, abs=1e-8)
    assert lmer("y ~ x + (1 | g)", table).ranef()["g"].index[-1] == BIG + 7
    for name, text in (
        ("list", "holds"),
        ("struct", "holds"),
        ("day", "neither"),
    ):
        with pytest.raises(DesignError, match=f"column '{name}' .*{text}"):
            lmer(f"y ~ {name} + (1 | g)", table)


@pytest.mark.parametrize(
    "days",
    [
        np.array(["2020-01-01"], dtype="M8[D]") + GROUP,
        pd.Timestamp("2020-01-01") + pd.to_timedelta(GROUP, unit="D"),
        (pd.Timestamp("2020-01-01") + pd.to_timedelta(GROUP, unit="D")).tz_localize("Asia/Tokyo"),
        [dt.date(2020, 1, 1 + int(day)) for day in GROUP],
        pd.to_timedelta(GROUP, unit="D"),
        pd.period_range("2020-01", periods=8, freq="M")[GROUP],
        pd.IntervalIndex.from_breaks(range(9))[GROUP],
    ],
)
def test_dates_and_intervals_group(days: Any, expected: Any) -> None:
    model = fit(g=days)
    assert model.objective == expected.objective
    new = {"x": WHOLE[::6], "f": LETTERS[::6], "g": days[::6]}
    np.testing.assert_allclose(model.predict(new), model.fittedvalues[::6])


@pytest.mark.parametrize("cut", [pd.cut, pd.qcut])
def test_intervals_cut_by_pandas_have_no_order(cut: Any) -> None:
    """They are ordered categoricals, which made polynomial contrasts of them; R's cut has none."""
    values = pd.Series(RNG.normal(size=N))
    names = build_design("y ~ f + (1 | g)", data(f=cut(values, 3))).x_names
    assert [name[:5] for name in names] == ["(Inte", "f[T.(", "f[T.("]
    declared = pd.Categorical(LETTERS, ["low", "mid", "high"], ordered=True)
    names = build_design("y ~ f + (1 | g)", data(f=declared)).x_names
    assert names[1:] == ("f[.L]", "f[.Q]")


def test_a_column_without_any_value_is_missing_everywhere() -> None:
    for values in ([None] * N, np.full(N, np.nan), pd.array([pd.NA] * N), [np.ma.masked] * N):
        with pytest.raises(DesignError, match="every row has a missing value"):
            fit(x=values)


def test_infinite_labels_in_an_interaction() -> None:
    codes = np.where(WHOLE > 2, np.inf, 1.0)
    model = lmer("y ~ x + (1 | g:h)", data(h=codes))
    assert {label.partition(":")[2] for label in model.ranef()["g:h"].index} == {"1.0", "inf"}


def test_columns_are_copied_and_levels_are_sorted() -> None:
    values = np.arange(3.0)
    read = numbers(values, "the values")
    values[0] = 9
    assert read[0] == 0
    codes, levels, ordered = codes_and_levels(plain(["b", None, "a"], "x"), "x")
    assert (codes.tolist(), levels.tolist(), ordered) == ([1, -1, 0], ["a", "b"], False)


def test_no_type_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers([1, np.ma.masked, None], "x")
        numbers(np.array([1e4000], dtype="g"), "x")
