"""Model formulas: from text to fixed effects, random-effects terms and offsets.

The grammar is lme4's random-effects grammar next to all of formulaic's. Text is split by
formulaic's tokenizer and parsed by its operator-precedence parser, to which two operators, ``|``
and ``||``, are added; what is not a bar term is evaluated by formulaic itself.

References
----------
Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
Journal of Statistical Software 67(1), section 2.1 and table 2.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeAlias

from formulaic import SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser, DefaultOperatorResolver
from formulaic.parser.algos.sanitize_tokens import sanitize_tokens
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.algos.tokens_to_ast import tokens_to_ast
from formulaic.parser.types import ASTNode, Factor, Operator, Term, Token
from formulaic.parser.utils import merge_operator_tokens, replace_tokens

from .errors import FormulaError
from .expression import check_expression, is_elementwise, names_in, parse_expression, unparse

__all__ = ["Effects", "ParsedFormula", "RandomTerm", "parse_formula", "split_groups"]


Node: TypeAlias = ASTNode[Any] | Token

INTERCEPT = Term([Factor("1", eval_method="literal")])


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
        Formulaic's terms, by degree of interaction as in R. The intercept is the term ``1``.
    """

    text: str
    terms: tuple[Term, ...] = field(compare=False, repr=False)

    @classmethod
    def from_terms(cls, terms: Iterable[Term]) -> Effects:
        """Order terms by degree, and factors within a term by first appearance, as R does."""
        terms = list(terms)
        appearance = list(dict.fromkeys(factor for term in terms for factor in term.factors))
        rank = {factor: i for i, factor in enumerate(appearance)}
        terms = [Term(sorted(term.factors, key=rank.__getitem__)) for term in terms]
        ordered = tuple(sorted(terms, key=lambda term: term.degree))
        texts = [_term_text(term) for term in ordered]
        if INTERCEPT not in ordered:
            texts.insert(0, "0")
        return cls(" + ".join(texts), ordered)

    @property
    def formula(self) -> SimpleFormula:
        """Formulaic's formula of these terms (no intercept unless it is among them)."""
        return SimpleFormula(list(self.terms))

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The distinct columns and expressions the terms are products of; numbers left out."""
        every = (factor for term in self.terms for factor in term.factors)
        return tuple(dict.fromkeys(f for f in every if not _is_literal(f)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle text and terms."""
        return Effects, (self.text, self.terms)


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
    structure
        ``"unstructured"``, or ``"diagonal"`` for the terms a double bar was expanded to.
    """

    text: str
    effects: Effects
    factors: tuple[str, ...]
    group: str
    structure: Literal["unstructured", "diagonal"] = "unstructured"

    def __str__(self) -> str:
        """Return the term as it was expanded, for example ``(1 | cask:batch)``."""
        return f"({self.effects.text} | {self.group})"


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
        Grouping variables that are expressions to evaluate, as ``C(g)``, and not columns.
    columns
        The columns a ``.`` stands for; None where there is no dot.
    """

    text: str
    response: Factor = field(compare=False)
    fixed: Effects
    random: tuple[RandomTerm, ...]
    offsets: tuple[Factor, ...] = field(compare=False)
    group_calls: frozenset[str] = frozenset()
    columns: tuple[str, ...] | None = None

    @property
    def response_name(self) -> str:
        """The response as written, for example ``np.log(y)``."""
        return str(self.response.expr)

    @cached_property
    def group_variables(self) -> tuple[str, ...]:
        """Every variable of a grouping factor once, columns and expressions."""
        return tuple(dict.fromkeys(name for term in self.random for name in term.factors))

    @cached_property
    def model_factors(self) -> tuple[Factor, ...]:
        """What has to be evaluated: response, offsets, fixed and random effects; each once."""
        every = [self.response, *self.offsets, *self.fixed.factors]
        for term in self.random:
            every += term.effects.factors
        return tuple(dict.fromkeys(every))

    @cached_property
    def is_plain(self) -> bool:
        """Whether all of the formula is made of data columns and elementwise arithmetic of them."""
        lookup = Factor.EvalMethod.LOOKUP
        return not self.group_calls and all(
            factor.eval_method is lookup or is_elementwise(factor.expr)
            for factor in self.model_factors
        )

    @cached_property
    def group_columns(self) -> tuple[str, ...]:
        """The grouping variables that are columns."""
        return tuple(name for name in self.group_variables if name not in self.group_calls)

    @cached_property
    def model_columns(self) -> tuple[str, ...]:
        """Columns that are the response, an offset or part of an effect as they stand."""
        lookup = Factor.EvalMethod.LOOKUP
        return tuple(str(f.expr) for f in self.model_factors if f.eval_method is lookup)

    @cached_property
    def expressions(self) -> tuple[str, ...]:
        """The Python expressions of the formula, those of grouping factors last."""
        python = Factor.EvalMethod.PYTHON
        model = [str(f.expr) for f in self.model_factors if f.eval_method is python]
        return (*model, *sorted(self.group_calls))

    @cached_property
    def expression_names(self) -> tuple[str, ...]:
        """Other names that expressions read: columns, or what formulas define, such as ``np``."""
        names = (name for expression in self.expressions for name in names_in(expression))
        return tuple(dict.fromkeys(name for name in names if name not in self.model_columns))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Every name the formula reads, once."""
        every = self.model_columns + self.expression_names + self.group_columns
        return tuple(dict.fromkeys(every))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text; parsing it again gives the rest."""
        return parse_formula, (self.text, self.columns, bool(self.random))


