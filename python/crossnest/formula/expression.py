"""Expressions: the calls and comparisons inside a formula, such as ``log(x)`` or ``(x > 5)``.

Expressions are written in R's notation or Python's and read into Python syntax trees, in which a
name is one word whatever characters it has: ``np.log``, ``as.factor``, ```my column```. Only
arithmetic, comparisons, constants and calls by name are expressions; there is no way to reach an
attribute, and nothing here is ever compiled or executed. Formulas come from web forms and files.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..base.errors import FormulaError

__all__ = [
    "Lexeme",
    "call_name",
    "calls_in",
    "canonical",
    "lex",
    "name_coded_in",
    "names_in",
    "parse_expression",
    "plain_name",
    "quoted",
    "unparse",
]

Kind = Literal["space", "quoted", "string", "number", "name", "operator", "bracket"]

_LEXEME = re.compile(
    r"""(?P<space>\s+)
    | (?P<quoted>`[^`]*`)
    | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<name>(?:\w|\.(?=[\w.]))+\.*)
    | (?P<operator>%(?:in|/)?%|%|\*\*|//|==|!=|<=|>=|<-|\|\||&&|[-+*/^:~|<>=!&,.])
    | (?P<bracket>[()\[\]{}])""",
    re.VERBOSE,
)

#: R's operators in Python's words; `and`, `or` and `not` bind as loosely as R's `&`, `|` and `!`.
_PYTHON_OPERATOR = {
    "^": "**",
    "&": " and ",
    "&&": " and ",
    "|": " or ",
    "||": " or ",
    "!": " not ",
    "%in%": " in ",
    "%%": "%",
    "%/%": "//",
}
_WORDS = frozenset({"and", "or", "not", "in", "True", "False", "None"})
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)
#: Deeper nesting than anybody writes; Python's parser has limits of its own far above.
_MAX_LENGTH = 20_000
_MAX_DEPTH = 100


@dataclass(frozen=True)
class Lexeme:
    """A word of a formula.

    Attributes
    ----------
    kind
        What it is.
    text
        As written.
    start, end
        Where it stands in the formula, the end not included.
    """

    kind: Kind
    text: str
    start: int
    end: int

    @property
    def is_name(self) -> bool:
        """Whether it names a column or a function, bare or in backticks."""
        return self.kind in ("name", "quoted")


def lex(text: str) -> list[Lexeme]:
    """Split a formula or an expression into words, white space left out.

    Raises
    ------
    FormulaError
        If there is a character that means nothing in a formula, or a quote that is never closed.
    """
    if len(text) > _MAX_LENGTH:
        raise FormulaError(
            f"a formula of {len(text)} characters is longer than {_MAX_LENGTH}: compute columns in "
            "the data first"
        )
    found, at = [], 0
    while at < len(text):
        match = _LEXEME.match(text, at)
        if match is None:
            raise FormulaError(_unreadable(text, at))
        if match.lastgroup != "space":
            kind: Kind = match.lastgroup  # type: ignore[assignment]
            found.append(Lexeme(kind, match.group(), at, match.end()))
        at = match.end()
    return found


def _unreadable(text: str, at: int) -> str:
    """Say what is wrong with the character at a place."""
    if text[at] in "`'\"":
        return f"cannot read the formula `{text}`: a {text[at]} is never closed"
    return f"cannot read the formula `{text}`: `{text[at]}` means nothing in a formula"


# --------------------------------------------------------------------------------------- names


def quoted(name: str) -> str:
    """Write a name so that it is read as that name: in backticks unless it is a plain word."""
    match = _LEXEME.fullmatch(name)
    plain = match is not None and match.lastgroup == "name" and name not in _WORDS
    return name if plain else f"`{name}`"


def plain_name(word: str) -> str:
    """Return the name a word stands for: without its backticks."""
    return word[1:-1] if word.startswith("`") else word


# ------------------------------------------------------------------------------------- parsing


def _to_python(lexemes: list[Lexeme]) -> tuple[str, dict[str, str]]:
    """Return Python code of an expression, a stand-in for each name, and the names.

    Python would change some non-ASCII letters, and takes words such as ``class`` for its own.
    """
    words: list[str] = []
    names: dict[str, str] = {}
    for lexeme in lexemes:
        text = lexeme.text
        if lexeme.is_name and text not in _WORDS:
            stand_in = f"_name_{len(names)}"
            names[stand_in] = quoted(plain_name(text))
            words.append(stand_in)
        elif text == "," and words and words[-1] == "[":
            words.append(":,")  # R's [, 1] is Python's [:, 1]
        else:
            words.append(_PYTHON_OPERATOR.get(text, text) if lexeme.kind == "operator" else text)
    return " ".join(words), names


