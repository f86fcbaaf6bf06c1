"""The methods of a fitted model that test and estimate; each is a function of its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pandas as pd

    from ..base.ddf_methods import Ddf, Information
    from ..fit.model import LinearMixedModel
    from ..tables.test_tables import TestTable
    from .bootstrap import Bootstrap
    from .emmeans import MarginalMeans
    from .profile import Profile
    from .selection import Step


class InferenceMethods:
    """Mixed into `crossnest.LinearMixedModel`. Modules are imported when first used."""

    @property
    def _model(self) -> LinearMixedModel:
        return cast("LinearMixedModel", self)

    @property
    def df(self) -> pd.Series[float]:
        """Satterthwaite's degrees of freedom of the fixed effects, (p,)."""
        from .ddf import coefficient_tests

        return coefficient_tests(self._model, "satterthwaite")["df"]

    @property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values of the fixed effects with Satterthwaite's degrees of freedom, (p,)."""
        from .ddf import coefficient_tests

        return coefficient_tests(self._model, "satterthwaite")["Pr(>|t|)"]

    def contest(
        self,
        L: ArrayLike | Mapping[str, float] | pd.DataFrame | Sequence[str] | str,
        rhs: ArrayLike = 0.0,
        joint: bool = True,
        ddf: Ddf = "satterthwaite",
        information: Information = "expected",
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
        ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
            Method of the denominator degrees of freedom.
        information : {"expected", "observed"}
            For Kenward and Roger's method: pbkrtest's information, or that of SAS and JMP.

        Returns
        -------
        TestTable
            A data frame that prints as lmerTest's.
        """
        from .contest import contest

        return contest(self._model, L, rhs, joint, ddf, information)

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III"] = 3,
        ddf: Ddf = "satterthwaite",
        information: Information = "expected",
    ) -> TestTable:
        """Test the terms of the fixed effects by F tests, as lmerTest does.

        Details: `crossnest.inference.anova.anova`. `crossnest.anova` compares models.

        Parameters
        ----------
        type : {3, 2, 1, "III", "II", "I"}
            Each term in a way free of cell counts; after all terms that do not contain it; after
            those before it.
        ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
            Method of the denominator degrees of freedom.
        information : {"expected", "observed"}
            For Kenward and Roger's method: pbkrtest's information, or that of SAS and JMP.

        Returns
        -------
        TestTable
            One row a term: ``Sum Sq``, ``Mean Sq``, ``NumDF``, ``DenDF``, ``F value``, ``Pr(>F)``.
        """
        from .anova import anova

        return anova(self._model, type, ddf, information)

    def ranova(self, reduce_terms: bool = True) -> TestTable:
        """Test the random-effects terms by likelihood ratios, leaving out one at a time.

        Details: `crossnest.inference.deletion.ranova`.

        Parameters
        ----------
        reduce_terms : bool
            Whether a term with several effects loses one of them at a time, and not all at once.

        Returns
        -------
        TestTable
            One row a model: ``npar``, ``logLik``, ``AIC``, ``LRT``, ``Df``, ``Pr(>Chisq)``.
        """
        from .deletion import ranova

        return ranova(self._model, reduce_terms)

    def drop1(
        self,
        scope: Sequence[str] | None = None,
        test: Literal["chisq", "F"] = "chisq",
        ddf: Ddf = "satterthwaite",
    ) -> TestTable:
        """Test each fixed term that no other term contains by leaving it out.

        Details: `crossnest.inference.deletion.drop1`.

        Parameters
        ----------
        scope : sequence of str, optional
            The terms to test; all that may be left out if not given.
        test : {"chisq", "F"}
            Likelihood ratios of fits by maximum likelihood, or F tests in the model as it is.
        ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
            Denominator degrees of freedom of the F tests.

        Returns
        -------
        TestTable
            One row a term.
        """
        from .deletion import drop1

        return drop1(self._model, scope, test, ddf)

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
        ddf : {"satterthwaite", "kenward-roger", "residual", "normal"}
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
        from .selection import step

        return step(self._model, ddf, alpha_random, alpha_fixed, reduce_fixed, reduce_random, keep)

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
        from .profile import profile

        return profile(self._model, parm, level, progress)

    def confint(
        self,
        method: Literal[
            "profile", "wald", "bootstrap", "satterthwaite", "kenward-roger"
        ] = "profile",
        level: float = 0.95,
        parm: Sequence[str] | str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Give confidence intervals of the parameters.

        Details: `crossnest.inference.confint.confint`.

        Parameters
        ----------
        method : {"profile", "wald", "bootstrap", "satterthwaite", "kenward-roger"}
            Only ``profile`` and ``bootstrap`` have intervals for the covariance parameters.
        level : float
            Coverage.
        parm : str or sequence of str, optional
            Names of parameters, ``"theta_"`` (all of the covariance) or ``"beta_"`` (all fixed
            effects); all if not given.
        **options
            ``progress`` for ``profile``; ``information`` for ``kenward-roger``; for ``bootstrap``
            the kind of ``interval``, and the arguments of `bootstrap`.

        Returns
        -------
        DataFrame
            One row a parameter, two columns named by percent.
        """
        from .confint import confint

        return confint(self._model, method, level, parm, **options)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Give Satterthwaite intervals of the fixed effects, by the name in statsmodels.

        Parameters
        ----------
        alpha : float
            One minus the coverage.

        Returns
        -------
        DataFrame
            (p, 2), columns named by percent. `confint` has other methods and parameters.
        """
        from ..base.arguments import check_level
        from .confint import confint

        level = 1 - check_level(alpha, "alpha")
        return confint(self._model, "satterthwaite", level, "beta_")

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
        from .bootstrap import bootstrap

        return bootstrap(self._model, n, kind, resample, seed, n_jobs, statistic, progress)

    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        contrasts: str | Mapping[str, Sequence[float]] | None = None,
        adjust: str = "tukey",
        ddf: Ddf = "kenward-roger",
        level: float = 0.95,
        information: Information = "expected",
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
        ddf : {"kenward-roger", "satterthwaite", "residual", "normal"}
            Method of standard errors and degrees of freedom.
        level : float
            Confidence level.
        information : {"expected", "observed"}
            For Kenward and Roger's method: pbkrtest's information, or that of SAS and JMP.

        Returns
        -------
        MarginalMeans
            ``table``, ``contrasts``, and methods for more contrasts.
        """
        from .emmeans import emmeans

        return emmeans(self._model, specs, by, at, contrasts, adjust, ddf, level, information)

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
        information: Information = "expected",
    ) -> MarginalMeans:
        """Estimate slopes in a covariate, averaged as marginal means are.

        Details: `crossnest.inference.emmeans.emtrends`.

        Parameters
        ----------
        specs : str or sequence of str
            Variables whose combinations have a slope each; ``"1"`` for the overall one.
        var : str
            The covariate.
        by, at, contrasts, adjust, ddf, level, information
            As for `emmeans`.

        Returns
        -------
        MarginalMeans
            ``table``, ``contrasts``, and methods for more contrasts.
        """
        from .emmeans import emtrends

        options = (by, at, contrasts, adjust, ddf, level, information)
        return emtrends(self._model, specs, var, *options)
