"""Formulas: lme4's grammar of random-effects terms next to formulaic's, and what is refused."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the hypothesis profile)
from crossnest.base.errors import FormulaError
from crossnest.formula.formula import parse_formula


def terms(text: str) -> list[str]:
    return [str(term) for term in parse_formula(text).random]


# Expansions as lme4 1.1-31 makes them (findbars, expandDoubleVerts, mkReTrms).
EXPANSIONS = {
    "(1 | g)": ["(1 | g)"],
    "(x | g)": ["(1 + x | g)"],
    "(1 + x | g)": ["(1 + x | g)"],
    "(0 + x | g)": ["(0 + x | g)"],
    "(x - 1 | g)": ["(0 + x | g)"],
    "(-1 + x | g)": ["(0 + x | g)"],
    "(x || g)": ["(1 | g)", "(0 + x | g)"],
    "(0 + x || g)": ["(0 + x | g)"],
    "(1 + x * z || g)": ["(1 | g)", "(0 + x | g)", "(0 + z | g)", "(0 + x:z | g)"],
    "(x + z || a/b)": [
        "(1 | b:a)",
        "(1 | a)",
        "(0 + x | b:a)",
        "(0 + x | a)",
        "(0 + z | b:a)",
        "(0 + z | a)",
    ],
    "(1 | a/b)": ["(1 | b:a)", "(1 | a)"],
    "(1 | a/b/c)": ["(1 | c:(b:a))", "(1 | b:a)", "(1 | a)"],
    "(1 | a:b)": ["(1 | a:b)"],
    "(1 | (a:b))": ["(1 | a:b)"],
    "(1 | a/b:c)": ["(1 | b:c:a)", "(1 | a)"],
    "(1 | a*b)": ["(1 | a)", "(1 | b)", "(1 | a:b)"],
    "(1 | (a*b)/c)": ["(1 | c:(a:b))", "(1 | a)", "(1 | b)", "(1 | a:b)"],
    "(poly(x, 2) | g)": ["(1 + poly(x, 2) | g)"],
    "(1 | g) + (0 + x | g)": ["(1 | g)", "(0 + x | g)"],
    "((1 | a)) + ((1 | b) + z)": ["(1 | a)", "(1 | b)"],
    "(1 | C(g))": ["(1 | C(g))"],
    "(1 | `my group`)": ["(1 | my group)"],
    "(1 | factor(g))": ["(1 | factor(g))"],
    "(C | Q)": ["(1 + C | Q)"],
}


@pytest.mark.parametrize("text", EXPANSIONS)
def test_random_effects_terms_expand_as_in_lme4(text: str) -> None:
    assert terms(f"y ~ x + {text}") == EXPANSIONS[text]


def test_grouping_variables_are_in_lme4s_order() -> None:
    parsed = parse_formula("y ~ (1 | a/b/c)")
    assert [t.factors for t in parsed.random] == [("c", "b", "a"), ("b", "a"), ("a",)]


def test_a_term_keeps_its_text_and_its_structure() -> None:
    random = parse_formula("y ~ (1|a/b) + x + (0 + x||c)").random
    assert [t.text for t in random] == ["(1|a/b)", "(1|a/b)", "(0 + x||c)"]
    assert [t.covariance for t in random] == ["unstructured", "unstructured", "diagonal"]


# Terms by degree in order of appearance, factors of a term by first appearance: R's terms().
FIXED = {
    "x": "1 + x",
    "1": "1",
    "0": "0",
    "-1": "0",
    "0 + x": "0 + x",
    "x - 1": "0 + x",
    "x + (z - 1)": "0 + x + z",
    "a*b - a:b": "1 + a + b",
    "a*b - b": "1 + a + a:b",
    "x:c + c + a*x": "1 + c + a + x + x:c + x:a",
    "(a + b)**2": "1 + a + b + a:b",
    "a/b": "1 + a + a:b",
    "np.log(x) + I(x**2)": "1 + np.log(x) + I(x ** 2)",
    "{x + 1} + `a b`": "1 + {x + 1} + `a b`",
    "offset(x) + z": "1 + z",
    "I(x^2)": "1 + I(x ** 2)",
    "(x > 5)": "1 + {x > 5}",
    "(x > 5 & !f)": "1 + {x > 5 and (not f)}",
    "z %in% x": "1 + z:x",
    "log(class)": "1 + log(class)",
    "`class` + `2`": "1 + class + `2`",
    "as.factor(x.1)": "1 + as.factor(x.1)",
    "scale(x)[,1]": "1 + {scale(x)[:, 1]}",
    "C + Q + np + log + poly": "1 + C + Q + np + log + poly",
    "1st + \u00b5 + \ufb01": "1 + 1st + \u00b5 + \ufb01",
    "Q('a b')": "1 + `a b`",
}


@pytest.mark.parametrize("text", FIXED)
def test_fixed_effects_are_ordered_as_in_r(text: str) -> None:
    assert parse_formula(f"y ~ {text} + (1 | g)").fixed.text == FIXED[text]
    assert parse_formula(f"y ~ (1 | g) + {text}").fixed.text == FIXED[text]


def test_the_intercept_is_implied() -> None:
    assert parse_formula("y ~ (1 | g)").fixed.text == "1"


def test_offsets_are_taken_out_of_the_fixed_effects() -> None:
    parsed = parse_formula("y ~ offset(x) + offset(np.log(`a b`)) + (1 | g)")
    assert [f.name for f in parsed.offsets] == ["x", "np.log(`a b`)"]
    assert set(parsed.variables) == {"y", "x", "a b", "g"}


def test_transformed_and_quoted_responses() -> None:
    assert parse_formula("np.log(y) ~ (1 | g)").response_name == "np.log(y)"
    assert parse_formula("`my y` ~ (1 | g)").model_columns == ("my y",)


def test_expressions_tell_which_names_they_read() -> None:
    parsed = parse_formula("y ~ poly(x, 2) + I(np.clip(a, 0) * exp(exp) * pi) + (1 | C(g))")
    assert set(parsed.expression_names) == {"x", "a", "exp", "pi", "g"}


def test_a_dot_stands_for_the_columns_not_used_elsewhere() -> None:
    with pytest.raises(FormulaError, match=r"has a `\.`"):
        parse_formula("y ~ . + (1 | g)")
    columns = ("y", "x", "g", "z", "w")
    assert parse_formula("y ~ . + offset(w) + (1 | g)", columns).fixed.text == "1 + x + z"
    assert parse_formula("np.log(y) ~ . - z + (1 | g)", columns).fixed.text == "1 + x + w"


def test_parsing_is_cached_and_pickles() -> None:
    parsed = parse_formula("y ~ x*z + (x || a/b)")
    assert parse_formula("y ~ x*z + (x || a/b)") is parsed
    assert pickle.loads(pickle.dumps(parsed)) == parsed
    term = pickle.loads(pickle.dumps(parsed.random[0]))
    assert term == parsed.random[0]
    assert term.effects.terms == parsed.random[0].effects.terms


NAMES = st.sampled_from(["x", "z", "w"])
EFFECTS = st.lists(NAMES, min_size=1, max_size=3, unique=True)


@given(fixed=EFFECTS, random=EFFECTS, groups=st.permutations(["a", "b"]), spaces=st.booleans())
def test_terms_are_found_wherever_they_stand(
    fixed: list[str], random: list[str], groups: list[str], spaces: bool
) -> None:
    bars = [f"({' + '.join(random)} | {group})" for group in groups]
    expected = [f"(1 + {' + '.join(random)} | {group})" for group in groups]
    for order in ([*fixed, *bars], [*bars, *fixed], [bars[0], *fixed, bars[1]]):
        text = "y ~ " + " + ".join(order)
        parsed = parse_formula(text if spaces else text.replace(" ", ""))
        assert [str(term) for term in parsed.random] == expected
        assert parsed.fixed.text == "1 + " + " + ".join(fixed)


REFUSED = {
    "y ~ x": "no random-effects term.*crossnest.lm",
    "y ~ x + 1|g": "needs brackets",
    "y ~ (1 | )": "no grouping factor right of the bar",
    "y ~ (1 || )": "no grouping factor right of the bar",
    "y ~ ( | g)": "nothing left of the bar",
    "y ~ (0 | g)": "no effects left of the bar",
    "y ~ (1 | g": "unbalanced brackets.*never closed",
    "y ~ x + (1 | g))": "unbalanced brackets.*never opened",
    "y ~ np.log(x + (1 | g)": "unbalanced brackets.*never closed",
    "y ~ (1 | a | b)": "more than one bar",
    "y ~ (1 |- g)": "malformed near",
    "y ~ ((1 | g) | h)": "bar term inside a bar term",
    "y ~ (1 | (x | g))": "bar term inside a bar term",
    "y ~ x - (1 | g)": "random-effects term cannot be subtracted",
    "y ~ x - offset(z) + (1 | g)": "offset cannot be subtracted",
    "y ~ x*(1 | g)": "must be added",
    "y ~ (1 | g):x": "must be added",
    "y ~ x - (z + (1 | g))": "must be added",
    "y ~ (1 | a + b)": "one term for each grouping factor",
    "y ~ (1 | a**2)": r"`\*\*` in its grouping factor",
    "y ~ (1 | 2)": "groups by the constant 2",
    "y ~ x(1 | g)": "is a `\\+` missing",
    "y ~ x (1 | g)": r"operator is missing between `x` and `\(`",
    "y ~ (1 x | g)": "operator is missing between `1` and `x`",
    "y ~ x 0 + (1 | g)": "operator is missing between `x` and `0`",
    "x + (1 | g)": "has no `~`",
    "": "has no `~`",
    "~ x + (1 | g)": "has no response",
    "y ~ x ~ (1 | g)": "cannot parse the formula",
    "(1 | g) ~ x": "left of the `~`",
    "y + z ~ x + (1 | g)": "sum of terms",
    "1 ~ x + (1 | g)": "response .* is a constant",
    "y ~ 'a' + (1 | g)": "String literals",
    "y ~ 2*x + (1 | g)": "Numeric literals",
    "y ~ np.log(x + (1 | g)) +": "cannot",
    "y ~ I(x +) + (1 | g)": "not an expression",
    "y ~ offset(x, z) + (1 | g)": "must hold one column",
    "y ~ offset(x)*z + (1 | g)": "a term by itself",
    "y ~ np.log(offset(x)) + (1 | g)": "a term of its own",
    "y ~ x > 5 + (1 | g)": "put the comparison in its own brackets",
    "y ~ mean(x) + (1 | g)": "calls `mean`.*one number for all rows",
    "y ~ lag(x) + (1 | g)": "calls `lag`.*depend on the other rows",
    "y ~ nonsense(x) + (1 | g)": "calls `nonsense`.*context=",
    "y ~ (a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q*r | g)": "too many terms",
    "y ~ (1 | a*b*c*d*e*f*g*h*i*j*k*l*m*n*o)": "more than 200 terms",
}


@pytest.mark.parametrize("text", REFUSED)
def test_malformed_formulas_are_refused_with_a_reason(text: str) -> None:
    with pytest.raises(FormulaError, match=REFUSED[text]) as caught:
        parse_formula(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        "np.savetxt('stolen', x)",
        "exec('import os')",
        "eval('1')",
        "open('file')",
        "__import__('os').system('true')",
        "x.__class__()",
        "x.values.tofile('file')",
        "().__class__.__bases__[0]",
        "I([v for v in x])",
        "I((lambda: 1)())",
        "getattr(x, 'values')",
        "np.load('file')",
        "{x.tofile('file')}",
        "{__import__('os')}",
        "I(f'{x}')",
        "I(x if x else x)",
        "contr.treatment.__init__(x)",
    ],
)
def test_a_formula_runs_nothing_but_its_functions(call: str) -> None:
    for text in (f"y ~ {call} + (1 | g)", f"{call} ~ x + (1 | g)", f"y ~ x + (1 | {call})"):
        with pytest.raises(FormulaError):
            parse_formula(text)


def test_a_formula_must_be_text() -> None:
    with pytest.raises(FormulaError, match="must be a string, not int"):
        parse_formula(3)
