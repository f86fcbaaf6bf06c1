"""Marks the fuzzers, and prints what became of the cases they drew."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_cases import CASES, OUTCOMES

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.fuzz)


def pytest_terminal_summary(terminalreporter):
    if not (OUTCOMES and CASES):
        return
    terminalreporter.section("cases drawn")
    for test, outcomes in sorted(OUTCOMES.items()):
        listed = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common(12))
        terminalreporter.line(f"{test}: {sum(outcomes.values())} ({listed})")
    total = sum(sum(outcomes.values()) for outcomes in OUTCOMES.values())
    terminalreporter.line(f"in all: {total}")
