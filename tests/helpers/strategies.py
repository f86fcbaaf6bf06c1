"""Random designs for hypothesis: what a linear mixed model's data can look like, kept small.

Hypothesis draws the shape of a design (how its factors relate, which terms stand on them, which
difficulties it has) and a seed; NumPy's generator fills in the numbers. A failing example
therefore shrinks to the simplest shape that fails.

Two profiles: "fast" (the default) and "thorough", chosen by the environment variable
HYPOTHESIS_PROFILE.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from oracle import n_theta, theta_positions, z_matrix

_common = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("fast", max_examples=60, derandomize=True, database=None, **_common)
settings.register_profile("thorough", max_examples=2000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


@dataclass(frozen=True)
class DrawnDesign:
    """The data of a problem, in the order and form `Problem` takes them."""

    X: np.ndarray  #: (n, p)
    y: np.ndarray  #: (n,)
    weights: np.ndarray | None  #: (n,)
    factors: list[tuple[np.ndarray, int]]
    terms: list[tuple[int, list[np.ndarray | None], str]]

    def build(self, kind, **options):
        """Make a `Problem` of the given class (the engine's or the oracle's)."""
        X = np.asfortranarray(self.X)
        return kind(X, self.y, self.weights, self.factors, self.terms, **options)

    @property
    def n(self) -> int:
        """Count the observations."""
        return len(self.y)

    def rows(self, index: np.ndarray) -> DrawnDesign:
        """Take rows, in the order given and as often as given; levels keep their codes."""
        return replace(
            self,
            X=self.X[index],
            y=self.y[index],
            weights=None if self.weights is None else self.weights[index],
            factors=[(np.ascontiguousarray(codes[index]), J) for codes, J in self.factors],
            terms=[
                (f, [None if c is None else c[index] for c in columns], structure)
                for f, columns, structure in self.terms
            ],
        )

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        terms = [(f, len(columns), structure) for f, columns, structure in self.terms]
        levels = [J for _, J in self.factors]
        weighted = self.weights is not None
        return f"Design(X={self.X.shape}, {levels=}, (factor, k, structure)={terms}, {weighted=})"


# --- how grouping factors relate -----------------------------------------------------------------


def _uneven(rng: np.random.Generator, n: int, levels: int) -> np.ndarray:
    """Spread n rows over levels very unevenly."""
    share = rng.gamma(0.5, size=levels) + 0.02
    return rng.choice(levels, size=n, p=share / share.sum())


def _single(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    return [_uneven(rng, n, int(rng.integers(2, max(3, n // 3))))]


def _nested(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Two to four levels of nesting, each coarser factor a function of the finer one."""
    codes = [_uneven(rng, n, max(3, n // 2))]
    for _ in range(int(rng.integers(1, 4))):
        finer = codes[-1]
        parents = rng.integers(0, max(2, (finer.max() + 1) // 3), size=finer.max() + 1)
        codes.append(parents[finer])
    return codes


def _crossed(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Two or three factors with no relation."""
    return [
        _uneven(rng, n, int(rng.integers(2, max(3, n // 4))))
        for _ in range(int(rng.integers(2, 4)))
    ]


def _partially_crossed(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """Two fine factors where few levels meet: pupils who mostly stay in their school."""
    pupils = rng.integers(0, max(2, n // 2), size=n)
    school_of = rng.integers(0, max(2, n // 5), size=pupils.max() + 1)
    schools = school_of[pupils]
    moved = rng.random(n) < 0.15
    schools[moved] = rng.integers(0, schools.max() + 1, size=int(moved.sum()))
    return [pupils, schools]


def _nested_in_crossed(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """A pair of nested factors crossed with a third, and their interaction at times."""
    inner, outer = _nested(rng, n)[:2]
    other = rng.integers(0, 4, size=n)
    extra = [outer * 4 + other] if rng.random() < 0.5 else []
    return [inner, outer, other, *extra]


def _one_row_per_level(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    """A factor most of whose levels have one observation, next to a coarse one."""
    fine = np.arange(n)
    fine[-2:] = fine[0]
    return [rng.permutation(fine), rng.integers(0, 4, size=n)]


FACTOR_KINDS = {
    "single": _single,
    "nested": _nested,
    "crossed": _crossed,
    "partially crossed": _partially_crossed,
    "nested in crossed": _nested_in_crossed,
    "one row per level": _one_row_per_level,
}


def _occurring(codes: np.ndarray) -> tuple[np.ndarray, int]:
    """Renumber the levels so that every one occurs."""
    levels, codes = np.unique(codes, return_inverse=True)
    return np.ascontiguousarray(codes, dtype=np.int32), len(levels)


@st.composite
def factor_sets(draw, kinds=tuple(FACTOR_KINDS), rows=(20, 120)):
    """Draw grouping factors over the same rows, in any order; at least two levels each."""
    kind = draw(st.sampled_from(kinds))
    n = draw(st.integers(*rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    factors = [_occurring(codes) for codes in FACTOR_KINDS[kind](rng, n)]
    factors = [factor for factor in factors if 2 <= factor[1] < n]
    assume(factors)
    return draw(st.permutations(factors))


# --- random-effects terms ------------------------------------------------------------------------


def _effect(rng: np.random.Generator, kind: str, n: int, scale: float) -> np.ndarray | None:
    """Make one column of a term: the constant, a covariate, an indicator or a shifted covariate."""
    if kind == "constant":
        return None
    if kind == "indicator":
        return (rng.random(n) < 0.4).astype(float)
    return scale * (rng.standard_normal(n) + (3.0 if kind == "shifted" else 0.0))


@st.composite
def _term(draw, factor: int, levels: int, n: int, rng: np.random.Generator, largest: int):
    widest = max(1, min(largest, (n - 1) // levels))
    k = draw(st.integers(1, widest))
    kinds = [draw(st.sampled_from(["constant", "covariate"]))]
    kinds += [
        draw(st.sampled_from(["covariate", "covariate", "shifted", "indicator"]))
        for _ in range(k - 1)
    ]
    scale = draw(st.sampled_from([1.0, 1.0, 0.01, 50.0]))
    structure = draw(st.sampled_from(["unstructured", "diagonal"]))
    return factor, [_effect(rng, kind, n, scale) for kind in kinds], structure


@st.composite
def term_lists(draw, factors, rng: np.random.Generator, largest: int = 6):
    """Draw at least one term, one or two a factor, in any order."""
    n = len(factors[0][0])
    terms = []
    for f, (_, levels) in enumerate(factors):
        for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
            terms.append(draw(_term(f, levels, n, rng, largest)))
            largest = max(1, largest - len(terms[-1][1]) // 2)
    return draw(st.permutations(terms))


# --- whole designs -------------------------------------------------------------------------------


def _fixed_effects(rng: np.random.Generator, n: int, p: int, kind: str) -> np.ndarray:
    """Make X: covariates of any units, the constant first, somewhere or absent, an alias."""
    X = rng.standard_normal((n, p)) * 10.0 ** rng.integers(-2, 3, size=p)
    if kind != "no constant" and p > 0:
        X += rng.integers(-3, 4, size=p)
        X[:, 0 if kind == "constant first" else rng.integers(p)] = 1.0
    if kind == "aliased" and p > 2:
        X[:, p - 2] = X[:, :1].ravel() * 2.0 - (X[:, 1] if p > 3 else 0.0)
    return X


@st.composite
def designs(draw, kinds=tuple(FACTOR_KINDS), largest: int = 6, rows=(20, 120)) -> DrawnDesign:
    """Draw a design with a response that follows its model, with large and small effects."""
    factors = draw(factor_sets(kinds, rows))
    n = len(factors[0][0])
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    terms = draw(term_lists(factors, rng, largest))
    p = draw(st.integers(0, 6))
    X_kinds = ["constant first", "constant first", "constant anywhere", "no constant", "aliased"]
    X = _fixed_effects(rng, n, p, draw(st.sampled_from(X_kinds)))
    decades = draw(st.sampled_from([None, None, 0.3, 2.0]))
    weights = None if decades is None else 10.0 ** rng.uniform(-decades, decades, size=n)
    Z = z_matrix(factors, terms)
    y = X @ rng.standard_normal(p) + Z @ rng.standard_normal(Z.shape[1]) + rng.standard_normal(n)
    y = draw(st.sampled_from([1.0, 1e-3, 1e3])) * (y + draw(st.sampled_from([0.0, 20.0])))
    return DrawnDesign(X, y, weights, factors, terms)


# --- theta ---------------------------------------------------------------------------------------

_MAGNITUDES = [0.0, 1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3]


def _diagonal_entries(terms) -> np.ndarray:
    positions = [ij for _, columns, s in terms for ij in theta_positions(len(columns), s)]
    return np.array([i == j for i, j in positions])


def _zero_columns(terms, rng: np.random.Generator) -> np.ndarray:
    """Choose columns of the lambdas at random; mark the theta that stand in them."""
    chosen = []
    for _, columns, structure in terms:
        zero = rng.random(len(columns)) < 0.5
        chosen += [zero[j] for _, j in theta_positions(len(columns), structure)]
    return np.array(chosen)


@st.composite
def thetas(draw, terms, largest: float = 1e3) -> np.ndarray:
    """Draw theta: ordinary, of mixed magnitudes, with zero diagonals or with zero columns."""
    size, diagonal = n_theta(terms), _diagonal_entries(terms)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["ordinary", "ordinary", "mixed", "zeros", "zero columns"]))
    theta = rng.uniform(0.1, 2.0, size=size)
    if kind == "mixed":
        theta = np.minimum(rng.choice(_MAGNITUDES, size=size), largest)
    theta = np.where(diagonal, theta, rng.choice([-1.0, 1.0], size=size) * theta)
    if kind == "zeros":
        theta[diagonal & (rng.random(size) < 0.5)] = 0.0
    if kind == "zero columns":
        theta[_zero_columns(terms, rng)] = 0.0
    return theta


@st.composite
def designs_with_theta(draw, largest_theta: float = 1e3, **options):
    """Draw a design, a theta for it, and REML (True) or maximum likelihood (False)."""
    design = draw(designs(**options))
    return design, draw(thetas(design.terms, largest_theta)), draw(st.booleans())
