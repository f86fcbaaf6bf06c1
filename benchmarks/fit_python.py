"""A process that fits models with crossnest or statsmodels, one request a line on stdin.

The requests, their fields separated by tabs, and the answers are those of fit_lme4.R:

    load PATH FACTORS       read a CSV file; FACTORS, separated by commas, become categoricals
    fit FORMULA ...         fit; answers seconds, criterion, fixed effects, standard errors,
                            megabytes resident before the fit, and at its peak
    describe                answers the package's version
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import process_memory

Estimates = tuple[float, Any, Any]  # criterion, fixed effects, standard errors
Fit = Callable[..., Any]


def crossnest_fitter(threads: int) -> tuple[Fit, Callable[[Any], Estimates], str]:
    import crossnest

    control = crossnest.Control(threads=threads or None)

    def fit(data: pd.DataFrame, formula: str) -> crossnest.LinearMixedModel:
        return crossnest.lmer(formula, data, control=control)

    def estimates(model: crossnest.LinearMixedModel) -> Estimates:
        return model.objective, model.fixef, model.bse

    return fit, estimates, f"crossnest {crossnest.__version__}"


def statsmodels_fitter() -> tuple[Fit, Callable[[Any], Estimates], str]:
    import statsmodels
    from statsmodels.formula.api import mixedlm

    def fit(data: pd.DataFrame, formula: str, groups: str, re_formula: str) -> Any:
        return mixedlm(formula, data, groups=groups, re_formula=re_formula).fit(reml=True)

    def estimates(result: Any) -> Estimates:
        return -2 * result.llf, result.fe_params, result.bse_fe

    return fit, estimates, f"statsmodels {statsmodels.__version__}"


def load(path: str, factors: str) -> pd.DataFrame:
    data = pd.read_csv(path)
    return data.astype(dict.fromkeys(filter(None, factors.split(",")), "category"))


def timed_fit(fit: Fit, estimates: Callable[[Any], Estimates], *arguments: Any) -> str:
    gc.collect()
    process_memory.reset_peak()
    before = process_memory.resident()
    start = time.perf_counter()
    model = fit(*arguments)
    seconds = time.perf_counter() - start
    peak = process_memory.peak()
    criterion, fixed, errors = estimates(model)
    vectors = [",".join(repr(float(value)) for value in vector) for vector in (fixed, errors)]
    return "\t".join([repr(seconds), repr(float(criterion)), *vectors, repr(before), repr(peak)])


def main(package: str, threads: int) -> None:
    warnings.simplefilter("ignore")
    fitter = crossnest_fitter(threads) if package == "crossnest" else statsmodels_fitter()
    fit, estimates, version = fitter
    data = pd.DataFrame()
    for line in sys.stdin:
        command, *fields = line.rstrip("\n").split("\t")
        if command == "load":
            data = load(*fields)
            answer = str(len(data))
        elif command == "fit":
            answer = timed_fit(fit, estimates, data, *fields)
        else:
            answer = version
        print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
