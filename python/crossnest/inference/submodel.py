"""Submodels: designs from which terms were left out, on the same rows.

Their matrices are columns of the model's own, so that no data frame is needed and transformations
such as ``center(x)`` stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..base.errors import ConvergenceWarning
from ..base.warn import warn_user
from ..data.columns import FloatArray
from ..design.design import Design, RandomEffects, _lme4_order
from ..fit.fitted_model import FittedModel
from ..fit.fitting import fit_design
from ..formula.covariance_structures import UNSTRUCTURED, written
from ..formula.encoders import Encoders
from ..formula.expression import lex
from ..formula.formula import (
    INTERCEPT,
    Effects,
    Factor,
    ParsedFormula,
    RandomTerm,
    Term,
    parse_formula,
)
from ..formula.model_matrix import INTERCEPT_NAME, CodedTerm, coding_of

__all__ = [
    "RandomPart",
    "droppable",
    "effects_text",
    "fit_submodel",
    "fixed_columns",
    "fixed_terms",
    "random_parts",
    "refitted",
    "subdesign",
    "without",
]

# ----------------------------------------------------------------------------- fixed effects


def fixed_terms(design: Design) -> dict[str, Term]:
    """Return the terms of the fixed effects by name, without the intercept."""
    terms = (term for term in design.formula.fixed.terms if term != INTERCEPT)
    return {str(term): term for term in terms}


def droppable(effects: Effects) -> list[Term]:
    """Return the terms no other term contains, which may be left out (R's ``drop.scope``)."""
    terms = [term for term in effects.terms if term != INTERCEPT]
    return [
        term
        for term in terms
        if not any(term != other and set(term.factors) <= set(other.factors) for other in terms)
    ]


def fixed_columns(design: Design, terms: Iterable[Term]) -> list[int]:
    """Return the columns of X that belong to some terms."""
    return sorted(j for term in terms for j in design.coding.of(term).columns)


def without(effects: Effects, term: Term) -> Effects:
    """Leave out a term."""
    return Effects.from_terms(other for other in effects.terms if other != term)


# ---------------------------------------------------------------------------- random effects


@dataclass(frozen=True, eq=False)
class RandomPart:
    """One random-effects term and how its columns are made.

    Attributes
    ----------
    effects : RandomEffects
        The term and its columns.
    encoders : Encoders
        What is known about the variables.
    """

    effects: RandomEffects
    encoders: Encoders

    @property
    def term(self) -> RandomTerm:
        """The term of the formula."""
        return self.effects.term

    @property
    def label(self) -> str:
        """The term as the user wrote it, as R prints it: ``(Days | Subject)``, ``(x - 1 | g)``."""
        text = None if self.has_double_bar else _as_written(self.term.text)
        return self.write(text or effects_text(self.term.effects), self.term.group)

    @property
    def covariance(self) -> str:
        """The name of its covariance structure; one effect alone has no other than any."""
        return self.term.covariance if len(self.effects.names) > 1 else UNSTRUCTURED

    @property
    def has_double_bar(self) -> bool:
        """Whether a double bar says that its several effects are independent of each other."""
        return self.covariance != UNSTRUCTURED and self.term.has_double_bar

    def write(self, effects: str, group: str) -> str:
        """Write a term of such effects by such groups with this one's structure."""
        if self.has_double_bar:
            return f"({effects} || {group})"
        return written(self.covariance, f"({effects} | {group})")

    def same_as(self, other: RandomPart) -> bool:
        """Whether two terms give the same random effects with the same covariance matrices."""
        return (
            self.effects.factor == other.effects.factor
            and self.term.effects == other.term.effects
            and self.covariance == other.covariance
        )

    def without(self, term: Term) -> RandomPart:
        """Leave out one of the effects; a random intercept stands in for the last of them."""
        old, effects = self.term.effects, without(self.term.effects, term)
        names: tuple[str, ...] = (INTERCEPT_NAME,)
        columns: tuple[FloatArray | None, ...] = (None,)
        if set(effects.terms) - {INTERCEPT}:
            kept = _kept_columns(old, effects, self.encoders)
            names = coding_of(effects, self.encoders).names
            columns = tuple(self.effects.columns[j] for j in kept)
        else:
            effects = Effects.from_terms([INTERCEPT])
        text = f"({effects_text(effects)} | {self.term.group})"
        reduced = replace(self.term, effects=effects, text=text)
        return replace(self, effects=RandomEffects(reduced, self.effects.factor, names, columns))


def _as_written(text: str) -> str | None:
    """Return the left side of a sum of columns and a bar, spaced as in R; None of any other."""
    words = [lexeme.text for lexeme in lex(text)]
    words = words[words.index("(") :]  # of `cs(x | g, hom = TRUE)` what follows the word
    if words.count("|") != 1 or words[0] != "(":
        return None
    left = words[1 : words.index("|")]
    if any(word in "()[]{}" or word in ("/", "^", "**", "%in%", ".") for word in left):
        return None
    return " ".join(left).replace(" : ", ":").replace("- ", "-", left[0] == "-")


def random_parts(design: Design) -> list[RandomPart]:
    """Return the random-effects terms in the order of the formula."""
    parts = [RandomPart(effects, design.encoders) for effects in design.random]
    return [parts[i] for i in np.argsort(design._term_order)]


# ----------------------------------------------------------------------------- columns kept


def _kept_columns(old: Effects, new: Effects, encoders: Encoders) -> list[int]:
    """Return the columns of the matrix of `old` that are the matrix of `new`.

    Raises
    ------
    NotImplementedError
        If the terms that are left would be coded anew, as where ``f`` is left out of
        ``0 + f + g``.
    """
    missing = [term for term in new.terms if term not in old.terms]
    if missing:
        raise ValueError(f"`{missing[0]}` is not among the terms of `{old.text}`")
    before, after = coding_of(old, encoders), coding_of(new, encoders)
    kept = []
    for coded in after.terms:
        same = before.of(coded.term)
        if set(same.variables) != set(coded.variables):
            raise NotImplementedError(
                f"without some of the terms of `{old.text}` the factors of `{new.text}` are "
                "coded differently, which needs the data: fit that formula with crossnest.lmer "
                "and compare the "
                "two models"
            )
        kept += _reordered(same, coded, encoders)
    return kept


def _reordered(old: CodedTerm, new: CodedTerm, encoders: Encoders) -> list[int]:
    """Return the columns of a term in the order they have where its variables stand in another."""
    sizes = [len(encoders.variables[name].names(reduced)) for name, reduced in old.variables]
    grid = np.arange(old.start, old.stop).reshape(sizes, order="F")
    axes = [old.variables.index(variable) for variable in new.variables]
    return [int(j) for j in grid.transpose(axes).ravel(order="F")]


# ------------------------------------------------------------------------------- the formula


def effects_text(effects: Effects, explicit: bool = False) -> str:
    """Write effects without the intercept that is implied, unless it is to be explicit."""
    text = effects.text
    return text if explicit else text.removeprefix("1 + ")


def _group_text(term: RandomTerm, calls: frozenset[str]) -> str:
    """Write a grouping factor so that parsing it gives the same variables."""
    return ":".join(str(Factor(name, name in calls)) for name in term.factors)


def _offset_text(factor: Factor) -> str:
    return factor.name if factor.is_expression else str(factor)


def _formula(old: ParsedFormula, fixed: Effects, parts: Sequence[RandomPart]) -> ParsedFormula:
    """Write and parse the formula of effects and random-effects terms."""
    operands = [effects_text(fixed)]
    operands += [f"offset({_offset_text(factor)})" for factor in old.offsets]
    for part in parts:
        group = _group_text(part.term, old.group_calls)
        operands.append(part.write(effects_text(part.term.effects), group))
    text = f"{old.response} ~ {' + '.join(operands)}"
    parsed = parse_formula(text, mixed=bool(parts), functions=old.functions)
    random = (
        replace(term, group=part.term.group)  # lme4's `c:(b:a)` is known from `a/b/c` alone
        for term, part in zip(parsed.random, parts, strict=True)
    )
    return replace(parsed, random=tuple(random))


# -------------------------------------------------------------------------------- the design


def subdesign(
    design: Design, fixed: Effects | None = None, parts: Sequence[RandomPart] | None = None
) -> Design:
    """Return the design of a model with fewer terms, on the same rows.

    Parameters
    ----------
    design : Design
        The design of the model.
    fixed : Effects, optional
        The fixed effects to keep; all of them if not given.
    parts : sequence of RandomPart, optional
        The random-effects terms, from `random_parts` or reduced; all of them if not given.

    Raises
    ------
    NotImplementedError
        If the fixed effects that are left would be coded anew.
    """
    parts = random_parts(design) if parts is None else parts
    fixed = design.formula.fixed if fixed is None else fixed
    kept = _kept_columns(design.formula.fixed, fixed, design.encoders)
    formula = _formula(design.formula, fixed, parts)
    order = _lme4_order([design.factors[part.effects.factor].n_levels for part in parts])
    used = list(dict.fromkeys(parts[i].effects.factor for i in order))
    random = [
        replace(part.effects, term=term, factor=used.index(part.effects.factor))
        for part, term in zip(parts, formula.random, strict=True)
    ]
    return replace(
        design,
        formula=formula,
        X=np.asfortranarray(design.X[:, kept]),
        x_names=coding_of(fixed, design.encoders).names,
        factors=tuple(design.factors[j] for j in used),
        random=tuple(random[i] for i in order),
        _term_order=tuple(order),
    )


# ----------------------------------------------------------------------------------- the fit


def fit_submodel(
    model: FittedModel,
    fixed: Effects | None = None,
    parts: Sequence[RandomPart] | None = None,
    reml: bool | None = None,
) -> FittedModel:
    """Fit a model with fewer terms to the same rows, by the same criterion unless told otherwise.

    Parameters and errors are those of `subdesign`.

    Warns
    -----
    ConvergenceWarning
        The optimizer stopped before the minimum.
    """
    return _fitted(model, subdesign(model.design, fixed, parts), reml)


def refitted(model: FittedModel, reml: bool) -> FittedModel:
    """Return the model fitted by REML, or by maximum likelihood; itself if it is."""
    return model if model.reml == reml else _fitted(model, model.design, reml)


def _fitted(model: FittedModel, design: Design, reml: bool | None) -> FittedModel:
    engine = model._engine if design is model.design else None
    reml = model.reml if reml is None else reml
    fit = fit_design(type(model), design, reml, None, model.control, model.labels, engine)
    known = any(one.kind == "exact" for one in model.confounded)  # and was said of the model
    if not fit.converged and not known:
        text = f"the fit of `{design.formula.text}` has not converged ({fit.opt.message})"
        warn_user(text, ConvergenceWarning)
    return fit