# --------------------------------------------------------------------------- text to syntax tree


def _no_terms(*_: Any) -> Any:
    """Stand in for the meaning of a bar, which is read by this module and never by formulaic."""
    raise FormulaError("a random-effects term cannot be part of another term")


class _BarResolver(DefaultOperatorResolver):  # type: ignore[misc]
    """Formulaic's operators, with lme4's two bars in place of its multi-part bar."""

    @property
    def operators(self) -> list[Operator]:
        """Every operator of the grammar."""
        bars = [
            Operator(bar, arity=2, precedence=-50, associativity=None, to_terms=_no_terms)
            for bar in ("|", "||")
        ]
        return [op for op in super().operators if op.symbol != "|"] + bars


_RESOLVER = _BarResolver()
_PARSER = DefaultFormulaParser(include_intercept=False)
_MINUS_ONE = (Token("-", kind=Token.Kind.OPERATOR), Token("1", kind=Token.Kind.VALUE))
_EXAMPLE = "for example `y ~ x + (x | g)`"


def _is_literal(factor: Factor) -> bool:
    return factor.eval_method is Factor.EvalMethod.LITERAL


def factor_names(factor: Factor) -> list[str]:
    """Return the names a factor reads: its column, or those in its expression."""
    is_python = factor.eval_method is Factor.EvalMethod.PYTHON
    return names_in(factor.expr) if is_python else [str(factor.expr)]


def _first_line(error: Exception) -> str:
    """Return formulaic's message without the coloured source line under it."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _factor_text(factor: Factor) -> str:
    """Write a factor so that no other factor or term reads the same."""
    name = str(factor.expr)
    if factor.eval_method is Factor.EvalMethod.LOOKUP:
        return name if name.replace(".", "_").isidentifier() else f"`{name}`"
    if factor.eval_method is Factor.EvalMethod.PYTHON:
        return name if isinstance(parse_expression(name)[0].body, ast.Call) else f"{{{name}}}"
    return name


def _term_text(term: Term) -> str:
    return ":".join(_factor_text(factor) for factor in term.factors)


def _has_bar(token: Token) -> bool:
    return token.kind is Token.Kind.OPERATOR and "|" in token.token


def _tokenize(text: str) -> list[Token]:
    """Return formulaic's tokens of `text`."""
    try:
        return list(sanitize_tokens(tokenize(text)))
    except FormulaicError as error:
        raise FormulaError(f"cannot read the formula `{text}`: {_first_line(error)}") from error
    except SyntaxError as error:
        raise FormulaError(
            f"cannot read the formula `{text}`: an expression in it is not Python ({error.msg})"
        ) from error


@dataclass
class _Bracket:
    """An open bracket seen while scanning: where it starts, and the bars directly inside."""

    opened: int
    bars: list[int]
    last: int = -1


