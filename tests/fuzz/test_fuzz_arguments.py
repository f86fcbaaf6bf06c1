"""Wrong arguments of public functions: a result, or an exception of the package that says so."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager

import matplotlib.pyplot as plt
import pytest
from fuzz_calls import CALLS, SKIPPED, VALUES, perform
from fuzz_cases import cases, count, is_an_answer, logged, quietly
from hypothesis import assume, given
from hypothesis import strategies as st

pytestmark = pytest.mark.fuzz

#: Seconds after which a call on forty rows hangs.
PATIENCE = 60


@st.composite
def wrong_calls(draw):
    """Draw a function and one or two of its arguments to be replaced."""
    name = draw(st.sampled_from(list(CALLS)))
    arguments = list(CALLS[name].right)
    assume(arguments)
    chosen = draw(st.lists(st.sampled_from(arguments), min_size=1, max_size=2, unique=True))
    wrong = {argument: draw(st.sampled_from(list(VALUES))) for argument in chosen}
    assume(not any((name, argument, value) in SKIPPED for argument, value in wrong.items()))
    return name, wrong


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory):
    """Stand in a folder where files may be written: a path is an argument too."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("arguments"))
    yield
    os.chdir(before)


@contextmanager
def patience(name):
    """Raise where a call takes very long."""

    def give_up(*_):
        raise TimeoutError(f"{name} takes more than {PATIENCE} s")

    assert threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@cases(quick=250, share=0.12)
@given(call=wrong_calls())
@logged
def test_wrong_arguments_are_answered(call):
    name, wrong = call
    try:
        with quietly(), patience(name):
            result = perform(name, wrong)
            repr(result)
    except Exception as error:
        if not is_an_answer(error):
            raise
        assert str(error), f"a {type(error).__name__} that says nothing"
        count("test_wrong_arguments_are_answered", "refused")
    else:
        count("test_wrong_arguments_are_answered", "a result")
    finally:
        plt.close("all")
