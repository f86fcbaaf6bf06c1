"""Model formulas: from text to fixed effects, random-effects terms and offsets.

The grammar is lme4's random-effects grammar over the operators of R's formulas.

References
----------
Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
Journal of Statistical Software 67(1), section 2.1 and table 2.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..base.arguments import check_flag
from ..base.errors import FormulaError
from ..base.read_only import cached_property
from .covariance_structures import INDEPENDENT, UNSTRUCTURED, WORDS, structure_named, written
from .evaluation import is_function
from .expression import Lexeme, call_name, calls_in, lex, names_in, parse_expression, unparse
from .functions import REDUCTIONS
from .grammar import (
    INTERCEPT,
    Factor,
    Node,
    Term,
    Token,
    additive,
    contains_bar,
    factor_of,
    has_dot,
    is_bar,
    leaves,
    operands,
    shown,
    symbol_of,
    syntax_tree,
    terms_of,
    tokens_of,
    with_dot,
)

__all__ = [
    "INTERCEPT",
    "Effects",
    "Factor",
    "ParsedFormula",
    "RandomTerm",
    "Term",
    "factor_names",
    "parse_formula",
    "split_groups",
]

_EXAMPLE = "for example `y ~ x + (x | g)`"


class DotError(FormulaError):
    """The formula has a ``.``, and the columns it stands for were not given."""


@dataclass(frozen=True)
class Effects:
    """The terms of one model matrix, in the order of its columns.

    Attributes
    ----------
    text
        The terms joined by ``+``; equal texts mean equal terms in equal order.
    terms
        The terms by degree of interaction, as in R; the intercept is the term without factors.
    """

    text: str
    terms: tuple[Term, ...] = field(compare=False, repr=False)

    @classmethod
    def from_terms(cls, terms: Iterable[Term]) -> Effects:
        """Order terms by degree, and factors within a term by first appearance, as R does."""
        terms = list(terms)
        appearance = list(dict.fromkeys(factor for term in terms for factor in term.factors))
        rank = {factor: i for i, factor in enumerate(appearance)}
        terms = [Term(tuple(sorted(term.factors, key=rank.__getitem__))) for term in terms]
        ordered = tuple(sorted(terms, key=lambda term: term.degree))
        texts = [str(term) for term in ordered]
        if INTERCEPT not in ordered:
            texts.insert(0, "0")
        return cls(" + ".join(texts), ordered)

    @property
    def has_intercept(self) -> bool:
        """Whether the constant is among the terms."""
        return INTERCEPT in self.terms

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The distinct columns and expressions the terms are products of."""
        return tuple(dict.fromkeys(factor for term in self.terms for factor in term.factors))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the factors."""
        return frozenset(factor.name for factor in self.factors)

    @cached_property
    def products(self) -> tuple[tuple[Factor, ...], ...]:
        """The terms as products in their order (terms compare without regard to it)."""
        return tuple(term.factors for term in self.terms)


@dataclass(frozen=True)
class RandomTerm:
    """One random-effects term, after ``a/b``, ``a*b`` and ``||`` have been expanded.

    Attributes
    ----------
    text
        The bar term as the user wrote it, for example ``(Days | Subject)``.
    effects
        The left side of the bar: what varies between the levels.
    factors
        Variables of the grouping factor in lme4's order: ``("cask", "batch")`` for ``batch/cask``.
    group
        The name lme4 gives the grouping factor: ``"cask:batch"``.
    covariance
        The name of the covariance structure in the engine's registry: ``"unstructured"`` unless a
        double bar or a word says otherwise, see `crossnest.formula.covariance_structures`.
    """

    text: str
    effects: Effects
    factors: tuple[str, ...]
    group: str
    covariance: str = UNSTRUCTURED

    def __str__(self) -> str:
        """Return the term as it was expanded, for example ``(1 | cask:batch)``."""
        term = f"({self.effects.text} | {self.group})"
        return term if self.has_double_bar else written(self.covariance, term)

    @property
    def has_double_bar(self) -> bool:
        """Whether it is one of the terms a double bar was expanded to."""
        return "||" in self.text


@dataclass(frozen=True)
class Grouping:
    """A grouping factor written right of a bar: its variables and the name lme4 gives it."""

    factors: tuple[str, ...]
    name: str

    def within(self, outer: Grouping) -> Grouping:
        """Return the interaction ``self:outer``, named as lme4 names it (``c:(b:a)``)."""
        factors = tuple(dict.fromkeys(self.factors + outer.factors))
        name = f"({outer.name})" if len(outer.factors) > 1 else outer.name
        return Grouping(factors, f"{self.name}:{name}")


@dataclass(frozen=True)
class ParsedFormula:
    """A model formula taken apart.

    Attributes
    ----------
    text
        The formula as given.
    response
        Left of the tilde: one column or expression.
    fixed
        The fixed effects.
    random
        The random-effects terms in the order written, expanded as lme4 expands them.
    offsets
        What the calls ``offset(...)`` hold.
    group_calls
        Grouping variables that are expressions to evaluate, as ``factor(g)``, and not columns.
    columns
        The columns a ``.`` stands for; None where there is no dot.
    functions
        Names of the user's own functions the formula may call.
    """

    text: str
    response: Factor = field(compare=False)
    fixed: Effects
    random: tuple[RandomTerm, ...]
    offsets: tuple[Factor, ...] = field(compare=False)
    group_calls: frozenset[str] = frozenset()
    columns: tuple[str, ...] | None = None
    functions: frozenset[str] = frozenset()

    @property
    def response_name(self) -> str:
        """The response as written, for example ``log(y)``."""
        return self.response.name

    @cached_property
    def group_variables(self) -> tuple[str, ...]:
        """Every variable of a grouping factor once, columns and expressions."""
        return tuple(dict.fromkeys(name for term in self.random for name in term.factors))

    @cached_property
    def effect_factors(self) -> tuple[Factor, ...]:
        """The variables of the fixed and random effects, each once."""
        every = list(self.fixed.factors)
        for term in self.random:
            every += term.effects.factors
        return tuple(dict.fromkeys(every))

    @cached_property
    def model_factors(self) -> tuple[Factor, ...]:
        """What has to be evaluated: response, offsets, fixed and random effects; each once."""
        return tuple(dict.fromkeys([self.response, *self.offsets, *self.effect_factors]))

    @cached_property
    def group_columns(self) -> tuple[str, ...]:
        """The grouping variables that are columns."""
        return tuple(name for name in self.group_variables if name not in self.group_calls)

    @cached_property
    def model_columns(self) -> tuple[str, ...]:
        """Columns that are the response, an offset or part of an effect as they stand."""
        return tuple(f.name for f in self.model_factors if not f.is_expression)

    @cached_property
    def expressions(self) -> tuple[str, ...]:
        """The expressions of the formula, those of grouping factors last."""
        model = [f.name for f in self.model_factors if f.is_expression]
        return (*model, *sorted(self.group_calls))

    @cached_property
    def expression_names(self) -> tuple[str, ...]:
        """Other names that expressions read: columns, or constants such as ``pi``."""
        names = (name for expression in self.expressions for name in names_in(expression))
        return tuple(dict.fromkeys(name for name in names if name not in self.model_columns))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Every name the formula reads, once."""
        every = self.model_columns + self.expression_names + self.group_columns
        return tuple(dict.fromkeys(every))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text; parsing it again gives the rest."""
        return parse_formula, (self.text, self.columns, bool(self.random), self.functions)


def factor_names(factor: Factor) -> list[str]:
    """Return the names a factor reads: its column, or those in its expression."""
    return list(names_in(factor.name)) if factor.is_expression else [factor.name]


# ------------------------------------------------------------------------- covariance structures


class _Structured(NamedTuple):
    """A bar term with a word in front: where the word starts, and the structure it names."""

    start: int
    structure: str | None


_HOM = {"TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False}


def _without_words(text: str) -> tuple[str, dict[int, _Structured]]:
    """Blank out what surrounds the bar in ``cs(x | g, hom = TRUE)``, so that ``(x | g)`` is left.

    Returns
    -------
    str
        The text, everything else where it was.
    dict
        By the places of the opening brackets, what their words said.
    """
    lexemes = lex(text)
    blanked, found = text, {}
    for i, lexeme in enumerate(lexemes[:-1]):
        if lexeme.text not in WORDS or lexemes[i + 1].text != "(":
            continue
        inside = _directly_inside(lexemes, i + 1)
        if not any("|" in lexemes[j].text for j in inside):
            continue
        start, homogeneous = lexemes[i + 1].start, None
        comma = next((j for j in inside if lexemes[j].text == ","), None)
        if comma is not None:
            option = [lexemes[j] for j in inside if j > comma]
            homogeneous = _homogeneous(text, lexeme.text, [one.text for one in option])
            blanked = _blank(blanked, lexemes[comma].start, option[-1].end)
        blanked = _blank(blanked, lexeme.start, lexeme.end)
        found[start] = _Structured(lexeme.start, structure_named(lexeme.text, homogeneous))
    return blanked, found


def _directly_inside(lexemes: Sequence[Lexeme], opening: int) -> list[int]:
    """Return the words between a bracket and its partner that are in no other bracket."""
    depth, inside = 0, []
    for i in range(opening, len(lexemes)):
        text = lexemes[i].text
        depth += (text in "([{") - (text in ")]}") if lexemes[i].kind == "bracket" else 0
        if depth == 0:
            break
        if depth == 1 and i > opening:
            inside.append(i)
    return inside


def _homogeneous(text: str, word: str, option: list[str]) -> bool:
    """Read ``hom = TRUE``, split into words."""
    if len(option) != 3 or option[:2] != ["hom", "="] or option[2] not in _HOM:
        raise FormulaError(
            f"cannot read the option of `{word}(...)` in `{text}`: write `hom = TRUE` for one "
            f"standard deviation of all effects, as in `{word}(x | group, hom = TRUE)`"
        )
    return _HOM[option[2]]


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + " " * (end - start) + text[end:]


# ------------------------------------------------------------------------------------ bar terms


@dataclass
class _Bracket:
    """An open bracket seen while scanning: where it starts, and the bars directly inside."""

    opened: int
    bars: list[int]


def _is_operator(token: Token, part: str) -> bool:
    return token.kind is Token.Kind.OPERATOR and part in token.token


def _bracketed(text: str) -> str:
    """Put the brackets around the bar term of ``y ~ 1 | g``, the one that needs none."""
    match = re.fullmatch(r"([^~|]*~)\s*1\s*\|([^|]+)", text)
    return f"{match[1]} (1 | {match[2].strip()})" if match else text


def _bar_terms(text: str, tokens: list[Token]) -> list[tuple[int, int]]:
    """Return (start, end) of every bracketed bar term of `text`, after checking each of them."""
    stack: list[_Bracket] = []
    found = []
    for i, token in enumerate(tokens):
        if _is_operator(token, "|"):
            if not stack:
                raise FormulaError(
                    f"the random-effects term in `{text}` needs brackets around it: "
                    f"write `(... | group)`, {_EXAMPLE}"
                )
            stack[-1].bars.append(i)
        elif token.kind is Token.Kind.CONTEXT and token.token in "([":
            stack.append(_Bracket(i, []))
        elif token.kind is Token.Kind.CONTEXT:
            bracket = stack.pop()
            if bracket.bars:
                found.append(_check_bar_term(text, tokens, bracket, i))
    return found


def _check_bar_term(
    text: str, tokens: list[Token], bracket: _Bracket, closed: int
) -> tuple[int, int]:
    """Return where a bar term starts and ends in `text`; refuse a malformed one."""
    start, end = tokens[bracket.opened].source_start, tokens[closed].source_end
    assert start is not None and end is not None
    term = text[start : end + 1]
    if len(bracket.bars) > 1:
        raise FormulaError(
            f"`{term}` has more than one bar: write one term for each grouping factor"
        )
    bar = bracket.bars[0]
    if tokens[bar].token not in ("|", "||"):
        raise FormulaError(
            f"`{term}` is malformed near `{shown(tokens[bar])}`: write `(effects | group)`"
        )
    if bar == bracket.opened + 1:
        raise FormulaError(
            f"`{term}` has nothing left of the bar: write `(1 | group)` for a random intercept"
        )
    if bar == closed - 1:
        raise FormulaError(f"`{term}` has no grouping factor right of the bar: write `(1 | group)`")
    return start, end


# ------------------------------------------------------------------------------ terms of the tree


def _offset(token: Token) -> Factor | None:
    """Return what an ``offset(...)`` call holds; None where `token` is something else."""
    if token.kind is not Token.Kind.PYTHON:
        return None
    call = parse_expression(token.token)
    if not isinstance(call, ast.Call) or call_name(call) != "offset":
        return None
    if len(call.args) != 1 or call.keywords:
        raise FormulaError(f"`{token}` must hold one column or expression, as in `offset(log(x))`")
    inner = unparse(call.args[0])
    if isinstance(call.args[0], ast.Name):
        return Factor(inner.strip("`"))
    return Factor(inner, True)


def _to_terms(node: Node) -> list[Term]:
    """Return the terms of a syntax tree that holds no bar."""
    if contains_bar(node):
        raise FormulaError(
            "a random-effects term must be added to the others with `+`, not joined with `*`, "
            "`:` or `/`"
        )
    if any(_offset(token) for token in leaves(node)):
        raise FormulaError("`offset(...)` must be a term by itself: add it to the others with `+`")
    return terms_of(node)


def _sum_terms(summands: Iterable[tuple[str, Node]]) -> Effects:
    """Add and remove terms one after the other, starting with the implied intercept."""
    terms: dict[Term, None] = {INTERCEPT: None}
    for sign, node in summands:
        new = _to_terms(node)
        if sign == "+":
            terms.update(dict.fromkeys(new))
        else:
            terms = {term: None for term in terms if term not in new}
    return Effects.from_terms(terms)


def _response(text: str, node: Node) -> Factor:
    """Return the response, one column or one expression."""
    if contains_bar(node):
        raise FormulaError(
            f"`{text}` has a random-effects term left of the `~`: put it right of it"
        )
    if not isinstance(node, Token):
        raise FormulaError(
            f"the response of `{text}` is a sum of terms: write arithmetic as one expression, "
            "for example `I(a + b) ~ ...` or `log(y) ~ ...`"
        )
    factor = factor_of(node)
    if factor is None:
        raise FormulaError(f"the response of `{text}` is a constant: name a column of the data")
    return factor


def _grouping(term: str, node: Node) -> list[Grouping]:
    """Return the grouping factors right of a bar, in lme4's order (most nested first)."""
    if isinstance(node, Token):
        factor = factor_of(node)
        if factor is None:
            raise FormulaError(f"`{term}` groups by the constant {node}: name a column of the data")
        return [Grouping((factor.name,), factor.name)]
    symbol = str(symbol_of(node))
    if symbol not in (":", "/", "*"):
        hint = "write one term for each grouping factor" if symbol == "+" else "use `:`, `/` or `*`"
        raise FormulaError(f"`{term}` has `{symbol}` in its grouping factor: {hint}")
    left, right = (_grouping(term, operand) for operand in operands(node))
    if symbol == "/":
        found = [inner.within(_innermost(left)) for inner in right] + left
    else:
        found = [Grouping(a.factors + b.factors, f"{a.name}:{b.name}") for a in left for b in right]
    if symbol == "*":
        found = sorted(left + right + found, key=lambda grouping: len(grouping.factors))
    if len(found) > _MAX_GROUPINGS:
        raise FormulaError(
            f"`{term[:60]}` expands to more than {_MAX_GROUPINGS} terms: write those you mean"
        )
    return found


