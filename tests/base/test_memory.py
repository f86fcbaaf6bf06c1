"""Absurd sizes are refused with figures, before anything is allocated."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import crossnest
from crossnest import Control
from crossnest.base import memory
from crossnest.base.memory import check_memory, machine_memory

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def data():
    return crossnest.datasets.sleepstudy()


@pytest.fixture(scope="module")
def model(data):
    return crossnest.lmer(FORMULA, data)


def test_the_machines_memory_is_known():
    found = machine_memory()
    assert found is None or 2**26 < found < 2**60


def test_a_container_may_have_less(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "absent", limit))
    limit.write_text("max\n")
    whole = machine_memory()
    limit.write_text("1000000\n")
    assert whole is None or (machine_memory() == 1_000_000 and whole > 1_000_000)


def test_what_is_allowed_is_said():
    check_memory(10**6, "things", 10**6)
    message = "things need about 1.5 GB, more than allowed by Control.memory_limit.: 2 MB"
    with pytest.raises(MemoryError, match=message):
        check_memory(1_500_000_000, "things", 2_000_000)
    if machine_memory() is not None:
        with pytest.raises(MemoryError, match=r"need about 1e\+03 EB, more than the machine can"):
            check_memory(10**21, "things")


#: Requests of absurd sizes.
ABSURD = {
    "simulate": lambda model, data: model.simulate(10**9),
    "simulate at new rows": lambda model, data: model.simulate(10**9, newdata=data[:3]),
    "bootstrap": lambda model, data: model.bootstrap(10**12),
    "bootstrap of cases": lambda model, data: model.bootstrap(10**12, kind="case"),
    "confint": lambda model, data: model.confint("bootstrap", n=10**12),
    "quantile_residuals": lambda model, data: model.quantile_residuals(10**9),
    "pb_modcomp": lambda model, data: crossnest.pb_modcomp(
        model, crossnest.lmer("Reaction ~ 1 + (Days | Subject)", data), n=10**12
    ),
    "exact_rlrt": lambda model, data: crossnest.exact_rlrt(
        crossnest.lmer("Reaction ~ Days + (1 | Subject)", data), n=10**12
    ),
    "exact_lrt": lambda model, data: crossnest.exact_lrt(
        crossnest.lmer("Reaction ~ Days + (1 | Subject)", data), n=10**12
    ),
    "refit_many": lambda model, data: model.refit_many(
        np.broadcast_to(model.design.y[:, None], (180, 10**12))
    ),
}


@pytest.mark.parametrize("ask", ABSURD.values(), ids=ABSURD)
def test_absurd_sizes_are_refused(ask, model, data):
    tracemalloc.start()
    try:
        with pytest.raises(MemoryError, match=r"need about \S+ [GTPE]B, more than"):
            ask(model, data)
        assert tracemalloc.get_traced_memory()[1] < 1e8  # modules are imported
    finally:
        tracemalloc.stop()


def test_the_limit_of_control_counts(data):
    model = crossnest.lmer(FORMULA, data, control=Control(memory_limit=1_000_000))
    assert model.simulate(10).shape == (180, 10)
    message = "1,000 simulated responses of 180 rows need about 4.61 MB, more than allowed by"
    with pytest.raises(MemoryError, match=message):
        model.simulate(1000)
    assert len(model.bootstrap(100, seed=1).replicates) == 100
    with pytest.raises(MemoryError, match="the results of 100,000 fits need about"):
        model.bootstrap(100_000)
