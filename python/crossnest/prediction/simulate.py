"""Responses drawn from a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse
from numpy.typing import NDArray

from ..base.arguments import check_count, is_word
from ..base.errors import DesignError
from ..base.memory import check_memory
from ..data.columns import Columns, NumericColumn
from ..data.data_checks import in_another_type
from ..design.new_rows import new_rows

if TYPE_CHECKING:
    from ..design.design import RandomEffects
    from ..design.new_rows import Rows
    from ..fit.fitted_model import FittedModel

__all__ = ["Simulator", "check_draws", "random_stream", "seed_or_new", "simulate", "simulator"]

FloatArray = NDArray[np.float64]
SparseArray: TypeAlias = "scipy.sparse.csr_array[Any, tuple[int, int]]"


@dataclass(frozen=True, eq=False)
class Simulator:
    """The distribution of a response: mean + root u + sd e, u and e standard normal.

    Attributes
    ----------
    mean : (n,) array
        The part that is not drawn, offset included.
    root : sparse (n, q) array, or None
        sigma Z Lambda; None where the random effects belong to the mean.
    sd : (n,) array
        Standard deviations of the residuals, sigma / sqrt(w).
    """

    mean: FloatArray
    root: SparseArray | None
    sd: FloatArray

    def draw(self, seed: int, first: int, count: int) -> FloatArray:
        """Draw the replicates first, ..., first + count - 1 of a seed: (n, count)."""
        q = 0 if self.root is None else self.root.shape[1]
        normal = np.empty((count, q + len(self.mean)))
        for i in range(count):
            random_stream(seed, first + i).standard_normal(out=normal[i])
        Y = self.mean[:, None] + self.sd[:, None] * normal[:, q:].T
        if self.root is not None:
            Y += self.root @ np.ascontiguousarray(normal[:, :q].T)
        return np.asfortranarray(Y)


def random_stream(seed: int, replicate: int) -> np.random.Generator:
    """Return the random numbers of one replicate: Philox, keyed by the seed, counting from it.

    Replicates have streams of 2^192 numbers each, so they depend on their number and the seed
    alone.
    """
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    counter = np.array([0, 0, 0, replicate], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def seed_or_new(seed: int | None) -> int:
    """Return the seed, or draw one where none is given, so that it can be reported.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number, or negative.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be a whole number, not {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, it is {seed}")
    return int(seed)


def simulate(
    model: FittedModel,
    n: int = 1,
    seed: int | None = None,
    re: Literal["new", "conditional"] = "new",
    newdata: Any = None,
) -> pd.DataFrame:
    """Draw responses from a fitted model.

    theta, sigma and beta are taken as known. Replicate i depends on the seed and i alone, however
    many are drawn.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    n : int
        Number of replicates.
    seed : int, optional
        Where the random numbers start; a new one each time if not given.
    re : {"new", "conditional"}
        Draw new random effects, or keep the conditional modes of the fit.
    newdata : DataFrame, optional
        Rows to simulate, in place of those of the fit. With ``re="new"`` levels the model was not
        fitted to have random effects like any other. Rows that miss a value are NaN.

    Returns
    -------
    DataFrame
        (rows, n): one row per observation, labelled as the data's, and columns ``sim_1``, ...

    Raises
    ------
    DesignError
        If `newdata` lacks a column, or with ``re="conditional"`` has a level of a grouping factor
        that was not fitted.
    TypeError, ValueError
        If `re` or `n` or the seed are not valid.
    MemoryError
        If the responses need more memory than there is, or than `Control` allows.
    """
    n = check_count(n, "n")
    if not is_word(re, ("new", "conditional")):
        raise ValueError(f"re must be 'new' or 'conditional', not {re!r}")
    seed = seed_or_new(seed)
    if newdata is None:
        check_draws(model, n, model.nobs)
        draws = simulator(model, re).draw(seed, 0, n)
        return pd.DataFrame(draws, index=model.design.index, columns=_names(n))
    with np.errstate(invalid="ignore"):  # rows with infinite values have no response
        rows, distribution = _new_simulator(model, re, newdata)
        check_draws(model, n, len(rows.index))
        draws = distribution.draw(seed, 0, n)
    spread = np.column_stack([rows.spread(column) for column in draws.T])
    return pd.DataFrame(spread, index=rows.index, columns=_names(n))


def _names(n: int) -> list[str]:
    return [f"sim_{i + 1}" for i in range(n)]


def check_draws(model: FittedModel, n: int, rows: int) -> None:
    """Refuse to draw more responses than memory holds: normal numbers, responses, a copy.

    Raises
    ------
    MemoryError
        With the memory needed and allowed.
    """
    effects = sum(b.size for b in model._fit.b)
    what = f"{n:,} simulated responses of {rows:,} rows"
    check_memory(8 * n * (effects + 3 * rows), what, model.control.memory_limit)


def simulator(model: FittedModel, re: Literal["new", "conditional"] = "new") -> Simulator:
    """Return the distribution of the response in the rows of the fit."""
    design = model.design
    weights = np.ones(design.n) if design.weights is None else design.weights
    sd = model.sigma / np.sqrt(weights)
    if re == "conditional":
        return Simulator(model._mean, None, sd)
    mean = design.X[:, model._kept] @ model._fit.beta
    mean = mean if design.offset is None else mean + design.offset
    columns = [term.columns for term in design.random]
    codes = [factor.codes for factor in design.factors]
    return Simulator(mean, _root(model, columns, codes), sd)


def _root(
    model: FittedModel,
    columns: Sequence[tuple[FloatArray | None, ...]],
    codes: Sequence[NDArray[np.int32]],
) -> SparseArray:
    """Assemble sigma Z Lambda, of columns by term and codes by factor."""
    blocks = []
    for term, held, factor in zip(
        model.design.random, columns, model._relative_factors, strict=True
    ):
        levels = codes[term.factor]
        rows, k = len(levels), len(held)
        values = np.column_stack([np.ones(rows) if one is None else one for one in held])
        places = levels.astype(np.int64)[:, None] * k + np.arange(k)
        starts = np.arange(rows + 1) * k
        size = (int(levels.max(initial=-1)) + 1) * k
        product = model.sigma * values @ factor
        blocks.append(
            scipy.sparse.csr_array((product.ravel(), places.ravel(), starts), shape=(rows, size))
        )
    return scipy.sparse.csr_array(scipy.sparse.hstack(blocks, format="csr"))


def _new_simulator(model: FittedModel, re: str, newdata: Any) -> tuple[Rows, Simulator]:
    """Return the rows of new data and the distribution of their response."""
    rows = new_rows(model.design, newdata, [True] * len(model.design.random))
    mean = rows.X[:, model._kept] @ model._fit.beta
    mean = mean if rows.offset is None else mean + rows.offset
    sd = model.sigma / np.sqrt(_new_weights(model, newdata, rows))
    if re == "new":
        codes = [_with_unseen(model, j, newdata, rows) for j in range(len(rows.codes))]
        return rows, Simulator(mean, _root(model, rows.columns, codes), sd)
    for name, labels in rows.unseen.items():
        factor = next(factor for factor in model.design.factors if factor.name == name)
        text = in_another_type(name, labels, factor.levels)
        if text is not None:
            raise DesignError(text)
    if rows.unseen:
        levels = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in rows.unseen.items())
        raise DesignError(
            f"the model was not fitted to these levels, which have no random effects to keep "
            f"({levels}): use re='new'"
        )
    for term, held, modes in zip(model.design.random, rows.columns, model._fit.b, strict=True):
        effects = modes[rows.codes[term.factor]]
        for j, one in enumerate(held):
            mean = mean + (effects[:, j] if one is None else one * effects[:, j])
    return rows, Simulator(mean, None, sd)


