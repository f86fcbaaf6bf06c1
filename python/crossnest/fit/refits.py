"""Fits of one model to many responses, in parallel, against one set of cross-products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .. import _core
from ..base.arguments import MOST_THREADS, check_count, check_flag
from ..base.errors import DesignError
from ..base.memory import check_memory
from ..base.progress import track
from ..base.read_only import ReadOnly
from ..base.values import numbers
from ..data.columns import in_order_of

if TYPE_CHECKING:
    from .fitted_model import FittedModel

__all__ = ["RefitMany", "check_fits", "chunks", "model_at", "refit_columns", "refit_many"]

FloatArray = NDArray[np.float64]

# Numbers of a chunk of responses: 32 MB. Fewest responses of a chunk, and most, so that a progress
# bar moves and Ctrl-C is heard in Python too.
_NUMBERS, _FEWEST, _MOST = 4_000_000, 64, 2000

#: Numbers that take as much memory as status and reason of a fit and what Python keeps of it.
_OVERHEAD = 16

#: The engine's verdicts in its order: status, and its message.
_VERDICTS = (
    ("ok", ""),
    ("singular", ""),
    ("not converged", "the optimizer stopped before the minimum"),
    ("failed", "the response has values that are missing or infinite"),
    ("failed", "the response is constant or fitted exactly by the fixed effects"),
    ("failed", "the criterion could not be computed at any trial theta"),
)


@dataclass(frozen=True, eq=False)
class RefitMany(ReadOnly):
    """Estimates of one model for R responses; NaN where there is no fit.

    Attributes
    ----------
    columns : Index
        (R,) labels of the responses.
    theta_names, coef_names : tuple of str
        Names of the m covariance parameters and p fixed effects.
    objective : (R,) array
        REML criteria, or deviances if the model was fitted by maximum likelihood.
    theta : (R, m) array
        Covariance parameters.
    fixef, bse : (R, p) array
        Fixed effects and their standard errors.
    sigma : (R,) array
        Residual standard deviations.
    status : (R,) array of str
        ``"ok"``; ``"singular"``: a fit on the boundary; ``"not converged"``: estimates are where
        the optimizer stopped; ``"failed"``: no fit.
    reason : (R,) array of object
        Why a fit did not converge or failed, as text; empty for the others.
    evaluations : (R,) array of int
        How often the criterion was evaluated.
    """

    columns: pd.Index
    theta_names: tuple[str, ...]
    coef_names: tuple[str, ...]
    objective: FloatArray
    theta: FloatArray
    fixef: FloatArray
    bse: FloatArray
    sigma: FloatArray
    status: NDArray[np.str_]
    reason: NDArray[np.object_]
    evaluations: NDArray[np.int32]

    def __len__(self) -> int:
        """Count the responses."""
        return len(self.objective)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(R,) which fits reached a minimum, inside or on the boundary."""
        usable: NDArray[np.bool_] = np.isin(self.status, ("ok", "singular"))
        return usable

    def to_frame(self) -> pd.DataFrame:
        """Return one row per response: objective, sigma, theta, fixed effects, errors, status."""
        columns: dict[str, Any] = {"objective": self.objective, "sigma": self.sigma}
        columns |= {f"theta_{name}": self.theta[:, j] for j, name in enumerate(self.theta_names)}
        columns |= dict(zip(self.coef_names, self.fixef.T, strict=True))
        columns |= {f"se_{name}": self.bse[:, j] for j, name in enumerate(self.coef_names)}
        return pd.DataFrame(columns | {"status": self.status}, index=self.columns)

    def __repr__(self) -> str:
        """Say how many responses were fitted and how the fits ended."""
        counts = pd.Series(self.status).value_counts()
        ends = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"{len(self)} responses fitted: {ends}" if len(self) else "no responses"


