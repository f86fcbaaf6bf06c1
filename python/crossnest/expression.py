"""Expressions: the Python code inside a formula, such as ``np.log(x)`` or ``I(x**2)``."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
from formulaic.transforms import TRANSFORMS
from formulaic.utils.code import sanitize_variable_names

from .errors import FormulaError

__all__ = [
    "check_expression",
    "evaluate_elementwise",
    "is_elementwise",
    "name_coded_in",
    "names_in",
    "parse_expression",
    "unparse",
]


def parse_expression(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    """Parse a Python expression with backtick-quoted names; return aliases of the quoted names."""
    aliases: dict[str, str] = {}
    code = sanitize_variable_names(expression, {}, aliases, template="_quoted_{}")
    return ast.parse(code, mode="eval"), aliases


def _bound_names(tree: ast.AST) -> set[str]:
    """Return the names an expression binds itself (lambda arguments, loop variables)."""
    nodes = list(ast.walk(tree))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {node.arg for node in nodes if isinstance(node, ast.arg)}


def names_in(expression: str) -> list[str]:
    """Return the names of values (not of functions called) that a Python expression reads."""
    tree, aliases = parse_expression(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    bound = _bound_names(tree)
    names = [
        aliases.get(node.id, node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in bound
    ]
    return list(dict.fromkeys(names))


def check_expression(text: str, expression: str) -> None:
    """Refuse an expression that cannot mean in Python what it means in a formula."""
    tree, _ = parse_expression(expression)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
            raise FormulaError(
                f"`^` in `{expression}` is Python's exclusive or, not a power: write `**` instead"
            )
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            _check_function(text, node.func.id, node)


def _check_function(text: str, name: str, call: ast.Call) -> None:
    """Refuse a call of a function that formulas do not know."""
    if name in TRANSFORMS or hasattr(builtins, name) or name in _bound_names(call):
        return
    if any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.BitOr) for n in call.args):
        hint = f"is a `+` missing between `{name}` and the bracket?"
    elif name == "offset":
        hint = "write offset(...) as a term of its own, `y ~ x + offset(z) + (1 | g)`"
    elif name == "factor":
        hint = f"write `C{ast.unparse(call)[len(name) :]}`"
    elif hasattr(np, name):
        hint = f"write `np.{name}(...)`"
    else:
        hint = "compute it in the data first"
    raise FormulaError(f"`{text}` calls `{name}`, which formulas do not know: {hint}")


def name_coded_in(expression: str) -> str | None:
    """Return the column whose levels an expression ``C(column, ...)`` codes; None of any other."""
    tree, aliases = parse_expression(expression)
    match tree.body:
        case ast.Call(func=ast.Name(id="C"), args=[ast.Name(id=name), *_]):
            return aliases.get(name, name)
    return None


def unparse(tree: ast.AST, aliases: Mapping[str, str]) -> str:
    """Return the code of a tree with the quoted names back in backticks."""
    code = ast.unparse(tree)
    for alias, name in aliases.items():
        code = code.replace(alias, f"`{name}`")
    return code


def _is_ufunc(function: ast.expr) -> bool:
    """Whether what is called is one of NumPy's elementwise functions, or ``I``."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        found = getattr(np, function.attr, None) if function.value.id == "np" else None
    else:
        found = TRANSFORMS.get(function.id) if isinstance(function, ast.Name) else None
    return isinstance(found, np.ufunc) or found is TRANSFORMS["I"]


def _is_arithmetic(node: ast.expr) -> bool:
    """Whether a node is made of columns, numbers, arithmetic and elementwise functions."""
    if isinstance(node, ast.BinOp):
        known = isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow))
        return known and _is_arithmetic(node.left) and _is_arithmetic(node.right)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, (ast.UAdd, ast.USub)) and _is_arithmetic(node.operand)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float))
    if isinstance(node, ast.Call):
        plain = len(node.args) == 1 and not node.keywords and _is_ufunc(node.func)
        return plain and _is_arithmetic(node.args[0])
    return isinstance(node, ast.Name)


@lru_cache(maxsize=512)
def is_elementwise(expression: str) -> bool:
    """Whether each value of an expression follows from one row alone, by plain arithmetic.

    Such expressions need no state for new data and give the same on any part of the data.
    """
    return _is_arithmetic(parse_expression(expression)[0].body)


@lru_cache(maxsize=512)
def _compiled(expression: str) -> tuple[CodeType, Mapping[str, str]]:
    tree, aliases = parse_expression(expression)
    return compile(tree, "<formula>", "eval"), aliases


def evaluate_elementwise(expression: str, columns: Mapping[str, Any]) -> Any:
    """Evaluate an elementwise expression.

    Parameters
    ----------
    expression
        An expression `is_elementwise` accepts.
    columns
        (n,) arrays by name.
    """
    code, aliases = _compiled(expression)
    names = {alias: columns[name] for alias, name in aliases.items() if name in columns}
    return eval(code, {"__builtins__": {}}, {**TRANSFORMS, **columns, **names})
