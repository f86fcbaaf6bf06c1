"""Simulated quantile residuals and their tests, as in R's DHARMa package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from ..base.arguments import check_count, is_word
from ..base.read_only import ReadOnly
from ..prediction.simulate import check_draws, seed_or_new, simulator

if TYPE_CHECKING:
    from ..fit.fitted_model import FittedModel

__all__ = ["QuantileResiduals", "SimulationTest", "quantile_residuals"]

FloatArray = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True, repr=False)
class SimulationTest:
    """A test of a model by responses simulated from it; it prints as two lines.

    Attributes
    ----------
    method : str
        What is tested.
    statistic : float
        The test statistic.
    statistic_name : str
        What it is called.
    pvalue : float
        The p-value.
    alternative : str
        ``"two-sided"``, ``"greater"`` or ``"less"``.
    """

    method: str
    statistic: float
    statistic_name: str
    pvalue: float
    alternative: Alternative

    def __str__(self) -> str:
        """Return the test in two lines."""
        p = "p-value < 2.2e-16" if self.pvalue < 2.2e-16 else f"p-value = {self.pvalue:.4g}"
        values = f"{self.statistic_name} = {self.statistic:.5g}, {p}"
        return f"{self.method}\n{values} ({self.alternative})"

    __repr__ = __str__


@dataclass(frozen=True, eq=False, repr=False)
class QuantileResiduals(ReadOnly):
    """Quantiles of the observed responses among simulated ones; uniform if the model is right.

    Attributes
    ----------
    residuals : Series
        (n,) share of simulated responses of a row below the observed one, 0 to 1; where some equal
        it, a random number between the shares below and not above.
    observed : (n,) array
        The responses.
    fitted : (n,) array
        Means without random effects, X beta + offset.
    simulated : (n, n_simulations) array
        The simulated responses.
    seed : int
        Seed of the simulations.
    re : {"new", "conditional"}
        Whether random effects were drawn anew or kept.
    """

    residuals: pd.Series[float]
    observed: FloatArray
    fitted: FloatArray
    simulated: FloatArray
    seed: int
    re: Literal["new", "conditional"]

    @property
    def n_simulations(self) -> int:
        """Number of simulated responses."""
        return int(self.simulated.shape[1])

    def uniformity(self, alternative: Alternative = "two-sided") -> SimulationTest:
        """Test that the residuals are uniform: Kolmogorov and Smirnov's test, asymptotic p-value.

        The test takes residuals as independent, which those of rows that share a random effect are
        not where effects are drawn anew.
        """
        _check_alternative(alternative)
        test = scipy.stats.kstest(
            self.residuals, "uniform", alternative=alternative, method="asymp"
        )
        method = "Kolmogorov-Smirnov test of the uniformity of quantile residuals"
        return SimulationTest(method, float(test.statistic), "D", float(test.pvalue), alternative)

    def dispersion(self, alternative: Alternative = "two-sided") -> SimulationTest:
        """Test whether responses vary about the fixed effects as much as simulated ones.

        The statistic is their variance over the mean variance of simulated responses. The p-value
        is its rank among the latter, itself counted (Davison and Hinkley, 1997, equation 4.11):
        at least 1 / (n_simulations + 1), where DHARMa has zero.
        """
        _check_alternative(alternative)
        observed = float(np.var(self.observed - self.fitted, ddof=1))
        simulated = np.var(self.simulated - self.fitted[:, None], axis=0, ddof=1)
        below, above = (
            float(1 + np.sum(extreme)) / (self.n_simulations + 1)
            for extreme in (simulated <= observed, simulated >= observed)
        )
        both = min(2 * min(below, above), 1.0)
        pvalue = {"two-sided": both, "less": below, "greater": above}[alternative]
        ratio = observed / float(simulated.mean())
        method = "Simulation test of dispersion, observed over simulated variance"
        return SimulationTest(method, ratio, "dispersion", pvalue, alternative)

    def outliers(self, alternative: Alternative = "two-sided") -> SimulationTest:
        """Test whether more, or fewer, responses than expected lie outside all simulated ones.

        The statistic is their number. A response does so with probability 2 / (n_simulations + 1):
        an exact binomial test, rows taken as independent.
        """
        _check_alternative(alternative)
        edge = 1 / (self.n_simulations + 1)
        outside = (self.residuals < edge) | (self.residuals > 1 - edge)
        count = int(outside.sum())
        test = scipy.stats.binomtest(count, len(outside), 2 * edge, alternative)
        method = f"Binomial test of outliers ({len(outside) * 2 * edge:.3g} expected)"
        return SimulationTest(method, float(count), "outliers", float(test.pvalue), alternative)

    def __repr__(self) -> str:
        """Describe the simulation and the tests."""
        effects = "drawn anew" if self.re == "new" else "kept"
        head = (
            f"Quantile residuals of {len(self.residuals)} observations, {self.n_simulations} "
            f"simulations (seed {self.seed}), random effects {effects}"
        )
        tests = (self.uniformity(), self.dispersion(), self.outliers())
        return "\n\n".join([head, *map(str, tests)])


def quantile_residuals(
    model: FittedModel,
    n: int = 250,
    seed: int | None = None,
    re: Literal["new", "conditional"] = "new",
) -> QuantileResiduals:
    """Simulate responses from the model and find the quantiles of the observed ones among them.

    Parameters
    ----------
    model : LinearMixedModel
        The fitted model.
    n : int
        Number of simulations.
    seed : int, optional
        Where the random numbers start; a new one each time if not given.
    re : {"new", "conditional"}
        Draw new random effects, or keep the conditional modes of the fit. Kept, the residuals judge
        the distribution of the errors alone.

    Raises
    ------
    TypeError, ValueError
        If `n` or `re` or the seed are not valid.

    References
    ----------
    Hartig. DHARMa: residual diagnostics for hierarchical (multi-level / mixed) regression models.
    R package. Dunn and Smyth (1996). Randomized quantile residuals. Journal of Computational and
    Graphical Statistics 5, 236-244. Davison and Hinkley (1997). Bootstrap methods and their
    application. Cambridge University Press.
    """
    n = check_count(n, "n")
    if not is_word(re, ("new", "conditional")):
        raise ValueError(f"re must be 'new' or 'conditional', not {re!r}")
    seed = seed_or_new(seed)
    check_draws(model, n, model.nobs)
    simulated = simulator(model, re).draw(seed, 0, n)
    y = model.design.y
    uniform = np.random.default_rng([seed, 1]).uniform(size=len(y))
    residuals = randomized_quantiles(simulated, y, uniform)
    return QuantileResiduals(
        pd.Series(residuals, index=model.design.index, name="quantile"),
        y,
        model._population_mean,
        simulated,
        seed,
        re,
    )


def _check_alternative(alternative: str) -> None:
    if alternative not in get_args(Alternative):
        known = ", ".join(map(repr, get_args(Alternative)))
        raise ValueError(f"alternative must be one of {known}, not {alternative!r}")


def randomized_quantiles(
    simulated: FloatArray, observed: FloatArray, uniform: FloatArray
) -> FloatArray:
    """Compute the quantiles of (n,) values among simulated ones, (n, m), ties broken at random.

    Parameters
    ----------
    simulated : (n, m) array
        The simulated values.
    observed : (n,) array
        The values.
    uniform : (n,) array
        Uniform random numbers, 0 to 1.
    """
    below = np.mean(simulated < observed[:, None], axis=1)
    not_above = np.mean(simulated <= observed[:, None], axis=1)
    quantiles: FloatArray = below + uniform * (not_above - below)
    return quantiles
