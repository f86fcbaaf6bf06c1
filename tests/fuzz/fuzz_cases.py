"""How many cases the fuzzers draw, what became of them, and which exceptions are answers.

The quick profile draws the same few cases each time. CROSSNEST_FUZZ_CASES=20000 draws about that
many in all, new ones each time or those of ``--hypothesis-seed``. With CROSSNEST_FUZZ_LOG=file
failures are written there and the run goes on: one failure often hides others.
"""

from __future__ import annotations

import functools
import os
import traceback
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import UnsatisfiedAssumption

import crossnest

CASES = int(os.environ.get("CROSSNEST_FUZZ_CASES", "0"))
LOG = os.environ.get("CROSSNEST_FUZZ_LOG")
PACKAGE = str(Path(crossnest.__file__).parent)

#: What became of the cases, by test: printed at the end of a run.
OUTCOMES: dict[str, Counter[str]] = {}

#: Exceptions that say to a person that a call was wrong or is not possible.
ANSWERS = (
    crossnest.FormulaError,
    crossnest.DesignError,
    crossnest.FitError,
    crossnest.FileFormatError,
    crossnest.NoDataError,
    TypeError,
    ValueError,
    MemoryError,
    NotImplementedError,
)


def cases(quick: int, share: float):
    """Set how often a test is run: `quick` times, or its share of a long run."""
    shared = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
    if not CASES:
        return settings(max_examples=quick, derandomize=True, database=None, **shared)
    phases = [Phase.explicit, Phase.generate] if LOG else tuple(Phase)
    return settings(max_examples=max(1, round(CASES * share)), phases=phases, **shared)


def count(test: str, outcome: str) -> None:
    """Note what became of a case."""
    OUTCOMES.setdefault(test, Counter())[outcome] += 1


def report() -> str:
    """Say what became of the cases, test by test."""
    lines = [
        f"{test}: {outcomes.total()} "
        f"({', '.join(f'{number} {outcome}' for outcome, number in outcomes.most_common(12))})"
        for test, outcomes in sorted(OUTCOMES.items())
    ]
    total = sum(outcomes.total() for outcomes in OUTCOMES.values())
    return "\n".join([*lines, f"in all: {total}"])


def logged(function):
    """Write the failures of a property to the log, if there is one, and go on."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        try:
            function(*args, **kwargs)
        except Exception as error:
            if LOG is None or isinstance(error, UnsatisfiedAssumption):
                raise
            count(function.__name__, "failed")
            with open(LOG, "a") as file:
                shown = ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())])
                file.write(f"=== {function.__name__}: {shown}\n{traceback.format_exc()}\n")

    return run


@contextmanager
def quietly():
    """Let the package warn; a warning of any other kind is still an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        yield


def innermost_frame(error: BaseException) -> str:
    """Return the file that raised an exception."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def is_an_answer(error: BaseException) -> bool:
    """Whether an exception is of an expected kind and raised by the package, or by the system."""
    if isinstance(error, OSError) and error.errno is not None:
        return True
    return isinstance(error, ANSWERS) and innermost_frame(error).startswith(PACKAGE)
