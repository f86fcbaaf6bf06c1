"""The state of model specs as plain data: what formulaic's transforms and codings remember.

A fitted formula is its text and this state: the knots and bounds of splines, the recurrences of
polynomials, centers and scales, levels, contrasts, and which columns each term has. The specs are
made again from both. Expressions are code, so formulas are limited to those that can do no more
than arithmetic.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from formulaic import Formula, ModelSpec, ModelSpecs
from formulaic.materializers.base import EncodedTermStructure
from formulaic.materializers.types import EvaluatedFactor, ScopedFactor, ScopedTerm
from formulaic.parser.types import Factor, Term
from formulaic.transforms import TRANSFORMS
from formulaic.transforms.contrasts import (
    UNSET,
    Contrasts,
    ContrastsRegistry,
    ContrastsState,
    CustomContrasts,
    DiffContrasts,
    HelmertContrasts,
    PolyContrasts,
    SASContrasts,
    SumContrasts,
    TreatmentContrasts,
)
from formulaic.utils.variables import Variable

from .columns import Column, FactorColumn, NumericColumn
from .expression import parse_expression
from .formula import ParsedFormula
from .model_matrix import DesignMaterializer, Prototype, structured

__all__ = ["check_formula", "decode_specs", "encode_specs"]

_CONTRASTS = {
    "treatment": TreatmentContrasts,
    "SAS": SASContrasts,
    "sum": SumContrasts,
    "helmert": HelmertContrasts,
    "diff": DiffContrasts,
    "poly": PolyContrasts,
}

# ------------------------------------------------------------------------------- expressions

#: NumPy's functions, other than ufuncs, and constants that expressions may use.
_NUMPY = frozenset({"clip", "digitize", "e", "inf", "isin", "nan", "pi", "round", "where"})
_BUILTIN = frozenset({"abs", "float", "int", "round"})
_HARMLESS = (
    ast.BinOp | ast.UnaryOp | ast.BoolOp | ast.Compare | ast.Constant | ast.Name | ast.List
    | ast.Tuple | ast.Dict | ast.keyword | ast.expr_context | ast.operator | ast.unaryop
    | ast.boolop | ast.cmpop
)  # fmt: skip


def check_formula(parsed: ParsedFormula) -> None:
    """Refuse a formula whose expressions could do something else than compute.

    Raises
    ------
    NotImplementedError
        Naming the expression.
    """
    for expression in parsed.expressions:
        tree, _ = parse_expression(expression)
        if not _is_harmless(tree.body):
            raise NotImplementedError(
                f"a model with `{expression}` in its formula cannot be saved to a file, which "
                "holds no code but arithmetic, NumPy's elementwise functions and the functions of "
                "formulas: compute it in the data first, or pickle the model"
            )


def _is_harmless(node: ast.AST) -> bool:
    """Whether an expression is made of columns, constants, operators and known functions."""
    if isinstance(node, ast.Attribute):
        return _is_known_attribute(node)
    if isinstance(node, ast.Call):
        parts: Iterable[ast.AST] = [*node.args, *node.keywords]
        return _is_known_function(node.func) and all(map(_is_harmless, parts))
    return isinstance(node, _HARMLESS) and all(map(_is_harmless, ast.iter_child_nodes(node)))


def _is_known_function(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in _BUILTIN or function.id in TRANSFORMS.keys() - {"np", "contr"}
    return isinstance(function, ast.Attribute) and _is_known_attribute(function)


def _is_known_attribute(node: ast.Attribute) -> bool:
    """Whether this is ``np.f`` of an elementwise function, or ``contr.f`` of contrasts."""
    match node.value:
        case ast.Name(id="np"):
            return node.attr in _NUMPY or isinstance(vars(np).get(node.attr), np.ufunc)
        case ast.Name(id="contr"):
            found = vars(ContrastsRegistry).get(node.attr)
            return isinstance(found, type) and issubclass(found, Contrasts)
    return False


# --------------------------------------------------------------------------------- contrasts


def _encode_contrasts(name: str, contrasts: Contrasts) -> dict[str, Any]:
    """Describe the contrasts of a factor; refuse those that are a user's own class."""
    if type(contrasts) is CustomContrasts:
        names = contrasts.contrast_names
        matrix = np.asarray(contrasts.contrasts, dtype=np.float64)
        return {"kind": "matrix", "matrix": matrix, "names": names and list(names)}
    for kind, known in _CONTRASTS.items():
        if type(contrasts) is known:
            options = {f.name: getattr(contrasts, f.name) for f in dataclasses.fields(known)}
            return {"kind": kind, "options": {k: v for k, v in options.items() if v is not UNSET}}
    raise NotImplementedError(
        f"the contrasts of '{name}' are of the class {type(contrasts).__qualname__}, which cannot "
        "be saved to a file: give them as a matrix, or pickle the model"
    )


def _decode_contrasts(tree: Mapping[str, Any]) -> Contrasts:
    if tree["kind"] == "matrix":
        return CustomContrasts(tree["matrix"], names=tree["names"])
    return _CONTRASTS[tree["kind"]](**tree["options"])


# -------------------------------------------------------------------- formulas of plain columns


def _encode_prototype(prototype: Prototype) -> dict[str, Any]:
    return {
        "columns": {name: encode_kind(column) for name, column in prototype.columns.items()},
        "contrasts": {n: _encode_contrasts(n, c) for n, c in prototype.contrasts.items()},
    }


