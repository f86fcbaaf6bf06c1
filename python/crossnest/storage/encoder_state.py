"""Encoders as plain data: what a saved model remembers of its variables.

A fitted formula is its text and this state: levels, contrasts, means, knots, recurrences. Formulas
can do nothing but arithmetic and the functions of formulas, so a file from elsewhere is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..data.columns import Column, FactorColumn
from ..formula.contrasts import Contrasts
from ..formula.encoders import Encoder, Encoders, kind_of
from ..formula.formula import ParsedFormula

__all__ = ["decode_encoders", "encode_encoders", "encode_kind"]


def encode_kind(column: Column) -> dict[str, Any]:
    """Describe a column without its values."""
    if isinstance(column, FactorColumn):
        return {"kind": "labels", "levels": column.levels, "ordered": column.ordered}
    return {"kind": kind_of(column), "integer": bool(getattr(column, "integer", False))}


# --------------------------------------------------------------------------------- to plain data


def encode_encoders(encoders: Encoders) -> dict[str, Any]:
    """Describe encoders as plain data.

    Raises
    ------
    NotImplementedError
        If the formula uses functions of the user's own.
    """
    if encoders.context:
        names = ", ".join(encoders.context)
        raise NotImplementedError(
            f"a model whose formula uses functions of your own ({names}) cannot be saved to a "
            "file, which holds no code: compute their values in the data first, or pickle the model"
        )
    return {
        "variables": {name: _encode(one) for name, one in encoders.variables.items()},
        "states": {call: dict(state) for call, state in encoders.states.items()},
        "kinds": dict(encoders.kinds),
    }


def _encode(encoder: Encoder) -> dict[str, Any]:
    contrasts = encoder.contrasts
    return {
        "n_columns": encoder.n_columns,
        "is_matrix": encoder.is_matrix,
        "levels": encoder.levels,
        "ordered": encoder.ordered,
        "contrasts": None if contrasts is None else _encode_contrasts(contrasts),
    }


def _encode_contrasts(contrasts: Contrasts) -> dict[str, Any]:
    if contrasts.positions is not None:
        return {"pattern": contrasts.pattern, "positions": list(contrasts.positions)}
    return {
        "pattern": contrasts.pattern,
        "fields": list(contrasts.fields),
        "matrix": contrasts.matrix,
    }


# ------------------------------------------------------------------------------- from plain data


def decode_encoders(parsed: ParsedFormula, tree: Mapping[str, Any]) -> Encoders:
    """Make encoders again.

    Raises
    ------
    ValueError
        If the data do not describe the encoders of this formula.
    """
    needed = {factor.name for factor in parsed.effect_factors}
    _require(set(tree["variables"]) == needed, "the variables are not those of the formula")
    _require(all(kind in _KINDS for kind in tree["kinds"].values()), "an unknown kind of column")
    _require(
        all(isinstance(state, dict) for state in tree["states"].values()),
        "the state of a function is no mapping",
    )
    variables = {name: _decode(name, one) for name, one in tree["variables"].items()}
    return Encoders(variables, dict(tree["states"]), dict(tree["kinds"]))


_KINDS = ("numbers", "labels", "other")


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise ValueError(reason)


def _decode(name: str, tree: Mapping[str, Any]) -> Encoder:
    levels, n_columns = tree["levels"], tree["n_columns"]
    _require(type(n_columns) is int and 0 <= n_columns <= 100_000, f"columns of '{name}'")
    _require(type(tree["is_matrix"]) is bool and type(tree["ordered"]) is bool, f"kind of '{name}'")
    if levels is None:
        _require(n_columns > 0 and tree["contrasts"] is None, f"columns of '{name}'")
        return Encoder(name, n_columns, tree["is_matrix"])
    _require(isinstance(levels, pd.Index) and levels.is_unique, f"levels of '{name}'")
    contrasts = _decode_contrasts(name, tree["contrasts"], levels)
    return Encoder(name, 0, False, levels, tree["ordered"], contrasts)


def _decode_contrasts(name: str, tree: Mapping[str, Any], levels: pd.Index) -> Contrasts:
    what, k, pattern = f"contrasts of '{name}'", len(levels), tree["pattern"]
    _require(pattern in _PATTERNS, what)
    if "positions" in tree:
        positions = tree["positions"]
        _require(all(type(j) is int and 0 <= j < k for j in positions), what)
        labels = levels.tolist()
        fields = tuple(labels[j] for j in positions)
        return Contrasts(fields, pattern, positions=tuple(positions))
    matrix, fields = tree["matrix"], tuple(tree["fields"])
    _require(isinstance(matrix, np.ndarray) and matrix.dtype == np.float64, what)
    _require(matrix.shape == (k, len(fields)) and bool(np.isfinite(matrix).all()), what)
    return Contrasts(fields, pattern, matrix)


_PATTERNS = frozenset(
    {"{name}[{field}]", "{name}{field}", *(f"{{name}}[{kind}.{{field}}]" for kind in "TSHD")}
)