_MAX_GROUPINGS = 200


def _innermost(groupings: list[Grouping]) -> Grouping:
    """Return the factor of all variables of `groupings`, which what follows a `/` is within."""
    return max(groupings, key=lambda grouping: len(grouping.factors))


def _bar_span(text: str, spans: list[tuple[int, int]], node: Node) -> tuple[int, int]:
    """Return where a bar term is: the innermost bar brackets around its grouping side."""
    found = leaves(operands(node)[1])
    at = next((t.source_start for t in found if t.source_start is not None), None)
    if at is None:  # formulaic puts a token of its own in the place of 0
        raise FormulaError(
            f"a number cannot be a grouping factor in `{text}`: name a column after the `|`"
        )
    return min((s for s in spans if s[0] <= at <= s[1]), key=lambda s: s[1] - s[0])


def _expand(term: str, structure: str | None, node: Node) -> list[RandomTerm]:
    """Expand one bar term as lme4 does: first ``||``, then the grouping side.

    `structure` is the one that a word in front of the term names.
    """
    effects_side, group_side = operands(node)
    if contains_bar(effects_side) or contains_bar(group_side):
        raise FormulaError(f"`{term}` has a bar term inside a bar term: write them side by side")
    effects = _sum_terms(additive(effects_side))
    groupings = _grouping(term, group_side)
    if not effects.terms:
        raise FormulaError(f"`{term}` has no effects left of the bar: write `(1 | group)`")
    diagonal = symbol_of(node) == "||"
    if diagonal and structure is not None:
        raise FormulaError(f"`{term}` has a word for its covariance matrix: write one bar, not two")
    parts = [Effects.from_terms([t]) for t in effects.terms] if diagonal else [effects]
    own = structure or (INDEPENDENT if diagonal else UNSTRUCTURED)
    return [
        RandomTerm(term, part, group.factors, group.name, own)
        for part in parts
        for group in groupings
    ]


