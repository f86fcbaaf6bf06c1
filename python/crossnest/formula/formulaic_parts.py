"""All of formulaic that is used: its public contrasts and transforms, and parts of its parser.

The parser's parts are not among what formulaic promises to keep, so ``pyproject.toml`` holds
formulaic to the minor versions these are known to work with.
"""

from __future__ import annotations

from formulaic import transforms
from formulaic.errors import FormulaicError
from formulaic.parser import DefaultFormulaParser, DefaultOperatorResolver
from formulaic.parser.algos.tokens_to_ast import tokens_to_ast
from formulaic.parser.types import ASTNode, Operator, Token
from formulaic.parser.types import Factor as FormulaicFactor
from formulaic.parser.types import Term as FormulaicTerm
from formulaic.parser.utils import merge_operator_tokens, replace_tokens
from formulaic.transforms import contrasts as formulaic_contrasts

__all__ = [
    "ASTNode",
    "DefaultFormulaParser",
    "DefaultOperatorResolver",
    "FormulaicError",
    "FormulaicFactor",
    "FormulaicTerm",
    "Operator",
    "Token",
    "formulaic_contrasts",
    "merge_operator_tokens",
    "replace_tokens",
    "tokens_to_ast",
    "transforms",
]
