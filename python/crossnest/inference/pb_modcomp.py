"""Likelihood-ratio test of two models by parametric bootstrap."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from ..base.arguments import check_count, check_flag
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.progress import track
from ..base.read_only import frozen
from ..fit.fitted_model import FittedModel
from ..fit.least_squares import weighted_problem
from ..fit.refits import check_fits, chunks, refit_columns
from ..linear.linear_model import LinearModel
from ..prediction.simulate import Simulator, seed_or_new, simulator
from ..tables.tables_of_tests import TestTable
from .common_rows import check_same_data, on_common_rows
from .likelihood_ratio import ROUNDING, by_ml

__all__ = ["BootstrapTest", "pb_modcomp"]

FloatArray = NDArray[np.float64]


class BootstrapTest(TestTable):
    """A likelihood-ratio test whose reference distribution is simulated.

    A table that prints as pbkrtest's. Rows: ``LRT``, p by chi-squared; ``PBtest``, by the
    bootstrap; ``Bartlett``, t times df / mean(t*) by chi-squared; ``Gamma``, by the gamma
    distribution of mean and variance of t*. The moments are of the positive t*, as in pbkrtest.
    Columns: ``Chisq``, ``Df``, ``Pr(>Chisq)``.

    Attributes
    ----------
    statistic : float
        t, the difference of the deviances of the small and the large model.
    df : int
        Difference of their numbers of parameters.
    pvalue : float
        (1 + #{t* >= t}) / (1 + n_used).
    error : float
        Monte Carlo standard error of the p-value.
    reference : (n,) array
        t*, NaN where a fit failed.
    n_used : int
        Replicates that count; the fits of the others failed or did not converge.
    n_extreme : int
        #{t* >= t}.
    seed : int
        The seed used.
    large, small : str
        The formulas.
    """

    _metadata = [  # noqa: RUF012  (pandas reads it from the class)
        *TestTable._metadata,
        "statistic",
        "df",
        "pvalue",
        "error",
        "reference",
        "n_used",
        "n_extreme",
        "seed",
        "large",
        "small",
    ]
    statistic: float
    df: int
    pvalue: float
    error: float
    reference: FloatArray
    n_used: int
    n_extreme: int
    seed: int
    large: str
    small: str


@explain_unknown_arguments
def pb_modcomp(
    large: FittedModel,
    small: FittedModel | LinearModel,
    n: int = 1000,
    seed: int | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
    common_rows: bool = False,
) -> BootstrapTest:
    """Test a model against a larger one by the parametric bootstrap of the likelihood ratio.

    Responses are drawn from the small model, fitted by maximum likelihood, and both models are
    fitted to each. Models fitted by REML are fitted by maximum likelihood first.

    Parameters
    ----------
    large : LinearMixedModel
        The large model.
    small : LinearMixedModel or LinearModel
        A model of the same data nested in it; one fitted by `crossnest.lm` has no random effects.
    n : int
        Number of replicates.
    seed : int, optional
        Where the random numbers start; a new one if not given.
    n_jobs : int, optional
        Threads; those of the model's `Control` if not given.
    progress : bool
        Whether to show a progress bar on a terminal or in a notebook.
    common_rows : bool
        Whether to fit the models again to the rows that all of them have, where they were fitted
        to different ones because of missing values.

    Raises
    ------
    ValueError
        If the models were fitted to different data, the large one does not have more parameters or
        fits worse than the small one, which then does not lie within it, or `n` is not positive.
    TypeError
        If the large model is no linear mixed model, the small one no model, or `n` no whole number.

    References
    ----------
    Halekoh and Hojsgaard (2014). A Kenward-Roger approximation and parametric bootstrap methods for
    tests in linear mixed models: the R package pbkrtest. Journal of Statistical Software 59(9).
    """
    check_flag(progress, "progress")
    if not isinstance(large, FittedModel):
        raise TypeError(f"large must be a LinearMixedModel, not {type(large).__name__}")
    if not isinstance(small, FittedModel | LinearModel):
        raise TypeError(f"small must be a model fitted by lmer or lm, not {type(small).__name__}")
    check_flag(common_rows, "common_rows")
    if common_rows:
        large, small = _on_common_rows(large, small)
    check_same_data(large.design, small.design, "large", "small")
    df = large.npar - small.npar
    if df < 1:
        raise ValueError(
            f"the large model `{large.formula}` must have more parameters than the small one "
            f"`{small.formula}`: it has {large.npar}, the small one {small.npar}"
        )
    n = check_count(n, "n")
    check_fits(large, n)
    seed = seed_or_new(seed)
    large, small = by_ml(large), by_ml(small)
    deviances = [-2 * large.llf, -2 * small.llf]
    if deviances[1] < deviances[0] - ROUNDING:
        raise ValueError(
            f"the small model `{small.formula}` does not lie within the large one "
            f"`{large.formula}`: its deviance is lower, {deviances[1]:.6g} and not "
            f"{deviances[0]:.6g}"
        )
    observed = max(deviances[1] - deviances[0], 0.0)
    reference = _reference(large, small, n, seed, n_jobs, progress)
    used = reference[np.isfinite(reference)]
    # What rounding tells apart is a tie.
    extreme = int(np.sum(used >= observed - 1e-8))
    pvalue = (1 + extreme) / (1 + len(used))
    test = _table(observed, df, pvalue, used)
    test.statistic, test.df, test.pvalue = observed, df, pvalue
    test.error = float(np.sqrt(pvalue * (1 - pvalue) / max(len(used), 1)))
    test.reference, test.n_used, test.n_extreme = frozen(reference), len(used), extreme
    test.seed, test.large, test.small = seed, large.formula, small.formula
    test.heading = _heading(test)
    return test


def _on_common_rows(
    large: FittedModel, small: FittedModel | LinearModel
) -> tuple[FittedModel, FittedModel | LinearModel]:
    fitted = on_common_rows([large, small])
    assert isinstance(fitted[0], FittedModel)
    return fitted[0], fitted[1]


def _reference(
    large: FittedModel,
    small: FittedModel | LinearModel,
    n: int,
    seed: int,
    n_jobs: int | None,
    progress: bool,
) -> FloatArray:
    """Simulate the statistic under the small model, (n,); NaN where a fit failed."""
    source = simulator(small) if isinstance(small, FittedModel) else _linear_simulator(small)
    parts = []
    for at in track(chunks(small.nobs, n), "parametric bootstrap", progress):
        Y = source.draw(seed, at.start, at.stop - at.start)
        statistic = _deviances(small, Y, n_jobs) - _deviances(large, Y, n_jobs)
        parts.append(np.maximum(statistic, 0.0))
    return np.concatenate(parts)


def _deviances(model: FittedModel | LinearModel, Y: FloatArray, n_jobs: int | None) -> FloatArray:
    """Fit responses (n, R) by maximum likelihood: -2 logLik, (R,), NaN where a fit failed."""
    if isinstance(model, FittedModel):
        fits = refit_columns(model, Y, n_jobs, np.asarray(model._fit.theta))
        return np.where(fits.usable, fits.objective, np.nan)
    X, _ = weighted_problem(model.design)
    Q = np.linalg.qr(X[:, model._fit.kept])[0]
    offset, weights = model.design.offset, model.design.weights
    Y = Y if offset is None else Y - offset[:, None]
    Y = Y if weights is None else Y * np.sqrt(weights)[:, None]
    squares = np.sum((Y - Q @ (Q.T @ Y)) ** 2, axis=0)
    deviances = -2 * model.llf + model.nobs * np.log(squares / model.ssr)
    return np.asarray(deviances, dtype=np.float64)


def _linear_simulator(model: LinearModel) -> Simulator:
    """Return the distribution of the response of a linear model, sigma by maximum likelihood."""
    weights = np.ones(model.nobs) if model.design.weights is None else model.design.weights
    sd = np.sqrt(model.ssr / model.nobs / weights)
    return Simulator(np.asarray(model._mean), None, sd)


def _table(t: float, df: int, pvalue: float, used: FloatArray) -> BootstrapTest:
    """Put the tests side by side."""
    positive = used[used > 0]
    mean, variance = (positive.mean(), positive.var(ddof=1)) if len(positive) > 1 else (np.nan,) * 2
    bartlett = t * df / mean
    rows = {
        "LRT": (t, df, scipy.special.chdtrc(df, t)),
        "PBtest": (t, np.nan, pvalue),
        "Bartlett": (bartlett, df, scipy.special.chdtrc(df, bartlett)),
        "Gamma": (t, np.nan, scipy.special.gammaincc(mean**2 / variance, t * mean / variance)),
    }
    columns = ["Chisq", "Df", "Pr(>Chisq)"]
    return BootstrapTest(list(rows.values()), index=list(rows), columns=columns)


def _heading(test: BootstrapTest) -> str:
    n = len(test.reference)
    left_out = f"; {n - test.n_used} left out, their fits failed" if test.n_used < n else ""
    return (
        f"Parametric bootstrap test; samples: {n}; extremes: {test.n_extreme}{left_out}\n"
        f"large: {test.large}\nsmall: {test.small}\n"
        f"Monte Carlo standard error of the p-value: {test.error:.2g}\n"
    )