def _names_of(tokens: Iterable[Token]) -> set[str]:
    """Return the names of columns that operands read."""
    factors = (factor_of(token) for token in tokens)
    return {name for factor in factors if factor is not None for name in factor_names(factor)}


def _dot_columns(lhs: Node, rhs: Node, columns: Sequence[str]) -> list[str]:
    """Return what ``.`` stands for: the columns that are neither response, grouping nor offset."""
    used = _names_of(leaves(lhs))
    for _, node in additive(rhs):
        if is_bar(node):
            used |= _names_of(leaves(operands(node)[1]))
        elif isinstance(node, Token) and _offset(node):
            used |= _names_of([node])
    return [name for name in columns if name not in used]


@dataclass
class _Split:
    """The operands of a right side, sorted by kind."""

    fixed: list[tuple[str, Node]] = field(default_factory=list)
    bars: list[Node] = field(default_factory=list)
    offsets: list[Factor] = field(default_factory=list)


def _split(summands: Iterable[tuple[str, Node]]) -> _Split:
    """Sort operands into fixed effects, bar terms, offsets; the last two cannot be subtracted."""
    split = _Split()
    for sign, node in summands:
        offset = _offset(node) if isinstance(node, Token) else None
        if not is_bar(node) and offset is None:
            split.fixed.append((sign, node))
        elif sign == "-":
            what = "a random-effects term" if offset is None else "an offset"
            raise FormulaError(f"{what} cannot be subtracted: leave it out, or add it with `+`")
        elif offset is not None:
            split.offsets.append(offset)
        else:
            split.bars.append(node)
    return split