def _new_weights(model: FittedModel, newdata: Any, rows: Rows) -> FloatArray:
    """Read the weights of new rows from the column they had in the fit."""
    if not model.design.is_weighted:
        return np.ones(len(rows.X))
    name, columns = model.labels.weights, Columns(newdata, "newdata")
    column = columns.peek(name) if name is not None and name in columns else None
    if not isinstance(column, NumericColumn):
        raise DesignError(
            "the model has weights, which are unknown for the new data: fit it with "
            "weights='column' and give the new data that column"
        )
    weights = column.values if rows.complete is None else column.values[rows.complete]
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise DesignError(f"the weights in column '{name}' must be finite and above zero")
    return weights


def _with_unseen(model: FittedModel, factor: int, newdata: Any, rows: Rows) -> NDArray[np.int32]:
    """Return codes of a grouping factor in which unfitted levels have codes of their own."""
    codes = rows.codes[factor]
    unseen = codes < 0
    if not unseen.any():
        return codes
    term = _first_term(model, factor)
    columns = Columns(newdata, "newdata")
    missing = [name for name in term.term.factors if name not in columns]
    if missing:
        raise NotImplementedError(
            f"new levels of '{missing[0]}', which the formula computes: compute it as a column "
            "of the data"
        )
    labels = np.zeros(len(rows.index), dtype=np.int64)
    for name in term.term.factors:
        part = columns.grouping(name).codes.astype(np.int64)
        labels = labels * (int(part.max()) + 1) + part
    labels = labels if rows.complete is None else labels[rows.complete]
    _, fresh = np.unique(labels[unseen], return_inverse=True)
    out = codes.copy()
    out[unseen] = model.design.factors[factor].n_levels + fresh
    return out


def _first_term(model: FittedModel, factor: int) -> RandomEffects:
    return next(term for term in model.design.random if term.factor == factor)
