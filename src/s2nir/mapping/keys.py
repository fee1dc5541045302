"""Slices to routing keys: one aligned power-of-two block of keys per slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..arguments import Whole, settle
from ..errors import MappingError
from .boxes import Slice

KEY_SPACE = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyBlock:
    """All keys of one slice: `base | i` for local neuron index i; a router compares the bits of `mask`.

    >>> KeyBlock(base=0x100, bits=4).size, hex(KeyBlock(base=0x100, bits=4).mask)
    (16, '0xfffffff0')
    """

    base: int
    bits: int

    @property
    def size(self) -> int:
        return 1 << self.bits

    @property
    def mask(self) -> int:
        return ~(self.size - 1) & 0xFFFFFFFF

    def __str__(self) -> str:
        """The block as a router sees it.

        >>> print(KeyBlock(base=0b1010_0000, bits=4))
        0000000000000000000000001010XXXX
        """
        return f"{self.base:032b}"[: 32 - self.bits] + "X" * self.bits


class Allot(Protocol):
    """Slices -> one block each. What `check` asks must hold.

    cores : by slice, where its core stands along the machine's curve, beyond the last one where nothing
        hears it; None where nothing is placed
    """

    def __call__(self, slices: tuple[Slice, ...], cores: Sequence[int] | None = None) -> dict[Slice, KeyBlock]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestFirst:
    """Blocks in falling size, so that none needs padding to be aligned.

    Rising order would waste up to half the space: a block of 2**k must start on a multiple of 2**k.
    """

    first: int = 0

    def __post_init__(self) -> None:
        settle(self, MappingError, first=Whole(0, KEY_SPACE - 1))

    def __call__(self, slices: tuple[Slice, ...], cores: Sequence[int] | None = None) -> dict[Slice, KeyBlock]:
        blocks, base = {}, self.first
        for s in sorted(slices, key=lambda s: (-s.size, s)):
            blocks[s] = _block(s, base)
            base = blocks[s].base + blocks[s].size
        return blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class ByChip:
    """Blocks in falling size, in the order of their cores, chips along the curve; no key between them is unused.

    So the keys of neighbours mostly share their upper bits, and entries for them merge. (To align each chip's keys as
    well costs more entries than it saves: what is between them is not in use, and no merge may cover it.)
    """

    def __call__(self, slices: tuple[Slice, ...], cores: Sequence[int] | None = None) -> dict[Slice, KeyBlock]:
        where = dict(zip(slices, [0] * len(slices) if cores is None else cores, strict=True))
        blocks, base = {}, 0
        for s in sorted(slices, key=lambda s: (-(s.size - 1).bit_length(), where[s], s)):
            blocks[s] = _block(s, base)
            base = blocks[s].base + blocks[s].size
        return blocks


def _block(s: Slice, base: int) -> KeyBlock:
    """The first block from `base` on that holds a slice."""
    bits = (s.size - 1).bit_length()
    base = -(-base >> bits) << bits
    if base + (1 << bits) > KEY_SPACE:
        raise MappingError(
            f"slice {s} ({s.size} neurons) finds no room: {base:#x} + {1 << bits:#x} is over 32 bits of key. "
            "Use fewer or larger slices, or a lower `first`."
        )
    return KeyBlock(base=base, bits=bits)


def check(slices: tuple[Slice, ...], blocks: Mapping[Slice, KeyBlock]) -> Iterator[str]:
    """Every breach of a legal allotment, as sentences."""
    for s in sorted(set(slices) ^ set(blocks)):
        yield f"{s}: is a slice without a block, or a block without a slice"
    spans = []
    for s in sorted(set(slices) & set(blocks)):
        base, size = blocks[s].base, 2 ** blocks[s].bits
        if size < s.size:
            yield f"{s}: {s.size} neurons but {size} keys"
        if base % size or base + size > 2**32:
            yield f"{s}: base {base:#x} is not aligned to its {size} keys within 32 bits"
        spans.append((base, base + size, s))
    spans.sort()
    for (_, end, a), (start, _, b) in zip(spans, spans[1:], strict=False):
        if start < end:
            yield f"{a} and {b}: both own key {start:#x}"
