"""Results that stay true: nothing they give can be used to change them.

Arrays are read-only, everything from pandas and every dict and list is a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
import pandas as pd

__all__ = ["Immutable", "ReadOnly", "cached_property", "frozen", "guarded"]

T = TypeVar("T")
Array = TypeVar("Array", bound=np.ndarray[Any, Any])

#: Types whose values can be written into.
_GUARDED = (np.ndarray, pd.DataFrame, pd.Series, pd.Index, dict, list, tuple)
#: Frequent types whose values cannot, told apart fast.
_FREE = frozenset({str, int, float, bool, type(None), MethodType})
_plain_attribute = object.__getattribute__


class ReadOnly:
    """Mixed into a class of results: what its public attributes give cannot change it."""

    if not TYPE_CHECKING:  # for the type checker every attribute would exist

        def __getattribute__(self, name: str) -> Any:
            """Guard the value of a public attribute."""
            value = _plain_attribute(self, name)
            if type(value) in _FREE or name[0] == "_" or not isinstance(value, _GUARDED):
                return value
            return guarded(value)


class Immutable(ReadOnly):
    """Mixed into a class that is no dataclass: `__init__` puts attributes into ``vars(self)``."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to set an attribute."""
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be set")

    def __delattr__(self, name: str) -> None:
        """Refuse to remove an attribute."""
        raise AttributeError(f"'{name}' of a {type(self).__name__} cannot be removed")


def guarded(value: Any) -> Any:
    """Return what may be handed out: an array made read-only, a copy of what cannot be."""
    if isinstance(value, np.ndarray):
        return frozen(value)
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.copy()
    if isinstance(value, pd.Index):
        return value.view()  # its name can be set
    if type(value) is dict:
        return {key: guarded(item) for key, item in value.items()}
    if type(value) is list:
        return [guarded(item) for item in value]
    if type(value) is tuple:
        for item in value:
            if isinstance(item, np.ndarray):
                frozen(item)
    return value


def frozen(array: Array) -> Array:
    """Make an array read-only where it lies, and return it."""
    if array.flags.writeable:
        array.flags.writeable = False
    return array


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
