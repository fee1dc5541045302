"""What a minimiser takes and gives: the entries of one router, and blocks of keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...arguments import shown
from ...errors import MappingError, S2NirError
from ...values import freeze_fields

KEY_SPACE = 1 << 32
ALL_BITS = KEY_SPACE - 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entries:
    """Entries of one router in order: the first with key == (packet & mask) decides.

    key, mask : uint32 (entries); a key has no bit outside of its mask, since it would match nothing
    route : int32 (entries), equal where the route words are

    >>> print(Entries(key=[0b1000], mask=[0xFFFFFFFE], route=[3]))
    0000000000000000000000000000100X -> 3
    """

    key: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    route: NDArray[np.int32]

    def __post_init__(self) -> None:
        freeze_fields(self, key=np.uint32, mask=np.uint32, route=np.int32)
        shapes = {self.key.shape, self.mask.shape, self.route.shape}
        if shapes != {(self.key.size,)}:
            raise MappingError(f"Entries: key, mask and route have shapes {sorted(shapes)}. Give one each per entry.")
        for i in np.flatnonzero(self.key & ~self.mask)[:1]:
            raise MappingError(
                f"Entries: entry {i} has key {self.key[i]:#010x} and mask {self.mask[i]:#010x}, and no packet matches "
                "a key with a bit outside of its mask. Clear those bits."
            )

    @property
    def size(self) -> int:
        return int(self.key.size)

    def take(self, which: NDArray[Any]) -> Entries:
        """The entries of these indices, in this order."""
        return Entries(key=self.key[which], mask=self.mask[which], route=self.route[which])

    def __str__(self) -> str:
        """One line per entry, as a router sees it."""
        return "\n".join(
            f"{cube(int(k), int(m))} -> {r}" for k, m, r in zip(self.key, self.mask, self.route, strict=True)
        )


def as_entries(key: ArrayLike, mask: ArrayLike, route: ArrayLike) -> Entries:
    """Entries of numbers of any type."""
    return Entries(key=np.asarray(key, np.uint32), mask=np.asarray(mask, np.uint32), route=np.asarray(route, np.int32))


class Minimise(Protocol):
    """A table to one of no more entries that routes each key that the table matches as the table does.

    The table's entries are disjoint: no key is matched by two. A key that no entry of the table matches may find one
    in the result, or not; see each minimiser.
    """

    def __call__(self, table: Entries) -> Entries: ...


def none(table: Entries) -> Entries:
    """The table as it is."""
    return table


def blocks(value: Any, where: str, error: type[S2NirError]) -> Blocks | None:
    """Blocks of keys to avoid, or None."""
    if not isinstance(value, Blocks | None):
        raise error(f"{where}: found {shown(value)}, needed Blocks(base=..., size=...), or None")
    return value


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Blocks:
    """Disjoint blocks of keys, each a power of two of keys and aligned to it, in rising order.

    base : uint32 (blocks), the lowest key of each
    size : int64 (blocks), keys of each
    """

    base: NDArray[np.uint32]
    size: NDArray[np.int64]

    def __post_init__(self) -> None:
        freeze_fields(self, base=np.uint32, size=np.int64)
        if not self.base.shape == self.size.shape == (self.base.size,):
            raise MappingError(
                f"Blocks: base and size have shapes {self.base.shape} and {self.size.shape}. Give one each per block."
            )
        base, size = self.base.astype(np.int64), self.size
        end = base + size
        odd = (size < 1) | (size & (size - 1) != 0) | (base & (size - 1) != 0) | (end > KEY_SPACE)
        odd[1:] |= base[1:] < end[:-1]
        for i in np.flatnonzero(odd)[:1]:
            raise MappingError(
                f"Blocks: block {i} has base {base[i]:#x} and {size[i]} keys. A block is a power of two of keys within "
                "32 bits, aligned to it, and begins after the end of the one before."
            )

    @property
    def mask(self) -> NDArray[np.uint32]:
        return (-self.size & ALL_BITS).astype(np.uint32)

    def others(self) -> Blocks:
        """All keys of no block, in the fewest blocks.

        >>> rest = Blocks(base=[0, 4], size=[4, 2]).others()
        >>> [hex(k) for k in rest.base[:3]], rest.size[:3].tolist(), rest.base.size
        (['0x6', '0x8', '0x10'], [2, 8, 16], 30)
        """
        first = np.concatenate([[0], self.base + self.size])
        last = np.concatenate([self.base.astype(np.int64), [KEY_SPACE]])
        gaps = [b for f, t in zip(first.tolist(), last.tolist(), strict=True) for b in _aligned(f, t)]
        return Blocks(base=np.array([b for b, _ in gaps], np.uint32), size=np.array([s for _, s in gaps], np.int64))

    def also(self, table: Entries) -> Blocks:
        """These blocks and those of the entries, whose masks fix the upper bits of a key and no other."""
        base = np.concatenate([self.base, table.key])
        size = np.concatenate([self.size, KEY_SPACE - table.mask.astype(np.int64)])
        order = np.argsort(base, kind="stable")
        return Blocks(base=base[order], size=size[order])


def cube(key: int, mask: int) -> str:
    """A key and mask as 32 of 0, 1 and X."""
    return "".join("X" if not mask >> b & 1 else str(key >> b & 1) for b in range(31, -1, -1))


def refuse_overlap(table: Entries, who: str) -> None:
    """Refuse a table of which two entries match one key."""
    from . import kernels

    order = np.argsort(table.key, kind="stable")
    pair = kernels.overlap(table.key[order].astype(np.int64), table.mask[order].astype(np.int64))
    if pair[0] >= 0:
        a, b = sorted(int(order[i]) for i in pair)
        raise MappingError(
            f"{who}: entries {a} and {b} both match key {int(table.key[a] | table.key[b]):#x}, and minimising needs "
            "entries that are disjoint. Minimise the table as it was made, before anything else."
        )


def _aligned(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The keys from `first` up to `last`, without it, as the fewest aligned blocks of (base, size)."""
    while first < last:
        size = min(first & -first or KEY_SPACE, 1 << ((last - first).bit_length() - 1))
        yield first, size
        first += size