def _check_functions(parsed: ParsedFormula) -> None:
    """Refuse calls of functions that formulas do not have."""
    for expression in parsed.expressions:
        for call in calls_in(parse_expression(expression)):
            name = call_name(call)
            if not (is_function(name) or name in parsed.functions):
                _refuse_function(parsed.text, name, call)


def _refuse_function(text: str, name: str, call: ast.Call) -> None:
    """Say what to write in place of a function that formulas do not have."""
    bare = name.removeprefix("np.")
    if any(isinstance(part, ast.BoolOp) for part in call.args):
        hint = f"is a `+` missing between `{name}` and the bracket?"
    elif name == "offset":
        hint = "write offset(...) as a term of its own, `y ~ x + offset(z) + (1 | g)`"
    elif bare in REDUCTIONS:
        hint = (
            "it returns one number for all rows; use `center` or `scale`, or compute it in the data"
        )
    elif bare in ("lag", "shift", "diff", "cumsum", "hashed", "rank"):
        hint = "its values depend on the other rows, so compute it in the data first"
    elif isinstance(getattr(np, bare, None), np.ufunc):
        hint = f"write `np.{bare}(...)`"
    else:
        hint = f"compute it in the data first, or pass it by context={{'{name}': ...}}"
    raise FormulaError(f"`{text}` calls `{name}`, which is not a function of formulas: {hint}")