def _bar_terms(text: str, tokens: list[Token]) -> list[tuple[int, int]]:
    """Return (start, end) of every bracketed bar term of `text`, after checking each of them."""
    stack: list[_Bracket] = []
    found = []
    for i, token in enumerate(tokens):
        if _has_bar(token):
            if not stack:
                raise FormulaError(
                    f"the random-effects term in `{text}` needs brackets around it: "
                    f"write `(... | group)`, {_EXAMPLE}"
                )
            stack[-1].bars.append(i)
        elif token.kind is Token.Kind.CONTEXT and token.token in "([":
            stack.append(_Bracket(i, []))
        elif token.kind is Token.Kind.CONTEXT:
            if not stack:
                raise FormulaError(f"unbalanced brackets in `{text}`: a `{token}` is never opened")
            bracket = stack.pop()
            if bracket.bars:
                found.append(_check_bar_term(text, tokens, bracket, i))
    if stack:
        opened = tokens[stack[-1].opened]
        raise FormulaError(f"unbalanced brackets in `{text}`: a `{opened}` is never closed")
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
        raise FormulaError(f"`{term}` is malformed near `{tokens[bar]}`: write `(effects | group)`")
    if bar == bracket.opened + 1:
        raise FormulaError(
            f"`{term}` has nothing left of the bar: write `(1 | group)` for a random intercept"
        )
    if bar == closed - 1:
        raise FormulaError(f"`{term}` has no grouping factor right of the bar: write `(1 | group)`")
    return start, end


def _syntax_tree(text: str, tokens: list[Token]) -> tuple[Node, Node]:
    """Return the syntax trees left and right of the tilde."""
    if not any(t.kind is Token.Kind.OPERATOR and "~" in t.token for t in tokens):
        raise FormulaError(f"`{text}` has no `~`: write `response ~ terms`, {_EXAMPLE}")
    # "0" means "no intercept" wherever it stands, as in R; formulaic's own parser replaces it so.
    tokens = list(replace_tokens(tokens, "0", _MINUS_ONE, kind=Token.Kind.VALUE))
    try:
        tree = tokens_to_ast(merge_operator_tokens(tokens, symbols={"+", "-"}), _RESOLVER)
    except FormulaicError as error:
        raise FormulaError(f"cannot parse the formula `{text}`: {_first_line(error)}") from error
    if not isinstance(tree, ASTNode) or tree.operator.symbol != "~":
        raise FormulaError(f"cannot parse the formula `{text}`: write `response ~ terms`")
    sides = list(tree.args)
    if len(sides) != 2:
        raise FormulaError(f"`{text}` has no response: write `response ~ terms`, {_EXAMPLE}")
    return sides[0], sides[1]


def _additive(node: Node) -> list[tuple[str, Node]]:
    """Return the operands of the sums and differences at the top of `node`, with their signs."""
    out: list[tuple[str, Node]] = []
    todo: list[tuple[str, Node]] = [("+", node)]
    while todo:
        sign, item = todo.pop()
        symbol = item.operator.symbol if isinstance(item, ASTNode) else None
        if isinstance(item, ASTNode) and sign == "+" and symbol in ("+", "-"):
            *left, right = item.args
            todo.append((str(symbol), right))
            todo.extend(("+", operand) for operand in left)
        else:
            out.append((sign, item))
    return out


def _leaves(node: Node) -> Iterator[Token]:
    """Yield the tokens of a syntax tree."""
    todo: list[Node] = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, ASTNode):
            todo.extend(item.args)
        else:
            yield item


def _is_bar(node: Node) -> bool:
    return isinstance(node, ASTNode) and node.operator.symbol in ("|", "||")


def _contains_bar(node: Node) -> bool:
    todo: list[Node] = [node]
    while todo:
        item = todo.pop()
        if _is_bar(item):
            return True
        if isinstance(item, ASTNode):
            todo.extend(item.args)
    return False


# ----------------------------------------------------------------------------- terms of the tree


def _offset(token: Token) -> Factor | None:
    """Return what an ``offset(...)`` call holds; None where `token` is something else."""
    if token.kind is not Token.Kind.PYTHON:
        return None
    tree, aliases = parse_expression(token.token)
    call = tree.body
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return None
    if call.func.id != "offset":
        return None
    if len(call.args) != 1 or call.keywords:
        raise FormulaError(
            f"`{token}` must hold one column or expression, as in `offset(np.log(x))`"
        )
    inner = call.args[0]
    if isinstance(inner, ast.Name):
        return Factor(aliases.get(inner.id, inner.id), eval_method="lookup")
    return Factor(unparse(inner, aliases), eval_method="python")


