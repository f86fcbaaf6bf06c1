"""Arguments that many functions take: what is refused, and how it is said."""

from __future__ import annotations

import numpy as np
import pytest

from crossnest.arguments import as_list, check_count, check_level


def test_one_or_several():
    assert as_list("Days") == ["Days"]
    assert as_list(("a", "b")) == ["a", "b"]
    assert as_list(3) == [3]
    assert as_list(None) == [None]


@pytest.mark.parametrize("value", [1, np.int64(7)])
def test_counts(value):
    assert check_count(value, "n") == value


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0, ValueError, "n must be at least 1, not 0"),
        (2.0, TypeError, r"n must be a whole number, not 2\.0"),
        (True, TypeError, "n must be a whole number, not True"),
        ("3", TypeError, "n must be a whole number, not '3'"),
    ],
)
def test_what_is_no_count(value, error, text):
    with pytest.raises(error, match=text):
        check_count(value, "n")


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ValueError), (1.0, ValueError), (95, ValueError), (np.nan, ValueError), ("a", TypeError)],
)
def test_what_is_no_level(value, error):
    assert check_level(np.float32(0.5)) == 0.5
    with pytest.raises(error, match=r"conf_level must be .*between 0 and 1"):
        check_level(value, "conf_level")
