"""Bootstrap of a fitted model: replicates of its parameters, their bias, errors and intervals."""

from __future__ import annotations

import html
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..base.arguments import check_count, check_flag, check_level, choice
from ..base.errors import DesignError
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.progress import track
from ..base.read_only import ReadOnly, cached_property
from ..base.threads import in_threads
from ..fit.fitting import fit_design
from ..fit.refits import check_fits, chunks, model_at, refit_columns, thread_count
from ..prediction.simulate import random_stream, seed_or_new, simulator
from .case_resampling import CaseScheme, highest_groups, without
from .parameters import parameters_of, parameters_of_refits, percent_names
from .resampling import BlockScheme, ResidualScheme, ResponseScheme, WildScheme
from .statistic import Statistic, in_order, named

if TYPE_CHECKING:
    from ..design.design import Design
    from ..fit.fitted_model import FittedModel

__all__ = ["Bootstrap", "bootstrap"]

FloatArray = NDArray[np.float64]
Kind = Literal["parametric", "residual", "case", "wild", "reb"]
IntervalKind = Literal["percentile", "basic", "normal", "bca"]
Numbers = Callable[[Any], list[float]]  # of a fitted model

_KINDS: tuple[Kind, ...] = ("parametric", "residual", "case", "wild", "reb")
INTERVALS: tuple[IntervalKind, ...] = ("percentile", "basic", "normal", "bca")


