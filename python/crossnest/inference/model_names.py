"""Names of models in tables: those of the caller's variables that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["model_names"]


def model_names(models: Sequence[object], variables: Mapping[str, Any]) -> list[str]:
    """Name models by the caller's variables that hold them; all by number if one has none."""
    own = {name: v for name, v in variables.items() if name.isidentifier() and name[0] != "_"}
    found = [next((name for name, v in own.items() if v is model), None) for model in models]
    names = [name for name in found if name is not None]
    if len(set(names)) == len(models):
        return names
    return [f"m{i}" for i in range(len(models))]
