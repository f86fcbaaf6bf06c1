"""Design: from formula and data to response, model matrices, grouping factors; bad input."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import SumContrasts, TreatmentContrasts
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossnest.base.errors import ContrastsWarning, DesignError, FormulaError
from crossnest.design.design import Design, build_design
from crossnest.design.new_rows import new_rows
from crossnest.formula.formula import parse_formula
from reference_cases import case_names, load_case


def example(n: int = 48, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = np.arange(n)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.uniform(0.5, 2.0, size=n),
            "count": rng.integers(0, 9, size=n),
            "a": pd.Categorical.from_codes(rows % 3, ["u", "t", "s"]),
            "b": 1 + rows // 3 % 4,
            "c": np.where(rows // 12 % 2, "q", "p"),
            "flag": rows // 6 % 2 == 0,
            "grade": pd.Categorical.from_codes(rows % 3, ["low", "mid", "high"], ordered=True),
            "g": rows % 8,
            "w": rng.uniform(0.5, 2.0, size=n),
            "my x": rng.normal(size=n),
        },
        index=[f"row{i}" for i in rows],
    )


DATA = example()


def described(design: Design) -> list[tuple[str, tuple[str, ...]]]:
    return [(r.term.group, r.names) for r in design.random]


def z_array(design: Design, term: int) -> np.ndarray:
    columns = design.random[term].columns
    return np.column_stack([np.ones(design.n) if c is None else c for c in columns])


# ------------------------------------------------------------------------------ reference cases


@pytest.mark.parametrize("name", case_names())
def test_reference_cases_have_rs_columns_and_levels(name: str) -> None:
    case = load_case(name)
    design = build_design(case.formula, case.data, weights=case.weights, offset=case.offset)
    ours = [n.replace("[T.", "").replace("]", "").replace(" ** ", "^") for n in design.x_names]
    kept = [n for n in ours if name != "rank_deficient" or n != "D2"]
    assert kept == case.coef_names
    assert design.n == case.expected["nobs"]
    assert {f.name: f.n_levels for f in design.factors} == case.expected["n_levels"]
    assert design.response_name == case.formula.split(" ~ ")[0]


# Columns and levels as lme4's lFormula gives them for these data, terms in its order.
LFORMULA = {
    "y ~ (1 | b) + (x | a) + (0 + x | b)": [
        ("b", ("x",)),
        ("b", ("(Intercept)",)),
        ("a", ("(Intercept)", "x")),
    ],
    "y ~ x + (1 | c) + (1 | a) + (1 | b)": [(g, ("(Intercept)",)) for g in "bac"],
    "y ~ x + (1 | b) + (1 | a) + (1 | c)": [(g, ("(Intercept)",)) for g in "bac"],
    "y ~ (1 | a/b)": [("b:a", ("(Intercept)",)), ("a", ("(Intercept)",))],
    "y ~ (c | b)": [("b", ("(Intercept)", "c[T.q]"))],
    "y ~ (0 + c | b)": [("b", ("c[p]", "c[q]"))],
    "y ~ (c || b)": [("b", ("(Intercept)",)), ("b", ("c[p]", "c[q]"))],
    "y ~ (a:x | b)": [("b", ("(Intercept)", "a[u]:x", "a[t]:x", "a[s]:x"))],
    "y ~ (flag | b)": [("b", ("(Intercept)", "flag[T.True]"))],
    "y ~ (poly(x, 2) | b)": [("b", ("(Intercept)", "poly(x, 2)[1]", "poly(x, 2)[2]"))],
}


@pytest.mark.parametrize("text", LFORMULA)
def test_random_effects_are_lme4s(text: str) -> None:
    assert described(build_design(text, DATA)) == LFORMULA[text]


def test_factors_are_listed_once_and_pointed_to() -> None:
    design = build_design("y ~ (1 | b) + (x | a) + (0 + x | b)", DATA)
    assert [f.name for f in design.factors] == ["b", "a"]
    assert [r.factor for r in design.random] == [0, 0, 1]
    np.testing.assert_array_equal(design.factors[0].codes, DATA["b"] - 1)
    assert design.factors[1].levels.tolist() == ["u", "t", "s"]
    nested = build_design("y ~ (1 | a/b)", DATA).factors[0]
    assert nested.levels.tolist()[:5] == ["1:u", "1:t", "1:s", "2:u", "2:t"]


def test_x_names_follow_rs_order_of_terms() -> None:
    design = build_design("y ~ x:c + c + a*x + (1 | b)", DATA)
    assert design.x_names == (
        "(Intercept)",
        "c[T.q]",
        "a[T.t]",
        "a[T.s]",
        "x",
        "x:c[T.q]",
        "x:a[T.t]",
        "x:a[T.s]",
    )


def test_arrays_have_the_promised_layout() -> None:
    design = build_design("y ~ x + count + a + (count + x | b)", DATA)
    assert design.X.flags.f_contiguous and design.X.dtype == np.float64
    assert design.y.flags.c_contiguous and design.y.dtype == np.float64
    for column in design.random[0].columns[1:]:
        assert column is not None and column.flags.c_contiguous and column.dtype == np.float64
        assert np.shares_memory(column, design.X)
    assert design.random[0].columns[0] is None
    assert design.factors[0].codes.dtype == np.int32
    assert design.kept is None
    assert not np.shares_memory(design.y, DATA["y"].to_numpy())


# ------------------------------------------------------------------------ rows seen a second time

VARIABLES = ["x", "count", "a", "c", "flag", "grade", "`my x`", "I(x**2)", "np.log(x)"]
VARIABLES += ["poly(x, 2)", "scale(count)", "factor(count)", "ns(x, 3)", "interaction(a, c)"]
TERM = st.lists(st.sampled_from(VARIABLES), min_size=1, max_size=3, unique=True).map(":".join)


@st.composite
def formulas(draw: st.DrawFn) -> str:
    fixed = draw(st.lists(TERM, min_size=1, max_size=4, unique=True))
    random = draw(st.lists(TERM, min_size=1, max_size=2, unique=True))
    assume(not any(term.count("factor(") + term.count(":") > 1 for term in random))
    start = draw(st.sampled_from(["1", "0"]))
    bar = draw(st.sampled_from(["|", "||"]))
    effects = f"{start} + {' + '.join(fixed)} + offset(np.log(x))"
    return f"y ~ {effects} + ({' + '.join(random)} {bar} g)"


@settings(max_examples=40, deadline=None)
@given(formulas(), st.lists(st.integers(0, 9999), min_size=1, max_size=12))
def test_rows_of_the_data_pass_through_the_encoders_as_they_did(text: str, rows: list[int]) -> None:
    data = example(480)
    rows = [row % 480 for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = build_design(text, data)
    again = new_rows(design, data.iloc[rows], [True] * len(design.random))
    np.testing.assert_allclose(again.X, design.X[rows], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(again.offset, design.offset[rows], rtol=1e-14)
    for i, columns in enumerate(again.columns):
        Z = np.column_stack([np.ones(len(rows)) if c is None else c for c in columns])
        np.testing.assert_allclose(Z, z_array(design, i)[rows], rtol=1e-12, atol=1e-15)


def test_stateful_functions_remember() -> None:
    design = build_design("y ~ scale(x) + poly(count, 2) + C(a, contr.sum) + (1 | b)", DATA)
    half = new_rows(design, DATA.iloc[:20], [True]).X
    np.testing.assert_allclose(half, design.X[:20], rtol=1e-14, atol=1e-15)


def test_new_data_keep_the_levels_of_the_old() -> None:
    design = build_design("y ~ a + flag + (1 | b)", DATA)
    new = pd.DataFrame({"a": ["s", "u"], "flag": [True, True]})
    rows = new_rows(design, new, [False]).X
    np.testing.assert_array_equal(rows, [[1, 0, 1, 1], [1, 0, 0, 1]])


# --------------------------------------------------------------------- expressions and contrasts


def test_expressions_are_evaluated() -> None:
    design = build_design("np.log(w) ~ I(x**2) + np.clip(x, 1) + I(x > 1) + (1 | C(b))", DATA)
    assert design.response_name == "np.log(w)"
    np.testing.assert_allclose(design.y, np.log(DATA["w"]))
    np.testing.assert_allclose(design.X[:, 1], DATA["x"] ** 2)
    np.testing.assert_allclose(design.X[:, 2], DATA["x"].clip(1))
    np.testing.assert_array_equal(design.X[:, 3], DATA["x"] > 1)
    assert design.x_names[3] == "I(x > 1)[T.True]"
    assert design.factors[0].name == "C(b)"
    assert design.factors[0].levels.tolist() == [1, 2, 3, 4]


def test_quoted_names() -> None:
    design = build_design("y ~ `my x` + I(`my x`**2) + center(`my x`) + (`my x` | b)", DATA)
    assert design.x_names[:3] == ("(Intercept)", "my x", "I(`my x` ** 2)")
    assert design.random[0].names == ("(Intercept)", "my x")


def test_ordered_factors_get_polynomial_contrasts_as_in_r() -> None:
    design = build_design("y ~ grade + (1 | b)", DATA)
    assert design.x_names == ("(Intercept)", "grade[.L]", "grade[.Q]")
    expected = np.array([[-1, 1], [0, -2], [1, 1]]) / np.sqrt([2, 6])
    np.testing.assert_allclose(design.X[:3, 1:], expected, atol=1e-15)


@pytest.mark.parametrize("contrasts", ["contr.sum", "sum", SumContrasts, SumContrasts()])
def test_contrasts_by_column(contrasts: Any) -> None:
    design = build_design("y ~ a + (1 | b)", DATA, contrasts={"a": contrasts})
    assert design.x_names == ("(Intercept)", "a[S.u]", "a[S.t]")
    np.testing.assert_array_equal(design.X[:3, 1:], [[1, 0], [0, 1], [-1, -1]])


def test_contrasts_as_a_matrix() -> None:
    design = build_design("y ~ a + (1 | b)", DATA, contrasts={"a": [[1, 0], [0, 1], [-1, -1]]})
    np.testing.assert_array_equal(design.X[:3, 1:], [[1, 0], [0, 1], [-1, -1]])


@pytest.mark.parametrize(
    ("contrasts", "message"),
    [
        ({"a": "contr.sums"}, "column 'a': unknown contrasts 'contr.sums'"),
        ({"a": "np.sum(3)"}, "column 'a': unknown contrasts"),
        ({"a": 3}, "contrasts of column 'a': contrasts must be a name"),
        ({"a": "Treatment('z')"}, "column 'a'.*'z' cannot be the reference level"),
        ({"a": pd.DataFrame({"p": [1.0, 2]}, index=["s", "t"])}, r"no row for the levels \['u'\]"),
        ({"a": np.eye(2)}, "contrasts given for column 'a' do not fit its 3 levels"),
    ],
)
def test_bad_contrasts(contrasts: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        build_design("y ~ a + (1 | b)", DATA, contrasts=contrasts)


def test_contrasts_of_what_is_no_factor_are_ignored_with_one_warning() -> None:
    with pytest.warns(ContrastsWarning, match="'z', which is not a factor") as caught:
        design = build_design("y ~ a + (1 | b)", DATA, contrasts={"z": "contr.sum"})
    assert len(caught) == 1 and design.p == 3


@pytest.mark.parametrize(
    "contrasts",
    [
        "contr.treatment(3, base=2)",
        "contr.treatment(n=3, base=2)",
        "Treatment('t')",
        "contr.treatment(base='t')",
        TreatmentContrasts(base="t"),
        pd.DataFrame({"u": [0, 0, 1], "s": [1, 0, 0]}, index=["s", "t", "u"]),
    ],
)
def test_a_reference_level_can_be_chosen_as_in_r_and_in_patsy(contrasts: Any) -> None:
    design = build_design("y ~ a + (1 | b)", DATA, contrasts={"a": contrasts})
    labels = DATA["a"].to_numpy()
    np.testing.assert_array_equal(design.X[:, 1:], np.c_[labels == "u", labels == "s"])


@pytest.mark.parametrize("text", ["y ~ 0 + a + (1 | b)", "y ~ c/a + (1 | b)", "y ~ (0 + a | b)"])
def test_a_matrix_of_contrasts_is_not_used_where_dummies_are_due(text: str) -> None:
    plain = build_design(text, DATA)
    coded = build_design(text, DATA, contrasts={"a": [[1.0], [0.0], [-1.0]]})
    if text == "y ~ c/a + (1 | b)":  # c:a, a coded by contrasts within the levels of c
        assert coded.p == 4 and plain.p == 6
        return
    ours = coded.X if coded.p > 1 else z_array(coded, 0)
    np.testing.assert_array_equal(ours, plain.X if plain.p > 1 else z_array(plain, 0))


def test_offsets_add_up() -> None:
    text = "y ~ offset(x) + offset(np.log(w)) + (1 | b)"
    design = build_design(text, DATA, offset=np.full(48, 3.0))
    np.testing.assert_allclose(design.offset, DATA["x"] + np.log(DATA["w"]) + 3)
    np.testing.assert_array_equal(build_design("y ~ (1 | b)", DATA, offset="x").offset, DATA["x"])


def test_a_dot_takes_the_other_columns() -> None:
    data = DATA[["y", "x", "g", "count"]]
    assert build_design("y ~ . + (1 | g)", data).x_names == ("(Intercept)", "x", "count")


def test_a_parsed_formula_is_accepted() -> None:
    assert build_design(parse_formula("y ~ x + (1 | b)"), DATA).p == 2


# ------------------------------------------------------------------------------------- row choice


def test_rows_missing_a_value_anywhere_are_dropped_jointly() -> None:
    data = DATA.assign(b=DATA["b"].astype(float), off=0.0)
    for row, column in enumerate(["y", "x", "a", "b", "off"]):
        data.iloc[row, data.columns.get_loc(column)] = None
    data.loc["row9", "count"] = np.nan  # not used
    design = build_design("y ~ x + a + offset(off) + (1 | b)", data)
    assert design.n_rows == 48 and design.n_missing == 5 and design.n == 43
    assert design.index.tolist() == DATA.index[5:].tolist()
    assert design.kept is not None and design.kept.tolist() == [False] * 5 + [True] * 43
    np.testing.assert_array_equal(design.y, DATA["y"].iloc[5:])
    assert design.factors[0].levels.tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(DesignError, match=r"missing values in column 'y' \(1 rows\), column 'x'"):
        build_design("y ~ x + a + (1 | b)", data, na_action="raise")


def test_a_missing_offset_drops_the_row() -> None:
    offset = np.zeros(48)
    offset[3] = np.nan
    assert build_design("y ~ (1 | b)", DATA, offset=offset).n_missing == 1


def test_missing_values_made_by_an_expression_are_dropped_and_counted() -> None:
    data = DATA.assign(x=DATA["x"] - 1, y=DATA["y"].where(DATA["g"] > 0))
    design = build_design("y ~ np.log(x) + a + (1 | b)", data)
    good = (data["x"] > 0) & data["y"].notna()
    assert design.n == good.sum() and design.n_missing == 48 - good.sum()
    assert design.index.tolist() == data.index[good].tolist()
    np.testing.assert_allclose(design.X[:, 1], np.log(data["x"][good]))
    np.testing.assert_array_equal(design.factors[0].codes, data["b"][good] - 1)
    with pytest.raises(DesignError, match=r"missing values in the expression `np.log\(x\)`"):
        build_design("y ~ np.log(x) + (1 | b)", data.dropna(), na_action="raise")


def test_levels_lost_to_an_expression_are_unused() -> None:
    data = DATA.assign(x=np.where(DATA["a"] == "t", -1.0, DATA["x"]))
    design = build_design("y ~ np.log(x) + a + (1 | b)", data)
    assert design.x_names == ("(Intercept)", "np.log(x)", "a[T.s]")


def test_missing_labels_of_a_computed_grouping_factor() -> None:
    design = build_design("y ~ (1 | ifelse(b > 1, b, NA))", DATA)
    assert design.n_missing == 12
    assert design.factors[0].levels.tolist() == [2.0, 3.0, 4.0]
    cut = build_design("y ~ (1 | cut(b, c(1, 2, 3, 4)))", DATA)
    assert cut.n_missing == 12
    assert cut.factors[0].levels.tolist() == ["(1,2]", "(2,3]", "(3,4]"]


def test_functions_learn_from_all_rows_in_which_their_argument_is_known_as_in_r() -> None:
    data = DATA.assign(x=DATA["x"].where(DATA["g"] > 0), y=DATA["y"].where(DATA["b"] > 1))
    design = build_design("y ~ scale(x) + (1 | b)", data)
    x = data["x"].dropna()
    kept = data.dropna(subset=["x", "y"])
    np.testing.assert_allclose(design.X[:, 1], (kept["x"] - x.mean()) / x.std(), rtol=1e-13)


def test_zero_weights_leave_before_anything_is_counted() -> None:
    weights = np.where(DATA["a"] == "t", 0.0, 2.0)
    design = build_design("y ~ a + (1 | a:b)", DATA, weights=weights)
    assert design.n_zero_weight == 16 and design.n_missing == 0 and design.n == 32
    assert design.x_names == ("(Intercept)", "a[T.s]")
    assert design.factors[0].n_levels == 8
    assert design.weights is not None and design.weights.tolist() == [2.0] * 32
    data = DATA.assign(x=DATA["x"].where(weights > 0))
    both = build_design("y ~ x + (1 | b)", data, weights=weights)
    assert both.n_missing == 16 and both.n_zero_weight == 0


def test_unused_levels_are_dropped() -> None:
    data = DATA[DATA["a"] != "u"]
    design = build_design("y ~ a + (a | b)", data)
    assert design.x_names == ("(Intercept)", "a[T.s]")
    assert design.random[0].names == ("(Intercept)", "a[T.s]")
    assert build_design("y ~ (1 | a)", data).factors[0].levels.tolist() == ["t", "s"]


# --------------------------------------------------------------------------- kinds of data frames


def as_polars(data: pd.DataFrame) -> Any:
    pl = pytest.importorskip("polars")
    columns = {n: pl.Series(n, c.astype(object).tolist()) for n, c in data.items()}
    for name in ("a", "grade"):
        columns[name] = columns[name].cast(pl.Enum(data[name].cat.categories.tolist()))
    return pl.DataFrame(columns)


@pytest.mark.parametrize("kind", ["dict", "polars", "pyarrow"])
@pytest.mark.parametrize(
    "text", ["y ~ x*a + c + flag + (x | b/c)", "y ~ scale(x) + a + grade + (a | g)"]
)
def test_every_kind_of_frame_gives_the_same_design(kind: str, text: str) -> None:
    data = DATA.reset_index(drop=True)
    data["grade"] = data["grade"].cat.as_unordered()
    other: Any = dict(data.items()) if kind == "dict" else as_polars(data)
    if kind == "pyarrow":
        pytest.importorskip("pyarrow")
        other = other.to_arrow()
    design, expected = build_design(text, other), build_design(text, data)
    assert design.x_names == expected.x_names
    np.testing.assert_array_equal(design.X, expected.X)
    assert described(design) == described(expected)
    for ours, theirs in zip(design.factors, expected.factors, strict=True):
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        assert ours.levels.tolist() == theirs.levels.tolist()
    assert design.index.equals(pd.RangeIndex(48))


@pytest.mark.parametrize("text", ["y ~ x*a + (x || b/c)", "y ~ poly(x, 2) + C(a) + (scale(x) | b)"])
def test_designs_pickle(text: str) -> None:
    design = build_design(text, DATA, weights="w")
    again = pickle.loads(pickle.dumps(design))
    np.testing.assert_array_equal(again.X, design.X)
    np.testing.assert_array_equal(again.weights, design.weights)
    assert again.formula == design.formula
    assert again.index.equals(design.index)
    assert again.factors[0].levels.equals(design.factors[0].levels)
    rows = new_rows(again, DATA, [True] * len(again.random)).X
    np.testing.assert_allclose(rows, design.X, rtol=1e-14, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(st.permutations(list(range(48))))
def test_row_order_does_not_matter(order: list[int]) -> None:
    text = "y ~ x*c + (x | a/b) + (1 | flag:c)"
    design, shuffled = build_design(text, DATA), build_design(text, DATA.iloc[order])
    np.testing.assert_array_equal(shuffled.X, design.X[order])
    for ours, theirs in zip(shuffled.factors, design.factors, strict=True):
        assert ours.levels.tolist() == theirs.levels.tolist()
        np.testing.assert_array_equal(ours.codes, theirs.codes[order])


# ------------------------------------------------------------------------------------- bad input


def with_value(column: str, value: float) -> pd.DataFrame:
    data = DATA.copy()
    data[column] = data[column].astype(float)
    data.iloc[5, data.columns.get_loc(column)] = value
    return data


MISSING = DATA.assign(x=np.nan)
WEIGHTS = np.ones(48)


def changed(value: float) -> np.ndarray:
    weights = WEIGHTS.copy()
    weights[[2, 5]] = value
    return weights


BAD: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "unknown column": ("y ~ cuont + (1 | b)", DATA, {}, "no column 'cuont'.*mean 'count'"),
    "unknown column in call": ("y ~ np.log(zz) + (1 | b)", DATA, {}, "'zz'.*the columns are y, x"),
    "unknown column, wrong case": ("Y ~ x + (1 | b)", DATA, {}, "no column 'Y'.*did you mean 'y'"),
    "unknown group": ("y ~ x + (1 | bb)", DATA, {}, "no column 'bb'.*grouping factor.*'b'"),
    "unknown weights": ("y ~ x + (1 | b)", DATA, {"weights": "ww"}, "no column 'ww'.*weights.*'w'"),
    "text response": ("c ~ x + (1 | b)", DATA, {}, "response 'c' is not numeric, it holds labels"),
    "logical response": ("I(x > 1) ~ (1 | b)", DATA, {}, r"response 'I\(x > 1\)'.*holds labels"),
    "wide response": ("poly(y, 2) ~ (1 | b)", DATA, {}, r"response 'poly\(y, 2\)' is not numeric"),
    "constant response": ("y ~ (1 | b)", DATA.assign(y=3.0), {}, "response 'y' is constant .3"),
    "inf in y": ("y ~ x + (1 | b)", with_value("y", np.inf), {}, "response 'y' has 1 infinite"),
    "inf in x": ("y ~ x + (1 | b)", with_value("x", -np.inf), {}, "column 'x'.*1 infinite"),
    "inf in Z": ("y ~ (x | b)", with_value("x", np.inf), {}, "column 'x'.*1 infinite"),
    "inf by division": ("y ~ I(1/(x - x)) + (1 | b)", DATA, {}, "48 infinite"),
    "inf, raise": (
        "y ~ x + (1 | b)",
        with_value("y", np.inf),
        {"na_action": "raise"},
        "response 'y' has 1 infinite",
    ),
    "NaN, raise": (
        "y ~ x + (1 | b)",
        with_value("y", np.nan),
        {"na_action": "raise"},
        r"missing values in column 'y' \(1 rows\).*na_action='drop'",
    ),
    "na_action": ("y ~ (1 | b)", DATA, {"na_action": "omit"}, "'drop' or 'raise', not 'omit'"),
    "one level": ("y ~ (1 | a)", DATA[DATA["a"] == "u"], {}, "'a' has only one level .'u'"),
    "one level in X": (
        "y ~ a + (1 | g)",
        DATA[DATA["a"] == "u"],
        {},
        "column 'a' has only one level",
    ),
    "level per row": (
        "y ~ (x | id)",
        DATA.assign(id=range(48)),
        {},
        "has 96 random effects .2 for each of 48 levels",
    ),
    "measurement": ("y ~ (1 | x)", DATA, {}, "'x' is numeric with a different value in each"),
    "too many effects": (
        "y ~ (a*x | g)",
        DATA,
        {},
        r"term `\(1 \+ a \+ x \+ a:x \| g\)` has 48 random effects \(6 for each of 8 levels\)",
    ),
    "nothing left": ("y ~ x + (1 | b)", MISSING, {}, r"no rows are left.*column 'x' \(48 rows\)"),
    "nothing left of log": (
        "y ~ np.log(-x) + (1 | b)",
        DATA,
        {},
        r"no rows are left.*the expression `np.log\(-x\)` \(48",
    ),
    "no rows": ("y ~ x + (1 | b)", DATA.iloc[:0], {}, "no rows"),
    "negative weights": ("y ~ (1 | b)", DATA, {"weights": changed(-1)}, "2 of the weights are neg"),
    "NaN weights": ("y ~ (1 | b)", DATA, {"weights": changed(np.nan)}, "2 of the weights are miss"),
    "infinite weights": ("y ~ (1 | b)", DATA, {"weights": changed(np.inf)}, "weights are infinite"),
    "NaN in a weights column": (
        "y ~ (1 | b)",
        with_value("w", np.nan),
        {"weights": "w"},
        "1 of the weights are missing",
    ),
    "zero weights": ("y ~ (1 | b)", DATA, {"weights": 0 * WEIGHTS}, "every weight is zero"),
    "short weights": ("y ~ (1 | b)", DATA, {"weights": [1, 2]}, "weights must have.* 48 .*not 2"),
    "matrix of weights": ("y ~ (1 | b)", DATA, {"weights": np.ones((48, 1))}, r"shape \(48, 1\)"),
    "text weights": ("y ~ (1 | b)", DATA, {"weights": ["a"] * 48}, "weights must be numbers"),
    "text weights column": ("y ~ (1 | b)", DATA, {"weights": "c"}, "weights column 'c' is not num"),
    "short offset": ("y ~ (1 | b)", DATA, {"offset": [0.0]}, "offset must have.*48.*not 1 values"),
    "infinite offset": ("y ~ (1 | b)", DATA, {"offset": changed(np.inf)}, "the offset has 2 inf"),
    "text offset": ("y ~ offset(c) + (1 | b)", DATA, {}, "the offset 'c' is not numeric"),
    "dates": (
        "y ~ day + (1 | b)",
        DATA.assign(day=pd.Timestamp("2020-01-01")),
        {},
        "column 'day' holds neither numbers nor labels",
    ),
    "a call that fails": (
        "y ~ log(c) + (1 | b)",
        DATA,
        {},
        r"cannot evaluate `log\(c\)`: `c` holds",
    ),
    "no frame": ("y ~ x + (1 | b)", 3, {}, "must be a data frame"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_the_culprit_named(case: str) -> None:
    text, data, arguments, message = BAD[case]
    with warnings.catch_warnings(), pytest.raises(DesignError, match=message) as caught:
        build_design(text, data, **arguments)
    assert "\n" not in str(caught.value)


def test_a_malformed_formula_is_refused() -> None:
    with pytest.raises(FormulaError, match="no random-effects term"):
        build_design("y ~ x", DATA)
    with pytest.raises(FormulaError, match="must be a string, not list"):
        build_design(["y ~ x + (1 | b)"], DATA)  # type: ignore[arg-type]
