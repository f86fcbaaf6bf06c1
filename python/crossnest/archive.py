"""An archive: plain values and arrays in one file, and nothing in it that is ever executed.

The file is a zip: ``crossnest.json`` says which format it has and holds the values, ``0.npy``,
``1.npy``, ... are the arrays they refer to. The checksums of the zip tell whether it is damaged.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ._core import __version__
from .errors import FileFormatError

__all__ = ["FORMAT_VERSION", "blaming_the_file", "read_archive", "write_archive"]

#: The format written, and the newest that can be read.
FORMAT_VERSION = 1
FORMAT = "crossnest model"
HEAD = "crossnest.json"
#: How such a file begins: the signature of a zip, and the name of its first member.
_SIGNATURE, _NAME_AT = b"PK\x03\x04", 30

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def write_archive(path: str | os.PathLike[str], content: Any) -> None:
    """Write values to a file, which is left as it was if they cannot be written.

    Parameters
    ----------
    path
        Where to.
    content
        None, numbers, text, times, intervals, arrays of numbers, indexes of such labels, and
        lists, tuples and dicts of all these.

    Raises
    ------
    NotImplementedError
        If there is something else in it.
    """
    arrays: list[np.ndarray[Any, Any]] = []
    values = _encode(content, arrays)
    head = {"format": FORMAT, "version": FORMAT_VERSION, "crossnest": __version__}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        _add(file, HEAD, json.dumps(head | {"content": values}).encode())
        for number, array in enumerate(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            _add(file, f"{number}.npy", member.getvalue())
    Path(path).write_bytes(buffer.getvalue())


def _add(file: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member; without a date, so that equal contents give equal files."""
    file.writestr(zipfile.ZipInfo(name), data, compress_type=zipfile.ZIP_DEFLATED)


def read_archive(path: str | os.PathLike[str]) -> Any:
    """Read what `write_archive` wrote.

    Raises
    ------
    FileFormatError
        If the file is of another kind, damaged, or of a newer format.
    OSError
        If there is no such file, or it cannot be read.
    """
    data = Path(path).read_bytes()
    if not (data.startswith(_SIGNATURE) and data[_NAME_AT:].startswith(HEAD.encode())):
        raise FileFormatError(f"'{os.fspath(path)}' is not a file a crossnest model was saved to")
    with blaming_the_file(path), zipfile.ZipFile(io.BytesIO(data)) as file:
        head = json.loads(file.read(HEAD))
        _check_version(path, head)
        return _decode(head["content"], file)


@contextmanager
def blaming_the_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of whatever goes wrong that the file is damaged."""
    try:
        yield
    except FileFormatError:
        raise
    # The libraries underneath raise some ten kinds of exceptions, depending on the byte.
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        message = f"'{os.fspath(path)}' is damaged or truncated ({detail})"
        raise FileFormatError(message) from error


def _check_version(path: str | os.PathLike[str], head: Mapping[str, Any]) -> None:
    if head["format"] != FORMAT:
        raise FileFormatError(f"'{os.fspath(path)}' is not a file a crossnest model was saved to")
    if head["version"] > FORMAT_VERSION:
        raise FileFormatError(
            f"'{os.fspath(path)}' was written by crossnest {head['crossnest']} in format "
            f"{head['version']}, and this crossnest {__version__} reads formats up to "
            f"{FORMAT_VERSION}: update crossnest"
        )


# ------------------------------------------------------------------------------------ values


def _encode(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Json:
    """Turn a value into JSON; arrays are put aside, and what JSON lacks becomes ``{"$...": }``."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return float(value)
        case np.generic():
            return _encode(value.item(), arrays)
        case list():
            return [_encode(item, arrays) for item in value]
        case tuple():
            return {"$tuple": [_encode(item, arrays) for item in value]}
        case Mapping():
            return _encode_mapping(value, arrays)
        case np.ndarray() if value.dtype.kind in "biuf":
            arrays.append(value)
            return {"$array": len(arrays) - 1}
        case pd.Index():
            return _encode_index(value, arrays)
        case pd.Timestamp():
            return {"$time": [value.isoformat(), None if value.tz is None else str(value.tz)]}
        case pd.Timedelta():
            return {"$duration": value.isoformat()}
        case pd.Interval():
            ends = [_encode(end, arrays) for end in (value.left, value.right)]
            return {"$interval": [*ends, value.closed]}
    raise NotImplementedError(
        f"a model with a {type(value).__name__} in it, {value!r}, cannot be saved to a file: "
        "pickle the model"
    )


def _encode_mapping(value: Mapping[Any, Any], arrays: list[np.ndarray[Any, Any]]) -> Json:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _encode(item, arrays) for key, item in value.items()}
    return {"$dict": [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]}


def _encode_index(value: pd.Index, arrays: list[np.ndarray[Any, Any]]) -> Json:
    if isinstance(value.dtype, np.dtype) and value.dtype.kind in "biuf":
        return {"$index": _encode(value.to_numpy(), arrays), "dtype": None}
    return {"$index": _encode(value.tolist(), arrays), "dtype": str(value.dtype)}


def _decode(value: Any, file: zipfile.ZipFile) -> Any:
    """Turn JSON back into a value."""
    if isinstance(value, list):
        return [_decode(item, file) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$tuple": items}:
            return tuple(_decode(items, file))
        case {"$dict": items}:
            return {_decode(key, file): _decode(item, file) for key, item in items}
        case {"$array": number}:
            member = io.BytesIO(file.read(f"{number}.npy"))
            return np.lib.format.read_array(member, allow_pickle=False)
        case {"$index": items, "dtype": dtype}:
            return pd.Index(_decode(items, file), dtype=dtype)
        case {"$time": [text, zone]}:
            return pd.Timestamp(text) if zone is None else pd.Timestamp(text).tz_convert(zone)
        case {"$duration": text}:
            return pd.Timedelta(text)
        case {"$interval": [left, right, closed]}:
            return pd.Interval(_decode(left, file), _decode(right, file), closed)
    return {key: _decode(item, file) for key, item in value.items()}
