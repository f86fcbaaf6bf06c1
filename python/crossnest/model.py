"""The fitted linear mixed model as users see it: the record, and every verb as a method.

Each method is a function of a module below, which is imported when it is first called: all of them
together would take half as long to import as the rest of the package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .base.arguments import check_flag, check_level
from .base.ddf_methods import check_ddf
from .base.foreign_arguments import explain_unknown_arguments
from .base.read_only import cached_property
from .design.design import Design
from .fit import criterion, random_effects
from .fit.control import Control
from .fit.convergence import check_convergence
from .fit.engine_results import factor_blocks
from .fit.fitted_model import FittedModel
from .fit.fitting import fit_design, refit, warn_about
from .fit.labels import Labels
from .fit.model_matrices import model_matrix
from .fit.residuals import leverages, residuals, scaled_quantiles
from .report.summary import Summary, summarize

if TYPE_CHECKING:
    import os

    import numpy as np
    import scipy.sparse
    from matplotlib.figure import Figure

    from .base.ddf_methods import Ddf
    from .diagnostics.goodness import Shares
    from .diagnostics.influence import Influence
    from .diagnostics.quantile_residuals import QuantileResiduals
    from .diagnostics.rand_pca import RandomEffectsPCA
    from .fit.convergence import Convergence
    from .fit.refits import RefitMany
    from .fit.residuals import ResidualKind
    from .inference.bootstrap import Bootstrap
    from .inference.emmeans import MarginalMeans
    from .inference.profile import Profile
    from .inference.selection import Step
    from .neighbours.maketables import RegressionTable
    from .plotting import ModelPlots
    from .prediction.predict import Interval, NewLevels
    from .report.tidying import Effects
    from .storage.model_files import Method as SavedDdf
    from .tables.tables_of_tests import TestTable


@dataclass(frozen=True, eq=False, repr=False)
class LinearMixedModel(FittedModel):
    """A fitted linear mixed model; `crossnest.lmer` makes it.

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

    @classmethod
    def from_design(
        cls,
        design: Design,
        reml: bool = True,
        start: ArrayLike | None = None,
        control: Control | None = None,
        labels: Labels | None = None,
    ) -> Self:
        """Fit a model to a design made by `crossnest.design.design.build_design`.

        Parameters and warnings are those of `crossnest.lmer`.
        """
        model = fit_design(cls, design, reml, start, control or Control(), labels or Labels())
        warn_about(model)
        return model

    @explain_unknown_arguments
    def refit(self, y: ArrayLike) -> Self:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array_like
            (n,) for the rows used, or one value for each row of the data; a Series goes by its
            labels.

        Raises
        ------
        DesignError
            If it has another length, or a value that is not finite.
        """
        model = refit(self, y)
        warn_about(model)
        return model

    @explain_unknown_arguments
    def summary(
        self,
        ddf: Ddf = "satterthwaite",
        correlation: bool | None = None,
    ) -> Summary:
        """Summarize the fit; printing the result gives the layout of lme4 and lmerTest.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", ...}
            Degrees of freedom of the tests of the fixed effects: by the method named (Kenward and
            Roger's with the expected information on the variance parameters, as in pbkrtest, or
            the observed one, as in SAS and JMP), observations minus fixed effects, infinite
            (``"normal"``: z-tests), or no tests (``"none"``: lme4's summary).
        correlation : bool, optional
            Whether to print the correlations of the fixed effects; up to 12 effects if not given.

        Warns
        -----
        InferenceWarning
            If the degrees of freedom are unavailable, and so NaN.
        """
        check_flag(correlation, "correlation", optional=True)
        ddf = check_ddf(ddf, none=True)
        return summarize(self, scaled_quantiles(self), correlation, ddf)

    def __repr__(self) -> str:
        """Show what lme4 prints for a fit."""
        return summarize(self).short_text

    def _repr_html_(self) -> str:
        return summarize(self)._repr_html_()

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on convergence, with gradient, Hessian and multipliers at the estimates."""
        return check_convergence(self)

    @cached_property
    def structure(self) -> pd.DataFrame:
        """The blocks the random effects are factored in: one row per block.

        ``groups`` are its grouping factors, ``kind`` is ``block-diagonal``, ``dense`` or
        ``sparse``, ``size`` its rows, ``block`` the size of its diagonal blocks, ``nonzeros`` the
        numbers stored and ``bytes`` their memory.
        """
        names = [factor.name for factor in self.design.factors]
        rows = [
            {"groups": ", ".join(names[j] for j in block["factors"])}
            | {key: block[key] for key in ("kind", "size", "block", "nonzeros", "bytes")}
            for block in factor_blocks(self)
        ]
        return pd.DataFrame(rows)

    def objective_at(self, theta: ArrayLike, reml: bool | None = None) -> float:
        """Evaluate the criterion at any theta, everything else profiled out.

        Parameters
        ----------
        theta : array_like
            (n_theta,) covariance parameters, in the order of `theta`.
        reml : bool, optional
            REML criterion or deviance; as the model was fitted if not given.
        """
        return criterion.objective_at(self, theta, reml)

    def gradient_at(self, theta: ArrayLike, reml: bool | None = None) -> pd.Series[float]:
        """Evaluate the exact gradient of `objective_at` with respect to theta."""
        return criterion.gradient_at(self, theta, reml)

    def evaluate(self, theta: ArrayLike) -> Self:
        """Evaluate the model at covariance parameters of your choice, without optimizing."""
        return criterion.evaluate(self, theta)

    def cov_params(self) -> pd.DataFrame:
        """Return `vcov`, by its name in statsmodels."""
        return self.vcov

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
        return random_effects.ranef(self, cond_var)

    def cond_var(self) -> dict[str, NDArray[np.float64]]:
        """Return the conditional covariance matrices of the random effects given the response.

        Returns
        -------
        dict of (J, k, k) array
            One for each term, named as in `var_corr`; theta and sigma are taken as known.
        """
        return random_effects.cond_var(self)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Return the coefficients of each group: fixed effects plus its random effects.

        Effects that are random only count as fixed effects of zero, and stand first.
        """
        return random_effects.coef(self)

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
        return residuals(self, kind)

    def leverages(self) -> pd.Series[float]:
        """Return the diagonal of the hat matrix, which maps the response to the fitted values.

        theta is taken as known. Where a row alone determines a fixed effect it is 1, exactly.
        """
        return leverages(self)

    def model_matrix(
        self, effects: Literal["fixed", "random"] = "fixed"
    ) -> pd.DataFrame | scipy.sparse.csr_array[Any, tuple[int, int]]:
        """Return X (n, p) as a data frame, or Z (n, q) as a sparse matrix.

        Columns of Z stand term by term (in the order of `var_corr`), level by level, effect by
        effect; aliased columns of X are left out.
        """
        return model_matrix(self, effects)

    @property
    def df(self) -> pd.Series[float]:
        """Satterthwaite's degrees of freedom of the fixed effects, (p,)."""
        from .inference.ddf import coefficient_tests

        return coefficient_tests(self, "satterthwaite")["df"]

    @property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values of the fixed effects with Satterthwaite's degrees of freedom, (p,)."""
        from .inference.ddf import coefficient_tests

        return coefficient_tests(self, "satterthwaite")["Pr(>|t|)"]

    @explain_unknown_arguments
    def contest(
        self,
        L: ArrayLike | Mapping[str, float] | pd.DataFrame | Sequence[str] | str,
        rhs: ArrayLike = 0.0,
        joint: bool = True,
        ddf: Ddf = "satterthwaite",
    ) -> TestTable:
        """Test linear hypotheses L beta = rhs on the fixed effects.

        Details: `crossnest.inference.contest.contest`.

        Parameters
        ----------
        L : str, sequence of str, mapping, DataFrame or array_like
            Hypotheses as texts, ``"recipe[T.B] - recipe[T.C] = 0"``; weights by name of
            coefficient; or weights in rows, (m, p) or (p,).
        rhs : array_like
            (m,) values of L beta, or one for all.
        joint : bool
            One F test of all hypotheses, or a t test of each.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
            Method of the denominator degrees of freedom; Kenward and Roger's as in pbkrtest, or
            with the observed information as in SAS and JMP.

        Returns
        -------
        TestTable
            A data frame that prints as lmerTest's.
        """
        from .inference.contest import contest

        return contest(self, L, rhs, joint, ddf)

    @explain_unknown_arguments
    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III"] = 3,
        ddf: Ddf = "satterthwaite",
    ) -> TestTable:
        """Test the terms of the fixed effects by F tests, as lmerTest does.

        Details: `crossnest.inference.anova_of_terms.anova_of_terms`. `crossnest.anova` compares
        models.

        Parameters
        ----------
        type : {3, 2, 1, "III", "II", "I"}
            Each term in a way free of cell counts; after all terms that do not contain it; after
            those before it.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
            Method of the denominator degrees of freedom; Kenward and Roger's as in pbkrtest, or
            with the observed information as in SAS and JMP.

        Returns
        -------
        TestTable
            One row per term: ``Sum Sq``, ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value`` and
            ``Pr(>F)``.
        """
        from .inference.anova_of_terms import anova_of_terms

        return anova_of_terms(self, type, ddf)

    def ranova(self, reduce_terms: bool = True) -> TestTable:
        """Test the random-effects terms by likelihood ratios, leaving out one at a time.

        Details: `crossnest.inference.term_deletion.ranova`.

        Parameters
        ----------
        reduce_terms : bool
            Whether a term with several effects loses one of them at a time, and not all at once.

        Returns
        -------
        TestTable
            One row per model: ``npar``, ``logLik``, ``AIC``, ``LRT``, ``Df``, ``Pr(>Chisq)``.
        """
        from .inference.term_deletion import ranova

        return ranova(self, reduce_terms)

    @explain_unknown_arguments
    def drop1(
        self,
        scope: Sequence[str] | None = None,
        test: Literal["chisq", "F"] = "chisq",
        ddf: Ddf = "satterthwaite",
    ) -> TestTable:
        """Test each fixed term that no other term contains by leaving it out.

        Details: `crossnest.inference.term_deletion.drop1`.

        Parameters
        ----------
        scope : sequence of str, optional
            The terms to test; all that may be left out if not given.
        test : {"chisq", "F"}
            Likelihood ratios of fits by maximum likelihood, or F tests in the model as it is.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
            Denominator degrees of freedom of the F tests.

        Returns
        -------
        TestTable
            One row per term.
        """
        from .inference.term_deletion import drop1

        return drop1(self, scope, test, ddf)

    @explain_unknown_arguments
    def step(
        self,
        ddf: Ddf = "satterthwaite",
        alpha_random: float = 0.1,
        alpha_fixed: float = 0.05,
        reduce_fixed: bool = True,
        reduce_random: bool = True,
        keep: Sequence[str] = (),
    ) -> Step:
        """Eliminate terms backward, random ones by `ranova`, then fixed ones by F tests.

        Details: `crossnest.inference.selection.step`.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", "normal"}
            Denominator degrees of freedom of the F tests.
        alpha_random, alpha_fixed : float
            p-values above which a random and a fixed term is left out.
        reduce_fixed, reduce_random : bool
            Whether fixed and random terms may be left out.
        keep : sequence of str
            Fixed terms that stay.

        Returns
        -------
        Step
            Tables ``random`` and ``fixed``, and the final ``model``.
        """
        from .inference.selection import step

        return step(self, ddf, alpha_random, alpha_fixed, reduce_fixed, reduce_random, keep)

    @explain_unknown_arguments
    def profile(
        self,
        parm: Sequence[str] | str | None = None,
        level: float = 0.99,
        progress: bool = True,
    ) -> Profile:
        """Profile the deviance: each parameter held at values in turn, all others estimated again.

        Details: `crossnest.inference.profile.profile`.

        Parameters
        ----------
        parm : str or sequence of str, optional
            Names of parameters, ``"theta_"`` (all of the covariance) or ``"beta_"`` (all fixed
            effects); all if not given.
        level : float
            Coverage up to which to profile.
        progress : bool
            Whether to show a progress bar on a terminal.

        Returns
        -------
        Profile
            ``zeta`` and ``confint()``; `plot.profile` draws it.
        """
        from .inference.profile import profile

        return profile(self, parm, level, progress)

    @explain_unknown_arguments
    def confint(
        self,
        method: Literal[
            "profile",
            "wald",
            "bootstrap",
            "satterthwaite",
            "kenward-roger",
            "kenward-roger-observed",
        ] = "profile",
        level: float = 0.95,
        parm: Sequence[str] | str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Compute confidence intervals of the parameters.

        Details: `crossnest.inference.confint.confint`.

        Parameters
        ----------
        method : {"profile", "wald", "bootstrap", "satterthwaite", "kenward-roger", ...}
            Also ``"kenward-roger-observed"``. Only ``profile`` and ``bootstrap`` have intervals for
            the covariance parameters.
        level : float
            Coverage.
        parm : str or sequence of str, optional
            Names of parameters, ``"theta_"`` (all of the covariance) or ``"beta_"`` (all fixed
            effects); all if not given.
        **options
            ``progress`` for ``profile``; for ``bootstrap`` the kind of ``interval``, and the
            arguments of `bootstrap`.

        Returns
        -------
        DataFrame
            One row per parameter, two columns named by percent.
        """
        from .inference.confint import confint

        return confint(self, method, level, parm, **options)

    @explain_unknown_arguments
    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Compute Satterthwaite intervals of the fixed effects, by the name in statsmodels.

        Parameters
        ----------
        alpha : float
            One minus the coverage.

        Returns
        -------
        DataFrame
            (p, 2), columns named by percent. `confint` has other methods and parameters.
        """
        from .inference.confint import confint

        level = 1 - check_level(alpha, "alpha")
        return confint(self, "satterthwaite", level, "beta_")

    @explain_unknown_arguments
    def bootstrap(
        self,
        n: int = 1000,
        kind: Literal["parametric", "residual", "case", "wild", "reb"] = "parametric",
        resample: Sequence[str] | str | None = None,
        seed: int | None = None,
        n_jobs: int | None = None,
        statistic: Callable[[LinearMixedModel], Any] | None = None,
        progress: bool = True,
    ) -> Bootstrap:
        """Refit the model to resampled data.

        Details: `crossnest.inference.bootstrap.bootstrap`.

        Parameters
        ----------
        n : int
            Number of replicates.
        kind : {"parametric", "residual", "case", "wild", "reb"}
            What is drawn: responses of the model; predicted random effects and residuals; groups;
            signs of residuals; blocks of random effects.
        resample : str or sequence of str, optional
            Choices within the kinds ``case``, ``wild`` and ``reb``.
        seed : int, optional
            Decides on the replicates; a new one if not given.
        n_jobs : int, optional
            Threads; no result depends on it.
        statistic : callable, optional
            A function of the refitted model that gives numbers; all parameters if not given.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        Bootstrap
            ``replicates``, ``bias``, ``bse`` and ``confint()``.
        """
        from .inference.bootstrap import bootstrap

        return bootstrap(self, n, kind, resample, seed, n_jobs, statistic, progress)

    @explain_unknown_arguments
    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        contrasts: str | Mapping[str, Sequence[float]] | None = None,
        adjust: str = "tukey",
        ddf: Ddf = "kenward-roger",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimate marginal means (least-squares means) of the fixed effects.

        Details: `crossnest.inference.emmeans.emmeans`.

        Parameters
        ----------
        specs : str or sequence of str
            Variables whose combinations have a mean each; ``"1"`` for the overall mean.
        by : str or sequence of str, optional
            Variables that divide the means into strata.
        at : mapping, optional
            Levels and values to take, by column.
        contrasts : str or mapping, optional
            ``"pairwise"``, ``"trt.vs.ctrl"``, ``"eff"``, ``"consec"``, ``"poly"``, or weights by
            name.
        adjust : {"tukey", "holm", "bonferroni", "sidak", "fdr", "none"}
            Adjustment of the contrasts' p-values.
        ddf : {"kenward-roger", "kenward-roger-observed", "satterthwaite", "residual", "normal"}
            Method of standard errors and degrees of freedom; Kenward and Roger's as in pbkrtest,
            or with the observed information as in SAS and JMP.
        level : float
            Confidence level.

        Returns
        -------
        MarginalMeans
            ``table``, ``contrasts``, and methods for more contrasts.
        """
        from .inference.emmeans import emmeans

        return emmeans(self, specs, by, at, contrasts, adjust, ddf, level)

    @explain_unknown_arguments
    def emtrends(
        self,
        specs: str | Sequence[str],
        var: str,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        contrasts: str | Mapping[str, Sequence[float]] | None = None,
        adjust: str = "tukey",
        ddf: Ddf = "kenward-roger",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimate slopes in a covariate, averaged as marginal means are.

        Details: `crossnest.inference.emmeans.emtrends`.

        Parameters
        ----------
        specs : str or sequence of str
            Variables whose combinations have a slope each; ``"1"`` for the overall one.
        var : str
            The covariate.
        by, at, contrasts, adjust, ddf, level
            As for `emmeans`.

        Returns
        -------
        MarginalMeans
            ``table``, ``contrasts``, and methods for more contrasts.
        """
        from .inference.emmeans import emtrends

        options = (by, at, contrasts, adjust, ddf, level)
        return emtrends(self, specs, var, *options)

    @property
    def plot(self) -> ModelPlots:
        """The plots of the model, as ``model.plot.fitted()``; see `crossnest.plotting`."""
        from .plotting import ModelPlots

        return ModelPlots(self)

    @explain_unknown_arguments
    def predict(
        self,
        newdata: Any = None,
        re: Literal["all", "none"] | Sequence[str] = "all",
        new_levels: NewLevels = "error",
        se: bool = False,
        interval: Interval | None = None,
        level: float = 0.95,
        offset: Any = None,
    ) -> pd.Series[float] | pd.DataFrame:
        """Predict the mean X beta + Z b + offset of rows.

        Details: `crossnest.prediction.predict.predict`.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict at; those fitted if not given.
        re : {"all", "none"} or sequence of str
            Random effects to include, by term or grouping factor.
        new_levels : {"error", "population", "nan"}
            For unseen levels of a grouping factor: refuse them, take their effects as zero, or
            predict NaN.
        se : bool
            Whether to give standard errors.
        interval : {"confidence", "prediction"}, optional
            Interval for the mean, or for a new observation.
        level : float
            Coverage of the interval.
        offset : str or array_like, optional
            Offset of `newdata`, a column's name or values.

        Returns
        -------
        Series or DataFrame
            The means; with `se` or `interval` the columns ``fit``, ``se``, ``lower``, ``upper``.
        """
        from .prediction.predict import predict

        return predict(self, newdata, re, new_levels, se, interval, level, offset)

    @explain_unknown_arguments
    def tidy(
        self,
        effects: Effects | Sequence[Effects] = ("fixed", "ran_pars"),
        conf_int: bool = False,
        level: float = 0.95,
        ddf: Ddf = "satterthwaite",
    ) -> pd.DataFrame:
        """Return the estimates, one per row, in the columns of R's broom.mixed.

        Details: `crossnest.report.tidying.tidy`.

        Parameters
        ----------
        effects : {"fixed", "ran_pars", "ran_vals", "ran_coefs"} or sequence of them
            Fixed effects; standard deviations and correlations; conditional modes; coefficients of
            each level.
        conf_int : bool
            Whether to give intervals.
        level : float
            Their coverage.
        ddf : {"satterthwaite", "kenward-roger", "kenward-roger-observed", "residual", ...}
            Degrees of freedom of the fixed effects.
        """
        from .report.tidying import tidy

        return tidy(self, effects, conf_int, level, ddf)

    def glance(self) -> pd.DataFrame:
        """Return the fit in one row: ``nobs``, ``sigma``, ``logLik``, ``AIC``, ``BIC``, ...

        Details: `crossnest.report.tidying.glance`.
        """
        from .report.tidying import glance

        return glance(self)

    def augment(self, newdata: Any = None) -> pd.DataFrame:
        """Return the data with fitted values, residuals, leverages and Cook's distances.

        Details: `crossnest.report.tidying.augment`.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict at; those fitted if not given.
        """
        from .report.tidying import augment

        return augment(self, newdata)

    def refit_many(
        self, Y: ArrayLike | pd.DataFrame, n_jobs: int | None = None, progress: bool = True
    ) -> RefitMany:
        """Fit the same model to many responses.

        Details: `crossnest.fit.refits.refit_many`.

        Parameters
        ----------
        Y : (n, R) array_like or DataFrame
            One column per response, in the rows used or in all rows of the data.
        n_jobs : int, optional
            Threads; no result depends on it.
        progress : bool
            Whether to show a progress bar on a terminal.

        Returns
        -------
        RefitMany
            ``fixef``, ``bse``, ``sigma``, ``theta``, ``objective``, ``status`` of each response.
        """
        from .fit.refits import refit_many

        return refit_many(self, Y, n_jobs, progress)

    @explain_unknown_arguments
    def simulate(
        self,
        n: int = 1,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
        newdata: Any = None,
    ) -> pd.DataFrame:
        """Draw responses from the model.

        Details: `crossnest.prediction.simulate.simulate`.

        Parameters
        ----------
        n : int
            Number of replicates.
        seed : int, optional
            Decides on the replicates; a new one each time if not given.
        re : {"new", "conditional"}
            Draw new random effects, or keep the conditional modes.
        newdata : DataFrame, optional
            Rows to simulate; those fitted if not given.

        Returns
        -------
        DataFrame
            (rows, n), columns ``sim_1``, ``sim_2``, ...
        """
        from .prediction.simulate import simulate

        return simulate(self, n, seed, re, newdata)

    def save(
        self,
        path: str | os.PathLike[str],
        ddf: SavedDdf | Sequence[SavedDdf] | None = None,
        covariances: bool = True,
    ) -> None:
        """Write the model to a file, without the data; `crossnest.load` reads it.

        Details: `crossnest.storage.model_files.save`.

        Parameters
        ----------
        path : str or path
            Where to. A file that is there is replaced.
        ddf : {"satterthwaite", "kenward-roger", ...} or sequence of them, optional
            Degrees of freedom the loaded model shall have; if not given all, as far as they can be
            computed.
        covariances : bool
            Whether to keep what standard errors of predictions with random effects need.
        """
        from .storage.model_files import save

        save(self, path, ddf, covariances)

    def hatvalues(self) -> pd.Series[float]:
        """Return the diagonal of the hat matrix, (n,): `leverages` by its name in R."""
        return self.leverages()

    def cooks_distance(self) -> pd.Series[float]:
        """Compute lme4's Cook's distances, (n,): the influence of rows on the fitted values.

        Details: `crossnest.diagnostics.influence.cooks_distance`. `influence` has those of the
        fixed effects.
        """
        from .diagnostics.influence import cooks_distance

        return cooks_distance(self)

    def dfbetas(self) -> pd.DataFrame:
        """Compute the standardized change of the fixed effects without each row, (n, p).

        It is `influence` that measures it, theta and sigma held fixed.
        """
        return self.influence().dfbetas

    def influence(
        self, group: str | None = None, exact: bool = False, n_jobs: int | None = None
    ) -> Influence:
        """Measure the influence of rows or groups on the fixed effects by leaving them out.

        Details: `crossnest.diagnostics.influence.influence`.

        Parameters
        ----------
        group : str, optional
            A grouping factor, whose levels are left out; single rows if not given.
        exact : bool
            Whether to refit without each unit, and not hold theta and sigma fixed.
        n_jobs : int, optional
            Threads for the refits.

        Returns
        -------
        Influence
            ``cooks_distance``, ``dfbetas``, ``mdffits``, ``covratio``, ...; ``to_frame()``.
        """
        from .diagnostics.influence import influence

        return influence(self, group, exact, n_jobs)

    @explain_unknown_arguments
    def quantile_residuals(
        self,
        n: int = 250,
        seed: int | None = None,
        re: Literal["new", "conditional"] = "new",
    ) -> QuantileResiduals:
        """Find the quantiles of the responses among simulated ones, as DHARMa does.

        Details: `crossnest.diagnostics.quantile_residuals.quantile_residuals`.

        Parameters
        ----------
        n : int
            Number of simulations.
        seed : int, optional
            A new one each time if not given.
        re : {"new", "conditional"}
            Draw new random effects, or keep the conditional modes.

        Returns
        -------
        QuantileResiduals
            ``residuals``, and tests of uniformity, dispersion and outliers.
        """
        from .diagnostics.quantile_residuals import quantile_residuals

        return quantile_residuals(self, n, seed, re)

    def rand_pca(self) -> RandomEffectsPCA:
        """Find the principal components of the random effects, as lme4's ``rePCA`` does.

        Details: `crossnest.diagnostics.rand_pca.rand_pca`.
        """
        from .diagnostics.rand_pca import rand_pca

        return rand_pca(self)

    def icc(self, by_group: bool = False) -> Shares:
        """Compute the intraclass correlation: the share of variance between groups.

        Details: `crossnest.diagnostics.goodness.icc`.

        Parameters
        ----------
        by_group : bool
            Whether to give the share of each grouping factor.
        """
        from .diagnostics.goodness import icc

        return icc(self, by_group)

    def r2(self) -> Shares:
        """Compute Nakagawa's R2: marginal, of the fixed effects, and conditional, of all effects.

        Details: `crossnest.diagnostics.goodness.r2`.
        """
        from .diagnostics.goodness import r2

        return r2(self)

    def vif(self) -> pd.DataFrame:
        """Compute the (generalized) variance inflation factors of the fixed terms.

        Details: `crossnest.diagnostics.goodness.vif`.
        """
        from .diagnostics.goodness import vif

        return vif(self)

    def check_model(self, seed: int = 1) -> Figure:
        """Draw six checks of the model's assumptions in one figure.

        Details: `crossnest.plotting.check_model.check_model`.

        Parameters
        ----------
        seed : int
            Seed of the simulated responses in the first panel.
        """
        from .plotting.check_model import check_model

        return check_model(self, seed)

    @property
    def endog_names(self) -> str:
        """The response as written, by its name in statsmodels."""
        return self.design.response_name

    @property
    def _regression_table(self) -> RegressionTable:
        from .neighbours.maketables import RegressionTable

        return RegressionTable(self)

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        """Coefficients for maketables; see `crossnest.neighbours.maketables.RegressionTable`."""
        return self._regression_table.__maketables_coef_table__

    @property
    def __maketables_depvar__(self) -> str:
        """The response for maketables."""
        return self._regression_table.__maketables_depvar__

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        """The kind of standard errors for maketables."""
        return self._regression_table.__maketables_vcov_info__

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        """Names of the statistics that maketables shows."""
        return self._regression_table.__maketables_default_stat_keys__

    def __maketables_stat__(self, key: str) -> float | None:
        """Return a statistic for maketables."""
        return self._regression_table.__maketables_stat__(key)
