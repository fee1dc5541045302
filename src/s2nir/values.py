"""What a frozen dataclass with arrays needs: read-only copies, equality and a digest that are stable across hosts."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def freeze(values: ArrayLike, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """A read-only copy, C-ordered and little-endian.

    >>> a = freeze([1, 2], np.int8)
    >>> a.flags.writeable
    False
    """
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    array.setflags(write=False)
    return array


def aligned(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """Zeros that begin at a multiple of 64 bytes: a vector that is stored there lies in one line of the cache.

    >>> aligned(3, np.int32).ctypes.data % 64, aligned(3, np.int32).tolist()
    (0, [0, 0, 0])
    """
    kind = np.dtype(dtype)
    room = np.zeros(size * kind.itemsize + 64, np.uint8)
    begin = -room.ctypes.data % 64
    return room[begin : begin + size * kind.itemsize].view(kind)


def freeze_fields(value: object, **dtypes: DTypeLike | None) -> None:
    """Replace the named array fields of a frozen dataclass by read-only copies; call from `__post_init__`."""
    for name, dtype in dtypes.items():
        found = getattr(value, name)
        if found is not None:
            object.__setattr__(value, name, freeze(found, dtype))


class FrozenMap(dict[Any, Any]):
    """A mapping that cannot be changed, and that can be pickled and copied.

    >>> FrozenMap(a=1)["a"]
    1
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("this mapping belongs to a frozen value; make a dict of it to change it")

    __setitem__ = __delitem__ = update = setdefault = pop = popitem = clear = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMap, (dict(self),)


class Noun:
    """A frozen dataclass that is equal to another where their digests are."""

    __slots__ = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all fields; see `values.digest` for those that are left out."""
        return digest(self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<{str(self).splitlines()[0]}>"


def digest(value: Any) -> str:
    """SHA-256 over the value, in hex; equal values give equal digests on every host.

    Fields declared with `metadata={"digest": False}` are left out, and those with `"given"` where they are None: what
    was added to a noun later changes no digest of those without it.

    >>> digest((1, "a")) == digest((1, "a")), digest(1) == digest(1.0)
    (True, False)
    """
    return _digest(value).hex()


def same(a: Any, b: Any) -> bool:
    """Whether two values have the same type and content (as their digests see it).

    >>> same(freeze([1.0, float("nan")]), freeze([1.0, float("nan")]))
    True
    """
    return type(a) is type(b) and _digest(a) == _digest(b)


def _digest(value: Any) -> bytes:
    h = hashlib.sha256()
    _feed(h, value)
    return h.digest()


def _feed(h: Any, value: Any) -> None:
    """Feed one tagged, length-prefixed value, so that no two values give the same bytes."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        array = np.ascontiguousarray(value)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        h.update(b"A" + array.dtype.str.encode() + struct.pack("<q", value.ndim))
        h.update(struct.pack(f"<{value.ndim}q", *value.shape))
        h.update(array.data if array.size else b"")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        h.update(b"D" + _text(type(value).__name__))
        for field in dataclasses.fields(value):
            kept = field.metadata.get("digest", True)
            if kept is True or (kept == "given" and getattr(value, field.name) is not None):
                h.update(_text(field.name))
                _feed(h, getattr(value, field.name))
    elif isinstance(value, enum.Enum):
        h.update(b"E" + _text(type(value).__name__) + _text(value.name))
    elif isinstance(value, bool | np.bool_):
        h.update(b"B1" if value else b"B0")
    elif isinstance(value, int | np.integer):
        h.update(b"I" + _text(str(int(value))))
    elif isinstance(value, float | np.floating):
        h.update(b"F" + struct.pack("<d", float(value)))
    elif isinstance(value, str):
        h.update(b"S" + _text(value))
    elif isinstance(value, bytes):
        h.update(b"Y" + struct.pack("<q", len(value)) + value)
    elif value is None:
        h.update(b"N")
    elif isinstance(value, tuple | list):
        h.update(b"T" + struct.pack("<q", len(value)))
        for item in value:
            _feed(h, item)
    elif isinstance(value, Mapping):
        h.update(b"M" + struct.pack("<q", len(value)))
        for key in sorted(value, key=str):
            h.update(_text(str(key)))
            _feed(h, value[key])
    else:
        raise TypeError(f"digest of a {type(value).__name__}: give it arrays, dataclasses, numbers, text or containers")


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<q", len(raw)) + raw
