"""Routing tables: per chip, entries of key, mask and a route word of 158 bits; the first match decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MappingError
from ..machine import ROUTE_BYTES, Chip, SpiNNaker2
from ..values import freeze_fields
from .keys import KeyBlock
from .partition import Slice
from .route import RouteTree


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """One router's entries.

    key, mask : uint32 (entries)
    route : uint8 (entries, 20), bit b of the route word in byte b // 8 at place b % 8
    """

    key: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    route: NDArray[np.uint8]

    def __post_init__(self) -> None:
        freeze_fields(self, key=np.uint32, mask=np.uint32, route=np.uint8)

    @property
    def entries(self) -> int:
        return int(self.key.size)

    def lookup(self, keys: NDArray[np.uint32]) -> NDArray[np.int64]:
        """The first entry that matches each key, -1 for none."""
        found = np.full(keys.size, -1, np.int64)
        for i in range(self.entries - 1, -1, -1):
            found[(keys & self.mask[i]) == self.key[i]] = i
        return found

    def bits(self, entry: int) -> list[int]:
        """The bits set in an entry's route word."""
        return [int(b) for b in np.flatnonzero(np.unpackbits(self.route[entry], bitorder="little"))]


def tables(
    trees: Mapping[Slice, RouteTree], blocks: Mapping[Slice, KeyBlock], machine: SpiNNaker2
) -> dict[Chip, Table]:
    """One entry per tree and chip, in the order of keys.

    Raises
    ------
    MappingError
        where a router has more entries than it holds.
    """
    rows: dict[Chip, list[tuple[int, int, Any]]] = {chip: [] for chip in machine.coordinates}
    for s, tree in trees.items():
        for chip, bits in tree.chips.items():
            word = np.zeros(ROUTE_BYTES * 8, np.uint8)
            word[sorted(bits)] = 1
            rows[chip].append((blocks[s].base, blocks[s].mask, np.packbits(word, bitorder="little")))
    found = {}
    for chip, entries in rows.items():
        if len(entries) > machine.router_entries:
            raise MappingError(
                f"chip {chip}: {len(entries)} routing entries, a router holds {machine.router_entries}, "
                f"{len(entries) - machine.router_entries} too many. Use larger slices."
            )
        entries.sort(key=lambda e: e[:2])
        found[chip] = Table(
            key=np.array([e[0] for e in entries], np.uint32),
            mask=np.array([e[1] for e in entries], np.uint32),
            route=np.array([e[2] for e in entries], np.uint8).reshape(-1, ROUTE_BYTES),
        )
    return found
