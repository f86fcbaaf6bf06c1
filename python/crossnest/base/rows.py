"""Records whose rows may be gone: a model loaded from a file has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .errors import NoDataError

__all__ = ["MayLackRows", "no_data"]


def no_data(what: str) -> NoDataError:
    """Say that the data are needed for something."""
    return NoDataError(
        f"this needs the data ({what}), which a model loaded from a file does not have: fit the "
        "model again"
    )


class MayLackRows:
    """Mixed into a dataclass some of whose fields have one value per row.

    Where the rows are gone these fields are absent, and reading one is a `NoDataError`; all else is
    as it was.

    Parameters
    ----------
    per_row : mapping of str to str
        These fields, and what they are in words.
    """

    _per_row: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls, per_row: Mapping[str, str], **options: Any) -> None:
        """Note which fields have one value per row."""
        super().__init_subclass__(**options)
        cls._per_row = per_row

    @classmethod
    def without_rows(cls, **given: Any) -> Self:
        """Make a record of the fields given and properties already known, the others absent."""
        record = object.__new__(cls)
        vars(record).update(given)
        return record

    if not TYPE_CHECKING:  # for the type checker every attribute would exist

        def __getattr__(self, name: str) -> Any:
            """Refuse what is absent."""
            if name in type(self)._per_row:
                raise no_data(type(self)._per_row[name])
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        """Show the fields there are."""
        known = vars(self)
        shown = (f"{f.name}={known[f.name]!r}" for f in fields(self) if f.repr and f.name in known)  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"