class _Renaming(ast.NodeTransformer):
    """Put the names back for which stand-ins were parsed."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(func=ast.Name(id=function), args=[ast.Constant(value=str(name))]):
                if self._names.get(function) == "Q":  # patsy's way to quote
                    return ast.copy_location(ast.Name(quoted(name), ast.Load()), node)
        self.generic_visit(node)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        if node.arg is not None:
            node.arg = self._names.get(node.arg, node.arg)
        self.generic_visit(node)
        return node


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> ast.expr:
    """Read an expression.

    Parameters
    ----------
    text
        The expression, R's notation or Python's.

    Returns
    -------
    ast.expr
        Its syntax tree, shared by all who parse the same text: not to be changed. A name or the
        name of an argument is one word, in backticks where it needs them.

    Raises
    ------
    FormulaError
        If it is not an expression, or more than one of arithmetic, comparisons and calls by name.
    """
    code, names = _to_python(lex(text))
    try:
        parsed = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise FormulaError(f"cannot read `{text}`: it is not an expression ({reason})") from None
    tree: ast.expr = _Renaming(names).visit(parsed)
    _check(tree, text, _MAX_DEPTH)
    return tree


def unparse(tree: ast.expr) -> str:
    """Return the text of an expression, the same for every way to write it."""
    return ast.unparse(tree)


@lru_cache(maxsize=1024)
def canonical(text: str) -> str:
    """Return an expression's text in one form: ``I(x^2)`` as ``I(x ** 2)``."""
    return unparse(parse_expression(text))


def _check(node: ast.AST, text: str, depth: int) -> None:
    """Refuse everything that is not arithmetic, a comparison, a constant or a call by name."""
    if depth == 0:
        raise FormulaError(
            f"`{text[:60]}...` is nested too deeply: compute parts in the data first"
        )
    match node:
        case ast.BinOp(op=op) if isinstance(op, _ARITHMETIC):
            parts: list[ast.AST] = [node.left, node.right]
        case ast.UnaryOp(op=ast.UAdd() | ast.USub() | ast.Not()):
            parts = [node.operand]
        case ast.BoolOp():
            parts = list(node.values)
        case ast.Compare(ops=ops) if all(isinstance(op, _COMPARISONS) for op in ops):
            parts = [node.left, *node.comparators]
        case ast.Call(func=ast.Name()) if all(word.arg for word in node.keywords):
            parts = [*node.args, *(word.value for word in node.keywords)]
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Slice(None, None, None), ast.Constant()])):
            parts = [node.value]
        case ast.List() | ast.Tuple():
            parts = list(node.elts)
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str() | None):
            return
        case _:
            raise FormulaError(_refusal(node, text))
    for part in parts:
        _check(part, text, depth - 1)


def _refusal(node: ast.AST, text: str) -> str:
    """Say why a part of an expression is refused."""
    what = {
        ast.Attribute: "takes an attribute of a value",
        ast.Lambda: "defines a function",
        ast.Subscript: "takes a part of a value",
        ast.Starred: "unpacks a value",
        ast.NamedExpr: "assigns a name",
        ast.JoinedStr: "formats a string",
    }.get(type(node), "is more than arithmetic, comparisons and calls of functions by name")
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        what = "has a comprehension"
    return (
        f"`{text}` {what}, which formulas do not allow: compute it in the data first, or pass a "
        "function of your own by context={'f': f}"
    )


# ------------------------------------------------------------------------ what expressions read


def _walk(node: ast.AST, called: bool = False) -> Iterator[tuple[ast.expr, bool]]:
    """Yield every name with whether it is called, in the order they are written."""
    if isinstance(node, ast.Name):
        yield node, called
    for field, child in ast.iter_fields(node):
        for part in child if isinstance(child, list) else [child]:
            if isinstance(part, ast.AST):
                yield from _walk(part, isinstance(node, ast.Call) and field == "func")


@lru_cache(maxsize=1024)
def names_in(expression: str) -> tuple[str, ...]:
    """Return the names of values (not of functions called) that an expression reads, each once."""
    found = _walk(parse_expression(expression))
    names = (plain_name(n.id) for n, called in found if isinstance(n, ast.Name) and not called)
    return tuple(dict.fromkeys(names))


def call_name(call: ast.Call) -> str:
    """Return the name of the function that is called."""
    assert isinstance(call.func, ast.Name)
    return plain_name(call.func.id)


def calls_in(tree: ast.expr) -> list[ast.Call]:
    """Return the calls of an expression."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_coded_in(expression: str) -> str | None:
    """Return the column whose levels an expression ``C(column, ...)`` codes; None of any other."""
    match parse_expression(expression):
        case ast.Call(func=ast.Name(id="C" | "factor" | "as.factor"), args=[ast.Name(id=name), *_]):
            return plain_name(name)
    return None