def _check_parsed(parsed: ParsedFormula, mixed: bool) -> ParsedFormula:
    """Check every expression of a formula, and that it has random-effects terms or has none."""
    _check_functions(parsed)
    if mixed and not parsed.random:
        raise FormulaError(
            f"`{parsed.text}` has no random-effects term: a mixed model needs at least one "
            "`(... | group)` term; for a model without random effects use `crossnest.lm`"
        )
    if parsed.random and not mixed:
        raise FormulaError(
            f"`{parsed.text}` has a random-effects term, `{parsed.random[0].text}`, which is not "
            "part of a linear model: use `crossnest.lmer`"
        )
    return parsed


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be a string, not {type(text).__name__}")


def _check_options(columns: Any, mixed: Any, functions: Any) -> None:
    """Refuse options of a kind that parsing cannot remember its results by."""
    check_flag(mixed, "mixed")
    for names, what, kind in ((columns, "columns", tuple), (functions, "functions", frozenset)):
        given = names is None and kind is tuple
        if not given and not (isinstance(names, kind) and all(isinstance(n, str) for n in names)):
            raise TypeError(f"{what} must be a {kind.__name__} of names, not {names!r}")


def parse_formula(
    text: str,
    columns: tuple[str, ...] | None = None,
    mixed: bool = True,
    functions: frozenset[str] = frozenset(),
) -> ParsedFormula:
    """Take a model formula apart.

    Parameters
    ----------
    text
        The formula, for example ``"Reaction ~ Days + (Days | Subject)"``.
    columns
        Names of the data's columns, needed only where the formula has a ``.`` (all other columns).
    mixed
        Whether the formula is that of a mixed model, which has random-effects terms, or that of a
        linear model, which has none.
    functions
        Names of functions of the user's own that the formula may call.

    Returns
    -------
    ParsedFormula
        The same object for the same text: parsing is cached.

    Raises
    ------
    FormulaError
        If the text is malformed, or has no random-effects term, or one too many; the message names
        the culprit.
    TypeError
        If `columns` or `functions` are not names, or `mixed` is neither True nor False.
    """
    _check_text(text)
    _check_options(columns, mixed, functions)
    return _parsed(text, columns, mixed, functions)