def _to_terms(node: Node, context: Mapping[str, Any]) -> list[Term]:
    """Return formulaic's terms of a syntax tree that holds no bar."""
    if _contains_bar(node):
        raise FormulaError(
            "a random-effects term stands alone: join it to the others with `+`, not with `*`, `:` "
            "or `/`"
        )
    if any(_offset(token) for token in _leaves(node)):
        raise FormulaError("`offset(...)` stands alone: add it to the other terms with `+`")
    try:
        terms = _PARSER.get_terms_from_ast(node, context=dict(context))
    except FormulaicError as error:
        raise FormulaError(f"cannot parse the formula: {_first_line(error)}") from error
    return list(terms.root)


def _sum_terms(operands: Iterable[tuple[str, Node]], context: Mapping[str, Any]) -> Effects:
    """Add and remove terms one after the other, starting with the implied intercept."""
    terms = {INTERCEPT: None}
    for sign, node in operands:
        new = _to_terms(node, context)
        if sign == "+":
            terms.update(dict.fromkeys(new))
        else:
            terms = {term: None for term in terms if term not in new}
    return Effects.from_terms(terms)


def _response(text: str, node: Node) -> Factor:
    """Return the response, one column or one expression."""
    if _contains_bar(node):
        raise FormulaError(
            f"`{text}` has a random-effects term left of the `~`: put it right of it"
        )
    if isinstance(node, ASTNode):
        raise FormulaError(
            f"the response of `{text}` is a sum of terms: write arithmetic as one expression, "
            "for example `I(a + b) ~ ...` or `np.log(y) ~ ...`"
        )
    if node.kind is Token.Kind.VALUE:
        raise FormulaError(f"the response of `{text}` is a constant: name a column of the data")
    return node.to_factor()


def _grouping(term: str, node: Node) -> list[Grouping]:
    """Return the grouping factors right of a bar, in lme4's order (most nested first)."""
    if isinstance(node, Token):
        if node.kind is Token.Kind.VALUE:
            raise FormulaError(f"`{term}` groups by the constant {node}: name a column of the data")
        return [Grouping((node.token,), node.token)]
    symbol = str(node.operator.symbol)
    if symbol not in (":", "/", "*"):
        hint = "write one term for each grouping factor" if symbol == "+" else "use `:`, `/` or `*`"
        raise FormulaError(f"`{term}` has `{symbol}` in its grouping factor: {hint}")
    left, right = (_grouping(term, operand) for operand in node.args)
    if symbol == "/":
        return [inner.within(_innermost(left)) for inner in right] + left
    crossed = [Grouping(a.factors + b.factors, f"{a.name}:{b.name}") for a in left for b in right]
    if symbol == ":":
        return crossed
    return sorted(left + right + crossed, key=lambda grouping: len(grouping.factors))


def _innermost(groupings: list[Grouping]) -> Grouping:
    """Return the factor of all variables of `groupings`, which what follows a `/` is within."""
    return max(groupings, key=lambda grouping: len(grouping.factors))


def _bar_text(text: str, spans: list[tuple[int, int]], node: ASTNode[Any]) -> str:
    """Return a bar term as written: the innermost bar brackets around its grouping side."""
    leaves = _leaves(list(node.args)[1])
    at = next((t.source_start for t in leaves if t.source_start is not None), None)
    if at is None:  # formulaic puts a token of its own in the place of 0
        raise FormulaError(
            f"a number is no grouping factor in `{text}`: name a column after the `|`"
        )
    start, end = min((s for s in spans if s[0] <= at <= s[1]), key=lambda s: s[1] - s[0])
    return text[start : end + 1]


def _expand(term: str, node: ASTNode[Any], context: Mapping[str, Any]) -> list[RandomTerm]:
    """Expand one bar term as lme4 does: first ``||``, then the grouping side."""
    effects_side, group_side = node.args
    if _contains_bar(effects_side) or _contains_bar(group_side):
        raise FormulaError(f"`{term}` has a bar term inside a bar term: write them side by side")
    effects = _sum_terms(_additive(effects_side), context)
    groupings = _grouping(term, group_side)
    if not effects.terms:
        raise FormulaError(f"`{term}` has no effects left of the bar: write `(1 | group)`")
    diagonal = node.operator.symbol == "||"
    parts = [Effects.from_terms([t]) for t in effects.terms] if diagonal else [effects]
    return [
        RandomTerm(
            term, part, group.factors, group.name, "diagonal" if diagonal else "unstructured"
        )
        for part in parts
        for group in groupings
    ]


