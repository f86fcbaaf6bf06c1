"""Processes that fit on request: one a package, so that fits alternate and memory is its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from models import WARM_UP, Model
from numpy.typing import NDArray

HERE = Path(__file__).parent
PACKAGES = ("crossnest", "lme4", "statsmodels")


@dataclass(frozen=True)
class Fit:
    """One timed fit.

    Attributes
    ----------
    seconds : float
        Wall-clock time of the whole call that fits, formula and data frame to fitted model.
    criterion : float
        REML criterion.
    fixed, errors : (p,) array
        Fixed effects and their standard errors.
    before, peak : float
        Resident memory of the process just before the call and at its peak within it, in MB.
    """

    seconds: float
    criterion: float
    fixed: NDArray[np.float64]
    errors: NDArray[np.float64]
    before: float
    peak: float

    @classmethod
    def from_answer(cls, answer: str) -> Fit:
        seconds, criterion, fixed, errors, before, peak = answer.split("\t")
        vectors = [np.array(text.split(","), dtype=float) for text in (fixed, errors)]
        return cls(float(seconds), float(criterion), *vectors, float(before), float(peak))


class Worker:
    """A process that has loaded one package, and has fitted one small model to warm up.

    Parameters
    ----------
    package : str
        One of `PACKAGES`.
    folder : Path
        Where the data are, one CSV file per model.
    threads : int
        Threads crossnest and OpenBLAS may use; 0 for all.
    r_blas : str
        Library of BLAS and LAPACK for R to use instead of its own; several go with colons between.
    """

    def __init__(self, package: str, folder: Path, threads: int = 0, r_blas: str = "") -> None:
        self._package = package
        self._folder = folder
        settings = {} if threads == 0 else {"OPENBLAS_NUM_THREADS": str(threads)}
        if package == "lme4" and r_blas:
            settings["LD_PRELOAD"] = r_blas
        self._process = subprocess.Popen(
            _command(package, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )
        self.load(WARM_UP)
        self.fit(WARM_UP)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def describe(self) -> str:
        """Say which versions are measured."""
        return self._ask("describe")

    def load(self, model: Model) -> None:
        """Read the data of a model, as `write_data` wrote them."""
        factors = model.data().select_dtypes("category").columns
        self._ask("load", str(self._folder / f"{model.name}.csv"), ",".join(factors))

    def fit(self, model: Model) -> Fit:
        """Fit a model to the data loaded."""
        if self._package != "statsmodels":
            return Fit.from_answer(self._ask("fit", model.formula))
        spec = model.statsmodels
        assert spec is not None
        return Fit.from_answer(self._ask("fit", spec.formula, spec.groups, spec.re_formula))

    def _ask(self, *fields: str) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write("\t".join(fields) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._package} stopped at `{' '.join(fields)}`")
        return answer.rstrip("\n")


def write_data(model: Model, folder: Path) -> int:
    """Write the data of a model for the workers; gives the number of rows."""
    data = model.data()
    data.to_csv(folder / f"{model.name}.csv", index=False)
    return len(data)


def has_lme4() -> bool:
    """Whether Rscript is there, with the packages that fit_lme4.R needs."""
    if shutil.which("Rscript") is None:
        return False
    check = "stopifnot(requireNamespace('lme4'), requireNamespace('data.table'))"
    return subprocess.run(["Rscript", "-e", check], capture_output=True).returncode == 0


def _command(package: str, threads: int) -> list[str]:
    if package == "lme4":
        return ["Rscript", str(HERE / "fit_lme4.R")]
    return [sys.executable, str(HERE / "fit_python.py"), package, str(threads)]
