"""The methods of a fitted model that test and estimate; each is a function of its own module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import pandas as pd

    from ..model import LinearMixedModel
    from .bootstrap import Bootstrap
    from .ddf import Ddf, Information
    from .emmeans import MarginalMeans
    from .profile import Profile
    from .selection import Step
    from .tables import TestTable


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
        """Test linear hypotheses L beta = rhs; see `crossnest.inference.contest.contest`."""
        from .contest import contest

        return contest(self._model, L, rhs, joint, ddf, information)

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III"] = 3,
        ddf: Ddf = "satterthwaite",
        information: Information = "expected",
    ) -> TestTable:
        """Test the terms of the fixed effects; see `crossnest.inference.anova.anova`."""
        from .anova import anova

        return anova(self._model, type, ddf, information)

    def ranova(self, reduce_terms: bool = True) -> TestTable:
        """Test the random-effects terms; see `crossnest.inference.deletion.ranova`."""
        from .deletion import ranova

        return ranova(self._model, reduce_terms)

    def drop1(
        self,
        scope: Sequence[str] | None = None,
        test: Literal["chisq", "F"] = "chisq",
        ddf: Ddf = "satterthwaite",
    ) -> TestTable:
        """Test what leaving out each term does; see `crossnest.inference.deletion.drop1`."""
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
        """Eliminate terms backward; see `crossnest.inference.selection.step`."""
        from .selection import step

        return step(self._model, ddf, alpha_random, alpha_fixed, reduce_fixed, reduce_random, keep)

    def profile(
        self,
        parm: Sequence[str] | str | None = None,
        level: float = 0.99,
        progress: bool = True,
    ) -> Profile:
        """Profile the deviance; see `crossnest.inference.profile.profile`."""
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
        """Give confidence intervals; see `crossnest.inference.confint.confint`."""
        from .confint import confint

        return confint(self._model, method, level, parm, **options)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Give Satterthwaite intervals of the fixed effects, by the name in statsmodels."""
        from .confint import confint

        return confint(self._model, "satterthwaite", 1 - alpha, "beta_")

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
        """Refit to resampled data; see `crossnest.inference.bootstrap.bootstrap`."""
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
        """Estimate marginal means; see `crossnest.inference.emmeans.emmeans`."""
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
        """Estimate slopes of a covariate; see `crossnest.inference.emmeans.emtrends`."""
        from .emmeans import emtrends

        options = (by, at, contrasts, adjust, ddf, level, information)
        return emtrends(self._model, specs, var, *options)
