"""Read-only results: nothing they hand out can be used to change them.

Arrays are read-only, everything from pandas and every dict and list is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
import pandas as pd

__all__ = [
    "FrozenArrays",
    "Immutable",
    "ReadOnly",
    "cached_property",
    "frozen",
    "guarded",
    "hands_out_copies",
]

T = TypeVar("T")
Array = TypeVar("Array", bound=np.ndarray[Any, Any])
Class = TypeVar("Class")

_plain_attribute = object.__getattribute__


class ReadOnly:
    """Mixin for a class of results: what its public attributes return cannot change it."""

    if not TYPE_CHECKING:  # for the type checker every attribute would exist

        def __getattribute__(self, name: str) -> Any:
            """Guard the value of a public attribute."""
            value = _plain_attribute(self, name)
            if name[0] == "_":
                return value
            guard = _guard_of(type(value))
            return value if guard is None else guard(value)


class FrozenArrays:
    """Mixin for a dataclass of arrays that is read often: they are made read-only at once.

    Fields that hold what cannot be made read-only are named to `hands_out_copies`.
    """

    def __post_init__(self) -> None:
        """Freeze the arrays and tuples of arrays."""
        for value in vars(self).values():
            if type(value) is np.ndarray:
                value.flags.writeable = False
            elif type(value) is tuple:
                _frozen_items(value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Freeze the arrays of a copy."""
        vars(self).update(state)
        FrozenArrays.__post_init__(self)


def hands_out_copies(*names: str) -> Callable[[type[Class]], type[Class]]:
    """Decorate a dataclass: reading the fields named gives copies of what they hold."""

    def decorate(owner: type[Class]) -> type[Class]:
        for name in names:
            setattr(owner, name, _GuardedField(name))
        return owner

    return decorate


class _GuardedField:
    """A field that can be read but gives nothing away."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Return what may be handed out."""
        if instance is None:
            return self
        try:
            return guarded(instance.__dict__[self._name])
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, instance: object, value: Any) -> None:
        """Keep the value: only the constructor of a frozen dataclass gets here."""
        instance.__dict__[self._name] = value


class Immutable(ReadOnly):
    """Mixin for a class that is not a dataclass: `__init__` puts attributes into ``vars(self)``."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to set an attribute."""
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be set")

    def __delattr__(self, name: str) -> None:
        """Refuse to remove an attribute."""
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be removed")


def guarded(value: Any) -> Any:
    """Return what may be handed out: an array made read-only, a copy of what cannot be."""
    kind: type = type(value)
    guard = _guard_of(kind)
    return value if guard is None else guard(value)


def _frozen_items(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make the arrays of a tuple read-only."""
    for item in values:
        if isinstance(item, np.ndarray):
            frozen(item)
    return values


def frozen(array: Array) -> Array:
    """Make an array read-only where it lies, and return it."""
    if array.flags.writeable:
        array.flags.writeable = False
    return array


#: What is done to values before they are handed out, by type; all else is given as it is.
_GUARDS: dict[type, Callable[[Any], Any]] = {
    np.ndarray: frozen,
    pd.DataFrame: lambda frame: frame.copy(),
    pd.Series: lambda series: series.copy(),
    pd.Index: lambda index: index.view(),  # its name can be set
}
_EXACT_GUARDS: dict[type, Callable[[Any], Any]] = {
    dict: lambda items: {key: guarded(item) for key, item in items.items()},
    list: lambda items: [guarded(item) for item in items],
    tuple: _frozen_items,
}


@lru_cache(maxsize=256)
def _guard_of(kind: type) -> Callable[[Any], Any] | None:
    """Return what is done to values of a type, or None."""
    inherited = (guard for base, guard in _GUARDS.items() if issubclass(kind, base))
    return _EXACT_GUARDS.get(kind) or next(inherited, None)


class cached_property(Generic[T]):
    """A property computed when first asked for and kept.

    That of functools in Python 3.11 holds a lock while it computes. A process forked meanwhile by
    another thread would wait for it forever. Here two threads may compute the same value twice.

    Parameters
    ----------
    compute : callable
        The property's function.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name of the property."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[T]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object, owner: type | None = None) -> cached_property[T] | T:
        """Compute the value; from now on the instance's dict has it."""
        if instance is None:
            return self
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value