@lru_cache(maxsize=512)
def _parsed(
    text: str, columns: tuple[str, ...] | None, mixed: bool, functions: frozenset[str]
) -> ParsedFormula:
    """Take a model formula apart; see `parse_formula`."""
    given = _bracketed(text) if mixed else text
    plain, structured = _without_words(given)
    tokens = tokens_of(plain)
    spans = _bar_terms(plain, tokens)
    lhs, rhs = syntax_tree(plain, tokens)
    dotted = has_dot(tokens)
    if dotted:
        if columns is None:
            raise DotError(
                f"`{text}` has a `.`: the names of the data's columns are needed to read it"
            )
        lhs, rhs = syntax_tree(plain, with_dot(tokens, _dot_columns(lhs, rhs, columns)))
    split = _split(additive(rhs))
    random = []
    for node in split.bars:
        start, end = _bar_span(plain, spans, node)
        word = structured.get(start, _Structured(start, None))
        random += _expand(given[word.start : end + 1], word.structure, node)
    calls = {str(token.token) for token in tokens if token.kind is Token.Kind.PYTHON}
    parsed = ParsedFormula(
        text=text,
        response=_response(text, lhs),
        fixed=_sum_terms(split.fixed),
        random=tuple(random),
        offsets=tuple(split.offsets),
        group_calls=frozenset(calls.intersection(name for term in random for name in term.factors)),
        columns=columns if dotted else None,
        functions=functions,
    )
    return _check_parsed(parsed, mixed)


def split_groups(text: str) -> tuple[str, str]:
    """Split ``"y ~ x | group"``, a formula of separate fits by group, at its bar.

    Returns
    -------
    (str, str)
        The linear model's formula and the grouping factor.

    Raises
    ------
    FormulaError
        If there is not one bar outside of brackets, with something on both of its sides.
    """
    _check_text(text)
    depth, bars = 0, []
    for token in tokens_of(text):
        if token.kind is Token.Kind.CONTEXT:
            depth += 1 if token.token in "([" else -1
        elif _is_operator(token, "|"):
            bars.append((depth, token.token, token.source_start))
    if any(inside for inside, _, _ in bars):
        raise FormulaError(
            f"`{text}` has a random-effects term: for separate fits write the grouping factor "
            "without brackets, for example `y ~ x | group`; for a mixed model use `crossnest.lmer`"
        )
    if [bar for _, bar, _ in bars] != ["|"]:
        raise FormulaError(
            f"`{text}` must name one grouping factor after one bar, for example `y ~ x | group`"
        )
    at = bars[0][2]
    assert at is not None
    model, group = text[:at].strip(), text[at + 1 :].strip()
    if not group:
        raise FormulaError(f"`{text}` has no grouping factor right of the bar")
    return model, group