def _dot_context(
    lhs: Node, operands: list[tuple[str, Node]], columns: Iterable[str]
) -> dict[str, Any]:
    """Return what ``.`` stands for: the columns that are neither response, grouping nor offset."""
    used = _token_names(lhs)
    for _, node in operands:
        if isinstance(node, ASTNode) and _is_bar(node):
            used |= _token_names(list(node.args)[1])
        elif isinstance(node, Token) and _offset(node):
            used |= _token_names(node)
    return {
        "__formulaic_variables_available__": list(columns),
        "__formulaic_variables_used_lhs__": list(used),
    }


def _token_names(node: Node) -> set[str]:
    """Return the column names a syntax tree reads."""
    names: set[str] = set()
    for token in _leaves(node):
        if token.kind is Token.Kind.NAME:
            names.add(token.token)
        elif token.kind is Token.Kind.PYTHON:
            names.update(names_in(token.token))
    return names


@dataclass
class _Split:
    """The operands of a right side, sorted by kind."""

    fixed: list[tuple[str, Node]] = field(default_factory=list)
    bars: list[ASTNode[Any]] = field(default_factory=list)
    offsets: list[Factor] = field(default_factory=list)


def _split(operands: Iterable[tuple[str, Node]]) -> _Split:
    """Sort operands into fixed effects, bar terms, offsets; the last two cannot be subtracted."""
    split = _Split()
    for sign, node in operands:
        offset = _offset(node) if isinstance(node, Token) else None
        if not _is_bar(node) and offset is None:
            split.fixed.append((sign, node))
        elif sign == "-":
            what = "a random-effects term" if offset is None else "an offset"
            raise FormulaError(f"{what} cannot be subtracted: leave it out, or add it with `+`")
        elif offset is not None:
            split.offsets.append(offset)
        elif isinstance(node, ASTNode):
            split.bars.append(node)
    return split


def _check_parsed(parsed: ParsedFormula, mixed: bool) -> ParsedFormula:
    """Check every expression of a formula, and that it has random-effects terms or has none."""
    for expression in parsed.expressions:
        check_expression(parsed.text, expression)
    if mixed and not parsed.random:
        raise FormulaError(
            f"`{parsed.text}` has no random-effects term: a mixed model needs at least one "
            "`(... | group)` term; for a model without random effects use `crossnest.lm`"
        )
    if parsed.random and not mixed:
        raise FormulaError(
            f"`{parsed.text}` has a random-effects term, `{parsed.random[0].text}`, which a linear "
            "model has not: use `crossnest.lmer`"
        )
    return parsed


@lru_cache(maxsize=512)
def parse_formula(
    text: str, columns: tuple[str, ...] | None = None, mixed: bool = True
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

    Returns
    -------
    ParsedFormula
        The same object for the same text: parsing is cached.

    Raises
    ------
    FormulaError
        If the text is malformed, or has no random-effects term, or one too many; the message names
        the culprit.
    """
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be a string, not {type(text).__name__}")
    tokens = _tokenize(text)
    spans = _bar_terms(text, tokens)
    lhs, rhs = _syntax_tree(text, tokens)
    operands = _additive(rhs)
    has_dot = any(t.kind is Token.Kind.OPERATOR and t.token == "." for t in tokens)
    if has_dot and columns is None:
        raise DotError(f"`{text}` has a `.`: the names of the data's columns are needed to read it")
    context = _dot_context(lhs, operands, columns or ()) if has_dot else {}
    split = _split(operands)
    expanded = [_expand(_bar_text(text, spans, node), node, context) for node in split.bars]
    random = tuple(term for terms in expanded for term in terms)
    calls = {token.token for token in tokens if token.kind is Token.Kind.PYTHON}
    parsed = ParsedFormula(
        text=text,
        response=_response(text, lhs),
        fixed=_sum_terms(split.fixed, context),
        random=random,
        offsets=tuple(split.offsets),
        group_calls=frozenset(calls.intersection(name for term in random for name in term.factors)),
        columns=columns if has_dot else None,
    )
    return _check_parsed(parsed, mixed)


def split_groups(text: str) -> tuple[str, str]:
    """Split ``"y ~ x | group"``, a formula of separate fits a group, at its bar.

    Returns
    -------
    (str, str)
        The linear model's formula and the grouping factor.

    Raises
    ------
    FormulaError
        If there is not one bar outside of brackets, with something on both of its sides.
    """
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be a string, not {type(text).__name__}")
    depth, bars = 0, []
    for token in _tokenize(text):
        if token.kind is Token.Kind.CONTEXT:
            depth += 1 if token.token in "([" else -1
        elif _has_bar(token):
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
