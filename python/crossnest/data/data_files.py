"""Data files of the command line: read as they were meant, or refused in one line."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from .. import datasets

__all__ = ["KINDS", "DataFileError", "read_data"]

#: What a file's name may end in, compression left out.
KINDS = (".csv", ".tsv", ".txt", ".parquet", ".feather")
_COMPRESSED = r"(\.(gz|bz2|xz|zst|zip))?"
_NAMED_SEPARATORS = {"tab": "\t", r"\t": "\t", "space": r"\s+", "comma": ",", "semicolon": ";"}

#: How files begin that are no text.
_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather file",
    b"PK\x03\x04": "a zip archive or spreadsheet",
    b"\x1f\x8b": "compressed by gzip",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"SQLite": "a database",
    b"\x89HDF": "an HDF5 file",
    b"CDF": "a NetCDF file",
}


class DataFileError(ValueError):
    """A file cannot be read as data."""


def read_data(
    source: str, sep: str | None = None, encoding: str | None = None, decimal: str = "."
) -> pd.DataFrame:
    """Read a bundled data set, a file, or standard input.

    Parameters
    ----------
    source
        The name of a data set, a path, or ``"-"`` for standard input.
    sep
        What stands between the columns of a text; by default a tab in files ending in ``.tsv``, any
        white space in ``.txt``, a comma in all others.
    encoding
        Encoding of a text; UTF-8 if not given.
    decimal
        The decimal mark of a text.

    Raises
    ------
    DataFileError
        If there is no such thing, or it cannot be read.
    """
    kind = _kind(source)
    if kind is None:
        return _bundled(source)
    if kind in (".parquet", ".feather"):
        return _columnar(source, kind)
    options = {"encoding": encoding or "utf-8", "decimal": decimal, "sep": _separator(sep, kind)}
    return _text(source, options)


def _kind(source: str) -> str | None:
    """Return the kind of a file by its name; None for what is no file's name."""
    if source == "-":
        return ".csv"
    for kind in KINDS:
        if re.search(re.escape(kind) + _COMPRESSED + "$", source.lower()):
            return kind
    path = Path(source)
    if path.suffix or len(path.parts) > 1:
        raise DataFileError(f"cannot read {source}: expected a file of {', '.join(KINDS)}")
    return None


def _separator(given: str | None, kind: str) -> str:
    if given is None:
        return {".tsv": "\t", ".txt": r"\s+"}.get(kind, ",")
    sep = _NAMED_SEPARATORS.get(given, given)
    if sep != r"\s+" and len(sep) != 1:
        raise DataFileError(f"the separator must be one character, 'tab' or 'space', not {sep!r}")
    return sep


def _bundled(name: str) -> pd.DataFrame:
    try:
        return datasets.load(name)
    except (KeyError, ValueError) as error:
        raise DataFileError(str(error)) from None


def _columnar(source: str, kind: str) -> pd.DataFrame:
    """Read a Parquet or Feather file."""
    reader = pd.read_parquet if kind == ".parquet" else pd.read_feather
    try:
        data: pd.DataFrame = reader(source)
    except ImportError:
        raise _unreadable(source, "install pyarrow to read such files") from None
    except OSError as error:
        raise _unreadable(source, _reason(error)) from None
    except Exception as error:  # pyarrow raises whatever its parsers do
        raise _unreadable(source, error) from None
    return data.reset_index() if any(data.index.names) else data


def _unreadable(source: str, why: object) -> DataFileError:
    return DataFileError(f"cannot read {_called(source)}: {why}")


def _called(source: str) -> str:
    return "standard input" if source == "-" else source


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return error.strerror or str(error)


# -------------------------------------------------------------------------------------- text


def _text(source: str, options: Mapping[str, Any]) -> pd.DataFrame:
    """Read separated columns; refuse what is not such a text."""
    try:
        content = _content(source)
        _check_content(source, content, str(options["encoding"]))
        data = _parse(source, content, options)
    except DataFileError:
        raise
    except OSError as error:
        raise _unreadable(source, _reason(error)) from None
    except pd.errors.EmptyDataError:
        raise _unreadable(source, "it is empty") from None
    except (UnicodeError, LookupError) as error:
        raise _unreadable(source, _about_encoding(error, str(options["encoding"]))) from None
    except ImportError as error:
        raise _unreadable(source, error) from None
    except Exception as error:  # pandas raises whatever its parsers do
        raise _unreadable(
            source, str(error).removeprefix("Error tokenizing data. ").removeprefix("C error: ")
        ) from None
    _check_separator(source, data, str(options["sep"]))
    return data


def _content(source: str) -> Any:
    """Return a path, or the bytes of what can be read once only."""
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    return path if path.is_file() or not path.exists() else path.read_bytes()


def _csv(content: Any, options: Mapping[str, Any], **more: Any) -> pd.DataFrame:
    """Call pandas' reader on a path or on bytes."""
    at_hand = isinstance(content, bytes)
    compression = None if at_hand else "infer"
    reader: Any = pd.read_csv
    data: pd.DataFrame = reader(
        BytesIO(content) if at_hand else content,
        compression=compression,
        skipinitialspace=True,
        **options,
        **more,
    )
    return data


def _check_content(source: str, content: Any, encoding: str) -> None:
    """Refuse files that are no text by how they begin."""
    if isinstance(content, bytes):
        start = content[:4096]
    elif re.search(_COMPRESSED[:-1] + "$", source.lower()):
        return
    else:
        with content.open("rb") as file:
            start = file.read(4096)
    for signature, kind in _SIGNATURES.items():
        if start.startswith(signature):
            raise _unreadable(source, f"it is {kind}, not a text file of columns")
    if b"\0" in start and not re.match("utf.?(16|32)", encoding.lower()):
        hint = ""
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "; it looks like UTF-16: use --encoding utf-16"
        raise _unreadable(source, "it is binary, not a text file of columns" + hint)


def _about_encoding(error: Exception, encoding: str) -> str:
    if isinstance(error, LookupError):
        return f"there is no encoding '{encoding}'"
    return f"it is not text in {encoding.upper()}: specify its encoding, such as --encoding latin-1"


def _parse(source: str, content: Any, options: Mapping[str, Any]) -> pd.DataFrame:
    """Parse a text, every field under its name."""
    data = _csv(content, options)
    if isinstance(data.index, pd.RangeIndex):
        return data
    # Rows have more fields than the header has names, and pandas made labels of the first ones.
    _check_separator(source, data, str(options["sep"]))
    names = len(data.columns)
    width = list(range(names + data.index.nlevels))
    fields = _csv(content, options, header=0, names=width, dtype=str, keep_default_na=False)
    filled = fields.iloc[:, names:].to_numpy() != ""
    if not filled.any():  # the rows end in separators
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            return _csv(content, options, index_col=False)
    if filled.shape[1] == 1 and filled.all():
        return data.reset_index(drop=True)  # R's labels of the rows
    row = int(filled.any(axis=1).argmax()) + 1
    raise _unreadable(source, f"row {row} has more fields than the {names} names of the header")


def _check_separator(source: str, data: pd.DataFrame, sep: str) -> None:
    """Refuse a text whose one column shows another separator in its name."""
    if len(data.columns) > 1:
        return
    name = str(data.columns[0])
    for other, called in ((";", "';'"), ("\t", "tab"), (",", "','"), ("|", "'|'")):
        if other != sep and other in name:
            text = f"it has one column, {name!r}: specify the separator with --sep {called}"
            raise _unreadable(source, text)
