"""What a file of a saved model must hold, so that a damaged or forged one is refused.

With p columns of X, r of them kept, m covariance parameters; J levels of a factor, k effects of a
term, K effects of all terms on a factor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..fit.fit import Fit
from ..formula.covariance_structures import structure_of
from ..formula.formula import ParsedFormula, RandomTerm
from .schema import (
    Check,
    Mismatch,
    array,
    between,
    each,
    finite,
    flag,
    has_names,
    integers,
    labels,
    listed,
    named,
    number,
    one_of,
    optional,
    record,
    text,
    whole,
)

__all__ = ["check_model", "check_text"]

#: What is in a file besides the formula and what describes its columns, which have checks of their
#: own where they are decoded.
_PARTS = (
    "design", "fit", "kept", "relative_factors", "conditional", "joint", "structure",
    "lower_bounds", "satterthwaite", "kenward-roger", "quantiles", "components", "labels",
)  # fmt: skip

#: The square of more is no number.
_MOST_SIGMA = 1e150
#: Checks of fields of `Fit` by their type.
_OF_TYPE: dict[str, Check] = {
    "float": number,
    "int": whole(),
    "bool": flag,
    "bool | None": optional(flag),
    "str": text,
}


def check_text(content: Any) -> None:
    """Check the text of the formula, which must be parsed before the rest can be checked.

    Raises
    ------
    Mismatch
        Naming the place and what must be there.
    """
    if type(content) is not dict or "formula" not in content:
        raise Mismatch("the content", "a mapping with a formula", content)
    record(text=text, columns=optional(each(text)))(content["formula"], "formula")


def check_model(content: Mapping[str, Any], parsed: ParsedFormula) -> None:
    """Check everything but the formula and what describes its columns.

    Raises
    ------
    Mismatch
        Naming the place and what must be there.
    """
    for name in _PARTS:
        if name not in content:
            raise Mismatch("the content", f"a mapping with '{name}'", list(content))
    sizes = _check_design(content["design"], parsed)
    J, k, p, m = sizes.levels, sizes.effects, sizes.p, sizes.m
    r = len(content["kept"]) if isinstance(content["kept"], np.ndarray) else -1
    by_term = [J[f] for f in sizes.factor_of]
    checks: dict[str, Check] = {
        "kept": integers(r, low=0, high=p - 1),
        "fit": _fit(by_term, k, m, r),
        "relative_factors": listed([array(size, size) for size in k], list),
        "conditional": listed([array(j, s, s) for j, s in zip(by_term, k, strict=True)], list),
        "joint": optional(_joint(sizes, r)),
        "structure": each(_block(len(J)), kind=list),
        "lower_bounds": array(m),
        "satterthwaite": optional(
            record(hessian=array(m + 1, m + 1), jacobian=array(m + 1, r, r), exact=flag)
        ),
        "kenward-roger": optional(
            record(
                first=array(m + 1, r, r),
                second=array(m + 1, m + 1, r, r),
                traces=array(m + 1, m + 1),
                quadratics=array(m + 1, m + 1),
            )
        ),
        "quantiles": array(5),
        "components": record(fixed=number, random=named(number), residual=number),
        "labels": record(data=optional(text), weights=optional(text), offset=optional(text)),
    }
    for name, check in checks.items():
        check(content[name], name)
    if np.any(np.diff(content["kept"]) <= 0):
        raise Mismatch("kept", "increasing", content["kept"])


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """How many there are: J by factor, k and the factor by term, columns of X, parameters."""

    levels: Sequence[int]
    effects: Sequence[int]
    factor_of: Sequence[int]
    p: int
    m: int

    def effects_on(self, factor: int) -> int:
        """Return K, the effects of all terms on a factor."""
        return sum(k for k, f in zip(self.effects, self.factor_of, strict=True) if f == factor)


def _check_design(tree: Any, parsed: ParsedFormula) -> _Sizes:
    """Check the description of a design, and count what the rest must agree with."""
    n_terms = len(parsed.random)
    text_or_none = optional(text)
    fields: dict[str, Check] = {
        "x_names": each(text),
        "response_name": text,
        "n": whole(1),
        "n_rows": whole(1),
        "n_missing": whole(),
        "n_zero_weight": whole(),
        "offset_source": text_or_none,
        "absent": each(one_of("offset", "weights"), kind=list),
        "variables": named(_variable),
        "factors": each(_factor, kind=list),
        "_term_order": each(whole(0, n_terms - 1), n_terms),
        "random": each(record(factor=whole(), names=each(text)), n_terms, kind=list),
    }
    has_names([*fields, "triangle"], tree, "design")
    for name, check in fields.items():
        check(tree[name], f"design.{name}")
    p = len(tree["x_names"])
    array(min(tree["n"], p), p)(tree["triangle"], "design.triangle")
    if sorted(tree["_term_order"]) != list(range(n_terms)):
        raise Mismatch("design._term_order", "an order of the terms", tree["_term_order"])
    for i, term in enumerate(tree["random"]):
        whole(0, len(tree["factors"]) - 1)(term["factor"], f"design.random[{i}].factor")
        whole(1)(len(term["names"]), f"the number of effects in design.random[{i}]")
    effects = [len(term["names"]) for term in tree["random"]]
    terms = [parsed.random[i] for i in tree["_term_order"]]
    return _Sizes(
        levels=[factor["n_levels"] for factor in tree["factors"]],
        effects=effects,
        factor_of=[term["factor"] for term in tree["random"]],
        p=p,
        m=sum(map(_parameters, terms, effects)),
    )


def _parameters(term: RandomTerm, k: int) -> int:
    """Count the covariance parameters of a term."""
    return structure_of(term.covariance, k).n_theta


def _variable(tree: Any, where: str) -> None:
    """Check the description of a variable."""
    if type(tree) is not dict or tree.get("kind") != "labels":
        named(_plain)(tree, where)
        text(tree.get("kind"), f"{where}.kind")
        return
    record(kind=text, levels=labels, ordered=flag)(tree, where)


def _plain(value: Any, where: str) -> None:
    if not (value is None or type(value) in (bool, str)):
        raise Mismatch(where, "text or a flag", value)


def _factor(tree: Any, where: str) -> None:
    """Check a grouping factor: each level is a combination of labels of the variables."""
    has_names(("name", "n_levels", "variables", "positions"), tree, where)
    text(tree["name"], f"{where}.name")
    whole(1)(tree["n_levels"], f"{where}.n_levels")
    each(labels)(tree["variables"], f"{where}.variables")
    whole(1)(len(tree["variables"]), f"the number of {where}.variables")
    checks: list[Check] = []
    for variable in tree["variables"]:
        at = integers(tree["n_levels"], low=0, high=len(variable) - 1)
        checks.append(optional(at) if len(variable) == tree["n_levels"] else at)
    listed(checks)(tree["positions"], f"{where}.positions")


def _fit(levels: Sequence[int], effects: Sequence[int], m: int, r: int) -> Check:
    """Check the estimates: all fields but those that have a value for each observation."""
    random = [array(j, k) for j, k in zip(levels, effects, strict=True)]
    fields: dict[str, Check] = {
        item.name: _OF_TYPE[str(item.type)]
        for item in dataclasses.fields(Fit)
        if str(item.type) in _OF_TYPE
    }
    fields |= {
        "sigma": between(0, _MOST_SIGMA),
        "theta": finite(m),
        "start": finite(m),
        "beta": finite(r),
        "RX": finite(r, r),
        "u": listed(random, list),
        "b": listed(random, list),
        "singular": each(flag, len(effects), list),
        "confounded": each(_confounded(effects), kind=list),
    }
    return record(**fields)


def _confounded(effects: Sequence[int]) -> Check:
    """Check what the data do not determine; `effects` has the effects of each term."""
    last = len(effects) - 1
    fields = record(
        kind=one_of("fixed", "dependent", "repeated", "shared", "residual", "exact"),
        term=whole(0, last),
        effects=each(whole(0), kind=list),
        combination=flag,
        other=whole(-1, last),
    )

    def check(value: Any, where: str) -> None:
        fields(value, where)
        each(whole(0, effects[value["term"]] - 1), kind=list)(value["effects"], f"{where}.effects")
        if value["kind"] in ("repeated", "shared"):
            whole(0, last)(value["other"], f"{where}.other")

    return check


def _joint(sizes: _Sizes, r: int) -> Check:
    """Check the covariances of random effects; see `joint_covariance`."""
    J, K = sizes.levels, [sizes.effects_on(f) for f in range(len(sizes.levels))]

    def pair(value: Any, where: str) -> None:
        has_names(("factors", "partner", "blocks"), value, where)
        each(whole(0, len(J) - 1), 2)(value["factors"], f"{where}.factors")
        f, g = value["factors"]
        crossed = value["partner"] is None
        optional(integers(J[f], low=0, high=J[g] - 1))(value["partner"], f"{where}.partner")
        shape = (J[f], J[g], K[f], K[g]) if crossed else (J[f], K[f], K[g])
        array(*shape)(value["blocks"], f"{where}.blocks")

    return record(
        V=listed([array(j, k, r) for j, k in zip(J, K, strict=True)]),
        within=listed([array(j, k, k) for j, k in zip(J, K, strict=True)]),
        between=each(pair, kind=list),
    )


def _block(n_factors: int) -> Check:
    """Check the report on a block of the factor."""
    return record(
        factors=each(whole(0, n_factors - 1), kind=list),
        kind=one_of("block-diagonal", "dense", "sparse"),
        size=whole(),
        block=whole(),
        nonzeros=whole(),
        bytes=whole(),
    )