def _decode_prototype(parsed: ParsedFormula, tree: Mapping[str, Any]) -> Prototype:
    columns: dict[str, Column] = {}
    for name, kind in tree["columns"].items():
        columns[name] = (
            NumericColumn(np.ones(1), kind["integer"])
            if kind["kind"] == "numbers"
            else FactorColumn(np.zeros(1, dtype=np.int32), kind["levels"], kind["ordered"])
        )
    contrasts = {name: _decode_contrasts(one) for name, one in tree["contrasts"].items()}
    return Prototype(parsed, columns, contrasts)


def encode_kind(column: Column) -> dict[str, Any]:
    """Describe a column without its values."""
    if isinstance(column, FactorColumn):
        return {"kind": "labels", "levels": column.levels, "ordered": column.ordered}
    if isinstance(column, NumericColumn):
        return {"kind": "numbers", "integer": column.integer}
    return {"kind": "other"}


# ---------------------------------------------------------------------- formulas with expressions


def _encode_spec(spec: ModelSpec) -> dict[str, Any]:
    """Describe the levels, contrasts and columns of one part of a formula."""
    return {
        "encodings": {
            str(name): _encode_encoding(str(name), kind, state)
            for name, (kind, state) in spec.encoder_state.items()
        },
        "structure": [
            {
                "columns": list(term.columns),
                "scoped": [_encode_scoped(scoped) for scoped in term.scoped_terms],
            }
            for term in spec.structure
        ],
    }


def _encode_encoding(name: str, kind: Factor.Kind, state: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {"kind": kind.value, "state": {}}
    for key, value in state.items():
        is_contrasts = isinstance(value, ContrastsState)
        tree["state"][key] = _encode_contrasts(name, value.contrasts) if is_contrasts else value
    return tree


def _decode_encoding(tree: Mapping[str, Any]) -> tuple[Factor.Kind, dict[str, Any]]:
    state = dict(tree["state"])
    if "contrasts" in state:
        contrasts = _decode_contrasts(state["contrasts"])
        state["contrasts"] = ContrastsState(contrasts, state["categories"])
    return Factor.Kind(tree["kind"]), state


def _encode_scoped(scoped: ScopedTerm) -> dict[str, Any]:
    """Describe one product of factors."""
    factors = [
        {"name": str(one.factor.expr), "reduced": one.reduced, "variables": _variables(one.factor)}
        for one in scoped.factors
    ]
    return {"scale": scoped.scale, "factors": factors}


def _variables(factor: EvaluatedFactor) -> list[dict[str, Any]]:
    return [
        {"name": str(v), "roles": sorted(role.value for role in v.roles), "source": v.source}
        for v in sorted(factor.variables or ())
    ]


def _decode_scoped(term: Term, tree: Mapping[str, Any]) -> ScopedTerm:
    """Make a product of a term's factors, without values."""
    known = {str(factor.expr): factor for factor in term.factors}
    factors = []
    for one in tree["factors"]:
        variables = {
            Variable(v["name"], roles=v["roles"], source=v["source"]) for v in one["variables"]
        }
        evaluated = EvaluatedFactor(known[one["name"]], values=None, variables=variables)
        factors.append(ScopedFactor(evaluated, reduced=one["reduced"]))
    return ScopedTerm(factors, scale=tree["scale"])


def _decode_spec(
    formula: Formula, tree: Mapping[str, Any], transform_state: Mapping[str, Any]
) -> ModelSpec:
    structure = [
        EncodedTermStructure(
            term, [_decode_scoped(term, scoped) for scoped in part["scoped"]], part["columns"]
        )
        for term, part in zip(formula, tree["structure"], strict=True)
    ]
    return ModelSpec(
        formula=formula,
        materializer=DesignMaterializer.REGISTER_NAME,
        materializer_params={},
        na_action="drop",
        output="numpy",
        structure=structure,
        transform_state=dict(transform_state),
        encoder_state={name: _decode_encoding(one) for name, one in tree["encodings"].items()},
    )


# -------------------------------------------------------------------------------- whole formulas


def encode_specs(specs: ModelSpecs | Prototype) -> dict[str, Any]:
    """Describe the specs of all parts of a formula as plain data.

    Raises
    ------
    NotImplementedError
        If the contrasts of a factor are of a class of the user's.
    """
    if isinstance(specs, Prototype):
        return {"prototype": _encode_prototype(specs)}
    return {
        # formulaic evaluates all parts together, so they share what their transforms remember
        "transforms": dict(specs.fixed.transform_state),
        "response": _encode_spec(specs.response),
        "fixed": _encode_spec(specs.fixed),
        "random": [_encode_spec(spec) for spec in specs.random],
        "offset": [_encode_spec(spec) for spec in specs.offset],
    }


def decode_specs(parsed: ParsedFormula, tree: Mapping[str, Any]) -> ModelSpecs | Prototype:
    """Make the specs of a formula again."""
    if "prototype" in tree:
        return _decode_prototype(parsed, tree["prototype"])
    formula, transforms = structured(parsed), tree["transforms"]

    def several(formulas: Iterable[Formula], trees: Iterable[Any]) -> tuple[ModelSpec, ...]:
        return tuple(_decode_spec(f, t, transforms) for f, t in zip(formulas, trees, strict=True))

    return ModelSpecs(
        response=_decode_spec(formula.response, tree["response"], transforms),
        fixed=_decode_spec(formula.fixed, tree["fixed"], transforms),
        random=several(formula.random, tree["random"]),
        offset=several(formula.offset, tree["offset"]),
    )
