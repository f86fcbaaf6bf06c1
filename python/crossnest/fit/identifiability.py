"""What the data cannot tell about the random effects, by name, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..formula.covariance_structures import independent, is_restricted

if TYPE_CHECKING:
    from .._core import _Confounding
    from ..design.design import Design, RandomEffects
    from .fitted_model import FittedModel

Kind = Literal["fixed", "dependent", "repeated", "shared", "residual", "exact"]


@dataclass(frozen=True)
class Confounded:
    """Random effects whose variances the data do not determine.

    Attributes
    ----------
    kind : {"fixed", "dependent", "repeated", "shared", "residual", "exact"}
        Their columns of Z lie within the span of the fixed effects; they are linearly dependent
        within the term; another term on the same groups has all of them; a variance can pass to
        another term that has these, but not all effects of this one, or, where the effects share
        parameters (`cs`, `ar1`), to another term or the residual; they are one for each
        observation, as the residuals are; or they fit the response exactly, so that sigma goes
        to 0.
    term : str
        The term, as in the formula.
    effects : tuple of str
        Those of its effects that are concerned.
    other : str or None
        The other term.
    message : str
        What is wrong, and what to write instead.
    """

    kind: Kind
    term: str
    effects: tuple[str, ...]
    other: str | None
    message: str

    def __str__(self) -> str:
        """Return the message."""
        return self.message


def confounded_terms(model: FittedModel) -> tuple[Confounded, ...]:
    """Name what the engine found that the data cannot tell."""
    found: Sequence[_Confounding] = model._fit.confounded
    exact = [one["term"] for one in found if one["kind"] == "exact"]
    results = [_named(model, one) for one in found if one["kind"] != "exact"]
    if exact:
        results.append(_exact(model.design, exact))
    return tuple(results)


def explained_singular(model: FittedModel) -> set[int]:
    """Return the terms whose singular covariance is only what was found."""
    random = model.design.random
    return {
        one["term"]
        for one in model._fit.confounded
        if one["kind"] in ("fixed", "dependent")
        or (
            one["kind"] in ("repeated", "residual")
            and len(one["effects"]) == len(random[one["term"]].names)
        )
    }


def undetermined_effects(model: FittedModel) -> set[tuple[int, int]]:
    """Return (term, effect) of the standard deviations the data say nothing about.

    Of terms that share an effect neither counts: only the sum of their variances is determined.
    """
    pairs = set()
    for one in model._fit.confounded:
        pairs |= {(one["term"], j) for j in one["effects"]}
        if one["kind"] == "shared" and one["other"] >= 0:
            term, other = model.design.random[one["term"]], model.design.random[one["other"]]
            common = {term.names[j] for j in one["effects"]}
            if is_restricted(term.term.covariance):
                common = set(other.names)
            pairs |= {(one["other"], j) for j, name in enumerate(other.names) if name in common}
    return pairs


def _named(model: FittedModel, one: _Confounding) -> Confounded:
    design = model.design
    term = design.random[one["term"]]
    effects = tuple(term.names[j] for j in one["effects"])
    other = design.random[one["other"]] if one["other"] >= 0 else None
    write = {
        "fixed": _fixed,
        "dependent": _dependent,
        "repeated": _repeated,
        "shared": _shared,
        "residual": _residual,
    }
    message = write[one["kind"]](model, term, _subject(design, one), other)
    second = None if other is None else other.term.text
    return Confounded(one["kind"], term.term.text, effects, second, message)


def _subject(design: Design, one: _Confounding) -> str:
    """Say which effects of the term it is about; `(x || g)` stands for several terms."""
    term = design.random[one["term"]]
    namesakes = {other.names for other in design.random if other.term.text == term.term.text}
    names = [term.names[j] for j in one["effects"]]
    text = f"`{term.term.text}`"
    if one["combination"]:
        return f"a combination of the effects {_list(names)} of {text}"
    if len(names) == len(term.names) and len(namesakes) == 1:
        return text
    return f"{'the effect' if len(names) == 1 else 'the effects'} {_list(names)} of {text}"


def _fixed(model: FittedModel, term: RandomEffects, what: str, other: RandomEffects | None) -> str:
    correlated = len(term.names) > 1 and not independent(term.term.covariance, len(term.names))
    if model.reml:
        set_to = "it is held, not estimated"
    elif correlated and not what.startswith("`"):
        set_to = "maximum likelihood makes the effect a multiple of the others, correlation 1 or -1"
    else:
        set_to = "maximum likelihood makes it zero"
    return (
        f"{what} lies within the span of the fixed effects, so the data do not determine its "
        f"variance: {set_to}; leave it out, or the fixed effects that stand for the same groups"
    )


def _dependent(
    model: FittedModel, term: RandomEffects, what: str, other: RandomEffects | None
) -> str:
    return (
        f"{what} is linearly dependent within the groups, so the data do not determine the "
        "variances; leave out one of the effects"
    )


def _repeated(
    model: FittedModel, term: RandomEffects, what: str, other: RandomEffects | None
) -> str:
    assert other is not None
    copy = _copies(model.design, term, other)
    return (
        f"{what} cannot be distinguished from `{other.term.text}`, which has the same "
        f"effects{copy}: its "
        f"variance is held at zero; write `{other.term.text}` alone"
    )


def _shared(model: FittedModel, term: RandomEffects, what: str, other: RandomEffects | None) -> str:
    if other is None:
        return (
            f"{what} cannot be distinguished from the residual: a part of its variance can pass to "
            "sigma and back without a change of the likelihood, as where each group has each level "
            "once; leave the part out that is like the residual, as in `(1 | g)` for "
            "`cs(0 + f | g, hom=TRUE)`, or observe the levels more than once"
        )
    if is_restricted(term.term.covariance):
        return (
            f"{what} cannot be distinguished from `{other.term.text}`: a part of its variance can "
            "pass to the other and back without a change of the likelihood; leave one of the two "
            "out"
        )
    copy = _copies(model.design, term, other)
    return (
        f"{what} cannot be distinguished from the same in `{other.term.text}`{copy}: only the "
        "sum of their "
        "variances is determined; write one term with the effects of both, or leave them out of "
        "one of the two (as in `(0 + x | g)` without the intercept)"
    )


def _residual(
    model: FittedModel, term: RandomEffects, what: str, other: RandomEffects | None
) -> str:
    name = model.design.factors[term.factor].name
    return (
        f"{what} cannot be distinguished from the residual: '{name}' has a level for each "
        "observation; its variance is held at zero, and sigma is that of both; leave it out"
    )


def _exact(design: Design, terms: Sequence[int]) -> Confounded:
    names = [design.random[t].term.text for t in terms]
    quoted = _list([f"`{name}`" for name in names])
    alone = [design.factors[design.random[t].factor] for t in terms]
    if any(factor.n_levels == design.n for factor in alone):
        message = (
            f"all of the variance is that of {quoted}, with an effect for each observation: sigma "
            "goes to zero, and the criterion to a limit, which it has here to many digits; the "
            "weights do not describe the residuals, leave them out or the term"
        )
    else:
        message = (
            f"the response is fitted exactly by the fixed effects and {quoted}: no residual "
            "variance is left, the likelihood grows without bound as sigma goes to zero, and "
            "criterion, sigma and standard errors mean nothing; if it has one value for each "
            "group, use one row for each group and `crossnest.lm`"
        )
    effects = tuple(design.random[terms[0]].names)
    return Confounded("exact", names[0], effects, names[1] if len(names) > 1 else None, message)


def _copies(design: Design, term: RandomEffects, other: RandomEffects) -> str:
    """Say that two grouping factors make the same groups, where it is not one factor."""
    if term.factor == other.factor:
        return ""
    names = [design.factors[t.factor].name for t in (term, other)]
    return f" ('{names[0]}' and '{names[1]}' make the same groups)"


def _list(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
