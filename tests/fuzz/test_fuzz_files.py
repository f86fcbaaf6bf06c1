"""Damaged and forged files: refused as such, or a model that still speaks; never anything else."""

from __future__ import annotations

import functools
import io
import json
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz_calls import frame, model
from fuzz_cases import cases, count, is_an_answer, logged, quietly
from hypothesis import given
from hypothesis import strategies as st

import crossnest
from crossnest import FileFormatError

pytestmark = pytest.mark.fuzz

#: What a file of some kilobytes may take to refuse.
MEMORY = 200e6


@functools.cache
def saved() -> bytes:
    """Return the bytes of a saved model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model().save(path)
        return path.read_bytes()


@functools.cache
def members() -> dict[str, bytes]:
    """Return the members of its archive."""
    with zipfile.ZipFile(io.BytesIO(saved())) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(contents: dict[str, bytes]) -> bytes:
    """Make an archive of members, the checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in contents.items():
            file.writestr(name, data)
    return buffer.getvalue()


def speak(data: bytes) -> str:
    """Load a model and let it say something; return what became of it."""
    with tempfile.TemporaryDirectory() as folder, quietly(), np.errstate(all="ignore"):
        path = Path(folder) / "model"
        path.write_bytes(data)
        try:
            loaded = crossnest.load(path)
        except FileFormatError as error:
            assert str(error)
            return "refused"
        try:
            said = str(loaded.summary()), loaded.predict(frame(), se=True)
        except Exception as error:
            if not is_an_answer(error):
                raise
            return "loaded, then refused"
        table = model("loaded").predict(frame(), se=True)
        same = said[0] == str(model().summary()) and said[1].equals(table)
        return "loaded, the same" if same else "loaded, with other numbers"


@cases(quick=60, share=0.02)
@given(st.data())
@logged
def test_files_cut_or_with_other_bytes_are_refused(data):
    content = bytearray(saved())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    outcome = speak(bytes(content))
    assert outcome in ("refused", "loaded, the same"), outcome
    count("test_files_cut_or_with_other_bytes_are_refused", outcome)


# --------------------------------------------------------------------------- forged contents

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just({"$array": 0}),
    st.just({"$array": -1}),
    st.just({"$array": "0"}),
    st.just({"$array": 10**9}),
    st.just({"$tuple": []}),
    st.just({"$index": [1], "dtype": "object"}),
    st.just({"$index": ["a"], "dtype": "int64"}),
    st.just({"$time": ["never", None]}),
    st.just([[[1]]]),
    st.just({"$interval": [2, 1, "both"]}),
    st.just({"$dict": [[[], 1]]}),
    st.just({"$unknown": 1}),
    st.just([1, "a", None]),
    st.just("x" * 1000),
)


def places(value, at=()):
    """List the paths of all values inside a JSON value."""
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*at, key))
    elif isinstance(value, list):
        for key, item in enumerate(value[:4]):
            yield from places(item, (*at, key))


@functools.cache
def head_places() -> list[tuple]:
    return [at for at in places(json.loads(members()["crossnest.json"])) if at]


@cases(quick=80, share=0.03)
@given(st.data())
@logged
def test_forged_values_are_refused(data):
    head = json.loads(members()["crossnest.json"])
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.sampled_from(head_places()))
        inside = head
        try:
            for key in at[:-1]:
                inside = inside[key]
            if data.draw(st.booleans()):
                inside[at[-1]] = data.draw(WRONG)
            else:
                del inside[at[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # the first change has taken the place of the second
    forged = {**members(), "crossnest.json": json.dumps(head).encode()}
    count("test_forged_values_are_refused", speak(zipped(forged)))


ARRAYS = (
    np.zeros(0),
    np.zeros(3),
    np.full((2, 2), np.nan),
    np.array([np.inf]),
    np.array(["a", "b"]),
    np.array(1.0),
    np.zeros((1, 1, 1, 1)),
    np.array([2**62]),
    np.array([-1, -1]),
    np.array([True]),
    np.ones(4, dtype=complex),
    np.ones(5, dtype=">f8"),
    np.ones(6, dtype=np.float16),
    np.array(["2020-01-01"], dtype="M8[D]"),
)


@cases(quick=40, share=0.02)
@given(st.data())
@logged
def test_forged_arrays_are_refused(data):
    forged = dict(members())
    names = sorted(name for name in forged if name.endswith(".npy"))
    name = data.draw(st.sampled_from(names))
    array = np.lib.format.read_array(io.BytesIO(forged[name]))
    kind = data.draw(st.sampled_from(["other", "shorter", "nan", "huge", "header", "gone"]))
    if kind == "gone":
        del forged[name]
    elif kind == "header":
        text = forged[name].replace(b"'shape': (", b"'shape': (9", 1)
        forged[name] = text
    else:
        if kind == "other":
            array = data.draw(st.sampled_from(ARRAYS))
        elif kind == "shorter":
            array = array[: len(array) // 2] if array.ndim else array
        else:
            array = np.full_like(array, np.nan if kind == "nan" else 1e300, dtype=float)
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        forged[name] = buffer.getvalue()
    count("test_forged_arrays_are_refused", speak(zipped(forged)))


def bomb(kind: str) -> bytes:
    """Make a small file that unpacks to much."""
    size = 2_000_000_000
    if kind == "array":
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }" % (size // 8)
        start = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
        return zipped({**members(), "0.npy": start + bytes(40_000_000)})
    if kind == "head":
        return zipped({"crossnest.json": b"[" + b" " * 150_000_000 + b"]"})
    return zipped(
        {
            "crossnest.json": b'{"format": "crossnest model", "version": 1, "content": '
            + b"[" * 200_000
            + b"]" * 200_000
            + b"}"
        }
    )


@pytest.mark.parametrize("kind", ["array", "head", "depth"])
def test_a_small_file_that_unpacks_to_much_is_refused_before_it_does(kind, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(bomb(kind))
    assert path.stat().st_size < 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError):
            crossnest.load(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [2, 10**30, "2", None, 1.5, -1, True, []])
def test_files_of_other_versions_are_refused(version, tmp_path):
    head = json.loads(members()["crossnest.json"])
    head["version"] = version
    path = tmp_path / "newer"
    path.write_bytes(zipped({**members(), "crossnest.json": json.dumps(head).encode()}))
    with pytest.raises(FileFormatError, match="update crossnest" if version == 2 else None):
        crossnest.load(path)
