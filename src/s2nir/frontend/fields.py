"""One field of a node, checked: numbers, whole numbers, shapes, pairs, text. Every error names node and field."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import LoadError
from .raw import Shape


def text(where: str, value: Any) -> str:
    """Text, also where it comes as bytes or as an array of one."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bytes):
        try:
            return value.decode("utf8")
        except UnicodeDecodeError:
            raise LoadError(f"{where}: found {value!r}, needed text in UTF-8") from None
    if not isinstance(value, str):
        raise LoadError(f"{where}: found {_say(value)}, needed text")
    return str(value)


def numbers(where: str, value: Any) -> NDArray[np.float64]:
    """Finite numbers as float64, of any shape.

    >>> numbers("a.LIF.tau", [1, 2.5])
    array([1. , 2.5])
    """
    array = _array(where, value)
    if array.size == 0:
        raise LoadError(f"{where}: is empty (shape {array.shape})")
    result = np.ascontiguousarray(array, np.float64).reshape(array.shape)
    if not np.isfinite(result).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise LoadError(f"{where}: found {result[at]} at index {at}, needed finite numbers")
    return result


def positive(where: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same numbers, all above 0."""
    if (value <= 0).any():
        raise LoadError(f"{where}: value must be greater than 0 (found {value.min():g})")
    return value


def whole(where: str, value: Any, least: int | None = None) -> int:
    """One whole number, from `least` up.

    >>> whole("c.Conv2d.groups", np.int64(2), least=1)
    2
    """
    array = _array(where, value)
    if array.size != 1:
        raise LoadError(f"{where}: found shape {array.shape}, needed one whole number")
    return wholes(where, array.reshape(1), least)[0]


def wholes(where: str, value: Any, least: int | None = None) -> Shape:
    """Whole numbers in a row, from `least` up."""
    array = _array(where, value)
    if array.ndim != 1 or array.size > 32:
        raise LoadError(f"{where}: found shape {array.shape}, needed a short row of whole numbers")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.floor(array)).all()):
        raise LoadError(f"{where}: found {array.tolist()}, needed whole numbers")
    result = tuple(int(v) for v in array)
    if least is not None and any(v < least for v in result):
        raise LoadError(f"{where}: found {min(result)}, needed {least} or more")
    return result


def pair(where: str, value: Any, least: int) -> tuple[int, int]:
    """(height, width) from one number or two."""
    array = _array(where, value)
    if array.size == 1:
        one = whole(where, array, least)
        return one, one
    both = wholes(where, array, least)
    if len(both) != 2:
        raise LoadError(f"{where}: found {len(both)} numbers, needed one or two")
    return both[0], both[1]


def shape(where: str, value: Any) -> Shape:
    """A shape of one dimension or more, every one at least 1."""
    array = _array(where, value)
    found = wholes(where, array.reshape(1) if array.ndim == 0 else array, least=1)
    if not found:
        raise LoadError(f"{where}: the shape has no dimension, needed at least one")
    return found


def _array(where: str, value: Any) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except Exception as error:  # lists of unlike lengths, tensors on a device: whatever numpy says of them
        raise LoadError(f"{where}: found {_say(value)}, needed numbers ({error})") from error
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise LoadError(f"{where}: found {_say(value)} (dtype {array.dtype}), needed numbers")
    return array


def _say(value: Any) -> str:
    words = repr(value)
    return f"{type(value).__name__} {words if len(words) < 40 else words[:36] + ' ...'}"
