"""The grammar of formulas: from text to a syntax tree and to terms.

The operators of formulas (``+ - : * / ^ **``), their precedence and the algebra of terms are
formulaic's: this is the one file that knows how it works inside. Two operators, ``|`` and ``||``,
are added, whose meaning belongs to this package. What stands between operators is read by
`crossnest.formula.expression`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ..base.errors import FormulaError
from .expression import Lexeme, canonical, lex, parse_expression, plain_name, quoted
from .formulaic_parts import (
    ASTNode,
    DefaultFormulaParser,
    DefaultOperatorResolver,
    FormulaicError,
    FormulaicFactor,
    FormulaicTerm,
    Operator,
    Token,
    merge_operator_tokens,
    replace_tokens,
    tokens_to_ast,
)

__all__ = [
    "INTERCEPT",
    "Factor",
    "Node",
    "Term",
    "Token",
    "additive",
    "contains_bar",
    "factor_of",
    "is_bar",
    "leaves",
    "operands",
    "symbol_of",
    "syntax_tree",
    "terms_of",
    "tokens_of",
    "with_dot",
]

Node: TypeAlias = ASTNode[Any] | Token

OPERATOR, CONTEXT, NAME = Token.Kind.OPERATOR, Token.Kind.CONTEXT, Token.Kind.NAME
VALUE, EXPRESSION = Token.Kind.VALUE, Token.Kind.PYTHON

_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_EXAMPLE = "for example `y ~ x + (x | g)`"
#: What a `.` is read as until it is known which columns it stands for.
_DOT = "`.`"


class Factor(NamedTuple):
    """A variable of a formula: a column of the data, or an expression.

    Attributes
    ----------
    name
        The column's name, or the expression in its one form.
    is_expression
        Which of them it is.
    """

    name: str
    is_expression: bool = False

    def __str__(self) -> str:
        """Write it so that it is read as this factor again."""
        if not self.is_expression:
            return quoted(self.name)
        is_call = self.name.endswith(")") and type(parse_expression(self.name)).__name__ == "Call"
        return self.name if is_call else f"{{{self.name}}}"


@dataclass(frozen=True)
class Term:
    """A product of factors; the product of none is the intercept.

    Attributes
    ----------
    factors
        The factors in the order of their columns, each once.
    """

    factors: tuple[Factor, ...] = ()

    @property
    def degree(self) -> int:
        """Number of factors."""
        return len(self.factors)

    def __eq__(self, other: object) -> bool:
        """Whether it is a product of the same factors: ``a:b`` is ``b:a``."""
        return isinstance(other, Term) and set(self.factors) == set(other.factors)

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(frozenset(self.factors))

    def __str__(self) -> str:
        """Write the term as in a formula: ``a:b``, or ``1``."""
        return ":".join(map(str, self.factors)) or "1"


INTERCEPT = Term()
#: A `.` that stands for no column.
_NOTHING = Factor(".")


# ------------------------------------------------------------------------------- text to tokens


def _token(text: str, kind: Token.Kind, formula: str, start: int, end: int) -> Token:
    return Token(text, kind=kind, source=formula, source_start=start, source_end=end - 1)


def tokens_of(text: str) -> list[Token]:
    """Split a formula into operands, operators and brackets.

    Names of columns are tokens in backticks, so that no column reads like a number; a call with
    its brackets is one token, and so is a comparison in brackets.

    Raises
    ------
    FormulaError
        If a bracket has no partner, an expression cannot be read, or an operator is missing.
    """
    lexemes = lex(text)
    partner = _partners(text, lexemes)
    out: list[Token] = []
    i = 0
    while i < len(lexemes):
        token, i = _next_token(text, lexemes, partner, i)
        _check_operator(text, out, token)
        merge = out and out[-1].kind is OPERATOR and token.kind is OPERATOR
        if merge:  # formulaic reads signs in a row as one
            before = out.pop()
            joined = before.token + token.token
            assert before.source_start is not None and token.source_end is not None
            token = _token(joined, OPERATOR, text, before.source_start, token.source_end + 1)
        out.append(token)
    return out


def _partners(text: str, lexemes: Sequence[Lexeme]) -> dict[int, int]:
    """Return for each opening bracket the position of the one that closes it."""
    stack: list[int] = []
    found = {}
    for i, lexeme in enumerate(lexemes):
        if lexeme.kind != "bracket":
            continue
        if lexeme.text in "([{":
            stack.append(i)
            continue
        if not stack:
            raise FormulaError(
                f"unbalanced brackets in `{text}`: a `{lexeme.text}` is never opened"
            )
        opened = lexemes[stack[-1]].text
        if "([{".index(opened) != ")]}".index(lexeme.text):
            raise FormulaError(
                f"unbalanced brackets in `{text}`: a `{opened}` is closed by `{lexeme.text}`"
            )
        found[stack.pop()] = i
    if stack:
        opened = lexemes[stack[-1]].text
        raise FormulaError(f"unbalanced brackets in `{text}`: a `{opened}` is never closed")
    return found


def _next_token(
    text: str, lexemes: Sequence[Lexeme], partner: dict[int, int], i: int
) -> tuple[Token, int]:
    """Return the token that starts at a lexeme, and where the next one starts."""
    lexeme = lexemes[i]
    if lexeme.is_name:
        end = _end_of_call(lexemes, partner, i)
        if end > i:
            return _expression(text, lexemes[i].start, lexemes[end].end), end + 1
        name = _token(f"`{plain_name(lexeme.text)}`", NAME, text, lexeme.start, lexeme.end)
        return name, i + 1
    if lexeme.text == "{":
        end = partner[i]
        inner = _expression(text, lexeme.end, lexemes[end].start)
        return inner, end + 1
    if lexeme.text == "(" and _is_comparison(lexemes, partner, i):
        end = partner[i]
        return _expression(text, lexeme.end, lexemes[end].start), end + 1
    if lexeme.text == ".":
        return _token(_DOT, NAME, text, lexeme.start, lexeme.end), i + 1
    if lexeme.text in _COMPARISONS or lexeme.text in ("!", "&", "&&"):
        raise FormulaError(
            f"`{lexeme.text}` in `{text}` stands between terms: put the comparison in its own "
            "brackets, as in `y ~ (x > 5) + (1 | g)`"
        )
    kind = {"bracket": CONTEXT, "operator": OPERATOR}.get(lexeme.kind, VALUE)
    word = ":" if lexeme.text == "%in%" else lexeme.text  # as in R, unlike in formulaic
    return _token(word, kind, text, lexeme.start, lexeme.end), i + 1


def _end_of_call(lexemes: Sequence[Lexeme], partner: dict[int, int], i: int) -> int:
    """Return the last lexeme of the call or the part ``f(...)[, 1]`` that starts at a name."""
    end = i
    while end + 1 < len(lexemes) and lexemes[end + 1].text in ("(", "["):
        if lexemes[end + 1].start != lexemes[end].end:
            break
        end = partner[end + 1]
    return end


def _is_comparison(lexemes: Sequence[Lexeme], partner: dict[int, int], i: int) -> bool:
    """Whether brackets hold a comparison and nothing of a formula but that."""
    compares, j = False, i + 1
    while j < partner[i]:
        lexeme = lexemes[j]
        if lexeme.text in ("|", "||", "~") and lexeme.kind == "operator":
            return False
        compares |= lexeme.kind == "operator" and (
            lexeme.text in _COMPARISONS or lexeme.text == "!"
        )
        j = partner.get(j, j) + 1
    return compares


def _expression(text: str, start: int, end: int) -> Token:
    """Return the token of an expression; one that is a column's name alone is that column."""
    expression = text[start:end]
    try:
        name = canonical(expression)
    except FormulaError as error:
        hint = ""
        if "|" in expression:
            hint = f": is a `+` missing between `{expression.split('(')[0]}` and the bracket?"
        raise FormulaError(f"{error}{hint}") from None
    tree = type(parse_expression(expression)).__name__
    if tree == "Constant":
        raise FormulaError(f"`{expression}` in `{text}` is a constant: name a column of the data")
    if tree == "Name":
        return _token(f"`{plain_name(name)}`", NAME, text, start, end)
    return _token(name, EXPRESSION, text, start, end)


