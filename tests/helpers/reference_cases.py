"""Reference fits made by R: reading the JSON and CSV files next to this module.

The directories ``reference``, ``reference_more`` and ``golden`` hold one JSON a case, each naming
its CSV file. ``reference/README.md`` says what the keys mean and how closely to compare them.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TESTS = Path(__file__).resolve().parents[1] / "expected"


@dataclass(frozen=True)
class ReferenceCase:
    """One model fitted by R, with its data.

    Attributes
    ----------
    name
        The case, also the name of its JSON file.
    directory
        Where its files are.
    r_formula, formula
        The model as R has it, and the same for formulaic.
    reml
        Whether R minimised the REML criterion (True) or the deviance.
    weights, offset
        Names of columns of the data frame, or None.
    expected
        The whole JSON. A vector of length one is a scalar in it: see the accessors below.
    """

    name: str
    directory: Path
    r_formula: str
    formula: str
    reml: bool
    weights: str | None
    offset: str | None
    expected: dict[str, Any]

    @property
    def data(self) -> pd.DataFrame:
        """A fresh copy of the data frame, factors as Categoricals with R's levels."""
        ordered = frozenset(as_list(self.expected.get("ordered")))
        levels = {name: as_list(v) for name, v in self.expected["factors"].items()}
        frozen = tuple((name, tuple(v), name in ordered) for name, v in levels.items())
        return _read(self.directory / self.expected["data"], frozen).copy()

    @property
    def criterion(self) -> float:
        """REML criterion, or deviance for a fit by maximum likelihood."""
        return float(self.expected["criterion"])

    @property
    def sigma(self) -> float:
        """Residual standard deviation."""
        return float(self.expected["sigma"])

    @property
    def theta(self) -> np.ndarray:
        """Covariance parameters in lme4's order, (n_theta,)."""
        return np.array(list(self.expected["theta"].values()), dtype=float)

    @property
    def coef_names(self) -> list[str]:
        """R's names of the fixed effects, (p,)."""
        return as_list(self.expected["coef"]["names"])

    @property
    def beta(self) -> np.ndarray:
        """Fixed effects, (p,)."""
        return as_array(self.expected["coef"]["estimate"])

    @property
    def se(self) -> np.ndarray:
        """Standard errors of the fixed effects, (p,)."""
        return as_array(self.expected["coef"]["se"])

    @property
    def vcov(self) -> np.ndarray:
        """Covariance matrix of the fixed effects, (p, p)."""
        p = len(self.beta)
        return np.array(self.expected["vcov"], dtype=float).reshape(p, p)

    @property
    def singular(self) -> bool:
        """Whether R's fit is singular."""
        return bool(self.expected["singular"])

    @property
    def ranef_sum_sq(self) -> list[np.ndarray]:
        """Sum over levels of the squared conditional modes, (k,) a grouping factor."""
        return [as_array(group["sum_sq"]) for group in self.expected["ranef"]]

    @property
    def summary_text(self) -> str:
        """R's printed summary."""
        return "\n".join(as_list(self.expected["summary_text"])) + "\n"

    def fit_arguments(self) -> dict[str, Any]:
        """Arguments of ``crossnest.lmer`` for this case."""
        return {
            "formula": self.formula,
            "data": self.data,
            "reml": self.reml,
            "weights": self.weights,
            "offset": self.offset,
        }


def as_list(value: Any) -> list[Any]:
    """Undo R's writing of a vector of length one as a scalar, and of none as null."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def as_array(value: Any) -> np.ndarray:
    """Return an array of one dimension, NaN where R has NA."""
    return np.array(as_list(value), dtype=float)


def translate_formula(formula: str) -> str:
    """Translate an R formula to formulaic's: powers inside a function call are Python's.

    A caret outside of every call is formula algebra in both languages and stays.
    """
    translated = []
    calls: list[bool] = []  # for every open bracket, whether it is (inside) a function call
    for position, character in enumerate(formula):
        if character == "(":
            is_call = re.search(r"[\w.]$", formula[:position]) is not None
            calls.append(is_call or (bool(calls) and calls[-1]))
        elif character == ")":
            calls.pop()
        translated.append("**" if character == "^" and calls and calls[-1] else character)
    return "".join(translated)


def case_names(directory: str = "reference") -> list[str]:
    """Names of all cases of a directory (``reference``, ``reference_more``, ``golden``)."""
    return sorted(path.stem for path in (TESTS / directory).glob("*.json"))


@functools.cache
def load_case(name: str, directory: str = "reference") -> ReferenceCase:
    """Load one case."""
    expected = json.loads((TESTS / directory / f"{name}.json").read_text(encoding="utf-8"))
    return ReferenceCase(
        name=name,
        directory=TESTS / directory,
        r_formula=expected["formula"],
        formula=translate_formula(expected["formula"]),
        reml=expected["REML"],
        weights=expected["weights"],
        offset=expected["offset"],
        expected=expected,
    )


def all_cases(directory: str = "reference") -> list[ReferenceCase]:
    """Load all cases of a directory."""
    return [load_case(name, directory) for name in case_names(directory)]


@functools.cache
def _read(path: Path, factors: tuple[tuple[str, tuple[str, ...], bool], ...]) -> pd.DataFrame:
    data = pd.read_csv(
        path,
        dtype={name: str for name, _, _ in factors},
        keep_default_na=False,
        na_values=["", "NA"],
    )
    for name, levels, ordered in factors:
        data[name] = pd.Categorical(data[name], categories=list(levels), ordered=ordered)
    return data
