"""The registry of fitted models shared by the tests: each is fitted once, when first asked for."""

from __future__ import annotations

import functools
import os
import signal
import sys
import sysconfig
import threading
import time
import warnings
from contextlib import contextmanager
from typing import Any

# BLAS threads wait for each other on a busy machine, and the oracle's matrices are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

import building
import crossnest
from reference_cases import load_case

#: name: (bundled data set, formula, other arguments of lmer)
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sleepstudy": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", {}),
    "sleepstudy_ml": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", {"reml": False}),
    "sleepstudy_zcp": ("sleepstudy", "Reaction ~ Days + (Days || Subject)", {}),
    "pastes": ("pastes", "strength ~ 1 + (1 | batch/cask)", {}),
    "penicillin": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", {}),
    "machines": ("machines", "score ~ Machine + (0 + Machine | Worker)", {}),
    "dyestuff2": ("dyestuff2", "Yield ~ 1 + (1 | Batch)", {}),
    "no_fixed": ("sleepstudy", "Reaction ~ 0 + (1 | Subject)", {}),
}


@functools.cache
def fitted_model(name: str) -> crossnest.LinearMixedModel:
    """Fit a model of the registry, or "directory/case" of the reference cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", crossnest.CrossnestWarning)
        if "/" in name:
            directory, case = name.split("/")
            return crossnest.lmer(**load_case(case, directory).fit_arguments())
        dataset, formula, arguments = MODELS[name]
        return crossnest.lmer(formula, crossnest.datasets.load(dataset), **arguments)


@pytest.fixture(scope="session")
def fitted():
    """Return the function that fits a model of the registry by name."""
    return fitted_model


@pytest.fixture
def interrupted():
    """Return a context that sends Ctrl-C after some seconds and expects it to be heard soon."""

    @contextmanager
    def interrupted_after(seconds):
        sent = []

        def interrupt():
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(seconds, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                timer.start()
                yield
            assert time.perf_counter() - sent[0] < 2.0  # below 0.1 s on a quiet machine
        finally:
            timer.cancel()
            timer.join()

    # Shells start background jobs with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield interrupted_after
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter):
    """Print what became of the cases of a long run of the fuzzers."""
    fuzzers = sys.modules.get("fuzz_cases")
    if fuzzers is not None and fuzzers.CASES:
        terminalreporter.section("cases drawn")
        terminalreporter.write_line(fuzzers.report())


@pytest.fixture(scope="session")
def cpp_build(tmp_path_factory):
    """Build the C++ libraries and their tests once, as preset dev but for debug information."""
    folder = tmp_path_factory.mktemp("cpp")
    building.run(
        "cmake", "--preset", "dev", "-S", building.ROOT, "-B", folder,
        f"-DCMAKE_PREFIX_PATH={sysconfig.get_path('purelib')}",
        "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2",
        f"-DCROSSNEST_WARNINGS_AS_ERRORS={building.STRICT}",
    )  # fmt: skip
    building.run("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="session")
def prefix(cpp_build, tmp_path_factory):
    """Install the C++ libraries, and move them elsewhere: nothing may remember the first place."""
    folder = tmp_path_factory.mktemp("prefix")
    building.run("cmake", "--install", cpp_build, "--prefix", folder / "first")
    (folder / "first").rename(folder / "moved")
    return folder / "moved"
