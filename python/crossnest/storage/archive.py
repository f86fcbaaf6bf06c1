"""An archive: plain values and arrays in one file, nothing of which is ever executed.

The file is a zip: ``crossnest.json`` says which format it has and holds the values, ``0.npy``,
``1.npy``, ... are the arrays they refer to. The checksums of the zip tell whether it is damaged.
What a member says of its size is believed only within limits, so that a small file cannot unpack to
a large one.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from .._core import __version__
from ..base.errors import FileFormatError
from ..base.files import write_file
from .schema import Mismatch, whole

__all__ = ["FORMAT_VERSION", "blaming_the_file", "read_archive", "write_archive"]

#: The format written, and the newest that can be read.
FORMAT_VERSION = 1
FORMAT = "crossnest model"
HEAD = "crossnest.json"
#: How such a file begins: the signature of a zip, and the name of its first member.
_SIGNATURE, _NAME_AT = b"PK\x03\x04", 30
#: A file may unpack to this many bytes, or to this multiple of its size; so may the values in it,
#: which take many times as much once they are read.
_UNPACKED, _RATIO = 1 << 26, 100
_UNPACKED_VALUES, _RATIO_OF_VALUES = 1 << 22, 30

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
    members = {HEAD: json.dumps(head | {"content": values}).encode()}
    for number, array in enumerate(arrays):
        member = io.BytesIO()
        np.lib.format.write_array(member, array, allow_pickle=False)
        members[f"{number}.npy"] = member.getvalue()
    write_file(path, _zipped(members))


def _zipped(members: Mapping[str, bytes]) -> bytes:
    """Zip members; as they are, if they would be compressed more than a reader accepts."""
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for name, data in members.items():
                # Without a date, so that equal contents give equal files.
                file.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
            sound = not _excess(file.infolist())
        if sound:
            break
    return buffer.getvalue()


def _excess(members: Sequence[zipfile.ZipInfo]) -> str:
    """Say in what way an archive would unpack to more than its size justifies."""
    head, *_ = members
    limits = (
        ("the values", [head], _UNPACKED_VALUES, _RATIO_OF_VALUES),
        ("all of it", members, _UNPACKED, _RATIO),
    )
    for what, parts, floor, ratio in limits:
        unpacked = sum(member.file_size for member in parts)
        packed = sum(member.compress_size for member in parts)
        if unpacked > max(floor, ratio * packed):
            return f"{what} would unpack from {packed:,} to {unpacked:,} bytes"
    return ""


def read_archive(path: str | os.PathLike[str]) -> Any:
    """Read what `write_archive` wrote.

    Raises
    ------
    FileFormatError
        If the file is of another kind, damaged, or of a newer format.
    OSError
        If there is no such file, or it cannot be read.
    """
    with open(path, "rb") as stream:
        start = stream.read(_NAME_AT + len(HEAD))
        if not (start.startswith(_SIGNATURE) and start[_NAME_AT:] == HEAD.encode()):
            raise _another_kind(path)
        size = stream.seek(0, os.SEEK_END)
        with blaming_the_file(path), zipfile.ZipFile(stream) as file:
            _check_members(file.infolist(), size)
            head = json.loads(file.read(HEAD))
            _check_version(path, head)
            return _Decoder(file).decode(head["content"])


def _check_members(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse members that say more than is possible, before any of them is unpacked."""
    names = [member.filename for member in members]
    if not names or names[0] != HEAD or len(set(names)) < len(names):
        raise ValueError("its members are not those of a saved model")
    if sum(member.compress_size for member in members) > size:
        raise ValueError("its members overlap")
    if excess := _excess(members):
        raise ValueError(excess)


def _another_kind(path: str | os.PathLike[str]) -> FileFormatError:
    return FileFormatError(f"'{os.fspath(path)}' is not a file a crossnest model was saved to")


@contextmanager
def blaming_the_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Report any failure as a damaged file."""
    try:
        yield
    except FileFormatError:
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # that is a place outside the file
            raise  # the disk, and not what is on it
        raise _damaged(path, error) from error
    except Mismatch as error:
        raise FileFormatError(f"'{os.fspath(path)}' is damaged or forged: {error}") from error
    # The libraries underneath raise some ten kinds of exceptions, depending on the byte.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: str | os.PathLike[str], error: Exception) -> FileFormatError:
    detail = f"{type(error).__name__}: {error}"
    return FileFormatError(f"'{os.fspath(path)}' is damaged or truncated ({detail})")


def _check_version(path: str | os.PathLike[str], head: Any) -> None:
    if type(head) is not dict or head.get("format") != FORMAT:
        raise _another_kind(path)
    whole(1)(head.get("version"), "version")
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
        f"a model that contains a {type(value).__name__}, {value!r}, cannot be saved to a file: "
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


class _Decoder:
    """Turns JSON back into values; no array is read twice.

    Parameters
    ----------
    file : ZipFile
        The archive, which has the arrays.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._unread = {member.filename: member for member in file.infolist()}

    def decode(self, value: Any) -> Any:
        """Turn one value back."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"$tuple": list(items)}:
                return tuple(self.decode(items))
            case {"$dict": items}:
                return {self.decode(key): self.decode(item) for key, item in items}
            case {"$array": int(number)}:
                return self._array(f"{number}.npy")
            case {"$index": items, "dtype": dtype}:
                return pd.Index(self.decode(items), dtype=dtype)
            case {"$time": [text, zone]}:
                return pd.Timestamp(text) if zone is None else pd.Timestamp(text).tz_convert(zone)
            case {"$duration": text}:
                return pd.Timedelta(text)
            case {"$interval": [left, right, closed]}:
                return pd.Interval(self.decode(left), self.decode(right), closed)
        return {key: self.decode(item) for key, item in value.items()}

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        """Read an array whose header agrees with the size of its member."""
        member = self._unread.pop(name, None)
        if member is None:
            raise ValueError(f"the array {name} is missing or occurs twice")
        with self._file.open(member) as stream:
            if np.lib.format.read_magic(stream) != (1, 0):
                raise ValueError(f"the array {name} has a different format")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            told = math.prod(shape) * dtype.itemsize
            if dtype.kind not in "biuf" or min(shape, default=0) < 0:
                raise ValueError(f"the array {name} does not hold numbers")
            if stream.tell() + told != member.file_size:
                raise ValueError(f"the array {name} does not have the size it declares")
            flat = np.frombuffer(stream.read(), dtype)
        return flat.reshape(shape, order="F" if fortran else "C")