def _check_operator(text: str, before: list[Token], token: Token) -> None:
    """Refuse two operands in a row."""
    if not before or token.kind is OPERATOR or token.token in (")", "]"):
        return
    last = before[-1]
    if last.kind is OPERATOR or last.token in ("(", "["):
        return
    raise FormulaError(
        f"cannot read the formula `{text}`: an operator is missing between `{shown(last)}` and "
        f"`{shown(token)}`"
    )


def shown(token: Token) -> str:
    """Write a token as a user would."""
    if token.kind is NAME:
        return "." if token.token == _DOT else quoted(plain_name(token.token))
    return str(token.token)


# --------------------------------------------------------------------------- tokens to a tree


def _no_terms(*_: Any) -> Any:
    """Stand in for the meaning of a bar, which formulaic never asks for."""
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
_MINUS_ONE = (Token("-", kind=OPERATOR), Token("1", kind=VALUE))


def first_line(error: Exception) -> str:
    """Return formulaic's message without the coloured source line under it."""
    return (str(error).splitlines() or [type(error).__name__])[0].replace("`", "")


def syntax_tree(text: str, tokens: list[Token]) -> tuple[Node, Node]:
    """Return the syntax trees left and right of the tilde."""
    if not any(t.kind is OPERATOR and "~" in t.token for t in tokens):
        raise FormulaError(f"`{text}` has no `~`: write `response ~ terms`, {_EXAMPLE}")
    # "0" means "no intercept" wherever it stands, as in R; formulaic's own parser replaces it so.
    tokens = list(replace_tokens(tokens, "0", _MINUS_ONE, kind=VALUE))
    try:
        tree = tokens_to_ast(merge_operator_tokens(tokens, symbols={"+", "-"}), _RESOLVER)
    except (FormulaicError, RecursionError) as error:
        raise FormulaError(f"cannot parse the formula `{text}`: {first_line(error)}") from error
    if not isinstance(tree, ASTNode) or tree.operator.symbol != "~":
        raise FormulaError(f"cannot parse the formula `{text}`: write `response ~ terms`")
    sides = list(tree.args)
    if len(sides) != 2:
        raise FormulaError(f"`{text}` has no response: write `response ~ terms`, {_EXAMPLE}")
    return sides[0], sides[1]


