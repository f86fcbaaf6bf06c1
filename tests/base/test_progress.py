"""Progress bars appear where somebody looks on, and for long work only."""

from __future__ import annotations

import io
import sys

import pytest

from crossnest.base import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "delay", "shown"), [(Terminal, 0, True), (Terminal, 60, False)])
def test_a_terminal_sees_long_work(monkeypatch, stream, delay, shown):
    monkeypatch.setattr("sys.stderr", stream())
    monkeypatch.setattr(progress, "_DELAY", delay)
    assert list(progress.track(range(3), "counting")) == [0, 1, 2]
    assert ("counting" in sys.stderr.getvalue()) == shown


@pytest.mark.parametrize(("stream", "enabled"), [(io.StringIO, True), (Terminal, False)])
def test_pipelines_see_nothing(monkeypatch, stream, enabled):
    monkeypatch.setattr("sys.stderr", stream())
    monkeypatch.setattr(progress, "_DELAY", 0)
    assert list(progress.track(iter("ab"), "counting", enabled, total=2)) == ["a", "b"]
    assert sys.stderr.getvalue() == ""