def refit_many(
    model: FittedModel,
    Y: ArrayLike | pd.DataFrame,
    n_jobs: int | None = None,
    progress: bool = True,
) -> RefitMany:
    """Fit the same model to many responses.

    Each fit is that of `LinearMixedModel.refit` to the tolerance of the optimizer, without the
    model object. It does not depend on the other responses or on `n_jobs`. A response that cannot
    be fitted has the status ``"failed"``; nothing is raised.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model; its formula, weights, offset and criterion are those of every fit.
    Y : (n, R) array_like or DataFrame
        One column per response, in the rows used, or in all rows of the data; the rows of a pandas
        DataFrame go by their labels.
    n_jobs : int, optional
        Threads; those of the model's `Control` if not given.
    progress : bool
        Whether to show a progress bar if it takes longer than a second on a terminal.

    Raises
    ------
    DesignError
        If Y is not numeric, has another number of rows, or labels other than the data's.
    TypeError, ValueError
        If `n_jobs` is not a whole number, or not positive.
    MemoryError
        If the results need more memory than there is, or than `Control` allows.
    """
    check_flag(progress, "progress")
    # Before a view of more than there is memory for is copied.
    shape: tuple[int, ...] = getattr(Y, "shape", ())
    if len(shape) == 2:
        check_fits(model, shape[1])
    responses = _responses(model, Y)
    check_fits(model, responses.shape[1])
    fits = refit_columns(model, responses, n_jobs, progress=progress)
    return replace(fits, columns=Y.columns) if isinstance(Y, pd.DataFrame) else fits


def check_fits(model: FittedModel, count: int, held: int = 1) -> None:
    """Refuse more fits than memory holds the results of.

    Parameters
    ----------
    model : LinearMixedModel
        The model.
    count : int
        Number of fits.
    held : int
        How often all parameters of a fit are held.

    Raises
    ------
    MemoryError
        With the memory needed and allowed.
    """
    numbers = model.npar + len(model._fit.beta) + 2 + _OVERHEAD
    needed = 8 * count * held * numbers
    check_memory(needed, f"the results of {count:,} fits", model.control.memory_limit)


def refit_columns(
    model: FittedModel,
    Y: FloatArray,
    n_jobs: int | None = None,
    start: FloatArray | None = None,
    progress: bool = False,
) -> RefitMany:
    """Fit the responses Y (n, R), in the rows used; `start` is a theta tried besides moments."""
    offset, threads = model.design.offset, thread_count(model, n_jobs)
    options = model.control.optimizer_options()
    parts: list[Mapping[str, NDArray[Any]]] = []
    problem = model._problem
    pieces = chunks(model.nobs, Y.shape[1]) or [slice(0)]
    for at in track(pieces, f"{model.formula}: fits", progress):
        part = np.asfortranarray(Y[:, at] if offset is None else Y[:, at] - offset[:, None])
        parts.append(
            cast(
                Mapping[str, NDArray[Any]],
                _core.refit_many(problem.model, part, model.reml, start, threads, options),
            )
        )
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    status, reason = zip(*_VERDICTS, strict=True)
    return RefitMany(
        columns=pd.RangeIndex(Y.shape[1]),
        theta_names=tuple(model._theta_names),
        coef_names=model._coef_names,
        objective=found["objective"],
        theta=found["theta"],
        fixef=found["beta"],
        bse=found["errors"],
        sigma=found["sigma"],
        status=np.array(status)[found["status"]],
        reason=np.array(reason, dtype=object)[found["status"]],
        evaluations=found["evaluations"],
    )


def chunks(rows: int, count: int) -> list[slice]:
    """Cut `count` responses of `rows` rows into chunks of bounded memory."""
    width = min(max(_NUMBERS // rows, _FEWEST), _MOST)
    return [slice(first, min(first + width, count)) for first in range(0, count, width)]


def model_at(model: FittedModel, y: FloatArray, theta: FloatArray) -> FittedModel:
    """Return the model of a response y, (n,), at the theta found for it."""
    design = replace(model.design, y=y)
    problem = model._engine.problem(y)
    return replace(model, design=design, _fit=problem.estimates(theta, model.reml))


def thread_count(model: FittedModel, n_jobs: int | None) -> int:
    """Check `n_jobs`; 0 stands for all cores."""
    if n_jobs is None:
        return model.control.threads or 0
    return check_count(n_jobs, "n_jobs", MOST_THREADS)


def _responses(model: FittedModel, Y: ArrayLike | pd.DataFrame) -> FloatArray:
    """Check responses given by the user: (n, R) float64 in the rows used."""
    design = model.design
    every_row = isinstance(Y, pd.Series | pd.DataFrame) and len(Y) == len(design.row_labels)
    Y = in_order_of(Y, design.row_labels if every_row else design.index, "the responses")
    values = numbers(Y, "the responses")
    if values.ndim != 2:
        raise DesignError(f"Y must have two dimensions, one column per response, not {values.ndim}")
    if design.kept is not None and len(values) == design.n_rows:
        values = values[design.kept]
    if len(values) != design.n:
        used, rows = design.n, design.n_rows
        expected = f"{used}" if used == rows else f"{used} (rows used) or {rows} (all rows)"
        raise DesignError(f"Y has {len(values)} rows, expected {expected}")
    return values