@dataclass(frozen=True, eq=False)
class Bootstrap(ReadOnly):
    """Replicates of a fitted model's parameters or of a statistic of it.

    Attributes
    ----------
    kind : str
        How the data were resampled.
    resample : str
        What was resampled, where the kind leaves a choice; else empty.
    seed : int
        The seed used: the same seed gives the same replicates.
    observed : Series
        (c,) parameters of the fit, or its statistic.
    replicates : DataFrame
        (n, c) one row per replicate; NaN where the fit failed or did not converge, and for a
        correlation with an effect whose standard deviation is estimated as zero.
    failures : DataFrame
        One row per replicate that is left out: ``replicate``, its row of `replicates`, and
        ``reason``.
    n_singular : int
        Replicates whose fit is on the boundary; they count.
    model : LinearMixedModel
        The fitted model.
    """

    kind: str
    resample: str
    seed: int
    observed: pd.Series[float]
    replicates: pd.DataFrame
    failures: pd.DataFrame
    n_singular: int
    model: FittedModel = field(repr=False)
    _statistic: Statistic | None = field(repr=False)  # None if it could not be pickled

    @property
    def n(self) -> int:
        """Number of replicates, failures included."""
        return len(self.replicates)

    @cached_property
    def bias(self) -> pd.Series[float]:
        """(c,) means of the replicates less the observed values."""
        return self.replicates.mean() - self.observed

    @cached_property
    def bse(self) -> pd.Series[float]:
        """(c,) standard deviations of the replicates: bootstrap standard errors."""
        return self.replicates.std()

    @explain_unknown_arguments
    def confint(self, interval: IntervalKind = "percentile", level: float = 0.95) -> pd.DataFrame:
        """Compute confidence intervals, (c, 2), columns named by percent.

        Parameters
        ----------
        interval : {"percentile", "basic", "normal", "bca"}
            ``percentile``: quantiles of the replicates. ``basic``: twice the observed value less
            the opposite quantiles. ``normal``: the observed value less the bias, plus or minus
            normal quantiles of the standard error. ``bca``: percentiles corrected for bias and
            acceleration; the acceleration is that of the jackknife, which leaves out in turn each
            group of the highest level, or each row where grouping factors are crossed.
        level : float
            Coverage.

        Raises
        ------
        ValueError
            If the interval is unknown or the level not between 0 and 1.

        References
        ----------
        Davison and Hinkley (1997). Bootstrap Methods and their Application, ch. 5.
        """
        interval = choice(interval, "interval", INTERVALS)
        check_level(level)
        ends = np.array([(1 - level) / 2, (1 + level) / 2])
        columns = [_interval(self, name, interval, ends) for name in self.observed.index]
        return pd.DataFrame(columns, index=self.observed.index, columns=percent_names(level))

    def __str__(self) -> str:
        """Return a table of observed values, bias and standard errors, with notes."""
        name = "random effect block" if self.kind == "reb" else self.kind
        how = f"{name.capitalize()} bootstrap" + (f" ({self.resample})" if self.resample else "")
        table = pd.DataFrame({"observed": self.observed, "bias": self.bias, "std. error": self.bse})
        lines = [
            f"{how} of `{self.model.formula}`",
            f"{_replicates(self.n)}, seed {self.seed}",
            table.to_string(float_format=lambda x: f"{x:.5g}"),
        ]
        if self.n_singular:
            lines.append(f"{_replicates(self.n_singular)} with a singular fit")
        for reason, count in self.failures["reason"].value_counts().items():
            lines.append(f"{_replicates(count)} left out: {reason}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    @cached_property
    def _acceleration(self) -> pd.Series[float]:
        """(c,) accelerations of BCa intervals, by the jackknife."""
        if self._statistic is None:
            raise ValueError(
                "BCa intervals need the statistic, which was left out when the bootstrap was "
                "pickled: define it with `def` in a module, or compute the intervals first"
            )
        values = pd.DataFrame(list(_jackknife(self.model, self._statistic)))
        left = values.mean() - values
        with np.errstate(divide="ignore", invalid="ignore"):
            acceleration = (left**3).sum() / (6 * (left**2).sum() ** 1.5)
        return acceleration.fillna(0.0)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out a statistic that cannot be pickled, such as a lambda."""
        state = dict(vars(self))
        try:
            pickle.dumps(self._statistic)
        except (pickle.PicklingError, AttributeError, TypeError):
            state["_statistic"] = None
        return state


def _replicates(count: int) -> str:
    return f"{count} replicate{'s' * (count != 1)}"


# ----------------------------------------------------------------------------------- intervals


def _interval(result: Bootstrap, name: str, kind: IntervalKind, ends: FloatArray) -> FloatArray:
    """Compute the ends of one interval."""
    values = result.replicates[name].dropna().to_numpy()
    observed = float(result.observed[name])
    if len(values) < 2:
        return np.full(2, np.nan)
    if kind == "normal":
        centre = observed - float(result.bias[name])
        return np.asarray(centre + ndtri(ends) * float(result.bse[name]))
    if kind == "basic":
        return np.asarray(2 * observed - np.quantile(values, ends[::-1]))
    if kind == "bca":
        below = (np.sum(values < observed) + 0.5 * np.sum(values == observed)) / len(values)
        z0 = ndtri(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values)))
        z = z0 + ndtri(ends)
        ends = ndtr(z0 + z / (1 - float(result._acceleration[name]) * z))
    return np.asarray(np.quantile(values, ends))


def _jackknife(model: FittedModel, statistic: Statistic) -> Iterator[Mapping[str, float]]:
    """Compute the statistic without each group of the highest level, or each row if crossed."""
    try:
        units = highest_groups(model.design)
    except DesignError:
        units = np.arange(model.nobs)
    for unit in track(range(int(units.max()) + 1), f"{model.formula}: jackknife"):
        fit = _fit_resampled(model, without(model.design, units == unit))
        if fit.converged:
            yield named(statistic(fit))


# ----------------------------------------------------------------------------------- bootstrap


def bootstrap(
    model: FittedModel,
    n: int = 1000,
    kind: Kind = "parametric",
    resample: Sequence[str] | str | None = None,
    seed: int | None = None,
    n_jobs: int | None = None,
    statistic: Statistic | None = None,
    progress: bool = True,
) -> Bootstrap:
    """Refit a model to resampled data.

    Replicate i depends on the seed and i alone, not on `n_jobs` or `n`. A fit that fails or does
    not converge leaves a row of NaN and is listed in `Bootstrap.failures`.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    n : int
        Number of replicates.
    kind : {"parametric", "residual", "case", "wild", "reb"}
        ``parametric``: responses drawn from the model. ``residual``: random effects and residuals
        drawn from the predicted ones, centred and reflated. ``case``: groups, or rows within
        them, drawn with replacement. ``wild``: the marginal residuals of each independent group
        times a random number. ``reb``: random effect block bootstrap, for one grouping factor.
    resample : str or sequence of str, optional
        For ``case`` the levels drawn: names of grouping factors, which must be nested, and
        ``"rows"``; the highest grouping factor if not given. For ``wild`` the correction of the
        residuals, ``"hc2"`` (if not given) or ``"hc3"``. For ``reb`` the type: ``"0"``, or ``"1"``
        (if not given), which scales effects and residuals to the estimated variances.
    seed : int, optional
        Where the random numbers start; a new one if not given.
    n_jobs : int, optional
        Threads; those of the model's `Control` if not given.
    statistic : callable, optional
        A function of the refitted `LinearMixedModel` that gives a number, mapping, Series or
        array, the same numbers for every fit; ``case`` calls it in several threads. By default all
        parameters: standard deviations and correlations of the random effects, sigma, fixed
        effects.
    progress : bool
        Whether to show a progress bar on a terminal or in a notebook.

    Raises
    ------
    DesignError
        If the grouping factors are crossed and the kind needs independent groups.
    TypeError, ValueError
        If an option is unknown, or the statistic does not give numbers, or not the same ones for
        every fit.
    MemoryError
        If the replicates need more memory than there is, or than `Control` allows.

    References
    ----------
    Loy and Korobova (2023). Bootstrapping clustered data in R using lmeresampler. R Journal 14(4);
    the papers of each kind stand with it in `crossnest.inference.resampling` and
    `crossnest.inference.case_resampling`.
    """
    check_flag(progress, "progress")
    kind = choice(kind, "kind", _KINDS)
    n = check_count(n, "n")
    check_fits(model, n, held=2)
    seed = seed_or_new(seed)
    observe = parameters_of if statistic is None else statistic
    observed = pd.Series(named(observe(model)), dtype=np.float64)
    names = list(observed.index)

    def in_same_order(fit: FittedModel) -> list[float]:
        return in_order(named(observe(fit)), names)

    if kind == "case":
        cases = CaseScheme.of(model.design, resample)
        levels = [*(model.design.factors[j].name for j in cases.order), "rows"]
        chosen = ", ".join(name for name in levels if name in cases.resampled)
        done = _case_replicates(model, cases, n, seed, n_jobs, in_same_order, progress)
    else:
        scheme, chosen = _response_scheme(model, kind, resample)
        statistic = None if statistic is None else in_same_order
        done = _response_replicates(model, scheme, n, seed, n_jobs, statistic, progress)
    return Bootstrap(
        kind=kind,
        resample=chosen,
        seed=seed,
        observed=observed,
        replicates=done.frame(names),
        failures=pd.DataFrame(done.failures, columns=["replicate", "reason"]),
        n_singular=done.n_singular,
        model=model,
        _statistic=observe,
    )


@dataclass
class _Replicates:
    """Replicates as they come: numbers (None if left out), what failed, how many are singular."""

    values: list[FloatArray | list[float] | None]
    failures: list[tuple[int, str]]
    n_singular: int = 0

    def frame(self, names: list[str]) -> pd.DataFrame:
        rows = np.full((len(self.values), len(names)), np.nan)
        for row, numbers in zip(rows, self.values, strict=True):
            if numbers is not None:
                row[:] = numbers
        return pd.DataFrame(rows, columns=names)


def _response_scheme(
    model: FittedModel, kind: Kind, resample: Sequence[str] | str | None
) -> tuple[ResponseScheme, str]:
    """Return the scheme that draws the responses of a kind, and the choice made for it."""
    if kind in ("parametric", "residual"):
        if resample is not None:
            raise ValueError(f"resample does not apply to kind {kind!r}")
        return (simulator(model) if kind == "parametric" else ResidualScheme(model)), ""
    choices = ("hc2", "hc3") if kind == "wild" else ("1", "0")
    chosen = choices[0] if resample is None else resample
    if chosen not in choices:
        known = " or ".join(map(repr, choices))
        raise ValueError(f"resample of kind {kind!r} must be {known}, not {resample!r}")
    if kind == "wild":
        correction = cast(Literal["hc2", "hc3"], chosen)
        return WildScheme(model, correction, highest_groups(model.design)), correction
    if len(model.design.factors) > 1:
        names = ", ".join(factor.name for factor in model.design.factors)
        raise DesignError(
            f"the random effect block bootstrap needs exactly one grouping factor, not {names}"
        )
    return BlockScheme(model, chosen == "1"), f"type {chosen}"


def _response_replicates(
    model: FittedModel,
    scheme: ResponseScheme,
    n: int,
    seed: int,
    n_jobs: int | None,
    statistic: Numbers | None,
    progress: bool,
) -> _Replicates:
    """Draw responses and fit them, a chunk at a time."""
    done = _Replicates([], [])
    theta = np.asarray(model._fit.theta)
    for at in track(chunks(model.nobs, n), f"{model.formula}: bootstrap", progress):
        Y = scheme.draw(seed, at.start, at.stop - at.start)
        fits = refit_columns(model, Y, n_jobs, theta)
        usable = fits.usable
        done.n_singular += int(np.sum(fits.status == "singular"))
        failed = np.flatnonzero(~usable)
        done.failures += [(at.start + int(i), str(fits.reason[i])) for i in failed]
        if statistic is None:
            done.values += list(
                np.where(usable[:, None], parameters_of_refits(model, fits), np.nan)
            )
            continue
        for i, theta_i in enumerate(fits.theta):
            fit = model_at(model, Y[:, i].copy(), theta_i) if usable[i] else None
            done.values.append(None if fit is None else statistic(fit))
    return done


def _case_replicates(
    model: FittedModel,
    cases: CaseScheme,
    n: int,
    seed: int,
    n_jobs: int | None,
    statistic: Numbers,
    progress: bool,
) -> _Replicates:
    """Draw designs and fit each, on several threads; the engine works without the GIL."""

    def replicate(i: int) -> tuple[list[float] | None, str, bool]:
        try:
            fit = _fit_resampled(model, cases.draw(random_stream(seed, i)))
        except DesignError as error:
            return None, str(error).rpartition("`: ")[2], False
        lost = [name for name in model.fixef.index if name not in fit.fixef.index]
        if lost:
            return None, f"fixed effects cannot be estimated: {', '.join(lost)}", False
        if not fit.converged:
            return None, "the optimizer stopped before the minimum", False
        return statistic(fit), "", fit.is_singular

    done = _Replicates([], [])
    results = in_threads(replicate, n, thread_count(model, n_jobs))
    steps = track(results, f"{model.formula}: bootstrap", progress, total=n)
    for i, (numbers, reason, singular) in enumerate(steps):
        done.values.append(numbers)
        done.n_singular += singular
        if reason:
            done.failures.append((i, reason))
    return done


def _fit_resampled(model: FittedModel, design: Design) -> FittedModel:
    """Fit a design of the same model, from the model's theta."""
    control = replace(model.control, threads=1)
    theta = np.asarray(model._fit.theta)
    fit = fit_design(type(model), design, model.reml, theta, control, model.labels)
    if fit.converged and not fit.is_singular:
        return fit
    again = fit_design(type(model), design, model.reml, None, control, model.labels, fit._engine)
    better = again.objective < fit.objective - 1e-9 or (again.converged and not fit.converged)
    return again if better else fit
