"""The fitted linear mixed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse
from numpy.typing import ArrayLike, NDArray

from ..base.arguments import check_flag, is_word
from ..base.foreign_arguments import explain_unknown_arguments
from ..base.read_only import ReadOnly, cached_property, frozen
from ..base.rows import no_data
from ..design.design import Design
from ..design.sparse_z import sparse_z
from .control import Control
from .convergence import Convergence, check_convergence
from .engine import Engine
from .fit import AnyFit, Fit
from .identifiability import Confounded, confounded_terms
from .known import Known
from .labels import Labels
from .residuals import residual_quantiles
from .theta import check_theta, relative_factors, theta_bounds, theta_names
from .var_corr import VarCorr

if TYPE_CHECKING:
    from .. import _core
    from .._core import Problem

FloatArray = NDArray[np.float64]
#: Below this 1 - h has no correct digit, h the leverage of a row.
_UNDETERMINED = 1e-10
ResidualKind = Literal["response", "pearson", "scaled", "standardized", "marginal"]


@dataclass(frozen=True, eq=False)
class Optimization(ReadOnly):
    """How the optimum was found.

    Attributes
    ----------
    start : Series
        theta the optimizer started from.
    evaluations, gradient_evaluations : int
        How often the criterion and its gradient were evaluated.
    seconds : float
        Time of the optimization, without that of forming cross-products.
    predicted_decrease : float
        Decrease of the criterion that one more Newton step would bring, 1/2 g'H^-1 g: the verdict
        on convergence, free of the data's scale.
    converged : bool or None
        Whether it is as small as asked for; None where nothing was optimized.
    message : str
        Why the optimizer stopped.
    """

    start: pd.Series[float]
    evaluations: int
    gradient_evaluations: int
    seconds: float
    predicted_decrease: float
    converged: bool | None
    message: str


@dataclass(frozen=True, eq=False, repr=False)
class FittedModel(ReadOnly):
    """What is known about a fitted linear mixed model: the record that every verb takes.

    `crossnest.LinearMixedModel` is this with the verbs as methods.

    y = X beta + Z b + offset + e with b ~ N(0, sigma^2 Lambda Lambda') and
    e ~ N(0, sigma^2 W^-1), Lambda = Lambda(theta). What is asked for is computed when it is first
    asked for. n observations, p fixed effects, q random effects.

    Attributes
    ----------
    design : Design
        Response, model matrices and grouping factors the model was fitted to.
    control : Control
        Options of the fit.
    labels : Labels
        Names printed in the summary.

    References
    ----------
    Bates, Maechler, Bolker and Walker (2015). Fitting linear mixed-effects models using lme4.
    Journal of Statistical Software 67(1).
    """

    design: Design
    control: Control
    labels: Labels
    _live_engine: Engine | None  # None where the rows are gone
    _fit: AnyFit
    _kept: NDArray[np.intp]  # columns of X that are not aliased
    _known: Known | None = None  # what a file kept of the fit, in the place of the engine

    # ------------------------------------------------------------------ the criterion

    @property
    def formula(self) -> str:
        """The formula as given."""
        return self.design.formula.text

    @property
    def nobs(self) -> int:
        """Number of observations, n."""
        return self.design.n

    @property
    def reml(self) -> bool:
        """Whether the REML criterion was minimised, and not the deviance."""
        return bool(self._fit.reml)

    @property
    def objective(self) -> float:
        """REML criterion, or the deviance for a fit by maximum likelihood."""
        return float(self._fit.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood, restricted if the fit is by REML."""
        return -self.objective / 2

    @property
    def npar(self) -> int:
        """Number of parameters: fixed effects, theta and sigma."""
        return len(self._fit.beta) + len(self._fit.theta) + 1

    @property
    def df_resid(self) -> int:
        """Observations minus parameters."""
        return self.nobs - self.npar

    @property
    def aic(self) -> float:
        """Akaike's information criterion, -2 llf + 2 npar."""
        return self.objective + 2 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's information criterion, -2 llf + npar log(nobs)."""
        return self.objective + float(np.log(self.nobs)) * self.npar

    def objective_at(self, theta: ArrayLike, reml: bool | None = None) -> float:
        """Evaluate the criterion at any theta, everything else profiled out.

        Parameters
        ----------
        theta : array_like
            (n_theta,) covariance parameters, in the order of `theta`.
        reml : bool, optional
            REML criterion or deviance; as the model was fitted if not given.
        """
        check_flag(reml, "reml", optional=True)
        problem = self._problem
        return problem.objective(self._checked(theta, problem), self._criterion(reml))

    def gradient_at(self, theta: ArrayLike, reml: bool | None = None) -> pd.Series[float]:
        """Evaluate the exact gradient of `objective_at` with respect to theta."""
        check_flag(reml, "reml", optional=True)
        problem = self._problem
        _, gradient = problem.gradient(self._checked(theta, problem), self._criterion(reml))
        return pd.Series(gradient, index=self._theta_names)

    def evaluate(self, theta: ArrayLike) -> Self:
        """Evaluate the model at covariance parameters of your choice, without optimizing."""
        if self._known is not None and np.array_equal(theta, self._fit.theta):
            return replace(self, _fit=Fit.without_verdict(self._fit))
        problem = self._problem
        fit = problem.estimates(self._checked(theta, problem), self.reml)
        return replace(self, _fit=Fit.without_verdict(fit))

    # ------------------------------------------------------------------ covariance parameters

    @cached_property
    def theta(self) -> pd.Series[float]:
        """Covariance parameters: lower triangles of the relative covariance factors.

        Of terms with a covariance structure of their own, such as ``cs(x | g)``: standard
        deviations relative to `sigma`, and correlations.
        """
        return pd.Series(self._fit.theta, index=self._theta_names, name="theta")

    @property
    def sigma(self) -> float:
        """Residual standard deviation (of an observation of weight 1)."""
        return float(self._fit.sigma)

    @cached_property
    def var_corr(self) -> VarCorr:
        """Variances, standard deviations and correlations of the random effects."""
        terms = self.design.random
        return VarCorr.from_factors(
            [self.design.factors[term.factor].name for term in terms],
            [term.names for term in terms],
            self._relative_factors,
            [term.term.covariance for term in terms],
            self.sigma,
        )

    @property
    def is_singular(self) -> bool:
        """Whether the covariance matrix of a random-effects term is on its boundary."""
        return any(self._fit.singular)

    # ------------------------------------------------------------------ fixed effects

    @cached_property
    def fixef(self) -> pd.Series[float]:
        """Fixed-effects estimates, (p,); aliased ones left out."""
        return pd.Series(self._fit.beta, index=list(self._coef_names))

    @property
    def params(self) -> pd.Series[float]:
        """Fixed-effects estimates: `fixef` by its name in statsmodels."""
        return self.fixef.copy()  # packages that take it for statsmodels' name its index

    @cached_property
    def vcov(self) -> pd.DataFrame:
        """Covariance matrix of the fixed-effects estimates, (p, p): sigma^2 (RX'RX)^-1."""
        names = list(self._coef_names)
        return pd.DataFrame(self._covariance, index=names, columns=names)

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, by its name in statsmodels."""
        return self.vcov

    @cached_property
    def bse(self) -> pd.Series[float]:
        """Standard errors of the fixed effects."""
        return pd.Series(np.sqrt(np.diag(self._covariance)), index=list(self._coef_names))

    @cached_property
    def tvalues(self) -> pd.Series[float]:
        """Estimates divided by their standard errors."""
        return self.fixef / self.bse

    @property
    def dropped(self) -> tuple[str, ...]:
        """Aliased columns of the fixed effects, which were left out of the fit."""
        names = self.design.x_names
        if len(self._kept) == len(names):
            return ()
        kept = set(self._coef_names)
        return tuple(name for name in names if name not in kept)

    # ------------------------------------------------------------------ random effects

    @property
    def n_levels(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {factor.name: factor.n_levels for factor in self.design.factors}

    def ranef(self, cond_var: bool = False) -> dict[str, pd.DataFrame] | pd.DataFrame:
        """Return the conditional modes of the random effects.

        Parameters
        ----------
        cond_var : bool
            Whether to give conditional standard deviations too, in long form.

        Returns
        -------
        dict of DataFrame, or DataFrame
            For each grouping factor one row per level and one column per effect; terms on the same
            factor stand side by side. With `cond_var` one data frame with a row for each effect
            of each level: ``grpvar``, ``term``, ``grp`` (the level), ``condval``, ``condsd``.
        """
        check_flag(cond_var, "cond_var")
        if cond_var:
            return pd.concat(self._long_ranef(), ignore_index=True)
        return {
            factor.name: self._factor_frame(position, self._fit.b)
            for position, factor in enumerate(self.design.factors)
        }

    def cond_var(self) -> dict[str, FloatArray]:
        """Return the conditional covariance matrices of the random effects given the response.

        Returns
        -------
        dict of (J, k, k) array
            One for each term, named as in `var_corr`; theta and sigma are taken as known.
        """
        return dict(zip(self.var_corr, self._conditional_covariances, strict=True))

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return the coefficients of each group: fixed effects plus its random effects.

        Effects that are random only count as fixed effects of zero, and stand first.
        """
        result = {}
        modes = [self._factor_frame(j, self._fit.b) for j in range(len(self.design.factors))]
        columns = list(dict.fromkeys(name for frame in modes for name in frame.columns))
        random_only = [name for name in columns if name not in self.fixef.index]
        fixed = pd.concat([pd.Series(0.0, index=random_only), self.fixef])
        for frame in modes:
            values = np.tile(fixed.to_numpy(), (len(frame), 1))
            for j, name in enumerate(frame.columns):
                values[:, fixed.index.get_loc(name)] += frame.iloc[:, j].to_numpy()
            result[str(frame.index.name)] = pd.DataFrame(
                values, index=frame.index, columns=list(fixed.index)
            )
        return result

    # ------------------------------------------------------------------ observations

    @cached_property
    def fittedvalues(self) -> pd.Series[float]:
        """X beta + Z b + offset, labelled by the data's row index."""
        return pd.Series(self._mean, index=self.design.index)

    @cached_property
    def resid(self) -> pd.Series[float]:
        """Response minus fitted values, labelled by the data's row index."""
        return self.residuals("response")

    @explain_unknown_arguments
    def residuals(self, kind: ResidualKind = "response") -> pd.Series[float]:
        """Return the residuals.

        Parameters
        ----------
        kind : {"response", "pearson", "scaled", "standardized", "marginal"}
            Response minus fitted values; these times the square root of the weights; the latter
            divided by sigma; these divided by sqrt(1 - h), h the leverages, which gives them
            variance 1 (NaN where h is 1); and the response minus X beta and offset, random effects
            left in.
        """
        if not is_word(kind, get_args(ResidualKind)):
            kinds = ", ".join(map(repr, get_args(ResidualKind)))
            raise ValueError(f"kind must be one of {kinds}, not {kind!r}")
        if kind == "marginal":
            residuals = self.design.y - self._population_mean
        elif kind == "standardized":
            left = 1 - self.leverages().to_numpy()
            residuals = self._residuals("scaled") / np.sqrt(np.where(left > 0, left, np.nan))
        else:
            residuals = self._residuals(kind)
        return pd.Series(residuals, index=self.design.index)

    def leverages(self) -> pd.Series[float]:
        """Return the diagonal of the hat matrix, which maps the response to the fitted values.

        theta is taken as known. Where a row alone determines a fixed effect it is 1, exactly.
        """
        fit = self._live_fit
        leverages = fit.leverages()
        leverages[leverages > 1 - _UNDETERMINED] = 1.0
        return pd.Series(leverages, index=self.design.index)

    def model_matrix(
        self, effects: Literal["fixed", "random"] = "fixed"
    ) -> pd.DataFrame | scipy.sparse.csr_array[Any, tuple[int, int]]:
        """Return X (n, p) as a data frame, or Z (n, q) as a sparse matrix.

        Columns of Z stand term by term (in the order of `var_corr`), level by level, effect by
        effect; aliased columns of X are left out.
        """
        if is_word(effects, ["fixed"]):
            names = list(self._coef_names)
            X = self.design.X[:, self._kept]
            return pd.DataFrame(X, index=self.design.index, columns=names)
        if is_word(effects, ["random"]):
            return sparse_z(self.design)
        raise ValueError(f"effects must be 'fixed' or 'random', not {effects!r}")

    # ------------------------------------------------------------------ the fit

    @cached_property
    def confounded(self) -> tuple[Confounded, ...]:
        """What the data do not determine: terms that cannot be told apart; usually empty."""
        return confounded_terms(self)

    @property
    def converged(self) -> bool | None:
        """Whether the optimizer reached a minimum; None where nothing was optimized."""
        verdict = self._fit.converged
        return None if verdict is None else bool(verdict)

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on convergence, with gradient, Hessian and multipliers at the estimates."""
        problem = self._problem
        return check_convergence(problem, self._fit, self.design, self._theta_names)

    @cached_property
    def opt(self) -> Optimization:
        """How the optimum was found."""
        fit = self._fit
        return Optimization(
            start=pd.Series(fit.start, index=self._theta_names, name="start"),
            evaluations=int(fit.evaluations),
            gradient_evaluations=int(fit.gradient_evaluations),
            seconds=float(fit.seconds),
            predicted_decrease=float(fit.predicted_decrease),
            converged=self.converged,
            message=str(fit.message),
        )

    @cached_property
    def structure(self) -> pd.DataFrame:
        """The blocks the random effects are factored in: one row per block.

        ``groups`` are its grouping factors, ``kind`` is ``block-diagonal``, ``dense`` or
        ``sparse``, ``size`` its rows, ``block`` the size of its diagonal blocks, ``nonzeros`` the
        numbers stored and ``bytes`` their memory.
        """
        names = [factor.name for factor in self.design.factors]
        known = self._known
        blocks = self._problem.model.structure if known is None else known.structure
        rows = [
            {"groups": ", ".join(names[j] for j in block["factors"])}
            | {key: block[key] for key in ("kind", "size", "block", "nonzeros", "bytes")}
            for block in blocks
        ]
        return pd.DataFrame(rows)

    def __getstate__(self) -> dict[str, Any]:
        """Copy the results out of the engine; leave out what can be computed again."""
        state = {item.name: getattr(self, item.name) for item in fields(self)}
        fit = self._fit
        return state | {"_fit": fit if isinstance(fit, Fit) else Fit.of(fit)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields."""
        self.__dict__.update(state)

    # ------------------------------------------------------------------ numbers behind them

    @property
    def _engine(self) -> Engine:
        if self._live_engine is None:
            raise no_data("the model matrices and the response")
        return self._live_engine

    @property
    def _problem(self) -> Problem:
        """The engine's problem with this model's response."""
        return self._engine.problem(self.design.y)

    def _checked(self, theta: ArrayLike, problem: Problem) -> FloatArray:
        return check_theta(theta, self._theta_names, theta_bounds(self.design))

    def _criterion(self, reml: bool | None) -> bool:
        return self.reml if reml is None else bool(reml) and len(self._fit.beta) > 0

    @cached_property
    def _theta_names(self) -> list[str]:
        return theta_names(self.design)

    @cached_property
    def _coef_names(self) -> tuple[str, ...]:
        names = self.design.x_names
        return tuple(names[j] for j in self._kept)

    @cached_property
    def _covariance(self) -> FloatArray:
        RX = self._fit.RX
        if RX.size == 0:
            return np.zeros((0, 0))
        inverse = scipy.linalg.solve_triangular(RX, np.eye(len(RX)))
        return np.asarray(self.sigma**2 * inverse @ inverse.T, dtype=np.float64)

    @cached_property
    def _relative_factors(self) -> list[FloatArray]:
        """lambda_t (k, k) of each term."""
        return relative_factors(self.design, self._fit.theta)

    @property
    def _mean(self) -> FloatArray:
        offset = self.design.offset
        return self._fit.fitted if offset is None else self._fit.fitted + offset

    @property
    def _population_mean(self) -> FloatArray:
        """X beta + offset, (n,)."""
        mean: FloatArray = self.design.X[:, self._kept] @ self._fit.beta
        return mean if self.design.offset is None else mean + self.design.offset

    def _residuals(self, kind: Literal["response", "pearson", "scaled"]) -> FloatArray:
        residuals = self.design.y - self._mean
        weights = self.design.weights
        if kind != "response" and weights is not None:
            residuals = residuals * np.sqrt(weights)
        return residuals / self.sigma if kind == "scaled" else residuals

    @cached_property
    def _scaled_quantiles(self) -> FloatArray:
        if self._known is not None:
            return self._known.quantiles
        return residual_quantiles(self._residuals("scaled"))

    @property
    def _live_fit(self) -> _core.Fit:
        """The engine's own results, made again after pickling."""
        fit = self._fit
        if isinstance(fit, Fit):
            return self._problem.estimates(fit.theta, self.reml)
        return fit

    @cached_property
    def _conditional_covariances(self) -> list[FloatArray]:
        known = self._known
        found = self._live_fit.cond_var() if known is None else known.conditional
        return [frozen(covariances) for covariances in found]

    def _curvature(self) -> Mapping[str, Any]:
        """Return what Satterthwaite's method needs of the engine."""
        if self._known is not None:
            return self._known.pieces("satterthwaite")
        return self._problem.curvature(self._fit.theta, self.reml)

    def _information(self) -> Mapping[str, Any]:
        """Return what Kenward and Roger's method needs of the engine."""
        if self._known is not None:
            return self._known.pieces("kenward-roger")
        return self._problem.information(self._fit.theta, self.reml)

    def _terms_of(self, factor: int) -> list[int]:
        return [t for t, term in enumerate(self.design.random) if term.factor == factor]

    def _factor_frame(self, factor: int, by_term: Sequence[FloatArray]) -> pd.DataFrame:
        """Put arrays (J, k) of the terms on one grouping factor side by side."""
        terms = self._terms_of(factor)
        grouping = self.design.factors[factor]
        return pd.DataFrame(
            np.hstack([by_term[t] for t in terms]),
            index=grouping.levels.rename(grouping.name),
            columns=[name for t in terms for name in self.design.random[t].names],
        )

    def _long_ranef(self) -> list[pd.DataFrame]:
        """Return one long data frame of modes and their standard deviations per grouping factor."""
        variances = [np.diagonal(c, axis1=1, axis2=2) for c in self._conditional_covariances]
        frames = []
        for j, factor in enumerate(self.design.factors):
            modes, errors = self._factor_frame(j, self._fit.b), self._factor_frame(j, variances)
            count = modes.shape[1]
            columns = {
                "grpvar": factor.name,
                "term": np.repeat(modes.columns, len(modes)),
                "grp": modes.index[np.tile(np.arange(len(modes)), count)],
                "condval": modes.to_numpy().ravel(order="F"),
                "condsd": np.sqrt(errors.to_numpy().ravel(order="F")),
            }
            frames.append(pd.DataFrame(columns))
        return frames