def with_dot(tokens: Iterable[Token], columns: Sequence[str]) -> list[Token]:
    """Put the columns a `.` stands for in its place, in brackets; it stays where there are none."""
    out: list[Token] = []
    for token in tokens:
        if token.token != _DOT or not columns:
            out.append(token)
            continue
        start, end = token.source_start, token.source_end
        assert start is not None and end is not None
        source = str(token.source)
        words = [_token("(", CONTEXT, source, start, end + 1)]
        for name in columns:
            words.append(_token(f"`{name}`", NAME, source, start, end + 1))
            words.append(_token("+", OPERATOR, source, start, end + 1))
        out += [*words[:-1], _token(")", CONTEXT, source, start, end + 1)]
    return out


def has_dot(tokens: Iterable[Token]) -> bool:
    """Whether a formula has a ``.`` for the other columns."""
    return any(token.token == _DOT for token in tokens)


# ------------------------------------------------------------------------- reading a syntax tree


def symbol_of(node: Node) -> str | None:
    """Return the operator at the top of a syntax tree, None of an operand."""
    return str(node.operator.symbol) if isinstance(node, ASTNode) else None


def operands(node: Node) -> list[Node]:
    """Return what the operator at the top of a syntax tree joins."""
    return list(node.args) if isinstance(node, ASTNode) else []


def additive(node: Node) -> list[tuple[str, Node]]:
    """Return the operands of the sums and differences at the top of `node`, with their signs."""
    out: list[tuple[str, Node]] = []
    todo: list[tuple[str, Node]] = [("+", node)]
    while todo:
        sign, item = todo.pop()
        symbol = symbol_of(item)
        if isinstance(item, ASTNode) and sign == "+" and symbol in ("+", "-"):
            *left, right = item.args
            todo.append((str(symbol), right))
            todo.extend(("+", operand) for operand in left)
        else:
            out.append((sign, item))
    return out


def _nodes(node: Node) -> Iterator[Node]:
    todo: list[Node] = [node]
    while todo:
        item = todo.pop()
        yield item
        todo.extend(operands(item))


def leaves(node: Node) -> list[Token]:
    """Return the operands of a syntax tree that are no operation themselves."""
    return [item for item in _nodes(node) if isinstance(item, Token)]


def is_bar(node: Node) -> bool:
    """Whether a node is a random-effects term."""
    return symbol_of(node) in ("|", "||")


def contains_bar(node: Node) -> bool:
    """Whether a random-effects term stands anywhere in a syntax tree."""
    return any(map(is_bar, _nodes(node)))


def factor_of(token: Token) -> Factor | None:
    """Return the variable a token names; None of a number."""
    if token.kind is NAME:
        return Factor(plain_name(token.token))
    if token.kind is EXPRESSION:
        return Factor(str(token.token), True)
    return None


def terms_of(node: Node) -> list[Term]:
    """Expand a syntax tree without bars into terms, by the algebra of formulas.

    Raises
    ------
    FormulaError
        If there are more terms than anybody means.
    """
    if _work(node) > _MAX_PRODUCTS:
        raise FormulaError(
            "the products and powers of the formula expand to too many terms: write those you mean"
        )
    try:
        terms = _PARSER.get_terms_from_ast(node, context={})
    except (FormulaicError, RecursionError) as error:
        raise FormulaError(f"cannot parse the formula: {first_line(error)}") from error
    own = [_own_term(term) for term in terms.root]
    return [term for term in own if _NOTHING not in term.factors]


#: The products of terms that are formed at most, before equal ones are merged.
_MAX_PRODUCTS = 200_000


def _work(node: Node) -> float:
    """Return a bound on the number of products a syntax tree expands to."""
    sizes = [_work(operand) for operand in operands(node)]
    symbol = symbol_of(node)
    if symbol in ("**", "^") and len(sizes) == 2:
        power = str(operands(node)[1])
        return min(sizes[0], 1e6) ** min(int(power), 100) if power.isdigit() else sizes[0]
    if symbol in ("*", ":", "/") and len(sizes) == 2:
        return (sizes[0] + 1) * (sizes[1] + 1)
    return sum(sizes) or 1.0


def _own_term(term: FormulaicTerm) -> Term:
    return Term(tuple(_own_factor(f) for f in term.factors if not _is_number(f)))


def _is_number(factor: FormulaicFactor) -> bool:
    return factor.eval_method is FormulaicFactor.EvalMethod.LITERAL


def _own_factor(factor: FormulaicFactor) -> Factor:
    is_expression = factor.eval_method is FormulaicFactor.EvalMethod.PYTHON
    text = str(factor.expr)
    return Factor(text if is_expression else plain_name(text), is_expression)
